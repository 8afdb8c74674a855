package gateway_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cagnotte/cagnotte/gateway"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
)

const monthlyPath = campaignPath + "/monthly/" + donationID

// monthly is a monthly donation of 20 € as the service answers it, and what was asked of it.
type monthly struct {
	recurringv1.UnimplementedRecurringServiceServer
	donation *recurringv1.RecurringDonation
	err      error
	asked    []any
	// stopPending: Stripe cannot be told of a stop now.
	stopPending bool
}

var (
	december = timestamppb.New(time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC))
	march    = timestamppb.New(time.Date(2027, 3, 9, 12, 0, 0, 0, time.UTC))
)

func newMonthly() *monthly {
	return &monthly{donation: &recurringv1.RecurringDonation{
		Name: campaignName + "/recurringDonations/" + donationID, Amount: euros(2000),
		State:         recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_ACTIVE,
		PeriodEndTime: december, NextDebitTime: december,
	}}
}

func (m *monthly) RequestManageLink(_ context.Context, r *recurringv1.RequestManageLinkRequest) (*recurringv1.RequestManageLinkResponse, error) {
	m.asked = append(m.asked, r)
	return &recurringv1.RequestManageLinkResponse{}, m.err
}

func (m *monthly) RedeemManageLink(_ context.Context, r *recurringv1.RedeemManageLinkRequest) (*recurringv1.RedeemManageLinkResponse, error) {
	m.asked = append(m.asked, r)
	return &recurringv1.RedeemManageLinkResponse{RecurringDonation: m.donation, ManageToken: "page-token"}, m.err
}

func (m *monthly) ChangeRecurringDonation(_ context.Context, r *recurringv1.ChangeRecurringDonationRequest) (*recurringv1.RecurringDonation, error) {
	m.asked = append(m.asked, r)
	m.donation.Amount = r.GetAmount()
	return m.donation, m.err
}

func (m *monthly) StopRecurringDonation(_ context.Context, r *recurringv1.StopRecurringDonationRequest) (*recurringv1.RecurringDonation, error) {
	m.asked = append(m.asked, r)
	if m.stopPending {
		m.donation.NextDebitTime = nil
	} else {
		m.donation.State = recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_CANCELED
	}
	m.donation.EndReason = recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_DONOR
	return m.donation, m.err
}

func (m *monthly) CreatePortalSession(_ context.Context, r *recurringv1.CreatePortalSessionRequest) (*recurringv1.CreatePortalSessionResponse, error) {
	m.asked = append(m.asked, r)
	return &recurringv1.CreatePortalSessionResponse{Url: "https://billing.stripe.com/p/session/1"}, m.err
}

func TestMonthlyPage(t *testing.T) {
	m := newMonthly()
	front := serve(t, &backend{recurring: m}, gateway.Options{})
	post := func(t *testing.T, verb string, form url.Values, header ...string) answer {
		t.Helper()
		return send(t, "POST", front.URL+monthlyPath+"/"+verb, form.Encode(),
			append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
	}

	t.Run("a link shows a button and redeems nothing, since mail programs load pages too", func(t *testing.T) {
		got := send(t, "GET", front.URL+monthlyPath+"?token=secret-1", "")
		holds(t, got.body, `value="secret-1"`, "Ouvrir mon don mensuel", `action="`+monthlyPath+`/open"`)
		if len(m.asked) != 0 {
			t.Errorf("loading asked for %v", m.asked)
		}
		for name, want := range map[string]string{"Referrer-Policy": "strict-origin", "Cache-Control": "no-store"} {
			if got.Header.Get(name) != want {
				t.Errorf("%s is %q", name, got.Header.Get(name))
			}
		}
		if policy := got.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' https://billing.stripe.com;") {
			t.Errorf("the policy is %q", policy)
		}
		// The token stands in the form alone: no link leads on with it.
		if strings.Count(got.body, "secret-1") != 1 || !strings.Contains(got.body, "noindex") {
			t.Errorf("the token is in the page %d times", strings.Count(got.body, "secret-1"))
		}
	})
	t.Run("without a token it offers a link, whoever asks", func(t *testing.T) {
		holds(t, send(t, "GET", front.URL+monthlyPath, "").body, "M’envoyer un lien")
		holds(t, post(t, "link", nil).body, "Regardez vos e‑mails")
	})
	t.Run("opened it shows the donation and what can be done", func(t *testing.T) {
		got := post(t, "open", url.Values{"token": {"secret-1"}})
		holds(t, got.body, "Vous donnez 20\u00a0€ par mois.", "le 1er\u00a0décembre 2026", `name="manage" value="page-token"`, "Arrêter mon don mensuel")
		lacks(t, got.body, "secret-1", "<script")
	})
	t.Run("says that a debit is at the bank, and not that it failed", func(t *testing.T) {
		was := m.donation.GetState()
		m.donation.DebitPending, m.donation.State = true, recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_PAST_DUE
		got := post(t, "open", url.Values{"token": {"secret-2"}})
		holds(t, got.body, "auprès de votre banque", "pas besoin de donner une seconde fois")
		lacks(t, got.body, "n’a pas abouti")
		m.donation.DebitPending, m.donation.State = false, was
	})
	t.Run("changes the amount", func(t *testing.T) {
		got := post(t, "change", url.Values{"manage": {"page-token"}, "amount": {"12,50"}})
		holds(t, got.body, "Le montant a été changé", "Vous donnez 12,50\u00a0€ par mois.", `name="gives" value="1250"`)
		asked := m.asked[len(m.asked)-1].(*recurringv1.ChangeRecurringDonationRequest)
		if asked.GetAmount().GetAmountMinor() != 1250 || asked.GetManageToken() != "page-token" {
			t.Errorf("asked for %v", asked)
		}
		got = post(t, "change", url.Values{"manage": {"page-token"}, "amount": {"douze"}, "gives": {"1250"}})
		if got.StatusCode != 400 {
			t.Errorf("got %d", got.StatusCode)
		}
		holds(t, got.body, "en chiffres", `value="douze"`, `aria-invalid="true"`, "page-token", "Vous donnez 12,50\u00a0€ par mois.", `name="gives" value="1250"`)
	})
	t.Run("leads to Stripe's portal and nowhere else", func(t *testing.T) {
		got := post(t, "portal", url.Values{"manage": {"page-token"}})
		if got.StatusCode != 303 || got.Header.Get("Location") != "https://billing.stripe.com/p/session/1" {
			t.Errorf("got %d to %q", got.StatusCode, got.Header.Get("Location"))
		}
		elsewhere := serve(t, &backend{recurring: m}, gateway.Options{PortalOrigins: []string{"https://portal.example"}})
		if got := send(t, "POST", elsewhere.URL+monthlyPath+"/portal", "manage=x", "Content-Type", "application/x-www-form-urlencoded"); got.StatusCode != 503 {
			t.Errorf("got %d to %q", got.StatusCode, got.Header.Get("Location"))
		}
	})
	t.Run("promises no next donation once its end is pending", func(t *testing.T) {
		m.donation.ChangePending, m.donation.NextDebitTime = true, nil
		m.donation.EndReason = recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_DONOR
		got := post(t, "open", url.Values{"token": {"secret-3"}})
		holds(t, got.body, "Il va bientôt s’arrêter.", "Vous l’avez arrêté.", "C’est enregistré")
		lacks(t, got.body, "le 1er\u00a0décembre 2026", "Changer le montant", "Arrêter mon don mensuel")
		m.donation.EndReason = recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_COLLECTIVE
		holds(t, post(t, "open", url.Values{"token": {"secret-3"}}).body, "Le collectif l’a arrêté.", "Arrêter mon don mensuel")
		m.donation.ChangePending, m.donation.EndReason = false, recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_UNSPECIFIED
		m.donation.NextDebitTime = december
	})
	open := func(t *testing.T, change func(*recurringv1.RecurringDonation)) string {
		t.Helper()
		was := proto.CloneOf(m.donation)
		change(m.donation)
		defer func() { m.donation = was }()
		return post(t, "open", url.Values{"token": {"secret-4"}}).body
	}
	t.Run("tells an end on a day that members chose at Stripe", func(t *testing.T) {
		later := open(t, func(g *recurringv1.RecurringDonation) {
			g.CancelTime, g.EndReason = march, recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_AT_STRIPE
		})
		holds(t, later, "Prochain don\u202f: le 1er\u00a0décembre 2026.", "Il s’arrête le 9\u00a0mars 2027.", "Cet arrêt a été demandé depuis Stripe.", "Changer le montant", "Arrêter mon don")
		lacks(t, later, "Rien d’autre ne sera débité.</p>")
		sooner := open(t, func(g *recurringv1.RecurringDonation) {
			g.CancelTime, g.NextDebitTime, g.CancelAtPeriodEnd = timestamppb.New(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)), nil, true
			g.EndReason = recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_AT_STRIPE
		})
		holds(t, sooner, "Il s’arrête le 20\u00a0novembre 2026. Rien d’autre ne sera débité.")
		lacks(t, sooner, "Prochain don", "Changer le montant", "Arrêter mon don")
	})
	t.Run("promises nothing while Stripe tries the last month again, and can be stopped", func(t *testing.T) {
		got := open(t, func(g *recurringv1.RecurringDonation) {
			g.CancelTime, g.NextDebitTime, g.CancelAtPeriodEnd = december, nil, true
			g.State = recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_PAST_DUE
			g.EndReason = recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_AT_STRIPE
		})
		holds(t, got, "Il s’arrête le 1er\u00a0décembre 2026.</p>", "Stripe réessaie", "Arrêter mon don")
	})
	t.Run("tells a pause", func(t *testing.T) {
		until := open(t, func(g *recurringv1.RecurringDonation) { g.Paused, g.ResumeTime, g.NextDebitTime = true, march, march })
		holds(t, until, "en pause jusqu’au 9\u00a0mars 2027", "Prochain don\u202f: le 9\u00a0mars 2027.", "Changer le montant", "Arrêter mon don")
		forever := open(t, func(g *recurringv1.RecurringDonation) { g.Paused, g.NextDebitTime = true, nil })
		holds(t, forever, "tant que le collectif ne l’a pas relancé", "Changer le montant", "Arrêter mon don")
		lacks(t, forever, "Prochain don")
	})
	t.Run("while the account is disconnected takes a change, and does not say that it is done", func(t *testing.T) {
		ahead := open(t, func(g *recurringv1.RecurringDonation) { g.AccountDisconnected = true })
		holds(t, ahead, "prendra effet dès que le compte du collectif sera reconnecté", "Arrêter mon don")
		lacks(t, ahead, "Continuer chez Stripe", "Rien d’autre ne sera débité")
		was := proto.CloneOf(m.donation)
		m.donation.AccountDisconnected, m.donation.ChangePending = true, true
		holds(t, post(t, "change", url.Values{"manage": {"page-token"}, "amount": {"30"}}).body, "Votre demande est enregistrée</h1>", "dès qu’il sera reconnecté")
		m.stopPending = true
		got := post(t, "stop", url.Values{"manage": {"page-token"}}).body
		holds(t, got, "Votre demande d’arrêt est enregistrée", "un débit reste possible")
		lacks(t, got, "Votre don mensuel est arrêté", "Prochain don")
		m.donation, m.stopPending = was, false
	})
	t.Run("stops", func(t *testing.T) {
		got := post(t, "stop", url.Values{"manage": {"page-token"}})
		holds(t, got.body, "Votre don mensuel est arrêté", "Vous l’avez arrêté.")
		lacks(t, got.body, "page-token")
	})
	t.Run("says each refusal in words", func(t *testing.T) {
		for reason, want := range map[string]string{
			"LINK_INVALID": "n’est plus valable", "MANAGE_TOKEN_INVALID": "n’est plus valable", "MAIL_NOT_CONFIGURED": "ne peut pas envoyer",
			"RECURRING_NOT_STARTED": "pas encore commencé", "RECURRING_ENDED": "déjà arrêté", "STRIPE_ACCOUNT_DISCONNECTED": "déconnecté",
		} {
			m.err = fail(codes.FailedPrecondition, reason)
			got := post(t, "stop", url.Values{"manage": {"page-token"}})
			if got.StatusCode != 409 {
				t.Errorf("%s: got %d", reason, got.StatusCode)
			}
			holds(t, got.body, want, `role="alert"`)
		}
		m.err = fail(codes.ResourceExhausted, "TOO_MANY_LINKS", &errdetails.RetryInfo{RetryDelay: durationpb.New(10 * time.Minute)})
		holds(t, post(t, "link", nil).body, "10 minutes")
		m.err = fail(codes.ResourceExhausted, "TOO_MANY_CHANGES", &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Minute)})
		got := post(t, "portal", url.Values{"manage": {"page-token"}})
		holds(t, got.body, "plusieurs changements", "page-token")
		if got.StatusCode != 429 {
			t.Errorf("got %d", got.StatusCode)
		}
		m.err = fail(codes.Unavailable, "SOMETHING_NEW")
		holds(t, post(t, "stop", nil).body, "Réessayez dans un instant")
		m.err = nil
	})
	t.Run("refuses another site's form, and leads back who reloads one", func(t *testing.T) {
		before := len(m.asked)
		if got := post(t, "stop", url.Values{"manage": {"page-token"}}, "Sec-Fetch-Site", "cross-site"); got.StatusCode != 403 || len(m.asked) != before {
			t.Errorf("got %d, asked %v", got.StatusCode, m.asked[before:])
		}
		if got := send(t, "GET", front.URL+monthlyPath+"/stop?lang=en", ""); got.StatusCode != 303 || got.Header.Get("Location") != monthlyPath+"?lang=en" {
			t.Errorf("got %d to %q", got.StatusCode, got.Header.Get("Location"))
		}
	})
}

func TestWhatDonorsSeeOfTheirWays(t *testing.T) {
	status := &donationsv1.DonationStatus{}
	front := serve(t, &backend{donationStatus: func(r *donationsv1.GetDonationStatusRequest) (*donationsv1.DonationStatus, error) {
		status.Name = r.GetName()
		return status, nil
	}}, gateway.Options{})
	page := func() string {
		return send(t, "GET", front.URL+campaignPath+"/donations/"+donationID+"?look=1", "").body
	}

	t.Run("a debit is being confirmed for some days", func(t *testing.T) {
		status = &donationsv1.DonationStatus{Amount: euros(2000), Outcome: donationsv1.DonationOutcome_DONATION_OUTCOME_CONFIRMING}
		holds(t, page(), "confirmation par votre banque", "5 jours ouvrés environ")
	})
	t.Run("a page that closed is opened again where that is possible", func(t *testing.T) {
		status = &donationsv1.DonationStatus{Amount: euros(2000), Outcome: donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID, CheckoutUrl: "https://checkout.stripe.com/r/1"}
		holds(t, page(), `href="https://checkout.stripe.com/r/1"`)
		status.CheckoutUrl = ""
		holds(t, page(), `href="`+campaignPath+`"`, "Faire un don")
	})
	t.Run("a monthly donation says so, and leads to a link", func(t *testing.T) {
		status = &donationsv1.DonationStatus{
			Amount: euros(1041), FeeCover: euros(41), Outcome: donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED,
			RecurringDonation: campaignName + "/recurringDonations/" + donationID,
		}
		holds(t, page(), "jusqu’à ce que vous l’arrêtiez ou que la collecte se termine", `action="`+monthlyPath+`/link"`, "Dont 0,41\u00a0€")
	})
}
