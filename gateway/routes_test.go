package gateway

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fullstorydev/grpchan/inprocgrpc"
)

// Who sees this fail has added an address: say in gateway.go what body it takes, and here what calls it leads to. Those
// have their places by package rpc; what leads to none answers from memory.
func TestEveryRouteSaysWhatBodyItTakes(t *testing.T) {
	want := map[string]body{
		"/":                           noBody,    // a page or an error; no call
		"/{$}":                        noBody,    // ListListedCampaigns
		"/privacy":                    noBody,    // a page; no call
		"/proof":                      noBody,    // a page; no call
		"/c/":                         formBody,  // pages: public calls, and those that wait for Stripe
		"/images/":                    noBody,    // GetImageContent
		"/oembed":                     noBody,    // GetCampaign, CheckOrigin
		"/sitemap.xml":                noBody,    // GetSitemap
		"/robots.txt":                 noBody,    // no call
		"/donations/":                 noBody,    // LocateDonation
		"/monthly/":                   noBody,    // LocateDonation
		"/stripe/":                    noBody,    // pages; no call
		"/console":                    formBody,  // pages: calls with a member's session
		"/console/":                   formBody,  // pages: calls with a member's session
		"/guide":                      noBody,    // pages; no call
		"/guide/":                     noBody,    // pages; no call
		"/api":                        noBody,    // files; no call
		"/api/":                       noBody,    // files; no call
		"/assets/":                    noBody,    // files; no call
		"/v1/":                        jsonBody,  // REST: each call of the contract
		"/v1/webhooks/stripe":         eventBody, // ReceiveStripeEvent
		"/v1/webhooks/stripe/connect": eventBody, // ReceiveStripeEvent
		"/healthz":                    noBody,    // no call
		"/readyz":                     noBody,    // Health.Check, which needs no place
		"/openapi.json":               noBody,    // a file; no call
		"/widget.js":                  noBody,    // a file; no call
		"/widget/":                    noBody,    // a file; no call
	}
	conn := &inprocgrpc.Channel{}
	all, _, err := routes(conn, newCORS(conn, Options{}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]body{}
	for _, r := range all {
		got[r.pattern] = r.takes
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
}
