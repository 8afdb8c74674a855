package bank

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// stripeMoved books what webhooks book of Stripe's balance, with transit at the other side, and returns its id.
func (s *env) stripeMoved(t *testing.T, reference, kind string, minor int64, at time.Time) (id int64) {
	t.Helper()
	if err := postgres.InTx(t.Context(), s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		book, err := s.cfg.Collectives.MarkInUseTx(ctx, tx, vallon.Collective)
		if err != nil {
			return err
		}
		if err := s.cfg.Ledger.EnsureBookTx(ctx, tx, book); err != nil {
			return err
		}
		if _, err := s.cfg.Ledger.PostTx(ctx, tx, book, []ledger.Transaction{{
			Reference: reference, Kind: kind, Effective: at, Entries: []ledger.Entry{
				{Role: ledger.RoleStripeBalance, Amount: eur(minor), Collective: vallon.Collective},
				{Role: ledger.RoleTransit, Amount: eur(-minor), Collective: vallon.Collective},
			},
		}}); err != nil {
			return err
		}
		m, err := s.cfg.Ledger.RoleMovementTx(ctx, tx, book, vallon.Collective, ledger.RoleTransit, 0, reference)
		id = m.TransactionID
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestATopUpIsBookedAtTheBankByItsLine(t *testing.T) {
	s, _ := open(t)
	day := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	topUp := s.stripeMoved(t, "txn_topup", ledger.KindTopUp, 100_00, day.AddDate(0, 0, 3))
	back := s.stripeMoved(t, "txn_back", ledger.KindTopUp, -30_00, day.AddDate(0, 0, -3))
	held := s.stripeMoved(t, "txn_hold", ledger.KindOther, 77_00, day)
	s.read(t, "02/03/2026;VIR STRIPE;100,00;", "02/03/2026;STRIPE;;30,00", "02/03/2026;VIR;77,00;")
	stands := func(bank, transit int64) {
		t.Helper()
		if got := [2]int64{s.balance(t, "51211"), s.balance(t, "580")}; got != [2]int64{bank, transit} {
			t.Errorf("bank and transit are %v, want %v", got, [2]int64{bank, transit})
		}
	}
	const others = -77_00 // of what is no top-up
	stands(0, -100_00+30_00+others)
	for minor, want := range map[int64]int64{-100_00: topUp, 30_00: back, -77_00: 0} {
		if l := s.line(t, minor); l.Transaction != want || (l.State == LineSuggested) != (want != 0) {
			t.Errorf("the line of %d is %v of %d, want %d", minor, l.State, l.Transaction, want)
		}
	}
	match := func(minor, transaction int64) error {
		_, err := s.MatchLine(t.Context(), ask(), vallon.Collective, s.line(t, minor).ID, Target{Kind: TargetTransaction, Transaction: transaction})
		return err
	}
	for rule, c := range map[string]struct {
		minor, transaction int64
		reason             errs.Reason
	}{
		"another amount":                {30_00, topUp, errorsv1.ErrorReason_BANK_LINE_DIFFERS},
		"money that is only held":       {-77_00, held, errorsv1.ErrorReason_INVALID_FIELD},
		"a transaction that is no such": {-77_00, 1 << 40, errorsv1.ErrorReason_INVALID_FIELD},
	} {
		if err := match(c.minor, c.transaction); errs.As(err).Reason != c.reason {
			t.Errorf("%s: %v", rule, err)
		}
	}
	if err := match(-100_00, topUp); err != nil {
		t.Fatal(err)
	}
	if err := match(30_00, back); err != nil {
		t.Fatal(err)
	}
	stands(-70_00, others)
	if l := s.line(t, -100_00); l.State != LineMatched || l.Target != TargetTransaction || l.Transaction == topUp {
		t.Errorf("the line is %+v", l)
	}
	t.Run("once", func(t *testing.T) {
		s.read(t, "04/03/2026;VIR STRIPE;100,00;", "04/03/2026;AUTRE;5,00;")
		lines, err := s.Lines(t.Context(), vallon.Collective, LineFilter{State: LineUnmatched}, newest, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			if l.Amount.Minor != -100_00 {
				continue
			}
			_, err := s.MatchLine(t.Context(), ask(), vallon.Collective, l.ID, Target{Kind: TargetTransaction, Transaction: topUp})
			if errs.As(err).Reason != errorsv1.ErrorReason_BANK_LINE_DIFFERS {
				t.Errorf("a second line: %v", err)
			}
			if _, err := s.IgnoreLine(t.Context(), ask(), vallon.Collective, l.ID, "twice"); err != nil {
				t.Error(err)
			}
		}
		stands(-70_00, others)
	})
	t.Run("and taken back", func(t *testing.T) {
		l := s.line(t, 30_00)
		if _, err := s.UnmatchLine(t.Context(), ask(), vallon.Collective, l.ID, "another's", time.Time{}); err != nil {
			t.Fatal(err)
		}
		stands(-100_00, 30_00+others)
		if err := match(30_00, back); err != nil {
			t.Fatal(err)
		}
		stands(-70_00, others)
	})
}
