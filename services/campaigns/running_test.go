package campaigns

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
)

func TestListsBeginWithWhatRuns(t *testing.T) {
	s, pool, clock := fresh(t)
	server := NewServer(s, (&progressOf{}).get)
	ctx := context.Background()
	// Each is made a second after the one before. The draft is listed too, and the last is not.
	for _, slug := range []string{"old", "late", "paused", "closed", "draft", "new", "unlisted"} {
		content := lawyer()
		content.Listed = slug != "unlisted"
		if slug == "late" {
			content.Deadline = start.Add(time.Minute)
		}
		clock.set(clock.now().Add(time.Second))
		name := Name{Collective: "vallon", Campaign: slug}
		mustCreate(t, s, name, content)
		if slug != "draft" {
			must(t, publishes(s), name)
		}
	}
	must(t, s.Pause, Name{Collective: "vallon", Campaign: "paused"})
	must(t, s.Close, Name{Collective: "vallon", Campaign: "closed"})
	other := lawyer()
	other.Listed = true
	mustCreate(t, s, Name{Collective: "marseille", Campaign: "other"}, other)
	must(t, publishes(s), Name{Collective: "marseille", Campaign: "other"})
	clock.set(start.Add(time.Hour))

	// slugs reads all pages, of two campaigns each.
	slugs := func(t *testing.T, read func(token string) ([]*campaignsv1.Campaign, string, error)) (all []string) {
		t.Helper()
		for token, first := "", true; first || token != ""; first = false {
			list, next, err := read(token)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range list {
				name, _ := ParseName(c.GetName())
				all = append(all, name.Campaign)
			}
			token = next
		}
		return all
	}
	ofVallon := func(as context.Context) func(string) ([]*campaignsv1.Campaign, string, error) {
		return func(token string) ([]*campaignsv1.Campaign, string, error) {
			resp, err := server.ListCampaigns(as, &campaignsv1.ListCampaignsRequest{Parent: "collectives/vallon", RunningFirst: true, PageSize: 2, PageToken: token})
			return resp.GetCampaigns(), resp.GetNextPageToken(), err
		}
	}
	front := func(token string) ([]*campaignsv1.Campaign, string, error) {
		resp, err := server.ListListedCampaigns(nobody, &campaignsv1.ListListedCampaignsRequest{Parent: "instance", PageSize: 2, PageToken: token})
		return resp.GetCampaigns(), resp.GetNextPageToken(), err
	}
	for _, c := range []struct {
		rule string
		read func(string) ([]*campaignsv1.Campaign, string, error)
		want []string
	}{
		{"a collective's, for everybody", ofVallon(nobody), []string{"unlisted", "new", "old", "paused", "closed", "late"}},
		{"a collective's, for a member", ofVallon(editor), []string{"unlisted", "new", "old", "draft", "paused", "closed", "late"}},
		{"the front page's", front, []string{"other", "new", "old", "paused", "closed", "late"}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if got := slugs(t, c.read); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	t.Run("a suspended collective is not on the front page", func(t *testing.T) {
		if _, err := pool.Exec(ctx, "UPDATE collectives.collectives SET suspended_at = now(), suspend_reason = 'x' WHERE id = 'marseille'"); err != nil {
			t.Fatal(err)
		}
		if got := slugs(t, front); slices.Contains(got, "other") || len(got) != 5 {
			t.Errorf("got %v", got)
		}
	})
	t.Run("a token continues its own list only", func(t *testing.T) {
		_, token, err := ofVallon(nobody)("")
		if err != nil || token == "" {
			t.Fatal(token, err)
		}
		_, err = server.ListCampaigns(nobody, &campaignsv1.ListCampaignsRequest{Parent: "collectives/vallon", PageToken: token})
		errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "page_token")
	})
}

func TestOwnersAloneShowExpenses(t *testing.T) {
	s, _, _ := fresh(t)
	server := NewServer(s, (&progressOf{}).get)
	mustCreate(t, s, avocat, lawyer())
	change := func(as context.Context, shown bool) error {
		_, err := server.UpdateCampaign(as, &campaignsv1.UpdateCampaignRequest{
			Campaign:   &campaignsv1.Campaign{Name: avocat.String(), ExpensesShown: shown, Listed: true},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"listed", "expenses_shown"}},
		})
		return err
	}
	errstest.Want(t, change(editor, true), codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	if err := change(editor, false); err != nil {
		t.Errorf("an editor who leaves it as it is: %v", err)
	}
	if err := change(as(access.RoleOwner, "vallon"), true); err != nil {
		t.Error(err)
	}
	_, err := server.CreateCampaign(editor, &campaignsv1.CreateCampaignRequest{
		Parent: "collectives/vallon", CampaignId: "other", Campaign: &campaignsv1.Campaign{ExpensesShown: true},
	})
	errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	t.Run("a copy shows neither", func(t *testing.T) {
		if c, err := s.Copy(context.Background(), avocat, Name{Collective: "vallon", Campaign: "copy"}); err != nil || c.Shown != (Shown{}) {
			t.Errorf("%v, %v", c.Shown, err)
		}
	})
}

// A list of campaigns of many collectives asks once which of them take cards, and only about those that take donations.
func TestAListAsksOnceWhoTakesCards(t *testing.T) {
	s, _, _ := fresh(t)
	var asked [][]string
	s.takingDonations = func(_ context.Context, collectives []string) (map[string]bool, error) {
		slices.Sort(collectives)
		asked = append(asked, collectives)
		return map[string]bool{"vallon": true}, nil
	}
	content := lawyer()
	content.Listed = true
	for _, name := range []Name{{Collective: "vallon", Campaign: "one"}, {Collective: "vallon", Campaign: "two"}, {Collective: "marseille", Campaign: "three"}} {
		mustCreate(t, s, name, content)
		if _, err := s.update(t.Context(), name, publish); err != nil {
			t.Fatal(err)
		}
	}
	server := NewServer(s, (&progressOf{}).get)
	list, err := server.ListListedCampaigns(nobody, &campaignsv1.ListListedCampaignsRequest{Parent: "instance"})
	if err != nil || len(list.GetCampaigns()) != 3 {
		t.Fatalf("%d campaigns, %v", len(list.GetCampaigns()), err)
	}
	if len(asked) != 1 || !slices.Equal(asked[0], []string{"marseille", "vallon"}) {
		t.Errorf("asked %v", asked)
	}
	for _, c := range list.GetCampaigns() {
		if name, _ := ParseName(c.GetName()); c.GetAcceptingCards() != (name.Collective == "vallon") {
			t.Errorf("%s takes cards: %v", name, c.GetAcceptingCards())
		}
	}
	for _, name := range []string{"one", "two"} {
		must(t, s.Pause, Name{Collective: "vallon", Campaign: name})
	}
	must(t, s.Pause, Name{Collective: "marseille", Campaign: "three"})
	if _, err := server.ListListedCampaigns(nobody, &campaignsv1.ListListedCampaignsRequest{Parent: "instance"}); err != nil || len(asked) != 1 {
		t.Errorf("paused: asked %v, %v", asked, err)
	}
}
