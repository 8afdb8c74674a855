package collectives

import (
	"context"
	"strings"

	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fieldmask"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

// GetCollectiveProfile answers NOT_FOUND for a collective that has published nothing, unless the caller is its member. So
// nobody finds a collective by asking.
func (s *server) GetCollectiveProfile(ctx context.Context, req *collectivesv1.GetCollectiveProfileRequest) (*collectivesv1.CollectiveProfile, error) {
	id, err := parseProfileName(req.GetName())
	if err != nil {
		return nil, err
	}
	if !access.PrincipalFrom(ctx).Sees(id) {
		published, err := s.service.published(ctx, id)
		if err != nil {
			return nil, err
		}
		if !published {
			return nil, errs.NotFound(req.GetName())
		}
	}
	p, err := s.service.Profile(ctx, id)
	if err != nil {
		return nil, err
	}
	return profileToProto(p), nil
}

// UpdateCollectiveProfile applies the mask to the stored profile under the row's lock, so that fields which the mask leaves
// out stay as they are.
func (s *server) UpdateCollectiveProfile(ctx context.Context, req *collectivesv1.UpdateCollectiveProfileRequest) (*collectivesv1.CollectiveProfile, error) {
	sent := req.GetCollectiveProfile()
	id, err := parseProfileName(sent.GetName())
	if err != nil {
		return nil, err
	}
	p, err := s.service.UpdateProfile(ctx, id, sent.GetEtag(), func(p *Profile) error {
		merged := profileToProto(*p)
		if err := fieldmask.Apply(merged, sent, req.GetUpdateMask(), profileWritable...); err != nil {
			return err
		}
		profileFromProto(p, merged)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return profileToProto(p), nil
}

// profileWritable are the fields that an update may change.
var profileWritable = []string{"texts", "contact_email", "contact_url", "website", "logo"}

// parseProfileName reads `collectives/{collective}/profile`.
func parseProfileName(name string) (id string, err error) {
	parent, ok := strings.CutSuffix(name, "/profile")
	id, isName := ParseName(parent)
	if !ok || !isName {
		return "", errs.NotFound(name)
	}
	return id, nil
}

// logoPrefix is what stands before the id in the name of a collective's image.
func logoPrefix(collective string) string { return namePrefix + collective + "/images/" }

func profileToProto(p Profile) *collectivesv1.CollectiveProfile {
	m := &collectivesv1.CollectiveProfile{
		Name:         p.Name(),
		DisplayName:  p.DisplayName,
		Texts:        map[string]*collectivesv1.CollectiveText{},
		ContactEmail: p.ContactEmail,
		ContactUrl:   p.ContactURL,
		Website:      p.Website,
		UpdateTime:   wire.Time(p.UpdateTime),
		Etag:         p.etag(),
	}
	for lang, text := range p.Texts {
		m.Texts[lang] = &collectivesv1.CollectiveText{About: text.About, LegalNotice: text.LegalNotice, LogoAlt: text.LogoAlt}
	}
	if p.Logo != "" {
		m.Logo = logoPrefix(p.Collective) + p.Logo
	}
	return m
}

// profileFromProto copies the fields that are writable, unchecked: normalise checks them.
func profileFromProto(p *Profile, m *collectivesv1.CollectiveProfile) {
	p.Texts = map[string]ProfileText{}
	for lang, text := range m.GetTexts() {
		p.Texts[lang] = ProfileText{About: text.GetAbout(), LegalNotice: text.GetLegalNotice(), LogoAlt: text.GetLogoAlt()}
	}
	p.ContactEmail, p.ContactURL, p.Website = m.GetContactEmail(), m.GetContactUrl(), m.GetWebsite()
	// The name of another collective's image stays whole, and so is no id: normalise refuses it.
	p.Logo = strings.TrimPrefix(m.GetLogo(), logoPrefix(p.Collective))
}
