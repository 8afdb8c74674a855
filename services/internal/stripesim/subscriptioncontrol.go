package stripesim

import (
	"context"
	"net/http"
)

// subscriptionControl lets other programs do over HTTP what a donor does in the portal.
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
}
