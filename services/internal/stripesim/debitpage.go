package stripesim

import (
	"errors"
	"net/http"
	"strings"
)

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
	var refused *DeclinedError
	if errors.As(err, &refused) {
		v.Wrong, v.Problem = "iban", v.T.BadIBAN
		v.write(w, http.StatusPaymentRequired)
		return
	}
	s.finishPage(w, r)
}
