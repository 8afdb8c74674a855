package campaigns

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
)

// insiders and outsiders are all who can read.
var (
	insiders = map[string]context.Context{
		"owner": as(access.RoleOwner, "vallon"), "editor": editor, "treasurer": as(access.RoleTreasurer, "vallon"),
		"auditor": as(access.RoleAuditor, "vallon"), "operator": as(access.RoleOperator, ""),
	}
	outsiders = map[string]context.Context{
		"nobody": nobody, "another collective's owner": as(access.RoleOwner, "marseille"),
	}
)

// isPublic is the second writing of the proto's comments: each field of a campaign,
// and whether everybody sees it.
var isPublic = map[protoreflect.Name]bool{
	"name": true, "texts": true, "goal": true, "presets": true, "minimum": true, "maximum": true,
	"deadline": true, "stages": true, "allowed_origins": false, "state": true, "progress": true,
	"accepting_donations": true, "accepting_cards": true, "cards_paused": true, "collective_display_name": true, "publish_time": true, "close_time": true,
	"create_time": false, "update_time": false, "etag": false,
	"fee_estimate": true, "spent": true, "collective_discreet": true, "collective_time_zone": true,
	"collective_suspended": true, "image": true, "revision": true, "deadline_date": true,
	"listed": true, "expenses_shown": true, "donations_shown": true, "event": true,
}

// full is a campaign with something in every field.
func full() Campaign {
	c := Campaign{
		Name: avocat, Content: lawyer(), State: StatePublished, CollectiveDisplayName: "Vallon",
		PublishTime: start, CloseTime: start, CreateTime: start, UpdateTime: start, version: 7, timeZone: "Europe/Paris",
	}
	c.Currency, c.fee, c.cards, c.Image = "EUR", DefaultFeeEstimate, true, strings.Repeat("a", 64)
	c.Listed, c.ExpensesShown, c.DonationsShown, c.CollectiveDiscreet = true, true, true, true
	c.Event = Event{Date: "2026-08-15", Time: "19:30", Place: "Salle des fêtes"}
	for lang, text := range c.Texts {
		text.ImageAlt = "Une rue"
		c.Texts[lang] = text
	}
	return c
}

func TestPublicFormIsAnAllowList(t *testing.T) {
	public := publicProto(full(), Progress{}, start).ProtoReflect()
	member := memberProto(full(), Progress{}, start).ProtoReflect()
	// No campaign has this field and accepts donations.
	suspended := full()
	suspended.CollectiveSuspended = true
	field := public.Descriptor().Fields().ByName("collective_suspended")
	public.Set(field, publicProto(suspended, Progress{}, start).ProtoReflect().Get(field))
	member.Set(field, memberProto(suspended, Progress{}, start).ProtoReflect().Get(field))
	// None accepts cards and pauses them.
	paused := full()
	paused.paused = true
	field = public.Descriptor().Fields().ByName("cards_paused")
	public.Set(field, publicProto(paused, Progress{}, start).ProtoReflect().Get(field))
	member.Set(field, memberProto(paused, Progress{}, start).ProtoReflect().Get(field))
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
	content := contentToProto("vallon", full().Content).ProtoReflect()
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
	if back := contentFromProto("vallon", content.Interface().(*campaignsv1.Campaign)); back.normalise() != nil || !back.equal(full().Content) {
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
			must(t, publishes(s), Name{Collective: "vallon", Campaign: slug})
		}
	}
	must(t, s.Pause, Name{Collective: "vallon", Campaign: "paused"})
	must(t, s.Close, Name{Collective: "vallon", Campaign: "closed"})

	read := func(t *testing.T, who string, ctx context.Context, member bool) {
		for _, slug := range []string{"draft", "published", "paused", "closed"} {
			name := "collectives/vallon/campaigns/" + slug
			c, err := server.GetCampaign(ctx, &campaignsv1.GetCampaignRequest{Name: name})
			if slug == "draft" && !member {
				errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
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
