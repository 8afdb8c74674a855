package payouts

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/notices"
)

// maxFindings bounds the findings of one payout.
const maxFindings = 100

// comparison is the result of comparing a payout with the books.
type comparison struct {
	findings []Finding
	// waiting: a content is not booked yet, which is no difference so far.
	waiting bool
}

// find adds a finding if the amounts differ, up to maxFindings of them.
func (c *comparison) find(problem Problem, transaction string, expected, found int64) {
	if expected != found && len(c.findings) < maxFindings {
		c.findings = append(c.findings, Finding{Problem: problem, Transaction: transaction, Expected: expected, Found: found})
	}
}

// reconcile compares a payout with its contents, and the contents with the books, to the cent. It stores new
// differences and resolves those that are gone. compared is false while something is not booked yet.
func (s *Service) reconcile(ctx context.Context, p Payout) (compared, differs bool, err error) {
	if !p.Automatic {
		return true, false, nil
	}
	if !p.contentsRead {
		return false, false, nil
	}
	c, err := s.compare(ctx, p)
	if err != nil || c.waiting {
		return false, false, err
	}
	return true, len(c.findings) > 0, s.saveFindings(ctx, p, c.findings)
}

// compare compares a payout with the books in two parts: each of its contents, and its own balance transaction. All
// amounts are in minor units of the payout's currency.
func (s *Service) compare(ctx context.Context, p Payout) (c comparison, err error) {
	// What is not booked yet is a difference only after this time.
	overdue := s.now().Sub(p.Arrival) > missingAfter
	sum := int64(0)
	// If Stripe does not list the payout's own transaction, it counts as the negative amount without a fee.
	own := content{transaction: p.Transaction, net: -p.Amount.Minor}
	// By pages, so that a payout of many contents does not have to be in memory.
	for after := ""; ; {
		page, err := s.contents(ctx, p.Account, p.ID, after, "", contentsCount)
		if err != nil {
			return c, err
		}
		for _, inside := range page {
			if inside.transaction == p.Transaction {
				own = inside
			}
		}
		pairs, err := s.booked(ctx, p, page, "")
		if err != nil {
			return c, err
		}
		for _, b := range pairs {
			sum += b.net
			net, fee := b.sums()
			switch {
			case len(b.moves) > 0:
				c.find(ProblemAmount, b.transaction, b.net, net)
				// A transaction that is a fee itself has no fee at Stripe.
				if b.moves[0].Kind != ledger.KindFee {
					c.find(ProblemFee, b.transaction, b.fee, fee)
				}
			// A transaction of zero is not booked, and is not missing.
			case b.empty():
			case overdue:
				c.find(ProblemMissing, b.transaction, b.net, 0)
			default:
				c.waiting = true
			}
		}
		if len(page) < contentsCount {
			break
		}
		after = page[len(page)-1].transaction
	}
	// A fee of the payout itself is not part of its amount. Stripe takes it from the contents or from the balance.
	if sum != p.Amount.Minor+own.fee {
		c.find(ProblemSum, "", p.Amount.Minor, sum)
	}
	moved := own.net + own.fee
	c.find(ProblemOwn, p.Transaction, -p.Amount.Minor, moved)
	moves, err := s.cfg.Ledger.MoneyMovements(ctx, p.Account, []string{p.Transaction}, "")
	switch {
	case err != nil:
	case len(moves) > 0:
		var net, fee int64
		for _, m := range moves {
			net, fee = net+m.Balance, fee+m.Fees
		}
		// Only if Stripe's own amounts agree, because a problem and a transaction have one finding together.
		if moved == -p.Amount.Minor {
			c.find(ProblemOwn, p.Transaction, own.net, net)
		}
		c.find(ProblemFee, p.Transaction, own.fee, fee)
	case overdue:
		c.find(ProblemMissing, p.Transaction, own.net, 0)
	default:
		c.waiting = true
	}
	return c, err
}

// resolveFindingsSQL resolves the open findings that this comparison did not find again. findings_open_idx serves it.
const resolveFindingsSQL = `
UPDATE payouts.findings AS f
SET resolved_at = statement_timestamp()
WHERE f.account = @account
	AND f.payout = @payout
	AND f.resolved_at IS NULL
	AND NOT EXISTS (
		SELECT
		FROM unnest(
			@problems::text[],
			@transactions::text[]
		) AS u (problem, transaction)
		WHERE u.problem = f.problem
			AND u.transaction = f.transaction
	)`

// Returns the findings that are new or changed. A finding that is open and the same does not change, and so is not
// notified again. One that was resolved is open again from now on.
const saveFindingsSQL = `
INSERT INTO payouts.findings AS f (
	account,
	payout,
	problem,
	transaction,
	expected_minor,
	found_minor
)
SELECT
	@account,
	@payout,
	u.problem,
	u.transaction,
	u.expected_minor,
	u.found_minor
FROM unnest(
	@problems::text[],
	@transactions::text[],
	@expected::bigint[],
	@found::bigint[]
) AS u (problem, transaction, expected_minor, found_minor)
ORDER BY
	u.problem,
	u.transaction
ON CONFLICT (account, payout, problem, transaction) DO UPDATE
SET
	expected_minor = excluded.expected_minor,
	found_minor = excluded.found_minor,
	found_at = CASE WHEN f.resolved_at IS NULL THEN f.found_at ELSE statement_timestamp() END,
	resolved_at = NULL
WHERE f.resolved_at IS NOT NULL
	OR (f.expected_minor, f.found_minor) <> (excluded.expected_minor, excluded.found_minor)
RETURNING
	f.problem,
	f.transaction,
	f.found_minor - f.expected_minor,
	f.found_at`

// noteReconciledSQL sets the time of the last complete comparison.
const noteReconciledSQL = `
UPDATE payouts.payouts AS p
SET reconciled_at = statement_timestamp()
WHERE p.account = @account
	AND p.id = @payout`

// inQuestion returns the transactions of findings, each once.
func inQuestion(findings []Finding) []string {
	named := []string{}
	for _, f := range findings {
		if f.Transaction != "" && !slices.Contains(named, f.Transaction) {
			named = append(named, f.Transaction)
		}
	}
	return named
}

// saveFindings stores the findings, and notifies of new ones with one notice that names the payout.
func (s *Service) saveFindings(ctx context.Context, p Payout, findings []Finding) error {
	owner, err := s.cfg.Collectives.SoleOwner(ctx, p.Account)
	if err != nil {
		return err
	}
	problems, transactions, expected, found := []string{}, []string{}, []int64{}, []int64{}
	for _, f := range findings {
		problems, transactions = append(problems, string(f.Problem)), append(transactions, f.Transaction)
		expected, found = append(expected, f.Expected), append(found, f.Found)
	}
	args := pgx.NamedArgs{
		"account": p.Account, "payout": p.ID,
		"problems": problems, "transactions": transactions, "expected": expected, "found": found,
	}
	var fresh []Finding
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		// InTx may run this function more than once.
		fresh = nil
		if _, err := tx.Exec(ctx, resolveFindingsSQL, args); err != nil {
			return postgres.Error(err)
		}
		// Without findings there is only something to resolve.
		if len(findings) > 0 {
			rows, err := tx.Query(ctx, saveFindingsSQL, args)
			if err != nil {
				return postgres.Error(err)
			}
			if fresh, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (f Finding, err error) {
				return f, row.Scan(&f.Problem, &f.Transaction, &f.Found, &f.Time)
			}); err != nil {
				return postgres.Error(err)
			}
		}
		if _, err := tx.Exec(ctx, noteReconciledSQL, args); err != nil || len(fresh) == 0 {
			return postgres.Error(err)
		}
		return s.tellTx(ctx, tx, p.Account, owner, p.ID, notices.Notice{
			Kind: notices.PayoutDifference,
			// The key has the time, so that a difference that comes back is notified again.
			Key:    strings.Join([]string{p.ID, string(fresh[0].Problem), fresh[0].Transaction, fresh[0].Time.UTC().Format(time.RFC3339Nano)}, " "),
			Amount: money.Amount{Minor: fresh[0].Found, Currency: p.Amount.Currency}, Transactions: inQuestion(fresh),
		})
	})
	if err != nil {
		return err
	}
	for _, f := range fresh {
		s.cfg.Logger.ErrorContext(ctx, "a payout differs from the books",
			"account", p.Account, "payout", p.ID, "problem", f.Problem, "balance_transaction", f.Transaction, "difference_minor", f.Found)
	}
	return nil
}

// Reconciliation says whether the books have a payout's contents to the cent.
type Reconciliation int

// The states of a reconciliation.
const (
	// ReconciliationPending: Stripe has not told the contents yet, or not all of them are booked.
	ReconciliationPending Reconciliation = iota + 1
	// ReconciliationMatched: everything is equal.
	ReconciliationMatched
	// ReconciliationDiffers: there are findings.
	ReconciliationDiffers
	// ReconciliationNotApplicable: the contents are unknown, because the payout was made manually.
	ReconciliationNotApplicable
)

// Problem is the kind of a difference.
type Problem string

// The problems. Expected is what Stripe says, Found what is in the books.
const (
	// ProblemSum: the contents do not sum to the payout. Found is their sum.
	ProblemSum Problem = "sum"
	// ProblemOwn: the payout's own balance transaction is booked with another amount.
	ProblemOwn Problem = "own"
	// ProblemAmount: a balance transaction is booked with another net amount.
	ProblemAmount Problem = "amount"
	// ProblemFee: a balance transaction is booked with another fee.
	ProblemFee Problem = "fee"
	// ProblemMissing: a balance transaction is not in the books, days after the arrival.
	ProblemMissing Problem = "missing"
)

// Finding is a difference between a payout and the books, in minor units of the payout's currency.
type Finding struct {
	Problem Problem
	// Transaction is the balance transaction in question; empty when it is the payout as a whole.
	Transaction     string
	Expected, Found int64
	// Time is when it was first found.
	Time time.Time
}

// openFindingsSQL returns the open findings of a payout, the oldest first.
const openFindingsSQL = `
SELECT
	f.problem,
	f.transaction,
	f.expected_minor,
	f.found_minor,
	f.found_at
FROM payouts.findings AS f
WHERE f.account = @account
	AND f.payout = @payout
	AND f.resolved_at IS NULL
ORDER BY
	f.found_at,
	f.problem,
	f.transaction`

func (s *Service) findings(ctx context.Context, p Payout) ([]Finding, error) {
	rows, err := s.cfg.Pool.Query(ctx, openFindingsSQL, pgx.NamedArgs{"account": p.Account, "payout": p.ID})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f Finding, err error) {
		return f, row.Scan(&f.Problem, &f.Transaction, &f.Expected, &f.Found, &f.Time)
	})
	return found, postgres.Error(err)
}
