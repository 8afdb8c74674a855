package ledger_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// codesOf repeats what two charts say, so that the model does not ask the code that it checks.
var codesOf = map[string]map[ledger.AccountRole]string{
	"fr-associations-2025": {
		ledger.RoleStripeBalance: "51212", ledger.RoleStripeFees: "627", ledger.RoleDonations: "75411",
		ledger.RoleRefunds: "75411", ledger.RoleDisputes: "75411", ledger.RoleTransit: "580",
		ledger.RoleBank: "51211", ledger.RoleUnknownReceipts: "4718",
	},
	"en-plain": {
		ledger.RoleStripeBalance: "1200", ledger.RoleStripeFees: "5000", ledger.RoleDonations: "4000",
		ledger.RoleRefunds: "4010", ledger.RoleDisputes: "4020", ledger.RoleTransit: "1300",
		ledger.RoleBank: "1100", ledger.RoleUnknownReceipts: "2100",
	},
}

var givenOrBack = []ledger.AccountRole{ledger.RoleDonations, ledger.RoleRefunds, ledger.RoleDisputes}

// TestAgainstModel posts at random, new things and old ones, right and in conflict, and compares
// everything that can be read with a plain map.
func TestAgainstModel(t *testing.T) {
	pool := pgtest.New(t)
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(t, rt, pool)
		rt.Repeat(map[string]func(*rapid.T){
			"post new":       m.postNew,
			"post again":     m.postAgain,
			"post conflict":  m.postConflict,
			"post and abort": m.postAndAbort,
		})
		m.checkBalances(rt)
		m.checkTotals(rt)
		m.checkTransactions(rt)
		m.postEverythingAgain(rt)
		m.checkBalances(rt)
	})
}

type model struct {
	t           *testing.T
	service     *ledger.Service
	pool        *pgxpool.Pool
	book        string
	codes       map[ledger.AccountRole]string
	collectives []string
	posted      map[string]ledger.Transaction
	// closed is up to when each collective's share is closed; '' is the whole book's.
	closed map[string]time.Time
}

// refused tells whether a transaction is dated in a closed period.
func (m *model) refused(tx ledger.Transaction) bool {
	return slices.ContainsFunc(tx.Entries, func(e ledger.Entry) bool {
		return tx.Effective.Before(m.closed[""]) || tx.Effective.Before(m.closed[e.Collective])
	})
}

// newModel has a book and collectives of its own, so that the runs share a database.
func newModel(t *testing.T, rt *rapid.T, pool *pgxpool.Pool) *model {
	chart := rapid.SampledFrom([]string{"fr-associations-2025", "en-plain"}).Draw(rt, "chart")
	own := uuid.NewString()[:8]
	m := &model{
		t: t, pool: pool, book: "acct_" + own, codes: codesOf[chart],
		service:     ledger.New(ledger.Config{Pool: pool, Chart: chart}),
		collectives: []string{"a-" + own, "b-" + own},
		posted:      map[string]ledger.Transaction{},
		closed:      map[string]time.Time{},
	}
	ensure(t, m.service, pool, m.book)
	return m
}

func (m *model) draw(rt *rapid.T) ledger.Transaction {
	tx := ledger.Transaction{
		Reference: fmt.Sprintf("txn_%d", rapid.IntRange(0, 1<<40).Draw(rt, "reference")),
		Kind:      rapid.SampledFrom([]string{ledger.KindDonation, ledger.KindRefund, ledger.KindOther}).Draw(rt, "kind"),
		Effective: m.drawTime(rt),
	}
	for range rapid.IntRange(1, 3).Draw(rt, "pairs") {
		entry := ledger.Entry{
			Amount: money.Amount{
				Minor:    rapid.Int64Range(1, 1e12).Draw(rt, "minor"),
				Currency: rapid.SampledFrom([]money.Currency{"EUR", "JPY"}).Draw(rt, "currency"),
			},
			Collective: rapid.SampledFrom(m.collectives).Draw(rt, "collective"),
			Campaign:   rapid.SampledFrom([]string{"", "appel", "cassation"}).Draw(rt, "campaign"),
		}
		if entry.Campaign != "" && rapid.Bool().Draw(rt, "of a donation") {
			entry.Donation = uuid.NewSHA1(uuid.Nil, []byte(tx.Reference))
		}
		debit, credit := entry, entry
		credit.Amount.Minor = -debit.Amount.Minor
		roles := rapid.Permutation([]ledger.AccountRole{
			ledger.RoleStripeBalance, ledger.RoleDonations, ledger.RoleRefunds, ledger.RoleDisputes, ledger.RoleStripeFees, ledger.RoleBank,
		}).Draw(rt, "roles")
		debit.Role, credit.Role = roles[0], roles[1]
		tx.Entries = append(tx.Entries, debit, credit)
	}
	return tx
}

// drawTime has few enough times that some are equal, and back-dated ones come: before and after the
// ends of days, months and years.
func (m *model) drawTime(rt *rapid.T) time.Time {
	n := rapid.SampledFrom([]int{-400, -1, 0, 1, 2, 31, 32, 59, 364, 365, 366, 900}).Draw(rt, "day")
	return day(n).Add(time.Duration(rapid.IntRange(-12, 20).Draw(rt, "hour")) * time.Hour)
}

func (m *model) post(rt *rapid.T, txs []ledger.Transaction, commit bool) ([]bool, error) {
	tx, err := m.pool.Begin(m.t.Context())
	if err != nil {
		rt.Fatal(err)
	}
	defer tx.Rollback(m.t.Context())
	posted, err := m.service.PostTx(m.t.Context(), tx, m.book, txs)
	if !commit {
		return posted, err
	}
	// Committed whatever PostTx said: an error must not need the caller's care.
	if commitErr := tx.Commit(m.t.Context()); commitErr != nil && err == nil {
		rt.Fatal(commitErr)
	}
	return posted, err
}

func (m *model) known(rt *rapid.T) []ledger.Transaction {
	all := m.all()
	if len(all) == 0 {
		rt.Skip("nothing is posted yet")
	}
	return rapid.SliceOfN(rapid.SampledFrom(all), 1, 4).Draw(rt, "known")
}

func (m *model) all() []ledger.Transaction {
	var all []ledger.Transaction
	for _, tx := range m.posted {
		all = append(all, tx)
	}
	slices.SortFunc(all, func(x, y ledger.Transaction) int { return cmp.Compare(x.Reference, y.Reference) })
	return all
}

func (m *model) postNew(rt *rapid.T) {
	txs := rapid.SliceOfNDistinct(rapid.Custom(m.draw), 1, 5, func(tx ledger.Transaction) string { return tx.Reference }).Draw(rt, "new")
	txs = slices.DeleteFunc(txs, func(tx ledger.Transaction) bool { _, known := m.posted[tx.Reference]; return known })
	if slices.ContainsFunc(txs, m.refused) {
		if _, err := m.post(rt, txs, true); reasonOf(err) != errorsv1.ErrorReason_PERIOD_CLOSED {
			rt.Fatalf("posted to a closed period: err = %v", err)
		}
		txs = slices.DeleteFunc(txs, m.refused)
	}
	m.mustPost(rt, txs)
}

// mustPost posts a mixture and compares what was new.
func (m *model) mustPost(rt *rapid.T, txs []ledger.Transaction) {
	want := make([]bool, 0, len(txs))
	for _, tx := range txs {
		_, known := m.posted[tx.Reference]
		want = append(want, !known)
		m.posted[tx.Reference] = tx
	}
	got, err := m.post(rt, txs, true)
	if err != nil {
		rt.Fatal(err)
	}
	if !slices.Equal(got, want) {
		rt.Fatalf("posted %v, want %v", got, want)
	}
}

func (m *model) postAgain(rt *rapid.T) {
	m.mustPost(rt, append(m.known(rt), m.known(rt)...))
}

func (m *model) postConflict(rt *rapid.T) {
	changed := m.known(rt)[0]
	changed.Effective = changed.Effective.Add(time.Microsecond)
	batch := []ledger.Transaction{m.draw(rt), changed, m.draw(rt)}
	if _, err := m.post(rt, batch, true); err == nil || errs.As(err).Reason != errorsv1.ErrorReason_REFERENCE_REUSED {
		rt.Fatalf("err = %v", err)
	}
}

func (m *model) postAndAbort(rt *rapid.T) {
	tx := m.draw(rt)
	_, err := m.post(rt, []ledger.Transaction{tx}, false)
	if reason := reasonOf(err); err != nil && reason != errorsv1.ErrorReason_REFERENCE_REUSED && (reason != errorsv1.ErrorReason_PERIOD_CLOSED || !m.refused(tx)) {
		rt.Fatal(err)
	}
}

func (m *model) postEverythingAgain(rt *rapid.T) {
	got, err := m.post(rt, m.all(), true)
	if err != nil {
		rt.Fatal(err)
	}
	if slices.Contains(got, true) {
		rt.Fatalf("posted %v", got)
	}
}

func (m *model) checkBalances(rt *rapid.T) {
	collective := rapid.SampledFrom(m.collectives).Draw(rt, "share")
	cut := m.drawTime(rt)
	if rapid.Bool().Draw(rt, "of everything") {
		cut = time.Time{}
	}
	want := map[string]map[money.Currency]int64{}
	for _, tx := range m.posted {
		for _, e := range tx.Entries {
			if e.Collective == collective && (cut.IsZero() || tx.Effective.Before(cut)) {
				code := m.codes[e.Role]
				if want[code] == nil {
					want[code] = map[money.Currency]int64{}
				}
				want[code][e.Amount.Currency] += e.Amount.Minor
			}
		}
	}
	accounts, err := m.service.Accounts(m.t.Context(), m.book, collective, cut)
	if err != nil {
		rt.Fatal(err)
	}
	got := balances(accounts)
	if diff := gocmp.Diff(want, got); diff != "" {
		rt.Fatalf("as of %v (-want +got):\n%s", cut, diff)
	}
	sums := map[money.Currency]int64{}
	for _, perCurrency := range got {
		for currency, minor := range perCurrency {
			sums[currency] += minor
		}
	}
	for currency, sum := range sums {
		if sum != 0 {
			rt.Fatalf("the share sums to %d %s", sum, currency)
		}
	}
}

func (m *model) checkTotals(rt *rapid.T) {
	want := map[ledger.CampaignKey]map[money.Currency]int64{}
	var keys []ledger.CampaignKey
	for _, collective := range m.collectives {
		for _, campaign := range []string{"appel", "cassation", "nothing-yet"} {
			keys = append(keys, ledger.CampaignKey{Collective: collective, Campaign: campaign})
		}
	}
	for _, tx := range m.posted {
		for _, e := range tx.Entries {
			key := ledger.CampaignKey{Collective: e.Collective, Campaign: e.Campaign}
			if slices.Contains(keys, key) && slices.Contains(givenOrBack, e.Role) {
				if want[key] == nil {
					want[key] = map[money.Currency]int64{}
				}
				want[key][e.Amount.Currency] -= e.Amount.Minor
			}
		}
	}
	got, err := m.service.CampaignTotals(m.t.Context(), keys)
	if err != nil {
		rt.Fatal(err)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		rt.Fatalf("totals (-want +got):\n%s", diff)
	}
}

// checkTransactions reads one collective's share in pages and as a stream; both must be the
// model's, in opposite orders.
func (m *model) checkTransactions(rt *rapid.T) {
	collective := rapid.SampledFrom(m.collectives).Draw(rt, "share")
	campaign := rapid.SampledFrom([]string{"", "appel"}).Draw(rt, "campaign")
	start, end := m.drawTime(rt), m.drawTime(rt)

	var want []ledger.Posted
	for _, tx := range m.posted {
		if tx.Effective.Before(start) || !tx.Effective.Before(end) {
			continue
		}
		seen := ledger.Posted{Reference: tx.Reference, Kind: tx.Kind, Effective: tx.Effective}
		wanted := campaign == ""
		for _, e := range tx.Entries {
			if e.Collective == collective {
				wanted = wanted || e.Campaign == campaign
				seen.Entries = append(seen.Entries, ledger.PostedEntry{
					Code: m.codes[e.Role], Amount: e.Amount, Campaign: e.Campaign, Donation: e.Donation,
				})
			}
		}
		if wanted && len(seen.Entries) > 0 {
			want = append(want, seen)
		}
	}
	var got []ledger.Posted
	var after ledger.Position
	for size := rapid.IntRange(1, 7).Draw(rt, "page"); ; {
		filter := ledger.TransactionFilter{Collective: collective, Campaign: campaign, Start: start, End: end}
		found, err := m.service.Transactions(m.t.Context(), filter, after, size)
		if err != nil {
			rt.Fatal(err)
		}
		got = append(got, found...)
		if len(found) < size {
			break
		}
		after = ledger.Position{Effective: found[size-1].Effective, ID: found[size-1].ID}
	}
	newestFirst := func(x, y ledger.Posted) int {
		return cmp.Or(y.Effective.Compare(x.Effective), cmp.Compare(y.ID, x.ID))
	}
	if !slices.IsSortedFunc(got, newestFirst) {
		rt.Fatal("the pages are not in order")
	}
	byReference := cmpopts.SortSlices(func(x, y ledger.Posted) bool { return x.Reference < y.Reference })
	ignore := cmpopts.IgnoreFields(ledger.Posted{}, "ID", "Recorded")
	if diff := gocmp.Diff(want, got, byReference, ignore, cmpopts.IgnoreFields(ledger.PostedEntry{}, "DisplayName"), cmpopts.EquateEmpty()); diff != "" {
		rt.Fatalf("pages (-want +got):\n%s", diff)
	}
	if campaign != "" {
		return
	}
	var streamed []ledger.Posted
	share := ledger.Filter{Collective: collective, Start: start, End: end}
	if err := m.service.View(m.t.Context(), "", func(v *ledger.View) error {
		return v.StreamEntries(m.t.Context(), share, func(row *ledger.EntryRow) error {
			if n := len(streamed); n == 0 || streamed[n-1].ID != row.TransactionID {
				streamed = append(streamed, ledger.Posted{
					ID: row.TransactionID, Reference: row.Reference, Kind: row.Kind, Effective: row.Effective, Recorded: row.Recorded,
				})
			}
			last := &streamed[len(streamed)-1]
			last.Entries = append(last.Entries, row.PostedEntry)
			return nil
		})
	}); err != nil {
		rt.Fatal(err)
	}
	slices.Reverse(streamed)
	if diff := gocmp.Diff(got, streamed, cmpopts.EquateEmpty()); diff != "" {
		rt.Fatalf("stream (-pages +stream):\n%s", diff)
	}
}
