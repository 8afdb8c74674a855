package ledger_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	book      = "acct_vallon"
	vallon    = "vallon-contre-cameras"
	marseille = "technopolice-marseille"
	lawyer    = "avocate"
)

// day is some time on a day of 2026.
func day(n int) time.Time { return time.Date(2026, 1, n, 10, 30, 0, 0, time.UTC) }

// open returns a service with the book made.
func open(t testing.TB) (*ledger.Service, *pgxpool.Pool) {
	t.Helper()
	pool := pgtest.New(t)
	s := ledger.New(ledger.Config{Pool: pool})
	ensure(t, s, pool, book)
	return s, pool
}

func ensure(t testing.TB, s *ledger.Service, pool *pgxpool.Pool, book string) {
	t.Helper()
	if err := postgres.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
		return s.EnsureBookTx(ctx, tx, book)
	}); err != nil {
		t.Fatal(err)
	}
}

// post commits one batch.
func post(ctx context.Context, s *ledger.Service, pool *pgxpool.Pool, txs ...ledger.Transaction) (posted []bool, err error) {
	err = postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
		posted, err = s.PostTx(ctx, tx, book, txs)
		return err
	})
	return posted, err
}

func mustPost(t testing.TB, s *ledger.Service, pool *pgxpool.Pool, txs ...ledger.Transaction) []bool {
	t.Helper()
	posted, err := post(t.Context(), s, pool, txs...)
	if err != nil {
		t.Fatal(err)
	}
	return posted
}

func eur(minor int64) money.Amount { return money.Amount{Minor: minor, Currency: money.EUR} }

// donation is a donation of some cents to Vallon's lawyer, with a fee of 30.
func donation(reference string, at time.Time, cents int64) ledger.Transaction {
	id := uuid.NewSHA1(uuid.Nil, []byte(reference))
	entry := func(role ledger.AccountRole, minor int64) ledger.Entry {
		return ledger.Entry{Role: role, Amount: eur(minor), Collective: vallon, Campaign: lawyer, Donation: id}
	}
	return ledger.Transaction{Reference: reference, Kind: ledger.KindDonation, Effective: at, Entries: []ledger.Entry{
		entry(ledger.RoleStripeBalance, cents),
		entry(ledger.RoleDonations, -cents),
		entry(ledger.RoleStripeFees, 30),
		entry(ledger.RoleStripeBalance, -30),
	}}
}
