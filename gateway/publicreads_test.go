package gateway_test

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/gateway"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

func TestPublicReadsAreShared(t *testing.T) {
	var read atomic.Int32
	var state atomic.Int32
	state.Store(int32(campaignsv1.CampaignState_CAMPAIGN_STATE_PUBLISHED))
	b := &backend{getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
		read.Add(1)
		c := vallon()
		switch c.State = campaignsv1.CampaignState(state.Load()); c.State {
		case campaignsv1.CampaignState_CAMPAIGN_STATE_DRAFT:
			return nil, fail(codes.NotFound, "NOT_FOUND")
		case campaignsv1.CampaignState_CAMPAIGN_STATE_PAUSED:
			c.AcceptingDonations = false
		}
		return c, nil
	}}
	front := serve(t, b, gateway.Options{})
	api, page := front.URL+"/v1/"+campaignName, front.URL+campaignPath

	t.Run("each with the policies, an ETag, and what it varies by", func(t *testing.T) {
		for _, c := range []struct{ url, vary string }{{api, "Origin"}, {page, "Accept-Language"}, {page + "?lang=fr", ""}} {
			before := read.Load()
			first, again := send(t, "GET", c.url, ""), send(t, "GET", c.url, "")
			if n := read.Load() - before; n != 1 || first.StatusCode != 200 || first.body != again.body {
				t.Errorf("%s: two reads took %d calls, and got %d", c.url, n, first.StatusCode)
			}
			h := again.Header
			if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Security-Policy") == "" || h.Get("ETag") == "" || h.Get("X-Request-Id") != "" ||
				!strings.Contains(h.Get("Cache-Control"), "s-maxage=1") || !strings.Contains(h.Get("Vary"), "Accept-Encoding") || !strings.Contains(h.Get("Vary"), c.vary) {
				t.Errorf("%s: %v", c.url, h)
			}
			if (c.vary == "Accept-Language") != strings.Contains(h.Get("Vary"), "Accept-Language") {
				t.Errorf("%s: Vary is %q", c.url, h.Get("Vary"))
			}
			if got := send(t, "GET", c.url, "", "If-None-Match", h.Get("ETag"), "Accept-Encoding", "identity"); got.StatusCode != 304 && got.StatusCode != 200 {
				t.Errorf("%s: got %d", c.url, got.StatusCode)
			}
		}
	})
	t.Run("CORS is each request's own", func(t *testing.T) {
		for _, c := range []struct{ origin, want string }{
			{"https://vallon.example", "https://vallon.example"}, {"https://other.example", ""}, {"", ""},
		} {
			got := send(t, "GET", api, "", "Origin", c.origin)
			if allowed := got.Header.Get("Access-Control-Allow-Origin"); got.StatusCode != 200 || allowed != c.want {
				t.Errorf("%q: got %d, allowed %q", c.origin, got.StatusCode, allowed)
			}
			known := send(t, "GET", api, "", "Origin", c.origin, "If-None-Match", "*")
			if allowed := known.Header.Get("Access-Control-Allow-Origin"); known.StatusCode != http.StatusNotModified || allowed != c.want {
				t.Errorf("%q: a 304 is %d, allowed %q", c.origin, known.StatusCode, allowed)
			}
		}
	})
	t.Run("a parameter that means nothing is refused by the API, and ignored by pages", func(t *testing.T) {
		if got := send(t, "GET", api+"?form=all", ""); got.StatusCode != 400 {
			t.Errorf("the API got %d", got.StatusCode)
		}
		before := read.Load()
		if got := send(t, "GET", page+"?lang=fr&fbclid=x", ""); got.StatusCode != 200 || read.Load() > before+1 {
			t.Errorf("the page got %d", got.StatusCode)
		}
	})
	t.Run("a change is seen within a second, whatever it is", func(t *testing.T) {
		for _, c := range []struct {
			state  campaignsv1.CampaignState
			status int
			says   string
		}{
			{campaignsv1.CampaignState_CAMPAIGN_STATE_PAUSED, 200, `"accepting_donations":false`},
			{campaignsv1.CampaignState_CAMPAIGN_STATE_DRAFT, 404, "NOT_FOUND"},
			{campaignsv1.CampaignState_CAMPAIGN_STATE_PUBLISHED, 200, `"accepting_donations":true`},
		} {
			send(t, "GET", api, "")
			send(t, "GET", page, "")
			state.Store(int32(c.state))
			time.Sleep(time.Second)
			if got := send(t, "GET", api, ""); got.StatusCode != c.status || !strings.Contains(strings.ReplaceAll(got.body, " ", ""), c.says) {
				t.Errorf("%s: the API got %d, %s", c.state, got.StatusCode, got.body)
			}
			if got := send(t, "GET", page, ""); got.StatusCode != c.status {
				t.Errorf("%s: the page got %d", c.state, got.StatusCode)
			}
		}
	})
	t.Run("what a key sees is no one else's", func(t *testing.T) {
		state.Store(int32(campaignsv1.CampaignState_CAMPAIGN_STATE_DRAFT))
		b.getCampaign = func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
			if b.lastMetadata(t).Get("authorization") == nil {
				return nil, fail(codes.NotFound, "NOT_FOUND")
			}
			return vallon(), nil
		}
		time.Sleep(time.Second)
		for range 2 {
			for _, url := range []string{api, page} {
				keyed, public := send(t, "GET", url, "", "Authorization", "Bearer key"), send(t, "GET", url, "")
				if public.StatusCode != 404 || (url == api) != (keyed.StatusCode == 200) {
					t.Errorf("%s: with a key %d, without %d", url, keyed.StatusCode, public.StatusCode)
				}
			}
		}
	})
}

// oneNetwork has a place for each network but one.
type oneNetwork struct {
	refused string
	seen    sync.Map
}

func (o *oneNetwork) Take(_ context.Context, whom string, n int64) (func(), bool) {
	o.seen.Store(whom, n)
	return func() {}, whom != o.refused
}

func TestReadsHavePlacesByNetwork(t *testing.T) {
	b := &backend{}
	places := &oneNetwork{refused: "192.0.2.0/24"}
	front := serve(t, b, gateway.Options{PublicURL: publicURL, Reads: places, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	for _, path := range []string{"/v1/" + campaignName, "/v1/" + campaignName + "?form=all", campaignPath, "/", "/sitemap.xml?%zz"} {
		got := send(t, "GET", front.URL+path, "", "X-Forwarded-For", "192.0.2.7")
		if got.StatusCode != 503 || got.Header.Get("Retry-After") == "" || got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("X-Content-Type-Options") == "" {
			t.Errorf("%s: got %d, %v", path, got.StatusCode, got.Header)
		}
		if api := strings.HasPrefix(path, "/v1/"); api != strings.Contains(got.body, "TOO_BUSY") || api == strings.Contains(got.body, "<html") {
			t.Errorf("%s: got %s", path, got.body)
		}
		want := 200
		if strings.HasSuffix(path, "form=all") {
			want = 400
		}
		if got := send(t, "GET", front.URL+path, "", "X-Forwarded-For", "198.51.100.7"); got.StatusCode != want {
			t.Errorf("%s: another network got %d", path, got.StatusCode)
		}
		// What is in memory takes no place.
		if want == 200 {
			if got := send(t, "GET", front.URL+path, "", "X-Forwarded-For", "192.0.2.7"); got.StatusCode != 200 {
				t.Errorf("%s: got %d of what is there", path, got.StatusCode)
			}
		}
	}
	if n, ok := places.seen.Load("198.51.100.0/24"); !ok || n != int64(1) {
		t.Errorf("another network took %v places", n)
	}
}
