package stripesim

import (
	"context"
	"net/http"
	"time"
)

// subscriptionControl lets other programs do over HTTP what a donor does in the portal, and members in the
// dashboard.
func (s *Sim) subscriptionControl(mux *http.ServeMux) {
	mux.HandleFunc("GET /_sim/subscriptions", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, s.Subscriptions(r.URL.Query().Get("account")))
	})
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
	mux.HandleFunc("POST /_sim/subscriptions/cancel_at", control(func(_ context.Context, in struct {
		Subscription string    `json:"subscription"`
		At           time.Time `json:"at"` // taken back when left out
	},
	) error {
		return s.CancelAt(in.Subscription, in.At)
	}))
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
