package treasury

import (
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// The fields that the contract calls output only are ignored in a creation, and do not make another request of it.
func TestCreationsIgnoreOutputOnlyFields(t *testing.T) {
	s, _ := open(t)
	server := NewServer(s)
	long := timestamppb.New(s.now().AddDate(-10, 0, 0))
	euros := func(minor int64) *moneyv1.Money { return &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: minor} }

	donation := &treasuryv1.CreateOfflineDonationRequest{
		Parent: vallon.String(), RequestId: uuid.NewString(), OfflineDonation: &treasuryv1.OfflineDonation{
			Amount: euros(7_00), Method: treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE, ReceiveDate: string(someDay),
			Name: vallon.String() + "/offlineDonations/" + uuid.Nil.String(), State: treasuryv1.OfflineDonationState_OFFLINE_DONATION_STATE_BANKED,
			Deposit: "collectives/vallon/deposits/" + uuid.NewString(), BankDate: string(someDay), BounceDate: string(someDay), ReverseReason: "a",
			BankLine: "collectives/vallon/bankLines/" + uuid.NewString(), Creator: "collectives/vallon/apiKeys/other", CreateTime: long, UpdateTime: long,
		},
	}
	made, err := server.CreateOfflineDonation(t.Context(), donation)
	if err != nil {
		t.Fatal(err)
	}
	if made.GetName() == donation.GetOfflineDonation().GetName() || made.GetState() != treasuryv1.OfflineDonationState_OFFLINE_DONATION_STATE_RECEIVED ||
		made.GetDeposit()+made.GetBankDate()+made.GetBounceDate()+made.GetReverseReason()+made.GetBankLine()+made.GetCreator() != "" ||
		made.GetCreateTime().AsTime().Equal(long.AsTime()) {
		t.Errorf("the caller set an output only field: %v", made)
	}
	sent := donation.GetOfflineDonation()
	donation.OfflineDonation = &treasuryv1.OfflineDonation{Amount: sent.GetAmount(), Method: sent.GetMethod(), ReceiveDate: sent.GetReceiveDate()}
	if again, err := server.CreateOfflineDonation(t.Context(), donation); err != nil || again.GetName() != made.GetName() {
		t.Errorf("the same request without them is %v, %v", again, err)
	}
	donation.OfflineDonation.Document = "C-2"
	if _, err := server.CreateOfflineDonation(t.Context(), donation); errs.As(err) == nil || errs.As(err).Reason != errorsv1.ErrorReason_REQUEST_ID_REUSED {
		t.Errorf("the same request with another nested field: %v", err)
	}

	expense := &treasuryv1.CreateExpenseRequest{
		Parent: "collectives/vallon", RequestId: uuid.NewString(), Expense: &treasuryv1.Expense{
			Kind: treasuryv1.ExpenseKind_EXPENSE_KIND_LAWYER, Payee: "Cabinet", Document: "F-1", DocumentDate: string(someDay), Amount: euros(9_00),
			Name: "collectives/vallon/expenses/" + uuid.NewString(), State: treasuryv1.ExpenseState_EXPENSE_STATE_PAID, RemainingAmount: euros(0),
			BankLines: []string{"collectives/vallon/bankLines/" + uuid.NewString()}, ReverseReason: "a", Creator: "b", CreateTime: long, UpdateTime: long,
		},
	}
	owed, err := server.CreateExpense(t.Context(), expense)
	if err != nil {
		t.Fatal(err)
	}
	if owed.GetName() == expense.GetExpense().GetName() || owed.GetState() != treasuryv1.ExpenseState_EXPENSE_STATE_OWED || owed.GetRemainingAmount().GetAmountMinor() != 9_00 ||
		len(owed.GetBankLines()) > 0 || owed.GetReverseReason()+owed.GetCreator() != "" {
		t.Errorf("the caller set an output only field: %v", owed)
	}

	deposit, err := server.CreateDeposit(t.Context(), &treasuryv1.CreateDepositRequest{
		Parent: "collectives/vallon", RequestId: uuid.NewString(), Deposit: &treasuryv1.Deposit{
			Cheques: []string{made.GetName()}, BankDate: string(someDay), Name: "collectives/vallon/deposits/" + uuid.Nil.String(), Total: euros(99_00), CreateTime: long,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if deposit.GetTotal().GetAmountMinor() != 7_00 || deposit.GetName() == "collectives/vallon/deposits/"+uuid.Nil.String() {
		t.Errorf("the caller set an output only field: %v", deposit)
	}
}
