package collectives

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fingerprint"
	"github.com/cagnotte/cagnotte/services/internal/limit"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/notices"
)

// ApplicationState is the state of an application.
type ApplicationState string

// The states: an application waits, and is approved or rejected once.
const (
	ApplicationWaiting  ApplicationState = "waiting"
	ApplicationApproved ApplicationState = "approved"
	ApplicationRejected ApplicationState = "rejected"
)

// Application is somebody's wish for a collective. Approved, it is the collective, whose owner the applicant is invited to
// be.
type Application struct {
	ID          uuid.UUID
	DisplayName string
	// Slug is the id that is wished for.
	Slug string
	// Purpose is what the collective does, in the applicant's words.
	Purpose string
	// Applicant and Email are who asks. They are for the operator to see, and empty thirty days after a rejection.
	Applicant, Email string
	Language         string
	State            ApplicationState
	CreateTime       time.Time
	// DecideTime is when it was decided, by Decider, who is empty where nobody had to; zero until then.
	DecideTime time.Time
	Decider    string
	// RejectReason is why it was rejected.
	RejectReason string
	// Collective is the id of what was created; empty until then.
	Collective string

	fingerprint []byte
}

// Name returns the resource name, `instance/applications/{application}`.
func (a Application) Name() string { return applicationsPrefix + a.ID.String() }

const (
	applicationsPrefix = "instance/applications/"

	// Anybody has a mail with these names sent to any address, so they are short, and no link is in them.
	maxAppliedNameChars = 80
	maxApplicantChars   = 80

	maxPurposeChars = 2000
	maxRejectChars  = 1000

	// applicantsKept is how long who applied is kept after the application was rejected.
	applicantsKept = 30 * 24 * time.Hour
)

// How often one network, and one address, may apply.
var (
	networkRate = limit.Rate{Burst: 5, Interval: 2 * time.Hour}
	addressRate = limit.Rate{Burst: 2, Interval: 12 * time.Hour}
)

// normalise fills in what may be left out and checks the rest.
func (a *Application) normalise() error {
	a.DisplayName, a.Purpose, a.Applicant, a.Email = strings.TrimSpace(a.DisplayName), strings.TrimSpace(a.Purpose), strings.TrimSpace(a.Applicant), strings.TrimSpace(a.Email)
	if err := checkName("application.display_name", a.DisplayName, maxAppliedNameChars); err != nil {
		return err
	}
	if err := checkName("application.applicant", a.Applicant, maxApplicantChars); err != nil {
		return err
	}
	switch {
	case !slugPattern.MatchString(a.Slug):
		return errs.Invalid("application.collective_id", "must be 3 to 40 lower-case letters, digits and dashes, beginning with a letter")
	case !access.PrintableText(a.Purpose, maxPurposeChars):
		return errs.Invalid("application.purpose", "must have 1 to %d visible characters", maxPurposeChars)
	case mail.CheckAddress(a.Email) != nil:
		return errs.Invalid("application.email", "%v", mail.CheckAddress(a.Email))
	}
	if a.Language == "" {
		a.Language = string(money.French)
	}
	if a.Language != string(money.French) && a.Language != string(money.English) {
		return errs.Invalid("application.language", "must be %q or %q", money.French, money.English)
	}
	return nil
}

const insertApplicationSQL = `
INSERT INTO collectives.applications (
	id,
	request_id,
	fingerprint,
	display_name,
	slug,
	purpose,
	applicant,
	email,
	language,
	created_at
)
VALUES (
	@id,
	@request_id,
	@fingerprint,
	@display_name,
	@slug,
	@purpose,
	@applicant,
	@email,
	@language,
	@now
)
ON CONFLICT (request_id) DO NOTHING`

// Apply stores an application, or returns the one of the same request. Where collectives are open to all, it is approved in
// the same transaction. Otherwise the operator is told. That an id is taken is answered only as often as applications are
// taken, since ids of collectives that are not published are nobody else's to know. Errors: those of the contract's
// CreateApplication.
func (s *Service) Apply(ctx context.Context, request uuid.UUID, a Application, network netip.Prefix) (Application, error) {
	opening, err := s.Opening(ctx)
	if err != nil {
		return Application{}, err
	}
	if opening.Mode == ByInvitation {
		return Application{}, errs.New(errorsv1.ErrorReason_APPLICATIONS_CLOSED, "Collectives are opened by invitation here.")
	}
	if !s.canInvite() {
		return Application{}, errs.New(errorsv1.ErrorReason_MAIL_NOT_CONFIGURED, "No mail server is set (SMTP_URL), so that nobody could be invited.")
	}
	if err := a.normalise(); err != nil {
		return Application{}, err
	}
	a.ID, a.CreateTime, a.State = uuid.Must(uuid.NewV7()), s.nowMicros(), ApplicationWaiting
	a.fingerprint = fingerprint.Of(fingerprint.Fields{
		"display_name": a.DisplayName, "slug": a.Slug, "purpose": a.Purpose, "applicant": a.Applicant, "email": a.Email, "language": a.Language,
	})
	var stored Application
	err = postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		inserted, err := tx.Exec(ctx, insertApplicationSQL, pgx.NamedArgs{
			"id": a.ID, "request_id": request, "fingerprint": a.fingerprint, "display_name": a.DisplayName, "slug": a.Slug,
			"purpose": a.Purpose, "applicant": a.Applicant, "email": a.Email, "language": a.Language, "now": a.CreateTime,
		})
		if err != nil {
			return postgres.Error(err)
		}
		rows, err := tx.Query(ctx, applicationByRequestSQL, pgx.NamedArgs{"request_id": request})
		if stored, err = oneApplication(rows, err, request.String()); err != nil {
			return err
		}
		if !bytes.Equal(stored.fingerprint, a.fingerprint) {
			return errs.New(errorsv1.ErrorReason_REQUEST_ID_REUSED, "The request id belongs to another application.")
		}
		// A repeat is answered, and not counted.
		if inserted.RowsAffected() == 0 {
			return nil
		}
		if opening.Mode == OpenToAll {
			stored, err = s.approveTx(ctx, tx, stored, "", "")
		} else {
			err = s.notices.TellTx(ctx, tx, notices.Notice{Kind: notices.ApplicationReceived, Key: stored.ID.String(), Subject: stored.Name()})
		}
		if err != nil {
			return err
		}
		// Last, since it locks the rows of the limits until the commit.
		return s.limitApplicationsTx(ctx, tx, network, stored)
	})
	if err != nil && errs.As(err).Reason == errorsv1.ErrorReason_COLLECTIVE_EXISTS {
		// What was counted with the application is rolled back with it.
		limited := postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error { return s.limitApplicationsTx(ctx, tx, network, a) })
		if limited != nil {
			err = limited
		}
	}
	if err != nil {
		return Application{}, err
	}
	return stored, nil
}

// forgetApplicantsSQL erases the hash too: who guesses name and address could check them with it.
const forgetApplicantsSQL = `
UPDATE collectives.applications AS a
SET
	applicant = '',
	email = '',
	fingerprint = ''
WHERE a.state = 'rejected'
	AND a.decided_at < @before
	AND a.email <> ''`

// ForgetApplicants erases who applied from applications that were rejected thirty days ago. What was asked for and why it was
// rejected stay.
func (s *Service) ForgetApplicants(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, forgetApplicantsSQL, pgx.NamedArgs{"before": s.nowMicros().Add(-applicantsKept)})
	return postgres.Error(err)
}

// canInvite reports whether an applicant could be invited by mail.
func (s *Service) canInvite() bool { return s.inviteTx != nil && s.mail.Enabled() }

const applicationColumns = `
	a.id,
	a.fingerprint,
	a.display_name,
	a.slug,
	a.purpose,
	a.applicant,
	a.email,
	a.language,
	a.state,
	coalesce(a.collective, ''),
	a.decider,
	a.reject_reason,
	a.created_at,
	a.decided_at`

const applicationByRequestSQL = `
SELECT` + applicationColumns + `
FROM collectives.applications AS a
WHERE a.request_id = @request_id`

const applicationSQL = `
SELECT` + applicationColumns + `
FROM collectives.applications AS a
WHERE a.id = @id`

const lockApplicationSQL = applicationSQL + `
FOR NO KEY UPDATE`

// GetApplication returns one application. Errors: NOT_FOUND.
func (s *Service) GetApplication(ctx context.Context, id uuid.UUID) (Application, error) {
	rows, err := s.pool.Query(ctx, applicationSQL, pgx.NamedArgs{"id": id})
	return oneApplication(rows, err, id.String())
}

// decideSQL writes a decision.
const decideSQL = `
UPDATE collectives.applications AS a
SET
	state = @state,
	collective = nullif(@collective, ''),
	decider = @decider,
	reject_reason = @reject_reason,
	decided_at = @now
WHERE a.id = @id
RETURNING` + applicationColumns

// Approve creates the collective of an application and invites the applicant as its owner. slug is its id; empty for the one
// that was wished for. An approved application stays as it is. Errors: those of the contract's ApproveApplication.
func (s *Service) Approve(ctx context.Context, id uuid.UUID, slug string) (Application, error) {
	if !s.canInvite() {
		return Application{}, errs.New(errorsv1.ErrorReason_MAIL_NOT_CONFIGURED, "No mail server is set (SMTP_URL), so that nobody can be invited.")
	}
	return s.decide(ctx, id, ApplicationApproved, func(ctx context.Context, tx pgx.Tx, a Application) (Application, error) {
		return s.approveTx(ctx, tx, a, slug, access.PrincipalFrom(ctx).Name)
	})
}

// Reject rejects an application, and mails the reason to the applicant. A rejected application stays as it is. Errors: those
// of the contract's RejectApplication.
func (s *Service) Reject(ctx context.Context, id uuid.UUID, reason string) (Application, error) {
	reason = strings.TrimSpace(reason)
	if !access.PrintableText(reason, maxRejectChars) {
		return Application{}, errs.Invalid("reason", "must have 1 to %d visible characters", maxRejectChars)
	}
	return s.decide(ctx, id, ApplicationRejected, func(ctx context.Context, tx pgx.Tx, a Application) (Application, error) {
		a.State, a.Decider, a.RejectReason = ApplicationRejected, access.PrincipalFrom(ctx).Name, reason
		a, err := s.writeDecisionTx(ctx, tx, a)
		if err != nil || !s.mail.Enabled() || s.jobs == nil {
			return a, err
		}
		_, err = s.jobs.InsertTx(ctx, tx, rejectionArgs{Application: a.ID}, nil)
		return a, postgres.Error(err)
	})
}

// decide locks an application and decides it, unless it is decided that way already.
func (s *Service) decide(
	ctx context.Context, id uuid.UUID, want ApplicationState, decision func(context.Context, pgx.Tx, Application) (Application, error),
) (a Application, err error) {
	err = postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, lockApplicationSQL, pgx.NamedArgs{"id": id})
		if a, err = oneApplication(rows, err, id.String()); err != nil || a.State == want {
			return err
		}
		if a.State != ApplicationWaiting {
			return errs.New(errorsv1.ErrorReason_APPLICATION_DECIDED, "%s is %s.", a.Name(), a.State)
		}
		if a, err = decision(ctx, tx, a); err != nil {
			return err
		}
		// Neither the applicant nor the purpose: what people wrote of themselves is not for the log.
		return audit.WriteTx(ctx, tx, audit.Change{
			Resource: a.Name(), Before: audit.Fields{"state": string(ApplicationWaiting)},
			After: audit.Fields{"state": string(a.State), "collective": a.Collective},
		})
	})
	if err != nil {
		return Application{}, err
	}
	return a, nil
}

// approveTx creates the collective, which is not the operator's own, and invites the applicant.
func (s *Service) approveTx(ctx context.Context, tx pgx.Tx, a Application, slug, decider string) (Application, error) {
	c := Collective{ID: cmp.Or(slug, a.Slug), DisplayName: a.DisplayName, Settings: Settings{Language: a.Language, OwnAccountRequired: true}}
	if err := c.normalise(); err != nil {
		return Application{}, err
	}
	c.CreateTime = s.nowMicros()
	created, inserted, err := insert(ctx, tx, c)
	if err != nil {
		return Application{}, err
	}
	// Another's collective, also one of the same settings: the applicant must not become its owner.
	if !inserted {
		return Application{}, errs.New(errorsv1.ErrorReason_COLLECTIVE_EXISTS, "%s exists; choose another id.", c.Name())
	}
	a.State, a.Collective, a.Decider = ApplicationApproved, created.ID, decider
	if a, err = s.writeDecisionTx(ctx, tx, a); err != nil {
		return Application{}, err
	}
	return a, s.inviteTx(ctx, tx, Invitation{Collective: created.ID, Email: a.Email, Language: a.Language})
}

func (s *Service) writeDecisionTx(ctx context.Context, tx pgx.Tx, a Application) (Application, error) {
	rows, err := tx.Query(ctx, decideSQL, pgx.NamedArgs{
		"id": a.ID, "state": string(a.State), "collective": a.Collective, "decider": a.Decider,
		"reject_reason": a.RejectReason, "now": s.nowMicros(),
	})
	return oneApplication(rows, err, a.ID.String())
}

// listApplicationsSQL has the order of applications_list_idx and applications_state_idx. An empty state stands for all.
const listApplicationsSQL = `
SELECT` + applicationColumns + `
FROM collectives.applications AS a
WHERE (@state = '' OR a.state = @state)
	AND (a.created_at, a.id) < (@before_time, @before_id)
ORDER BY
	a.created_at DESC,
	a.id DESC
LIMIT @count`

// applicationPosition is the place of an application in a list.
type applicationPosition struct {
	CreateTime time.Time
	ID         uuid.UUID
}

// newestApplication is before all applications.
var newestApplication = applicationPosition{CreateTime: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}

// listApplications returns up to count applications before a position, newest first; of all states when state is empty.
func (s *Service) listApplications(ctx context.Context, state ApplicationState, before applicationPosition, count int) ([]Application, error) {
	rows, err := s.pool.Query(ctx, listApplicationsSQL, pgx.NamedArgs{
		"state": string(state), "before_time": before.CreateTime, "before_id": before.ID, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scanApplication)
	return found, postgres.Error(err)
}

const waitingApplicationsSQL = `
SELECT count(*)
FROM collectives.applications AS a
WHERE a.state = 'waiting'`

// WaitingApplications is how many applications are not decided.
func (s *Service) WaitingApplications(ctx context.Context) (count int64, err error) {
	err = s.pool.QueryRow(ctx, waitingApplicationsSQL).Scan(&count)
	return count, postgres.Error(err)
}

func oneApplication(rows pgx.Rows, err error, id string) (Application, error) {
	if err != nil {
		return Application{}, postgres.Error(err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanApplication)
	if errors.Is(err, pgx.ErrNoRows) {
		return Application{}, errs.NotFound(applicationsPrefix + id)
	}
	return a, postgres.Error(err)
}

func scanApplication(r pgx.CollectableRow) (a Application, err error) {
	var decided *time.Time
	err = r.Scan(&a.ID, &a.fingerprint, &a.DisplayName, &a.Slug, &a.Purpose, &a.Applicant, &a.Email, &a.Language, &a.State,
		&a.Collective, &a.Decider, &a.RejectReason, &a.CreateTime, &decided)
	a.CreateTime = a.CreateTime.UTC()
	if decided != nil {
		a.DecideTime = decided.UTC()
	}
	return a, err
}

// limitApplicationsTx counts an application of the network and of the address, or is RESOURCE_EXHAUSTED
// (TOO_MANY_APPLICATIONS) with the time to wait.
func (s *Service) limitApplicationsTx(ctx context.Context, tx pgx.Tx, network netip.Prefix, a Application) error {
	now := s.nowMicros()
	applications := limit.Limiter{Table: "collectives.application_limits", Secret: s.secretKey, Daily: true}
	if err := applications.Forget(ctx, tx, now); err != nil {
		return err
	}
	wait, err := applications.TakeTx(ctx, tx, "network", network.String(), networkRate, now)
	if err == nil && wait == 0 {
		wait, err = applications.TakeTx(ctx, tx, "address", strings.ToLower(a.Email), addressRate, now)
	}
	if err != nil || wait == 0 {
		return err
	}
	e := errs.New(errorsv1.ErrorReason_TOO_MANY_APPLICATIONS, "Too many applications came from this network or address.")
	e.RetryAfter = wait
	return e
}

// Invitation asks somebody to become the owner of a collective.
type Invitation struct {
	Collective, Email, Language string
}
