package payouts

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// Payout is money on its way from a Stripe account's balance to its bank account.
type Payout struct {
	// Account is the Stripe account; empty for the platform's own. ID is Stripe's, po_….
	Account, ID string
	// Amount is the whole payout's, negative when the bank was debited.
	Amount money.Amount
	// Share is the part that was asked for, the whole when nobody's was.
	Share money.Amount
	State stripe.PayoutStatus
	// Automatic: Stripe made it, and knows what is inside.
	Automatic bool
	// Arrival is the day on which the bank has it, at midnight UTC.
	Arrival, Created time.Time
	// Transaction is its own balance transaction, FailureTransaction the one by which it came back; empty: none.
	Transaction, FailureTransaction string
	// BankTime is when the bank's line was posted, ReconcileTime when all was last compared with the books; zero:
	// not yet.
	BankTime, ReconcileTime time.Time
	// Reconciliation is what the comparison said.
	Reconciliation Reconciliation
	// Findings are what differs now. Somebody who sees a share only is not told which transactions.
	Findings []Finding

	// listable: its contents can be listed at Stripe. contentsAfter is where the reading goes on; contentsRead:
	// it is whole.
	listable      bool
	contentsAfter string
	contentsRead  bool
	attempts      int
	// bankedAt and reconciledAt are NULL in the database when they have not come.
	bankedAt, reconciledAt *time.Time
}

// Reconciliation says whether a payout is, to the cent, what the books have of its content.
type Reconciliation int

// The states of a reconciliation.
const (
	// ReconciliationPending: Stripe has not told yet what is inside, or not all of it is in the books yet.
	ReconciliationPending Reconciliation = iota + 1
	// ReconciliationMatched: all is equal.
	ReconciliationMatched
	// ReconciliationDiffers: see the findings.
	ReconciliationDiffers
	// ReconciliationNotApplicable: nobody knows what is inside, since it was made by hand.
	ReconciliationNotApplicable
)

// Problem is a kind of difference.
type Problem string

// The problems. Each finding has what Stripe says as Expected and what stands in the books as Found.
const (
	// ProblemSum: what is inside does not sum to the payout. Found is the sum.
	ProblemSum Problem = "sum"
	// ProblemOwn: the payout's own balance transaction is booked with another amount.
	ProblemOwn Problem = "own"
	// ProblemAmount: a balance transaction is booked with another net amount.
	ProblemAmount Problem = "amount"
	// ProblemFee: a balance transaction is booked with another fee.
	ProblemFee Problem = "fee"
	// ProblemMissing: a balance transaction is not in the books, long after.
	ProblemMissing Problem = "missing"
)

// Finding is a difference between a payout and the books, in minor units of the payout's currency.
type Finding struct {
	Problem Problem
	// Transaction is the balance transaction in question; empty when it is the payout as a whole.
	Transaction     string
	Expected, Found int64
	// Time is when it was found first.
	Time time.Time
}

// LineKind is what a line of a payout's content is.
type LineKind string

// The kinds of lines; the first ones are those of the ledger's transactions.
const (
	LineDonation = LineKind(ledger.KindDonation)
	LineRefund   = LineKind(ledger.KindRefund)
	LineDispute  = LineKind(ledger.KindDispute)
	LineFee      = LineKind(ledger.KindFee)
	LineOther    = LineKind(ledger.KindOther)
	// LinePayout is an earlier payout that came back.
	LinePayout = LineKind(ledger.KindPayout)
	// LineUndetailed is all of a payout of which nobody knows what is inside, or not yet.
	LineUndetailed LineKind = "undetailed"
	// LineUnexplained is what the known lines leave.
	LineUnexplained LineKind = "unexplained"
)

// Line is a part of a payout: Net is Gross less Fee, in minor units of its currency, and the nets of all lines sum
// to the payout, or to a collective's share of it.
type Line struct {
	Kind LineKind
	// Transaction is the reference in the ledger, and the balance transaction's id; empty for what has none.
	Transaction string
	// Time is when it happened; zero for what has no transaction.
	Time time.Time
	// Collective, Campaign and Donation are a donation's; empty and "" when it belongs to none.
	Collective, Campaign, Donation string
	Gross, Fee, Net                int64
}

const (
	// watchFor is how long a payout may still fail after it was made, and is listed again and compared anew: a
	// bank's answer takes days, https://docs.stripe.com/payouts#payout-failures.
	watchFor = 16 * 24 * time.Hour
	// compareEvery is how often, meanwhile, it is compared with the books again.
	compareEvery = 24 * time.Hour
	// missingAfter is how long after its arrival a payout's content may still be on its way to the books.
	missingAfter = 3 * 24 * time.Hour
	// undividedAfter is how long after its arrival its line at the bank waits for whose money it is.
	undividedAfter = 7 * 24 * time.Hour
	// firstPause and maxPause bound the pause of a payout that waits for something.
	firstPause = 5 * time.Second
	maxPause   = time.Hour
)

// BankReference is the reference of the ledger transaction by which a payout reaches the bank, and
// ReturnReference of the one by which a paid payout that failed leaves it. No balance transaction has such an id.
func BankReference(payout string) string { return ReferencePrefix + payout }

// ReturnReference is the counterpart of [BankReference].
func ReturnReference(payout string) string { return BankReference(payout) + returnedSuffix }

// OfReference is the payout of such a reference, and whether it is the second one.
func OfReference(reference string) (payout string, returned bool) {
	return strings.CutSuffix(strings.TrimPrefix(reference, ReferencePrefix), returnedSuffix)
}

const returnedSuffix = "-returned"

// ReferencePrefix is what those references begin with, and no id of Stripe's.
const ReferencePrefix = "payout:"

// rank orders the states: a reading that is older than what is known changes nothing.
func rank(s stripe.PayoutStatus) int {
	switch s {
	case stripe.PayoutPending:
		return 0
	case stripe.PayoutInTransit:
		return 1
	case stripe.PayoutPaid:
		return 2
	default:
		return 3
	}
}

// Config is what a Service needs. Everything without a default is required.
type Config struct {
	Pool        *pgxpool.Pool
	Stripe      *stripe.Client
	Ledger      *ledger.Service
	Collectives *collectives.Service
	// Banked is called after a line at the bank of a collective's was posted or taken back: a statement may have shown it
	// before. Its error is logged. Nil: nobody asks.
	Banked func(ctx context.Context, collective string) error
	// Now tells the time, which must be Stripe's; time.Now when nil.
	Now func() time.Time
	// Logger gets what nobody is told; slog.Default when nil.
	Logger *slog.Logger
	// Metrics is where the collectors are registered; nowhere when nil.
	Metrics prometheus.Registerer
}

// Service keeps payouts in step with Stripe and the books with payouts. It is safe for concurrent use, also by
// several programs.
type Service struct {
	cfg   Config
	reads *prometheus.CounterVec
}

// New returns a Service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s := &Service{cfg: cfg, reads: newReads(cfg.Metrics)}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(&gauges{service: s})
	}
	return s
}

// now is the time as Postgres keeps it.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }
