package gateway_test

import (
	"encoding/json"
	"encoding/xml"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/gateway"
	"github.com/cagnotte/cagnotte/gateway/text"
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
	t.Run("are shared from memory, with an ETag", func(t *testing.T) {
		shared := serve(t, b, gateway.Options{PublicURL: publicURL})
		for path := range files {
			tag := send(t, "GET", shared.URL+path, "").Header.Get("ETag")
			if got := send(t, "GET", shared.URL+path, "", "If-None-Match", tag); tag == "" || got.StatusCode != 304 {
				t.Errorf("%s: %q, then %d", path, tag, got.StatusCode)
			}
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

func TestOEmbed(t *testing.T) {
	b := &backend{}
	front := serve(t, b, gateway.Options{PublicURL: publicURL, Uncached: true})
	ask := func(query url.Values, header ...string) (answer, map[string]any) {
		t.Helper()
		got := send(t, "GET", front.URL+"/oembed?"+query.Encode(), "", header...)
		var said map[string]any
		if got.StatusCode == 200 {
			if cache := got.Header.Get("Cache-Control"); cache != "private, max-age=300" {
				t.Errorf("an answer for who asks is kept as %q", cache)
			}
			if err := json.Unmarshal([]byte(got.body), &said); err != nil {
				t.Fatal(err)
			}
		}
		return got, said
	}
	page := publicURL + campaignPath

	t.Run("is found on the campaign's page", func(t *testing.T) {
		found := regexp.MustCompile(`<link rel="alternate" type="application/json\+oembed" href="` + publicURL + `([^"]+)"`).FindStringSubmatch(send(t, "GET", front.URL+campaignPath+"?lang=en", "").body)
		if found == nil {
			t.Fatal("the page does not name it")
		}
		if got := send(t, "GET", front.URL+html.UnescapeString(found[1]), ""); got.StatusCode != 200 || !strings.Contains(got.body, "Against the cameras") {
			t.Errorf("got %d, %s", got.StatusCode, got.body)
		}
	})
	t.Run("is a link with a picture for who names no site", func(t *testing.T) {
		got, answer := ask(url.Values{"url": {page}, "format": {"json"}})
		if answer["version"] != "1.0" || answer["type"] != "link" || answer["title"] != "Contre les caméras, au tribunal" || answer["author_name"] != "Vallon contre caméras" ||
			answer["author_url"] != publicURL+"/c/vallon" || answer["html"] != nil || answer["thumbnail_width"] != 1200.0 {
			t.Errorf("got %v", answer)
		}
		if !strings.HasPrefix(got.Header.Get("Content-Type"), "application/json") || !strings.Contains(strings.Join(got.Header.Values("Vary"), ","), "Origin") {
			t.Errorf("got %v", got.Header)
		}
	})
	t.Run("is a frame for a site that the campaign allows, and for no other", func(t *testing.T) {
		for _, header := range []string{"Origin", "Referer"} {
			got, answer := ask(url.Values{"url": {page + "?lang=en"}}, header, "https://vallon.example")
			frame, _ := answer["html"].(string)
			if answer["type"] != "rich" || !strings.Contains(frame, `src="`+page+`/embed?lang=en&amp;origin=https%3A%2F%2Fvallon.example"`) ||
				answer["width"] != 640.0 || answer["height"] != 832.0 || got.Header.Get("Access-Control-Allow-Origin") != "https://vallon.example" {
				t.Errorf("%s: got %v, %v", header, answer, got.Header)
			}
			got, answer = ask(url.Values{"url": {page}}, header, "https://other.example")
			if answer["type"] != "link" || answer["html"] != nil || got.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: another site got %v", header, answer)
			}
		}
	})
	t.Run("keeps within what was asked for", func(t *testing.T) {
		_, answer := ask(url.Values{"url": {page}, "maxwidth": {"400"}, "maxheight": {"500"}}, "Origin", "https://vallon.example")
		if answer["type"] != "rich" || answer["width"] != 400.0 || answer["height"] != 500.0 || answer["thumbnail_url"] != nil || !strings.Contains(answer["html"].(string), `width="400" height="500"`) {
			t.Errorf("got %v", answer)
		}
		if _, answer = ask(url.Values{"url": {page}, "maxwidth": {"100"}}, "Origin", "https://vallon.example"); answer["type"] != "link" {
			t.Errorf("a form in 100 pixels: %v", answer)
		}
	})
	t.Run("knows our campaigns' addresses, also as they are typed, and no others", func(t *testing.T) {
		for address, code := range map[string]int{
			page + "/": 200, strings.Replace(page, "vallon", "Vallon", 1): 200, page + "?utm=x#give": 200,
			"": 404, "https://other.example" + campaignPath: 404, "http://dons.example" + campaignPath: 404, "https://dons.example.evil.example" + campaignPath: 404,
			"https://evil@dons.example" + campaignPath + "/give": 404, publicURL + "/c/vallon": 404, publicURL: 404, page + "/donations/" + donationID: 404, "::": 404,
		} {
			if got, _ := ask(url.Values{"url": {address}}); got.StatusCode != code {
				t.Errorf("%q: got %d", address, got.StatusCode)
			}
		}
	})
	t.Run("says what it cannot", func(t *testing.T) {
		for code, query := range map[int]url.Values{
			501: {"url": {page}, "format": {"xml"}}, 400: {"url": {page}, "maxwidth": {"wide"}},
		} {
			if got, _ := ask(query); got.StatusCode != code {
				t.Errorf("%v: got %d", query, got.StatusCode)
			}
		}
		b.getCampaign = func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
			return nil, fail(codes.NotFound, "NOT_FOUND")
		}
		if got, _ := ask(url.Values{"url": {page}}); got.StatusCode != 404 {
			t.Errorf("a draft: got %d", got.StatusCode)
		}
		b.getCampaign = func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
			return nil, fail(codes.Unavailable, "")
		}
		if got, _ := ask(url.Values{"url": {page}}); got.StatusCode != 503 || strings.Contains(got.Header.Get("Cache-Control"), "max-age") {
			t.Errorf("an outage: got %d, %v", got.StatusCode, got.Header)
		}
		b.getCampaign = nil
	})
}

func TestSitemap(t *testing.T) {
	asked := 0
	b := &backend{sitemap: func(r *campaignsv1.GetSitemapRequest) (*campaignsv1.Sitemap, error) {
		asked++
		return &campaignsv1.Sitemap{Campaigns: []*campaignsv1.SitemapCampaign{
			{Campaign: campaignName, Languages: []string{"en", "fr", "xx"}},
			{Campaign: "collectives/vallon/campaigns/recours", Languages: []string{"fr"}},
		}}, nil
	}}
	front := serve(t, b, gateway.Options{PublicURL: publicURL})
	t.Run("names what chose to be listed, in each language", func(t *testing.T) {
		got := send(t, "GET", front.URL+"/sitemap.xml?x=1", "")
		if got.StatusCode != 200 || !strings.HasPrefix(got.Header.Get("Content-Type"), "application/xml") || asked != 1 {
			t.Fatalf("got %d, %v, after %d calls", got.StatusCode, got.Header, asked)
		}
		var read struct {
			URLs []struct {
				Location string `xml:"loc"`
				Links    []struct {
					Lang string `xml:"hreflang,attr"`
					URL  string `xml:"href,attr"`
				} `xml:"http://www.w3.org/1999/xhtml link"`
			} `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 url"`
		}
		if err := xml.Unmarshal([]byte(got.body), &read); err != nil {
			t.Fatal(err)
		}
		var locations []string
		for _, u := range read.URLs {
			locations = append(locations, strings.TrimPrefix(u.Location, publicURL))
		}
		var want []string
		for _, path := range []string{"/", "/c/vallon"} {
			want = append(want, path)
			for _, lang := range text.Languages[1:] {
				want = append(want, path+"?lang="+lang)
			}
		}
		campaigns := len(want)
		want = append(want, campaignPath, campaignPath+"?lang=en", "/c/vallon/recours")
		if diff := cmp.Diff(want, locations); diff != "" {
			t.Error(diff)
		}
		if links := read.URLs[campaigns].Links; len(links) != 3 || links[1].Lang != "en" || links[1].URL != publicURL+campaignPath+"?lang=en" {
			t.Errorf("the campaign in other languages: %v", links)
		}
	})
	t.Run("is named for robots, who are kept out of the console", func(t *testing.T) {
		got := send(t, "GET", front.URL+"/robots.txt", "")
		holds(t, got.body, "User-agent: *", "Disallow: /console", "Sitemap: "+publicURL+"/sitemap.xml")
	})
}

// What those around a donor may see of a discreet collective names neither it nor the cause.
func TestDiscreetPages(t *testing.T) {
	discreet := func() *campaignsv1.Campaign {
		c := vallon()
		c.CollectiveDiscreet = true
		return c
	}
	b := &backend{
		getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) { return discreet(), nil },
		listCampaigns: func(*campaignsv1.ListCampaignsRequest) (*campaignsv1.ListCampaignsResponse, error) {
			return &campaignsv1.ListCampaignsResponse{Campaigns: []*campaignsv1.Campaign{discreet()}}, nil
		},
	}
	front := serve(t, b, gateway.Options{PublicURL: publicURL, Uncached: true})
	for _, path := range []string{"/c/vallon", campaignPath, campaignPath + "/news", campaignPath + "/embed", campaignPath + "?lang=en"} {
		got := send(t, "GET", front.URL+path, "")
		if got.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d", path, got.StatusCode)
		}
		head := headOf(got.body)
		title := "<title>Don</title>"
		if strings.HasSuffix(path, "en") {
			title = "<title>Donation</title>"
		}
		holds(t, head, title, "noindex")
		lacks(t, head, "og:", "canonical", "description", "ld+json", "oembed", "caméras", "Vallon")
	}
	if got := send(t, "GET", front.URL+"/oembed?url="+url.QueryEscape(publicURL+campaignPath), ""); got.StatusCode != http.StatusNotFound {
		t.Errorf("a preview is answered: %d %s", got.StatusCode, got.body)
	}
	refused := send(t, "POST", front.URL+campaignPath+"/give", "amount=x", "Content-Type", "application/x-www-form-urlencoded")
	holds(t, headOf(refused.body), "<title>Erreur\u202f: Don</title>")
}

// An address that names a donation alone leads to its page, with its query, and is nobody else's to keep.
func TestDiscreetAddresses(t *testing.T) {
	b := &backend{locateDonation: func(r *donationsv1.LocateDonationRequest) (*donationsv1.LocateDonationResponse, error) {
		if r.GetName() != "instance/donations/"+donationID {
			return nil, fail(codes.NotFound, "NOT_FOUND")
		}
		return &donationsv1.LocateDonationResponse{Name: "collectives/vallon/campaigns/cameras/donations/" + donationID}, nil
	}}
	front := serve(t, b, gateway.Options{PublicURL: publicURL, OnionURL: "http://" + strings.Repeat("a", 56) + ".onion"})
	for path, want := range map[string]string{
		"/donations/" + donationID + "?lang=en":          campaignPath + "/donations/" + donationID + "?lang=en",
		"/monthly/" + donationID + "?token=secret&lang=": campaignPath + "/monthly/" + donationID + "?token=secret&lang=",
	} {
		got := send(t, "GET", front.URL+path, "")
		if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != want || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d to %q, %q", path, got.StatusCode, got.Header.Get("Location"), got.Header.Get("Cache-Control"))
		}
		onion := got.Header.Get("Onion-Location")
		if at, _, _ := strings.Cut(path, "?"); !strings.HasPrefix(onion, "http://aaaa") || !strings.Contains(onion, ".onion"+at) || strings.Contains(onion, "secret") {
			t.Errorf("%s: Onion-Location %q", path, onion)
		}
	}
	for _, path := range []string{"/donations/x", "/monthly/" + strings.Repeat("0", 36)} {
		if got := send(t, "GET", front.URL+path, ""); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.StatusCode)
		}
	}
}
