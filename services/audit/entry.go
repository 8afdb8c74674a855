package audit

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// Fields are the values of fields, by the field's name. Values are texts that any bookkeeper may read: amounts as
// money.Amount.String writes them, times in RFC 3339, days as YYYY-MM-DD, words of the contract in small letters.
type Fields map[string]string

// Change is what a caller has changed.
type Change struct {
	// Collective is its slug; empty for the instance.
	Collective string
	// Resource is the name of the resource that changed. Required.
	Resource string
	// Before and After are its fields. Fields that have the same value in both are left out. Both may be empty where the
	// method says all.
	Before, After Fields
}

// Entry is a change as it is stored.
type Entry struct {
	ID         uuid.UUID
	CreateTime time.Time
	Collective string
	// Actor is who did it: `members/{member}` or the name of an API key; empty for the command line.
	Actor string
	// ActorDisplayName is the actor's name for people, as it was then.
	ActorDisplayName string
	// Member is whose session or key it was.
	Member string
	// Credential is the session or key that the call came with.
	Credential string
	// Role is what the actor was: a role of package access; empty for the command line.
	Role string
	// Method is the RPC without its first slash, or a command.
	Method        string
	Resource      string
	Before, After Fields
	RequestID     string
	// Number is its place in the sealed log, from 1; 0 until it is sealed.
	Number int64
}

// Name returns the entry's resource name.
func (e Entry) Name() string {
	return parentName(e.Collective) + segment + e.ID.String()
}

const (
	// instance is the scope of what belongs to no collective.
	instance         = "instance"
	collectivePrefix = "collectives/"
	segment          = "/auditEntries/"
)

func parentName(collective string) string {
	if collective == "" {
		return instance
	}
	return collectivePrefix + collective
}

// parseParent returns the collective of a parent, which is empty for the instance.
func parseParent(parent string) (collective string, ok bool) {
	if parent == instance {
		return "", true
	}
	collective, ok = strings.CutPrefix(parent, collectivePrefix)
	return collective, ok && collective != "" && !strings.Contains(collective, "/")
}

func parseName(name string) (collective string, id uuid.UUID, ok bool) {
	parent, last, ok := strings.Cut(name, segment)
	if !ok {
		return "", uuid.Nil, false
	}
	id, err := uuid.Parse(last)
	if collective, ok = parseParent(parent); !ok || err != nil || id.String() != last {
		return "", uuid.Nil, false
	}
	return collective, id, true
}
