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
	// unopened: the link is not open yet. showErr is the answer to who shows the donation; err that to all else.
	unopened bool
	showErr  error
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

func (m *monthly) RequestManageLinks(_ context.Context, r *recurringv1.RequestManageLinksRequest) (*recurringv1.RequestManageLinksResponse, error) {
	m.asked = append(m.asked, r)
	return &recurringv1.RequestManageLinksResponse{}, m.err
}

func (m *monthly) RedeemManageLink(_ context.Context, r *recurringv1.RedeemManageLinkRequest) (*recurringv1.RedeemManageLinkResponse, error) {
	m.asked = append(m.asked, r)
	return &recurringv1.RedeemManageLinkResponse{RecurringDonation: m.donation, ManageToken: r.GetToken()}, m.err
}

// ShowRecurringDonation changes nothing, so it is not among what was asked.
func (m *monthly) ShowRecurringDonation(context.Context, *recurringv1.ShowRecurringDonationRequest) (*recurringv1.RecurringDonation, error) {
	if m.unopened {
		return nil, fail(codes.FailedPrecondition, "LINK_UNOPENED")
	}
	return m.donation, m.showErr
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
	// post sends a form, and returns the page that the answer leads to; header and code are the page's.
	post := func(t *testing.T, verb string, form url.Values, header ...string) answer {
		t.Helper()
		got := send(t, "POST", front.URL+monthlyPath+"/"+verb, form.Encode(),
			append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
		to := got.Header.Get("Location")
		if got.StatusCode != 303 || !strings.HasPrefix(to, monthlyPath) {
			return got
		}
		if got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("the redirect may be cached: %v", got.Header)
		}
		return send(t, "GET", front.URL+to, "")
	}
	token := url.Values{"token": {"secret-1"}}
	open := func(t *testing.T) answer {
		t.Helper()
		return send(t, "GET", front.URL+monthlyPath+"?token=secret-1", "")
	}

	t.Run("a link shows a button and opens nothing, since mail programs load pages too", func(t *testing.T) {
		m.unopened = true
		defer func() { m.unopened = false }()
		got := open(t)
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
		holds(t, send(t, "GET", front.URL+monthlyPath, "").body, "M’envoyer un lien", ">Vallon contre caméras</a>", "Pour la collecte <a")
		holds(t, post(t, "link", nil).body, "Regardez vos e‑mails")
	})
	t.Run("the button leads to the link's own address, which shows the donation and what can be done", func(t *testing.T) {
		sent := send(t, "POST", front.URL+monthlyPath+"/open?lang=fr", token.Encode(), "Content-Type", "application/x-www-form-urlencoded")
		if to := sent.Header.Get("Location"); sent.StatusCode != 303 || to != monthlyPath+"?lang=fr&token=secret-1" {
			t.Errorf("got %d to %q", sent.StatusCode, to)
		}
		got := open(t)
		holds(t, got.body, "Vous donnez 20\u00a0€ par mois.", "le 1er\u00a0décembre 2026", `name="token" value="secret-1"`, "Arrêter mon don mensuel",
			">Vallon contre caméras</a>", "Pour la collecte <a")
		lacks(t, got.body, "<script")
	})
	t.Run("a link that is spent says so kindly, and offers another", func(t *testing.T) {
		m.showErr = fail(codes.FailedPrecondition, "MANAGE_TOKEN_INVALID")
		defer func() { m.showErr, m.err = nil, nil }()
		holds(t, open(t).body, "Ce lien n’est plus valable</h1>", "M’envoyer un lien")
		m.err = fail(codes.FailedPrecondition, "LINK_INVALID")
		got := post(t, "open", token)
		holds(t, got.body, "Ce lien n’est plus valable</h1>", "M’envoyer un lien")
		if got.StatusCode != 200 {
			t.Errorf("got %d", got.StatusCode)
		}
		m.showErr = fail(codes.InvalidArgument, "INVALID_FIELD")
		holds(t, send(t, "GET", front.URL+monthlyPath+"?token="+strings.Repeat("x", 200), "").body, "Ce lien n’est plus valable</h1>")
	})
	t.Run("says that a debit is at the bank, and not that it failed", func(t *testing.T) {
		was := m.donation.GetState()
		m.donation.DebitPending, m.donation.State = true, recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_PAST_DUE
		got := open(t)
		holds(t, got.body, "auprès de votre banque", "pas besoin de donner une seconde fois")
		lacks(t, got.body, "n’a pas abouti")
		holds(t, send(t, "GET", front.URL+monthlyPath+"?token=secret-1&step=stop", "").body, "ce sera le dernier")
		m.donation.DebitPending, m.donation.State = false, was
	})
	t.Run("changes the amount", func(t *testing.T) {
		got := post(t, "change", url.Values{"token": {"secret-1"}, "amount": {"12,50"}})
		holds(t, got.body, "Le montant a été changé", "Vous donnez 12,50\u00a0€ par mois.")
		asked := m.asked[len(m.asked)-1].(*recurringv1.ChangeRecurringDonationRequest)
		if asked.GetAmount().GetAmountMinor() != 1250 || asked.GetManageToken() != "secret-1" {
			t.Errorf("asked for %v", asked)
		}
		got = post(t, "change", url.Values{"token": {"secret-1"}, "amount": {"douze"}})
		if got.StatusCode != 400 {
			t.Errorf("got %d", got.StatusCode)
		}
		holds(t, got.body, "en chiffres", `value="douze"`, `aria-invalid="true"`, "secret-1", "Vous donnez 12,50\u00a0€ par mois.")
		m.err = fail(codes.InvalidArgument, "AMOUNT_TOO_LARGE")
		holds(t, post(t, "change", url.Values{"token": {"secret-1"}, "amount": {"99999"}}).body, "maximum", `value="99999"`)
		m.err = nil
	})
	t.Run("leads to Stripe's portal and nowhere else", func(t *testing.T) {
		got := post(t, "portal", token)
		if got.StatusCode != 303 || got.Header.Get("Location") != "https://billing.stripe.com/p/session/1" {
			t.Errorf("got %d to %q", got.StatusCode, got.Header.Get("Location"))
		}
		elsewhere := serve(t, &backend{recurring: m}, gateway.Options{PortalOrigins: []string{"https://portal.example"}})
		got = send(t, "POST", elsewhere.URL+monthlyPath+"/portal", "token=x", "Content-Type", "application/x-www-form-urlencoded")
		if to := got.Header.Get("Location"); got.StatusCode != 303 || !strings.HasPrefix(to, monthlyPath+"?") {
			t.Errorf("got %d to %q", got.StatusCode, to)
		}
	})
	t.Run("promises no next donation once its end is pending", func(t *testing.T) {
		m.donation.ChangePending, m.donation.NextDebitTime = true, nil
		m.donation.EndReason = recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_DONOR
		got := open(t)
		holds(t, got.body, "Il va bientôt s’arrêter.", "Vous l’avez arrêté.", "C’est enregistré")
		lacks(t, got.body, "le 1er\u00a0décembre 2026", "Changer le montant", "Arrêter mon don mensuel")
		m.donation.EndReason = recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_COLLECTIVE
		holds(t, open(t).body, "Le collectif l’a arrêté.", "Arrêter mon don mensuel")
		m.donation.ChangePending, m.donation.EndReason = false, recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_UNSPECIFIED
		m.donation.NextDebitTime = december
	})
	with := func(t *testing.T, change func(*recurringv1.RecurringDonation)) string {
		t.Helper()
		was := proto.CloneOf(m.donation)
		change(m.donation)
		defer func() { m.donation = was }()
		return open(t).body
	}
	t.Run("tells an end on a day that members chose at Stripe", func(t *testing.T) {
		later := with(t, func(g *recurringv1.RecurringDonation) {
			g.CancelTime, g.EndReason = march, recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_AT_STRIPE
		})
		holds(t, later, "Prochain don\u202f: le 1er\u00a0décembre 2026.", "Il s’arrête le 9\u00a0mars 2027.", "Cet arrêt a été demandé depuis Stripe.", "Changer le montant", "Arrêter mon don")
		lacks(t, later, "Rien d’autre ne sera débité.</p>")
		sooner := with(t, func(g *recurringv1.RecurringDonation) {
			g.CancelTime, g.NextDebitTime, g.CancelAtPeriodEnd = timestamppb.New(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)), nil, true
			g.EndReason = recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_AT_STRIPE
		})
		holds(t, sooner, "Il s’arrête le 20\u00a0novembre 2026. Rien d’autre ne sera débité.")
		lacks(t, sooner, "Prochain don", "Changer le montant", "Arrêter mon don")
	})
	t.Run("promises nothing while Stripe tries the last month again, and can be stopped", func(t *testing.T) {
		got := with(t, func(g *recurringv1.RecurringDonation) {
			g.CancelTime, g.NextDebitTime, g.CancelAtPeriodEnd = december, nil, true
			g.State = recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_PAST_DUE
			g.EndReason = recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_AT_STRIPE
		})
		holds(t, got, "Il s’arrête le 1er\u00a0décembre 2026.</p>", "Stripe réessaie", "Arrêter mon don")
	})
	t.Run("tells a pause", func(t *testing.T) {
		until := with(t, func(g *recurringv1.RecurringDonation) { g.Paused, g.ResumeTime, g.NextDebitTime = true, march, march })
		holds(t, until, "en pause jusqu’au 9\u00a0mars 2027", "Prochain don\u202f: le 9\u00a0mars 2027.", "Changer le montant", "Arrêter mon don")
		forever := with(t, func(g *recurringv1.RecurringDonation) { g.Paused, g.NextDebitTime = true, nil })
		holds(t, forever, "tant que le collectif ne l’a pas relancé", "Changer le montant", "Arrêter mon don")
		lacks(t, forever, "Prochain don")
	})
	t.Run("while the account is disconnected takes a change, and does not say that it is done", func(t *testing.T) {
		ahead := with(t, func(g *recurringv1.RecurringDonation) { g.AccountDisconnected = true })
		holds(t, ahead, "prendra effet dès que le compte du collectif sera reconnecté", "Arrêter mon don")
		lacks(t, ahead, "Continuer chez Stripe", "Rien d’autre ne sera débité")
		was := proto.CloneOf(m.donation)
		m.donation.AccountDisconnected, m.donation.ChangePending = true, true
		holds(t, post(t, "change", url.Values{"token": {"secret-1"}, "amount": {"30"}}).body, "Votre demande est enregistrée</h1>", "dès qu’il sera reconnecté")
		m.stopPending = true
		got := post(t, "stop", token).body
		holds(t, got, "Votre demande d’arrêt est enregistrée", "un débit reste possible")
		lacks(t, got, "Votre don mensuel est arrêté", "Prochain don")
		m.donation, m.stopPending = was, false
	})
	t.Run("asks before it stops, stops and thanks, twice as well", func(t *testing.T) {
		asked := len(m.asked)
		holds(t, open(t).body, `href="`+monthlyPath+`?token=secret-1&amp;step=stop"`)
		sure := send(t, "GET", front.URL+monthlyPath+"?token=secret-1&step=stop", "")
		holds(t, sure.body, "Arrêter votre don mensuel\u202f?", "celui du 1er\u00a0décembre 2026 n’aura pas lieu", "Garder mon don mensuel", `action="`+monthlyPath+`/stop"`)
		if len(m.asked) != asked {
			t.Errorf("asking stopped it: %v", m.asked[asked:])
		}
		for range 2 {
			got := post(t, "stop", token)
			holds(t, got.body, "Votre don mensuel est arrêté</h1>", "Vous l’avez arrêté. Merci pour vos dons.")
			lacks(t, got.body, "Changer le montant", "<form")
		}
		// Loaded later, that page still tells the truth.
		holds(t, send(t, "GET", front.URL+monthlyPath+"?token=secret-1&step=stop", "").body, "Ce don mensuel est arrêté.")
	})
	t.Run("says each refusal in words", func(t *testing.T) {
		for reason, want := range map[string]string{
			"MAIL_NOT_CONFIGURED": "ne peut pas envoyer", "RECURRING_NOT_STARTED": "pas encore commencé", "RECURRING_ENDED": "déjà arrêté",
			"STRIPE_ACCOUNT_DISCONNECTED": "déconnecté",
		} {
			m.err = fail(codes.FailedPrecondition, reason)
			got := post(t, "stop", token)
			if got.StatusCode != 409 {
				t.Errorf("%s: got %d", reason, got.StatusCode)
			}
			holds(t, got.body, want, `role="alert"`)
		}
		m.err = fail(codes.ResourceExhausted, "TOO_MANY_LINKS", &errdetails.RetryInfo{RetryDelay: durationpb.New(10 * time.Minute)})
		holds(t, post(t, "link", nil).body, "10 minutes")
		m.err = fail(codes.ResourceExhausted, "TOO_MANY_CHANGES", &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Minute)})
		got := post(t, "portal", token)
		holds(t, got.body, "plusieurs changements")
		if got.StatusCode != 429 {
			t.Errorf("got %d", got.StatusCode)
		}
		m.err = fail(codes.Unavailable, "SOMETHING_NEW")
		holds(t, post(t, "stop", token).body, "Réessayez dans un instant")
		m.err = nil
	})
	t.Run("refuses another site's form, and leads back who reloads one", func(t *testing.T) {
		before := len(m.asked)
		if got := post(t, "stop", token, "Sec-Fetch-Site", "cross-site"); got.StatusCode != 403 || len(m.asked) != before {
			t.Errorf("got %d, asked %v", got.StatusCode, m.asked[before:])
		}
		if got := send(t, "GET", front.URL+monthlyPath+"/stop?lang=en", ""); got.StatusCode != 303 || got.Header.Get("Location") != monthlyPath+"?lang=en" {
			t.Errorf("got %d to %q", got.StatusCode, got.Header.Get("Location"))
		}
	})
}

func TestDonorsAskForLinksByTheirAddress(t *testing.T) {
	m := newMonthly()
	front := serve(t, &backend{recurring: m}, gateway.Options{})
	collectivePath := campaignPath[:strings.LastIndex(campaignPath, "/")]
	page := collectivePath + "/monthly"
	holds(t, send(t, "GET", front.URL+campaignPath, "").body, `href="`+page+`"`)
	holds(t, send(t, "GET", front.URL+collectivePath, "").body, `href="`+page+`"`)
	holds(t, send(t, "GET", front.URL+page, "").body, "Gérer mon don mensuel</h1>", `type="email"`, `action="`+page+`/link"`, "Vallon contre caméras")
	post := func(t *testing.T, email string, header ...string) answer {
		t.Helper()
		got := send(t, "POST", front.URL+page+"/link?lang=fr", url.Values{"email": {email}}.Encode(),
			append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
		if got.StatusCode != 303 {
			return got
		}
		// Neither the address of the answer nor its text repeats who asked.
		to := got.Header.Get("Location")
		shown := send(t, "GET", front.URL+to, "")
		lacks(t, to+shown.body, "jeanne", email)
		return shown
	}
	t.Run("the answer is the same whoever it is", func(t *testing.T) {
		holds(t, post(t, "jeanne@example.org").body, "Regardez vos e‑mails</h1>", "Si un don mensuel en cours est lié à cette adresse")
		asked := m.asked[0].(*recurringv1.RequestManageLinksRequest)
		if asked.GetEmail() != "jeanne@example.org" || asked.GetParent() != "collectives/vallon" {
			t.Errorf("asked for %v", asked)
		}
	})
	t.Run("refusals stand in words", func(t *testing.T) {
		m.err = fail(codes.InvalidArgument, "INVALID_FIELD")
		got := post(t, "jeanne at home")
		holds(t, got.body, "Saisissez une adresse", `aria-invalid="true"`, `href="#email"`)
		m.err = fail(codes.ResourceExhausted, "TOO_MANY_LINKS", &errdetails.RetryInfo{RetryDelay: durationpb.New(10 * time.Minute)})
		got = post(t, "jeanne@example.org")
		holds(t, got.body, "10 minutes", `role="alert"`)
		if got.StatusCode != 429 {
			t.Errorf("got %d", got.StatusCode)
		}
		m.err = nil
	})
	t.Run("refuses another site's form", func(t *testing.T) {
		before := len(m.asked)
		if got := post(t, "jeanne@example.org", "Sec-Fetch-Site", "cross-site"); got.StatusCode != 403 || len(m.asked) != before {
			t.Errorf("got %d", got.StatusCode)
		}
	})
	t.Run("a reload of the answer asks for nothing", func(t *testing.T) {
		before := len(m.asked)
		send(t, "GET", front.URL+page+"/link?sent=1", "")
		if len(m.asked) != before {
			t.Error("it asked again")
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
		status = &donationsv1.DonationStatus{Amount: euros(2000), Outcome: donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID, Reopenable: true}
		holds(t, page(), `method="post" action="`+campaignPath+"/donations/"+donationID+`/reopen`, "Continuer vers le paiement")
		status.Reopenable = false
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
