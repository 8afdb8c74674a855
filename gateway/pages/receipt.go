package pages

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	"github.com/cagnotte/cagnotte/gateway/text"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	receiptsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/receipts/v1"
)

// maxReceiptBytes is far above a name and an address, whose letters are three characters each in a form.
const maxReceiptBytes = 14 << 10

// receiptCard is what the page of a donation says of its receipt.
type receiptCard struct {
	Text string
	// Path leads to the form and Ask names it; YearPath to the receipt of a monthly donation's year; ErasePath to where the donor
	// is erased. Each can be empty.
	Path, Ask, YearPath, ErasePath string
}

// receiptView is the page of a donation's receipt: the form, or what became of it.
type receiptView struct {
	Heading, Lead string
	// Path is this page's address without its query, and DonationPath that of the donation.
	Path, DonationPath string
	// RequestID goes with the form, so that the second of two equal posts is the same receipt.
	RequestID string
	// Company: the form is a company's. OtherKind leads to the other form; empty where there is none.
	Company          bool
	Kind             string
	OtherKind, Other string
	Fields           []receiptField
	// Year goes with the form of a monthly donation; Years lead to its other years.
	Year  string
	Years []yearLink
	// Form and Erase: what can be done.
	Form, Erase bool
}

type yearLink struct{ Text, URL string }

type receiptField struct {
	Name, Label, Hint, Autocomplete, Value string
	Max                                    int
	Lines, Required, Figures               bool
	Problem                                problem
}

// receiptFields are the inputs, in the order of the form, with the field of the request that each fills.
func receiptFields(w *text.Words, company, mail bool) []receiptField {
	var fields []receiptField
	if company {
		fields = []receiptField{
			{Name: "company_name", Autocomplete: "organization", Max: 120, Required: true},
			{Name: "legal_form", Max: 40, Required: true},
			{Name: "siren", Max: 11, Required: true, Figures: true},
		}
	} else {
		fields = []receiptField{
			{Name: "first_name", Autocomplete: "given-name", Max: 80, Required: true},
			{Name: "last_name", Autocomplete: "family-name", Max: 80, Required: true},
		}
	}
	fields = append(fields,
		receiptField{Name: "street", Autocomplete: "street-address", Max: 360, Required: true, Lines: true},
		receiptField{Name: "postal_code", Autocomplete: "postal-code", Max: 12, Required: true},
		receiptField{Name: "city", Autocomplete: "address-level2", Max: 80, Required: true},
		receiptField{Name: "country", Autocomplete: "country-name", Max: 80},
	)
	if mail {
		fields = append(fields, receiptField{Name: "email", Autocomplete: "email", Max: 254})
	}
	for i := range fields {
		f := &fields[i]
		f.Label = w.T("receipt." + f.Name)
		if f.Autocomplete == "" {
			f.Autocomplete = "off"
		}
	}
	return fields
}

// receiptCard asks what can be had for a donation; nil where the collective issues none, or it is not known.
func (s *site) receiptCard(r *http.Request, p *page, donation, path string) *receiptCard {
	o, err := s.receipts.GetReceiptOffer(r.Context(), &receiptsv1.GetReceiptOfferRequest{Name: donation + "/receiptOffer"})
	if err != nil {
		return nil
	}
	card := receiptCard{}
	switch o.GetState() {
	case receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_OFFERED:
		card.Text, card.Path, card.Ask = p.T("receipt.offered"), path+p.Query, p.T("receipt.ask")
		if o.GetNumber() != "" {
			card.Text = p.T("receipt.again", "number", o.GetNumber())
		}
	case receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_ISSUED:
		card.Text = p.T("receipt.issued", "number", o.GetNumber())
	case receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_CANCELED:
		card.Text = p.T("receipt.canceled", "number", o.GetNumber())
	default:
		if o.GetNumber() == "" && !o.GetErasable() {
			return nil
		}
		if o.GetNumber() == "" {
			card.Text = p.T("receipt.eraseOnly")
			break
		}
		card.Text = p.T("receipt.canceled", "number", o.GetNumber())
	}
	if o.GetErasable() {
		card.ErasePath = path + "/erase" + p.Query
	}
	return &card
}

// receiptPage begins the page of the receipt that the request names; false when it answered already.
func (s *site) receiptPage(w http.ResponseWriter, r *http.Request) (p *page, v receiptView, donation string, o *receiptsv1.ReceiptOffer, ok bool) {
	name, ok := campaignName(r)
	// The donation, the monthly donation or the pledge: their ids have one form.
	parts := map[string][2]string{"donation": {"donations", "donations"}, "recurring": {"recurringDonations", "monthly"}, "pledge": {"pledges", "pledges"}}
	id, resource, segment := "", "", ""
	for value, part := range parts {
		if found := r.PathValue(value); found != "" {
			id, resource, segment = found, part[0], part[1]
		}
	}
	if !ok || !donationPattern.MatchString(id) {
		s.missing(w, r)
		return nil, v, "", nil, false
	}
	donation = name + "/" + resource + "/" + id
	year, err := strconv.Atoi(r.URL.Query().Get("year"))
	if err != nil || year < 2000 || year > 9998 {
		year = 0
	}
	o, err = s.receipts.GetReceiptOffer(r.Context(), &receiptsv1.GetReceiptOfferRequest{Name: donation + "/receiptOffer", DonationYear: int32(year)})
	if err != nil {
		s.failed(w, r, err)
		return nil, v, "", nil, false
	}
	p = s.begin(w, r)
	p.NoIndex = true
	collective, campaign := slugs(name)
	base := "/c/" + collective + "/" + campaign
	path := base + "/" + segment + "/" + id
	v = receiptView{Heading: p.T("receipt.title"), Path: path + "/receipt", DonationPath: path + p.Query}
	if resource == "recurringDonations" {
		// The monthly donation's own page needs a link; its first donation has the same id.
		v.DonationPath = base + "/donations/" + id + p.Query
		v.Year = strconv.Itoa(int(o.GetDonationYear()))
		for _, other := range o.GetDonationYears() {
			if other != o.GetDonationYear() {
				v.Years = append(v.Years, yearLink{strconv.Itoa(int(other)), v.Path + "?year=" + strconv.Itoa(int(other)) + "&lang=" + p.Lang})
			}
		}
	}
	return p, v, donation, o, true
}

func (s *site) answerReceipt(w http.ResponseWriter, r *http.Request, code int, p *page, v receiptView) {
	p.Title, p.Content = v.Heading, v
	s.answer(w, r, code, "receipt", p, cacheNever)
}

// setForm puts the form into the page, where a receipt can be had; else what became of it.
func (v *receiptView) setForm(p *page, o *receiptsv1.ReceiptOffer, company bool) {
	kinds := o.GetDonorKinds()
	individuals, companies := false, false
	for _, kind := range kinds {
		individuals = individuals || kind == receiptsv1.DonorKind_DONOR_KIND_INDIVIDUAL
		companies = companies || kind == receiptsv1.DonorKind_DONOR_KIND_COMPANY
	}
	switch o.GetState() {
	case receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_OFFERED:
		v.Company = companies && (company || !individuals)
		v.Form, v.Lead, v.Kind = true, p.T("receipt.lead", "amount", p.Money(o.GetAmount())), "individual"
		if v.Year != "" {
			v.Lead = p.T("receipt.leadYear", "amount", p.Money(o.GetAmount()), "year", v.Year, "n", strconv.Itoa(int(o.GetPaymentCount())))
		}
		if v.Company {
			v.Kind = "company"
		}
		v.Fields = receiptFields(p.Words, v.Company, o.GetMailOffered())
		if individuals && companies {
			other := "company"
			v.Other = p.T("receipt.toCompany")
			if v.Company {
				other, v.Other = "individual", p.T("receipt.toIndividual")
			}
			v.OtherKind = v.Path + "?kind=" + other + v.yearQuery() + "&lang=" + p.Lang
		}
		p.InLanguage = v.Path + "?kind=" + v.Kind + v.yearQuery() + "&lang="
	case receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_ISSUED:
		v.Lead = p.T("receipt.issued", "number", o.GetNumber())
	case receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_CANCELED:
		v.Lead = p.T("receipt.canceled", "number", o.GetNumber())
	default:
		v.Lead = p.T("receipt.none")
		if v.Year != "" && !o.GetYearOver() {
			v.Lead = p.T("receipt.yearGoesOn", "year", v.Year)
		}
	}
	v.Erase = o.GetErasable()
}

func (v *receiptView) yearQuery() string {
	if v.Year == "" {
		return ""
	}
	return "&year=" + v.Year
}

// receipt shows the form.
func (s *site) receipt(w http.ResponseWriter, r *http.Request) {
	p, v, _, o, ok := s.receiptPage(w, r)
	if !ok {
		return
	}
	v.setForm(p, o, r.URL.Query().Get("kind") == "company")
	v.RequestID = uuid.NewString()
	s.answerReceipt(w, r, http.StatusOK, p, v)
}

// issueReceipt answers the PDF. What was typed is used for that, and kept nowhere here.
func (s *site) issueReceipt(w http.ResponseWriter, r *http.Request) {
	p, v, donation, o, ok := s.receiptPage(w, r)
	if !ok {
		return
	}
	p.InLanguage = v.Path + "?lang="
	if s.foreign.Check(r) != nil {
		v.setForm(p, o, false)
		v.RequestID = uuid.NewString()
		p.wrong("", p.T("receipt.errorOrigin"))
		s.answerReceipt(w, r, http.StatusForbidden, p, v)
		return
	}
	typed, whole := readReceiptForm(r)
	// A repeat of what was issued needs the fields again, although nothing is offered any more.
	v.Company = typed.Get("kind") == "company"
	fields := receiptFields(p.Words, v.Company, o.GetMailOffered())
	offered := o
	again := func(code int) {
		v.setForm(p, offered, v.Company)
		v.RequestID = typed.Get("request_id")
		if _, err := uuid.Parse(v.RequestID); err != nil {
			v.RequestID = uuid.NewString()
		}
		for i := range v.Fields {
			f := &v.Fields[i]
			// What is far too long is not sent back.
			if value := typed.Get(f.Name); len(value) <= 4*f.Max && utf8.ValidString(value) {
				f.Value = value
			}
			f.Problem = p.ProblemAt(f.Name)
		}
		s.answerReceipt(w, r, code, p, v)
	}
	for _, f := range fields {
		switch value := typed.Get(f.Name); {
		case utf8.RuneCountInString(value) > f.Max+len("\r\n")*3:
			p.wrong(f.Name, p.T("receipt.errorLong", "max", strconv.Itoa(f.Max)))
		case f.Required && strings.TrimSpace(value) == "" && whole:
			p.wrong(f.Name, p.T("receipt.errorRequired"))
		}
	}
	if !whole && len(p.Problems) == 0 {
		p.wrong("", p.T("receipt.errorRead"))
	}
	if len(p.Problems) > 0 {
		again(http.StatusBadRequest)
		return
	}
	kind := receiptsv1.DonorKind_DONOR_KIND_INDIVIDUAL
	if v.Company {
		kind = receiptsv1.DonorKind_DONOR_KIND_COMPANY
	}
	year, _ := strconv.Atoi(v.Year)
	issued, err := s.receipts.IssueReceipt(r.Context(), &receiptsv1.IssueReceiptRequest{
		Parent: donation, RequestId: typed.Get("request_id"), DonationYear: int32(year), Email: strings.TrimSpace(typed.Get("email")), Donor: &receiptsv1.Donor{
			Kind: kind, FirstName: typed.Get("first_name"), LastName: typed.Get("last_name"), CompanyName: typed.Get("company_name"),
			LegalForm: typed.Get("legal_form"), Siren: typed.Get("siren"), Street: typed.Get("street"), PostalCode: typed.Get("postal_code"),
			City: typed.Get("city"), Country: typed.Get("country"),
		},
	})
	if err != nil {
		code := s.receiptRefused(p, fields, err)
		again(code)
		return
	}
	switch issued.GetMail() {
	case receiptsv1.ReceiptMail_RECEIPT_MAIL_SENT:
		v.Lead, v.Erase = p.T("receipt.mailed", "number", issued.GetReceipt().GetNumber()), true
		s.answerReceipt(w, r, http.StatusOK, p, v)
		return
	case receiptsv1.ReceiptMail_RECEIPT_MAIL_REFUSED, receiptsv1.ReceiptMail_RECEIPT_MAIL_FAILED:
		// The receipt is there: the same form sends it again, or answers the PDF.
		p.wrong("email", p.T("receipt.error_"+issued.GetMail().String(), "number", issued.GetReceipt().GetNumber()))
		offered = &receiptsv1.ReceiptOffer{
			State: receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_OFFERED, DonorKinds: []receiptsv1.DonorKind{kind}, MailOffered: true,
			Amount: issued.GetReceipt().GetAmount(), PaymentCount: int32(len(issued.GetReceipt().GetPayments())),
		}
		again(http.StatusOK)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/pdf")
	h.Set("Content-Disposition", `attachment; filename="recu-fiscal-`+issued.GetReceipt().GetNumber()+`.pdf"`)
	h.Set("Content-Length", strconv.Itoa(len(issued.GetPdf())))
	h.Set("Cache-Control", cacheNever)
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	_, _ = w.Write(issued.GetPdf())
}

// readReceiptForm reads a form as far as it may be long: of one that is longer it has the fields up to there, the last one cut,
// and whole is false.
func readReceiptForm(r *http.Request) (typed url.Values, whole bool) {
	body, err := io.ReadAll(r.Body)
	typed, wrong := url.ParseQuery(string(body))
	return typed, err == nil && wrong == nil
}

// receiptRefused notes why the service refused, and returns the HTTP status.
func (s *site) receiptRefused(p *page, fields []receiptField, err error) int {
	reason, _ := reasonOf(err)
	switch reason {
	case errorsv1.ErrorReason_INVALID_FIELD:
		for _, detail := range status.Convert(err).Details() {
			bad, ok := detail.(*errdetails.BadRequest)
			if !ok {
				continue
			}
			for _, violation := range bad.GetFieldViolations() {
				name := strings.TrimPrefix(violation.GetField(), "donor.")
				for _, f := range fields {
					if f.Name == name {
						p.wrong(name, receiptProblem(p, f, violation.GetDescription()))
					}
				}
			}
		}
		if len(p.Problems) == 0 {
			p.wrong("", p.T("receipt.errorRead"))
		}
		return http.StatusBadRequest
	case errorsv1.ErrorReason_RECEIPT_EXISTS:
		p.wrong("", p.T("receipt.errorExists"))
		return http.StatusConflict
	case errorsv1.ErrorReason_RECEIPT_CANCELED, errorsv1.ErrorReason_RECEIPTS_NOT_OFFERED, errorsv1.ErrorReason_DONATION_WITHOUT_RECEIPT:
		p.wrong("", p.T("receipt.none"))
		return http.StatusConflict
	}
	p.wrong("", p.T("receipt.errorAway"))
	return http.StatusServiceUnavailable
}

// receiptProblem says in the page's language what the service says of a field.
func receiptProblem(p *page, f receiptField, description string) string {
	switch {
	case strings.HasPrefix(description, "is required"):
		return p.T("receipt.errorRequired")
	case f.Name == "email":
		return p.T("receipt.errorEmail")
	case strings.Contains(description, "SIREN"):
		return p.T("receipt.errorSiren")
	case strings.Contains(description, "lines"):
		return p.T("receipt.errorLines")
	case strings.Contains(description, "at most"):
		return p.T("receipt.errorLong", "max", strconv.Itoa(f.Max))
	}
	return p.T("receipt.errorCharacters")
}

// eraseReceiptForm asks before who gave is erased.
func (s *site) eraseReceiptForm(w http.ResponseWriter, r *http.Request) {
	p, v, _, o, ok := s.receiptPage(w, r)
	if !ok {
		return
	}
	v.Heading = p.T("receipt.eraseTitle")
	v.Lead, v.Erase = p.T("receipt.eraseLead", "number", o.GetNumber()), o.GetErasable()
	if o.GetNumber() == "" {
		v.Lead = p.T("receipt.eraseOnly")
	}
	if !v.Erase {
		v.Lead = p.T("receipt.erased")
	}
	p.Title, p.Content = v.Heading, v
	s.answer(w, r, http.StatusOK, "receipterase", p, cacheNever)
}

// eraseReceipt erases who gave, and leads back to the donation.
func (s *site) eraseReceipt(w http.ResponseWriter, r *http.Request) {
	p, v, donation, _, ok := s.receiptPage(w, r)
	if !ok {
		return
	}
	if s.foreign.Check(r) != nil {
		p.wrong("", p.T("receipt.errorOrigin"))
		v.Heading = p.T("receipt.eraseTitle")
		p.Title, p.Content = v.Heading, v
		s.answer(w, r, http.StatusForbidden, "receipterase", p, cacheNever)
		return
	}
	if _, err := s.receipts.EraseReceiptDonor(r.Context(), &receiptsv1.EraseReceiptDonorRequest{Name: donation + "/receiptOffer"}); err != nil {
		s.failed(w, r, err)
		return
	}
	http.Redirect(w, r, v.Path+"/erase"+p.Query, http.StatusSeeOther)
}
