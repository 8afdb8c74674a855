package stripesim

import (
	"context"
	"net/http"
)

// methodControls are the controls of debits, recovered sessions and other currencies.
func (s *Sim) methodControls(mux *http.ServeMux) {
	mux.HandleFunc("POST /_sim/debits/offer", control(func(_ context.Context, in struct {
		Account string `json:"account"`
		Offered bool   `json:"offered"`
	},
	) error {
		return s.OfferDebits(in.Account, in.Offered)
	}))
	mux.HandleFunc("POST /_sim/debits/pay", control(func(_ context.Context, in struct {
		Session string `json:"session"`
		IBAN    IBAN   `json:"iban"` // default IBANPaid
	},
	) error {
		if in.IBAN == "" {
			in.IBAN = IBANPaid
		}
		return s.PayByDebit(in.Session, in.IBAN)
	}))
	mux.HandleFunc("POST /_sim/debits/settle", control(func(_ context.Context, in struct {
		Session string `json:"session"`
		Paid    bool   `json:"paid"`
	},
	) error {
		return s.SettleDebit(in.Session, in.Paid)
	}))
	mux.HandleFunc("POST /_sim/recover", control(func(_ context.Context, in struct {
		Session string `json:"session"`
	},
	) error {
		_, err := s.Recover(in.Session)
		return err
	}))
	mux.HandleFunc("POST /_sim/exchange", control(func(_ context.Context, in struct {
		Account string  `json:"account"`
		From    string  `json:"from"`
		To      string  `json:"to"`
		Rate    float64 `json:"rate"`
	},
	) error {
		return s.SetExchange(in.Account, in.From, in.To, in.Rate)
	}))
	mux.HandleFunc("POST /_sim/localize", control(func(_ context.Context, in struct {
		Session  string  `json:"session"`
		Currency string  `json:"currency"`
		Rate     float64 `json:"rate"`
	},
	) error {
		return s.Localize(in.Session, in.Currency, in.Rate)
	}))
}
