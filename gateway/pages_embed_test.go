package gateway_test

import (
	"encoding/xml"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cagnotte/cagnotte/gateway"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

func TestEmbed(t *testing.T) {
	front := serve(t, &backend{}, gateway.Options{})
	for _, test := range []struct{ name, query, ancestors string }{
		{"on an origin that is allowed", "?origin=https://vallon.example", "https://vallon.example"},
		{"beside a language", "?lang=fr&origin=https%3A%2F%2Fvallon.example", "https://vallon.example"},
		{"beside what others add", "?origin=https://vallon.example&fbclid=x", "https://vallon.example"},
		{"on another origin", "?origin=https://other.example", "'none'"},
		{"where nothing names the site", "", "'none'"},
		{"where the origin adds words to the policy", "?origin=https://vallon.example%3Bscript-src%20*/", "'none'"},
		{"where it is no origin", "?origin=https://vallon.example%20*", "'none'"},
		{"with another scheme", "?origin=javascript://vallon.example", "'none'"},
		{"with two origins", "?origin=https://other.example&origin=https://vallon.example", "'none'"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := send(t, "GET", front.URL+campaignPath+"/embed"+test.query, "")
			policy := got.Header.Get("Content-Security-Policy")
			if got.StatusCode != 200 || !strings.HasSuffix(policy, "; frame-ancestors "+test.ancestors) {
				t.Errorf("got %d with the policy %s", got.StatusCode, policy)
			}
			// What is refused is not kept: anybody can invent origins.
			kept := "public, max-age=0, s-maxage=1"
			if test.ancestors == "'none'" && test.query != "" {
				kept = "no-store"
			}
			if got.Header.Get("Cache-Control") != kept || strings.Contains(strings.Join(got.Header.Values("Vary"), ","), "Referer") {
				t.Errorf("it is kept otherwise than %s: %v", kept, got.Header)
			}
			holds(t, got.body, "312,50\u00a0€", `<form id="give" method="post" target="_top" action="`+campaignPath+`/give`)
			lacks(t, got.body, "<footer")
			// The one script is there where it has somebody to tell.
			if scripts := strings.Count(got.body, "<script"); (scripts == 1) != (test.ancestors != "'none'") || scripts > 1 {
				t.Errorf("it has %d scripts", scripts)
			}
			if !strings.Contains(policy, "script-src 'self';") {
				t.Error(policy)
			}
		})
	}
	t.Run("a thousand visits of a site are one render", func(t *testing.T) {
		var read atomic.Int32
		counted := serve(t, &backend{getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
			read.Add(1)
			return vallon(), nil
		}}, gateway.Options{})
		begin := time.Now()
		for range 1000 {
			send(t, "GET", counted.URL+campaignPath+"/embed?lang=fr&origin=https://vallon.example", "")
		}
		// One for each second that they took, and one that is due before.
		if n, most := int(read.Load()), 2*int(time.Since(begin)/time.Second)+3; n > most {
			t.Errorf("they took %d reads, %d at most", n, most)
		}
	})
	t.Run("a campaign that is not there has none", func(t *testing.T) {
		nothing := serve(t, &backend{getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
			return nil, status.Error(codes.NotFound, "nothing is there")
		}}, gateway.Options{})
		got := send(t, "GET", nothing.URL+campaignPath+"/embed?origin=https://vallon.example", "")
		if policy := got.Header.Get("Content-Security-Policy"); got.StatusCode != 404 || !strings.HasSuffix(policy, "frame-ancestors 'none'") {
			t.Errorf("got %d with the policy %s", got.StatusCode, policy)
		}
	})
	t.Run("the page itself is shown in no frame", func(t *testing.T) {
		got := send(t, "GET", front.URL+campaignPath+"?origin=https://vallon.example", "")
		if policy := got.Header.Get("Content-Security-Policy"); !strings.HasSuffix(policy, "frame-ancestors 'none'") {
			t.Error(policy)
		}
	})
}

func TestBadge(t *testing.T) {
	long := strings.Repeat("Un titre & <plus> long ", 6)
	shown := vallon()
	front := serve(t, &backend{getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) { return shown, nil }}, gateway.Options{Uncached: true})
	get := func(query string) string {
		t.Helper()
		got := send(t, "GET", front.URL+campaignPath+"/badge.svg"+query, "")
		h := got.Header
		if got.StatusCode != 200 || h.Get("Content-Type") != "image/svg+xml; charset=utf-8" || !strings.HasPrefix(h.Get("Cache-Control"), "public") ||
			h.Get("Cross-Origin-Resource-Policy") != "cross-origin" || !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("got %d: %v", got.StatusCode, h)
		}
		for d := xml.NewDecoder(strings.NewReader(got.body)); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("it is no XML: %v\n%s", err, got.body)
			}
		}
		lacks(t, got.body, "style=", "<style", "<script", "href")
		return got.body
	}
	holds(t, get("?lang=fr"), "Contre les caméras, au tribunal", "312,50\u00a0€", "recueillis sur 800\u00a0€", "39\u00a0%", `lang="fr"`, `width="39.06"`)
	holds(t, get("?lang=en"), "Against the cameras, in court", "€312.50", "raised of €800")
	shown.AcceptingDonations, shown.State = false, campaignsv1.CampaignState_CAMPAIGN_STATE_PAUSED
	holds(t, get("?lang=fr"), "en pause")
	shown.Texts["fr"].Title = long
	body := get("?lang=fr")
	holds(t, body, "Un titre &amp; &lt;plus&gt; long Un titr", "…</text>")
}
