package campaigns

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	"github.com/cagnotte/cagnotte/services/access"
)

func TestRefusedOriginsAreListed(t *testing.T) {
	s, pool, clock := fresh(t)
	ctx := context.Background()
	server := NewServer(s, (&progressOf{}).get)
	mustCreate(t, s, avocat, lawyer())
	must(t, publishes(s), avocat)
	ask := func(origin string) {
		t.Helper()
		resp, err := server.CheckOrigin(ctx, &campaignsv1.CheckOriginRequest{Name: avocat.String(), Origin: origin})
		if err != nil || resp.GetAllowed() {
			t.Fatalf("%s: %v, %v", origin, resp, err)
		}
	}
	list := func() []*campaignsv1.RefusedOrigin {
		t.Helper()
		resp, err := server.ListRefusedOrigins(as(access.RoleEditor, "vallon"), &campaignsv1.ListRefusedOriginsRequest{Parent: avocat.String()})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetRefusedOrigins()
	}
	ask("https://site.example")
	clock.set(start.Add(time.Minute))
	ask("https://site.example")
	ask("http://site.example")
	ask("null")
	ask("https://<script>.example")
	got := list()
	if len(got) != 2 {
		t.Fatalf("got %v", got)
	}
	for _, o := range got {
		switch o.GetOrigin() {
		case "https://site.example":
			if o.GetCount() != 2 || !o.GetAllowable() || !o.GetFirstTime().AsTime().Equal(start) || !o.GetLastTime().AsTime().Equal(start.Add(time.Minute)) {
				t.Errorf("got %v", o)
			}
		case "http://site.example":
			if o.GetCount() != 1 || o.GetAllowable() {
				t.Errorf("got %v", o)
			}
		default:
			t.Errorf("got %v", o)
		}
	}
	// Once it is allowed, it is listed no longer.
	if _, err := s.Update(ctx, avocat, "", func(c *Content) error {
		c.AllowedOrigins = append(c.AllowedOrigins, "https://site.example")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := list(); len(got) != 1 {
		t.Errorf("got %v", got)
	}
	clock.set(start.Add(31 * 24 * time.Hour))
	if got := list(); len(got) != 0 {
		t.Errorf("a month later: %v", got)
	}

	// The network has named three origins today. On another day, a stranger's inventions neither fill the table nor push out a site that keeps asking.
	for range 12 {
		ask("https://true.example")
	}
	writes := 0
	for i := range 2000 {
		if i%40 == 0 {
			clock.set(clock.now().Add(refusedEvery))
			writes++
		}
		ask(fmt.Sprintf("https://%d.invented.example", i))
	}
	found, invented := false, 0
	all := list()
	for _, o := range all {
		found = found || o.GetOrigin() == "https://true.example"
		if strings.HasSuffix(o.GetOrigin(), ".invented.example") {
			invented++
		}
	}
	if invented > newOrigins.Burst {
		t.Errorf("one network has %d invented origins listed", invented)
	}
	var rows int
	if err := pool.QueryRow(ctx, "SELECT count(*) FROM campaigns.refused_origins").Scan(&rows); err != nil || rows > 20 || !found {
		t.Errorf("%d rows, %v; the true one is there: %v", rows, err, found)
	}
}

// Strangers with many networks fill what is left for those that asked last, and do not push out a site that was there before.
func TestAFloodPushesNoSiteOut(t *testing.T) {
	s, pool, clock := fresh(t)
	ctx := t.Context()
	mustCreate(t, s, avocat, lawyer())
	write := func(origin string, network int, count int64) {
		t.Helper()
		now := clock.now()
		from := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(network >> 8), byte(network), 0}), 24)
		if err := s.writeRefused(ctx, map[refusal]*RefusedOrigin{{avocat, origin, from}: {Origin: origin, Count: count, FirstTime: now, LastTime: now}}); err != nil {
			t.Fatal(err)
		}
		clock.set(now.Add(time.Second))
	}
	listed := func(origin string) (there bool) {
		t.Helper()
		if err := pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM campaigns.refused_origins AS r WHERE r.origin = $1)", origin).Scan(&there); err != nil {
			t.Fatal(err)
		}
		return there
	}
	write("https://true.example", 0, 1)
	write("https://true.example", 1, 1)
	for i := range 200 {
		write(fmt.Sprintf("https://%d.invented.example", i), i, 5)
	}
	if !listed("https://true.example") {
		t.Error("a site that was seen today was pushed out")
	}
	write("https://new.example", 7, 1)
	if !listed("https://new.example") {
		t.Error("a new one does not come in")
	}
	// Of one network, the sixth new origin is not listed, and one that is listed counts on.
	for i := range newOrigins.Burst + 1 {
		write(fmt.Sprintf("https://%d.one.example", i), 1000, 1)
	}
	if listed(fmt.Sprintf("https://%d.one.example", newOrigins.Burst)) {
		t.Error("a network adds as many as it likes")
	}
	write("https://true.example", 1000, 1)
	var rows, count int
	if err := pool.QueryRow(ctx, "SELECT count(*), max(r.count) FILTER (WHERE r.origin = 'https://true.example') FROM campaigns.refused_origins AS r").Scan(&rows, &count); err != nil || rows > 20 || count != 3 {
		t.Errorf("%d rows, the true one counted %d times: %v", rows, count, err)
	}
}

// No request is a write: within two seconds there is one at most.
func TestRefusalsAreHeld(t *testing.T) {
	var r refusals
	writes, held := 0, 0
	for i := range 100_000 {
		if batch := r.note(avocat, fmt.Sprintf("https://%d.example", i), netip.Prefix{}, start); batch != nil {
			writes++
		}
		held = max(held, len(r.held))
	}
	if writes != 1 || held > maxRefusedHeldNetwork {
		t.Errorf("%d writes, %d held", writes, held)
	}
}
