package app_test

import (
	"encoding/csv"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	payoutsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/payouts/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

const day = 24 * time.Hour

// bank and transit are the accounts of the French chart.
const (
	bank    = "51211"
	transit = "580"
)

func listPayouts(t *testing.T, conn grpc.ClientConnInterface, key, parent string) []*payoutsv1.Payout {
	t.Helper()
	resp, err := payoutsv1.NewPayoutsServiceClient(conn).ListPayouts(apptest.WithKey(t.Context(), key), &payoutsv1.ListPayoutsRequest{Parent: parent})
	if err != nil {
		t.Fatalf("payouts of %s: %v", parent, err)
	}
	return resp.GetPayouts()
}

// TestPayouts lives through a payout with two donations and a refund inside, which fails after it was paid, and the next
// one, with webhooks that come twice and in any order.
func TestPayouts(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	e.Sim.SetDelivery(stripesim.Delivery{Twice: true, Shuffle: true})
	campaign, _ := e.Campaign("vallon")
	const collective = "collectives/vallon"
	treasurer, editor := e.Key(collective, accessv1.Role_ROLE_TREASURER), e.Key(collective, accessv1.Role_ROLE_EDITOR)
	e.Campaign("marseille")
	stranger := e.Key("collectives/marseille", accessv1.Role_ROLE_TREASURER)
	for range 2 {
		pay(t, e, give(t, e.Conn, donationTo(campaign)))
	}
	if _, err := e.Sim.Refund(e.Sim.Sessions("")[0].ChargeID, 500); err != nil {
		t.Fatal(err)
	}
	if err := e.Sim.SchedulePayouts("", true); err != nil {
		t.Fatal(err)
	}
	banked := func(want int64) func() bool {
		return func() bool {
			got := balances(t, e.Conn, treasurer, collective)
			return got[bank] == want && got[transit] == 0
		}
	}
	// The refund first, alone and negative; the donations a week later.
	e.Clock.Advance(12 * day)
	e.Eventually("both reach the bank", banked(2*1945-500))
	if got := e.Sim.Payouts(""); len(got) != 2 || got[0].AmountMinor != -500 || got[1].AmountMinor != 2*1945 {
		t.Fatalf("paid out %v", got)
	}
	e.Eventually("the later one is compared", func() bool { // which is after its line at the bank
		return listPayouts(t, e.Conn, treasurer, collective)[0].GetReconciliation() == payoutsv1.Reconciliation_RECONCILIATION_MATCHED
	})
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		api := payoutsv1.NewPayoutsServiceClient(conn)
		list := listPayouts(t, conn, treasurer, collective)
		if len(list) != 2 || list[0].GetState() != payoutsv1.PayoutState_PAYOUT_STATE_PAID {
			t.Fatalf("lists %v", list)
		}
		name := list[0].GetName()
		got, err := api.GetPayout(apptest.WithKey(t.Context(), treasurer), &payoutsv1.GetPayoutRequest{Name: name})
		if err != nil || got.GetReconciliation() != payoutsv1.Reconciliation_RECONCILIATION_MATCHED || got.GetBankTransaction() == "" {
			t.Errorf("it is %v, %v", got, err)
		}
		var sum int64
		req := &payoutsv1.ListPayoutLinesRequest{Parent: name, PageSize: 1}
		for {
			resp, err := api.ListPayoutLines(apptest.WithKey(t.Context(), treasurer), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range resp.GetLines() {
				sum += l.GetNet().GetAmountMinor()
				if l.GetKind() != payoutsv1.PayoutLineKind_PAYOUT_LINE_KIND_DONATION || !strings.HasPrefix(l.GetDonation(), campaign+"/donations/") {
					t.Errorf("inside is %v", l)
				}
				if one, err := api.GetPayoutLine(apptest.WithKey(t.Context(), treasurer), &payoutsv1.GetPayoutLineRequest{Name: l.GetName()}); err != nil || !proto.Equal(one, l) {
					t.Errorf("%s is %v, %v; listed as %v", l.GetName(), one, err, l)
				}
				_, err = api.GetPayoutLine(apptest.WithKey(t.Context(), stranger), &payoutsv1.GetPayoutLineRequest{Name: l.GetName()})
				wantError(t, err, codes.NotFound, "NOT_FOUND", "")
				inInstance := strings.Replace(l.GetName(), collective, "instance", 1) + ".vallon"
				if one, err := api.GetPayoutLine(apptest.WithKey(t.Context(), e.OperatorKey), &payoutsv1.GetPayoutLineRequest{Name: inInstance}); err != nil || one.GetName() != inInstance || one.GetNet().GetAmountMinor() != l.GetNet().GetAmountMinor() {
					t.Errorf("%s is %v, %v", inInstance, one, err)
				}
			}
			if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		if sum != got.GetShareAmount().GetAmountMinor() || sum != 2*1945 {
			t.Errorf("inside are %d of %v", sum, got.GetShareAmount())
		}
		for _, none := range []string{"/lines/txn_none", "/lines/remainder"} {
			_, err = api.GetPayoutLine(apptest.WithKey(t.Context(), treasurer), &payoutsv1.GetPayoutLineRequest{Name: name + none})
			wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		}
		_, err = api.GetPayout(apptest.WithKey(t.Context(), stranger), &payoutsv1.GetPayoutRequest{Name: name})
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		if list := listPayouts(t, conn, stranger, "collectives/marseille"); len(list) != 0 {
			t.Errorf("a neighbour sees %v", list)
		}
		for _, key := range []string{editor, stranger} {
			_, err = api.ListPayouts(apptest.WithKey(t.Context(), key), &payoutsv1.ListPayoutsRequest{Parent: collective})
			wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		}
		_, err = api.ListPayouts(apptest.WithKey(t.Context(), treasurer), &payoutsv1.ListPayoutsRequest{Parent: "instance"})
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		_, err = api.ListPayouts(t.Context(), &payoutsv1.ListPayoutsRequest{Parent: collective})
		wantError(t, err, codes.Unauthenticated, "UNAUTHENTICATED", "")
		_, err = api.ListPayouts(apptest.WithKey(t.Context(), treasurer), &payoutsv1.ListPayoutsRequest{Parent: collective, PageToken: "forged"})
		wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "page_token")
		if list := listPayouts(t, conn, e.OperatorKey, "instance"); len(list) != 2 {
			t.Errorf("the operator sees %v", list)
		}
	})

	if err := e.Sim.FailPayout(e.Sim.Payouts("")[1].ID, "account_closed"); err != nil {
		t.Fatal(err)
	}
	e.Eventually("the money is back", banked(-500))
	e.Clock.Advance(4 * day)
	e.Eventually("the next one has it", banked(2*1945-500))
	report := payoutReport(t, e, treasurer, collective)
	// A refund, two donations that came back, and what came back.
	want := "bank refund | bank donation donation | bank payout | bank payout"
	if report != want {
		t.Errorf("reported is %q, want %q", report, want)
	}
}

// payoutReport downloads the report, checks that each line at the bank is the sum of what is inside, and answers the
// kinds of lines.
func payoutReport(t *testing.T, e *apptest.Env, key, collective string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL+"/v1/"+collective+"/ledger:export?format=PAYOUTS", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("ETag") == "" {
		t.Fatalf("%d %s %v", resp.StatusCode, body, err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(body))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	sum := int64(0)
	for _, row := range rows[1:] {
		kind, net := row[3], cents(t, row[8])
		if row[2] == "0" {
			if sum != 0 {
				t.Errorf("%d is left before %v", sum, row)
			}
			if len(kinds) > 0 {
				kinds = append(kinds, "|")
			}
			sum = net
		} else {
			sum -= net
		}
		if cents(t, row[6])-cents(t, row[7]) != net {
			t.Errorf("gross, fee and net do not fit in %v", row)
		}
		kinds = append(kinds, kind)
	}
	if sum != 0 {
		t.Errorf("%d is left", sum)
	}
	return strings.Join(kinds, " ")
}

// cents reads an amount of euros.
func cents(t *testing.T, decimal string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.Replace(decimal, ".", "", 1), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestPayoutsWithoutWebhooks are found by the timer, also one that was made by hand.
func TestPayoutsWithoutWebhooks(t *testing.T) {
	e := apptest.Start(t, apptest.Config{SyncEvery: time.Second})
	e.Sim.SetDelivery(stripesim.Delivery{Drop: true})
	campaign, treasurer := e.Campaign("vallon")
	const collective = "collectives/vallon"
	pay(t, e, give(t, e.Conn, donationTo(campaign)))
	e.Clock.Advance(8 * day)
	if _, err := e.Sim.CreatePayout("", 1000, "eur"); err != nil {
		t.Fatal(err)
	}
	e.Clock.Advance(3 * day)
	e.Eventually("it reaches the bank", func() bool {
		got := balances(t, e.Conn, treasurer, collective)
		return got[bank] == 1000 && got[transit] == 0
	})
	if got := payoutReport(t, e, treasurer, collective); got != "bank undetailed" {
		t.Errorf("reported is %q", got)
	}
	list := listPayouts(t, e.Conn, treasurer, collective)
	if len(list) != 1 || list[0].GetReconciliation() != payoutsv1.Reconciliation_RECONCILIATION_NOT_APPLICABLE {
		t.Errorf("lists %v", list)
	}
}
