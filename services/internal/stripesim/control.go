package stripesim

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"time"
)

// controlRoutes offer over HTTP what the Go methods do, for other programs such as browser tests and the demo. A POST
// must have the content type JSON, which a form on a foreign web page cannot send.
func (s *Sim) controlRoutes(mux *http.ServeMux) {
	account := func(r *http.Request) string { return r.URL.Query().Get("account") }
	// What was recorded, for one account; without the parameter account, the platform's.
	mux.HandleFunc("GET /_sim/balance_transactions", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, s.BalanceTransactions(account(r)))
	})
	mux.HandleFunc("GET /_sim/sessions", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, s.Sessions(account(r)))
	})
	mux.HandleFunc("GET /_sim/events", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, s.Events(account(r)))
	})
	// The simulated time, which the service of a test or demo shares.
	mux.HandleFunc("GET /_sim/clock", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]time.Time{"now": s.clock.Now()})
	})
	// The groups of controls stand in functions of their own below.
	s.refundControl(mux)
	s.subscriptionControl(mux)
	// The clock only moves forward here. The answer comes after everything that became due has been performed.
	mux.HandleFunc("POST /_sim/clock/advance", control(func(_ context.Context, in struct {
		Seconds float64 `json:"seconds"`
	},
	) error {
		if in.Seconds <= 0 {
			return errors.New("seconds must be positive")
		}
		s.clock.Advance(seconds(in.Seconds))
		return nil
	}))
	// Fees that Config.FeeDelay holds back arrive at once.
	mux.HandleFunc("POST /_sim/fees/settle", control(func(context.Context, struct{}) error {
		s.SettleFees()
		return nil
	}))
	s.payoutControl(mux)
	// What a donor does on the payment page. A declined card answers 409 with Stripe's codes in the message.
	mux.HandleFunc("POST /_sim/pay", control(func(_ context.Context, in struct {
		Session string `json:"session"`
		Card    Card   `json:"card"` // default CardOK
	},
	) error {
		if in.Card == "" {
			in.Card = CardOK
		}
		return s.Pay(in.Session, in.Card)
	}))
	// The end of a session before its time, as by the API call.
	mux.HandleFunc("POST /_sim/expire", control(func(_ context.Context, in struct {
		Session string `json:"session"`
	},
	) error {
		return s.Expire(in.Session)
	}))
	// How webhooks are delivered from now on. Each call replaces the whole mode, so {} makes delivery normal again.
	mux.HandleFunc("POST /_sim/delivery", control(func(_ context.Context, in struct {
		Drop         bool    `json:"drop"`
		Twice        bool    `json:"twice"`
		Shuffle      bool    `json:"shuffle"`
		Hold         bool    `json:"hold"`
		DelaySeconds float64 `json:"delay_seconds"`
		DropRate     float64 `json:"drop_rate"`
		TwiceRate    float64 `json:"twice_rate"`
		Seed         uint64  `json:"seed"`
	},
	) error {
		s.SetDelivery(Delivery{
			Drop: in.Drop, DropRate: in.DropRate, Twice: in.Twice, TwiceRate: in.TwiceRate, Shuffle: in.Shuffle,
			Delay: seconds(in.DelaySeconds), Hold: in.Hold, Seed: in.Seed,
		})
		return nil
	}))
	// The answer comes when no webhook waits, or when the client ends the request.
	mux.HandleFunc("POST /_sim/delivery/wait", control(func(ctx context.Context, _ struct{}) error {
		return s.WaitDelivered(ctx)
	}))
	// A webhook again, also one that was dropped or accepted.
	mux.HandleFunc("POST /_sim/redeliver", control(func(_ context.Context, in struct {
		Event string `json:"event"`
	},
	) error {
		return s.Redeliver(in.Event)
	}))
	s.methodControls(mux)
	s.connectControls(mux)
	// Failures of the API. They do not touch the controls themselves, nor the pages.
	mux.HandleFunc("POST /_sim/faults", control(func(_ context.Context, in struct {
		Method       string            `json:"method"`
		PathPrefix   string            `json:"path_prefix"`
		Times        int               `json:"times"`
		Status       int               `json:"status"`
		Code         string            `json:"code"`
		Type         string            `json:"type"`
		DelaySeconds float64           `json:"delay_seconds"`
		Reset        bool              `json:"reset"`
		LoseReply    bool              `json:"lose_reply"`
		Headers      map[string]string `json:"headers"`
	},
	) error {
		s.AddFault(Fault{
			Method: in.Method, PathPrefix: in.PathPrefix, Times: in.Times, Status: in.Status, Code: in.Code, Type: in.Type,
			Delay: seconds(in.DelaySeconds), Reset: in.Reset, LoseReply: in.LoseReply, Headers: in.Headers,
		})
		return nil
	}))
	// Faults with a number of times end by themselves; the others end here.
	mux.HandleFunc("POST /_sim/faults/clear", control(func(context.Context, struct{}) error {
		s.ClearFaults()
		return nil
	}))
}

// seconds converts the fractional seconds of a control, since JSON has no durations.
func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// control reads the request's JSON into In and answers {} or {"error": …}.
func control[In any](act func(ctx context.Context, in In) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// The controls have no password, so this is what protects them from other sites in the same browser.
		if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
			writeJSON(w, http.StatusUnsupportedMediaType, map[string]string{"error": "the content type must be application/json"})
			return
		}
		var in In
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequestBytes))
		// A misspelt member would be ignored otherwise, and the test that sent it would test something else.
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		// A conflict: the request is well-formed, and the present state does not allow it.
		if err := act(r.Context(), in); err != nil {
			writeJSON(w, http.StatusConflict, map[string]string{"error": err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, struct{}{})
	}
}

// writeJSON sends v; no-store, because each answer is of one moment.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// connectControls are the onboarding page and the controls of connected accounts.
func (s *Sim) connectControls(mux *http.ServeMux) {
	// The page of an account link is for browsers, so it has an address without /_sim.
	mux.HandleFunc("GET /onboarding/{account}/{token}", s.visitOnboarding)
	mux.HandleFunc("POST /onboarding/{account}/{token}", s.submitOnboarding)
	type named struct {
		Account string `json:"account"`
	}
	// What an account's owner does on Stripe's side: complete the onboarding, withdraw the platform's access, give it
	// again.
	mux.HandleFunc("POST /_sim/accounts/complete", control(func(_ context.Context, in named) error { return s.CompleteOnboarding(in.Account) }))
	mux.HandleFunc("POST /_sim/accounts/deauthorize", control(func(_ context.Context, in named) error { return s.Deauthorize(in.Account) }))
	mux.HandleFunc("POST /_sim/accounts/authorize", control(func(_ context.Context, in named) error { return s.Authorize(in.Account) }))
	// What Stripe itself does: require information by a deadline, and disable charges or payouts.
	mux.HandleFunc("POST /_sim/accounts/state", control(func(_ context.Context, in struct {
		Account          string    `json:"account"`
		ChargesEnabled   bool      `json:"charges_enabled"`
		PayoutsEnabled   bool      `json:"payouts_enabled"`
		DetailsSubmitted bool      `json:"details_submitted"`
		CurrentlyDue     []string  `json:"currently_due"`
		DisabledReason   string    `json:"disabled_reason"`
		Deadline         time.Time `json:"deadline"`
	},
	) error {
		return s.SetAccountState(in.Account, AccountState{
			ChargesEnabled: in.ChargesEnabled, PayoutsEnabled: in.PayoutsEnabled, DetailsSubmitted: in.DetailsSubmitted,
			CurrentlyDue: in.CurrentlyDue, DisabledReason: in.DisabledReason, Deadline: in.Deadline,
		})
	}))
}

// payoutControl are the controls of payouts.
func (s *Sim) payoutControl(mux *http.ServeMux) {
	mux.HandleFunc("GET /_sim/payouts", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, s.Payouts(r.URL.Query().Get("account")))
	})
	// A manual payout, of minor units in a currency in lower case.
	mux.HandleFunc("POST /_sim/payouts", control(func(_ context.Context, in struct {
		Account     string `json:"account"`
		AmountMinor int64  `json:"amount_minor"`
		Currency    string `json:"currency"`
	},
	) error {
		_, err := s.CreatePayout(in.Account, in.AmountMinor, in.Currency)
		return err
	}))
	// Daily automatic payouts, from the next midnight UTC on.
	mux.HandleFunc("POST /_sim/payouts/schedule", control(func(_ context.Context, in struct {
		Account string `json:"account"`
		Daily   bool   `json:"daily"`
	},
	) error {
		return s.SchedulePayouts(in.Account, in.Daily)
	}))
	// The bank returns a payout, with Stripe's failure code. The payout is found in any account.
	mux.HandleFunc("POST /_sim/payouts/fail", control(func(_ context.Context, in struct {
		Payout string `json:"payout"`
		Code   string `json:"code"`
	},
	) error {
		return s.FailPayout(in.Payout, in.Code)
	}))
	// Only a pending payout can be canceled.
	mux.HandleFunc("POST /_sim/payouts/cancel", control(func(_ context.Context, in struct {
		Payout string `json:"payout"`
	},
	) error {
		return s.CancelPayout(in.Payout)
	}))
}

// methodControls are the controls of debits and other currencies.
func (s *Sim) methodControls(mux *http.ServeMux) {
	// The setting of the account, for sessions that are created afterwards.
	mux.HandleFunc("POST /_sim/debits/offer", control(func(_ context.Context, in struct {
		Account string `json:"account"`
		Offered bool   `json:"offered"`
	},
	) error {
		return s.OfferDebits(in.Account, in.Offered)
	}))
	// The donor's authorization; the bank's answer follows on the clock.
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
	// The bank's answer ahead of its time on the clock.
	mux.HandleFunc("POST /_sim/debits/settle", control(func(_ context.Context, in struct {
		Session string `json:"session"`
		Paid    bool   `json:"paid"`
	},
	) error {
		return s.SettleDebit(in.Session, in.Paid)
	}))
	// Rates are units of the second currency for one unit of the first, in major units.
	mux.HandleFunc("POST /_sim/exchange", control(func(_ context.Context, in struct {
		Account string  `json:"account"`
		From    string  `json:"from"`
		To      string  `json:"to"`
		Rate    float64 `json:"rate"`
	},
	) error {
		return s.SetExchange(in.Account, in.From, in.To, in.Rate)
	}))
	// The donor's own currency, for one session that nobody has tried to pay.
	mux.HandleFunc("POST /_sim/localize", control(func(_ context.Context, in struct {
		Session  string  `json:"session"`
		Currency string  `json:"currency"`
		Rate     float64 `json:"rate"`
	},
	) error {
		return s.Localize(in.Session, in.Currency, in.Rate)
	}))
}

// refundControl are the controls of refunds, disputes and fraud warnings, which the dashboard and the banks have in
// reality.
func (s *Sim) refundControl(mux *http.ServeMux) {
	mux.HandleFunc("GET /_sim/refunds", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, s.Refunds(r.URL.Query().Get("account")))
	})
	// An amount of zero, or none, refunds all that is left.
	mux.HandleFunc("POST /_sim/refund", control(func(_ context.Context, in struct {
		Charge      string `json:"charge"`
		AmountMinor int64  `json:"amount_minor"`
	},
	) error {
		_, err := s.Refund(in.Charge, in.AmountMinor)
		return err
	}))
	// The donor's bank returns a refund, with Stripe's word for the reason.
	mux.HandleFunc("POST /_sim/refund/fail", control(func(_ context.Context, in struct {
		Refund string `json:"refund"`
		Reason string `json:"reason"`
	},
	) error {
		return s.FailRefund(in.Refund, in.Reason)
	}))
	// Refunds wait as pending while the balance is low, and go through when it no longer is.
	mux.HandleFunc("POST /_sim/refund/low_balance", control(func(_ context.Context, in struct {
		Account string `json:"account"`
		Low     bool   `json:"low"`
	},
	) error {
		return s.SetLowBalance(in.Account, in.Low)
	}))
	// An amount of zero disputes the whole charge. An inquiry and a prevented dispute move no money.
	mux.HandleFunc("POST /_sim/dispute", control(func(_ context.Context, in struct {
		Charge      string `json:"charge"`
		AmountMinor int64  `json:"amount_minor"`
		Reason      string `json:"reason"`
		Inquiry     bool   `json:"inquiry"`
		Prevented   bool   `json:"prevented"`
	},
	) error {
		_, err := s.Dispute(in.Charge, Disputed{
			AmountMinor: in.AmountMinor, Reason: in.Reason, Inquiry: in.Inquiry, Prevented: in.Prevented,
		})
		return err
	}))
	// What the bank decides: to return the money before the end, to turn an inquiry into a dispute, to end it. fee_back
	// returns Stripe's fee with the money.
	mux.HandleFunc("POST /_sim/dispute/reinstate", control(func(_ context.Context, in struct {
		Dispute string `json:"dispute"`
	},
	) error {
		return s.ReinstateDispute(in.Dispute)
	}))
	mux.HandleFunc("POST /_sim/dispute/escalate", control(func(_ context.Context, in struct {
		Dispute string `json:"dispute"`
	},
	) error {
		return s.EscalateDispute(in.Dispute)
	}))
	mux.HandleFunc("POST /_sim/dispute/close", control(func(_ context.Context, in struct {
		Dispute string `json:"dispute"`
		Won     bool   `json:"won"`
		FeeBack bool   `json:"fee_back"`
	},
	) error {
		return s.CloseDispute(in.Dispute, in.Won, in.FeeBack)
	}))
	// The card network's warning before any dispute.
	mux.HandleFunc("POST /_sim/warn_of_fraud", control(func(_ context.Context, in struct {
		Charge    string `json:"charge"`
		FraudType string `json:"fraud_type"`
	},
	) error {
		_, err := s.WarnOfFraud(in.Charge, in.FraudType)
		return err
	}))
}

// subscriptionControl are the controls of subscriptions: what a donor does in the portal, and members in the dashboard.
func (s *Sim) subscriptionControl(mux *http.ServeMux) {
	mux.HandleFunc("GET /_sim/subscriptions", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, s.Subscriptions(r.URL.Query().Get("account")))
	})
	// The donor's choices: end with the period, and another card for the renewals.
	mux.HandleFunc("POST /_sim/subscriptions/cancel", control(func(_ context.Context, in struct {
		Subscription string `json:"subscription"`
	},
	) error {
		return s.CancelInPortal(in.Subscription)
	}))
	mux.HandleFunc("POST /_sim/subscriptions/card", control(func(_ context.Context, in struct {
		Subscription string `json:"subscription"`
		Card         Card   `json:"card"`
	},
	) error {
		return s.SetCard(in.Subscription, in.Card)
	}))
	// The members' choices: another end, and a pause of the collection.
	mux.HandleFunc("POST /_sim/subscriptions/cancel_at", control(func(_ context.Context, in struct {
		Subscription string    `json:"subscription"`
		At           time.Time `json:"at"` // taken back when left out
	},
	) error {
		return s.CancelAt(in.Subscription, in.At)
	}))
	// Without resumes_at the pause lasts until it is ended by resume.
	mux.HandleFunc("POST /_sim/subscriptions/pause", control(func(_ context.Context, in struct {
		Subscription string        `json:"subscription"`
		Behavior     PauseBehavior `json:"behavior"` // default PauseVoidsInvoices
		ResumesAt    time.Time     `json:"resumes_at"`
	},
	) error {
		if in.Behavior == "" {
			in.Behavior = PauseVoidsInvoices
		}
		return s.PauseCollection(in.Subscription, in.Behavior, in.ResumesAt)
	}))
	mux.HandleFunc("POST /_sim/subscriptions/resume", control(func(_ context.Context, in struct {
		Subscription string `json:"subscription"`
	},
	) error {
		return s.ResumeCollection(in.Subscription)
	}))
}
