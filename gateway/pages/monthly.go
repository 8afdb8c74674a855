package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cagnotte/cagnotte/gateway/text"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	"github.com/cagnotte/cagnotte/services/money"
)

// monthlyView is the page of a monthly donation. Its donor has no account: a link by mail is the key.
type monthlyView struct {
	Heading string
	// Path is the page's address without its query; the forms' are below it.
	Path string
	// Lead and Facts say what is known.
	Lead  string
	Facts []string
	// Token is the link's, to be redeemed by a button: mail programs load pages too.
	Token string
	// AskLink offers a new link.
	AskLink bool
	// Manage is the token that the open page's forms carry; empty while it is not open.
	Manage string
	// Change, Stop and Portal are what can still be done with it; Later: once the account is connected again.
	Change, Stop, Portal, Later bool
	Typed, Symbol               string
	// Gives is what it gives, in minor units. The form brings it back, for the page of an amount that is wrong.
	Gives int64
	// DonationPath is the first donation's page.
	DonationPath string
}

// monthlyPage begins the page of the monthly donation that the request names; false when it answered already. Its
// address may hold a link's token, and its forms a manage token: neither goes into a Referer, cache or index.
func (s *site) monthlyPage(w http.ResponseWriter, r *http.Request) (name string, p *page, v monthlyView, ok bool) {
	campaign, ok := campaignName(r)
	// The id of a monthly donation has the form of a donation's.
	id := r.PathValue("recurring")
	if !ok || !donationPattern.MatchString(id) {
		s.missing(w, r)
		return "", nil, v, false
	}
	// Origins only, and not nothing at all: browsers then send `Origin: null` with our own forms.
	w.Header().Set("Referrer-Policy", "strict-origin")
	p = s.begin(w, r)
	collective, slug := slugs(campaign)
	base := "/c/" + collective + "/" + slug
	v = monthlyView{Heading: p.T("monthlyTitle"), Path: base + "/monthly/" + id, DonationPath: base + "/donations/" + id + p.Query}
	// A link to the other language would load the page again and lose the token.
	p.OtherLanguage, p.NoIndex = "", true
	return campaign + "/recurringDonations/" + id, p, v, true
}

func (s *site) answerMonthly(w http.ResponseWriter, r *http.Request, code int, p *page, v monthlyView) {
	p.Title, p.Content = v.Heading, v
	s.answer(w, r, code, "monthly", p, cacheNever)
}

// monthly shows a link's button, or the way to a link. It tells nothing about the donation.
// The token is not redeemed here, because programs that read mail load the page as well.
func (s *site) monthly(w http.ResponseWriter, r *http.Request) {
	_, p, v, ok := s.monthlyPage(w, r)
	if !ok {
		return
	}
	if v.Token = r.URL.Query().Get("token"); v.Token != "" {
		v.Lead = p.T("monthlyOpenLead")
	} else {
		v.Lead, v.AskLink = p.T("monthlyLinkLead"), true
		p.OtherLanguage = v.Path + "?lang=" + p.T("otherLanguageCode")
	}
	s.answerMonthly(w, r, http.StatusOK, p, v)
}

// monthlyForm is what all posts of the page begin with: not from another site, and readable. It reports false when
// it answered already.
func (s *site) monthlyForm(w http.ResponseWriter, r *http.Request) (name string, p *page, v monthlyView, ok bool) {
	if name, p, v, ok = s.monthlyPage(w, r); !ok {
		return name, p, v, false
	}
	// Another site's form must neither change nor stop a donation, nor have mails sent.
	if s.foreign.Check(r) != nil {
		p.wrong("", p.T("monthlyErrorOrigin"))
		v.AskLink = true
		s.answerMonthly(w, r, http.StatusForbidden, p, v)
		return name, p, v, false
	}
	if r.ParseForm() != nil {
		p.wrong("", p.T("monthlyErrorOther"))
		v.AskLink = true
		s.answerMonthly(w, r, http.StatusBadRequest, p, v)
		return name, p, v, false
	}
	return name, p, v, true
}

// monthlyLink has a link mailed to the donor. The answer is the same whoever asks, and whether or not there is
// such a donation.
func (s *site) monthlyLink(w http.ResponseWriter, r *http.Request) {
	name, p, v, ok := s.monthlyForm(w, r)
	if !ok {
		return
	}
	if _, err := s.recurring.RequestManageLink(r.Context(), &recurringv1.RequestManageLinkRequest{Name: name}); err != nil {
		s.monthlyFailed(w, r, p, v, err)
		return
	}
	v.Heading, v.Lead, v.Facts = p.T("monthlySentTitle"), p.T("monthlySentLead"), []string{p.T("monthlySentHint")}
	s.answerMonthly(w, r, http.StatusOK, p, v)
}

// monthlyOpen redeems a link's token and shows the donation.
func (s *site) monthlyOpen(w http.ResponseWriter, r *http.Request) {
	name, p, v, ok := s.monthlyForm(w, r)
	if !ok {
		return
	}
	opened, err := s.recurring.RedeemManageLink(r.Context(), &recurringv1.RedeemManageLinkRequest{Name: name, Token: r.PostForm.Get("token")})
	if err != nil {
		s.monthlyFailed(w, r, p, v, err)
		return
	}
	// The link's token was redeemed. The forms of this page carry the manage token from here on, so no cookie is
	// needed.
	v.Manage = opened.GetManageToken()
	v.show(p.Words, opened.GetRecurringDonation())
	s.answerMonthly(w, r, http.StatusOK, p, v)
}

// monthlyChange changes what is given from the next month on.
func (s *site) monthlyChange(w http.ResponseWriter, r *http.Request) {
	name, p, v, ok := s.monthlyForm(w, r)
	if !ok {
		return
	}
	v.keep(r.PostForm)
	campaign, err := s.campaignOf(r.Context(), name)
	if err != nil {
		s.monthlyFailed(w, r, p, v, err)
		return
	}
	// A monthly donation is in the currency of its campaign.
	currency := money.Currency(campaign.GetGoal().GetCurrencyCode())
	v.Symbol = p.Words.CurrencySymbol(string(currency))
	amount, err := chosenAmount(url.Values{"amount": {v.Typed}}, currency)
	if err != nil {
		v.refuse(p, p.T("errorAmount"), currency)
		s.answerMonthly(w, r, http.StatusBadRequest, p, v)
		return
	}
	changed, err := s.recurring.ChangeRecurringDonation(r.Context(), &recurringv1.ChangeRecurringDonationRequest{
		Name: name, ManageToken: v.Manage, Amount: &moneyv1.Money{CurrencyCode: string(amount.Currency), AmountMinor: amount.Minor},
	})
	if err != nil {
		// Only an amount that is too small or too large comes back in the form; all else has a page of its own.
		if code, sentence := refusal(p.Words, campaign, err); code == http.StatusBadRequest {
			v.refuse(p, sentence, currency)
			s.answerMonthly(w, r, code, p, v)
			return
		}
		s.monthlyFailed(w, r, p, v, err)
		return
	}
	v.Heading, v.Typed = p.T("monthlyChangedTitle"), ""
	// The change is noted here and not yet made at Stripe.
	if changed.GetChangePending() {
		v.Heading = p.T("monthlyChangeNotedTitle")
	}
	v.show(p.Words, changed)
	s.answerMonthly(w, r, http.StatusOK, p, v)
}

// campaignOf reads the campaign of a monthly donation.
func (s *site) campaignOf(ctx context.Context, name string) (*campaignsv1.Campaign, error) {
	campaign, _, _ := strings.Cut(name, "/recurringDonations/")
	return s.campaigns.GetCampaign(ctx, &campaignsv1.GetCampaignRequest{Name: campaign})
}

// monthlyStop ends the donation.
func (s *site) monthlyStop(w http.ResponseWriter, r *http.Request) {
	name, p, v, ok := s.monthlyForm(w, r)
	if !ok {
		return
	}
	v.keep(r.PostForm)
	stopped, err := s.recurring.StopRecurringDonation(r.Context(), &recurringv1.StopRecurringDonationRequest{Name: name, ManageToken: v.Manage})
	if err != nil {
		s.monthlyFailed(w, r, p, v, err)
		return
	}
	v.Heading = p.T("monthlyStoppedTitle")
	if stopped.GetChangePending() {
		v.Heading = p.T("monthlyStopNotedTitle")
	}
	v.show(p.Words, stopped)
	s.answerMonthly(w, r, http.StatusOK, p, v)
}

// monthlyPortal leads to Stripe's page for the card.
func (s *site) monthlyPortal(w http.ResponseWriter, r *http.Request) {
	name, p, v, ok := s.monthlyForm(w, r)
	if !ok {
		return
	}
	v.keep(r.PostForm)
	portal, err := s.recurring.CreatePortalSession(r.Context(), &recurringv1.CreatePortalSessionRequest{Name: name, ManageToken: v.Manage})
	// The policy of the page lets browsers follow the form to these origins alone.
	if err == nil && !at(portal.GetUrl(), s.portalOrigins) {
		err = errors.New("pages: the portal is at none of the gateway's portal origins")
	}
	if err != nil {
		s.monthlyFailed(w, r, p, v, err)
		return
	}
	// The address is of one session and must not be cached.
	w.Header().Set("Cache-Control", cacheNever)
	w.Header().Set("Location", portal.GetUrl())
	w.WriteHeader(http.StatusSeeOther)
}

// backToMonthly serves who reloads or types a form's address.
func (s *site) backToMonthly(w http.ResponseWriter, r *http.Request) {
	_, p, v, ok := s.monthlyPage(w, r)
	if ok {
		http.Redirect(w, r, v.Path+p.Query, http.StatusSeeOther)
	}
}

// keep takes over what an open page's form sent.
func (v *monthlyView) keep(form url.Values) {
	// All three forms are offered again after an error; the service refuses what is not possible.
	v.Manage, v.Typed = form.Get("manage"), form.Get("amount")
	v.Gives, _ = strconv.ParseInt(form.Get("gives"), 10, 64)
	v.Change, v.Stop, v.Portal = true, true, true
}

// refuse says what is wrong with the amount typed, and what stays as it is.
func (v *monthlyView) refuse(p *page, sentence string, currency money.Currency) {
	p.wrong("amount", sentence)
	if v.Gives > 0 {
		v.Lead = p.T("monthlyGives", "amount", p.Money(&moneyv1.Money{CurrencyCode: string(currency), AmountMinor: v.Gives}))
	}
}

// monthlyFailed says why nothing came of it, and offers a new link where that helps.
func (s *site) monthlyFailed(w http.ResponseWriter, r *http.Request, p *page, v monthlyView, err error) {
	reason, wait := reasonOf(err)
	// Most refusals are about the state of the donation or of its account.
	code := http.StatusConflict
	switch reason {
	// A new link helps in both cases.
	case errorsv1.ErrorReason_LINK_INVALID, errorsv1.ErrorReason_MANAGE_TOKEN_INVALID:
		p.wrong("", p.T("monthlyErrorLink"))
		v.AskLink, v.Manage = true, ""
	case errorsv1.ErrorReason_MAIL_NOT_CONFIGURED:
		p.wrong("", p.T("monthlyErrorMail"))
	case errorsv1.ErrorReason_TOO_MANY_LINKS:
		code = http.StatusTooManyRequests
		p.wrong("", p.T("monthlyErrorTooMany", "wait", p.Wait(wait)))
	case errorsv1.ErrorReason_TOO_MANY_CHANGES:
		code = http.StatusTooManyRequests
		p.wrong("", p.T("monthlyErrorManyChanges", "wait", p.Wait(wait)))
	case errorsv1.ErrorReason_RECURRING_NOT_STARTED:
		p.wrong("", p.T("monthlyErrorNotStarted"))
	// Without the manage token the page offers no forms.
	case errorsv1.ErrorReason_RECURRING_ENDED:
		p.wrong("", p.T("monthlyErrorEnded"))
		v.Manage = ""
	case errorsv1.ErrorReason_STRIPE_ACCOUNT_DISCONNECTED:
		p.wrong("", p.T("monthlyErrorDisconnected"))
	case errorsv1.ErrorReason_STRIPE_UNAVAILABLE:
		code = http.StatusServiceUnavailable
		p.wrong("", p.T("errorStripe"))
	// What is not foreseen is logged by its code alone and told in a general sentence.
	default:
		if isNotFound(err) {
			s.missing(w, r)
			return
		}
		s.logger.WarnContext(r.Context(), "a monthly donation's page lacks what it asked for", "code", status.Code(err).String())
		code = http.StatusServiceUnavailable
		p.wrong("", p.T("monthlyErrorOther"))
	}
	s.answerMonthly(w, r, code, p, v)
}

// show says how the donation stands, and what can be done with it.
func (v *monthlyView) show(w *text.Words, g *recurringv1.RecurringDonation) {
	v.Gives = g.GetAmount().GetAmountMinor()
	amount := w.Money(g.GetAmount())
	v.Symbol = w.CurrencySymbol(g.GetAmount().GetCurrencyCode())
	fact := func(key string, values ...string) { v.Facts = append(v.Facts, w.T(key, values...)) }
	day := func(t interface{ AsTime() time.Time }) string { return w.Date(t.AsTime()) }
	running := true
	switch g.GetState() {
	case recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_CANCELED, recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_EXPIRED:
		running = false
		v.Lead = w.T("monthlyEnded")
		if g.GetEndTime() != nil {
			v.Lead = w.T("monthlyEndedOn", "date", day(g.GetEndTime()))
		}
	case recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_CREATED:
		v.Lead = w.T("monthlyNotStarted", "amount", amount)
	// While a debit is under way, it is not known whether the month is unpaid.
	case recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_PAST_DUE:
		v.Lead = w.T("monthlyGives", "amount", amount)
		if !g.GetDebitPending() {
			fact("monthlyPastDue")
		}
	default:
		v.Lead = w.T("monthlyGives", "amount", amount)
	}
	if g.GetDebitPending() {
		fact("monthlyDebit")
	}
	// A reason is there as soon as somebody ended the donation, also while it still runs to the end of a month.
	reason, ends := endReasons[g.GetEndReason()]
	if running {
		v.tellNext(w, g, ends)
	}
	switch {
	// An end that was set at Stripe is told in the future while the donation runs.
	case running && g.GetEndReason() == recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_AT_STRIPE:
		fact("monthlyReasonStripeAhead")
	case ends:
		fact(reason)
	}
	switch {
	// A change that is noted waits for the account as long as it is disconnected.
	case g.GetAccountDisconnected() && g.GetChangePending():
		fact("monthlyPendingDisconnected")
	case g.GetAccountDisconnected() && running:
		fact("monthlyDisconnected")
	case g.GetChangePending():
		fact("monthlyPending")
	}
	pastDue := g.GetState() == recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_PAST_DUE
	byDonor := g.GetEndReason() == recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_DONOR
	// While a month is tried again, an end with the month does not end that.
	v.Stop = running && (!g.GetCancelAtPeriodEnd() || pastDue) && !(byDonor && g.GetChangePending())
	// There must be a month to come. A donation that is paused and not ended has one later.
	v.Change = running && (g.GetNextDebitTime() != nil || g.GetPaused() && !ends)
	v.Portal, v.Later = running && !g.GetAccountDisconnected(), g.GetAccountDisconnected()
}

// tellNext says what comes next of a donation that goes on: a pause, the next month, its end. ends: somebody wants its end.
func (v *monthlyView) tellNext(w *text.Words, g *recurringv1.RecurringDonation, ends bool) {
	fact := func(key string, at *timestamppb.Timestamp) {
		v.Facts = append(v.Facts, w.T(key, "date", w.Date(at.AsTime())))
	}
	switch {
	case g.GetPaused() && g.GetResumeTime() != nil:
		fact("monthlyPausedUntil", g.GetResumeTime())
	case g.GetPaused():
		v.Facts = append(v.Facts, w.T("monthlyPaused"))
	}
	if next := g.GetNextDebitTime(); next != nil {
		fact("monthlyNext", next)
	}
	switch end := g.GetCancelTime(); {
	// A month may still be debited before the end.
	case end != nil && (g.GetNextDebitTime() != nil || g.GetState() == recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_PAST_DUE):
		fact("monthlyEndsOn", end)
	case end != nil:
		fact("monthlyLastDay", end)
	// Without a date of its own the end is that of the month that is paid.
	case g.GetCancelAtPeriodEnd():
		fact("monthlyLastDay", g.GetPeriodEndTime())
	case ends: // Stripe does not know of it yet
		v.Facts = append(v.Facts, w.T("monthlyEnding"))
	}
}

// endReasons are the sentences that say why a donation ended, or will.
var endReasons = map[recurringv1.RecurringDonationEndReason]string{
	recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_DONOR:           "monthlyReasonDonor",
	recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_COLLECTIVE:      "monthlyReasonCollective",
	recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_CAMPAIGN_CLOSED: "monthlyReasonCampaign",
	recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_PAYMENT_FAILED:  "monthlyReasonPayment",
	recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_AT_STRIPE:       "monthlyReasonStripe",
}
