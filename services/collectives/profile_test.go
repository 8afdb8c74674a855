package collectives_test

import (
	"context"
	"strings"
	"testing"

	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
)

func TestProfile(t *testing.T) {
	published := false
	pool := pgtest.New(t)
	s := collectives.New(collectives.Config{Pool: pool, Published: func(context.Context, string) (bool, error) { return published, nil }})
	if _, err := s.Create(t.Context(), collectives.Collective{ID: "vallon", DisplayName: "Vallon"}); err != nil {
		t.Fatal(err)
	}
	server := collectives.NewServer(s)
	editor := as(access.RoleEditor, "vallon")
	get := func(ctx context.Context) (*collectivesv1.CollectiveProfile, error) {
		return server.GetCollectiveProfile(ctx, &collectivesv1.GetCollectiveProfileRequest{Name: "collectives/vallon/profile"})
	}
	update := func(p *collectivesv1.CollectiveProfile) (*collectivesv1.CollectiveProfile, error) {
		p.Name = "collectives/vallon/profile"
		return server.UpdateCollectiveProfile(editor, &collectivesv1.UpdateCollectiveProfileRequest{CollectiveProfile: p})
	}
	empty, err := get(editor)
	if err != nil || empty.GetDisplayName() != "Vallon" || len(empty.GetTexts()) != 0 || empty.GetUpdateTime() != nil {
		t.Fatalf("got %v, %v", empty, err)
	}
	sent := &collectivesv1.CollectiveProfile{
		Texts:        map[string]*collectivesv1.CollectiveText{"fr": {About: "Nous", LegalNotice: "**Vallon**"}, "en": {About: "We"}},
		ContactEmail: "nous@vallon.example", Website: "https://vallon.example/", Etag: empty.GetEtag(),
	}
	written, err := update(sent)
	if err != nil || written.GetTexts()["fr"].GetLegalNotice() != "**Vallon**" || written.GetUpdateTime() == nil {
		t.Fatalf("got %v, %v", written, err)
	}
	if _, err := update(sent); errs.As(err).Reason != errorsv1.ErrorReason_ETAG_MISMATCH {
		t.Errorf("an old etag: %v", err)
	}
	sent.Etag = ""
	if again, err := update(sent); err != nil || again.GetEtag() != written.GetEtag() {
		t.Errorf("sent twice: %v, %v", again, err)
	}

	t.Run("is public once a campaign was published", func(t *testing.T) {
		nobody, other := context.Background(), as(access.RoleOwner, "marseille")
		for _, ctx := range []context.Context{nobody, other} {
			if _, err := get(ctx); errs.As(err).Reason != errorsv1.ErrorReason_NOT_FOUND {
				t.Errorf("before: %v", err)
			}
		}
		published = true
		for _, ctx := range []context.Context{nobody, other} {
			if p, err := get(ctx); err != nil || p.GetContactEmail() != "nous@vallon.example" {
				t.Errorf("after: %v, %v", p, err)
			}
		}
	})

	for field, p := range map[string]*collectivesv1.CollectiveProfile{
		`texts["fr"]`:              {Texts: map[string]*collectivesv1.CollectiveText{"en": {About: "We"}}},
		`texts["fr"].about`:        {Texts: map[string]*collectivesv1.CollectiveText{"fr": {About: strings.Repeat("é", 5001)}}},
		`texts["fr"].legal_notice`: {Texts: map[string]*collectivesv1.CollectiveText{"fr": {LegalNotice: "\x00"}}},
		`texts["fr"].logo_alt`:     {Texts: map[string]*collectivesv1.CollectiveText{"fr": {LogoAlt: "a\nb"}}},
		"contact_email":            {ContactEmail: "nobody"},
		"contact_url":              {ContactUrl: "javascript:alert(1)"},
		"website":                  {Website: "https://user@vallon.example"},
		"logo":                     {Logo: "collectives/marseille/images/" + strings.Repeat("0", 64)},
	} {
		_, err := update(p)
		if e := errs.As(err); err == nil || len(e.Fields) != 1 || e.Fields[0].Field != "collective_profile."+field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := update(&collectivesv1.CollectiveProfile{Logo: "collectives/vallon/images/" + strings.Repeat("0", 64)}); errs.As(err).Reason != errorsv1.ErrorReason_INVALID_FIELD {
		t.Errorf("an image that is not there: %v", err)
	}
}
