package campaigns

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
)

func TestSitemap(t *testing.T) {
	s, pool, _ := fresh(t)
	server := NewServer(s, (&progressOf{}).get)
	for _, c := range []struct {
		name              Name
		listed, published bool
	}{
		{Name{"vallon", "listed"}, true, true},
		{Name{"vallon", "closed"}, true, true},
		{Name{"vallon", "unlisted"}, false, true},
		{Name{"vallon", "draft"}, true, false},
		{Name{"marseille", "hidden"}, true, true},
	} {
		content := lawyer()
		content.Listed = c.listed
		if c.name.Campaign == "closed" {
			content.Texts = map[string]Text{"fr": content.Texts["fr"]}
		}
		mustCreate(t, s, c.name, content)
		if c.published {
			must(t, publishes(s), c.name)
		}
	}
	must(t, s.Close, Name{"vallon", "closed"})
	want := map[string][]string{
		"collectives/vallon/campaigns/listed": {"en", "fr"},
		"collectives/vallon/campaigns/closed": {"fr"},
	}
	for why, set := range map[string]string{
		"suspended": "suspended_at = now(), suspend_reason = 'x', discreet = false",
		"discreet":  "suspended_at = NULL, suspend_reason = '', discreet = true",
	} {
		if _, err := pgtest.Owner(t, pool).Exec(t.Context(), "UPDATE collectives.collectives SET "+set+" WHERE id = 'marseille'"); err != nil {
			t.Fatal(err)
		}
		got, err := server.GetSitemap(nobody, &campaignsv1.GetSitemapRequest{Name: "instance/sitemap"})
		if err != nil {
			t.Fatal(err)
		}
		found := map[string][]string{}
		for _, c := range got.GetCampaigns() {
			found[c.GetCampaign()] = c.GetLanguages()
		}
		if diff := cmp.Diff(want, found); diff != "" || got.GetName() != "instance/sitemap" {
			t.Errorf("%s: %q (-want +got)\n%s", why, got.GetName(), diff)
		}
	}
}
