package ledger

import (
	"cmp"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cagnotte/cagnotte/services/money"
)

// AccountRole is what code calls an account; the book's chart says which account plays it.
type AccountRole string

// The roles that every shipped chart fills. A chart may give one account several of them.
const (
	// RoleStripeBalance is the money that stands at Stripe.
	RoleStripeBalance AccountRole = "stripe_balance"
	// RoleStripeFees is what Stripe keeps: fees of payments, of disputes, of the account.
	RoleStripeFees AccountRole = "stripe_fees"
	// RoleDonations is the income from donations.
	RoleDonations AccountRole = "donations"
	// RoleRefunds is what was given back to donors. It counts against donations.
	RoleRefunds AccountRole = "refunds"
	// RoleDisputes is what banks took back, and gave again when a dispute was won. It counts
	// against donations.
	RoleDisputes AccountRole = "disputes"
	// RoleTransit is money on its way between two accounts of the body; it returns to zero.
	RoleTransit AccountRole = "transit"
	// RoleBank is the bank account that payouts arrive on.
	RoleBank AccountRole = "bank"
	// RoleUnknownReceipts is where money waits that nobody has explained yet.
	RoleUnknownReceipts AccountRole = "unknown_receipts"
	// RoleSurplus is where an opening balance has the surplus of earlier years that nobody has
	// allocated yet.
	RoleSurplus AccountRole = "surplus"
	// RoleDeficit is the same when the earlier years lost.
	RoleDeficit AccountRole = "deficit"
)

// The kinds of transactions. Others may come: a kind is a word for people and filters, and no rule hangs on it.
const (
	KindDonation = "donation"
	KindRefund   = "refund"
	KindDispute  = "dispute"
	KindPayout   = "payout"
	// KindTopUp is money on its way from the bank to Stripe's balance, or back, that no payout of Stripe's moved.
	KindTopUp = "top_up"
	KindFee   = "fee"
	KindOther = "other"
	// KindReversal is for [Service.ReverseTx] alone; each is linked to its original.
	KindReversal = "reversal"
)

// AccountType is what kind of account it is, in the words of the chart files.
type AccountType string

// The types of accounts.
const (
	TypeAsset     AccountType = "asset"
	TypeLiability AccountType = "liability"
	TypeEquity    AccountType = "equity"
	TypeIncome    AccountType = "income"
	TypeExpense   AccountType = "expense"
)

// Transaction is what [Service.PostTx] posts.
type Transaction struct {
	// Reference is the business fact that this records, unique in its book: 1 to 255 characters,
	// never a person's name or address.
	Reference string
	// Kind is one of the Kind constants.
	Kind string
	// Effective is when it happened, by Stripe's clock or the document's date; kept to the microsecond.
	Effective time.Time
	// Entries sum to zero per currency and collective. Their order is kept.
	Entries []Entry
}

// Entry is one signed amount on one account.
type Entry struct {
	// Role names the account. Empty: Code does.
	Role AccountRole
	// Code is the account's number in the book's chart, used when Role is empty.
	Code string
	// Amount is positive for a debit, negative for a credit, never zero.
	Amount money.Amount
	// Collective and Campaign are slugs; empty when the entry belongs to none. A campaign needs
	// its collective.
	Collective, Campaign string
	// Donation is uuid.Nil when the entry belongs to none. A donation needs its campaign.
	Donation uuid.UUID
}

// CampaignKey names a campaign by its slugs.
type CampaignKey struct {
	Collective, Campaign string
}

// Account is an account of a book with the balances of one collective's share.
type Account struct {
	Code        string
	DisplayName string
	Type        AccountType
	// Roles are those that it plays, sorted; only read where a chart is changed.
	Roles []AccountRole
	// Balances are the sums of the entries, one for each currency that there are entries in, by currency.
	Balances []money.Amount
}

// Posted is a transaction as one collective sees it: with the entries that carry its name.
type Posted struct {
	// ID is unique among all books. Its order means nothing.
	ID        int64
	Reference string
	Kind      string
	Effective time.Time
	Recorded  time.Time
	// Reverses is the id of the transaction that this one takes back; zero when it is no reversal.
	Reverses int64
	// Reclassifies is the id of the transaction that this one corrects; zero when it is no reclassification.
	Reclassifies int64
	// Conversion is nil when there is none, or none is known.
	Conversion *Conversion
	Entries    []PostedEntry
}

// PostedEntry is an entry with its account resolved.
type PostedEntry struct {
	Code        string
	DisplayName string
	Amount      money.Amount
	Campaign    string
	// Donation is uuid.Nil when the entry belongs to none.
	Donation uuid.UUID
}

// Config of [New].
type Config struct {
	// Pool is used for reads; postings run in the caller's transaction.
	Pool *pgxpool.Pool
	// Chart is the name of the chart that new books get, one of [Charts]. Empty: [DefaultChart].
	Chart string
	// Currency is the one that new books are kept in. Empty: EUR. Entries may be in any.
	Currency money.Currency
	// SecretKey is what the keys that sign checkpoints are derived from, 32 bytes or more. Empty:
	// this service cannot seal.
	SecretKey []byte
	// Now dates checkpoints; time.Now when nil.
	Now func() time.Time
	// SealBatch is how many transactions one database transaction seals at most. Zero: 2,000.
	SealBatch int
	// TailLength is how many sealed transactions a balance adds up at most beyond the one that is
	// kept. Zero: 128. Smaller is more rows, larger slower balances.
	TailLength int
	// ReversedElsewhere begins the references of transactions that are not reclassified, since whoever posted them keeps more
	// than the books say, and takes back both.
	ReversedElsewhere []string
	// Metrics gets how long the tail is and how old. Nil: nobody does.
	Metrics prometheus.Registerer
}

// Service keeps and reads the books. It is safe for concurrent use.
type Service struct {
	pool     *pgxpool.Pool
	chart    string
	currency money.Currency
	secret   []byte
	now      func() time.Time

	sealBatch, tailLength int
	reversedElsewhere     []string
}

// New returns a service. A chart that does not exist is an error of the first [Service.EnsureBookTx].
func New(cfg Config) *Service {
	now := cfg.Now
	if now == nil {
		now = time.Now
	}
	s := &Service{
		pool:     cfg.Pool,
		chart:    cmp.Or(cfg.Chart, DefaultChart),
		currency: cmp.Or(cfg.Currency, money.EUR),
		secret:   cfg.SecretKey,
		now:      now,

		sealBatch:  cmp.Or(cfg.SealBatch, 2000),
		tailLength: cmp.Or(cfg.TailLength, 128),

		reversedElsewhere: cfg.ReversedElsewhere,
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(newTailMetrics(s))
	}
	return s
}
