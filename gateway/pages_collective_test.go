package gateway_test

import (
	"context"
	"encoding/xml"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cagnotte/cagnotte/gateway"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
)

// ended is the campaign once it is over.
func ended() *campaignsv1.Campaign {
	c := vallon()
	c.Name, c.State, c.AcceptingDonations, c.AcceptingCards = "collectives/vallon/campaigns/old", campaignsv1.CampaignState_CAMPAIGN_STATE_CLOSED, false, false
	return c
}

func TestCollectivePageSaysWhoItIs(t *testing.T) {
	b := &backend{
		listCampaigns: func(r *campaignsv1.ListCampaignsRequest) (*campaignsv1.ListCampaignsResponse, error) {
			if !r.GetRunningFirst() {
				t.Error("what runs does not come first")
			}
			return &campaignsv1.ListCampaignsResponse{Campaigns: []*campaignsv1.Campaign{vallon(), ended()}}, nil
		},
		profile: func(*collectivesv1.GetCollectiveProfileRequest) (*collectivesv1.CollectiveProfile, error) {
			return &collectivesv1.CollectiveProfile{
				Texts: map[string]*collectivesv1.CollectiveText{
					"fr": {About: "Nous sommes **des habitants**.<script>alert(1)</script>", LegalNotice: "Association loi 1901, 1 rue du Port."},
				},
				ContactEmail: "contact@vallon.example", ContactUrl: "https://vallon.example/contact", Website: "https://www.vallon.example/",
			}, nil
		},
		checkpoint: func(*ledgerv1.GetCheckpointRequest) (*ledgerv1.Checkpoint, error) {
			return &ledgerv1.Checkpoint{Size: 41, SignTime: timestamppb.New(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC))}, nil
		},
	}
	front := serve(t, b, gateway.Options{PublicURL: "https://dons.example", Host: []string{"Hébergeur Exemple", "contact@host.example"}})
	got := send(t, "GET", front.URL+"/c/vallon?lang=fr", "")
	holds(t, got.body, "<strong>des habitants</strong>", "Association loi 1901", `href="mailto:contact@vallon.example"`, "https://vallon.example/contact",
		">vallon.example</a>", "41 opérations sont scellées", `href="/v1/collectives/vallon/ledger/checkpoint"`, "Hébergeur Exemple",
		`href="mailto:contact@host.example"`, `href="/privacy?lang=fr"`, "Collectes en cours", "Collectes terminées")
	lacks(t, got.body, "<script>alert", "Collectes en pause")
	if running, over := strings.Index(got.body, `href="/c/vallon/cameras`), strings.Index(got.body, `href="/c/vallon/old`); running < 0 || over < running {
		t.Errorf("the running campaign stands at %d, the one that is over at %d", running, over)
	}
	t.Run("it says no host where none is set", func(t *testing.T) {
		quiet := serve(t, b, gateway.Options{})
		lacks(t, send(t, "GET", quiet.URL+"/c/vallon?lang=fr", "").body, "Hébergeur")
		holds(t, send(t, "GET", quiet.URL+"/privacy?lang=fr", "").body, "n’a pas encore indiqué")
	})
}

func TestFrontPage(t *testing.T) {
	var listed []*campaignsv1.Campaign
	b := &backend{listListed: func(r *campaignsv1.ListListedCampaignsRequest) (*campaignsv1.ListListedCampaignsResponse, error) {
		if r.GetParent() != "instance" {
			t.Errorf("the parent is %q", r.GetParent())
		}
		next := ""
		if r.GetPageToken() == "" && len(listed) > 0 {
			next = "more"
		}
		return &campaignsv1.ListListedCampaignsResponse{Campaigns: listed, NextPageToken: next}, nil
	}}
	front := serve(t, b, gateway.Options{Uncached: true})
	got := send(t, "GET", front.URL+"/?lang=en", "")
	holds(t, got.body, "No campaign is listed here", "follow the link", `href="/privacy?lang=en"`)
	listed = []*campaignsv1.Campaign{vallon()}
	got = send(t, "GET", front.URL+"/?lang=en", "")
	holds(t, got.body, `href="/c/vallon/cameras?lang=en"`, "Vallon contre caméras", `href="/?lang=en&amp;page=more"`)
	lacks(t, send(t, "GET", front.URL+"/?page=more", "").body, "page=more")
	if got.Header.Get("Set-Cookie") != "" {
		t.Error("the front page sets a cookie")
	}
}

// news are two items, the second in French alone.
func news(*campaignsv1.ListNewsItemsRequest) (*campaignsv1.ListNewsItemsResponse, error) {
	at := timestamppb.New(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC))
	return &campaignsv1.ListNewsItemsResponse{NewsItems: []*campaignsv1.NewsItem{
		{
			Name:        campaignName + "/news/01890a5d-ac96-774b-bcce-b302099a8001",
			Texts:       map[string]*campaignsv1.NewsText{"fr": {Title: "Audience & report", Text: "Le **juge** <b>reporte</b>."}, "en": {Title: "Hearing & delay", Text: "Put *off*."}},
			PublishTime: at, UpdateTime: timestamppb.New(at.AsTime().Add(time.Hour)),
		},
		{
			Name:        campaignName + "/news/01890a5d-ac96-774b-bcce-b302099a8002",
			Texts:       map[string]*campaignsv1.NewsText{"fr": {Title: "Merci !", Text: "Vous êtes [nombreux](/c/vallon)."}},
			PublishTime: timestamppb.New(at.AsTime().Add(-time.Hour)), UpdateTime: at,
		},
	}, NextPageToken: "more"}, nil
}

func TestNewsOfACampaign(t *testing.T) {
	b := &backend{listNews: news, getNews: func(r *campaignsv1.GetNewsItemRequest) (*campaignsv1.NewsItem, error) {
		list, _ := news(nil)
		for _, n := range list.GetNewsItems() {
			if n.GetName() == r.GetName() {
				return n, nil
			}
		}
		return nil, fail(codes.NotFound, "NOT_FOUND")
	}}
	front := serve(t, b, gateway.Options{PublicURL: "https://dons.example"})
	first := campaignPath + "/news/01890a5d-ac96-774b-bcce-b302099a8001"
	t.Run("stands on the campaign's page", func(t *testing.T) {
		got := send(t, "GET", front.URL+campaignPath+"?lang=en", "")
		holds(t, got.body, "Hearing &amp; delay", first+"?lang=en", campaignPath+"/news?lang=en", campaignPath+"/news.atom?lang=en", "without giving an email address")
	})
	t.Run("has pages of its own", func(t *testing.T) {
		got := send(t, "GET", front.URL+campaignPath+"/news?lang=fr", "")
		holds(t, got.body, "<strong>juge</strong>", "Merci", `page=more`, `type="application/atom+xml"`)
		lacks(t, got.body, "<b>")
		holds(t, send(t, "GET", front.URL+first+"?lang=en", "").body, "<em>off</em>", "<h1", "March")
	})
	t.Run("what was withdrawn is missing", func(t *testing.T) {
		for _, path := range []string{"/news/01890a5d-ac96-774b-bcce-b302099a8009", "/news/x"} {
			if got := send(t, "GET", front.URL+campaignPath+path, ""); got.StatusCode != 404 {
				t.Errorf("%s: got %d", path, got.StatusCode)
			}
		}
	})
	t.Run("is a valid feed, with ids that stay and whole addresses", func(t *testing.T) {
		got := send(t, "GET", front.URL+campaignPath+"/news.atom?lang=en", "")
		if got.StatusCode != 200 || got.Header.Get("Content-Type") != "application/atom+xml; charset=utf-8" || got.Header.Get("ETag") == "" {
			t.Fatalf("got %d, %v", got.StatusCode, got.Header)
		}
		var feed struct {
			XMLName xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
			ID      string   `xml:"id"`
			Title   string   `xml:"title"`
			Updated string   `xml:"updated"`
			Author  string   `xml:"author>name"`
			Links   []struct {
				Rel  string `xml:"rel,attr"`
				Href string `xml:"href,attr"`
			} `xml:"link"`
			Entries []struct {
				ID        string `xml:"id"`
				Title     string `xml:"title"`
				Updated   string `xml:"updated"`
				Published string `xml:"published"`
				Link      struct {
					Href string `xml:"href,attr"`
				} `xml:"link"`
				Content string `xml:"content"`
			} `xml:"entry"`
		}
		if err := xml.Unmarshal([]byte(got.body), &feed); err != nil {
			t.Fatal(err)
		}
		self := "https://dons.example" + campaignPath + "/news.atom?lang=en"
		if feed.ID != self || feed.Links[0].Rel != "self" || feed.Links[0].Href != self || feed.Updated != "2026-03-02T13:00:00Z" || feed.Author == "" || feed.Title == "" {
			t.Errorf("the feed is %+v", feed)
		}
		if len(feed.Entries) != 2 {
			t.Fatalf("there are %d entries", len(feed.Entries))
		}
		e := feed.Entries[0]
		if e.ID != "urn:uuid:01890a5d-ac96-774b-bcce-b302099a8001" || e.Title != "Hearing & delay" || e.Link.Href != "https://dons.example"+first+"?lang=en" ||
			e.Published != "2026-03-02T12:00:00Z" || !strings.Contains(e.Content, "<em>off</em>") {
			t.Errorf("the entry is %+v", e)
		}
	})
}

type expenses struct {
	treasuryv1.UnimplementedTreasuryServiceServer
	asked int
}

func (e *expenses) ListPublicExpenses(context.Context, *treasuryv1.ListPublicExpensesRequest) (*treasuryv1.ListPublicExpensesResponse, error) {
	e.asked++
	return &treasuryv1.ListPublicExpensesResponse{Expenses: []*treasuryv1.PublicExpense{
		{Kind: treasuryv1.ExpenseKind_EXPENSE_KIND_LAWYER, Amount: euros(12000), DocumentDate: "2026-03-02", Stage: "1"},
		{Kind: treasuryv1.ExpenseKind_EXPENSE_KIND_OTHER, Amount: euros(1000), DocumentDate: "2026-03-01", Paid: true},
	}}, nil
}

func TestExpensesAreShownWhereMembersChoseSo(t *testing.T) {
	shown := false
	treasury := &expenses{}
	b := &backend{treasury: treasury, getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
		c := vallon()
		c.ExpensesShown, c.Spent = shown, euros(13000)
		c.Stages[0].Id, c.Stages[0].Spent = "1", euros(12000)
		return c, nil
	}}
	front := serve(t, b, gateway.Options{Uncached: true})
	got := send(t, "GET", front.URL+campaignPath+"?lang=en", "")
	lacks(t, got.body, "Where the money goes", "Lawyer")
	if treasury.asked != 0 {
		t.Error("expenses were read that are not shown")
	}
	shown = true
	got = send(t, "GET", front.URL+campaignPath+"?lang=en", "")
	holds(t, got.body, "Where the money goes", "Lawyer’s fees", "Other expense", "still to be paid", "March")
	// 312.50 came in: 150 for the first stage, 162.50 of 350 for the second. Of 130 spent, 10 are for no stage.
	var sums []string
	for _, part := range strings.Split(got.body, "<dd>")[1:] {
		sums = append(sums, strings.ReplaceAll(strings.ReplaceAll(part[:strings.Index(part, "<")], "\u00a0", ""), "\u202f", ""))
	}
	want := []string{
		"€150", "€150", "€120", "€30", "€350", "€162.50", "€0", "€162.50", "€300", "€0", "€0", "€0",
		"–", "€0", "€10", "−€10", "€800", "€312.50", "€130", "€182.50",
	}
	if !slices.Equal(sums, want) {
		t.Errorf("the sums are\n%q, want\n%q", sums, want)
	}
}
