package connect

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/notices"
)

// Where Stripe leads people back to. Neither page needs a login nor makes anything happen: a link into the
// onboarding lets its holder set the bank account that donations are paid out to, so only a member with a key is
// given one, and never an address that somebody can guess.
const (
	returnPath  = "/stripe/back"
	refreshPath = "/stripe/expired"
)

// storeTimeout bounds the writes that must happen even when the caller has gone away.
const storeTimeout = 5 * time.Second

// onboarding is the making of a collective's account.
type onboarding struct {
	id      uuid.UUID
	attempt int
	account string
}

// StartOnboarding gives a collective a Standard account of its own at Stripe, unless it has one, and returns a
// link into its onboarding, which one person can follow once, for some minutes. Another request returns another
// link; the same one the same. The account is made once, whatever is repeated within the day for which Stripe
// remembers; who asks for the first time again after a lost answer and a day leaves an empty account behind. Members and
// the operator are told of the link.
//
//   - NOT_FOUND: no such collective
//   - FAILED_PRECONDITION: STRIPE_ACCOUNT_IN_USE, donations went to the platform's own account, and cannot change it
//     any more; STRIPE_ACCOUNT_DISCONNECTED, it must be connected again first; STRIPE_CONNECT_REFUSED, Stripe
//     makes no account or no link: the platform is not set up for Connect, or does not control the account
//   - UNAVAILABLE: STRIPE_UNAVAILABLE; the same request continues
func (s *Service) StartOnboarding(ctx context.Context, id string, requestID uuid.UUID) (stripe.AccountLink, error) {
	k, err := s.connection(ctx, id)
	if err != nil {
		return stripe.AccountLink{}, err
	}
	if !k.Connected {
		return stripe.AccountLink{}, Disconnected(id)
	}
	if k.Account == "" {
		if k.Account, err = s.openAccount(ctx, id); err != nil {
			// Of two at once the other may have finished, and a donation been made to the account since.
			is, readErr := s.connection(ctx, id)
			if readErr != nil || is.Account == "" {
				return stripe.AccountLink{}, err
			}
			k.Account = is.Account
		}
	}
	if err := s.tellOnboarding(ctx, id, k.Account, requestID); err != nil {
		return stripe.AccountLink{}, err
	}
	link, err := s.cfg.Stripe.CreateAccountLink(ctx, requestID, k.Account, s.cfg.PublicURL+refreshPath, s.cfg.PublicURL+returnPath)
	return link, connectError(err)
}

// checkOwnAccount is FAILED_PRECONDITION (ACCOUNT_SHARED) for a collective whose account is another's too.
func (s *Service) checkOwnAccount(ctx context.Context, id string) error {
	k, err := s.connection(ctx, id)
	if err != nil || k.Account == "" {
		return err
	}
	owner, err := s.cfg.Collectives.SoleOwner(ctx, k.Account)
	if err != nil || owner == id {
		return err
	}
	return errs.New(errorsv1.ErrorReason_ACCOUNT_SHARED, "The Stripe account of %s is not its alone; the operator opens it.", name(id))
}

// connectError says what a caller can do about a refusal.
func connectError(err error) error {
	if k := stripe.KindOf(err); k != stripe.Refused && k != stripe.Missing {
		return err
	}
	refused := errs.New(errorsv1.ErrorReason_STRIPE_CONNECT_REFUSED,
		"Stripe refuses: the platform must be set up for Connect, and the account be made by it.")
	refused.Cause = err
	return refused
}

// openAccount makes the collective's account at Stripe, once, and makes it the collective's.
func (s *Service) openAccount(ctx context.Context, id string) (account string, err error) {
	o, err := s.beginOnboarding(ctx, id)
	if err != nil {
		return "", err
	}
	began := s.nowMicros()
	var a stripe.Account
	if o.account == "" {
		a, err = s.cfg.Stripe.CreateAccount(ctx, o.id, o.attempt, id)
		// The outcome is stored whether or not the caller is still there.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
		defer cancel()
		if err != nil {
			return "", errors.Join(connectError(err), s.leaveAttempt(ctx, id, o, stripe.KindOf(err)))
		}
		if o.account, err = s.storeAccount(ctx, id, a.ID); err != nil {
			return "", err
		}
	}
	// The account was made by an earlier request, or a concurrent one, so its state is read.
	if a.ID != o.account {
		if a, err = s.cfg.Stripe.GetAccount(ctx, o.account); err != nil {
			return "", connectError(err)
		}
	}
	// Before it is the collective's, so that no donation is taken for an account that takes no payments yet.
	// So the owner's scope does not have it.
	err = postgres.InTx(postgres.WithScope(ctx, postgres.AllScope()), s.cfg.Pool,
		func(ctx context.Context, tx pgx.Tx) error { return s.keepAccountTx(ctx, tx, a, began) })
	if err != nil {
		return "", err
	}
	// The entry of the audit log is that of the link, before which StartOnboarding answers nothing.
	c, err := s.cfg.Collectives.Update(audit.PartOf(ctx), id, "", func(c *collectives.Collective) error {
		// Of two at once, and of an operator meanwhile, the first decides.
		if c.StripeAccount == "" {
			c.StripeAccount = o.account
		}
		return nil
	})
	return c.StripeAccount, err
}

// insertOnboardingSQL stores the intent, unless there is one or the account is in use. A missing collective adds no
// row.
const insertOnboardingSQL = `
INSERT INTO connect.onboardings (
	collective,
	id,
	created_at
)
SELECT
	c.id,
	@id,
	@now
FROM collectives.collectives AS c
WHERE c.id = @collective
	AND NOT c.account_in_use
ON CONFLICT (collective) DO NOTHING`

// onboardingSQL reads the intent, and no row once a donation was made to the collective's account.
const onboardingSQL = `
SELECT
	o.id,
	o.attempt,
	o.stripe_account
FROM connect.onboardings AS o
JOIN collectives.collectives AS c ON c.id = o.collective
WHERE o.collective = @collective
	AND NOT c.account_in_use`

// beginOnboarding stores the intent before Stripe is called, so that whoever continues it uses the same key.
func (s *Service) beginOnboarding(ctx context.Context, id string) (o onboarding, err error) {
	_, err = s.cfg.Pool.Exec(ctx, insertOnboardingSQL, pgx.NamedArgs{"collective": id, "id": uuid.Must(uuid.NewV7()), "now": s.nowMicros()})
	if err != nil {
		return onboarding{}, postgres.Error(err)
	}
	return s.onboarding(ctx, id)
}

// onboarding reads it while the collective's account may still change.
func (s *Service) onboarding(ctx context.Context, id string) (o onboarding, err error) {
	err = s.cfg.Pool.QueryRow(ctx, onboardingSQL, pgx.NamedArgs{"collective": id}).Scan(&o.id, &o.attempt, &o.account)
	if errors.Is(err, pgx.ErrNoRows) {
		return onboarding{}, errs.New(errorsv1.ErrorReason_STRIPE_ACCOUNT_IN_USE,
			"Donations were made to the Stripe account of %s; it cannot change any more.", name(id))
	}
	return o, postgres.Error(err)
}

// leaveAttemptSQL begins the attempt after the given one. Of two requests that saw the same failure one changes the
// row.
const leaveAttemptSQL = `
UPDATE connect.onboardings AS o
SET attempt = @attempt + 1
WHERE o.collective = @collective
	AND o.attempt = @attempt
	AND o.stripe_account = ''`

// leaveAttempt makes the next try another one where Stripe would repeat its answer under the same key.
func (s *Service) leaveAttempt(ctx context.Context, id string, o onboarding, kind stripe.Kind) error {
	if kind != stripe.Failed && kind != stripe.Refused && kind != stripe.Missing {
		return nil
	}
	_, err := s.cfg.Pool.Exec(ctx, leaveAttemptSQL, pgx.NamedArgs{"collective": id, "attempt": o.attempt})
	return postgres.Error(err)
}

// storeAccountSQL stores the account once. The trigger onboardings_keep refuses another one.
const storeAccountSQL = `
UPDATE connect.onboardings AS o
SET stripe_account = @account
WHERE o.collective = @collective
	AND o.stripe_account = ''`

// storeAccount stores the account and returns the stored one: a concurrent request may have been first.
func (s *Service) storeAccount(ctx context.Context, id, account string) (string, error) {
	_, err := s.cfg.Pool.Exec(ctx, storeAccountSQL, pgx.NamedArgs{"collective": id, "account": account})
	if err != nil {
		return "", postgres.Error(err)
	}
	o, err := s.onboarding(ctx, id)
	return o.account, err
}

// tellOnboarding tells of a link into Stripe's onboarding before it is given out. Stripe gives the same link for the same
// request for a day at least, and later another: so that is told again.
func (s *Service) tellOnboarding(ctx context.Context, id, account string, requestID uuid.UUID) error {
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		told, err := s.cfg.Notices.TellChangeOnceTx(ctx, tx, notices.Notice{
			Collective: id, Kind: notices.OnboardingStarted, Key: requestID.String() + ":" + s.cfg.Now().UTC().Format(time.DateOnly), Subject: account,
		}, "", "")
		if err != nil || !told {
			return err
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: id, Resource: name(id) + "/connection", After: audit.Fields{"stripe_account": account},
		})
	})
}
