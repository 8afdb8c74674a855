package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// TestATreasurerCorrectsABooking pays a donation, and a poster that nobody has classified: what Stripe reported stays, and the
// poster's income is moved.
func TestATreasurerCorrectsABooking(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	treasurer := e.Key("collectives/vallon", accessv1.Role_ROLE_TREASURER)
	auditor := e.Key("collectives/vallon", accessv1.Role_ROLE_AUDITOR)
	donation := give(t, e.Conn, donationTo(campaign))
	pay(t, e, donation)
	buyPoster(t, e)
	list := func(ctx context.Context, conn grpc.ClientConnInterface, req *ledgerv1.ListTransactionsRequest) []*ledgerv1.Transaction {
		req.Parent = "collectives/vallon/ledger"
		resp, err := ledgerv1.NewLedgerServiceClient(conn).ListTransactions(apptest.WithKey(ctx, auditor), req)
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetTransactions()
	}
	var given, posters []*ledgerv1.Transaction
	e.Eventually("both are booked", func() bool {
		given = list(e.Context(), e.Conn, &ledgerv1.ListTransactionsRequest{Kind: "donation", Account: "75411"})
		posters = list(e.Context(), e.Conn, &ledgerv1.ListTransactionsRequest{Account: "4718"})
		return len(given) == 1 && len(posters) == 1
	})
	before, _ := progress(t, e.Conn, campaign)
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		books := ledgerv1.NewLedgerServiceClient(conn)
		for _, stripes := range []*ledgerv1.Transaction{given[0], posters[0]} {
			req := &ledgerv1.ReverseTransactionRequest{Name: stripes.GetName(), RequestId: uuid.NewString()}
			_, err := books.ReverseTransaction(apptest.WithKey(t.Context(), treasurer), req)
			wantError(t, err, codes.FailedPrecondition, "REVERSED_ELSEWHERE", "")
		}
		move := &ledgerv1.ReclassifyTransactionRequest{
			Name: posters[0].GetName(), RequestId: uuid.NewString(),
			From:      &ledgerv1.Entry{Account: "4718", Amount: &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: -500}},
			ToAccount: "75411", ToCampaign: campaign,
		}
		_, err := books.ReclassifyTransaction(apptest.WithKey(t.Context(), auditor), move)
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		_, err = books.ReclassifyTransaction(t.Context(), move)
		wantError(t, err, codes.Unauthenticated, "UNAUTHENTICATED", "")
		var moved *ledgerv1.Transaction
		for range 2 {
			if moved, err = books.ReclassifyTransaction(apptest.WithKey(t.Context(), treasurer), move); err != nil {
				t.Fatal(err)
			}
		}
		if moved.GetReclassifies() != move.GetName() {
			t.Errorf("it corrects %q", moved.GetReclassifies())
		}
		if settled, _ := progress(t, e.Conn, campaign); settled != before+500 {
			t.Errorf("progress went from %d to %d", before, settled)
		}
		move.ToCampaign = "collectives/vallon/campaigns/none"
		_, err = books.ReclassifyTransaction(apptest.WithKey(t.Context(), treasurer), move)
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		back := &ledgerv1.ReverseTransactionRequest{Name: moved.GetName(), RequestId: uuid.NewString()}
		_, err = books.ReverseTransaction(apptest.WithKey(t.Context(), auditor), back)
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		for range 2 {
			reversal, err := books.ReverseTransaction(apptest.WithKey(t.Context(), treasurer), back)
			if err != nil || reversal.GetReverses() != moved.GetName() {
				t.Errorf("it reverses %q, err = %v", reversal.GetReverses(), err)
			}
		}
		if settled, _ := progress(t, e.Conn, campaign); settled != before {
			t.Errorf("progress went from %d to %d", before, settled)
		}
		got, err := donationsv1.NewDonationsServiceClient(conn).GetDonation(apptest.WithKey(t.Context(), auditor), &donationsv1.GetDonationRequest{Name: donation.GetName()})
		if err != nil || got.GetState() != donationsv1.DonationState_DONATION_STATE_SUCCEEDED {
			t.Errorf("the donation is %v, err = %v", got.GetState(), err)
		}
		back.RequestId = "not one"
		_, err = books.ReverseTransaction(apptest.WithKey(t.Context(), treasurer), back)
		wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "request_id")
	})
}

// buyPoster pays 5 € on the platform's account for something that the service knows nothing of.
func buyPoster(t *testing.T, e *apptest.Env) {
	t.Helper()
	buyPosterOn(t, e, "")
}

// buyPosterOn is buyPoster on a connected account.
func buyPosterOn(t *testing.T, e *apptest.Env, account string) {
	t.Helper()
	form := url.Values{
		"mode": {"payment"}, "success_url": {"https://shop.example"},
		"line_items[0][quantity]":                       {"1"},
		"line_items[0][price_data][currency]":           {"eur"},
		"line_items[0][price_data][unit_amount]":        {"500"},
		"line_items[0][price_data][product_data][name]": {"A poster"},
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.SimURL+"/v1/checkout/sessions", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer sk_test_simulated")
	req.Header.Set("Stripe-Version", stripesim.Version)
	if account != "" {
		req.Header.Set("Stripe-Account", account)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var session struct{ ID string }
	if err := json.NewDecoder(resp.Body).Decode(&session); err != nil || session.ID == "" {
		t.Fatalf("no session: %v", err)
	}
	if err := e.Sim.Pay(session.ID, stripesim.CardOK); err != nil {
		t.Fatal(err)
	}
}

func TestAnAuditorReadsAStatement(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	auditor := e.Key("collectives/vallon", accessv1.Role_ROLE_AUDITOR)
	editor := e.Key("collectives/vallon", accessv1.Role_ROLE_EDITOR)
	pay(t, e, give(t, e.Conn, donationTo(campaign)))
	req := &ledgerv1.ListStatementLinesRequest{Parent: "collectives/vallon/ledger/accounts/75411"}
	e.Eventually("it is sealed", func() bool {
		resp, err := ledgerv1.NewLedgerServiceClient(e.Conn).ListStatementLines(apptest.WithKey(e.Context(), auditor), req)
		return err == nil && len(resp.GetLines()) == 1
	})
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		books := ledgerv1.NewLedgerServiceClient(conn)
		resp, err := books.ListStatementLines(apptest.WithKey(t.Context(), auditor), req)
		if err != nil {
			t.Fatal(err)
		}
		line := resp.GetLines()[0]
		if line.GetBalance().GetAmountMinor() != line.GetAmount().GetAmountMinor() || line.GetCampaign() != campaign || resp.GetAtNumber() != line.GetNumber() {
			t.Errorf("answered %v", resp)
		}
		accounts, err := books.ListAccounts(apptest.WithKey(t.Context(), auditor), &ledgerv1.ListAccountsRequest{
			Parent: "collectives/vallon/ledger", Campaign: campaign, AtNumber: resp.GetAtNumber(),
		})
		if err != nil || len(accounts.GetAccounts()) == 0 {
			t.Errorf("accounts %v, err = %v", accounts, err)
		}
		_, err = books.ListStatementLines(apptest.WithKey(t.Context(), editor), req)
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		_, err = books.ListStatementLines(t.Context(), req)
		wantError(t, err, codes.Unauthenticated, "UNAUTHENTICATED", "")
	})
}

func TestAChartIsItsBooks(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	e.Campaign("vallon")
	treasurer := e.Key("collectives/vallon", accessv1.Role_ROLE_TREASURER)
	auditor := e.Key("collectives/vallon", accessv1.Role_ROLE_AUDITOR)
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		books := ledgerv1.NewLedgerServiceClient(conn)
		add := &ledgerv1.CreateAccountRequest{Parent: "collectives/vallon/ledger", AccountId: "6228", Account: &ledgerv1.Account{
			DisplayName: "Divers honoraires", Type: ledgerv1.AccountType_ACCOUNT_TYPE_EXPENSE,
		}}
		for range 2 {
			if _, err := books.CreateAccount(apptest.WithKey(t.Context(), treasurer), add); err != nil {
				t.Fatal(err)
			}
		}
		_, err := books.CreateAccount(apptest.WithKey(t.Context(), auditor), add)
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		change := &ledgerv1.UpdateAccountRequest{Account: &ledgerv1.Account{Name: "collectives/vallon/ledger/accounts/6228", DisplayName: "Honoraires divers"}}
		_, err = books.UpdateAccount(apptest.WithKey(t.Context(), treasurer), change)
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		changed, err := books.UpdateAccount(apptest.WithKey(t.Context(), e.OperatorKey), change)
		if err != nil || changed.GetDisplayName() != "Honoraires divers" {
			t.Fatalf("changed %v, err = %v", changed, err)
		}
		got, err := books.GetAccount(apptest.WithKey(t.Context(), auditor), &ledgerv1.GetAccountRequest{Name: changed.GetName()})
		if err != nil || got.GetDisplayName() != "Honoraires divers" || got.GetCode() != "6228" {
			t.Errorf("got %v, err = %v", got, err)
		}
		_, err = books.GetAccount(apptest.WithKey(t.Context(), auditor), &ledgerv1.GetAccountRequest{Name: "collectives/vallon/ledger/accounts/1"})
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		change.Account.DisplayName = "Divers honoraires"
		if _, err = books.UpdateAccount(apptest.WithKey(t.Context(), e.OperatorKey), change); err != nil {
			t.Error(err)
		}
	})
}

// TestAChartOfSeveralIsTheOperators adds a second collective to a book.
func TestAChartOfSeveralIsTheOperators(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	e.Campaign("vallon")
	e.Campaign("marseille")
	treasurer := e.Key("collectives/vallon", accessv1.Role_ROLE_TREASURER)
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		books := ledgerv1.NewLedgerServiceClient(conn)
		add := &ledgerv1.CreateAccountRequest{Parent: "collectives/vallon/ledger", AccountId: "6228", Account: &ledgerv1.Account{
			DisplayName: "Divers honoraires", Type: ledgerv1.AccountType_ACCOUNT_TYPE_EXPENSE,
		}}
		_, err := books.CreateAccount(apptest.WithKey(t.Context(), treasurer), add)
		wantError(t, err, codes.FailedPrecondition, "SHARED_CHART", "")
		if _, err := books.CreateAccount(apptest.WithKey(t.Context(), e.OperatorKey), add); err != nil {
			t.Error(err)
		}
	})
}

// TestTheCheckpointTellsOfNobodyUnpublished compares the answers for a collective that has published nothing with those for
// one that is not, to the byte over REST.
func TestTheCheckpointTellsOfNobodyUnpublished(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	pay(t, e, give(t, e.Conn, donationTo(campaign)))
	ledgers := ledgerv1.NewLedgerServiceClient(e.Conn)
	e.Eventually("the book has a checkpoint", func() bool {
		_, err := ledgers.GetCheckpoint(e.Context(), &ledgerv1.GetCheckpointRequest{Name: "collectives/vallon/ledger/checkpoint"})
		return err == nil
	})
	// Both names are of one length.
	const hidden, absent = "secrete", "absente"
	if _, err := collectivesv1.NewCollectivesServiceClient(e.Conn).CreateCollective(apptest.WithKey(t.Context(), e.OperatorKey), &collectivesv1.CreateCollectiveRequest{
		CollectiveId: hidden, Collective: &collectivesv1.Collective{DisplayName: "Secrète"},
	}); err != nil {
		t.Fatal(err)
	}
	auditor := e.Key("collectives/"+hidden, accessv1.Role_ROLE_AUDITOR)
	donation := "/campaigns/avocate/donations/" + uuid.NewString()
	answer := func(t *testing.T, path string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+e.App.HTTPAddr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d, %v", path, resp.StatusCode, err)
		}
		// These are another's at each answer.
		id := resp.Header.Get("X-Request-Id")
		for _, own := range []string{"X-Request-Id", "Date", "Grpc-Metadata-X-Request-Id"} {
			resp.Header.Del(own)
		}
		var headers strings.Builder
		if err := resp.Header.Write(&headers); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%d\n%s\n%s", resp.StatusCode, headers.String(), body)
		if id != "" {
			text = strings.ReplaceAll(text, id, "ID")
		}
		return text
	}
	for _, path := range []string{"/v1/collectives/%s/ledger/checkpoint", "/v1/collectives/%s" + donation + "/proof"} {
		got := answer(t, fmt.Sprintf(path, hidden))
		want := strings.ReplaceAll(answer(t, fmt.Sprintf(path, absent)), absent, hidden)
		if got != want {
			t.Errorf("%s: answers differ:\n%s\nand for one that is not:\n%s", path, got, want)
		}
	}
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		books := ledgerv1.NewLedgerServiceClient(conn)
		var answers []string
		for _, collective := range []string{hidden, absent} {
			_, err := books.GetCheckpoint(t.Context(), &ledgerv1.GetCheckpointRequest{Name: "collectives/" + collective + "/ledger/checkpoint"})
			wantError(t, err, codes.NotFound, "NOT_FOUND", "")
			answers = append(answers, strings.ReplaceAll(status.Convert(err).Message(), collective, "X"))
			_, err = books.GetDonationProof(t.Context(), &ledgerv1.GetDonationProofRequest{Name: "collectives/" + collective + donation + "/proof"})
			wantError(t, err, codes.NotFound, "NOT_FOUND", "")
			answers = append(answers, strings.ReplaceAll(status.Convert(err).Message(), collective, "X"))
		}
		if answers[0] != answers[2] || answers[1] != answers[3] {
			t.Errorf("answers are %q", answers)
		}
		if _, err := books.GetCheckpoint(apptest.WithKey(t.Context(), auditor), &ledgerv1.GetCheckpointRequest{Name: "collectives/" + hidden + "/ledger/checkpoint"}); err != nil {
			t.Errorf("its own auditor: %v", err)
		}
	})
}

// TestEachChartTakesAWholeFlow gives online, pays out, and enters offline donations in each chart, and looks at where it went.
func TestEachChartTakesAWholeFlow(t *testing.T) {
	wants := map[string]map[string]int64{
		"fr-associations-2025": {"75411": -40_00, "627": 0, "530": 20_00, "6226": 250_00, "401": -250_00},
		"fr-associations-2018": {"75411": -40_00, "627": 0, "530": 20_00, "6226": 250_00, "401": -250_00},
		"en-plain":             {"4000": -40_00, "5000": 0, "1000": 20_00, "5200": 250_00, "2000": -250_00},
	}
	if len(wants) != len(ledger.Charts()) {
		t.Errorf("there are the charts %v", ledger.Charts())
	}
	t.Run("a chart that is not stops the start", func(t *testing.T) {
		e := apptest.Start(t, apptest.Config{})
		_, err := app.FromEnv(settingsOf(e, map[string]string{"CAGNOTTE_CHART": "klingon"}))
		if err == nil || !strings.Contains(err.Error(), "CAGNOTTE_CHART") || !strings.Contains(err.Error(), "en-plain") {
			t.Errorf("err = %v", err)
		}
		cfg, err := app.FromEnv(settingsOf(e, map[string]string{"CAGNOTTE_CHART": "fr-associations-2018"}))
		if err != nil || cfg.Chart != "fr-associations-2018" {
			t.Errorf("the chart is %q, err = %v", cfg.Chart, err)
		}
	})
	for chart, want := range wants {
		t.Run(chart, func(t *testing.T) {
			t.Parallel()
			e := apptest.Start(t, apptest.Config{Chart: chart})
			y := newTreasury(t, e, "vallon")
			pay(t, e, give(t, e.Conn, donationTo(y.campaign)))
			hand := treasuryv1.NewTreasuryServiceClient(e.Conn)
			if _, err := hand.CreateOfflineDonation(y.ctx(t), y.cash(20_00)); err != nil {
				t.Fatal(err)
			}
			if _, err := hand.CreateExpense(y.ctx(t), y.invoice("F-1", 250_00)); err != nil {
				t.Fatal(err)
			}
			e.Eventually("all is booked", func() bool {
				settled, _ := progress(t, e.Conn, y.campaign)
				return settled == 40_00
			})
			got := balances(t, e.Conn, y.reader, y.collective)
			for code, minor := range want {
				if balance := got[code]; minor != 0 && balance != minor || minor == 0 && balance <= 0 {
					t.Errorf("%s has %d, want %d: %v", code, balance, minor, got)
				}
			}
			if chart != "en-plain" {
				return
			}
			var told strings.Builder
			e.Eventually("the books are sealed and sound", func() bool {
				told.Reset()
				return app.VerifyLedger(t.Context(), e.DatabaseURL, nil, nil, &told) == nil && strings.Contains(told.String(), " 0 waiting")
			})
		})
	}
}
