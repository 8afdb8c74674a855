package gateway_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/gateway"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
)

func TestCORS(t *testing.T) {
	b := &backend{
		createDonation: func(*donationsv1.CreateDonationRequest) (*donationsv1.Donation, error) {
			return nil, fail(codes.FailedPrecondition, "CAMPAIGN_NOT_OPEN")
		},
	}
	front := serve(t, b, gateway.Options{})
	campaign := front.URL + "/v1/" + campaignName
	const origin = "https://vallon.example"

	for _, c := range []struct {
		rule, method, url, origin string
		header                    []string
		want                      string
	}{
		{"an allowed origin reads the campaign", "GET", campaign, origin, nil, origin},
		{"starts a donation, and reads its error", "POST", campaign + "/donations", origin, nil, origin},
		{"and reads what became of it", "GET", campaign + "/donations/" + donationID + "/status", origin, nil, origin},
		{"another origin reads nothing", "GET", campaign, "https://other.example", nil, ""},
		{"a member's list of donations is not for browsers elsewhere", "GET", campaign + "/donations", origin, nil, ""},
		{"nor is a donation", "GET", campaign + "/donations/" + donationID, origin, nil, ""},
		{"nor is a change", "PATCH", campaign, origin, nil, ""},
		{"nor is the list of campaigns", "GET", front.URL + "/v1/collectives/vallon/campaigns", origin, nil, ""},
		{"nor are the pages", "GET", front.URL + "/c/vallon/cameras", origin, nil, ""},
		{"a preflight of a donation is answered", "OPTIONS", campaign + "/donations", origin, []string{"Access-Control-Request-Method", "POST"}, origin},
		{"a preflight of another method is not", "OPTIONS", campaign, origin, []string{"Access-Control-Request-Method", "PATCH"}, ""},
		{"a preflight of another origin is not", "OPTIONS", campaign + "/donations", "https://other.example", []string{"Access-Control-Request-Method", "POST"}, ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			body := ""
			if c.method == "POST" {
				body = "{}"
			}
			got := send(t, c.method, c.url, body, append(c.header, "Origin", c.origin)...)
			if allowed := got.Header.Get("Access-Control-Allow-Origin"); allowed != c.want {
				t.Errorf("Access-Control-Allow-Origin is %q, want %q", allowed, c.want)
			}
			if got.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Error("it allows credentials")
			}
			if c.method == "OPTIONS" && got.StatusCode != 204 {
				t.Errorf("the preflight got %d", got.StatusCode)
			}
			preflight := got.Header.Get("Access-Control-Allow-Methods") + " " + got.Header.Get("Access-Control-Allow-Headers")
			if c.method == "OPTIONS" && c.want != "" && preflight != "POST Content-Type" {
				t.Errorf("it allows %q", preflight)
			}
		})
	}
	t.Run("caches are told that the answer depends on the origin, asked for or not", func(t *testing.T) {
		if vary := send(t, "GET", campaign, "").Header.Values("Vary"); !strings.Contains(strings.Join(vary, ","), "Origin") {
			t.Errorf("Vary is %v", vary)
		}
	})
}

func TestCORSAsksSeldom(t *testing.T) {
	var asked atomic.Int32
	b := &backend{checkOrigin: func(*campaignsv1.CheckOriginRequest) (*campaignsv1.CheckOriginResponse, error) {
		asked.Add(1)
		return &campaignsv1.CheckOriginResponse{Allowed: true}, nil
	}}
	front := serve(t, b, gateway.Options{})
	for range 3 {
		send(t, "GET", front.URL+"/v1/"+campaignName, "", "Origin", "https://vallon.example")
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("three reads in a moment asked %d times", n)
	}
	for i := range 3 {
		send(t, "GET", front.URL+"/v1/"+campaignName, "", "Origin", fmt.Sprintf("https://%d.example", i))
	}
	if n := asked.Load(); n != 4 {
		t.Errorf("three other origins made it %d", n)
	}
}

func TestCORSWithoutAnAnswer(t *testing.T) {
	b := &backend{checkOrigin: func(*campaignsv1.CheckOriginRequest) (*campaignsv1.CheckOriginResponse, error) {
		return nil, fail(codes.Unavailable, "DATABASE_AWAY")
	}}
	front := serve(t, b, gateway.Options{})
	// From memory and through: an error that the page may read, so that it does not blame its origin.
	const origin = "https://vallon.example"
	for _, c := range []struct{ method, path, body string }{{"GET", "", ""}, {"GET", "", ""}, {"POST", "/donations", "{}"}} {
		got := send(t, c.method, front.URL+"/v1/"+campaignName+c.path, c.body, "Origin", origin)
		if allowed := got.Header.Get("Access-Control-Allow-Origin"); allowed != "*" || got.StatusCode != 503 || !strings.Contains(got.body, "retry_delay") {
			t.Errorf("%s %s: got %d, allowed %q: %s", c.method, c.path, got.StatusCode, allowed, got.body)
		}
	}
	got := send(t, "OPTIONS", front.URL+"/v1/"+campaignName+"/donations", "", "Origin", origin, "Access-Control-Request-Method", "POST")
	if h := got.Header; h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Methods") != "POST" || h.Get("Access-Control-Max-Age") != "" {
		t.Errorf("the preflight got %v", h)
	}
}
