package approvals

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/notices"
)

// Kind is what a change changes.
type Kind string

// The kinds, as they are stored.
const (
	BankAccount    Kind = "bank_account"
	RefundApproval Kind = "refund_approval"
	AlertEmails    Kind = "alert_emails"
	Rule           Kind = "two_person_rule"
	APIKey         Kind = "api_key"
	Invitation     Kind = "invitation"
	MemberRole     Kind = "member_role"
	// ReceiptDeclaration is the declaration that a collective may issue tax receipts. It always waits.
	ReceiptDeclaration Kind = "receipt_declaration"
)

// waiting is the notice of a change that waits.
var waiting = map[Kind]notices.Kind{
	BankAccount:    notices.BankAccountWaits,
	RefundApproval: notices.RefundApprovalWaits,
	AlertEmails:    notices.AlertEmailsWait,
	Rule:           notices.TwoPersonRuleWaits,
	APIKey:         notices.KeyWaits,
	Invitation:     notices.InvitationWaits,
	MemberRole:     notices.MemberRoleWaits,

	ReceiptDeclaration: notices.ReceiptDeclarationWaits,
}

// State is where a change is.
type State string

// The states, as they are stored.
const (
	Pending  State = "pending"
	Approved State = "approved"
	Rejected State = "rejected"
	Canceled State = "canceled"
	Expired  State = "expired"
)

// Lifetime is how long a change waits.
const Lifetime = 7 * 24 * time.Hour

// Change is a change that waits or waited.
type Change struct {
	ID         uuid.UUID
	Collective string
	Kind       Kind
	// Subject is the name of the resource that it changes.
	Subject string
	// Before and After are the whole values, as the setting's owner wrote them, in JSON. They are for Apply.
	Before, After json.RawMessage
	// BeforeText and AfterText are the values for people, shortened; empty for none.
	BeforeText, AfterText string
	State                 State
	// Requester and Decider are names as in [access.Principal]; the Decider is empty until it is decided, and when it expired.
	Requester, Decider         string
	RequesterName, DeciderName string
	CreateTime, ExpireTime     time.Time
	// DecideTime is zero until it is decided or has expired.
	DecideTime time.Time
	// Repeated reports that [Service.RequestTx] found it waiting.
	Repeated bool
}

// Name returns the resource name.
func (c Change) Name() string {
	return "collectives/" + c.Collective + "/pendingChanges/" + c.ID.String()
}

// AuditFields are what the audit log says of it.
func (c Change) AuditFields() map[string]string {
	return map[string]string{"state": string(c.State), "kind": string(c.Kind), "subject": c.Subject, "value": c.AfterText}
}

// Outdated is the FAILED_PRECONDITION (CHANGE_OUTDATED) of an Apply that finds another value than the change's Before.
func Outdated() error {
	return errs.New(errorsv1.ErrorReason_CHANGE_OUTDATED, "What this would change is not any more what it was when it was asked.")
}

// Apply makes a change in the transaction that approves it, and tells of it. [Outdated] when the value is not Before any more.
type Apply func(ctx context.Context, tx pgx.Tx, c Change) error

// Drop undoes what a change that is not made left behind, in the transaction that ends it.
type Drop func(ctx context.Context, tx pgx.Tx, c Change) error

// Config configures a Service. Pool and Notices are required.
type Config struct {
	// Pool is the database.
	Pool *pgxpool.Pool
	// Notices tells of changes.
	Notices *notices.Service
	// Apply applies changes, by kind. The rule needs none. A kind without one is INTERNAL when it is approved.
	Apply map[Kind]Apply
	// Drop is called for changes that were rejected or canceled, or expired, by kind. Nil: nothing is left behind.
	Drop map[Kind]Drop
	// Now returns the time; time.Now when nil.
	Now func() time.Time
}

// Service decides about changes.
type Service struct{ cfg Config }

// New returns a service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg}
}

// now is the time as Postgres keeps it.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// Request is what somebody wants to change.
type Request struct {
	Collective string
	Kind       Kind
	// Subject is the name of the resource that it changes.
	Subject string
	// Before and After are the whole values, which must survive encoding/json.
	Before, After any
	// BeforeText and AfterText are the values for people, without a whole IBAN, a whole address, or a secret.
	BeforeText, AfterText string
}

// RequestTx stores what the caller in the context wants to change, and tells all members, in the transaction of the call. The
// same change that waits already is answered, whoever asked for it.
//
// Errors: FAILED_PRECONDITION (CHANGE_PENDING) when another change of the same subject and kind waits, and PERSON_NEEDED when
// the caller is a key of no person; see [access.CheckAskerTx].
func (s *Service) RequestTx(ctx context.Context, tx pgx.Tx, r Request) (Change, error) {
	before, err := json.Marshal(r.Before)
	if err != nil {
		return Change{}, errs.Internal(err)
	}
	after, err := json.Marshal(r.After)
	if err != nil {
		return Change{}, errs.Internal(err)
	}
	by, now := access.PrincipalFrom(ctx), s.now()
	if err := access.CheckAskerTx(ctx, tx, r.Collective, by.Name); err != nil {
		return Change{}, err
	}
	c := Change{
		ID: uuid.Must(uuid.NewV7()), Collective: r.Collective, Kind: r.Kind, Subject: r.Subject, Before: before, After: after,
		BeforeText: r.BeforeText, AfterText: r.AfterText, State: Pending, Requester: by.Name, RequesterName: by.DisplayName,
		CreateTime: now, ExpireTime: now.Add(Lifetime),
	}
	// What waited too long no longer waits, even if the job has not come by yet.
	if err := s.expireTx(ctx, tx, r.Collective, now); err != nil {
		return Change{}, err
	}
	inserted, err := insertTx(ctx, tx, c)
	if err != nil {
		return Change{}, err
	}
	if !inserted {
		stored, err := waitingTx(ctx, tx, r.Collective, r.Kind, r.Subject)
		if err != nil {
			return Change{}, err
		}
		if !sameJSON(stored.After, after) || !sameJSON(stored.Before, before) {
			return Change{}, errs.New(errorsv1.ErrorReason_CHANGE_PENDING, "Another change waits for a second person: %s.", stored.Name())
		}
		stored.Repeated = true
		return stored, nil
	}
	err = s.cfg.Notices.TellChangeTx(ctx, tx, notices.Notice{
		Collective: c.Collective, Kind: waiting[c.Kind], Key: c.ID.String(), Subject: c.Name(), Deadline: c.ExpireTime,
	}, c.BeforeText, c.AfterText)
	return c, err
}

// sameJSON compares two values, whatever the order and space in which Postgres gives one back.
func sameJSON(a, b json.RawMessage) bool {
	var one, other any
	if json.Unmarshal(a, &one) != nil || json.Unmarshal(b, &other) != nil {
		return false
	}
	x, _ := json.Marshal(one)
	y, _ := json.Marshal(other)
	return string(x) == string(y)
}

// Approve applies a change for the caller in the context. For the errors see the contract's ApprovePendingChange.
func (s *Service) Approve(ctx context.Context, collective string, id uuid.UUID) (Change, error) {
	return s.decide(ctx, collective, id, Approved, func(ctx context.Context, tx pgx.Tx, c Change) error {
		if err := checkSecondPersonTx(ctx, tx, c, c.CreateTime); err != nil {
			return err
		}
		if c.Kind == Rule {
			return s.applyRuleTx(ctx, tx, c)
		}
		apply := s.cfg.Apply[c.Kind]
		if apply == nil {
			return errs.Internal(errors.New("approvals: nothing applies " + string(c.Kind)))
		}
		return apply(ctx, tx, c)
	})
}

// checkSecondPersonTx is an error unless the caller in the context is another person than the one who asked, and had the role
// before since. A key of no person is nobody's.
func checkSecondPersonTx(ctx context.Context, tx pgx.Tx, c Change, since time.Time) error {
	by := access.PrincipalFrom(ctx)
	if !by.IsPerson() {
		return errs.New(errorsv1.ErrorReason_SECOND_MEMBER_NEEDED, "A person must decide, by a session or a key of theirs. This API key is no person's.")
	}
	_, _, err := access.CheckSecondMemberTx(ctx, tx, c.Collective, c.Requester, by.Name, since)
	return err
}

// Reject refuses a change for the caller in the context, who is another person than the one who asked.
func (s *Service) Reject(ctx context.Context, collective string, id uuid.UUID) (Change, error) {
	return s.decide(ctx, collective, id, Rejected, func(ctx context.Context, tx pgx.Tx, c Change) error {
		// Who came later may refuse: that is on the safe side.
		if err := checkSecondPersonTx(ctx, tx, c, time.Time{}); err != nil {
			return err
		}
		return s.dropTx(ctx, tx, c)
	})
}

// Cancel takes a change back for the caller in the context, who asked for it.
func (s *Service) Cancel(ctx context.Context, collective string, id uuid.UUID) (Change, error) {
	return s.decide(ctx, collective, id, Canceled, func(ctx context.Context, tx pgx.Tx, c Change) error {
		same, err := access.SameMemberTx(ctx, tx, c.Requester, access.PrincipalFrom(ctx).Name)
		if err != nil {
			return err
		}
		if !same {
			return errs.New(errorsv1.ErrorReason_ANOTHER_MEMBERS_CHANGE, "Only the person who asked for it cancels a change. Reject it instead.")
		}
		return s.dropTx(ctx, tx, c)
	})
}

const ofSubjectsSQL = `
SELECT` + changeColumns + `
FROM approvals.pending_changes AS c
WHERE c.state = 'pending'
	AND c.subject = ANY(@subjects::text[])
ORDER BY c.id
FOR UPDATE OF c`

// WithdrawTx cancels the changes of these subjects that wait, since there is nothing to approve any more: an invitation was
// revoked, a membership or a key has ended. It is called in the transaction that did so, which writes the audit log. All members
// are told. The caller in the context counts as who canceled; on the command line, who asked.
func (s *Service) WithdrawTx(ctx context.Context, tx pgx.Tx, subjects []string) error {
	if len(subjects) == 0 {
		return nil
	}
	by := access.PrincipalFrom(ctx)
	waiting, err := postgres.All(ctx, tx, scan, ofSubjectsSQL, pgx.NamedArgs{"subjects": subjects})
	if err != nil {
		return err
	}
	for _, c := range waiting {
		c.State, c.Decider, c.DeciderName, c.DecideTime = Canceled, by.Name, by.DisplayName, s.now()
		if by.IsZero() {
			c.Decider, c.DeciderName = c.Requester, c.RequesterName
		}
		if err := endTx(ctx, tx, c); err != nil {
			return err
		}
		if err := s.dropTx(ctx, tx, c); err != nil {
			return err
		}
	}
	return nil
}

// dropTx tells that a change was not made, and undoes what it left behind.
func (s *Service) dropTx(ctx context.Context, tx pgx.Tx, c Change) error {
	if drop := s.cfg.Drop[c.Kind]; drop != nil {
		if err := drop(ctx, tx, c); err != nil {
			return err
		}
	}
	n := notices.Notice{Collective: c.Collective, Kind: notices.ChangeDropped, Key: c.ID.String(), Subject: c.Name()}
	if c.State == Expired {
		return s.cfg.Notices.TellTx(ctx, tx, n)
	}
	return s.cfg.Notices.TellChangeTx(ctx, tx, n, c.AfterText, "")
}

// decide locks a change and brings it into a state, if act agrees. A change that the caller brought there before stays as it
// is. Of two who decide at once the second waits, and finds it decided.
func (s *Service) decide(ctx context.Context, collective string, id uuid.UUID, state State,
	act func(ctx context.Context, tx pgx.Tx, c Change) error,
) (result Change, err error) {
	by := access.PrincipalFrom(ctx)
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		// Before the change, as who changes people does. The role of who decides stays what it is until the commit.
		if err := access.LockPeopleTx(ctx, tx, collective); err != nil {
			return err
		}
		c, err := lockTx(ctx, tx, collective, id)
		if err != nil {
			return err
		}
		now := s.now()
		if c.State == state && c.Decider != "" {
			same, err := access.SameMemberTx(ctx, tx, c.Decider, by.Name)
			if err == nil && same {
				result = c
				return nil
			}
		}
		if c.State != Pending || !now.Before(c.ExpireTime) {
			return errs.New(errorsv1.ErrorReason_CHANGE_DECIDED, "%s is decided, or has expired.", c.Name())
		}
		if err := act(ctx, tx, c); err != nil {
			return err
		}
		before := c.AuditFields()
		c.State, c.Decider, c.DeciderName, c.DecideTime = state, by.Name, by.DisplayName, now
		if err := endTx(ctx, tx, c); err != nil {
			return err
		}
		result = c
		return audit.WriteTx(ctx, tx, audit.Change{Collective: collective, Resource: c.Name(), Before: before, After: c.AuditFields()})
	})
	return result, err
}

// Get returns a change. NOT_FOUND when there is none.
func (s *Service) Get(ctx context.Context, collective string, id uuid.UUID) (Change, error) {
	c, err := postgres.One(ctx, s.cfg.Pool, scan, getSQL, pgx.NamedArgs{"collective": collective, "id": id})
	return found(c, err, collective, id)
}

// May tells what the caller in the context may do with a change that waits.
func (s *Service) May(ctx context.Context, c Change) (approve, cancel bool, err error) {
	by := access.PrincipalFrom(ctx)
	role := by.Role(c.Collective)
	if c.State != Pending || !s.now().Before(c.ExpireTime) || role != access.RoleOwner && role != access.RoleTreasurer && !by.IsOperator() {
		return false, false, nil
	}
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if cancel, err = access.SameMemberTx(ctx, tx, c.Requester, by.Name); err != nil || cancel {
			return err
		}
		approve = checkSecondPersonTx(ctx, tx, c, c.CreateTime) == nil
		return nil
	})
	return approve, cancel, err
}

// parseName splits the name of a change.
func parseName(name string) (collective string, id uuid.UUID, err error) {
	rest, ok := strings.CutPrefix(name, "collectives/")
	collective, last, more := strings.Cut(rest, "/pendingChanges/")
	id, parseErr := uuid.Parse(last)
	if !ok || !more || parseErr != nil {
		return "", uuid.Nil, errs.NotFound(name)
	}
	return collective, id, nil
}
