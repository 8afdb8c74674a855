package treasury

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"

	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

func TestPublicExpensesAreThoseThatTheCampaignShows(t *testing.T) {
	s, _ := open(t)
	server := NewServer(s)
	// A donor's cheque to the lawyer is spent, and told nobody.
	s.give(t, MethodPayeeCheque, 40_00)
	enter := func(e Expense) Expense {
		t.Helper()
		e.Collective, e.Payee = "vallon", "Maître Jeanne Martin"
		made, err := s.CreateExpense(t.Context(), ask(), e)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	enter(Expense{Campaign: "avocate", Kind: ExpenseLawyer, Document: "1", DocumentDate: someDay, Amount: eur(60_00), PaidOn: someDay})
	enter(Expense{Campaign: "avocate", Kind: ExpenseLitigation, Document: "2", DocumentDate: "2026-03-05", Amount: eur(7_00)})
	enter(Expense{Kind: ExpenseLawyer, Document: "3", DocumentDate: someDay, Amount: eur(8_00)})
	wrong := enter(Expense{Campaign: "avocate", Kind: ExpenseLawyer, Document: "4", DocumentDate: someDay, Amount: eur(9_00)})
	if _, err := s.ReverseExpense(t.Context(), ask(), "vallon", wrong.ID, "entered twice"); err != nil {
		t.Fatal(err)
	}
	list := func(t *testing.T, campaign, token string) *treasuryv1.ListPublicExpensesResponse {
		t.Helper()
		resp, err := server.ListPublicExpenses(t.Context(), &treasuryv1.ListPublicExpensesRequest{
			Parent: "collectives/vallon/campaigns/" + campaign, PageSize: 1, PageToken: token,
		})
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	if got := list(t, "avocate", ""); len(got.GetExpenses()) != 0 || got.GetNextPageToken() != "" {
		t.Errorf("a campaign that shows none: %v", got)
	}
	missing := &treasuryv1.ListPublicExpensesRequest{Parent: "collectives/vallon/campaigns/missing"}
	if _, err := server.ListPublicExpenses(t.Context(), missing); errs.Code(err) != codes.NotFound {
		t.Errorf("a missing campaign: %v", err)
	}
	if _, err := s.cfg.Campaigns.Update(t.Context(), vallon, "", func(c *campaigns.Content) error { c.ExpensesShown = true; return nil }); err != nil {
		t.Fatal(err)
	}
	first := list(t, "avocate", "")
	second := list(t, "avocate", first.GetNextPageToken())
	if second.GetNextPageToken() != "" {
		t.Error("there is a third page")
	}
	want := []*treasuryv1.PublicExpense{
		{Kind: treasuryv1.ExpenseKind_EXPENSE_KIND_LITIGATION, Amount: wire.Money(eur(7_00)), DocumentDate: "2026-03-05"},
		{Kind: treasuryv1.ExpenseKind_EXPENSE_KIND_LAWYER, Amount: wire.Money(eur(60_00)), DocumentDate: string(someDay), Paid: true},
	}
	if diff := cmp.Diff(want, append(first.GetExpenses(), second.GetExpenses()...), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
