package pages

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/gateway/text"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/money"
)

// pledgeFormView asks how much, and how it is to come.
type pledgeFormView struct {
	Title, TextLang, Collective, Path string
	Methods                           []methodView
	Form                              formView
	Closed                            string
}

// methodView is one choice in the form; the first that is offered is chosen.
type methodView struct {
	Value, Label, Hint string
	Checked            bool
}

// pledgeMethods are how a pledge can come, by what a form says.
var pledgeMethods = []struct {
	value  string
	method treasuryv1.OfflineMethod
}{
	{"transfer", treasuryv1.OfflineMethod_OFFLINE_METHOD_TRANSFER},
	{"cheque", treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE},
	{"cash", treasuryv1.OfflineMethod_OFFLINE_METHOD_CASH},
}

// offersPledges reports whether the campaign takes donations outside of Stripe. A page does without when it cannot
// be known.
func (s *site) offersPledges(ctx context.Context, campaign string) bool {
	// The service answers none for a campaign that takes no donations.
	methods, err := s.treasury.ListPledgeMethods(ctx, &treasuryv1.ListPledgeMethodsRequest{Parent: campaign})
	return err == nil && len(methods.GetMethods()) > 0
}

// pledgeForm shows the form.
func (s *site) pledgeForm(w http.ResponseWriter, r *http.Request) {
	p, v, _, ok := s.pledgePage(w, r)
	if !ok {
		return
	}
	p.Title, p.Content = p.T("pledgeTitle"), v
	s.share(p, v.Path+"/pledge")
	s.answer(w, r, http.StatusOK, "pledgeform", p, cachePublic)
}

// pledgePage is the form of a campaign, empty; false when it answered already.
func (s *site) pledgePage(w http.ResponseWriter, r *http.Request) (p *page, v pledgeFormView, c *campaignsv1.Campaign, ok bool) {
	name, ok := campaignName(r)
	if !ok {
		s.missing(w, r)
		return nil, v, nil, false
	}
	c, err := s.campaigns.GetCampaign(r.Context(), &campaignsv1.GetCampaignRequest{Name: name})
	if err != nil {
		s.failed(w, r, err)
		return nil, v, nil, false
	}
	// Without the methods there is no form to show, so an error is one of the whole page.
	offered, err := s.treasury.ListPledgeMethods(r.Context(), &treasuryv1.ListPledgeMethodsRequest{Parent: name})
	if err != nil {
		s.failed(w, r, err)
		return nil, v, nil, false
	}
	p = s.begin(w, r)
	shown := newCampaignView(p.Words, c)
	v = pledgeFormView{Title: shown.Title, TextLang: shown.TextLang, Collective: shown.Collective, Path: shown.Path, Form: shown.Form}
	// The order is that of the form and not of the answer.
	for _, m := range pledgeMethods {
		for _, method := range offered.GetMethods() {
			if method == m.method {
				v.Methods = append(v.Methods, methodView{Value: m.value, Label: p.T("pledge_" + m.value), Hint: p.T("pledge_" + m.value + "_hint"), Checked: len(v.Methods) == 0})
			}
		}
	}
	// The page says why there is no form: the campaign is paused or over, or takes no pledges.
	if len(v.Methods) == 0 {
		if v.Closed = shown.Closed; v.Closed == "" {
			v.Closed = p.T("pledgeNone")
		}
	}
	return p, v, c, true
}

// pledge makes a slip and leads to it. What is wrong comes back as the same page, with words and what was typed.
//
// Each post is a slip of its own: one that is posted twice makes two, of which one is used.
func (s *site) pledge(w http.ResponseWriter, r *http.Request) {
	p, v, c, ok := s.pledgePage(w, r)
	if !ok {
		return
	}
	// again shows the form with what is wrong and what was sent. It sets nothing before the body is read, since PostForm is
	// empty then.
	again := func(code int) {
		v.Form.Typed = r.PostForm.Get("amount")
		v.Form.check(r.PostForm.Get("preset"))
		for i := range v.Methods {
			v.Methods[i].Checked = v.Methods[i].Value == r.PostForm.Get("method")
		}
		p.Title, p.Content, p.NoIndex = p.T("errorTitle", "title", p.T("pledgeTitle")), v, true
		s.answer(w, r, code, "pledgeform", p, cacheNever)
	}
	// Before the body is read: another site's form may only be told to go away.
	if s.foreign.Check(r) != nil {
		p.wrong("", p.T("errorOriginPledge"))
		again(http.StatusForbidden)
		return
	}
	if r.ParseForm() != nil {
		p.wrong("amount", p.T("errorAmount"))
		again(http.StatusBadRequest)
		return
	}
	amount, err := chosenAmount(r.PostForm, money.Currency(c.GetGoal().GetCurrencyCode()))
	// Which of the known methods the collective takes is decided by the service.
	method := treasuryv1.OfflineMethod_OFFLINE_METHOD_UNSPECIFIED
	for _, m := range pledgeMethods {
		if m.value == r.PostForm.Get("method") {
			method = m.method
		}
	}
	if method == treasuryv1.OfflineMethod_OFFLINE_METHOD_UNSPECIFIED {
		p.wrong("method", p.T("pledgeErrorMethod"))
	}
	if err != nil {
		p.wrong("amount", p.T(amountProblem(err)))
	}
	if len(p.Problems) > 0 {
		again(http.StatusBadRequest)
		return
	}
	solution, ok := s.solved(w, r, p)
	if !ok {
		return
	}
	made, err := s.treasury.CreatePledge(r.Context(), &treasuryv1.CreatePledgeRequest{
		Parent: c.GetName(), RequestId: uuid.NewString(), ChallengeSolution: solution, Pledge: &treasuryv1.Pledge{
			Method: method, Locale: p.Lang, Amount: &moneyv1.Money{CurrencyCode: string(amount.Currency), AmountMinor: amount.Minor},
		},
	})
	if s.moment(w, r, p, err) {
		return
	}
	if err != nil {
		code, sentence := refusal(p.Words, c, err)
		field := ""
		if code == http.StatusBadRequest {
			field = "amount"
		}
		if reason, _ := reasonOf(err); reason == errorsv1.ErrorReason_PLEDGE_METHOD_UNAVAILABLE {
			code, field, sentence = http.StatusConflict, "method", p.T("pledgeErrorUnavailable")
		}
		p.wrong(field, sentence)
		again(code)
		return
	}
	// After the redirect a reload shows the slip and makes no other pledge.
	_, id, _ := strings.Cut(made.GetName(), "/pledges/")
	http.Redirect(w, r, v.Path+"/pledges/"+url.PathEscape(id)+"?lang="+p.Lang, http.StatusSeeOther)
}

// slipView is a pledge's slip, to be printed or kept.
type slipView struct {
	Heading, Lead, Amount, Reference string
	Campaign, TextLang, Collective   string
	Steps                            []string
	Rows                             []rowView
	Address                          []string
	// QRPath is the picture that a banking app reads; empty for none.
	QRPath string
	Note   string
	Path   string
	// SelfAddress is the page's own, to be kept on paper.
	SelfAddress string
	// Open: it is still awaited.
	Open bool
	// Receipt is about the tax receipt of a pledge that arrived; nil where there is none.
	Receipt *receiptCard
}

type rowView struct{ Label, Value, Class string }

// slip shows a pledge. Its address cannot be guessed, and it says nothing about anybody.
func (s *site) slip(w http.ResponseWriter, r *http.Request) {
	pledge, ok := s.pledgeOf(w, r)
	if !ok {
		return
	}
	name, _ := campaignName(r)
	c, err := s.campaigns.GetCampaign(r.Context(), &campaignsv1.GetCampaignRequest{Name: name})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	p := s.begin(w, r)
	// The slip is in the language in which the pledge was made, unless the visitor chose another one.
	if chosen, ok := s.catalogues[pledge.GetLocale()]; ok && text.ExplicitLanguage(r, text.Languages) == "" {
		p.Words = chosen
	}
	v := newSlipView(p.Words, c, pledge)
	// There is no code for other currencies than the euro.
	if pledge.GetTransfer().GetEpcQrSvg() != "" && v.Open {
		v.QRPath = v.Path + "/pledges/" + r.PathValue("pledge") + "/qr.svg"
	}
	// What a reader types from paper needs no scheme.
	v.SelfAddress = r.Host + v.Path + "/pledges/" + r.PathValue("pledge")
	if pledge.GetState() == treasuryv1.PledgeState_PLEDGE_STATE_FULFILLED {
		v.Receipt = s.receiptCard(r, p, pledge.GetName(), v.Path+"/pledges/"+r.PathValue("pledge")+"/receipt")
	}
	p.Title, p.NoIndex, p.Content = v.Heading, true, v
	s.answer(w, r, http.StatusOK, "slip", p, cacheNever)
}

// slipQR serves a transfer's code as a picture of its own, so that the page need not trust it as HTML.
func (s *site) slipQR(w http.ResponseWriter, r *http.Request) {
	pledge, ok := s.pledgeOf(w, r)
	if !ok {
		return
	}
	picture := pledge.GetTransfer().GetEpcQrSvg()
	if picture == "" {
		s.missing(w, r)
		return
	}
	w.Header().Set("Content-Type", "image/svg+xml; charset=utf-8")
	w.Header().Set("Cache-Control", cacheNever)
	_, _ = w.Write([]byte(picture))
}

// pledgeOf reads the pledge that the request names; false when it answered already.
func (s *site) pledgeOf(w http.ResponseWriter, r *http.Request) (*treasuryv1.Pledge, bool) {
	name, ok := campaignName(r)
	if !ok || !donationPattern.MatchString(r.PathValue("pledge")) {
		s.missing(w, r)
		return nil, false
	}
	pledge, err := s.treasury.GetPledge(r.Context(), &treasuryv1.GetPledgeRequest{Name: name + "/pledges/" + r.PathValue("pledge")})
	if err != nil {
		s.failed(w, r, err)
		return nil, false
	}
	return pledge, true
}

// newSlipView prints a pledge. Only one that is open has rows to pay by: a pledge that expired or is fulfilled has a
// sentence alone.
func newSlipView(w *text.Words, c *campaignsv1.Campaign, pledge *treasuryv1.Pledge) slipView {
	shown := newCampaignView(w, c)
	amount := w.Money(pledge.GetAmount())
	v := slipView{
		Heading: w.T("slipTitle"), Amount: amount, Reference: pledge.GetReference(),
		Campaign: shown.Title, TextLang: shown.TextLang, Collective: shown.Collective, Path: shown.Path,
		Open: pledge.GetState() == treasuryv1.PledgeState_PLEDGE_STATE_OPEN,
	}
	// An empty value has no row, such as a BIC that the collective did not give.
	row := func(key, value, class string) {
		if value != "" {
			v.Rows = append(v.Rows, rowView{w.T(key), value, class})
		}
	}
	// The states without rows come first.
	switch pledge.GetState() {
	case treasuryv1.PledgeState_PLEDGE_STATE_FULFILLED:
		v.Heading, v.Lead = w.T("receivedTitle"), w.T("receivedLead", "amount", amount)
		return v
	case treasuryv1.PledgeState_PLEDGE_STATE_EXPIRED:
		v.Lead = w.T("slipExpired")
		return v
	}
	row("slipAmount", amount, "strong")
	switch pledge.GetMethod() {
	case treasuryv1.OfflineMethod_OFFLINE_METHOD_TRANSFER:
		t := pledge.GetTransfer()
		v.Lead = w.T("slipTransferLead")
		row("slipHolder", t.GetHolder(), "")
		row("slipIBAN", inGroups(t.GetIban()), "code large")
		row("slipBIC", t.GetBic(), "code")
		row("slipReference", t.GetRemittanceText(), "code large")
		v.Note = w.T("slipTransferNote")
	case treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE:
		v.Lead = w.T("slipChequeLead")
		row("slipPayee", pledge.GetCheque().GetPayee(), "")
		row("slipReferenceBack", pledge.GetReference(), "code large")
		v.Address = pledge.GetCheque().GetPostalAddress()
		v.Note = w.T("slipChequeNote")
	// Cash is handed over, so the slip tells whom to and under which reference.
	default:
		v.Lead = w.T("slipCashLead", "collective", shown.Collective)
		row("slipReference", pledge.GetReference(), "code large")
		v.Note = w.T("slipCashNote")
	}
	if pledge.GetExpireTime() != nil {
		v.Note += " " + w.T("slipUntil", "date", w.Date(pledge.GetExpireTime().AsTime()))
	}
	return v
}

// inGroups writes an IBAN as it stands on paper, in fours.
func inGroups(iban string) string {
	var b strings.Builder
	for i, r := range strings.ReplaceAll(iban, " ", "") {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}
