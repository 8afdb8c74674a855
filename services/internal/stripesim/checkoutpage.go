package stripesim

import (
	"bytes"
	_ "embed" // the page and its stylesheet
	"errors"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed page/page.html
var pageHTML string

//go:embed page/style.css
var pageCSS []byte

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// pagePolicy lets the page load its stylesheet and nothing else. A browser applies form-action to every
// redirect that follows the form as well, and where the merchant's pages lead after success_url is not known
// here, so any web origin is allowed there.
const pagePolicy = "default-src 'none'; style-src 'self'; form-action 'self' http: https:; base-uri 'none'; frame-ancestors 'none'"

const (
	prefilledExpiry = "05/66"
	prefilledCVC    = "123"
)

// pageRoutes are the pages for people: payment and portal, with one stylesheet.
func (s *Sim) pageRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /pay/style.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Header().Set("Cache-Control", "max-age=60")
		w.Write(pageCSS)
	})
	mux.HandleFunc("GET /pay/{session}", s.showPage)
	mux.HandleFunc("POST /pay/{session}", s.submitPage)
	s.portalRoutes(mux)
}

// pageView is what the template shows. The texts are in its language, and amounts are formatted. Problem is empty
// unless the form was refused. status and successURL are not shown; they decide what happens next.
type pageView struct {
	T          texts
	Lang       string
	Session    string
	Items      []pageItem
	Total      string
	Open       bool
	Problem    string
	Wrong      string // the field that Problem is about
	Email      string
	EmailFixed bool
	Card       string
	Expiry     string
	CVC        string
	SubmitText string
	Submit     string
	CancelURL  string
	Cards      []pageCard
	Debit      *debitForm
	// Challenge: the bank of the card in the form asks for one more step.
	Challenge bool

	Ended, EndedHint, NextURL string // when it is not open

	status     string
	successURL string
}

// pageItem is a line of the order; Amount is that of the whole line.
type pageItem struct {
	Name, Description, Amount string
	Quantity                  int64
}

// pageCard is a test card or test account of the list; What tells its outcome.
type pageCard struct {
	Number, Shown, What string
	Current             bool
}

// view describes the page of a session, which may be none.
func (s *Sim) view(r *http.Request) *pageView {
	s.lock()
	defer s.unlock()
	id := r.PathValue("session")
	_, se := s.find(id)
	v := &pageView{Session: id, Expiry: prefilledExpiry, CVC: prefilledCVC, Email: "donor@example.org"}
	locale := ""
	if se != nil {
		locale = se.Locale
	}
	// A session that does not exist has no locale, so the browser's language is used.
	v.Lang = language(locale, r.Header.Get("Accept-Language"))
	v.T = catalogue[v.Lang]
	if se == nil {
		v.Ended, v.EndedHint = v.T.Missing, v.T.MissingHint
		return v
	}
	v.status, v.successURL, v.CancelURL, v.SubmitText = se.Status, se.successURL(), se.CancelURL, se.SubmitText
	v.Total = formatAmount(v.Lang, se.amount(), se.Currency)
	// Items are shown in the merchant's currency, the total in the donor's, which differ only after Localize.
	for _, item := range se.Items {
		v.Items = append(v.Items, pageItem{
			Name: item.Name, Description: item.Description, Quantity: item.Quantity,
			Amount: formatAmount(v.Lang, item.amount(), item.Currency),
		})
	}
	// The donor cannot change an e-mail address that the merchant set.
	if se.CustomerEmail != "" {
		v.Email, v.EmailFixed = se.CustomerEmail, true
	}
	// submit_type chooses the word on the button, as at Stripe.
	verb := v.T.Pay
	switch se.SubmitType {
	case "donate":
		verb = v.T.Donate
	case "book":
		verb = v.T.Book
	}
	v.Submit = verb + " " + v.Total
	if se.offers(debitMethod) {
		v.Debit = &debitForm{}
	}
	// An ended session leads on: a complete one to the merchant's success page, an expired one back.
	switch se.Status {
	case sessionOpen:
		v.Open = true
	case sessionComplete:
		v.Ended, v.EndedHint, v.NextURL = v.T.Paid, v.T.PaidHint, v.successURL
		// A complete session without the money: the debit has begun, or it has failed since.
		if se.Unpaid {
			v.Ended = v.T.DebitBegun
		}
	case sessionExpired:
		v.Ended, v.EndedHint, v.NextURL = v.T.Expired, v.T.ExpiredHint, v.CancelURL
	}
	return v
}

// showPage shows the form; its query may name a test card or account to fill in.
func (s *Sim) showPage(w http.ResponseWriter, r *http.Request) {
	v := s.view(r)
	v.fill(r.URL.Query().Get("card"))
	v.fillDebit("", r.URL.Query().Get("iban"))
	v.write(w, v.httpStatus())
}

// httpStatus of a page that nobody submitted.
func (v *pageView) httpStatus() int {
	switch v.status {
	case sessionOpen, sessionComplete:
		return http.StatusOK
	case sessionExpired:
		return http.StatusGone
	}
	// No session has this id.
	return http.StatusNotFound
}

// submitPage pays the session. A session is paid once, however often the form is sent; later senders are redirected to
// the same place.
func (s *Sim) submitPage(w http.ResponseWriter, r *http.Request) {
	// The form is small, and anybody who reaches the page can send it.
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form could not be read", http.StatusBadRequest)
		return
	}
	// The view is of this moment and takes no lock afterwards. pay checks again under the lock whether the session is
	// open.
	v := s.view(r)
	// Both forms of the page lead here. The one for debits has the field iban.
	if v.Debit != nil && r.PostForm.Has("iban") {
		s.submitDebit(w, r, v)
		return
	}
	card, email := r.PostForm.Get("card"), strings.TrimSpace(r.PostForm.Get("email"))
	// What was typed is shown again when the form is refused.
	v.fill(card)
	v.fillDebit("", "")
	v.Expiry, v.CVC = r.PostForm.Get("expiry"), r.PostForm.Get("cvc")
	if !v.EmailFixed {
		v.Email = email
	}
	// The fields of a session that has ended do not matter: finishPage redirects or shows its end.
	if v.Open {
		v.Wrong, v.Problem = v.check(s.clock.Now())
	}
	if v.Problem != "" {
		v.write(w, http.StatusUnprocessableEntity)
		return
	}
	var err error
	// The form is sent twice for a card with 3-D Secure: first without a challenge, then with the donor's answer to it.
	switch r.PostForm.Get("challenge") {
	case "":
		if v.Challenge = s.challenge(v.Session, Card(card)); v.Challenge {
			v.write(w, http.StatusOK)
			return
		}
		err = s.pay(v.Session, Card(card), email)
	case "fail":
		err = s.FailChallenge(v.Session, Card(card))
	default:
		err = s.pay(v.Session, Card(card), email)
	}
	// Any other error means that the session is no longer open, which finishPage shows.
	var declined *DeclinedError
	if errors.As(err, &declined) {
		v.Wrong, v.Problem = "card", v.T.declined(declined)
		v.write(w, http.StatusPaymentRequired)
		return
	}
	s.finishPage(w, r)
}

// finishPage redirects from a complete session. It reads the session again, because another submission or the clock may
// have completed it.
func (s *Sim) finishPage(w http.ResponseWriter, r *http.Request) {
	v := s.view(r)
	if v.status == sessionComplete {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Location", v.successURL) // as it is: http.Redirect would escape what the merchant wrote
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	v.write(w, v.httpStatus())
}

// check validates the form's fields other than the card.
func (v *pageView) check(now time.Time) (field, problem string) {
	if !isEmail(v.Email) {
		return "email", v.T.BadEmail
	}
	// The year has two digits, of this century.
	month, year, _ := strings.Cut(strings.ReplaceAll(v.Expiry, " ", ""), "/")
	m, errMonth := strconv.Atoi(month)
	y, errYear := strconv.Atoi(year)
	if errMonth != nil || errYear != nil || len(year) != 2 || m < 1 || m > 12 ||
		!time.Date(2000+y, time.Month(m)+1, 1, 0, 0, 0, 0, time.UTC).After(now) { // good until the month's end
		return "expiry", v.T.BadExpiry
	}
	if n, err := strconv.Atoi(v.CVC); err != nil || n < 0 || len(v.CVC) < 3 || len(v.CVC) > 4 {
		return "cvc", v.T.BadCVC
	}
	return "", ""
}

// fill puts a test card into the form and marks it in the list. Any other number is not shown again, because it may be
// a real one.
func (v *pageView) fill(number string) {
	known, _, err := Card(number).lookup()
	if number == "" {
		known, err = CardOK, nil
	}
	if err == nil {
		v.Card = grouped(known)
	}
	// Not all test cards are listed, only one for each outcome that a person wants to see.
	for _, c := range []struct {
		card Card
		what string
	}{
		{CardOK, v.T.CardPaid},
		{CardDeclined, v.T.CardRefused},
		{CardInsufficientFunds, v.T.CardNoFunds},
		{CardExpired, v.T.CardTooOld},
		{CardUK, v.T.CardBritish},
		{CardInternational, v.T.CardAbroad},
		{CardChallenged, v.T.CardChallenged},
	} {
		v.Cards = append(v.Cards, pageCard{string(c.card), grouped(c.card), c.what, c.card == known && err == nil})
	}
}

// grouped writes a number as it stands on a card.
func grouped(c Card) string {
	var b strings.Builder
	for i, r := range string(c) {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// write renders into memory first, so that a failing template gives a 500 and not half a page.
func (v *pageView) write(w http.ResponseWriter, status int) {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.Lang)
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// debitForm is the part of the page that asks for a bank account; nil on a session that does not offer it.
type debitForm struct {
	Name, IBAN string
	Tests      []pageCard
}

// fillDebit puts a test account into the form. Any other number is not shown again: it may be a real one.
func (v *pageView) fillDebit(name, number string) {
	if v.Debit == nil {
		return
	}
	v.Debit.Name = name
	known, _, err := IBAN(number).lookup()
	if number == "" {
		known, err = IBANPaid, nil
	}
	if err == nil {
		// An IBAN is written in groups of four too.
		v.Debit.IBAN = grouped(Card(known))
	}
	for _, c := range []struct {
		iban IBAN
		what string
	}{
		{IBANPaid, v.T.DebitPaid},
		{IBANPaidLate, v.T.DebitPaidLate},
		{IBANRefused, v.T.DebitRefused},
		{IBANRefusedLate, v.T.DebitRefusedLate},
		{IBANNoFunds, v.T.CardNoFunds},
		{IBANDisputed, v.T.DebitDisputed},
	} {
		v.Debit.Tests = append(v.Debit.Tests, pageCard{string(c.iban), grouped(Card(c.iban)), c.what, c.iban == known && err == nil})
	}
}

// submitDebit completes the session with a debit.
func (s *Sim) submitDebit(w http.ResponseWriter, r *http.Request, v *pageView) {
	name, number := strings.TrimSpace(r.PostForm.Get("name")), r.PostForm.Get("iban")
	v.fill("")
	v.fillDebit(name, number)
	if !v.EmailFixed {
		v.Email = strings.TrimSpace(r.PostForm.Get("email"))
	}
	// As for a card, the fields of an ended session are not checked.
	if v.Open {
		switch {
		case !isEmail(v.Email):
			v.Wrong, v.Problem = "debit-email", v.T.BadEmail
		case name == "":
			v.Wrong, v.Problem = "name", v.T.BadName
		}
	}
	if v.Problem != "" {
		v.write(w, http.StatusUnprocessableEntity)
		return
	}
	err := s.payByDebit(v.Session, IBAN(number), name, v.Email)
	// payByDebit returns this error only for a number that is no test account's.
	var refused *DeclinedError
	if errors.As(err, &refused) {
		v.Wrong, v.Problem = "iban", v.T.BadIBAN
		v.write(w, http.StatusPaymentRequired)
		return
	}
	s.finishPage(w, r)
}
