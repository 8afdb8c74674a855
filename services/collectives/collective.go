package collectives

import (
	"context"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a machine without a zone database must not move anybody's days
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/approvals"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/notices"
)

// DefaultTimeZone is the zone of a collective that names none.
const DefaultTimeZone = "Europe/Paris"

const maxDisplayNameChars = 120

// Collective is a group that raises money.
type Collective struct {
	// ID is the slug, which never changes.
	ID string
	// DisplayName is what people call it.
	DisplayName string
	// StripeAccount is where its donations go; empty for the platform's own account. In the
	// transaction of a donation use [Service.MarkInUseTx] instead.
	StripeAccount string
	// TimeZone is the IANA zone in which its days begin.
	TimeZone string
	// Settings are the rest of what its members decide.
	Settings
	// SuspendTime is when the operator suspended it; zero while it is not suspended. SuspendReason is why, for its members.
	SuspendTime   time.Time
	SuspendReason string
	// CreateTime is when it was created.
	CreateTime time.Time
	// UpdateTime is when it was last changed.
	UpdateTime time.Time

	version int64
	// waits are the names of the changes for which an update asked a second person.
	waits []string
}

// Name returns the resource name, `collectives/{collective}`.
func (c Collective) Name() string { return namePrefix + c.ID }

// Location returns the zone in which the collective's days begin. It fails only when
// the zone was stored by a program that knew more zones than this one.
func (c Collective) Location() (*time.Location, error) {
	location, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		return nil, errs.Internal(err)
	}
	return location, nil
}

// etag is opaque to callers; it changes with every change of the collective.
func (c Collective) etag() string { return strconv.FormatInt(c.version, 10) }

const namePrefix = "collectives/"

// ParseName returns the id in `collectives/{collective}`; ok is false when the name
// is not of that form.
func ParseName(name string) (id string, ok bool) {
	id, ok = strings.CutPrefix(name, namePrefix)
	return id, ok && slugPattern.MatchString(id)
}

var (
	slugPattern    = regexp.MustCompile(`^[a-z][a-z0-9-]{1,38}[a-z0-9]$`)
	accountPattern = regexp.MustCompile(`^(acct_[A-Za-z0-9]{1,60})?$`)
)

// normalise fills in what may be left out and checks the rest. The fields of its
// errors are those of the requests.
func (c *Collective) normalise() error {
	if strings.TrimSpace(c.DisplayName) == "" || utf8.RuneCountInString(c.DisplayName) > maxDisplayNameChars ||
		strings.ContainsFunc(c.DisplayName, unicode.IsControl) {
		return errs.Invalid("collective.display_name", "must be one line of 1 to %d characters", maxDisplayNameChars)
	}
	if !accountPattern.MatchString(c.StripeAccount) {
		return errs.Invalid("collective.stripe_account", "must be the id of a connected account (acct_…), or empty")
	}
	if c.TimeZone == "" {
		c.TimeZone = DefaultTimeZone
	}
	// "Local" is the zone of whatever machine answers.
	if _, err := time.LoadLocation(c.TimeZone); err != nil || c.TimeZone == "Local" {
		return errs.Invalid("collective.time_zone", "must be a zone of the IANA database, such as %q", DefaultTimeZone)
	}
	return c.Settings.normalise()
}

// same reports whether two collectives were asked for in the same words. Both are normalised.
func same(a, b Collective) bool {
	for _, c := range []*Collective{&a, &b} {
		c.CreateTime, c.UpdateTime, c.version = time.Time{}, time.Time{}, 0
	}
	return reflect.DeepEqual(a, b)
}

// Config is what a Service needs.
type Config struct {
	// Pool is the database. It is required.
	Pool *pgxpool.Pool
	// Notices tells members of changed settings. Nil: a service that mails nothing.
	Notices *notices.Service
	// Jobs inserts the jobs of mails to applicants; it need not work them. Mail sends them. Nil: none is sent.
	Jobs *river.Client[pgx.Tx]
	Mail *mail.Sender
	// InviteTx invites somebody by mail to become the owner of a collective, in the caller's transaction. Nil: nobody can
	// apply for a collective.
	InviteTx func(ctx context.Context, tx pgx.Tx, invitation Invitation) error
	// SecretKey keys the hashes of networks and addresses for the limits of applications.
	SecretKey []byte
	// Approvals keeps the changes that wait for a second person. Nil: none waits.
	Approvals *approvals.Service
	// Published reports whether a collective has ever published a campaign, and so has a public profile. Nil: none has.
	Published func(ctx context.Context, collective string) (bool, error)
	// Now tells the time; time.Now when nil.
	Now func() time.Time
}

// Service keeps the collectives. It is safe for concurrent use.
type Service struct {
	pool      *pgxpool.Pool
	notices   *notices.Service
	approvals *approvals.Service
	jobs      *river.Client[pgx.Tx]
	mail      *mail.Sender
	inviteTx  func(ctx context.Context, tx pgx.Tx, invitation Invitation) error
	secretKey []byte
	now       func() time.Time

	published func(ctx context.Context, collective string) (bool, error)
}

// New returns a Service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Notices == nil {
		c.Notices = notices.New(notices.Config{Pool: c.Pool, Now: c.Now})
	}
	if c.Published == nil {
		c.Published = func(context.Context, string) (bool, error) { return false, nil }
	}
	return &Service{
		pool: c.Pool, notices: c.Notices, approvals: c.Approvals, jobs: c.Jobs, mail: c.Mail, inviteTx: c.InviteTx, secretKey: c.SecretKey, now: c.Now,
		published: c.Published,
	}
}

// Create makes a collective of c's settings. When the id exists with the same
// settings, the existing one is returned; with others it is ALREADY_EXISTS
// (COLLECTIVE_EXISTS). Bad settings are INVALID_ARGUMENT by field.
func (s *Service) Create(ctx context.Context, c Collective) (Collective, error) {
	if !slugPattern.MatchString(c.ID) {
		return Collective{}, errs.Invalid("collective_id", "must be 3 to 40 lower-case letters, digits and dashes, beginning with a letter")
	}
	if err := c.normalise(); err != nil {
		return Collective{}, err
	}
	if err := checkName("collective.display_name", c.DisplayName, maxDisplayNameChars); err != nil {
		return Collective{}, err
	}
	c.CreateTime = s.nowMicros()
	c.UpdateTime = c.CreateTime
	var created Collective
	var inserted bool
	if err := postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) (err error) {
		if created, inserted, err = insert(ctx, tx, c); err != nil || !inserted {
			return err
		}
		return audit.WriteTx(ctx, tx, audit.Change{Collective: created.ID, Resource: created.Name(), After: created.auditFields()})
	}); err != nil || inserted {
		return created, err
	}
	existing, err := s.Get(ctx, c.ID)
	if err != nil {
		return Collective{}, err
	}
	if !same(existing, c) {
		return Collective{}, errs.New(errorsv1.ErrorReason_COLLECTIVE_EXISTS, "%s exists with other settings.", c.Name())
	}
	return existing, nil
}

// Update changes a collective in one transaction: change gets the stored one, and
// what it leaves is checked and written. A change that changes nothing writes
// nothing. An etag that is not empty must be the stored one's, else it is ABORTED
// (ETAG_MISMATCH). Another Stripe account while donations exist is FAILED_PRECONDITION
// (STRIPE_ACCOUNT_IN_USE); a missing collective is NOT_FOUND.
func (s *Service) Update(ctx context.Context, id, etag string, change func(*Collective) error) (Collective, error) {
	return s.update(ctx, id, func(stored Collective) (Collective, error) {
		if etag != "" && etag != stored.etag() {
			return Collective{}, errs.New(errorsv1.ErrorReason_ETAG_MISMATCH, "%s was changed by somebody else; read it again.", stored.Name())
		}
		changed := stored
		if err := change(&changed); err != nil {
			return Collective{}, err
		}
		if err := changed.normalise(); err != nil {
			return Collective{}, err
		}
		if changed.DisplayName != stored.DisplayName {
			if err := checkName("collective.display_name", changed.DisplayName, maxDisplayNameChars); err != nil {
				return Collective{}, err
			}
		}
		return changed, nil
	})
}

// nowMicros is the time as Postgres keeps it, so that what is answered after a write
// is what is read later.
func (s *Service) nowMicros() time.Time { return s.now().UTC().Truncate(time.Microsecond) }
