package main

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// euros is an amount of cents.
func euros(minor int64) *moneyv1.Money {
	return &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: minor}
}

// configure sets where donors send transfers and cheques, so that the collective offers pledges, and from which amount on a
// refund needs a second member. The IBAN is a bank's published example.
func (s *seeder) configure(asOwner context.Context, d demo) error {
	_, err := collectivesv1.NewCollectivesServiceClient(s.conn).UpdateCollective(asOwner, &collectivesv1.UpdateCollectiveRequest{
		Collective: &collectivesv1.Collective{
			Name:           d.collectiveName(),
			DisplayName:    d.Collective.DisplayName,
			BankAccount:    &collectivesv1.BankAccount{Holder: d.Collective.DisplayName, Iban: "FR7630006000011234567890189", Bic: "AGRIFRPP"},
			ChequePayee:    d.Collective.DisplayName,
			PostalAddress:  []string{"Mairie", "12000 Vallon"},
			RefundApproval: euros(50_00),
		},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"bank_account", "cheque_payee", "postal_address", "refund_approval"}},
	})
	return err
}

// enterOffline enters the donations that came without Stripe, and the lawyer's invoices for the first two stages.
func (s *seeder) enterOffline(asTreasurer context.Context, d demo, now time.Time) error {
	treasury := treasuryv1.NewTreasuryServiceClient(s.conn)
	day := func(ago int) string { return now.AddDate(0, 0, -ago).Format(time.DateOnly) }
	var cheques []string
	// Cash and three cheques, with how many days ago each was received.
	for _, g := range []struct {
		method treasuryv1.OfflineMethod
		minor  int64
		ago    int
	}{
		{treasuryv1.OfflineMethod_OFFLINE_METHOD_CASH, 46_50, 30},
		{treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE, 50_00, 21},
		{treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE, 20_00, 20},
		{treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE, 30_00, 4},
	} {
		made, err := treasury.CreateOfflineDonation(asTreasurer, &treasuryv1.CreateOfflineDonationRequest{
			Parent: d.campaignName(), RequestId: uuid.NewString(),
			OfflineDonation: &treasuryv1.OfflineDonation{Amount: euros(g.minor), Method: g.method, ReceiveDate: day(g.ago)},
		})
		if err != nil {
			return err
		}
		// The last cheque is not deposited yet.
		if g.method == treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE && g.ago > 14 {
			cheques = append(cheques, made.GetName())
		}
	}
	// The first two cheques are deposited together, and the bank credits them as one amount.
	if _, err := treasury.CreateDeposit(asTreasurer, &treasuryv1.CreateDepositRequest{
		Parent: d.collectiveName(), RequestId: uuid.NewString(),
		Deposit: &treasuryv1.Deposit{Cheques: cheques, BankDate: day(14), Document: "0000123"},
	}); err != nil {
		return err
	}
	// The second invoice has no date of payment, so it is still to be paid.
	for _, e := range []*treasuryv1.Expense{
		{Document: "2026-041", DocumentDate: day(40), PayDate: day(25), Amount: euros(150_00), Stage: "1"},
		{Document: "2026-058", DocumentDate: day(6), Amount: euros(120_00), Stage: "2"},
	} {
		e.Kind, e.Payee, e.Campaign = treasuryv1.ExpenseKind_EXPENSE_KIND_LAWYER, "Cabinet Martin", d.campaignName()
		if _, err := treasury.CreateExpense(asTreasurer, &treasuryv1.CreateExpenseRequest{
			Parent: d.collectiveName(), RequestId: uuid.NewString(), Expense: e,
		}); err != nil {
			return err
		}
	}
	return nil
}

// refundAndDispute refunds a part of the campaign's last donation by card, as Stripe's dashboard does, and lets a bank
// dispute the one before. The simulator acts here without the service, which learns of both by webhook. Sessions are
// oldest first, so the last charges are the newest.
func (s *seeder) refundAndDispute(d demo) error {
	var charges []string
	for _, session := range s.sim.Sessions("") {
		if s.byCard[session.ID] == d.campaignName() {
			charges = append(charges, session.ChargeID)
		}
	}
	// It takes two donations by card: one to refund, one to dispute.
	if len(charges) < 2 {
		return errors.New("the demo has fewer than two donations by card")
	}
	if _, err := s.sim.Refund(charges[len(charges)-1], 1_00); err != nil {
		return err
	}
	_, err := s.sim.Dispute(charges[len(charges)-2], stripesim.Disputed{Reason: "unrecognized"})
	return err
}
