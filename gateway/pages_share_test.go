package gateway_test

import (
	"encoding/json"
	"html"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/gateway"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
)

const publicURL = "https://dons.example"

// headOf is the head of a page.
func headOf(body string) string {
	head, _, _ := strings.Cut(body, "</head>")
	return head
}

func TestHeadOfPublicPages(t *testing.T) {
	front := serve(t, &backend{}, gateway.Options{PublicURL: publicURL, Uncached: true})
	get := func(path string) string { return send(t, "GET", front.URL+path, "").body }

	t.Run("names one address for each language, whatever the request's host is", func(t *testing.T) {
		for _, c := range []struct{ path, canonical, alternate string }{
			{campaignPath, campaignPath, campaignPath + "?lang=en"},
			{campaignPath + "?lang=fr&fbclid=x", campaignPath, campaignPath + "?lang=en"},
			{campaignPath + "?lang=en", campaignPath + "?lang=en", campaignPath + "?lang=en"},
			{"/c/vallon?lang=en", "/c/vallon?lang=en", "/c/vallon?lang=en"},
			{"/", "/", "/?lang=en"},
		} {
			head := headOf(get(c.path))
			holds(t, head, `<link rel="canonical" href="`+publicURL+c.canonical+`">`, `<meta property="og:url" content="`+publicURL+c.canonical+`">`,
				`hreflang="en" href="`+publicURL+c.alternate+`"`, `hreflang="x-default" href="`+publicURL, `<meta property="og:title"`, `<meta name="twitter:card"`)
			lacks(t, head, front.URL, "noindex")
		}
	})
	t.Run("tells messengers and search engines what the page is about", func(t *testing.T) {
		holds(t, headOf(get(campaignPath)), `<meta property="og:title" content="Contre les caméras, au tribunal">`,
			`<meta name="description" content="La mairie veut 23 caméras.">`, `<meta property="og:locale" content="fr_FR">`)
		holds(t, headOf(get(campaignPath+"?lang=en")), `<meta name="description" content="The town hall wants 23 cameras.">`, `content="en_GB"`)
	})
	t.Run("says it in the words of schema.org, in a block that is no script", func(t *testing.T) {
		blocks := regexp.MustCompile(`<script type="application/ld\+json">(.*?)</script>`).FindAllStringSubmatch(get(campaignPath), -1)
		if len(blocks) != 1 {
			t.Fatalf("%d blocks", len(blocks))
		}
		var data map[string]any
		if err := json.Unmarshal([]byte(blocks[0][1]), &data); err != nil {
			t.Fatal(err)
		}
		action, _ := data["potentialAction"].(map[string]any)
		if data["@context"] != "https://schema.org" || data["name"] != "Contre les caméras, au tribunal" || data["url"] != publicURL+campaignPath ||
			action["@type"] != "DonateAction" || action["target"] != publicURL+campaignPath+"#give" {
			t.Errorf("got %v", data)
		}
	})
	t.Run("a page of one person, and one that is not there, has none of it", func(t *testing.T) {
		for _, path := range []string{campaignPath + "/donations/" + donationID, "/c/x"} {
			head := headOf(get(path))
			holds(t, head, "noindex")
			lacks(t, head, "canonical", "og:", "twitter:", "ld+json", "hreflang", "description")
		}
	})
}

func TestHeadOfACampaignInOneLanguage(t *testing.T) {
	b := &backend{getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
		c := vallon()
		delete(c.Texts, "en")
		return c, nil
	}}
	front := serve(t, b, gateway.Options{PublicURL: publicURL, Uncached: true})
	head := headOf(send(t, "GET", front.URL+campaignPath+"?lang=en", "").body)
	holds(t, head, `<link rel="canonical" href="`+publicURL+campaignPath+`">`)
	lacks(t, head, "hreflang")
}

func TestHostileHead(t *testing.T) {
	const title = `"></script><script>alert(1)</script>&lt;`
	b := &backend{getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
		c := vallon()
		c.CollectiveDisplayName, c.Texts["fr"].Title, c.Texts["fr"].Story = title, title, title
		return c, nil
	}}
	front := serve(t, b, gateway.Options{PublicURL: publicURL})
	body := send(t, "GET", front.URL+campaignPath, "").body
	if opened := strings.Count(body, "<script"); opened != 1 || strings.Count(body, "</script") != 1 {
		t.Errorf("%d scripts begin:\n%s", opened, body)
	}
}

func TestShareLinks(t *testing.T) {
	front := serve(t, &backend{}, gateway.Options{PublicURL: publicURL, Uncached: true})
	t.Run("stand on the campaign's page and lead where they say", func(t *testing.T) {
		body := send(t, "GET", front.URL+campaignPath, "").body
		holds(t, body, `href="mailto:?subject=Contre%20les%20cam%C3%A9ras`, `href="https://wa.me/?text=`, `href="https://t.me/share/url?url=https%3A%2F%2Fdons.example%2Fc%2Fvallon%2Fcameras&amp;text=`,
			`href="https://www.facebook.com/sharer/sharer.php?u=https%3A%2F%2Fdons.example%2Fc%2Fvallon%2Fcameras"`, `href="https://x.com/intent/post?text=`,
			`value="`+publicURL+campaignPath+`"`)
		if strings.Contains(body, "<img") || strings.Contains(body, "<iframe") {
			t.Errorf("the links load something:\n%s", body)
		}
	})
	t.Run("say nothing of the donor after a donation, and are not there before it has arrived", func(t *testing.T) {
		body := send(t, "GET", front.URL+campaignPath+"/donations/"+donationID, "").body
		for _, a := range regexp.MustCompile(`<a href="((?:mailto:|https://)[^"]*)"`).FindAllStringSubmatch(body, -1) {
			if strings.Contains(a[1], donationID) {
				t.Errorf("a link names the donation: %s", a[1])
			}
		}
		holds(t, body, `<details class="share" open>`, "https://wa.me/")
		open := serve(t, &backend{donationStatus: func(r *donationsv1.GetDonationStatusRequest) (*donationsv1.DonationStatus, error) {
			return &donationsv1.DonationStatus{Name: r.GetName(), Amount: euros(2000), Outcome: donationsv1.DonationOutcome_DONATION_OUTCOME_OPEN}, nil
		}}, gateway.Options{PublicURL: publicURL})
		lacks(t, send(t, "GET", open.URL+campaignPath+"/donations/"+donationID+"?look=1", "").body, "https://wa.me/")
	})
}

func TestDrawings(t *testing.T) {
	drafted, raised := false, int64(31250)
	b := &backend{getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
		if drafted {
			return nil, fail(codes.NotFound, "NOT_FOUND")
		}
		c := vallon()
		c.Progress.Settled = euros(raised)
		return c, nil
	}}
	front := serve(t, b, gateway.Options{PublicURL: publicURL, Uncached: true})
	files := map[string]string{
		campaignPath + "/picture.png": "\x89PNG", campaignPath + "/qr.png": "\x89PNG", campaignPath + "/qr.svg": "<svg ", campaignPath + "/poster.pdf": "%PDF-",
	}
	t.Run("are served to everybody, and kept for minutes", func(t *testing.T) {
		for path, begins := range files {
			got, again := send(t, "GET", front.URL+path, ""), send(t, "GET", front.URL+path+"?fbclid=x", "")
			if got.StatusCode != 200 || !strings.HasPrefix(got.body, begins) || got.body != again.body {
				t.Errorf("%s: got %d, %.20q", path, got.StatusCode, got.body)
			}
			h := got.Header
			if !strings.Contains(h.Get("Cache-Control"), "max-age=300") || h.Get("X-Request-Id") != "" || h.Get("Set-Cookie") != "" || h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %v", path, h)
			}
			if head := send(t, "HEAD", front.URL+path, ""); head.StatusCode != 200 || head.body != "" {
				t.Errorf("%s: HEAD got %d", path, head.StatusCode)
			}
		}
	})
	t.Run("are in the reader's language", func(t *testing.T) {
		for _, path := range []string{"/picture.png", "/poster.pdf"} {
			french, english := send(t, "GET", front.URL+campaignPath+path+"?lang=fr", ""), send(t, "GET", front.URL+campaignPath+path+"?lang=en", "")
			if french.body == english.body {
				t.Errorf("%s is the same in French and English", path)
			}
		}
	})
	picture := func() string {
		found := regexp.MustCompile(`<meta property="og:image" content="` + publicURL + `([^"]+)"`).FindStringSubmatch(send(t, "GET", front.URL+campaignPath, "").body)
		if found == nil {
			t.Fatal("the page names no picture")
		}
		return html.UnescapeString(found[1])
	}
	t.Run("the picture's address changes with the progress, and leads to it", func(t *testing.T) {
		before := picture()
		old := send(t, "GET", front.URL+before, "").body
		if again := picture(); again != before {
			t.Errorf("the address was %s, and is %s", before, again)
		}
		raised += 5000
		after := picture()
		if after == before {
			t.Error("the address is the same")
		}
		if got := send(t, "GET", front.URL+after, ""); got.StatusCode != 200 || got.body == old {
			t.Errorf("got %d, and the same picture", got.StatusCode)
		}
	})
	t.Run("of a draft are not there", func(t *testing.T) {
		drafted = true
		for path := range files {
			if got := send(t, "GET", front.URL+path, ""); got.StatusCode != 404 {
				t.Errorf("%s: got %d", path, got.StatusCode)
			}
		}
	})
	t.Run("without a public address there are none", func(t *testing.T) {
		drafted = false
		none := serve(t, b, gateway.Options{})
		for path := range files {
			if got := send(t, "GET", none.URL+path, ""); got.StatusCode != 404 {
				t.Errorf("%s: got %d", path, got.StatusCode)
			}
		}
		lacks(t, send(t, "GET", none.URL+campaignPath, "").body, "og:image", "canonical", "ld+json", `class="share"`)
	})
}
