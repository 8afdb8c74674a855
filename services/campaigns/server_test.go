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
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
)

func as(role access.Role, collective string) context.Context {
	return rpc.WithCaller(context.Background(), rpc.Caller{Principal: access.Principal{Key: "k", Role: role, Collective: collective}})
}

var (
	editor = as(access.RoleEditor, "vallon")
	nobody = context.Background()
	// insiders and outsiders are all who can read.
	insiders = map[string]context.Context{
		"owner": as(access.RoleOwner, "vallon"), "editor": editor, "treasurer": as(access.RoleTreasurer, "vallon"),
		"auditor": as(access.RoleAuditor, "vallon"), "operator": as(access.RoleOperator, ""),
	}
	outsiders = map[string]context.Context{
		"nobody": nobody, "another collective's owner": as(access.RoleOwner, "marseille"),
	}
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

// isPublic is the second writing of the proto's comments: each field of a campaign,
// and whether everybody sees it.
var isPublic = map[protoreflect.Name]bool{
	"name": true, "texts": true, "goal": true, "presets": true, "minimum": true, "maximum": true,
	"deadline": true, "stages": true, "allowed_origins": false, "state": true, "progress": true,
	"accepting_gifts": true, "collective_display_name": true, "publish_time": true, "close_time": true,
	"create_time": false, "update_time": false, "etag": false,
}

// full is a campaign with something in every field.
func full() Campaign {
	c := Campaign{
		Name: avocat, Content: lawyer(), State: StatePublished, CollectiveDisplayName: "Vallon",
		PublishTime: start, CloseTime: start, CreateTime: start, UpdateTime: start, version: 7,
	}
	c.Currency = "EUR"
	return c
}

func TestPublicFormIsAnAllowList(t *testing.T) {
	public := publicProto(full(), Progress{}, start).ProtoReflect()
	member := memberProto(full(), Progress{}, start).ProtoReflect()
	fields := public.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		decided, ok := isPublic[fd.Name()]
		if !ok {
			t.Errorf("%s: decide whether it is public, here and in publicProto", fd.Name())
			continue
		}
		if public.Has(fd) != decided {
			t.Errorf("%s: the public form has it: %v, decided: %v", fd.Name(), public.Has(fd), decided)
		}
		if !member.Has(fd) {
			t.Errorf("%s: members do not see it", fd.Name())
		}
	}
	if len(isPublic) != fields.Len() {
		t.Errorf("%d fields decided, the proto has %d", len(isPublic), fields.Len())
	}
}

func TestWritableFieldsAreFields(t *testing.T) {
	content := contentToProto(lawyer()).ProtoReflect()
	content.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if !slices.Contains(writable, string(fd.Name())) {
			t.Errorf("%s is content and not writable", fd.Name())
		}
		return true
	})
	for _, name := range writable {
		if fd := content.Descriptor().Fields().ByName(protoreflect.Name(name)); fd == nil || !content.Has(fd) {
			t.Errorf("%s is writable and not content", name)
		}
	}
	if back := contentFromProto(content.Interface().(*campaignsv1.Campaign)); back.normalise() != nil || !back.equal(full().Content) {
		t.Errorf("content does not survive the way: %+v", back)
	}
}

func wantFieldsOf(t *testing.T, who string, member bool, c *campaignsv1.Campaign) {
	t.Helper()
	c.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if !member && !isPublic[fd.Name()] {
			t.Errorf("%s sees %s", who, fd.Name())
		}
		return true
	})
	if member && (c.GetEtag() == "" || len(c.GetAllowedOrigins()) == 0) {
		t.Errorf("%s does not see the members' fields", who)
	}
}

func TestServerWhoSeesWhat(t *testing.T) {
	s, _, clock := fresh(t)
	server := NewServer(s, (&progressOf{}).get)
	for _, slug := range []string{"draft", "published", "paused", "closed"} {
		mustCreate(t, s, Name{Collective: "vallon", Campaign: slug}, lawyer())
		clock.set(clock.now().Add(time.Second))
		if slug != "draft" {
			must(t, s.Publish, Name{Collective: "vallon", Campaign: slug})
		}
	}
	must(t, s.Pause, Name{Collective: "vallon", Campaign: "paused"})
	must(t, s.Close, Name{Collective: "vallon", Campaign: "closed"})

	read := func(t *testing.T, who string, ctx context.Context, member bool) {
		for _, slug := range []string{"draft", "published", "paused", "closed"} {
			name := "collectives/vallon/campaigns/" + slug
			c, err := server.GetCampaign(ctx, &campaignsv1.GetCampaignRequest{Name: name})
			if slug == "draft" && !member {
				wantError(t, err, codes.NotFound, "NOT_FOUND")
				_, missing := server.GetCampaign(ctx, &campaignsv1.GetCampaignRequest{Name: "collectives/vallon/campaigns/dratf"})
				if got, want := err.Error(), missing.Error(); len(got) != len(want) {
					t.Errorf("a draft is answered %q, a missing one %q", got, want)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			wantFieldsOf(t, who, member, c)
		}
		resp, err := server.ListCampaigns(ctx, &campaignsv1.ListCampaignsRequest{Parent: "collectives/vallon"})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range resp.GetCampaigns() {
			names = append(names, c.GetName()[len("collectives/vallon/campaigns/"):])
			wantFieldsOf(t, who, member, c)
		}
		want := []string{"closed", "paused", "published", "draft"}
		if !member {
			want = want[:3]
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("list (-want +got)\n%s", diff)
		}
	}
	for who, ctx := range insiders {
		t.Run(who, func(t *testing.T) { read(t, who, ctx, true) })
	}
	for who, ctx := range outsiders {
		t.Run(who, func(t *testing.T) { read(t, who, ctx, false) })
	}
	t.Run("a list tells nothing of drafts, nor of collectives", func(t *testing.T) {
		mustCreate(t, s, Name{Collective: "marseille", Campaign: "draft"}, lawyer())
		for _, parent := range []string{"collectives/marseille", "collectives/nowhere"} {
			resp, err := server.ListCampaigns(nobody, &campaignsv1.ListCampaignsRequest{Parent: parent})
			if err != nil || !proto.Equal(resp, &campaignsv1.ListCampaignsResponse{}) {
				t.Errorf("%s: %v, %v", parent, resp, err)
			}
		}
	})
}

func TestServerListPages(t *testing.T) {
	s, _, clock := fresh(t)
	progress := &progressOf{}
	server := NewServer(s, progress.get)
	var want []string
	for i := range 5 {
		name := Name{Collective: "vallon", Campaign: fmt.Sprintf("campaign-%d", i)}
		mustCreate(t, s, name, lawyer())
		must(t, s.Publish, name)
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
			wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "page_token")
		})
	}
}

func TestServerProgress(t *testing.T) {
	s, _, clock := fresh(t)
	mustCreate(t, s, avocat, lawyer())
	must(t, s.Publish, avocat)
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
	t.Run("says whether gifts are taken", func(t *testing.T) {
		if c, err := get(); err != nil || !c.GetAcceptingGifts() {
			t.Errorf("before the deadline: %v, %v", c, err)
		}
		clock.set(lawyer().Deadline)
		if c, err := get(); err != nil || c.GetAcceptingGifts() {
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
	sent := contentToProto(lawyer())
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
	want := memberProto(Campaign{
		Name: avocat, Content: full().Content, State: StateDraft, CollectiveDisplayName: "Vallon contre caméras",
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
	for _, path := range []string{"state", "progress", "publish_time", "create_time", "accepting_gifts", "colour", "texts.fr"} {
		t.Run("refuses the path "+path, func(t *testing.T) {
			_, err := update(&campaignsv1.Campaign{}, path)
			wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "update_mask")
		})
	}
	t.Run("names the field of a stored amount that the new one leaves behind", func(t *testing.T) {
		_, err := update(&campaignsv1.Campaign{Minimum: &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 10_00}}, "minimum")
		wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "campaign.presets[0].amount_minor")
	})
	t.Run("refuses a stale etag", func(t *testing.T) {
		_, err := update(&campaignsv1.Campaign{Etag: created.GetEtag()}, "deadline")
		wantError(t, err, codes.Aborted, "ETAG_MISMATCH")
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
			wantError(t, err, codes.NotFound, "NOT_FOUND")
			_, err = server.UpdateCampaign(editor, &campaignsv1.UpdateCampaignRequest{Campaign: &campaignsv1.Campaign{Name: name}})
			wantError(t, err, codes.NotFound, "NOT_FOUND")
			_, err = server.GetCampaign(editor, &campaignsv1.GetCampaignRequest{Name: name})
			wantError(t, err, codes.NotFound, "NOT_FOUND")
		}
		_, err := server.CreateCampaign(editor, &campaignsv1.CreateCampaignRequest{Parent: "collectives/nowhere", CampaignId: "avocat", Campaign: sent})
		wantError(t, err, codes.NotFound, "NOT_FOUND")
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
	must(t, s.Publish, avocat)
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
