package pages

import (
	"context"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cagnotte/cagnotte/gateway/text"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
)

// donationView is the truth about one donation.
type donationView struct {
	Tone, Sign, Heading, Lead, Text string
	// CheckoutURL is where it can still be paid. A post to ReopenPath opens its page again, and AgainPath is where another
	// donation can be made.
	CheckoutURL, ReopenPath, AgainPath string
	// State is the outcome in a word: what a page that waits compares.
	State string
	// Waiting says that the answer may still change by itself; SelfPath asks again. After each of Waits, in seconds, a script
	// looks at LookPath, which answers at once.
	Waiting                   bool
	SelfPath, Waits, LookPath string
	// Settled makes the way back the page's main link.
	Settled       bool
	BackURL, Back string
	// Proof is nil until the donation is sealed; ProofSoon says that it will be.
	Proof     *proofView
	ProofSoon bool
	// FeeCover says what of it the donor added for the fee, Returned what of it went back, also twice; empty for nothing.
	FeeCover, Returned string
	// MonthlyPath is where the monthly donation that it is a month of is managed; empty for a single donation.
	MonthlyPath string
	// Receipt is nil where there is nothing to say of one.
	Receipt *receiptCard
	// ThankYou is the collective's own word to who has paid; empty for none.
	ThankYou template.HTML
	// Campaign is nil when it cannot be shown; the donation's page does without.
	Campaign *campaignView
}

// proofView is what a donor keeps to show that the donation stands in the signed books.
type proofView struct {
	// Code is the proof, and Key that of the books. Command checks it where Code is put for CODE.
	Code, Key, Command string
}

// waits are the seconds before the page looks again by itself: a lost webhook heals within moments, and who cancelled is
// left in peace after two minutes.
const waits = "2,3,5,10,20,40"

// donation tells what became of a donation, from the service's own state. Nothing in the
// address but the donation's name counts.
func (s *site) donation(w http.ResponseWriter, r *http.Request) {
	name, ok := campaignName(r)
	if !ok || !donationPattern.MatchString(r.PathValue("donation")) {
		s.missing(w, r)
		return
	}
	// Only the first look waits. The address of every later one says so.
	firstLook := firstLookWait
	if r.URL.Query().Get("look") != "" {
		firstLook = 0
	}
	donation, err := s.status(r.Context(), name+"/donations/"+r.PathValue("donation")+"/status", firstLook)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	// Who reads of a refund has kept the address, and stands at no door.
	if place, ok := s.doorOf(donation.GetReturnUrl(), name); ok && donation.GetOutcome() != donationsv1.DonationOutcome_DONATION_OUTCOME_REFUNDED {
		s.backAtDoor(w, r, name, place, donation)
		return
	}
	s.showDonation(w, r, name, donation, nil)
}

// errForeign: the form was posted by a page of another site.
var errForeign = errors.New("the form is of another site")

// reopen opens the payment page of a donation again, and sends the donor there. What was paid meanwhile, or is refused, is
// told on the donation's page.
func (s *site) reopen(w http.ResponseWriter, r *http.Request) {
	name, ok := campaignName(r)
	if !ok || !donationPattern.MatchString(r.PathValue("donation")) {
		s.missing(w, r)
		return
	}
	name += "/donations/" + r.PathValue("donation")
	// A page of another site may not count in the donor's limits.
	refused := errForeign
	if s.foreign.Check(r) == nil && r.ParseForm() == nil {
		p := s.begin(w, r)
		solution, ok := s.solved(w, r, p)
		if !ok {
			return
		}
		var donation *donationsv1.DonationStatus
		donation, refused = s.donations.ReopenDonation(r.Context(), &donationsv1.ReopenDonationRequest{Name: name, ChallengeSolution: solution})
		if s.moment(w, r, p, refused) {
			return
		}
		if refused == nil && at(donation.GetCheckoutUrl(), s.checkoutOrigins) {
			w.Header().Set("Cache-Control", cacheNever)
			w.Header().Set("Location", donation.GetCheckoutUrl())
			w.WriteHeader(http.StatusSeeOther)
			return
		}
		if refused == nil {
			s.backToDonation(w, r)
			return
		}
	}
	donation, err := s.status(r.Context(), name+"/status", 0)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	s.showDonation(w, r, strings.TrimSuffix(name, "/donations/"+r.PathValue("donation")), donation, refused)
}

// backToDonation serves who reloads or types the address of the page's form.
func (s *site) backToDonation(w http.ResponseWriter, r *http.Request) {
	target := strings.TrimSuffix(r.URL.Path, "/reopen")
	if lang := text.ExplicitLanguage(r, text.Languages); lang != "" {
		target += "?lang=" + lang
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

// showDonation answers the page. refused is why its payment page was not opened again; nil for none.
func (s *site) showDonation(w http.ResponseWriter, r *http.Request, name string, donation *donationsv1.DonationStatus, refused error) {
	p := s.begin(w, r)
	// The donor comes back from Stripe to an address without a language. The page is in the language in which the
	// donation was made, unless the visitor chose another one.
	if chosen, ok := s.catalogues[donation.GetLocale()]; ok && text.ExplicitLanguage(r, text.Languages) == "" {
		p.Words = chosen
	}
	v := newDonationView(p.Words, donation)
	collective, campaign := slugs(name)
	code := http.StatusOK
	if refused != nil {
		var sentence string
		if code, sentence = http.StatusForbidden, p.T("errorOrigin"); !errors.Is(refused, errForeign) {
			code, sentence = refusal(p.Words, nil, refused)
		}
		p.wrong("", sentence)
	}
	if v.ReopenPath != "" {
		v.ReopenPath += p.Query
	}
	// Before the payment there is nothing to manage.
	if _, id, ok := strings.Cut(donation.GetRecurringDonation(), "/recurringDonations/"); ok && v.Settled {
		v.MonthlyPath = "/c/" + collective + "/" + campaign + "/monthly/" + id
	}
	v.setWayBack(p, donation.GetReturnUrl(), "/c/"+collective+"/"+campaign)
	if v.Waiting {
		v.SelfPath, v.Waits, v.LookPath, p.Script = p.again(), waits, p.look(), s.wait
	}
	if donation.GetOutcome() == donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED {
		v.SelfPath = p.again()
		if v.Proof, v.ProofSoon = s.proof(r.Context(), name+"/donations/"+r.PathValue("donation")); v.Proof != nil {
			p.Script = s.proofCheckScript
		}
	}
	if v.Settled && !v.Waiting {
		v.Receipt = s.receiptCard(r, p, name+"/donations/"+r.PathValue("donation"), "/c/"+collective+"/"+campaign+"/donations/"+r.PathValue("donation")+"/receipt")
		if v.Receipt != nil && v.MonthlyPath != "" {
			v.Receipt.YearPath = v.MonthlyPath + "/receipt" + p.Query
		}
	}
	// The page is about the donation: without the campaign it still tells the truth.
	if c, err := s.campaigns.GetCampaign(r.Context(), &campaignsv1.GetCampaignRequest{Name: name}); err == nil {
		shown := newCampaignView(p.Words, c)
		v.Campaign = &shown
		if v.Tone == "good" {
			v.ThankYou = s.stories.Render(shown.TextLang, c.GetTexts()[shown.TextLang].GetThankYou())
			if shown.Links = s.shareLinksOf(p.Words, shown); shown.Links != nil {
				shown.Links.Open = true
			}
		}
	}
	p.Title, p.NoIndex, p.Content = v.Heading, true, v
	s.answer(w, r, code, "donation", p, cacheNever)
}

// A donor who has just paid is here before Stripe's webhook is. On the first look the answer may
// take this long to change, so that nobody who paid reads first that no payment was seen.
const (
	firstLookWait = 1500 * time.Millisecond
	firstLookStep = 150 * time.Millisecond
)

// status asks what became of a donation; while the donation is open it asks again for as long as it may wait.
func (s *site) status(ctx context.Context, name string, wait time.Duration) (*donationsv1.DonationStatus, error) {
	request := &donationsv1.GetDonationStatusRequest{Name: name}
	until := time.Now().Add(wait)
	// Errors and all outcomes but an open one are answered at once.
	for {
		donation, err := s.donations.GetDonationStatus(ctx, request)
		if err != nil || wait == 0 || donation.GetOutcome() != donationsv1.DonationOutcome_DONATION_OUTCOME_OPEN || time.Now().After(until) {
			return donation, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(firstLookStep):
		}
	}
}

// proof is nil while the donation has none: soon when it is only not sealed yet. The page does without.
func (s *site) proof(ctx context.Context, donation string) (proof *proofView, soon bool) {
	p, err := s.ledger.GetDonationProof(ctx, &ledgerv1.GetDonationProofRequest{Name: donation + "/proof"})
	if err != nil {
		return nil, status.Code(err) == codes.NotFound
	}
	return &proofView{Code: p.GetCode(), Key: p.GetVerifierKey(), Command: "cagnotte ledger verify-proof -key " + p.GetVerifierKey() + " CODE"}, false
}

func newDonationView(w *text.Words, donation *donationsv1.DonationStatus) donationView {
	// The name goes on behind the campaign, which is cut off.
	collective, campaign := slugs(donation.GetName())
	campaign, _, _ = strings.Cut(campaign, "/")
	var v donationView
	var key string
	back, taken := donation.GetAmountRefunded().GetAmountMinor(), donation.GetAmountDisputed().GetAmountMinor()
	// A donation can be refunded and disputed, both in part. Both together may exceed it: then the rest is negative.
	rest := donation.GetAmount().GetAmountMinor() - back - taken
	switch donation.GetOutcome() {
	case donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED:
		key, v.Tone, v.Sign, v.Settled = "received", "good", "✓", true
	// The donor has paid and the payment is not certain yet.
	case donationsv1.DonationOutcome_DONATION_OUTCOME_CONFIRMING:
		key, v.Tone, v.Sign, v.Waiting, v.Settled = "confirming", "good", "…", true, true
	case donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID:
		key, v.Tone, v.Sign = "notPaid", "open", "–"
		// A payment page that closed is opened again, where that can be; else a new donation has to be made.
		if donation.GetReopenable() {
			_, id, _ := strings.Cut(strings.TrimSuffix(donation.GetName(), "/status"), "/donations/")
			v.ReopenPath = "/c/" + collective + "/" + campaign + "/donations/" + id + "/reopen"
		} else {
			v.AgainPath = "/c/" + collective + "/" + campaign
		}
	case donationsv1.DonationOutcome_DONATION_OUTCOME_REFUNDED:
		key, v.Tone, v.Sign, v.Settled = "refunded", "open", "↩", true
		// What was not refunded was taken back by the donor's bank.
		if donation.GetDisputed() && back < donation.GetAmount().GetAmountMinor() {
			key = "takenBack"
		}
	default:
		key, v.Tone, v.Sign, v.Waiting = "open", "open", "…", true
		v.CheckoutURL = donation.GetCheckoutUrl()
	}
	// The catalogues have three sentences for each key.
	v.State, v.Heading = key, w.T(key+"Title")
	v.Lead = w.T(key+"Lead", "amount", w.Money(donation.GetAmount()))
	v.Text = w.T(key + "Text")
	if donation.GetFeeCover().GetAmountMinor() > 0 {
		v.FeeCover = w.T("feeCover", "amount", w.Money(donation.GetFeeCover()))
	}
	part := func(minor int64) string {
		return w.Money(&moneyv1.Money{CurrencyCode: donation.GetAmount().GetCurrencyCode(), AmountMinor: minor})
	}
	switch {
	case rest < 0:
		v.Returned = w.T("backTwice", "refunded", part(back), "taken", part(taken))
	// Of a donation that is not received nothing is left in part.
	case donation.GetOutcome() != donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED:
	case taken > 0:
		v.Returned = w.T("partTaken", "amount", part(back+taken), "rest", part(rest))
	case back > 0:
		v.Returned = w.T("partBack", "amount", part(back), "rest", part(rest))
	}
	return v
}

// setWayBack leads to the site that the donor came from, else to the campaign's page.
func (v *donationView) setWayBack(p *page, returnURL, campaignPath string) {
	// Other schemes, such as javascript:, are never linked.
	if u, err := url.Parse(returnURL); err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") {
		v.BackURL, v.Back = returnURL, p.T("backToSite", "site", u.Host)
		return
	}
	v.BackURL, v.Back = campaignPath+p.Query, p.T("backToCampaign")
}

// look is the address of the page for a later look, in its language.
func (p *page) look() string { return "?lang=" + p.Lang + "&look=1" }
