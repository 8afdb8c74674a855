package payouts

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// settle decides the shares of a payout, and posts its line at the bank when it is paid, or reverses the line when it
// has failed since. It waits until the payout's own transactions are booked and, where the account has several
// collectives, its contents are known. settled means that nothing is left to post now.
func (s *Service) settle(ctx context.Context, p *Payout) (settled bool, err error) {
	// Whether something is posted is read from the books: its reference is there or not.
	moves, err := s.cfg.Ledger.MoneyMovements(ctx, p.Account, []string{
		p.Transaction, p.FailureTransaction, BankReference(p.ID), ReturnReference(p.ID),
	}, "")
	if err != nil {
		return false, err
	}
	of := func(reference string) *ledger.MoneyMovement {
		for i := range moves {
			if moves[i].Reference == reference && reference != "" {
				return &moves[i]
			}
		}
		return nil
	}
	// Nothing can leave transit before the payout's own transaction has moved it there.
	own := of(p.Transaction)
	if own == nil {
		return false, nil
	}
	shares, known, err := s.shares(ctx, *p, *own)
	if err != nil || !known {
		return false, err
	}
	atBank := of(BankReference(p.ID)) != nil
	switch {
	// Also when the line is posted and not noted on the payout: posting it again changes nothing.
	case p.State == stripe.PayoutPaid && (!atBank || p.BankTime.IsZero()):
		return true, s.noteBankLine(ctx, *p, shares, s.postBankLine(ctx, p, *own, shares))
	case p.State == stripe.PayoutFailed && atBank && of(ReturnReference(p.ID)) == nil:
		// The returned money is not booked yet. The reversal takes its date, so it waits.
		failure := of(p.FailureTransaction)
		if failure == nil {
			return false, nil
		}
		return true, s.noteBankLine(ctx, *p, shares, s.reverseBankLine(ctx, p, failure.Effective))
	}
	// Nothing is to be posted now. The shares are stored all the same, because they are decided once.
	return true, s.saveShares(ctx, *p, shares)
}

// noteBankLine calls Config.Banked for each collective with a share, unless err is not nil. Its failures are only
// logged, because the line is posted.
func (s *Service) noteBankLine(ctx context.Context, p Payout, shares []share, err error) error {
	if err != nil || s.cfg.Banked == nil {
		return err
	}
	for _, part := range shares {
		if part.collective == "" {
			continue
		}
		if err := s.cfg.Banked(ctx, part.collective); err != nil {
			s.cfg.Logger.WarnContext(ctx, "the search for a payout in the bank statements failed", "payout", p.ID, "collective", part.collective, "error", err)
		}
	}
	return nil
}

// bankLine is the ledger transaction by which a payout reaches the bank. The owner of the payout's own transaction,
// often none, has it in transit. A collective with a share takes it out of its own balance at Stripe, and that owner's
// balance is given back what was taken from it. So each collective balances, and transit returns to zero.
func bankLine(p Payout, own ledger.MoneyMovement, shares []share) ledger.Transaction {
	t := ledger.Transaction{Reference: BankReference(p.ID), Kind: ledger.KindPayout}
	entry := func(collective string, role ledger.AccountRole, minor int64) {
		if minor != 0 {
			t.Entries = append(t.Entries, ledger.Entry{
				Collective: collective, Role: role, Amount: money.Amount{Minor: minor, Currency: own.Currency},
			})
		}
	}
	// rest is what stays with the owner of the payout's own transaction, in minor units like all amounts here.
	rest := own.Transit
	for _, part := range shares {
		if part.collective == own.Collective {
			continue
		}
		rest -= part.minor
		entry(part.collective, ledger.RoleStripeBalance, -part.minor)
		entry(part.collective, ledger.RoleBank, part.minor)
	}
	entry(own.Collective, ledger.RoleTransit, -own.Transit)
	entry(own.Collective, ledger.RoleStripeBalance, own.Transit-rest)
	entry(own.Collective, ledger.RoleBank, rest)
	return t
}

// noteBankedSQL sets the time of the line at the bank once.
const noteBankedSQL = `
UPDATE payouts.payouts AS p
SET banked_at = coalesce(p.banked_at, statement_timestamp())
WHERE p.account = @account
	AND p.id = @payout`

// arrivalOf is the booking date of the line at the bank. Stripe tells a calendar day without a zone, and the line has
// one date for all collectives: the first instant at which that day has begun in every collective's zone.
func (s *Service) arrivalOf(ctx context.Context, p Payout, own ledger.MoneyMovement, shares []share) (time.Time, error) {
	var at time.Time
	day := calendar.DayOf(p.Arrival, time.UTC)
	// The owner of the payout's own transaction counts too, as its entries are part of the line.
	for _, part := range append([]share{{own.Collective, 0}}, shares...) {
		of := collectives.Collective{TimeZone: collectives.DefaultTimeZone} // the operator's days
		if part.collective != "" {
			var err error
			if of, err = s.cfg.Collectives.Get(ctx, part.collective); err != nil {
				return time.Time{}, err
			}
		}
		zone, err := of.Location()
		if err != nil {
			return time.Time{}, err
		}
		if start := day.Start(zone); start.After(at) {
			at = start
		}
	}
	return at, nil
}

// postBankLine posts the line of a paid payout. If the period of its arrival is closed, it is dated at the beginning of
// the open one. If the payout has failed meanwhile, nothing is posted and it stays due.
func (s *Service) postBankLine(ctx context.Context, p *Payout, own ledger.MoneyMovement, shares []share) error {
	var line ledger.Transaction
	effective, err := s.arrivalOf(ctx, *p, own, shares)
	if err != nil {
		return err
	}
	post := func() error {
		return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
			var state stripe.PayoutStatus
			var listable bool
			args := pgx.NamedArgs{"account": p.Account, "id": p.ID}
			// The lock makes this exclude storePayout: a failure that was stored since is seen here, or waits until the
			// line is posted.
			if err := tx.QueryRow(ctx, lockPayoutSQL, args).Scan(&state, &listable); err != nil || state != stripe.PayoutPaid {
				return postgres.Error(err)
			}
			// The line is divided by the stored shares, which another job may have decided first.
			saved, err := s.saveSharesTx(ctx, tx, *p, shares)
			if err != nil {
				return err
			}
			line = bankLine(*p, own, saved)
			line.Effective = effective
			// Shares of zero have no entries.
			if len(line.Entries) > 0 {
				if _, err := s.cfg.Ledger.PostTx(ctx, tx, p.Account, []ledger.Transaction{line}); err != nil {
					return err
				}
			}
			_, err = tx.Exec(ctx, noteBankedSQL, pgx.NamedArgs{"account": p.Account, "payout": p.ID})
			return postgres.Error(err)
		})
	}
	err = post()
	if err != nil && errs.As(err).Reason == errorsv1.ErrorReason_PERIOD_CLOSED {
		// The line has one date for all collectives: the latest beginning of their open periods.
		for _, e := range line.Entries {
			open, err := s.cfg.Ledger.ClosedUntil(ctx, p.Account, e.Collective)
			if err != nil {
				return err
			}
			if open.After(effective) {
				effective = open
			}
		}
		err = post()
	}
	if err != nil && errs.As(err).Reason == errorsv1.ErrorReason_REFERENCE_REUSED {
		// Another job posted it just now, while its period was open.
		_, err := s.cfg.Pool.Exec(ctx, noteBankedSQL, pgx.NamedArgs{"account": p.Account, "payout": p.ID})
		return postgres.Error(err)
	}
	return err
}

// reverseBankLine reverses the line of a payout that failed after it was paid, on the date of the returned money, or in
// the open period if that date is closed.
func (s *Service) reverseBankLine(ctx context.Context, p *Payout, at time.Time) error {
	reverse := func(at time.Time) error {
		return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
			_, err := s.cfg.Ledger.ReverseTx(ctx, tx, p.Account, ledger.Reversal{
				Original: BankReference(p.ID), Reference: ReturnReference(p.ID), Effective: at,
			})
			return err
		})
	}
	err := reverse(at)
	if err != nil && errs.As(err).Reason == errorsv1.ErrorReason_PERIOD_CLOSED {
		// Without a date the ledger chooses: now, or the first instant of the open period.
		err = reverse(time.Time{})
	}
	if err != nil && (errs.As(err).Reason == errorsv1.ErrorReason_NOTHING_TO_REVERSE || errs.As(err).Reason == errorsv1.ErrorReason_REFERENCE_REUSED) {
		// A treasurer or another job reversed it before.
		s.cfg.Logger.WarnContext(ctx, "a failed payout's line at the bank was already reversed", "account", p.Account, "payout", p.ID, "error", err)
		return nil
	}
	return err
}
