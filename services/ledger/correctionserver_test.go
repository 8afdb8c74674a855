package ledger_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// transactionOf is the name of the transaction of a reference, in a collective's share.
func transactionOf(t *testing.T, pool *pgxpool.Pool, collective, reference string) string {
	t.Helper()
	var id int64
	if err := pool.QueryRow(t.Context(), `SELECT id FROM ledger.transactions WHERE reference = $1`, reference).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("collectives/%s/ledger/transactions/%d", collective, id)
}

// unclassified is a payment that is not classified yet: with its fee, and of no donation.
func unclassified(reference string, minor int64) ledger.Transaction {
	entry := func(role ledger.AccountRole, minor int64) ledger.Entry {
		return ledger.Entry{Role: role, Amount: money.Amount{Minor: minor, Currency: "EUR"}, Collective: vallon}
	}
	return ledger.Transaction{Reference: reference, Kind: ledger.KindOther, Effective: day(1), Entries: []ledger.Entry{
		entry(ledger.RoleStripeBalance, minor-30), entry(ledger.RoleStripeFees, 30), entry(ledger.RoleUnknownReceipts, -minor),
	}}
}

func TestReclassifyTransaction(t *testing.T) {
	s, pool := openSealing(t)
	server := serverOf(s)
	mustPost(t, s, pool, donation("txn_donation", day(1), 2000), unclassified("txn_other", 5000))
	campaign := "collectives/" + vallon + "/campaigns/" + lawyer
	balance := func(code string) int64 {
		t.Helper()
		accounts, err := s.Accounts(t.Context(), book, vallon, day(400))
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range accounts {
			if a.Code == code && len(a.Balances) == 1 {
				return a.Balances[0].Minor
			}
		}
		return 0
	}
	stripe := balance("51212")
	move := &ledgerv1.ReclassifyTransactionRequest{
		Name: transactionOf(t, pool, vallon, "txn_other"), RequestId: uuid.NewString(), EffectiveTime: timestamppb.New(day(5)),
		From:      &ledgerv1.Entry{Account: "4718", Amount: &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: -3000}},
		ToAccount: "75411", ToCampaign: campaign,
	}
	var moved *ledgerv1.Transaction
	t.Run("moves a part, twice the same", func(t *testing.T) {
		first, err := server.ReclassifyTransaction(t.Context(), move)
		if err != nil {
			t.Fatal(err)
		}
		if first.GetReclassifies() != move.GetName() || first.GetKind() != "reclassification" || len(first.GetEntries()) != 2 ||
			!first.GetEffectiveTime().AsTime().Equal(day(5)) {
			t.Errorf("answered %v", first)
		}
		again, err := server.ReclassifyTransaction(t.Context(), move)
		if err != nil || !proto.Equal(first, again) {
			t.Errorf("answered %v, err = %v", again, err)
		}
		moved = first
		total(t, s, 5000)
		if got := balance("4718"); got != -2000 {
			t.Errorf("%d are unclassified", got)
		}
	})
	for _, c := range []struct {
		rule   string
		change func(*ledgerv1.ReclassifyTransactionRequest)
		code   codes.Code
		reason errs.Reason
	}{
		{"refuses more than is left", func(*ledgerv1.ReclassifyTransactionRequest) {}, codes.FailedPrecondition, errorsv1.ErrorReason_OVER_RECLASSIFIED},
		{"refuses the other sign", func(r *ledgerv1.ReclassifyTransactionRequest) { r.From.Amount.AmountMinor = 100 }, codes.FailedPrecondition, errorsv1.ErrorReason_OVER_RECLASSIFIED},
		{"refuses another currency", func(r *ledgerv1.ReclassifyTransactionRequest) { r.From.Amount.CurrencyCode = "USD" }, codes.FailedPrecondition, errorsv1.ErrorReason_OVER_RECLASSIFIED},
		{"refuses nothing", func(r *ledgerv1.ReclassifyTransactionRequest) { r.From.Amount.AmountMinor = 0 }, codes.InvalidArgument, errorsv1.ErrorReason_ENTRY_ZERO},
		{"refuses the Stripe account", func(r *ledgerv1.ReclassifyTransactionRequest) {
			r.From.Account, r.From.Amount.AmountMinor = "51212", 100
		}, codes.FailedPrecondition, errorsv1.ErrorReason_MONEY_ACCOUNT},
		{"refuses to move to the Stripe account", func(r *ledgerv1.ReclassifyTransactionRequest) {
			r.ToAccount, r.ToCampaign, r.From.Amount.AmountMinor = "51212", "", -100
		}, codes.FailedPrecondition, errorsv1.ErrorReason_MONEY_ACCOUNT},
		{"refuses to move to the bank", func(r *ledgerv1.ReclassifyTransactionRequest) {
			r.ToAccount, r.From.Amount.AmountMinor = "51211", -100
		}, codes.FailedPrecondition, errorsv1.ErrorReason_MONEY_ACCOUNT},
		{"refuses what belongs to a donation", func(r *ledgerv1.ReclassifyTransactionRequest) {
			r.Name = transactionOf(t, pool, vallon, "txn_donation")
			r.From = &ledgerv1.Entry{
				Account: "75411", Campaign: campaign, Amount: &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: -2000},
				Donation: campaign + "/donations/" + donationOf("txn_donation"),
			}
		}, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD},
		{"refuses it without the donation's name too", func(r *ledgerv1.ReclassifyTransactionRequest) {
			r.Name = transactionOf(t, pool, vallon, "txn_donation")
			r.From = &ledgerv1.Entry{Account: "75411", Campaign: campaign, Amount: &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: -2000}}
			r.ToCampaign = ""
		}, codes.FailedPrecondition, errorsv1.ErrorReason_OVER_RECLASSIFIED},
		{"refuses the same place", func(r *ledgerv1.ReclassifyTransactionRequest) { r.ToAccount, r.ToCampaign = "4718", "" }, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD},
		{"refuses an account that is not", func(r *ledgerv1.ReclassifyTransactionRequest) {
			r.ToAccount, r.From.Amount.AmountMinor = "99999", -100
		}, codes.InvalidArgument, errorsv1.ErrorReason_ACCOUNT_UNKNOWN},
		{"does not find a campaign that is not", func(r *ledgerv1.ReclassifyTransactionRequest) { r.ToCampaign = campaign + "-2" }, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND},
		{"refuses another's campaign", func(r *ledgerv1.ReclassifyTransactionRequest) {
			r.ToCampaign = "collectives/" + marseille + "/campaigns/" + lawyer
		}, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD},
		{"does not find another's transaction", func(r *ledgerv1.ReclassifyTransactionRequest) {
			r.Name = transactionOf(t, pool, marseille, "txn_other")
		}, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND},
		{"refuses another amount under the request id", func(r *ledgerv1.ReclassifyTransactionRequest) {
			r.RequestId, r.From.Amount.AmountMinor = move.GetRequestId(), -100
		}, codes.AlreadyExists, errorsv1.ErrorReason_REFERENCE_REUSED},
		{"refuses another transaction under the request id", func(r *ledgerv1.ReclassifyTransactionRequest) {
			r.RequestId, r.Name = move.GetRequestId(), transactionOf(t, pool, vallon, "txn_donation")
		}, codes.AlreadyExists, errorsv1.ErrorReason_REFERENCE_REUSED},
	} {
		t.Run(c.rule, func(t *testing.T) {
			req := proto.CloneOf(move)
			req.RequestId = uuid.NewString()
			c.change(req)
			_, err := server.ReclassifyTransaction(t.Context(), req)
			if errs.Code(err) != c.code || reasonOf(err) != c.reason {
				t.Errorf("err = %v", err)
			}
			total(t, s, 5000)
		})
	}
	t.Run("refuses to correct a correction", func(t *testing.T) {
		req := proto.CloneOf(move)
		req.Name, req.RequestId = moved.GetName(), uuid.NewString()
		req.From = &ledgerv1.Entry{Account: "75411", Campaign: campaign, Amount: &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: -100}}
		req.ToCampaign = ""
		if _, err := server.ReclassifyTransaction(t.Context(), req); reasonOf(err) != errorsv1.ErrorReason_NO_ORIGINAL {
			t.Errorf("err = %v", err)
		}
	})
	// onward moves what was moved to another campaign.
	onward := proto.CloneOf(move)
	onward.RequestId = uuid.NewString()
	onward.From = &ledgerv1.Entry{Account: "75411", Campaign: campaign, Amount: &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: -3000}}
	onward.ToCampaign = "collectives/" + vallon + "/campaigns/second"
	reverse := func(name string) error {
		_, err := server.ReverseTransaction(t.Context(), &ledgerv1.ReverseTransactionRequest{Name: name, RequestId: uuid.NewString()})
		return err
	}
	t.Run("moves on, and is reversed from the end", func(t *testing.T) {
		second, err := server.ReclassifyTransaction(t.Context(), onward)
		if err != nil {
			t.Fatal(err)
		}
		total(t, s, 2000)
		if err := reverse(moved.GetName()); reasonOf(err) != errorsv1.ErrorReason_OVER_REVERSED {
			t.Errorf("the first before the second: err = %v", err)
		}
		for _, name := range []string{second.GetName(), moved.GetName()} {
			if err := reverse(name); err != nil {
				t.Error(err)
			}
		}
		if err := reverse(moved.GetName()); reasonOf(err) != errorsv1.ErrorReason_NOTHING_TO_REVERSE {
			t.Errorf("again: err = %v", err)
		}
		total(t, s, 2000)
		if got := balance("4718"); got != -5000 {
			t.Errorf("%d are unclassified", got)
		}
	})
	t.Run("moves no more in all when many ask at once", func(t *testing.T) {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				req := proto.CloneOf(move)
				req.RequestId = uuid.NewString()
				if _, err := server.ReclassifyTransaction(t.Context(), req); err != nil && reasonOf(err) != errorsv1.ErrorReason_OVER_RECLASSIFIED {
					t.Error(err)
				}
			})
		}
		all.Wait()
		total(t, s, 5000)
	})
	if got := balance("51212"); got != stripe {
		t.Errorf("Stripe's account went from %d to %d", stripe, got)
	}
	if err := s.SealAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	sound(t, s, book)
	t.Run("whose link is gone is found", func(t *testing.T) {
		tamper(t, pool, "DELETE FROM ledger.reclassifications WHERE transaction_id = "+moved.GetName()[strings.LastIndex(moved.GetName(), "/")+1:])
		report, err := s.Verify(t.Context(), book)
		if err != nil || !strings.Contains(fmt.Sprint(report.Differences), "does not say of what") {
			t.Errorf("found %v, err = %v", report.Differences, err)
		}
	})
}

func TestReverseTransaction(t *testing.T) {
	s, pool := openSealing(t)
	server := serverOf(s)
	mustPost(t, s, pool, donation("txn_1", day(1), 2000), unclassified("txn_2", 5000))
	campaign := "collectives/" + vallon + "/campaigns/" + lawyer
	reclassified, err := server.ReclassifyTransaction(t.Context(), &ledgerv1.ReclassifyTransactionRequest{
		Name: transactionOf(t, pool, vallon, "txn_2"), RequestId: uuid.NewString(), EffectiveTime: timestamppb.New(day(2)),
		From:      &ledgerv1.Entry{Account: "4718", Amount: &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: -5000}},
		ToAccount: "75411", ToCampaign: campaign,
	})
	if err != nil {
		t.Fatal(err)
	}
	entry := func(account, campaign string, minor int64) *ledgerv1.Entry {
		return &ledgerv1.Entry{Account: account, Amount: &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: minor}, Campaign: campaign}
	}
	part := &ledgerv1.ReverseTransactionRequest{
		Name: reclassified.GetName(), RequestId: uuid.NewString(), EffectiveTime: timestamppb.New(day(5)),
		Entries: []*ledgerv1.Entry{entry("4718", "", -500), entry("75411", campaign, 500)},
	}
	for _, reference := range []string{"txn_1", "txn_2"} {
		t.Run("refuses what Stripe reported, such as "+reference, func(t *testing.T) {
			_, err := server.ReverseTransaction(t.Context(), &ledgerv1.ReverseTransactionRequest{
				Name: transactionOf(t, pool, vallon, reference), RequestId: uuid.NewString(),
			})
			if errs.Code(err) != codes.FailedPrecondition || reasonOf(err) != errorsv1.ErrorReason_REVERSED_ELSEWHERE {
				t.Errorf("err = %v", err)
			}
			total(t, s, 7000)
		})
	}
	t.Run("a part, twice the same", func(t *testing.T) {
		first, err := server.ReverseTransaction(t.Context(), part)
		if err != nil {
			t.Fatal(err)
		}
		if first.GetReverses() != part.GetName() || first.GetKind() != "reversal" || len(first.GetEntries()) != 2 ||
			!first.GetEffectiveTime().AsTime().Equal(day(5)) {
			t.Errorf("answered %v", first)
		}
		again, err := server.ReverseTransaction(t.Context(), part)
		if err != nil || !proto.Equal(first, again) {
			t.Errorf("answered %v, err = %v", again, err)
		}
		total(t, s, 6500)
	})
	t.Run("whatever is left", func(t *testing.T) {
		if _, err := server.ReverseTransaction(t.Context(), &ledgerv1.ReverseTransactionRequest{Name: part.GetName(), RequestId: uuid.NewString()}); err != nil {
			t.Fatal(err)
		}
		total(t, s, 2000)
	})
	for _, c := range []struct {
		rule   string
		change func(*ledgerv1.ReverseTransactionRequest)
		code   codes.Code
		reason errs.Reason
	}{
		{"refuses more than is left", func(r *ledgerv1.ReverseTransactionRequest) { r.RequestId = uuid.NewString() }, codes.FailedPrecondition, errorsv1.ErrorReason_OVER_REVERSED},
		{"refuses when nothing is", func(r *ledgerv1.ReverseTransactionRequest) { r.RequestId, r.Entries = uuid.NewString(), nil }, codes.FailedPrecondition, errorsv1.ErrorReason_NOTHING_TO_REVERSE},
		{"refuses another time under the request id", func(r *ledgerv1.ReverseTransactionRequest) { r.EffectiveTime = timestamppb.New(day(6)) }, codes.AlreadyExists, errorsv1.ErrorReason_REFERENCE_REUSED},
		{"does not find another's", func(r *ledgerv1.ReverseTransactionRequest) {
			r.Name = transactionOf(t, pool, marseille, "txn_2")
		}, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND},
		{"does not find what is not", func(r *ledgerv1.ReverseTransactionRequest) { r.Name = vallonLedger + "/transactions/999999" }, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND},
		{"refuses another's campaign", func(r *ledgerv1.ReverseTransactionRequest) {
			r.Entries[1].Campaign = "collectives/" + marseille + "/campaigns/recours"
		}, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD},
		{"refuses a donation of another campaign", func(r *ledgerv1.ReverseTransactionRequest) {
			r.Entries[1].Donation = campaign + "-2/donations/" + donationOf("txn_1")
		}, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD},
		{"refuses a role for an account", func(r *ledgerv1.ReverseTransactionRequest) { r.Entries[0].Account = "donations" }, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD},
		{"refuses what does not balance", func(r *ledgerv1.ReverseTransactionRequest) {
			r.RequestId, r.Entries = uuid.NewString(), r.Entries[:1]
		}, codes.InvalidArgument, errorsv1.ErrorReason_UNBALANCED},
	} {
		t.Run(c.rule, func(t *testing.T) {
			req := proto.CloneOf(part)
			c.change(req)
			_, err := server.ReverseTransaction(t.Context(), req)
			if errs.Code(err) != c.code || reasonOf(err) != c.reason {
				t.Errorf("err = %v", err)
			}
			total(t, s, 2000)
		})
	}
}
