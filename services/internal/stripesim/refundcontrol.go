package stripesim

import (
	"context"
	"net/http"
)

// refundControl lets other programs refund, dispute and warn as the dashboard and the banks do.
func (s *Sim) refundControl(mux *http.ServeMux) {
	mux.HandleFunc("GET /_sim/refunds", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, s.Refunds(r.URL.Query().Get("account")))
	})
	mux.HandleFunc("POST /_sim/refund", control(func(_ context.Context, in struct {
		Charge      string `json:"charge"`
		AmountMinor int64  `json:"amount_minor"`
	},
	) error {
		_, err := s.Refund(in.Charge, in.AmountMinor)
		return err
	}))
	mux.HandleFunc("POST /_sim/refund/fail", control(func(_ context.Context, in struct {
		Refund string `json:"refund"`
		Reason string `json:"reason"`
	},
	) error {
		return s.FailRefund(in.Refund, in.Reason)
	}))
	mux.HandleFunc("POST /_sim/refund/low_balance", control(func(_ context.Context, in struct {
		Account string `json:"account"`
		Low     bool   `json:"low"`
	},
	) error {
		return s.SetLowBalance(in.Account, in.Low)
	}))
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
	mux.HandleFunc("POST /_sim/warn_of_fraud", control(func(_ context.Context, in struct {
		Charge    string `json:"charge"`
		FraudType string `json:"fraud_type"`
	},
	) error {
		_, err := s.WarnOfFraud(in.Charge, in.FraudType)
		return err
	}))
}
