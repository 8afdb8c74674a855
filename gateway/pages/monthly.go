package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
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
	// Of is what the donation is for; nil when the campaign cannot be shown.
	Of *monthlyCampaign
	// Path is the page's address without its query; the forms' are below it.
	Path string
	// Lead and Facts say what is known.
	Lead  string
	Facts []string
	// Token is the link's. Unopened: a button opens it, since mail programs load pages too. Afterwards it manages the donation,
	// at the link's own address alone.
	Token    string
	Unopened bool
	// AskLink offers a new link.
	AskLink bool
	// Change, Stop and Portal are what can still be done with it; Later: once the account is connected again. They are for an
	// open link.
	Change, Stop, Portal, Later bool
	Typed, Symbol               string
	// StopPath asks before it stops: Confirm. KeepPath leads back from there.
	Confirm            bool
	StopPath, KeepPath string
	// AgainPath is where another donation can be made, once this one has ended; empty otherwise.
	AgainPath string
	// DonationPath is the first donation's page.
	DonationPath string
}

// monthlyCampaign is what a monthly donation is for.
type monthlyCampaign struct {
	Collective, CollectivePath string
	Title, TextLang, Path      string
}

// monthlyPage begins the page of the monthly donation that the request names; false when it answered already. Its
// address may hold a link's token, which goes into no Referer, cache or index.
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
	// A link to the other language would have to hold the token too.
	p.InLanguage, p.NoIndex = "", true
	return campaign + "/recurringDonations/" + id, p, v, true
}

// at is the page's own address with its token, and with more parameters, as pairs of name and value.
func (v *monthlyView) at(p *page, more ...string) string {
	query := []string{}
	if p.Query != "" {
		query = append(query, p.Query[1:])
	}
	if v.Token != "" {
		more = append([]string{"token", v.Token}, more...)
	}
	for i := 0; i < len(more); i += 2 {
		query = append(query, more[i]+"="+url.QueryEscape(more[i+1]))
	}
	if len(query) == 0 {
		return v.Path
	}
	return v.Path + "?" + strings.Join(query, "&")
}

func (s *site) answerMonthly(w http.ResponseWriter, r *http.Request, code int, p *page, v monthlyView) {
	p.Title, p.Content = v.Heading, v
	s.answer(w, r, code, "monthly", p, cacheNever)
}

// back ends a form's post at the page, so that neither reload nor back posts anything again.
func back(w http.ResponseWriter, r *http.Request, address string) {
	w.Header().Set("Cache-Control", cacheNever)
	http.Redirect(w, r, address, http.StatusSeeOther)
}

// monthly shows a link's button, or the donation that an open link manages, or the way to a link. Without an open link it
// tells nothing about the donation. It opens no link, because programs that read mail load the page as well.
func (s *site) monthly(w http.ResponseWriter, r *http.Request) {
	name, p, v, ok := s.monthlyPage(w, r)
	if !ok {
		return
	}
	query := r.URL.Query()
	campaign, err := s.campaignOf(r.Context(), name)
	if err == nil {
		shown := newCampaignView(p.Words, campaign)
		v.Of = &monthlyCampaign{shown.Collective, shown.CollectivePath, shown.Title, shown.TextLang, shown.Path}
	}
	code := http.StatusOK
	if reason := query.Get("problem"); reason != "" {
		code = tellProblem(p, campaign, errorsv1.ReasonOf(reason), waitOf(query))
	}
	v.Token = query.Get("token")
	if v.Token == "" {
		v.Lead, v.AskLink = p.T("monthlyLinkLead"), true
		if query.Has("sent") {
			v.Heading, v.Lead, v.Facts, v.AskLink = p.T("monthlySentTitle"), p.T("monthlySentLead"), []string{p.T("monthlySentHint")}, false
		}
		p.InLanguage = v.Path + "?lang="
		s.answerMonthly(w, r, code, p, v)
		return
	}
	donation, err := s.recurring.ShowRecurringDonation(r.Context(), &recurringv1.ShowRecurringDonationRequest{Name: name, ManageToken: v.Token})
	reason, _ := reasonOf(err)
	switch {
	case err == nil:
		v.Typed = query.Get("amount")
		v.show(p, donation)
		v.tellDone(p, donation, campaign, query)
	case reason == errorsv1.ErrorReason_LINK_UNOPENED:
		v.Lead, v.Unopened = p.T("monthlyOpenLead"), true
	// A token that is no token is no better than one that is over.
	case reason == errorsv1.ErrorReason_MANAGE_TOKEN_INVALID, status.Code(err) == codes.InvalidArgument:
		v.Heading, v.Lead, v.Token, v.AskLink = p.T("monthly.spentTitle"), p.T("monthly.spentLead"), "", true
	default:
		s.failed(w, r, err)
		return
	}
	s.answerMonthly(w, r, code, p, v)
}

// waitOf is how long to wait, by the address; a minute when it does not say.
func waitOf(query url.Values) time.Duration {
	seconds, err := strconv.Atoi(query.Get("wait"))
	if err != nil || seconds < 1 || seconds > 24*60*60 {
		return time.Minute
	}
	return time.Duration(seconds) * time.Second
}

// tellDone says what a form has just done, or asks before it stops the donation.
func (v *monthlyView) tellDone(p *page, donation *recurringv1.RecurringDonation, campaign *campaignsv1.Campaign, query url.Values) {
	pending := donation.GetChangePending()
	switch {
	case len(p.Problems) > 0:
	case query.Get("done") == "change" && pending:
		v.Heading = p.T("monthlyChangeNotedTitle")
	case query.Get("done") == "change":
		v.Heading = p.T("monthlyChangedTitle")
	case query.Get("done") == "stop" && v.Stop:
		// It was not stopped, whatever the address says.
	case query.Get("done") == "stop" && pending:
		v.Heading = p.T("monthlyStopNotedTitle")
	case query.Get("done") == "stop":
		v.Heading = p.T("monthlyStoppedTitle")
	case query.Get("step") == "stop" && v.Stop:
		v.confirmStop(p, donation)
		return
	}
	running := v.Stop || v.Portal || v.Change
	switch state := campaign.GetState(); {
	case running && state == campaignsv1.CampaignState_CAMPAIGN_STATE_PAUSED:
		v.Facts = append(v.Facts, p.T("monthly.campaignPaused"))
	case !running && campaign.GetAcceptingDonations():
		v.AgainPath = v.Of.Path + p.Query
	}
}

// confirmStop says what stopping does, and what was charged last.
func (v *monthlyView) confirmStop(p *page, donation *recurringv1.RecurringDonation) {
	v.Confirm, v.Heading, v.KeepPath, v.Facts = true, p.T("monthly.stopTitle"), v.at(p), nil
	fact := func(key string, values ...string) { v.Facts = append(v.Facts, p.T(key, values...)) }
	switch {
	case donation.GetAccountDisconnected():
		fact("monthly.stopLater")
	case donation.GetDebitPending():
		fact("monthly.stopDebit")
	case donation.GetState() == recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_PAST_DUE:
		fact("monthly.stopPastDue")
	case donation.GetNextDebitTime() != nil:
		fact("monthly.stopNext", "date", p.Date(donation.GetNextDebitTime().AsTime()))
	default:
		fact("monthly.stopNothing")
	}
	fact("monthly.stopKept")
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
		back(w, r, v.at(p, "problem", "other"))
		return name, p, v, false
	}
	v.Token = r.PostForm.Get("token")
	return name, p, v, true
}

// monthlyLink has a link mailed to the donor. The answer is the same whoever asks, and whether or not there is
// such a donation.
func (s *site) monthlyLink(w http.ResponseWriter, r *http.Request) {
	name, p, v, ok := s.monthlyForm(w, r)
	if !ok {
		return
	}
	v.Token = ""
	if _, err := s.recurring.RequestManageLink(r.Context(), &recurringv1.RequestManageLinkRequest{Name: name}); err != nil {
		s.monthlyFailed(w, r, p, v, err)
		return
	}
	back(w, r, v.at(p, "sent", "1"))
}

// monthlyOpen opens a link. Its token manages the donation from here on, so no cookie is needed; pressed again after an
// answer that was lost, the button opens it again.
func (s *site) monthlyOpen(w http.ResponseWriter, r *http.Request) {
	name, p, v, ok := s.monthlyForm(w, r)
	if !ok {
		return
	}
	if _, err := s.recurring.RedeemManageLink(r.Context(), &recurringv1.RedeemManageLinkRequest{Name: name, Token: v.Token}); err != nil {
		s.monthlyFailed(w, r, p, v, err)
		return
	}
	back(w, r, v.at(p))
}

// maxTyped is the longest amount that comes back in its field.
const maxTyped = 24

// monthlyChange changes what is given from the next month on.
func (s *site) monthlyChange(w http.ResponseWriter, r *http.Request) {
	name, p, v, ok := s.monthlyForm(w, r)
	if !ok {
		return
	}
	campaign, err := s.campaignOf(r.Context(), name)
	if err != nil {
		s.monthlyFailed(w, r, p, v, err)
		return
	}
	typed := r.PostForm.Get("amount")
	if len(typed) > maxTyped {
		typed = ""
	}
	// A monthly donation is in the currency of its campaign.
	amount, err := chosenAmount(url.Values{"amount": {typed}}, money.Currency(campaign.GetGoal().GetCurrencyCode()))
	if err != nil {
		back(w, r, v.at(p, "problem", errorsv1.ErrorReason_INVALID_FIELD.String(), "amount", typed))
		return
	}
	solution, ok := s.solved(w, r, p)
	if !ok {
		return
	}
	if _, err := s.recurring.ChangeRecurringDonation(r.Context(), &recurringv1.ChangeRecurringDonationRequest{
		Name: name, ManageToken: v.Token, ChallengeSolution: solution,
		Amount: &moneyv1.Money{CurrencyCode: string(amount.Currency), AmountMinor: amount.Minor},
	}); err != nil {
		if s.moment(w, r, p, err) {
			return
		}
		s.monthlyFailed(w, r, p, v, err, "amount", typed)
		return
	}
	back(w, r, v.at(p, "done", "change"))
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
	if _, err := s.recurring.StopRecurringDonation(r.Context(), &recurringv1.StopRecurringDonationRequest{Name: name, ManageToken: v.Token}); err != nil {
		s.monthlyFailed(w, r, p, v, err)
		return
	}
	back(w, r, v.at(p, "done", "stop"))
}

// monthlyPortal leads to Stripe's page for the card.
func (s *site) monthlyPortal(w http.ResponseWriter, r *http.Request) {
	name, p, v, ok := s.monthlyForm(w, r)
	if !ok {
		return
	}
	solution, ok := s.solved(w, r, p)
	if !ok {
		return
	}
	portal, err := s.recurring.CreatePortalSession(r.Context(), &recurringv1.CreatePortalSessionRequest{
		Name: name, ManageToken: v.Token, ChallengeSolution: solution,
	})
	if s.moment(w, r, p, err) {
		return
	}
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

// monthlyFailed leads back to the page, whose address says why nothing came of it.
func (s *site) monthlyFailed(w http.ResponseWriter, r *http.Request, p *page, v monthlyView, err error, more ...string) {
	reason, wait := reasonOf(err)
	switch {
	// The page itself says so of its link.
	case reason == errorsv1.ErrorReason_LINK_INVALID, reason == errorsv1.ErrorReason_MANAGE_TOKEN_INVALID:
		back(w, r, v.at(p))
		return
	case status.Code(err) == codes.NotFound:
		s.missing(w, r)
		return
	// What is not foreseen is logged by its code alone and told in a general sentence.
	case !foreseen(reason):
		s.logger.WarnContext(r.Context(), "a monthly donation's page lacks what it asked for", "code", status.Code(err).String())
	}
	more = append([]string{"problem", reason.String(), "wait", strconv.Itoa(int(wait.Seconds()))}, more...)
	back(w, r, v.at(p, more...))
}

// foreseen reports whether tellProblem has a sentence for the reason.
func foreseen(reason errorsv1.ErrorReason) bool {
	_, known := monthlyProblems[reason]
	return known || reason == errorsv1.ErrorReason_AMOUNT_TOO_SMALL || reason == errorsv1.ErrorReason_AMOUNT_TOO_LARGE
}

// monthlyProblems are the answers to refusals that no field is at fault for: the status and the sentence.
var monthlyProblems = map[errorsv1.ErrorReason]struct {
	code     int
	sentence string
}{
	errorsv1.ErrorReason_MAIL_NOT_CONFIGURED:         {http.StatusConflict, "monthlyErrorMail"},
	errorsv1.ErrorReason_TOO_MANY_LINKS:              {http.StatusTooManyRequests, "monthlyErrorTooMany"},
	errorsv1.ErrorReason_TOO_MANY_CHANGES:            {http.StatusTooManyRequests, "monthlyErrorManyChanges"},
	errorsv1.ErrorReason_RECURRING_NOT_STARTED:       {http.StatusConflict, "monthlyErrorNotStarted"},
	errorsv1.ErrorReason_RECURRING_ENDED:             {http.StatusConflict, "monthlyErrorEnded"},
	errorsv1.ErrorReason_STRIPE_ACCOUNT_DISCONNECTED: {http.StatusConflict, "monthlyErrorDisconnected"},
	errorsv1.ErrorReason_STRIPE_UNAVAILABLE:          {http.StatusServiceUnavailable, "errorStripe"},
	errorsv1.ErrorReason_TOO_BUSY:                    {http.StatusServiceUnavailable, "errorStripe"},
}

// tellProblem says why a form was refused, and returns the page's status. campaign may be nil.
func tellProblem(p *page, campaign *campaignsv1.Campaign, reason errorsv1.ErrorReason, wait time.Duration) int {
	switch reason {
	case errorsv1.ErrorReason_INVALID_FIELD:
		p.wrong("amount", p.T("errorAmount"))
		return http.StatusBadRequest
	case errorsv1.ErrorReason_AMOUNT_TOO_SMALL:
		p.wrong("amount", p.T("errorTooSmall", "minimum", p.Money(campaign.GetMinimum())))
		return http.StatusBadRequest
	case errorsv1.ErrorReason_AMOUNT_TOO_LARGE:
		p.wrong("amount", p.T("errorTooLarge", "maximum", p.Money(campaign.GetMaximum())))
		return http.StatusBadRequest
	}
	known, ok := monthlyProblems[reason]
	if !ok {
		p.wrong("", p.T("monthlyErrorOther"))
		return http.StatusServiceUnavailable
	}
	p.wrong("", p.T(known.sentence, "wait", p.Wait(wait)))
	return known.code
}

// show says how the donation stands, and what can be done with it.
func (v *monthlyView) show(p *page, g *recurringv1.RecurringDonation) {
	w := p.Words
	v.StopPath = v.at(p, "step", "stop")
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
