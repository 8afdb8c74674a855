package stripesim

import (
	"fmt"
	"html/template"
	"net/http"
	"time"
)

// portalCreateParams: https://docs.stripe.com/api/customer_portal/sessions/create?api-version=2023-10-16.
var portalCreateParams = schema{
	"customer":      req(text(0)),
	"return_url":    opt(text(0)),
	"locale":        opt(oneOf(locales...)),
	"expand":        opt(list(text(0), 0)),
	"configuration": elsewhere, "flow_data": elsewhere, "on_behalf_of": elsewhere,
}

// portalSession gives one customer access to the billing portal, for a short time. The URL is the only secret: whoever
// has it within portalLife acts as the customer.
type portalSession struct {
	ID         string `json:"id"`
	Created    int64  `json:"created"`
	CustomerID string `json:"customer_id"`
	ReturnURL  string `json:"return_url,omitempty"`
	Locale     string `json:"locale,omitempty"`
	URL        string `json:"url"`
}

func (p *portalSession) key() (string, int64) { return p.ID, p.Created }

// createPortalSession gives a customer access. The address works for portalLife.
func (s *Sim) createPortalSession(c *call) (document, *apiError) {
	p := c.params
	cu, ok := c.world.Customers.get(p.str("customer"))
	if !ok {
		return nil, noSuch(http.StatusBadRequest, "customer", p.str("customer"), "customer")
	}
	if p.has("return_url") && !isWebURL(p.str("return_url")) {
		return nil, invalid("url_invalid", "return_url", "Not a valid URL")
	}
	ps := &portalSession{
		ID: newID("bps_1", 23), Created: c.now.Unix(), CustomerID: cu.ID, ReturnURL: p.str("return_url"), Locale: p.str("locale"),
	}
	ps.URL = c.baseURL + "/portal/" + ps.ID
	c.world.PortalSessions.add(ps)
	s.changed = true
	return document{
		"id": ps.ID, "object": "billing_portal.session", "configuration": "bpc_1SimulatedDefaultConfigura",
		"created": ps.Created, "customer": ps.CustomerID, "flow": nil, "livemode": false, "locale": orNull(ps.Locale),
		"on_behalf_of": nil, "return_url": orNull(ps.ReturnURL), "url": ps.URL,
	}, nil
}

// CancelInPortal ends a subscription with its period, as a customer does in the billing portal. An unknown or ended
// subscription is an error.
func (s *Sim) CancelInPortal(subscriptionID string) error {
	now := s.lock()
	defer s.unlock()
	w, sub, err := s.findRunning(subscriptionID)
	// A repeat changes nothing and emits nothing.
	if err != nil || sub.CancelAtPeriodEnd {
		return err
	}
	previous := document{}
	sub.setCancelAtPeriodEnd(true, previous, now)
	s.emit(w, "customer.subscription.updated", sub.render(), previous, pageRequest(), now)
	return nil
}

// SetCard changes the card of a subscription's renewals, as a customer does in the billing portal. Any test card is
// accepted, also one whose renewal fails. An unknown or ended subscription and a number that is no test card are
// errors.
func (s *Sim) SetCard(subscriptionID string, card Card) error {
	now := s.lock()
	defer s.unlock()
	w, sub, err := s.findRunning(subscriptionID)
	if err != nil {
		return err
	}
	number, facts, err := card.lookup()
	if err != nil {
		return err
	}
	// Name and address stay the customer's. Only the country is the card's.
	who := w.Customers.byID[sub.CustomerID].Donor
	who.Country = facts.country
	s.setMethod(w, sub, &paymentMethod{Number: number, Donor: who}, now)
	return nil
}

// setMethod changes a subscription's card or bank account. It applies to the next renewal or retry. m has no id yet.
// The world is locked.
func (s *Sim) setMethod(w *world, sub *subscription, m *paymentMethod, now time.Time) {
	m.ID, m.Created = newID("pm_1", 23), now.Unix()
	w.PaymentMethods.add(m)
	previous := document{"default_payment_method": orNull(sub.MethodID)}
	sub.MethodID = m.ID
	s.emit(w, "customer.subscription.updated", sub.render(), previous, pageRequest(), now)
}

// findRunning looks in every account. One that is incomplete counts as not running, since its first payment may never
// arrive. The world is locked.
func (s *Sim) findRunning(id string) (*world, *subscription, error) {
	for _, w := range s.worlds {
		if sub, ok := w.Subscriptions.get(id); ok {
			if sub.ended() || sub.Status == subIncomplete {
				return nil, nil, fmt.Errorf("stripesim: subscription %s is %s", id, sub.Status)
			}
			return w, sub, nil
		}
	}
	return nil, nil, fmt.Errorf("stripesim: no subscription %s", id)
}

// portalLife is how long a portal session opens the portal.
const portalLife = 30 * time.Minute

// portalText is the text of the portal in one language.
type portalText struct{ Title, Each, Ends, Cancel, Card, Save, Back, Gone string }

var portalTexts = map[string]portalText{
	"fr": {
		"Portail simulé", "par mois", "Prend fin le", "Arrêter à la fin de la période", "Numéro de carte", "Changer de carte",
		"Revenir au site", "Cette page n’existe pas, ou plus.",
	},
	"en": {
		"Simulated portal", "a month", "Ends on", "Stop at the end of the period", "Card number", "Change the card",
		"Back to the site", "This page does not exist, or not any more.",
	},
}

var portalTemplate = template.Must(template.New("portal").Parse(`<!doctype html>
<html lang="{{.Lang}}">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{{.T.Title}}</title>
  <link rel="stylesheet" href="/pay/style.css">
</head>
<body>
  <main>
    <h1>{{.T.Title}}</h1>
    {{range .Subscriptions}}
    <p>{{.Amount}} {{$.T.Each}}{{with .Ends}}. {{$.T.Ends}} {{.}}.{{end}}</p>
    <form method="post">
      <input type="hidden" name="subscription" value="{{.ID}}">
      {{if not .Ends}}<button type="submit" name="act" value="cancel">{{$.T.Cancel}}</button>{{end}}
      <label for="card">{{$.T.Card}}</label>
      <input id="card" name="card" inputmode="numeric" autocomplete="off" value="4242 4242 4242 4242">
      <button type="submit" name="act" value="card">{{$.T.Save}}</button>
    </form>
    {{else}}<p>{{.T.Gone}}</p>{{end}}
    {{with .Back}}<p><a class="button" href="{{.}}">{{$.T.Back}}</a></p>{{end}}
  </main>
</body>
</html>
`))

// portalView has the texts and rows of the page. Without a subscription it says that the page does not exist.
type portalView struct {
	Lang, Back    string
	T             portalText
	Subscriptions []portalRow
}

// portalRow is a subscription that has not ended; Ends is the day of its end, or empty.
type portalRow struct{ ID, Amount, Ends string }

func (s *Sim) portalRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /portal/{id}", s.showPortal)
	mux.HandleFunc("POST /portal/{id}", s.submitPortal)
}

// portalView is what a portal session shows; nothing when it does not exist or has expired. Ended subscriptions are not
// shown. Ids are unique, so at most one account has the portal session.
func (s *Sim) portalView(r *http.Request) portalView {
	now := s.lock()
	defer s.unlock()
	v := portalView{Lang: language("", r.Header.Get("Accept-Language"))}
	for _, w := range s.worlds {
		ps, ok := w.PortalSessions.get(r.PathValue("id"))
		// An expired portal session looks like one that never was.
		if !ok || now.Unix() > ps.Created+int64(portalLife/time.Second) {
			continue
		}
		v.Lang, v.Back = language(ps.Locale, r.Header.Get("Accept-Language")), ps.ReturnURL
		for _, sub := range w.Subscriptions.rows {
			if sub.CustomerID != ps.CustomerID || sub.ended() {
				continue
			}
			// The amount is the one of the price, in the merchant's currency.
			row := portalRow{ID: sub.ID, Amount: formatAmount(v.Lang, sub.Item.amount(), sub.Item.Currency)}
			if sub.CancelAtPeriodEnd {
				row.Ends = time.Unix(sub.End, 0).UTC().Format(time.DateOnly)
			}
			v.Subscriptions = append(v.Subscriptions, row)
		}
	}
	v.T = portalTexts[v.Lang]
	return v
}

// showPortal answers 200 also for an unknown session, with the text that there is no such page.
func (s *Sim) showPortal(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	if err := portalTemplate.Execute(w, s.portalView(r)); err != nil {
		s.log.Warn("stripesim: portal page", "error", err)
	}
}

// submitPortal applies the customer's choice to a subscription of the portal session.
func (s *Sim) submitPortal(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form could not be read", http.StatusBadRequest)
		return
	}
	// Only a subscription that the page shows can be changed, so the URL of one customer gives no access to another's.
	err := fmt.Errorf("stripesim: the portal does not show subscription %q", r.PostForm.Get("subscription"))
	for _, shown := range s.portalView(r).Subscriptions {
		if shown.ID != r.PostForm.Get("subscription") {
			continue
		}
		// Each subscription has a form with two buttons; the name of the other one is card.
		if r.PostForm.Get("act") == "cancel" {
			err = s.CancelInPortal(shown.ID)
		} else {
			err = s.SetCard(shown.ID, Card(r.PostForm.Get("card")))
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
}
