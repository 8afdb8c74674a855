package connect

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/notices"
)

// Connection is what is known of a collective's account at Stripe.
type Connection struct {
	// Collective is the collective's id; Account the account's, empty for the platform's own, of which the rest
	// is not known.
	Collective, Account string
	// Connected is false after the account was disconnected from the platform.
	Connected bool
	// Read is false while Stripe has not told anything else.
	Read bool
	// ChargesEnabled: it takes payments. PayoutsEnabled: its money can go to its bank. DetailsSubmitted: its
	// onboarding was finished once.
	ChargesEnabled, PayoutsEnabled, DetailsSubmitted bool
	// RequirementsDue are the codes of what Stripe wants to know; Deadline is until when, zero for no limit.
	RequirementsDue []string
	Deadline        time.Time
	// DisabledReason is why something is not enabled; may be empty.
	DisabledReason string
	// ReadTime is when Stripe told; zero when never.
	ReadTime time.Time
}

// setConnectedSQL answers a row when something changed.
const setConnectedSQL = `
WITH before AS (
	SELECT b.connected
	FROM connect.connections AS b
	WHERE b.stripe_account = @account
)
INSERT INTO connect.connections AS k (
	stripe_account,
	connected,
	changed_at
)
VALUES (
	@account,
	@connected,
	@at
)
ON CONFLICT (stripe_account) DO UPDATE
SET
	connected = excluded.connected,
	changed_at = excluded.changed_at
WHERE k.changed_at < excluded.changed_at
RETURNING coalesce((SELECT connected FROM before), true)`

// SetConnectedTx notes that a connected account was disconnected from the platform, or connected
// again, at a time by Stripe's clock, and tells members of a disconnection. What is older than what is known
// changes nothing, so it is safe to repeat and in any order.
func (s *Service) SetConnectedTx(ctx context.Context, tx pgx.Tx, account string, connected bool, at time.Time) error {
	var before bool
	err := tx.QueryRow(ctx, setConnectedSQL, pgx.NamedArgs{"account": account, "connected": connected, "at": at}).Scan(&before)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	// Members get no notice of a connection, nor of a disconnection that was known.
	if err != nil || connected || !before {
		return postgres.Error(err)
	}
	return s.tellAccountTx(ctx, tx, account, notices.Notice{
		Kind: notices.StripeDisconnected, Key: account + ":" + at.UTC().Format(time.RFC3339), Subject: account,
	})
}

// accountCollectivesSQL returns the collectives of an account, by collectives_stripe_account_idx. Several can share
// one.
const accountCollectivesSQL = `
SELECT c.id
FROM collectives.collectives AS c
WHERE c.stripe_account = @account
ORDER BY c.id`

// tellAccountTx tells the members of every collective of an account.
func (s *Service) tellAccountTx(ctx context.Context, tx pgx.Tx, account string, n notices.Notice) error {
	rows, err := tx.Query(ctx, accountCollectivesSQL, pgx.NamedArgs{"account": account})
	if err != nil {
		return postgres.Error(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return postgres.Error(err)
	}
	for _, n.Collective = range ids {
		if err := s.cfg.Notices.TellTx(ctx, tx, n); err != nil {
			return err
		}
	}
	return nil
}

// connectionsSQL returns the accounts of collectives and what Stripe said about them. The platform's own account has no row in
// connect.connections, so it counts as connected; what was never read is NULL.
const connectionsSQL = `
SELECT
	c.id,
	c.stripe_account,
	c.own_account_required,
	coalesce(k.connected, true),
	k.charges_enabled,
	k.payouts_enabled,
	k.details_submitted,
	coalesce(k.requirements_due, '{}'),
	k.requirements_deadline,
	coalesce(k.disabled_reason, ''),
	CASE WHEN k.read_at > '-infinity' THEN k.read_at END
FROM collectives.collectives AS c
LEFT JOIN connect.connections AS k ON k.stripe_account = c.stripe_account
WHERE c.id = ANY (@ids)
ORDER BY c.id`

// stored is what the database has of a collective's account.
type stored struct {
	Connection
	// ownRequired says that the platform's account will not do.
	ownRequired bool
}

// takesDonations reports whether Stripe takes payments of the collective now; see [Service.CheckTakesDonations].
func (k stored) takesDonations() bool {
	return k.Connected && (!k.Read || k.ChargesEnabled) && (!k.ownRequired || k.Account != "")
}

// connections returns what is stored of collectives; those that are missing are left out.
func (s *Service) connections(ctx context.Context, ids []string) ([]stored, error) {
	rows, err := s.cfg.Pool.Query(ctx, connectionsSQL, pgx.NamedArgs{"ids": ids})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scanConnection)
	return found, postgres.Error(err)
}

func scanConnection(row pgx.CollectableRow) (k stored, err error) {
	var charges, payouts, details *bool
	var deadline, read *time.Time
	err = row.Scan(&k.Collective, &k.Account, &k.ownRequired, &k.Connected,
		&charges, &payouts, &details, &k.RequirementsDue, &deadline, &k.DisabledReason, &read)
	if err != nil {
		return stored{}, err
	}
	if read != nil {
		k.Read, k.ReadTime = true, read.UTC()
		k.ChargesEnabled, k.PayoutsEnabled, k.DetailsSubmitted = *charges, *payouts, *details
	}
	if deadline != nil {
		k.Deadline = deadline.UTC()
	}
	return k, nil
}

// connection returns what is stored of one collective. NOT_FOUND when it is missing.
func (s *Service) connection(ctx context.Context, id string) (stored, error) {
	found, err := s.connections(ctx, []string{id})
	if err == nil && len(found) == 0 {
		err = errs.NotFound(name(id))
	}
	if err != nil {
		return stored{}, err
	}
	return found[0], nil
}

// Disconnected is the FAILED_PRECONDITION (STRIPE_ACCOUNT_DISCONNECTED) of a collective whose account cannot be
// called any more.
func Disconnected(id string) error {
	return errs.New(errorsv1.ErrorReason_STRIPE_ACCOUNT_DISCONNECTED, "The Stripe account of %s is not connected any more.", name(id))
}

// CheckConnected is an error for a collective about whose account Stripe can be told and asked nothing: Disconnected,
// or NOT_FOUND when it is not there. It is not about papers that Stripe still wants: donations are given back, and monthly
// donations ended, all the same.
func (s *Service) CheckConnected(ctx context.Context, id string) error {
	_, err := s.connected(ctx, id)
	return err
}

func (s *Service) connected(ctx context.Context, id string) (stored, error) {
	k, err := s.connection(ctx, id)
	if err == nil && !k.Connected {
		err = Disconnected(id)
	}
	return k, err
}

// CheckTakesDonations is CheckConnected, and FAILED_PRECONDITION (STRIPE_ACCOUNT_NOT_READY) for a collective for which Stripe
// takes no payments now, or that must have an account of its own and has none. An account of which Stripe has told
// nothing yet counts as ready: Stripe itself refuses the rest.
func (s *Service) CheckTakesDonations(ctx context.Context, id string) error {
	k, err := s.connected(ctx, id)
	if err == nil && !k.takesDonations() {
		err = collectives.NotReady(id)
	}
	return err
}

// TakingDonations returns those of the collectives for which CheckTakesDonations is no error, by one query.
func (s *Service) TakingDonations(ctx context.Context, ids []string) (map[string]bool, error) {
	found, err := s.connections(ctx, ids)
	if err != nil {
		return nil, err
	}
	taking := map[string]bool{}
	for _, k := range found {
		if k.takesDonations() {
			taking[k.Collective] = true
		}
	}
	return taking, nil
}
