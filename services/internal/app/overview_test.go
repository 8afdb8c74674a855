package app_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	overviewv1 "github.com/cagnotte/cagnotte/proto/cagnotte/overview/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// Members find what was given in one list, see what became of each donation, and the sums are those of the campaign.
func TestOverview(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	k := newDesk(t, e, "vallon")
	_, stranger := e.Campaign("elsewhere")
	editor := e.Key(k.collective, accessv1.Role_ROLE_EDITOR)
	donation, charge := k.paid(t, 20_00)
	k.becomes(t, k.create(t, k.treasurer, ask(donation, 5_00)), succeeded)
	_, other := k.paid(t, 30_00)
	k.mustDispute(t, other, stripesim.Disputed{})
	// The disputed one counts nothing.
	k.settles(t, 15_00)
	day := time.Now().UTC().Add(-48 * time.Hour).Format(time.DateOnly)
	cheque, err := treasuryv1.NewTreasuryServiceClient(e.Conn).CreateOfflineDonation(apptest.WithKey(t.Context(), k.treasurer), &treasuryv1.CreateOfflineDonationRequest{
		Parent: k.campaign, RequestId: uuid.NewString(),
		OfflineDonation: &treasuryv1.OfflineDonation{Amount: apptest.Euros(33_00), Method: treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE, ReceiveDate: day, Document: "Chèque 77"},
	})
	if err != nil {
		t.Fatal(err)
	}
	e.Eventually("the cheque counts", func() bool { settled, _ := progress(t, e.Conn, k.campaign); return settled == 48_00 })

	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		client := overviewv1.NewOverviewServiceClient(conn)
		as := func(key string) context.Context { return apptest.WithKey(t.Context(), key) }
		list := func(key string, req *overviewv1.ListContributionsRequest) []*overviewv1.Contribution {
			t.Helper()
			req.Parent = k.collective
			found, err := client.ListContributions(as(key), req)
			if err != nil {
				t.Fatal(err)
			}
			return found.GetContributions()
		}
		for _, key := range []string{k.owner, k.treasurer, k.audi, editor, e.OperatorKey} {
			if all := list(key, &overviewv1.ListContributionsRequest{}); len(all) != 3 {
				t.Errorf("%d contributions: %v", len(all), all)
			}
			// A charge and a payment name a donation; papers are for bookkeepers.
			if found := list(key, &overviewv1.ListContributionsRequest{Reference: " " + charge}); len(found) != 1 || found[0].GetResource() != donation.GetName() ||
				found[0].GetReceived().GetAmountMinor() != 15_00 || found[0].GetState() != overviewv1.ContributionState_CONTRIBUTION_STATE_PARTIALLY_REFUNDED {
				t.Errorf("%s finds %v", charge, found)
			}
			papers := list(key, &overviewv1.ListContributionsRequest{Reference: "CHÈQUE 77"})
			if seen := len(papers) == 1 && papers[0].GetResource() == cheque.GetName() && papers[0].GetDocument() == "Chèque 77"; seen == (key == editor) {
				t.Errorf("the cheque's number finds %v", papers)
			}
		}
		amount := list(editor, &overviewv1.ListContributionsRequest{MinAmount: apptest.Euros(33_00), MaxAmount: apptest.Euros(33_00)})
		if len(amount) != 1 || amount[0].GetDocument() != "" || amount[0].GetDate() != day {
			t.Errorf("the cheque, to an editor: %v", amount)
		}

		name := k.collective + "/contributions/" + donation.GetName()[strings.LastIndex(donation.GetName(), "/")+1:] + "/history"
		var (
			kinds []overviewv1.HistoryKind
			moved []int64
		)
		e.Eventually("the history has the transactions, which are sealed", func() bool {
			history, err := client.GetContributionHistory(as(k.audi), &overviewv1.GetContributionHistoryRequest{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			kinds, moved = nil, nil
			for _, entry := range history.GetEntries() {
				kinds = append(kinds, entry.GetKind())
				if entry.GetKind() == overviewv1.HistoryKind_HISTORY_KIND_TRANSACTION {
					moved = append(moved, entry.GetAmount().GetAmountMinor())
				}
			}
			return len(moved) == 2
		})
		// Stripe's fee is part of the donation, not added to it.
		if whole := donation.GetAmount().GetAmountMinor(); moved[0] != whole || moved[1] != whole-15_00 {
			t.Errorf("the transactions of a donation of %d move %d", whole, moved)
		}
		for _, want := range []overviewv1.HistoryKind{overviewv1.HistoryKind_HISTORY_KIND_STATE, overviewv1.HistoryKind_HISTORY_KIND_EVENT, overviewv1.HistoryKind_HISTORY_KIND_REFUND} {
			if !slices.Contains(kinds, want) {
				t.Errorf("the history has no %v: %v", want, kinds)
			}
		}
		history, err := client.GetContributionHistory(as(editor), &overviewv1.GetContributionHistoryRequest{Name: name})
		if err != nil || len(history.GetEntries()) < 3 {
			t.Fatalf("%v, %v", history, err)
		}
		for _, entry := range history.GetEntries() {
			if entry.GetKind() != overviewv1.HistoryKind_HISTORY_KIND_STATE || entry.GetResource() != "" {
				t.Errorf("an editor sees %v", entry)
			}
		}

		home, err := client.GetOverview(as(k.treasurer), &overviewv1.GetOverviewRequest{Name: k.collective + "/overview"})
		if err != nil || len(home.GetRaised()) != 1 || home.GetRaised()[0].GetAmountMinor() != 48_00 || len(home.GetContributions()) != 3 {
			t.Errorf("home: %v, %v", home, err)
		}
		counts := map[overviewv1.AttentionKind]int32{}
		for _, a := range home.GetAttentions() {
			counts[a.GetKind()] = a.GetCount()
		}
		if home.GetAttentions()[0].GetDeadline() == nil || counts[overviewv1.AttentionKind_ATTENTION_KIND_DISPUTES] != 1 ||
			counts[overviewv1.AttentionKind_ATTENTION_KIND_CHEQUES] != 1 || counts[overviewv1.AttentionKind_ATTENTION_KIND_NOTICES] == 0 {
			t.Errorf("what needs somebody: %v", home.GetAttentions())
		}
		if home, err := client.GetOverview(as(editor), &overviewv1.GetOverviewRequest{Name: k.collective + "/overview"}); err != nil || len(home.GetAttentions()) != 0 {
			t.Errorf("an editor's home: %v, %v", home, err)
		}

		today := time.Now().UTC().Add(24 * time.Hour).Format(time.DateOnly)
		sums, err := client.GetStatistics(as(editor), &overviewv1.GetStatisticsRequest{
			Name: k.collective + "/statistics", StartDate: "2020-01-01", EndDate: today, Interval: overviewv1.StatisticsInterval_STATISTICS_INTERVAL_MONTH,
			Grouping: overviewv1.StatisticsGrouping_STATISTICS_GROUPING_METHOD, Campaign: k.campaign,
		})
		if err != nil {
			t.Fatal(err)
		}
		if last := sums.GetPeriods()[len(sums.GetPeriods())-1]; last.GetCumulative().GetAmountMinor() != 48_00 || sums.GetGoal() == nil {
			t.Errorf("the sums end with %v", last)
		}
		if _, err := client.GetMonthlyStatistics(as(editor), &overviewv1.GetMonthlyStatisticsRequest{Name: k.collective + "/monthlyStatistics", StartDate: day, EndDate: today}); err != nil {
			t.Error(err)
		}

		// Another collective's members learn nothing, nor does somebody without a key.
		_, err = client.ListContributions(as(stranger), &overviewv1.ListContributionsRequest{Parent: k.collective})
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		_, err = client.GetContributionHistory(as(stranger), &overviewv1.GetContributionHistoryRequest{Name: strings.Replace(name, "vallon", "elsewhere", 1)})
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		_, err = client.GetOverview(t.Context(), &overviewv1.GetOverviewRequest{Name: k.collective + "/overview"})
		wantError(t, err, codes.Unauthenticated, "UNAUTHENTICATED", "")
		for field, req := range map[string]*overviewv1.ListContributionsRequest{
			"end_date":                 {StartDate: "2026-03-02", EndDate: "2026-03-01"},
			"start_date":               {StartDate: "2026-02-30"},
			"max_amount":               {MinAmount: apptest.Euros(2), MaxAmount: apptest.Euros(1)},
			"min_amount.amount_minor":  {MinAmount: apptest.Euros(-1)},
			"max_amount.currency_code": {MinAmount: apptest.Euros(2), MaxAmount: &apptest.Money{CurrencyCode: "USD", AmountMinor: 3}},
			"campaign":                 {Campaign: "collectives/elsewhere/campaigns/avocate"},
		} {
			req.Parent = k.collective
			_, err := client.ListContributions(as(k.audi), req)
			wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", field)
		}
		_, err = client.GetStatistics(as(k.audi), &overviewv1.GetStatisticsRequest{Name: k.collective + "/statistics", StartDate: "2020-01-01", EndDate: "2026-01-01"})
		wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "start_date")
	})
}
