package console

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	overviewv1 "github.com/cagnotte/cagnotte/proto/cagnotte/overview/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
)

// fakeOverview answers a little of everything that the pages about donations ask for, and keeps what it was asked.
type fakeOverview struct {
	overviewv1.UnimplementedOverviewServiceServer
	collectivesv1.UnimplementedCollectivesServiceServer
	campaignsv1.UnimplementedCampaignsServiceServer
	noticesv1.UnimplementedNoticesServiceServer
	treasuryv1.UnimplementedTreasuryServiceServer
	listed  []*overviewv1.ListContributionsRequest
	entered []*treasuryv1.CreateOfflineDonationRequest
	refuse  error
	// currency is the campaigns'; euros when empty.
	currency string
	// notice is the kind of the notice; a refund that failed when empty.
	notice string
	// remaining is what is left of the expense, and paid what was asked for.
	remaining int64
	paid      []*treasuryv1.PayExpenseRequest
	// stale is the refusal of what was read too long ago.
	stale error
}

func (f *fakeOverview) register(conn grpc.ServiceRegistrar) {
	overviewv1.RegisterOverviewServiceServer(conn, f)
	collectivesv1.RegisterCollectivesServiceServer(conn, f)
	campaignsv1.RegisterCampaignsServiceServer(conn, f)
	noticesv1.RegisterNoticesServiceServer(conn, f)
	treasuryv1.RegisterTreasuryServiceServer(conn, f)
}

func euros(minor int64) *moneyv1.Money {
	return &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: minor}
}

const someID = "0197c0de-0000-7000-8000-000000000001"

func someContribution() *overviewv1.Contribution {
	return &overviewv1.Contribution{
		Name: "collectives/vallon/contributions/" + someID, Resource: "collectives/vallon/campaigns/avocate/donations/" + someID,
		Campaign: "collectives/vallon/campaigns/avocate", Amount: euros(2000), Received: euros(1500), Date: "2026-03-01",
		Method: overviewv1.ContributionMethod_CONTRIBUTION_METHOD_CARD, State: overviewv1.ContributionState_CONTRIBUTION_STATE_PARTIALLY_REFUNDED,
		CreateTime: timestamppb.New(time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)), Document: "<script>alert(1)</script>",
	}
}

func (f *fakeOverview) GetCollective(context.Context, *collectivesv1.GetCollectiveRequest) (*collectivesv1.Collective, error) {
	return &collectivesv1.Collective{Name: "collectives/vallon", DisplayName: "Vallon", TimeZone: "Europe/Paris"}, nil
}

func (f *fakeOverview) ListCampaigns(context.Context, *campaignsv1.ListCampaignsRequest) (*campaignsv1.ListCampaignsResponse, error) {
	return &campaignsv1.ListCampaignsResponse{Campaigns: []*campaignsv1.Campaign{{
		Name: "collectives/vallon/campaigns/avocate", State: campaignsv1.CampaignState_CAMPAIGN_STATE_PUBLISHED,
		Goal:  &moneyv1.Money{CurrencyCode: cmp.Or(f.currency, "EUR"), AmountMinor: 80000},
		Texts: map[string]*campaignsv1.CampaignText{"fr": {Title: "Une avocate <b>"}},
	}}}, nil
}

func (f *fakeOverview) GetOverview(context.Context, *overviewv1.GetOverviewRequest) (*overviewv1.Overview, error) {
	return &overviewv1.Overview{
		Raised: []*moneyv1.Money{euros(123400)}, MonthlyExpected: []*moneyv1.Money{euros(500)}, MonthlyCount: 1, Contributions: []*overviewv1.Contribution{someContribution()},
		Attentions: []*overviewv1.Attention{
			{Kind: overviewv1.AttentionKind_ATTENTION_KIND_DISPUTES, Count: 1, Deadline: timestamppb.New(time.Date(2026, 3, 20, 22, 59, 0, 0, time.UTC)), Items: []*overviewv1.AttentionItem{
				{Resource: "collectives/vallon/disputes/dp_1", Deadline: timestamppb.New(time.Date(2026, 3, 20, 22, 59, 0, 0, time.UTC)), Amount: euros(2000)},
			}},
			{Kind: overviewv1.AttentionKind_ATTENTION_KIND_NOTICES, Count: 100},
		},
	}, nil
}

func (f *fakeOverview) ListContributions(_ context.Context, r *overviewv1.ListContributionsRequest) (*overviewv1.ListContributionsResponse, error) {
	f.listed = append(f.listed, r)
	return &overviewv1.ListContributionsResponse{Contributions: []*overviewv1.Contribution{someContribution()}, NextPageToken: "next"}, nil
}

func (f *fakeOverview) GetContribution(_ context.Context, r *overviewv1.GetContributionRequest) (*overviewv1.Contribution, error) {
	if !strings.HasSuffix(r.GetName(), someID) {
		return nil, status.Error(codes.NotFound, "no")
	}
	return someContribution(), nil
}

func (f *fakeOverview) GetContributionHistory(context.Context, *overviewv1.GetContributionHistoryRequest) (*overviewv1.ContributionHistory, error) {
	at := timestamppb.New(time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC))
	return &overviewv1.ContributionHistory{Contribution: someContribution(), Entries: []*overviewv1.HistoryEntry{
		{Time: at, Kind: overviewv1.HistoryKind_HISTORY_KIND_STATE, State: overviewv1.ContributionState_CONTRIBUTION_STATE_STARTED},
		{Time: at, Kind: overviewv1.HistoryKind_HISTORY_KIND_EVENT, Detail: "charge.refunded applied", Resource: "collectives/vallon/webhookEvents/evt_1"},
		{Time: at, Kind: overviewv1.HistoryKind_HISTORY_KIND_TRANSACTION, Detail: "donation", Resource: "collectives/vallon/ledger/transactions/7", Amount: euros(2000)},
		{Time: at, Kind: overviewv1.HistoryKind_HISTORY_KIND_REFUND, Detail: "succeeded", Resource: "collectives/vallon/campaigns/avocate/donations/d/refunds/r", Amount: euros(500)},
	}}, nil
}

func (f *fakeOverview) GetStatistics(_ context.Context, r *overviewv1.GetStatisticsRequest) (*overviewv1.Statistics, error) {
	if r.GetStartDate() > r.GetEndDate() {
		return nil, status.Error(codes.InvalidArgument, "no")
	}
	return &overviewv1.Statistics{CurrencyCode: "EUR", CurrencyCodes: []string{"EUR"}, Goal: euros(80000), Periods: []*overviewv1.StatisticsPeriod{
		{StartDate: "2026-02-01", EndDate: "2026-02-28", Received: euros(1000), Count: 1, Cumulative: euros(1000), Groups: []*overviewv1.StatisticsGroup{{Method: 1, Campaign: "collectives/vallon/campaigns/avocate", Received: euros(1000), Count: 1}}},
		{StartDate: "2026-03-01", EndDate: "2026-03-31", Received: euros(1500), Count: 2, Cumulative: euros(2500), Groups: []*overviewv1.StatisticsGroup{{Method: 6, Campaign: "collectives/vallon/campaigns/avocate", Received: euros(1500), Count: 2}}},
	}}, nil
}

func (f *fakeOverview) GetMonthlyStatistics(context.Context, *overviewv1.GetMonthlyStatisticsRequest) (*overviewv1.MonthlyStatistics, error) {
	return &overviewv1.MonthlyStatistics{ActiveCount: 3, Months: []*overviewv1.MonthlyStatisticsMonth{{StartDate: "2026-03-01", KeptCount: 2, NewCount: 1, LostCount: 1, EndCount: 3}}}, nil
}

func (f *fakeOverview) GetNotice(context.Context, *noticesv1.GetNoticeRequest) (*noticesv1.Notice, error) {
	return &noticesv1.Notice{
		Name: "collectives/vallon/notices/" + someID, Kind: cmp.Or(f.notice, "refund_failed"), Subject: "collectives/vallon/campaigns/avocate/donations/d/refunds/r", Title: "Un remboursement <i>",
		Text: "Texte", CreateTime: timestamppb.Now(),
	}, nil
}

func (f *fakeOverview) ListNotices(context.Context, *noticesv1.ListNoticesRequest) (*noticesv1.ListNoticesResponse, error) {
	n, _ := f.GetNotice(context.Background(), nil)
	return &noticesv1.ListNoticesResponse{Notices: []*noticesv1.Notice{n}}, nil
}

func (f *fakeOverview) CreateOfflineDonation(_ context.Context, r *treasuryv1.CreateOfflineDonationRequest) (*treasuryv1.OfflineDonation, error) {
	f.entered = append(f.entered, r)
	if f.refuse != nil {
		return nil, f.refuse
	}
	return &treasuryv1.OfflineDonation{Name: r.GetParent() + "/offlineDonations/" + someID}, nil
}

func (f *fakeOverview) GetExpense(context.Context, *treasuryv1.GetExpenseRequest) (*treasuryv1.Expense, error) {
	e := &treasuryv1.Expense{
		Name: "collectives/vallon/expenses/" + someID, Payee: "Cabinet", Document: "F1", Amount: euros(90000), RemainingAmount: euros(f.remaining),
		State: treasuryv1.ExpenseState_EXPENSE_STATE_OWED,
	}
	if f.remaining == 0 {
		e.State = treasuryv1.ExpenseState_EXPENSE_STATE_PAID
	}
	return e, nil
}

func (f *fakeOverview) PayExpense(ctx context.Context, r *treasuryv1.PayExpenseRequest) (*treasuryv1.Expense, error) {
	f.paid = append(f.paid, r)
	if f.remaining != 0 && r.GetExpectedAmount().GetAmountMinor() != f.remaining {
		return nil, f.stale
	}
	f.remaining = 0
	return f.GetExpense(ctx, nil)
}

// Texts of members and of the services are shown as text, whatever they hold.
func TestPagesAboutDonations(t *testing.T) {
	handler, _ := start(t)
	for address, wants := range map[string][]string{
		"/console/c/vallon":                                  {"234\u00a0€", "Avant le", "/console/c/vallon/disputes/dp_1", "Plus de 99 avis", "/console/c/vallon/notices", "1 don mensuel"},
		"/console/c/vallon/donations":                        {"20\u00a0€", "il reste 15\u00a0€", "Remboursé en partie", "?page=next", "/console/c/vallon/donations/new?method=cash"},
		"/console/c/vallon/donations/" + someID:              {"&lt;script&gt;", "Une avocate &lt;b&gt;", "/console/c/vallon/refunds/new?donation=collectives%2Fvallon%2Fcampaigns%2Favocate%2Fdonations%2F" + someID, "/console/c/vallon/books/journal/7", "charge.refunded", "Remboursement\u00a0: fait"},
		"/console/c/vallon/donations/statistics":             {`role="img"`, "25\u00a0€ recueillis pour un objectif de 800\u00a0€", "mars 2026", "Gardés", "/console/c/vallon/donations?end_date=2026-03-31&amp;start_date=2026-03-01"},
		"/console/c/vallon/donations/new?method=cheque":      {"Numéro du chèque", `name="request_id"`, `value="cheque"`},
		"/console/c/vallon/notices":                          {"Un remboursement &lt;i&gt;"},
		"/console/c/vallon/notices/" + someID:                {"/console/c/vallon/refunds/r", "Marquer comme lu"},
		"/console/c/vallon/donations?min=1,234&start_date=x": {"deux façons", "Écrivez la date"},
	} {
		r := send(handler, http.MethodGet, address, nil, "Cookie", signedIn)
		text := body(t, r)
		if want := http.StatusOK; r.StatusCode != want && !strings.Contains(address, "min=") {
			t.Errorf("%s: %d", address, r.StatusCode)
		}
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %q:\n%s", address, want, text[strings.Index(text, "<main"):])
			}
		}
		if strings.Contains(text, "<script>alert") || strings.Contains(text, "<b>") {
			t.Errorf("%s shows a text as HTML", address)
		}
	}
	// An editor of another collective of the same member does not see notices.
	if r := send(handler, http.MethodGet, "/console/c/causse/notices", nil, "Cookie", signedIn); r.StatusCode != http.StatusNotFound {
		t.Errorf("notices, to an editor: %d", r.StatusCode)
	}
	if r := send(handler, http.MethodGet, "/console/c/causse/donations/new", nil, "Cookie", signedIn); r.StatusCode != http.StatusNotFound {
		t.Errorf("entering, as an editor: %d", r.StatusCode)
	}
}

func TestEnteringADonation(t *testing.T) {
	handler, fake := start(t)
	form := url.Values{
		"request_id": {someID}, "method": {"cheque"}, "campaign": {"collectives/vallon/campaigns/avocate"}, "amount": {"12,50"}, "receive_date": {"01/03/2026"}, "document": {"1234567"},
	}
	r := send(handler, http.MethodPost, "/console/c/vallon/donations/new", form, "Cookie", signedIn)
	if want := "/console/c/vallon/donations/" + someID + "?done=donations.entered"; r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != want {
		t.Fatalf("%d %s\n%s", r.StatusCode, r.Header.Get("Location"), body(t, r))
	}
	sent := fake.overview.entered[0]
	if sent.GetRequestId() != someID || sent.GetOfflineDonation().GetAmount().GetAmountMinor() != 1250 || sent.GetOfflineDonation().GetReceiveDate() != "2026-03-01" ||
		sent.GetOfflineDonation().GetMethod() != treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE {
		t.Errorf("%v", sent)
	}
	form.Set("amount", "douze")
	r = send(handler, http.MethodPost, "/console/c/vallon/donations/new", form, "Cookie", signedIn)
	if text := body(t, r); r.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, `value="douze"`) || !strings.Contains(text, `value="1234567"`) || !strings.Contains(text, `id="amount-error"`) {
		t.Errorf("a wrong amount: %d\n%s", r.StatusCode, text)
	}
	if len(fake.overview.entered) != 1 {
		t.Error("what is wrong was sent")
	}
}

// Amounts are typed in the currency of the campaigns, and their fields show it.
func TestAmountsAreInTheCampaignsCurrency(t *testing.T) {
	handler, fake := start(t)
	fake.overview.currency = "CHF"
	if text := body(t, send(handler, http.MethodGet, "/console/c/vallon/donations/new", nil, "Cookie", signedIn)); !strings.Contains(text, `<span id="amount-suffix">CHF</span>`) || strings.Contains(text, "€") {
		t.Errorf("the form:\n%s", text)
	}
	send(handler, http.MethodPost, "/console/c/vallon/donations/new", url.Values{
		"campaign": {"collectives/vallon/campaigns/avocate"}, "amount": {"12,50"}, "receive_date": {"2026-03-01"},
	}, "Cookie", signedIn)
	if got := fake.overview.entered[0].GetOfflineDonation().GetAmount(); got.GetCurrencyCode() != "CHF" || got.GetAmountMinor() != 1250 {
		t.Errorf("entered: %v", got)
	}
	send(handler, http.MethodGet, "/console/c/vallon/donations?min=5", nil, "Cookie", signedIn)
	if got := fake.overview.listed[0].GetMinAmount(); got.GetCurrencyCode() != "CHF" || got.GetAmountMinor() != 500 {
		t.Errorf("filtered by %v", got)
	}
}

// What is paid is what the confirmation said: not the rest that a line of the bank has left of it since. Sent twice it is paid
// once, as the service says.
func TestAnExpenseIsPaidAsItWasConfirmed(t *testing.T) {
	handler, fake := start(t)
	fake.overview.stale = refusal(t, codes.Aborted, &errdetails.ErrorInfo{Reason: "ETAG_MISMATCH"})
	const address = "/console/c/vallon/expenses/" + someID + "/pay"
	form := url.Values{"request_id": {someID}, "pay_date": {"2026-03-01"}, "source": {"bank"}, "remaining": {"90000"}}
	fake.overview.remaining = 50000
	r := send(handler, http.MethodPost, address, form, "Cookie", signedIn)
	if text := body(t, r); r.StatusCode != http.StatusUnprocessableEntity || len(fake.overview.paid) != 1 || !strings.Contains(text, "entre-temps") || !strings.Contains(text, `value="50000"`) {
		t.Fatalf("%d, paid %v:\n%s", r.StatusCode, fake.overview.paid, text)
	}
	form.Set("remaining", "50000")
	for range 2 {
		if r := send(handler, http.MethodPost, address, form, "Cookie", signedIn); r.StatusCode != http.StatusSeeOther {
			t.Fatalf("%d:\n%s", r.StatusCode, body(t, r))
		}
	}
	if got := fake.overview.paid; len(got) != 3 || got[1].GetRequestId() != got[2].GetRequestId() {
		t.Errorf("%v", got)
	}
}

// A notice leads to no page that its reader does not have.
func TestNoticesLeadToPagesOfTheReader(t *testing.T) {
	handler, fake := start(t)
	for kind, want := range map[string]bool{"alert_emails_changed": false, "bank_account_changed": true, "refund_failed": true} {
		fake.overview.notice = kind
		text := body(t, send(handler, http.MethodGet, "/console/c/vallon/notices/"+someID, nil, "Cookie", signedIn))
		main := text[strings.Index(text, "<main"):]
		if got := strings.Contains(main, "/console/c/vallon/settings/") || strings.Contains(main, "/console/c/vallon/refunds/"); got != want {
			t.Errorf("%s leads on: %v\n%s", kind, got, main)
		}
	}
}

// A donation of another collective of the member is not refunded, and money for it not entered, on this one's pages.
func TestPagesAreAboutTheirCollective(t *testing.T) {
	handler, fake := start(t)
	const other = "collectives/causse/campaigns/source"
	for name, r := range map[string]*http.Response{
		"the form of a refund": send(handler, http.MethodGet, "/console/c/vallon/refunds/new?donation="+other+"/donations/"+someID, nil, "Cookie", signedIn),
		"a refund":             send(handler, http.MethodPost, "/console/c/vallon/refunds/new", url.Values{"donation": {other + "/donations/" + someID}}, "Cookie", signedIn),
		"a donation": send(handler, http.MethodPost, "/console/c/vallon/donations/new", url.Values{
			"campaign": {other}, "amount": {"5"}, "receive_date": {"2026-03-01"},
		}, "Cookie", signedIn),
	} {
		if r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
	}
	if len(fake.overview.entered) != 0 {
		t.Errorf("%v", fake.overview.entered)
	}
}

// A form beyond its limit is not taken for an empty one.
func TestAFormThatIsTooLargeIsNotEmpty(t *testing.T) {
	handler, _ := start(t)
	for _, address := range []string{"/console/c/vallon/donations/new", "/console/c/vallon/refunds/new"} {
		r := send(handler, http.MethodPost, address, url.Values{"document": {strings.Repeat("x", 2*maxFormBytes)}}, "Cookie", signedIn)
		if r.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d", address, r.StatusCode)
		}
	}
}

func TestFiltersOfDonationsAreSent(t *testing.T) {
	handler, fake := start(t)
	send(handler, http.MethodGet, "/console/c/vallon/donations?reference=pi_1&min=5&max=5&start_date=2026-03-01&end_date=2026-03-31&method=CONTRIBUTION_METHOD_CASH&state=CONTRIBUTION_STATE_BANKED&campaign=collectives/vallon/campaigns/avocate&page=p", nil, "Cookie", signedIn)
	r := fake.overview.listed[0]
	if r.GetReference() != "pi_1" || r.GetMinAmount().GetAmountMinor() != 500 || r.GetMaxAmount().GetAmountMinor() != 500 || r.GetStartDate() != "2026-03-01" || r.GetEndDate() != "2026-03-31" ||
		len(r.GetMethods()) != 1 || len(r.GetStates()) != 1 || r.GetCampaign() == "" || r.GetPageToken() != "p" || r.GetParent() != "collectives/vallon" {
		t.Errorf("%v", r)
	}
	send(handler, http.MethodGet, "/console/c/vallon/donations?method=monthly&state=nonsense", nil, "Cookie", signedIn)
	if r := fake.overview.listed[1]; !r.GetMonthly() || len(r.GetStates()) != 0 || len(r.GetMethods()) != 0 {
		t.Errorf("%v", r)
	}
}
