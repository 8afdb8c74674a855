package stripesim

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"time"
)

// controlRoutes lets other programs (browser tests, the demo) do over HTTP what Go calls do. A POST must say
// that it is JSON, which a form on a foreign web page cannot.
func (s *Sim) controlRoutes(mux *http.ServeMux) {
	account := func(r *http.Request) string { return r.URL.Query().Get("account") }
	mux.HandleFunc("GET /_sim/balance_transactions", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, s.BalanceTransactions(account(r)))
	})
	mux.HandleFunc("GET /_sim/sessions", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, s.Sessions(account(r)))
	})
	mux.HandleFunc("GET /_sim/events", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, s.Events(account(r)))
	})
	mux.HandleFunc("GET /_sim/clock", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]time.Time{"now": s.clock.Now()})
	})
	s.refundControl(mux)
	s.subscriptionControl(mux)
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
	mux.HandleFunc("POST /_sim/fees/settle", control(func(context.Context, struct{}) error {
		s.SettleFees()
		return nil
	}))
	s.payoutControl(mux)
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
	mux.HandleFunc("POST /_sim/expire", control(func(_ context.Context, in struct {
		Session string `json:"session"`
	},
	) error {
		return s.Expire(in.Session)
	}))
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
	mux.HandleFunc("POST /_sim/delivery/wait", control(func(ctx context.Context, _ struct{}) error {
		return s.WaitDelivered(ctx)
	}))
	mux.HandleFunc("POST /_sim/redeliver", control(func(_ context.Context, in struct {
		Event string `json:"event"`
	},
	) error {
		return s.Redeliver(in.Event)
	}))
	s.methodControls(mux)
	s.connectControls(mux)
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
	mux.HandleFunc("POST /_sim/faults/clear", control(func(context.Context, struct{}) error {
		s.ClearFaults()
		return nil
	}))
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// control reads the request's JSON into In and answers {} or {"error": …}.
func control[In any](act func(ctx context.Context, in In) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
			writeJSON(w, http.StatusUnsupportedMediaType, map[string]string{"error": "the content type must be application/json"})
			return
		}
		var in In
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequestBytes))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		if err := act(r.Context(), in); err != nil {
			writeJSON(w, http.StatusConflict, map[string]string{"error": err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, struct{}{})
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}
