package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
)

const (
	// maxFields is how many fields of one change an entry has: the rest is counted in one more.
	maxFields = 60
	// maxValueChars is how long a value may be before it is shortened.
	maxValueChars = 200
	// contextChars is what stands before the first difference of two long values.
	contextChars = 30
)

const insertSQL = `
INSERT INTO audit.entries (
	collective,
	actor,
	actor_display_name,
	member,
	credential,
	role,
	method,
	resource,
	before,
	after,
	request_id
)
VALUES (
	@collective,
	@actor,
	@actor_display_name,
	@member,
	@credential,
	@role,
	@method,
	@resource,
	@before,
	@after,
	@request_id
)`

// WriteTx writes the entry of a change in the transaction that makes it. Who did it, by which method and under which
// request id are in the context, where the interceptors of package rpc have put them. An RPC that changes something calls
// it once; one that changes nothing does not.
//
// Without a method in the context the program changed something by itself, such as by a job: nothing is written. A command
// gives its context a method with rpc.WithCaller. Fields that are the same in both are left out, and long values are
// shortened to the part that differs.
func WriteTx(ctx context.Context, tx pgx.Tx, c Change) error {
	caller, p := rpc.CallerFrom(ctx), access.PrincipalFrom(ctx)
	if caller.Method == "" {
		return nil
	}
	method, isRPC := strings.CutPrefix(caller.Method, "/")
	if isRPC && p.IsZero() {
		return errs.Internal(fmt.Errorf("audit: %s changes %s without a caller", method, c.Resource))
	}
	if c.Resource == "" {
		return errs.Internal(errors.New("audit: " + method + " does not say what it changes"))
	}
	before, after := differing(c.Before, c.After)
	_, err := tx.Exec(ctx, insertSQL, pgx.NamedArgs{
		"collective":         c.Collective,
		"actor":              p.Name,
		"actor_display_name": p.DisplayName,
		"member":             p.Member,
		"credential":         cmp.Or(p.Session, p.Key),
		"role":               string(roleIn(p, c.Collective)),
		"method":             method,
		"resource":           c.Resource,
		"before":             before,
		"after":              after,
		"request_id":         caller.RequestID,
	})
	return postgres.Error(err)
}

// roleIn returns the role that p acts with: its own in the collective, or the operator's.
func roleIn(p access.Principal, collective string) access.Role {
	if role := p.Role(collective); role != "" || !p.IsOperator() {
		return role
	}
	return access.RoleOperator
}

// PartOf returns a context in which [WriteTx] writes nothing: what is changed there is a part of a change that the caller
// writes the entry of.
func PartOf(ctx context.Context) context.Context {
	caller := rpc.CallerFrom(ctx)
	caller.Method, caller.Principal = "", access.PrincipalFrom(ctx)
	return rpc.WithCaller(ctx, caller)
}

// differing returns what differs, shortened.
func differing(before, after Fields) (was, is Fields) {
	was, is = Fields{}, Fields{}
	fields, left := 0, 0
	for _, name := range slices.Sorted(maps.Keys(union(before, after))) {
		b, a := before[name], after[name]
		if b == a {
			continue
		}
		if fields++; fields > maxFields {
			left++
			continue
		}
		b, a = shorten(clean(b), clean(a))
		if b != "" {
			was[name] = b
		}
		if a != "" {
			is[name] = a
		}
	}
	if left > 0 {
		is["more_fields"] = fmt.Sprint(left)
	}
	return was, is
}

func union(before, after Fields) Fields {
	all := maps.Clone(before)
	if all == nil {
		all = Fields{}
	}
	maps.Copy(all, after)
	return all
}

// clean makes a text that jsonb can hold.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// shorten cuts two values to what people can compare: from a little before their first difference, as far as an entry may
// hold. An ellipsis stands for what is left out.
func shorten(before, after string) (string, string) {
	if utf8.RuneCountInString(before) <= maxValueChars && utf8.RuneCountInString(after) <= maxValueChars {
		return before, after
	}
	b, a := []rune(before), []rune(after)
	same := 0
	for same < len(b) && same < len(a) && b[same] == a[same] {
		same++
	}
	start := 0
	// What both begin with is left out only when there is more of it than is shown.
	if same > contextChars && before != "" && after != "" {
		start = same - contextChars
	}
	return cut(b, start), cut(a, start)
}

func cut(text []rune, start int) string {
	if len(text) == 0 {
		return ""
	}
	end := min(len(text), start+maxValueChars)
	s := string(text[min(start, end):end])
	if start > 0 {
		s = "…" + s
	}
	if end < len(text) {
		s += "…"
	}
	return s
}
