package app_test

import (
	"context"
	"encoding/csv"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/wall"
)

func TestADonationTravels(t *testing.T) {
	e := apptest.Start(t, apptest.Config{FeeDelay: time.Hour})
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		slug := "vallon-" + strings.ToLower(strings.TrimPrefix(t.Name(), "TestADonationTravels/"))
		campaign, owner := e.Campaign(slug)
		collective := "collectives/" + slug
		treasurer := e.Key(collective, accessv1.Role_ROLE_TREASURER)

		d := give(t, conn, donationTo(campaign))
		if d.GetState() != donationsv1.DonationState_DONATION_STATE_CREATED || d.GetCheckoutUrl() == "" {
			t.Fatalf("a new donation is %v at %q", d.GetState(), d.GetCheckoutUrl())
		}
		if got := outcome(t, conn, d); got != donationsv1.DonationOutcome_DONATION_OUTCOME_OPEN {
			t.Errorf("before payment the donor is told %v", got)
		}
		pay(t, e, d)
		e.Eventually("the donor is told that it arrived", func() bool {
			return outcome(t, conn, d) == donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED
		})
		if settled, pending := progress(t, e.Conn, campaign); settled != 0 || pending != 20_00 {
			t.Errorf("before Stripe's fee is known: settled %d, pending %d; want 0 and 2000", settled, pending)
		}

		e.Sim.SettleFees()
		e.Eventually("the donation is booked", func() bool {
			settled, pending := progress(t, e.Conn, campaign)
			return settled == 20_00 && pending == 0
		})
		// 1.5 % + 0.25 € of 20.00 € is 0.55 €.
		want := map[string]int64{"75411": -20_00, "627": 55, stripeAccount(t, conn, treasurer, collective): 19_45}
		if diff := cmp.Diff(want, balances(t, conn, treasurer, collective)); diff != "" {
			t.Errorf("the books (-want +got):\n%s", diff)
		}

		got, err := donationsv1.NewDonationsServiceClient(conn).GetDonation(apptest.WithKey(t.Context(), owner),
			&donationsv1.GetDonationRequest{Name: d.GetName()})
		if err != nil {
			t.Fatal(err)
		}
		if got.GetState() != donationsv1.DonationState_DONATION_STATE_SUCCEEDED || got.GetPayTime() == nil || got.GetBookTime() == nil || got.GetCheckoutUrl() != "" {
			t.Errorf("members see %v", got)
		}
		transactions, err := ledgerv1.NewLedgerServiceClient(conn).ListTransactions(apptest.WithKey(t.Context(), treasurer),
			&ledgerv1.ListTransactionsRequest{Parent: collective + "/ledger"})
		if err != nil || len(transactions.GetTransactions()) != 1 {
			t.Fatalf("transactions: %v, %v", transactions, err)
		}
		for _, entry := range transactions.GetTransactions()[0].GetEntries() {
			if entry.GetDonation() != d.GetName() || entry.GetCampaign() != campaign {
				t.Errorf("an entry says %q of %q", entry.GetDonation(), entry.GetCampaign())
			}
		}
	})
}

func TestADonationSentTwice(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon", "https://vallon.example")
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		req := donationTo(campaign)
		req.Donation.ReturnUrl = "https://vallon.example/merci"
		before := len(e.Sim.Sessions(""))
		first := give(t, conn, req)
		second := give(t, conn, req)
		if diff := cmp.Diff(first.GetName()+first.GetCheckoutUrl(), second.GetName()+second.GetCheckoutUrl()); diff != "" {
			t.Errorf("the second answer differs: %s", diff)
		}
		if n := len(e.Sim.Sessions("")) - before; n != 1 {
			t.Errorf("%d sessions at Stripe, want 1", n)
		}
		client := donationsv1.NewDonationsServiceClient(conn)
		for what, change := range map[string]func(*donationsv1.CreateDonationRequest){
			"amount": func(r *donationsv1.CreateDonationRequest) { r.Donation.Amount = apptest.Euros(21_00) },
			"locale": func(r *donationsv1.CreateDonationRequest) { r.Donation.Locale = "en" },
			"return": func(r *donationsv1.CreateDonationRequest) { r.Donation.ReturnUrl = "" },
		} {
			other := proto.Clone(req).(*donationsv1.CreateDonationRequest)
			change(other)
			_, err := client.CreateDonation(t.Context(), other)
			t.Run(what, func(t *testing.T) { wantError(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED", "") })
		}
	})
	t.Run("at the same moment", func(t *testing.T) {
		req := donationTo(campaign)
		before := len(e.Sim.Sessions(""))
		answers := make([]string, 8)
		var twins sync.WaitGroup
		for i := range answers {
			twins.Go(func() {
				// A few wait for the one that calls Stripe; the rest is told to come again, and does.
				var d *donationsv1.Donation
				var err error
				for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
					if d, err = donationsv1.NewDonationsServiceClient(e.Conn).CreateDonation(t.Context(), req); status.Code(err) != codes.Unavailable {
						break
					}
				}
				if err != nil {
					t.Errorf("twin %d: %v", i, err)
				}
				answers[i] = d.GetName() + " " + d.GetCheckoutUrl()
			})
		}
		twins.Wait()
		for _, a := range answers {
			if a != answers[0] || a == " " {
				t.Errorf("twins were told %q and %q", answers[0], a)
			}
		}
		if n := len(e.Sim.Sessions("")) - before; n != 1 {
			t.Errorf("%d sessions at Stripe, want 1", n)
		}
	})
}

func TestWhatADonationMustBe(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, owner := e.Campaign("vallon", "https://vallon.example")
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		client := donationsv1.NewDonationsServiceClient(conn)
		for what, c := range map[string]struct {
			change        func(*donationsv1.CreateDonationRequest)
			code          codes.Code
			reason, field string
		}{
			"too small":        {func(r *donationsv1.CreateDonationRequest) { r.Donation.Amount.AmountMinor = 99 }, codes.InvalidArgument, "AMOUNT_TOO_SMALL", "donation.amount.amount_minor"},
			"negative":         {func(r *donationsv1.CreateDonationRequest) { r.Donation.Amount.AmountMinor = -2000 }, codes.InvalidArgument, "AMOUNT_TOO_SMALL", "donation.amount.amount_minor"},
			"too large":        {func(r *donationsv1.CreateDonationRequest) { r.Donation.Amount.AmountMinor = 80001 }, codes.InvalidArgument, "AMOUNT_TOO_LARGE", "donation.amount.amount_minor"},
			"other currency":   {func(r *donationsv1.CreateDonationRequest) { r.Donation.Amount.CurrencyCode = "USD" }, codes.InvalidArgument, "CURRENCY_MISMATCH", "donation.amount.currency_code"},
			"no request id":    {func(r *donationsv1.CreateDonationRequest) { r.RequestId = "" }, codes.InvalidArgument, "INVALID_FIELD", "request_id"},
			"no amount":        {func(r *donationsv1.CreateDonationRequest) { r.Donation.Amount = nil }, codes.InvalidArgument, "INVALID_FIELD", "donation.amount"},
			"unknown language": {func(r *donationsv1.CreateDonationRequest) { r.Donation.Locale = "xx" }, codes.InvalidArgument, "INVALID_FIELD", "donation.locale"},
			"foreign return":   {func(r *donationsv1.CreateDonationRequest) { r.Donation.ReturnUrl = "https://evil.example/" }, codes.InvalidArgument, "RETURN_URL_NOT_ALLOWED", "donation.return_url"},
			"return to script": {func(r *donationsv1.CreateDonationRequest) { r.Donation.ReturnUrl = "javascript:alert(1)" }, codes.InvalidArgument, "RETURN_URL_NOT_ALLOWED", "donation.return_url"},
			"no such campaign": {func(r *donationsv1.CreateDonationRequest) { r.Parent = "collectives/vallon/campaigns/none" }, codes.NotFound, "NOT_FOUND", ""},
		} {
			t.Run(what, func(t *testing.T) {
				req := donationTo(campaign)
				c.change(req)
				_, err := client.CreateDonation(t.Context(), req)
				wantError(t, err, c.code, c.reason, c.field)
			})
		}
	})
	campaigns := campaignsv1.NewCampaignsServiceClient(e.Conn)
	asOwner := apptest.WithKey(t.Context(), owner)
	refused := func(t *testing.T) {
		for name, conn := range map[string]grpc.ClientConnInterface{"gRPC": e.Conn, "REST": &apptest.RESTConn{URL: e.URL}} {
			_, err := donationsv1.NewDonationsServiceClient(conn).CreateDonation(t.Context(), donationTo(campaign))
			t.Run(name, func(t *testing.T) { wantError(t, err, codes.FailedPrecondition, "CAMPAIGN_NOT_OPEN", "") })
		}
	}
	if _, err := campaigns.PauseCampaign(asOwner, &campaignsv1.PauseCampaignRequest{Name: campaign}); err != nil {
		t.Fatal(err)
	}
	t.Run("paused", refused)
	if _, err := campaigns.CloseCampaign(asOwner, &campaignsv1.CloseCampaignRequest{Name: campaign}); err != nil {
		t.Fatal(err)
	}
	t.Run("closed", refused)
}

func TestOnlyAllowedPagesMayAsk(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon", "https://vallon.example")
	from := func(origin string) error {
		conn := &apptest.RESTConn{URL: e.URL, Header: http.Header{"Origin": {origin}}}
		_, err := donationsv1.NewDonationsServiceClient(conn).CreateDonation(t.Context(), donationTo(campaign))
		return err
	}
	if err := from("https://vallon.example"); err != nil {
		t.Errorf("an allowed page: %v", err)
	}
	if err := from(e.URL); err != nil {
		t.Errorf("our own page: %v", err)
	}
	wantError(t, from("https://evil.example"), codes.PermissionDenied, "ORIGIN_NOT_ALLOWED", "")
	wantError(t, from("null"), codes.PermissionDenied, "ORIGIN_NOT_ALLOWED", "")
}

func TestStripeAwayThenBack(t *testing.T) {
	for what, fault := range map[string]stripesim.Fault{
		"down":        {Method: "POST", PathPrefix: "/v1/checkout/sessions", Status: 503},
		"failing":     {Method: "POST", PathPrefix: "/v1/checkout/sessions", Status: 500},
		"hanging":     {Method: "POST", PathPrefix: "/v1/checkout/sessions", Delay: 12 * time.Second},
		"busy":        {Method: "POST", PathPrefix: "/v1/checkout/sessions", Status: 429},
		"unreachable": {Method: "POST", PathPrefix: "/v1/checkout/sessions", Reset: true},
		"mute":        {Method: "POST", PathPrefix: "/v1/checkout/sessions", LoseReply: true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			e := apptest.Start(t, apptest.Config{})
			campaign, _ := e.Campaign("vallon")
			req := donationTo(campaign)
			e.Sim.AddFault(fault)

			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := donationsv1.NewDonationsServiceClient(&apptest.RESTConn{URL: e.URL}).CreateDonation(ctx, req)
			wantError(t, err, codes.Unavailable, "STRIPE_UNAVAILABLE", "")
			hint := false
			for _, detail := range status.Convert(err).Details() {
				if v, ok := detail.(*errdetails.RetryInfo); ok && v.GetRetryDelay().AsDuration() > 0 {
					hint = true
				}
			}
			if !hint {
				t.Error("no hint when to try again")
			}

			e.Sim.ClearFaults()
			var d *donationsv1.Donation
			e.Eventually("the same request goes through", func() bool {
				d, err = donationsv1.NewDonationsServiceClient(e.Conn).CreateDonation(t.Context(), req)
				return err == nil
			})
			pay(t, e, d)
			e.Eventually("the donation is booked", func() bool { settled, _ := progress(t, e.Conn, campaign); return settled == 20_00 })
			if n := countDonations(t, e, campaign); n != 1 {
				t.Errorf("%d donations were made, want the same one continued", n)
			}
		})
	}
}

func TestOneNetworkMayNotStartTooMany(t *testing.T) {
	e := apptest.Start(t, apptest.Config{Wall: wall.Limits{Near: wall.Network{Soft: 3, Hard: 3, Interval: time.Hour}}, TrustedProxies: loopback})
	campaign, _ := e.Campaign("vallon")
	from := func(addr string, req *donationsv1.CreateDonationRequest) error {
		conn := &apptest.RESTConn{URL: e.URL, Header: http.Header{"X-Forwarded-For": {addr}}}
		_, err := donationsv1.NewDonationsServiceClient(conn).CreateDonation(t.Context(), req)
		return err
	}
	first := donationTo(campaign)
	for i, req := range []*donationsv1.CreateDonationRequest{first, donationTo(campaign), donationTo(campaign)} {
		if err := from("198.51.100.7", req); err != nil {
			t.Fatalf("donation %d: %v", i, err)
		}
	}
	wantError(t, from("198.51.100.200", donationTo(campaign)), codes.ResourceExhausted, "TOO_MANY_DONATIONS", "")
	if err := from("198.51.100.7", first); err != nil {
		t.Errorf("repeating a donation counts as a new one: %v", err)
	}
	if err := from("203.0.113.1", donationTo(campaign)); err != nil {
		t.Errorf("another network suffers: %v", err)
	}
	e.Clock.Advance(time.Hour)
	if err := from("198.51.100.7", donationTo(campaign)); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}

func TestExportIsTheSameEverywhere(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	treasurer := e.Key("collectives/vallon", accessv1.Role_ROLE_TREASURER)
	for range 3 {
		pay(t, e, give(t, e.Conn, donationTo(campaign)))
	}
	e.Eventually("all is booked", func() bool { settled, _ := progress(t, e.Conn, campaign); return settled == 60_00 })

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL+"/v1/collectives/vallon/ledger:export?format=CSV&start_date=2000-01-01&end_date=2100-01-01", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+treasurer)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	overREST, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("HTTP %d: %s, %v", resp.StatusCode, overREST, err)
	}
	if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/csv") {
		t.Errorf("Content-Type is %q", got)
	}
	if got := resp.Header.Get("Content-Disposition"); !strings.Contains(got, ".csv") {
		t.Errorf("Content-Disposition is %q", got)
	}
	var byCommand strings.Builder
	err = app.Export(t.Context(), e.DatabaseURL, app.ExportRequest{Collective: "vallon", Format: "CSV", StartDate: "2000-01-01", EndDate: "2100-01-01"}, &byCommand)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(byCommand.String(), string(overREST)); diff != "" {
		t.Errorf("REST and the command differ:\n%s", diff)
	}
	rows, err := csv.NewReader(strings.NewReader(string(overREST))).ReadAll()
	if err != nil || len(rows) != 1+3*4 {
		t.Errorf("%d rows, want a header and 3 donations of 4 entries: %v", len(rows), err)
	}
}

func TestDraftsAndOthersBooksStayHidden(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, owner := e.Campaign("vallon")
	_, stranger := e.Campaign("marseille")
	editor := e.Key("collectives/vallon", accessv1.Role_ROLE_EDITOR)
	draft, err := campaignsv1.NewCampaignsServiceClient(e.Conn).CreateCampaign(apptest.WithKey(t.Context(), owner), &campaignsv1.CreateCampaignRequest{
		Parent: "collectives/vallon", CampaignId: "secret",
		Campaign: &campaignsv1.Campaign{
			Texts: map[string]*campaignsv1.CampaignText{"fr": {Title: "En préparation"}},
			Goal:  apptest.Euros(100_00),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("another site's page learns of a draft what it learns of nothing", func(t *testing.T) {
		amount := `"amount":{"currency_code":"EUR","amount_minor":"500"}`
		for call, what := range map[string]string{
			"donations": `"donation":{` + amount + `}`,
			"pledges":   `"pledge":{` + amount + `,"method":"OFFLINE_METHOD_CASH"}`,
		} {
			for _, name := range []string{draft.GetName(), "collectives/vallon/campaigns/nothing"} {
				body := `{"request_id":"` + uuid.NewString() + `",` + what + `}`
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.URL+"/v1/"+name+"/"+call, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Origin", "https://elsewhere.example")
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusNotFound {
					t.Errorf("%s of %s: %d", call, name, resp.StatusCode)
				}
			}
		}
	})
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		campaigns, ledger := campaignsv1.NewCampaignsServiceClient(conn), ledgerv1.NewLedgerServiceClient(conn)
		for who, key := range map[string]string{"nobody": "", "a stranger": stranger} {
			ctx := t.Context()
			if key != "" {
				ctx = apptest.WithKey(ctx, key)
			}
			_, err := campaigns.GetCampaign(ctx, &campaignsv1.GetCampaignRequest{Name: draft.GetName()})
			if status.Code(err) != codes.NotFound {
				t.Errorf("%s reads a draft: %v", who, err)
			}
			c, err := campaigns.GetCampaign(ctx, &campaignsv1.GetCampaignRequest{Name: campaign})
			if err != nil || c.GetCreateTime() != nil || c.GetEtag() != "" || c.GetAllowedOrigins() != nil {
				t.Errorf("%s reads members' fields: %v, %v", who, c, err)
			}
		}
		_, err := donationsv1.NewDonationsServiceClient(conn).CreateDonation(t.Context(), donationTo(draft.GetName()))
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		_, err = treasuryv1.NewTreasuryServiceClient(conn).CreatePledge(t.Context(), &treasuryv1.CreatePledgeRequest{
			Parent: draft.GetName(), RequestId: uuid.NewString(), Pledge: &treasuryv1.Pledge{Amount: apptest.Euros(5_00), Method: treasuryv1.OfflineMethod_OFFLINE_METHOD_CASH},
		})
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		for who, c := range map[string]struct {
			key  string
			want codes.Code
		}{
			"nobody":               {"", codes.Unauthenticated},
			"another's owner":      {stranger, codes.NotFound},
			"an editor of its own": {editor, codes.NotFound},
			"its owner":            {owner, codes.OK},
			"a key made up":        {"cag_0000_" + strings.Repeat("x", 43), codes.Unauthenticated},
		} {
			ctx := t.Context()
			if c.key != "" {
				ctx = apptest.WithKey(ctx, c.key)
			}
			_, err := ledger.ListAccounts(ctx, &ledgerv1.ListAccountsRequest{Parent: "collectives/vallon/ledger"})
			if status.Code(err) != c.want {
				t.Errorf("%s reads the books: %v, want %v", who, err, c.want)
			}
		}
	})
}

func TestTheLargestCampaignPassesBothDoors(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	_, owner := e.Campaign("vallon")
	texts := map[string]*campaignsv1.CampaignText{}
	for _, lang := range []string{"fr", "en", "oc", "eu", "br", "ca", "es", "it", "de", "nl", "pt", "ar"} {
		texts[lang] = &campaignsv1.CampaignText{Title: strings.Repeat("é", 120), Story: strings.Repeat("é", 20_000)}
	}
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		created, err := campaignsv1.NewCampaignsServiceClient(conn).CreateCampaign(apptest.WithKey(t.Context(), owner), &campaignsv1.CreateCampaignRequest{
			Parent:     "collectives/vallon",
			CampaignId: "in-" + strings.ToLower(strings.TrimPrefix(t.Name(), "TestTheLargestCampaignPassesBothDoors/")),
			Campaign:   &campaignsv1.Campaign{Texts: texts, Goal: apptest.Euros(100_00)},
		})
		if err != nil || len(created.GetTexts()) != len(texts) {
			t.Errorf("got %d texts: %v", len(created.GetTexts()), err)
		}
	})
}
