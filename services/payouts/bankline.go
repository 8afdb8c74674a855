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

// settle decides whose money a payout is and posts its line at the bank when it is paid, or takes the line back
// when it has failed since. What it needs, it waits for: that the payout's own transactions are in the books, and,
// where the account has several collectives, what is inside. settled is true when nothing is left to post now.
func (s *Service) settle(ctx context.Context, p *Payout) (settled bool, err error) {
	moves, err := s.cfg.Ledger.Moves(ctx, p.Account, []string{
		p.Transaction, p.FailureTransaction, BankReference(p.ID), ReturnReference(p.ID),
	}, "")
	if err != nil {
		return false, err
	}
	of := func(reference string) *ledger.Move {
		for i := range moves {
			if moves[i].Reference == reference && reference != "" {
				return &moves[i]
			}
		}
		return nil
	}
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
	case p.State == stripe.PayoutPaid && (!atBank || p.BankTime.IsZero()):
		return true, s.noteBankLine(ctx, *p, shares, s.postBankLine(ctx, p, *own, shares))
	case p.State == stripe.PayoutFailed && atBank && of(ReturnReference(p.ID)) == nil:
		failure := of(p.FailureTransaction)
		if failure == nil {
			return false, nil
		}
		return true, s.noteBankLine(ctx, *p, shares, s.reverseBankLine(ctx, p, failure.Effective))
	}
	return true, s.saveShares(ctx, *p, shares)
}

// noteBankLine tells those who wait for a line at the bank, unless err is why there is none.
func (s *Service) noteBankLine(ctx context.Context, p Payout, shares []share, err error) error {
	if err != nil || s.cfg.Banked == nil {
		return err
	}
	for _, part := range shares {
		if part.collective == "" {
			continue
		}
		if err := s.cfg.Banked(ctx, part.collective); err != nil {
			s.cfg.Logger.WarnContext(ctx, "nobody looked for a payout in the bank statements", "payout", p.ID, "collective", part.collective, "error", err)
		}
	}
	return nil
}

// bankLine is the transaction by which a payout reaches the bank. Whoever has the payout's own transaction, often
// nobody, has it in transit; a collective with a share takes that out of its own balance at Stripe, which gives it
// back to whoever the whole was taken from. So each share balances, and transit returns to zero.
func bankLine(p Payout, own ledger.Move, shares []share) ledger.Transaction {
	t := ledger.Transaction{Reference: BankReference(p.ID), Kind: ledger.KindPayout}
	entry := func(collective string, role ledger.AccountRole, minor int64) {
		if minor != 0 {
			t.Entries = append(t.Entries, ledger.Entry{
				Collective: collective, Role: role, Amount: money.Amount{Minor: minor, Currency: own.Currency},
			})
		}
	}
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

const noteBankedSQL = `
UPDATE payouts.payouts AS p
SET banked_at = coalesce(p.banked_at, statement_timestamp())
WHERE p.account = @account
	AND p.id = @payout`

// arrivalOf is when a payout is at the bank: Stripe says a day of the calendar and no time, so it is that day for all whose
// money it is, wherever they are. It is the first moment that is in that day for each of them.
func (s *Service) arrivalOf(ctx context.Context, p Payout, own ledger.Move, shares []share) (time.Time, error) {
	var at time.Time
	day := calendar.DayOf(p.Arrival, time.UTC)
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

// postBankLine posts a paid payout's line. Where the period of its arrival is closed, it is dated when the open one begins.
// One that has failed meanwhile has none, and is still due.
func (s *Service) postBankLine(ctx context.Context, p *Payout, own ledger.Move, shares []share) error {
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
			if err := tx.QueryRow(ctx, lockPayoutSQL, args).Scan(&state, &listable); err != nil || state != stripe.PayoutPaid {
				return postgres.Error(err)
			}
			kept, err := s.saveSharesTx(ctx, tx, *p, shares)
			if err != nil {
				return err
			}
			line = bankLine(*p, own, kept)
			line.Effective = effective
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
		// Another job posted it just now, with its period open.
		_, err := s.cfg.Pool.Exec(ctx, noteBankedSQL, pgx.NamedArgs{"account": p.Account, "payout": p.ID})
		return postgres.Error(err)
	}
	return err
}

// takeBack reverses the line of a payout that failed after it was paid, when its money came back, or as soon after
// as the books are open.
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
		err = reverse(time.Time{})
	}
	if err != nil && (errs.As(err).Reason == errorsv1.ErrorReason_NOTHING_TO_REVERSE || errs.As(err).Reason == errorsv1.ErrorReason_REFERENCE_REUSED) {
		// A treasurer, or another job, did it before.
		s.cfg.Logger.WarnContext(ctx, "a failed payout's line was taken back already", "account", p.Account, "payout", p.ID, "error", err)
		return nil
	}
	return err
}
