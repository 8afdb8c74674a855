package campaigns

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
	"github.com/cagnotte/cagnotte/services/money"
)

func TestGetProgress(t *testing.T) {
	s, pool, clock := fresh(t)
	sums := &progressOf{known: map[Name]Progress{avocat: {Settled: eur(312_50), Pending: eur(40_00), PublicSpent: eur(100_00)}}}
	server := NewServer(s, sums.get)
	req := &campaignsv1.GetProgressRequest{Name: avocat.String() + "/progress"}
	read := func(ctx context.Context) *campaignsv1.CampaignProgress {
		t.Helper()
		p, err := server.GetProgress(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}

	mustCreate(t, s, avocat, lawyer())
	for who, ctx := range outsiders {
		t.Run("a draft is not found by "+who, func(t *testing.T) {
			_, err := server.GetProgress(ctx, req)
			errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
		})
	}
	for who, ctx := range insiders {
		if p := read(ctx); p.GetAcceptingDonations() || p.GetRevision() == "" {
			t.Errorf("%s reads of a draft %v", who, p)
		}
	}

	must(t, publishes(s), avocat)
	before := read(nobody)
	c, err := server.GetCampaign(nobody, &campaignsv1.GetCampaignRequest{Name: avocat.String()})
	if err != nil {
		t.Fatal(err)
	}
	if before.GetName() != req.GetName() || !proto.Equal(before.GetSettled(), c.GetProgress().GetSettled()) ||
		!proto.Equal(before.GetPending(), c.GetProgress().GetPending()) || !before.GetAcceptingDonations() || before.GetRevision() != c.GetRevision() {
		t.Errorf("the progress is %v, the campaign's %v", before, c.GetProgress())
	}
	for who, ctx := range insiders {
		if p := read(ctx); !proto.Equal(p, before) {
			t.Errorf("%s reads %v, everybody %v", who, p, before)
		}
	}

	sums.known[avocat] = Progress{Settled: eur(352_50), PublicSpent: eur(100_00)}
	given := read(nobody)
	if given.GetRevision() != before.GetRevision() || given.GetSettled().GetAmountMinor() != 352_50 || given.GetPending().GetAmountMinor() != 0 {
		t.Errorf("a donation made %v of %v", given, before)
	}

	last := given.GetRevision()
	for _, change := range []struct {
		what string
		make func()
	}{
		{"an expense", func() { sums.known[avocat] = Progress{Settled: eur(352_50), PublicSpent: eur(200_00)} }},
		{"an expense of a stage", func() {
			c, err := s.Get(context.Background(), avocat)
			if err != nil {
				t.Fatal(err)
			}
			sums.known[avocat] = Progress{Settled: eur(352_50), PublicSpent: eur(200_00), PublicSpentByStage: map[string]money.Amount{c.Stages[0].ID: eur(200_00)}}
		}},
		{"a new title", func() {
			if _, err := s.Update(context.Background(), avocat, "", func(c *Content) error {
				c.Texts = map[string]Text{"fr": {Title: "Un autre titre", Story: "Une autre histoire"}}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}},
		{"a pause", func() { must(t, s.Pause, avocat) }},
		{"a resumption", func() { must(t, s.Resume, avocat) }},
		{"a deadline", func() {
			if _, err := s.Update(context.Background(), avocat, "", func(c *Content) error {
				c.Deadline = start.Add(time.Hour)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}},
		{"the end of the deadline", func() { clock.set(start.Add(time.Hour)) }},
		{"a suspension", func() {
			clock.set(start)
			if _, err := pool.Exec(context.Background(), "UPDATE collectives.collectives SET suspended_at = now(), suspend_reason = 'a complaint' WHERE id = 'vallon'"); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		change.make()
		got := read(nobody).GetRevision()
		if got == last || got != read(nobody).GetRevision() {
			t.Errorf("%s: the revision was %s and is %s", change.what, last, got)
		}
		last = got
	}
	if read(nobody).GetAcceptingDonations() {
		t.Error("a suspended collective's campaign accepts donations")
	}
	t.Run("members-only fields are no part of it", func(t *testing.T) {
		if _, err := s.Update(context.Background(), avocat, "", func(c *Content) error {
			c.AllowedOrigins = append(c.AllowedOrigins, "https://other.example")
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if got := read(nobody).GetRevision(); got != last {
			t.Errorf("another origin changed the revision from %s to %s", last, got)
		}
	})
}
