package pages

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	"github.com/cagnotte/cagnotte/gateway/text"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	"github.com/cagnotte/cagnotte/services/money"
)

// maxFormBytes is far above two short fields.
const maxFormBytes = 4 << 10

var (
	errNothingChosen = errors.New("no amount was chosen")
	errNotAnAmount   = errors.New("what was typed is no amount")
)

// give starts a donation and sends the donor to its payment page. What is wrong comes
// back as the same page, with words and what was typed.
//
// Each post is a donation of its own: one that is posted twice opens two payment pages, of
// which a donor pays one, and the other expires.
func (s *site) give(w http.ResponseWriter, r *http.Request) {
	s.giveBy(w, r, giveForm{
		again: s.formAgain,
		ask: func(_ *campaignsv1.Campaign, ask *donationsv1.CreateDonationRequest) {
			ask.CoverFee, ask.Recurrence = r.PostForm.Get("cover") != "", recurrence(r.PostForm)
		},
	})
}

// giveForm is what the pages with a form that starts donations differ in.
type giveForm struct {
	// serves reports whether the campaign has the page; nil for all campaigns.
	serves func(*campaignsv1.Campaign) bool
	// again shows the page with an error and what was sent.
	again func(w http.ResponseWriter, r *http.Request, p *page, c *campaignsv1.Campaign, code int, sentence string)
	// ask adds to the request what this form has besides the amount. The form has been read then.
	ask func(*campaignsv1.Campaign, *donationsv1.CreateDonationRequest)
}

// giveBy starts the donation of a form.
func (s *site) giveBy(w http.ResponseWriter, r *http.Request, form giveForm) {
	name, ok := campaignName(r)
	if !ok {
		s.missing(w, r)
		return
	}
	// The campaign is read first: its currency is needed to read the amount, and its form to show an error.
	c, err := s.campaigns.GetCampaign(r.Context(), &campaignsv1.GetCampaignRequest{Name: name})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	if form.serves != nil && !form.serves(c) {
		s.missing(w, r)
		return
	}
	p := s.begin(w, r)
	// Before the body is read: another site's form may only be told to go away.
	if s.foreign.Check(r) != nil {
		form.again(w, r, p, c, http.StatusForbidden, p.T("errorOrigin"))
		return
	}
	if r.ParseForm() != nil {
		form.again(w, r, p, c, http.StatusBadRequest, p.T("errorAmount"))
		return
	}
	amount, err := chosenAmount(r.PostForm, money.Currency(c.GetGoal().GetCurrencyCode()))
	if err != nil {
		form.again(w, r, p, c, http.StatusBadRequest, p.T(amountProblem(err)))
		return
	}
	ask := &donationsv1.CreateDonationRequest{
		Parent: name,
		Donation: &donationsv1.Donation{
			Amount: &moneyv1.Money{CurrencyCode: string(amount.Currency), AmountMinor: amount.Minor},
			Locale: p.Lang,
		},
		// The page has no id of its own, since caches give it to many visitors.
		RequestId: uuid.NewString(),
	}
	form.ask(c, ask)
	if ask.ChallengeSolution, ok = s.solved(w, r, p); !ok {
		return
	}
	donation, err := s.donations.CreateDonation(r.Context(), ask)
	if s.moment(w, r, p, err) {
		return
	}
	if err != nil {
		code, sentence := refusal(p.Words, c, err)
		form.again(w, r, p, c, code, sentence)
		return
	}
	// No donor is sent to an unknown site.
	if !at(donation.GetCheckoutUrl(), s.checkoutOrigins) {
		s.logger.ErrorContext(r.Context(), "a donation's payment page is at none of the gateway's checkout origins", "donation", donation.GetName())
		form.again(w, r, p, c, http.StatusInternalServerError, p.T("errorOther"))
		return
	}
	w.Header().Set("Cache-Control", cacheNever)
	// The redirect is still under the form-action of the page that posted; this one is for the answer's own body.
	w.Header().Set("Location", donation.GetCheckoutUrl())
	w.WriteHeader(http.StatusSeeOther)
}

// backFromForm serves who reloads or types the form's address.
func (s *site) backFromForm(w http.ResponseWriter, r *http.Request) {
	name, ok := campaignName(r)
	if !ok {
		s.missing(w, r)
		return
	}
	collective, campaign := slugs(name)
	target := "/c/" + collective + "/" + campaign
	if lang := text.ExplicitLanguage(r, text.Languages); lang != "" {
		target += "?lang=" + lang
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

// chosenAmount reads what was typed, else the chosen preset. Bounds are the service's affair.
// A preset is in minor units and what is typed in the currency's own. What is typed counts first.
func chosenAmount(form url.Values, currency money.Currency) (money.Amount, error) {
	// An amount that is typed and wrong is an error, also when a preset is chosen.
	if typed := strings.TrimSpace(form.Get("amount")); typed != "" {
		amount, err := money.Parse(typed, currency)
		if err != nil {
			return money.Amount{}, errors.Join(errNotAnAmount, err)
		}
		return amount, nil
	}
	preset := form.Get("preset")
	if preset == "" {
		return money.Amount{}, errNothingChosen
	}
	minor, err := strconv.ParseInt(preset, 10, 64)
	if err != nil {
		return money.Amount{}, errNotAnAmount
	}
	return money.Amount{Minor: minor, Currency: currency}, nil
}

// amountProblem is the sentence for an error of chosenAmount.
func amountProblem(err error) string {
	if errors.Is(err, errNothingChosen) {
		return "errorChoose"
	}
	return "errorAmount"
}

// recurrence is once for everything but the one value of the form.
func recurrence(form url.Values) donationsv1.Recurrence {
	if form.Get("often") == "monthly" {
		return donationsv1.Recurrence_RECURRENCE_MONTHLY
	}
	return donationsv1.Recurrence_RECURRENCE_ONCE
}

// at reports whether the address is on one of the origins: the browser would refuse to follow a form anywhere
// else, without a word.
func at(address string, origins []string) bool {
	u, err := url.Parse(address)
	return err == nil && slices.Contains(origins, u.Scheme+"://"+u.Host)
}

// formAgain shows the campaign with an error and what was sent.
func (s *site) formAgain(w http.ResponseWriter, r *http.Request, p *page, c *campaignsv1.Campaign, code int, sentence string) {
	v := newCampaignView(p.Words, c)
	s.fill(r.Context(), p, &v, c)
	v.Form.Typed = r.PostForm.Get("amount")
	// Every other status is no fault of a field.
	field := ""
	if code == http.StatusBadRequest {
		field = "amount"
	}
	p.wrong(field, sentence)
	// What was sent stands in the form again. Before the body was read all of it is empty.
	v.Form.check(r.PostForm.Get("preset"))
	v.Form.Monthly, v.Form.Cover = r.PostForm.Get("often") == "monthly", r.PostForm.Get("cover") != ""
	if s.offersPledges(r.Context(), c.GetName()) {
		v.PledgePath = v.Path + "/pledge"
	}
	p.Title, p.Content, p.NoIndex = p.T("errorTitle", "title", v.Title), v, true
	p.Discreet = c.GetCollectiveDiscreet()
	// The address of this page is that of the form's post; its translations are the campaign's page.
	p.InLanguage = v.Path + "?lang="
	s.answer(w, r, code, "campaign", p, cacheNever)
}

// reasonOf returns the reason of a service's error, and how long to wait: one minute when the error does not say.
func reasonOf(err error) (reason errorsv1.ErrorReason, wait time.Duration) {
	wait = time.Minute
	for _, detail := range status.Convert(err).Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			reason = errorsv1.ReasonOf(d.GetReason())
		case *errdetails.RetryInfo:
			wait = d.GetRetryDelay().AsDuration()
		}
	}
	return reason, wait
}

// refusal turns the service's reason into an HTTP status and a sentence.
// A status of 400 means that the donor can mend it by another amount; the others are about the campaign or the service.
func refusal(w *text.Words, c *campaignsv1.Campaign, err error) (code int, sentence string) {
	reason, wait := reasonOf(err)
	switch reason {
	case errorsv1.ErrorReason_AMOUNT_TOO_SMALL:
		return http.StatusBadRequest, w.T("errorTooSmall", "minimum", w.Money(c.GetMinimum()))
	case errorsv1.ErrorReason_AMOUNT_TOO_LARGE:
		return http.StatusBadRequest, w.T("errorTooLarge", "maximum", w.Money(c.GetMaximum()))
	case errorsv1.ErrorReason_CAMPAIGN_NOT_OPEN, errorsv1.ErrorReason_COLLECTIVE_SUSPENDED:
		return http.StatusConflict, w.T("errorNotOpen")
	case errorsv1.ErrorReason_STRIPE_ACCOUNT_DISCONNECTED, errorsv1.ErrorReason_STRIPE_ACCOUNT_NOT_READY:
		return http.StatusConflict, w.T("errorNoCards")
	case errorsv1.ErrorReason_CARDS_PAUSED:
		return http.StatusServiceUnavailable, w.T("cardsPaused")
	case errorsv1.ErrorReason_DONATION_NOT_REOPENABLE:
		return http.StatusConflict, w.T("errorNotReopenable")
	case errorsv1.ErrorReason_TOO_MANY_DONATIONS:
		return http.StatusTooManyRequests, w.T("errorTooMany", "wait", w.Wait(wait))
	case errorsv1.ErrorReason_STRIPE_UNAVAILABLE, errorsv1.ErrorReason_TOO_BUSY:
		return http.StatusServiceUnavailable, w.T("errorStripe")
	default:
		return http.StatusInternalServerError, w.T("errorOther")
	}
}
