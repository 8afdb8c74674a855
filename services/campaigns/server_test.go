package campaigns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
)

func as(role access.Role, collective string) context.Context {
	return rpc.WithCaller(context.Background(), rpc.Caller{Principal: access.Principal{Name: "k", Grants: []access.Grant{{Collective: collective, Role: role}}}})
}

var (
	editor = as(access.RoleEditor, "vallon")
	nobody = context.Background()
)

// progressOf counts its calls.
type progressOf struct {
	calls int
	known map[Name]Progress
	err   error
}

func (p *progressOf) get(context.Context, []Name) (map[Name]Progress, error) {
	p.calls++
	return p.known, p.err
}

func TestServerListPages(t *testing.T) {
	s, _, clock := fresh(t)
	progress := &progressOf{}
	server := NewServer(s, progress.get)
	var want []string
	for i := range 5 {
		name := Name{Collective: "vallon", Campaign: fmt.Sprintf("campaign-%d", i)}
		mustCreate(t, s, name, lawyer())
		must(t, publishes(s), name)
		want = append([]string{name.String()}, want...)
		if i != 2 { // Two campaigns of the same moment are told apart by their slugs.
			clock.set(clock.now().Add(time.Second))
		}
	}
	for _, size := range []int32{0, 1, 2, 5} {
		var names []string
		pages := 0
		progress.calls = 0
		for token := ""; ; {
			resp, err := server.ListCampaigns(nobody, &campaignsv1.ListCampaignsRequest{Parent: "collectives/vallon", PageSize: size, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range resp.GetCampaigns() {
				names = append(names, c.GetName())
			}
			pages++
			if token = resp.GetNextPageToken(); token == "" {
				break
			}
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("pages of %d (-want +got)\n%s", size, diff)
		}
		if progress.calls != pages {
			t.Errorf("pages of %d: progress was asked %d times for %d pages", size, progress.calls, pages)
		}
	}
	first, err := server.ListCampaigns(editor, &campaignsv1.ListCampaignsRequest{Parent: "collectives/vallon", PageSize: 2})
	if err != nil {
		t.Fatal(err)
	}
	for rule, req := range map[string]*campaignsv1.ListCampaignsRequest{
		"a member's token":                {Parent: "collectives/vallon", PageToken: first.GetNextPageToken()},
		"a token of another collective's": {Parent: "collectives/marseille", PageToken: first.GetNextPageToken()},
		"a forged token":                  {Parent: "collectives/vallon", PageToken: "forged"},
	} {
		t.Run("refuses "+rule, func(t *testing.T) {
			_, err := server.ListCampaigns(nobody, req)
			errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "page_token")
		})
	}
}

func TestServerProgress(t *testing.T) {
	s, _, clock := fresh(t)
	mustCreate(t, s, avocat, lawyer())
	must(t, publishes(s), avocat)
	progress := &progressOf{}
	server := NewServer(s, progress.get)
	get := func() (*campaignsv1.Campaign, error) {
		return server.GetCampaign(nobody, &campaignsv1.GetCampaignRequest{Name: avocat.String()})
	}
	eurProto := func(minor int64) *moneyv1.Money { return &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: minor} }
	for rule, test := range map[string]struct {
		known map[Name]Progress
		want  *campaignsv1.Progress
	}{
		"is zero, in euros, when none is known": {nil, &campaignsv1.Progress{Settled: eurProto(0), Pending: eurProto(0)}},
		"is what it is told, above the goal":    {map[Name]Progress{avocat: {Settled: eur(900_00), Pending: eur(20_00)}}, &campaignsv1.Progress{Settled: eurProto(900_00), Pending: eurProto(20_00)}},
	} {
		t.Run(rule, func(t *testing.T) {
			progress.known = test.known
			c, err := get()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, c.GetProgress(), protocmp.Transform()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	t.Run("says whether donations are taken", func(t *testing.T) {
		if c, err := get(); err != nil || !c.GetAcceptingDonations() {
			t.Errorf("before the deadline: %v, %v", c, err)
		}
		clock.set(lawyer().Deadline)
		if c, err := get(); err != nil || c.GetAcceptingDonations() {
			t.Errorf("after the deadline: %v, %v", c, err)
		}
	})
	t.Run("is never guessed when it cannot be known", func(t *testing.T) {
		progress.err = errors.New("boom")
		if c, err := get(); !errors.Is(err, progress.err) || c != nil {
			t.Errorf("got %v, %v", c, err)
		}
	})
}

func TestServerWrites(t *testing.T) {
	s, _, _ := fresh(t)
	server := NewServer(s, (&progressOf{}).get)
	sent := contentToProto("vallon", lawyer())
	sent.Name, sent.Etag, sent.State = "collectives/marseille/campaigns/believed", "believed", campaignsv1.CampaignState_CAMPAIGN_STATE_CLOSED
	create := func() (*campaignsv1.Campaign, error) {
		return server.CreateCampaign(editor, &campaignsv1.CreateCampaignRequest{Parent: "collectives/vallon", CampaignId: "avocat", Campaign: sent})
	}
	created, err := create()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := create(); err != nil || !proto.Equal(created, again) {
		t.Errorf("sent twice: %v, %v", again, err)
	}
	content := lawyer()
	content.Currency = "EUR"
	want := memberProto(Campaign{
		Name: avocat, Content: content, State: StateDraft, CollectiveDisplayName: "Vallon contre caméras", timeZone: "Europe/Paris",
		CreateTime: start, UpdateTime: start, version: 1,
	}, Progress{}, start)
	if diff := cmp.Diff(want, created, protocmp.Transform()); diff != "" {
		t.Errorf("created (-want +got)\n%s", diff)
	}

	update := func(c *campaignsv1.Campaign, paths ...string) (*campaignsv1.Campaign, error) {
		c.Name = avocat.String()
		return server.UpdateCampaign(editor, &campaignsv1.UpdateCampaignRequest{Campaign: c, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
	}
	t.Run("changes one part of the goal, as REST says it", func(t *testing.T) {
		for range 2 {
			c, err := update(&campaignsv1.Campaign{Goal: &moneyv1.Money{AmountMinor: 850_00}}, "goal.amount_minor")
			if err != nil || c.GetGoal().GetAmountMinor() != 850_00 || c.GetGoal().GetCurrencyCode() != "EUR" {
				t.Errorf("got %v, %v", c, err)
			}
		}
	})
	t.Run("brings an absent maximum back to its default", func(t *testing.T) {
		c, err := update(&campaignsv1.Campaign{}, "maximum", "deadline")
		if err != nil || c.GetMaximum().GetAmountMinor() != 5_000_00 || c.GetDeadline() != nil {
			t.Errorf("got %v, %v", c, err)
		}
	})
	t.Run("an empty mask changes what is set", func(t *testing.T) {
		c, err := update(&campaignsv1.Campaign{AllowedOrigins: []string{"https://NEW.example"}, CreateTime: timestamppb.Now()})
		if err != nil || !slices.Equal(c.GetAllowedOrigins(), []string{"https://new.example"}) || len(c.GetStages()) != 2 {
			t.Errorf("got %v, %v", c, err)
		}
	})
	for _, path := range []string{"state", "progress", "publish_time", "create_time", "accepting_donations", "colour", "texts.fr"} {
		t.Run("refuses the path "+path, func(t *testing.T) {
			_, err := update(&campaignsv1.Campaign{}, path)
			errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "update_mask")
		})
	}
	t.Run("names the field of a stored amount that the new one leaves behind", func(t *testing.T) {
		_, err := update(&campaignsv1.Campaign{Minimum: &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 10_00}}, "minimum")
		errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "campaign.presets[0].amount_minor")
	})
	t.Run("refuses a stale etag", func(t *testing.T) {
		_, err := update(&campaignsv1.Campaign{Etag: created.GetEtag()}, "deadline")
		errstest.Want(t, err, codes.Aborted, errorsv1.ErrorReason_ETAG_MISMATCH)
	})

	name := avocat.String()
	for _, step := range []struct {
		call func() (*campaignsv1.Campaign, error)
		want campaignsv1.CampaignState
	}{
		{func() (*campaignsv1.Campaign, error) {
			return server.PublishCampaign(editor, &campaignsv1.PublishCampaignRequest{Name: name})
		}, campaignsv1.CampaignState_CAMPAIGN_STATE_PUBLISHED},
		{func() (*campaignsv1.Campaign, error) {
			return server.PauseCampaign(editor, &campaignsv1.PauseCampaignRequest{Name: name})
		}, campaignsv1.CampaignState_CAMPAIGN_STATE_PAUSED},
		{func() (*campaignsv1.Campaign, error) {
			return server.ResumeCampaign(editor, &campaignsv1.ResumeCampaignRequest{Name: name})
		}, campaignsv1.CampaignState_CAMPAIGN_STATE_PUBLISHED},
		{func() (*campaignsv1.Campaign, error) {
			return server.CloseCampaign(editor, &campaignsv1.CloseCampaignRequest{Name: name})
		}, campaignsv1.CampaignState_CAMPAIGN_STATE_CLOSED},
	} {
		first, err := step.call()
		if err != nil || first.GetState() != step.want {
			t.Fatalf("got %v, %v; want %v", first, err, step.want)
		}
		if second, err := step.call(); err != nil || !proto.Equal(first, second) {
			t.Errorf("%v, sent twice: %v, %v", step.want, second, err)
		}
	}
	t.Run("says what is missing", func(t *testing.T) {
		for _, name := range []string{"collectives/vallon/campaigns/none", "nonsense"} {
			_, err := server.PublishCampaign(editor, &campaignsv1.PublishCampaignRequest{Name: name})
			errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
			_, err = server.UpdateCampaign(editor, &campaignsv1.UpdateCampaignRequest{Campaign: &campaignsv1.Campaign{Name: name}})
			errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
			_, err = server.GetCampaign(editor, &campaignsv1.GetCampaignRequest{Name: name})
			errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
		}
		_, err := server.CreateCampaign(editor, &campaignsv1.CreateCampaignRequest{Parent: "collectives/nowhere", CampaignId: "avocat", Campaign: sent})
		errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	})
}

func TestServerCheckOrigin(t *testing.T) {
	s, _, _ := fresh(t)
	server := NewServer(s, (&progressOf{}).get)
	mustCreate(t, s, avocat, lawyer())
	check := func(name, origin string) bool {
		t.Helper()
		resp, err := server.CheckOrigin(nobody, &campaignsv1.CheckOriginRequest{Name: name, Origin: origin})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetAllowed()
	}
	if check(avocat.String(), "https://vallon.example") {
		t.Error("a draft allows its origin, and so tells that it is there")
	}
	must(t, publishes(s), avocat)
	for _, test := range []struct {
		name, origin string
		want         bool
	}{
		{avocat.String(), "https://vallon.example", true},
		{avocat.String(), "https://evil.example", false},
		{avocat.String(), "null", false},
		{"collectives/vallon/campaigns/none", "https://vallon.example", false},
		{"nonsense", "https://vallon.example", false},
	} {
		if got := check(test.name, test.origin); got != test.want {
			t.Errorf("%s from %s: %v, want %v", test.name, test.origin, got, test.want)
		}
	}
	must(t, s.Close, avocat)
	if !check(avocat.String(), "https://vallon.example") {
		t.Error("the page of a closed campaign stays, and its widget with it")
	}
}
