package ledger_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/ledger"
)

func TestReverseTransaction(t *testing.T) {
	s, pool := openSealing(t)
	server := serverOf(s)
	mustPost(t, s, pool, gift("txn_1", day(1), 2000))
	name := func(collective string) string {
		var id int64
		if err := pool.QueryRow(t.Context(), `SELECT id FROM ledger.transactions WHERE reference = 'txn_1'`).Scan(&id); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("collectives/%s/ledger/transactions/%d", collective, id)
	}
	campaign := "collectives/" + vallon + "/campaigns/" + lawyer
	entry := func(account string, minor int64) *ledgerv1.Entry {
		return &ledgerv1.Entry{
			Account: account, Amount: &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: minor},
			Campaign: campaign, Donation: campaign + "/donations/" + donationOf("txn_1"),
		}
	}
	part := &ledgerv1.ReverseTransactionRequest{
		Name: name(vallon), RequestId: uuid.NewString(), EffectiveTime: timestamppb.New(day(5)),
		Entries: []*ledgerv1.Entry{entry("51212", -500), entry("75411", 500)},
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
		total(t, s, 1500)
	})
	t.Run("whatever is left", func(t *testing.T) {
		if _, err := server.ReverseTransaction(t.Context(), &ledgerv1.ReverseTransactionRequest{Name: part.GetName(), RequestId: uuid.NewString()}); err != nil {
			t.Fatal(err)
		}
		total(t, s, 0)
	})
	for _, c := range []struct {
		rule   string
		change func(*ledgerv1.ReverseTransactionRequest)
		code   codes.Code
		reason string
	}{
		{"refuses more than is left", func(r *ledgerv1.ReverseTransactionRequest) { r.RequestId = uuid.NewString() }, codes.FailedPrecondition, ledger.ReasonOverReversed},
		{"refuses when nothing is", func(r *ledgerv1.ReverseTransactionRequest) { r.RequestId, r.Entries = uuid.NewString(), nil }, codes.FailedPrecondition, ledger.ReasonNothingToReverse},
		{"refuses another time under the request id", func(r *ledgerv1.ReverseTransactionRequest) { r.EffectiveTime = timestamppb.New(day(6)) }, codes.AlreadyExists, ledger.ReasonReferenceReused},
		{"does not find another's", func(r *ledgerv1.ReverseTransactionRequest) { r.Name = name(marseille) }, codes.NotFound, "NOT_FOUND"},
		{"does not find what is not", func(r *ledgerv1.ReverseTransactionRequest) { r.Name = vallonLedger + "/transactions/999999" }, codes.NotFound, "NOT_FOUND"},
		{"refuses another's campaign", func(r *ledgerv1.ReverseTransactionRequest) {
			r.Entries[0].Campaign = "collectives/" + marseille + "/campaigns/recours"
		}, codes.InvalidArgument, "INVALID_FIELD"},
		{"refuses a donation of another campaign", func(r *ledgerv1.ReverseTransactionRequest) { r.Entries[0].Campaign = campaign + "-2" }, codes.InvalidArgument, "INVALID_FIELD"},
		{"refuses a role for an account", func(r *ledgerv1.ReverseTransactionRequest) { r.Entries[0].Account = "gifts" }, codes.InvalidArgument, "INVALID_FIELD"},
		{"refuses what does not balance", func(r *ledgerv1.ReverseTransactionRequest) {
			r.RequestId, r.Entries = uuid.NewString(), r.Entries[:1]
		}, codes.InvalidArgument, "UNBALANCED"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			req := proto.CloneOf(part)
			c.change(req)
			_, err := server.ReverseTransaction(t.Context(), req)
			if errs.Code(err) != c.code || reasonOf(err) != c.reason {
				t.Errorf("err = %v", err)
			}
			total(t, s, 0)
		})
	}
}
