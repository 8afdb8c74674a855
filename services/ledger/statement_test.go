package ledger_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// atNumber is what had happened before cut among the first n transactions, by the plain map.
func (m *sealModel) atNumber(references []string, n int) []ledger.Transaction {
	var txs []ledger.Transaction
	for _, reference := range references[:n] {
		txs = append(txs, m.posted[reference])
	}
	return txs
}

// checkAtNumber compares balances by both clocks and by campaign, and a statement in pages, with
// more posted and sealed between the pages.
func (m *sealModel) checkAtNumber(rt *rapid.T) {
	references := numbered(m.t, m.pool, m.book)
	if len(references) == 0 {
		rt.Skip("nothing is sealed yet")
	}
	n := rapid.IntRange(1, len(references)).Draw(rt, "number")
	collective := rapid.SampledFrom(m.collectives).Draw(rt, "share")
	campaign := rapid.SampledFrom([]string{"", "appel"}).Draw(rt, "campaign")
	cut := m.drawTime(rt)
	if rapid.Bool().Draw(rt, "of everything") {
		cut = time.Time{}
	}
	want := map[string]map[money.Currency]int64{}
	for _, tx := range m.atNumber(references, n) {
		for _, e := range tx.Entries {
			if e.Collective == collective && (campaign == "" || e.Campaign == campaign) && (cut.IsZero() || tx.Effective.Before(cut)) {
				code := m.codes[e.Role]
				if want[code] == nil {
					want[code] = map[money.Currency]int64{}
				}
				want[code][e.Amount.Currency] += e.Amount.Minor
			}
		}
	}
	accounts, err := m.service.AccountsAt(m.t.Context(), ledger.AccountsFilter{
		Book: m.book, Collective: collective, Campaign: campaign, End: cut, Number: int64(n),
	})
	if err != nil {
		rt.Fatal(err)
	}
	if diff := gocmp.Diff(want, balances(accounts)); diff != "" {
		rt.Fatalf("number %d, as of %v, campaign %q (-want +got):\n%s", n, cut, campaign, diff)
	}
	m.checkStatement(rt, references, n, collective)
}

func (m *sealModel) checkStatement(rt *rapid.T, references []string, n int, collective string) {
	type line struct {
		Reference string
		Line      int16
		Amount    money.Amount
	}
	code := m.codes[rapid.SampledFrom([]ledger.AccountRole{ledger.RoleStripeBalance, ledger.RoleDonations, ledger.RoleBank}).Draw(rt, "account")]
	start, end := m.drawTime(rt), m.drawTime(rt)
	if rapid.Bool().Draw(rt, "from the beginning") {
		start = time.Time{}
	}
	var want []line
	opening := map[money.Currency]int64{}
	for _, tx := range m.atNumber(references, n) {
		for i, e := range tx.Entries {
			switch {
			case e.Collective != collective || m.codes[e.Role] != code:
			case tx.Effective.Before(start):
				opening[e.Amount.Currency] += e.Amount.Minor
			case tx.Effective.Before(end):
				want = append(want, line{tx.Reference, int16(i + 1), e.Amount})
			}
		}
	}
	filter := ledger.StatementFilter{Book: m.book, Collective: collective, Account: code, Start: start, End: end, Number: int64(n)}
	size := rapid.IntRange(1, 5).Draw(rt, "page")
	var got []line
	var all []ledger.StatementLine
	var after ledger.LinePosition
	for {
		st, err := m.service.Statement(m.t.Context(), filter, after, size)
		if err != nil {
			rt.Fatal(err)
		}
		before := map[money.Currency]int64{}
		for _, b := range st.Account.Balances {
			before[b.Currency] = b.Minor
		}
		for currency, minor := range opening {
			if before[currency] != minor {
				rt.Fatalf("the page opens with %v, want %v", before, opening)
			}
		}
		for _, l := range st.Lines {
			opening[l.Amount.Currency] += l.Amount.Minor
			if l.Balance != (money.Amount{Minor: opening[l.Amount.Currency], Currency: l.Amount.Currency}) {
				rt.Fatalf("%+v leaves %d", l, opening[l.Amount.Currency])
			}
			if references[l.Number-1] != l.Reference {
				rt.Fatalf("%+v has another number", l)
			}
			got = append(got, line{l.Reference, l.Line, l.Amount})
		}
		all = append(all, st.Lines...)
		if len(st.Lines) < size {
			break
		}
		last := st.Lines[size-1]
		after = ledger.LinePosition{Effective: last.Effective, TransactionID: last.TransactionID, Line: last.Line}
		m.postNew(rt)
		m.sealOnce(rt)
	}
	if !slices.IsSortedFunc(all, func(x, y ledger.StatementLine) int {
		return cmp.Or(x.Effective.Compare(y.Effective), cmp.Compare(x.TransactionID, y.TransactionID), cmp.Compare(x.Line, y.Line))
	}) {
		rt.Fatal("the lines are not in order")
	}
	order := func(x, y line) int {
		return cmp.Or(cmp.Compare(x.Reference, y.Reference), cmp.Compare(x.Line, y.Line))
	}
	slices.SortFunc(want, order)
	slices.SortFunc(got, order)
	if diff := gocmp.Diff(want, got); diff != "" {
		rt.Fatalf("lines (-want +got):\n%s", diff)
	}
}

func TestListStatementLines(t *testing.T) {
	s, pool := openSealing(t)
	server := serverOf(s)
	parent := vallonLedger + "/accounts/51212"
	list := func(t *testing.T, req *ledgerv1.ListStatementLinesRequest) string {
		t.Helper()
		var lines []string
		for {
			resp, err := server.ListStatementLines(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range resp.GetLines() {
				lines = append(lines, fmt.Sprintf("%d:%s:%d=%d", l.GetNumber(), l.GetReference(), l.GetAmount().GetAmountMinor(), l.GetBalance().GetAmountMinor()))
			}
			if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
				return strings.Join(lines, " ")
			}
			// Nothing that comes now may move a page: neither what is new nor what is back-dated.
			late := fmt.Sprintf("late_%d", len(lines))
			mustPost(t, s, pool, donation(late, day(1).Add(-time.Hour), 9999), donation(late+"b", day(30), 9999))
			if _, err := s.Seal(t.Context(), book); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("has nothing before the first seal", func(t *testing.T) {
		mustPost(t, s, pool, donation("txn_1", day(1), 2000), donation("txn_2", day(2), 500), donation("txn_3", day(3), 700))
		if got := list(t, &ledgerv1.ListStatementLinesRequest{Parent: parent}); got != "" {
			t.Errorf("got %s", got)
		}
	})
	mustSeal(t, s, 3)
	const whole = "1:txn_1:2000=2000 1:txn_1:-30=1970 2:txn_2:500=2470 2:txn_2:-30=2440 3:txn_3:700=3140 3:txn_3:-30=3110"
	t.Run("continues over pages, whatever arrives", func(t *testing.T) {
		for size := range int32(3) {
			if got := list(t, &ledgerv1.ListStatementLinesRequest{Parent: parent, AtNumber: 3 * int64(min(size, 1)), PageSize: size + 1}); got != whole {
				t.Errorf("pages of %d: %s", size+1, got)
			}
		}
	})
	t.Run("begins with the balance before", func(t *testing.T) {
		resp, err := server.ListStatementLines(t.Context(), &ledgerv1.ListStatementLinesRequest{
			Parent: parent, AtNumber: 3, StartTime: timestamppb.New(day(2)), EndTime: timestamppb.New(day(3)),
		})
		if err != nil {
			t.Fatal(err)
		}
		if b := resp.GetAccount().GetBalances(); len(b) != 1 || b[0].GetAmountMinor() != 1970 || len(resp.GetLines()) != 2 || resp.GetAtNumber() != 3 {
			t.Errorf("answered %v", resp)
		}
		line := resp.GetLines()[0]
		if !strings.HasPrefix(line.GetTransaction(), vallonLedger+"/transactions/") || line.GetDonation() != vallonDonations+donationOf("txn_2") || line.GetKind() != "donation" {
			t.Errorf("line %v", line)
		}
	})
	for _, c := range []struct {
		rule  string
		req   *ledgerv1.ListStatementLinesRequest
		code  codes.Code
		field string
	}{
		{"does not find an account that is not", &ledgerv1.ListStatementLinesRequest{Parent: vallonLedger + "/accounts/99"}, codes.NotFound, ""},
		{"does not find a collective that does not exist", &ledgerv1.ListStatementLinesRequest{Parent: "collectives/nobody/ledger/accounts/51212"}, codes.NotFound, ""},
		{"refuses a number that never was", &ledgerv1.ListStatementLinesRequest{Parent: parent, AtNumber: 1000}, codes.InvalidArgument, "at_number"},
		{"refuses a forged token", &ledgerv1.ListStatementLinesRequest{Parent: parent, PageToken: "forged"}, codes.InvalidArgument, "page_token"},
		{"refuses a time that is none", &ledgerv1.ListStatementLinesRequest{Parent: parent, EndTime: &timestamppb.Timestamp{Nanos: -1}}, codes.InvalidArgument, "end_time"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			_, err := server.ListStatementLines(t.Context(), c.req)
			if e := errs.As(err); err == nil || e.Code != c.code || c.field != "" && e.Fields[0].Field != c.field {
				t.Errorf("err = %v", err)
			}
		})
	}
	t.Run("refuses the token of another account", func(t *testing.T) {
		resp, err := server.ListStatementLines(t.Context(), &ledgerv1.ListStatementLinesRequest{Parent: parent, PageSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := server.ListStatementLines(t.Context(), &ledgerv1.ListStatementLinesRequest{
			Parent: vallonLedger + "/accounts/75411", PageToken: resp.GetNextPageToken(),
		}); codeOf(err) != codes.InvalidArgument {
			t.Errorf("err = %v", err)
		}
	})
}

func TestListAccountsOfACampaignAndAtANumber(t *testing.T) {
	s, pool := openSealing(t)
	server := serverOf(s)
	parent := "collectives/" + vallon
	other := donation("txn_2", day(2), 500)
	for i := range other.Entries {
		other.Entries[i].Campaign = "recours"
	}
	mustPost(t, s, pool, donation("txn_1", day(1), 2000), other)
	mustSeal(t, s, 2)
	mustPost(t, s, pool, donation("txn_3", day(1), 100))
	donations := func(req *ledgerv1.ListAccountsRequest) (int64, error) {
		resp, err := server.ListAccounts(t.Context(), req)
		for _, a := range resp.GetAccounts() {
			if a.GetCode() == "75411" {
				return -a.GetBalances()[0].GetAmountMinor(), err
			}
		}
		return 0, err
	}
	for _, c := range []struct {
		rule string
		req  *ledgerv1.ListAccountsRequest
		want int64
	}{
		{"all", &ledgerv1.ListAccountsRequest{Parent: parent + "/ledger"}, 2600},
		{"a campaign", &ledgerv1.ListAccountsRequest{Parent: parent + "/ledger", Campaign: parent + "/campaigns/" + lawyer}, 2100},
		{"a number", &ledgerv1.ListAccountsRequest{Parent: parent + "/ledger", AtNumber: 2}, 2500},
		{"both clocks and a campaign", &ledgerv1.ListAccountsRequest{
			Parent: parent + "/ledger", Campaign: parent + "/campaigns/" + lawyer, AtNumber: 1, EndTime: timestamppb.New(day(1).Add(time.Second)),
		}, 2000},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if got, err := donations(c.req); got != c.want || err != nil {
				t.Errorf("%d, want %d, err = %v", got, c.want, err)
			}
		})
	}
	for field, req := range map[string]*ledgerv1.ListAccountsRequest{
		"campaign":  {Parent: parent + "/ledger", Campaign: "collectives/" + marseille + "/campaigns/recours"},
		"at_number": {Parent: parent + "/ledger", AtNumber: 3},
	} {
		if _, err := donations(req); err == nil || errs.As(err).Fields[0].Field != field {
			t.Errorf("err = %v, want one on %s", err, field)
		}
	}
}
