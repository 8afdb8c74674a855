package gateway_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cagnotte/cagnotte/gateway"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

func TestEmbed(t *testing.T) {
	front := serve(t, &backend{}, gateway.Options{})
	for _, test := range []struct{ name, referer, ancestors string }{
		{"on a page of an origin that is allowed", "https://vallon.example/soutenir?page=1", "https://vallon.example"},
		{"on a page that tells its origin alone", "https://vallon.example/", "https://vallon.example"},
		{"on another site", "https://other.example/", "'none'"},
		{"where nothing tells the site", "", "'none'"},
		{"where the referer adds words to the policy", "https://vallon.example;script-src%20*/", "'none'"},
		{"where the referer is no address", "https://vallon.example *", "'none'"},
		{"with another scheme", "javascript://vallon.example/", "'none'"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := send(t, "GET", front.URL+campaignPath+"/embed", "", "Referer", test.referer)
			policy := got.Header.Get("Content-Security-Policy")
			if got.StatusCode != 200 || !strings.HasSuffix(policy, "; frame-ancestors "+test.ancestors) {
				t.Errorf("got %d with the policy %s", got.StatusCode, policy)
			}
			if got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("a cache may give it to another site: %v", got.Header)
			}
			holds(t, got.body, "312,50\u00a0€", `<form id="give" method="post" target="_top" action="`+campaignPath+`/give`)
			lacks(t, got.body, "<script", "<footer")
		})
	}
	t.Run("a campaign that is not there has none", func(t *testing.T) {
		nothing := serve(t, &backend{getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
			return nil, status.Error(codes.NotFound, "nothing is there")
		}}, gateway.Options{})
		got := send(t, "GET", nothing.URL+campaignPath+"/embed", "", "Referer", "https://vallon.example/")
		if policy := got.Header.Get("Content-Security-Policy"); got.StatusCode != 404 || !strings.HasSuffix(policy, "frame-ancestors 'none'") {
			t.Errorf("got %d with the policy %s", got.StatusCode, policy)
		}
	})
	t.Run("the page itself is shown in no frame", func(t *testing.T) {
		got := send(t, "GET", front.URL+campaignPath, "", "Referer", "https://vallon.example/")
		if policy := got.Header.Get("Content-Security-Policy"); !strings.HasSuffix(policy, "frame-ancestors 'none'") {
			t.Error(policy)
		}
	})
}
