package console

import (
	"cmp"
	"fmt"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
)

// identitySection has what a collective tells the public about itself, below the settings.
func identitySection() section {
	const identity = "/console/c/{collective}/settings/identity"
	return section{
		name: "identity",
		routes: []route{
			{pattern: "GET " + identity, serve: identityForm},
			{pattern: "POST " + identity, serve: identitySave, roles: writers, body: maxImageForm},
			{pattern: "GET " + identity + "/images/{owner}/{image}/{width}", serve: identityImage},
		},
	}
}

func identityFields() []field {
	fields := []field{
		{Name: "etag", Kind: "hidden"},
		{Name: keptImage, Kind: "hidden"},
		{Name: "image", Label: "identity.logo", Hint: "campaigns.image.hint", Kind: "file", Accept: "image/jpeg,image/png,image/webp,image/gif", Path: "image.content"},
		{Name: "email", Label: "identity.email", Hint: "identity.emailHint", Kind: "email", Max: 254, Path: "collective_profile.contact_email"},
		{Name: "contact", Label: "identity.contact", Hint: "identity.contactHint", Kind: "url", Max: 500, Path: "collective_profile.contact_url"},
		{Name: "website", Label: "identity.website", Kind: "url", Max: 500, Path: "collective_profile.website"},
	}
	for _, lang := range languages {
		path := fmt.Sprintf("collective_profile.texts[%q]", lang)
		fields = append(fields,
			field{Name: "about-" + lang, Label: "identity.about", Hint: "identity.aboutHint", Kind: "textarea", Rows: 6, Max: 5000, Spellcheck: true, Path: path + ".about"},
			field{Name: "legal-" + lang, Label: "identity.legal", Hint: "identity.legalHint", Kind: "textarea", Rows: 6, Max: 5000, Spellcheck: true, Path: path + ".legal_notice"},
			field{Name: "alt-" + lang, Label: "identity.alt", Hint: "identity.altHint", Max: 300, Spellcheck: true, Path: path + ".logo_alt"},
		)
	}
	return fields
}

type identityPage struct {
	Up       link
	Form     *form
	Common   []*fieldView
	Columns  []languageFields
	Logo     *shownImage
	Replace  string
	ReadOnly bool
	// Kept: the logo that is shown is not stored yet.
	Kept bool
}

func profileOf(v *visit) (*collectivesv1.CollectiveProfile, error) {
	return collectivesv1.NewCollectivesServiceClient(v.Conn).GetCollectiveProfile(v.ctx(), &collectivesv1.GetCollectiveProfileRequest{Name: v.collective + "/profile"})
}

func identityForm(v *visit) error {
	p, err := profileOf(v)
	if err != nil {
		return err
	}
	f := v.newForm(identityFields(), "etag", p.GetEtag(), "email", p.GetContactEmail(), "contact", p.GetContactUrl(), "website", p.GetWebsite())
	for _, lang := range languages {
		text := p.GetTexts()[lang]
		f.set("about-"+lang, text.GetAbout())
		f.set("legal-"+lang, text.GetLegalNotice())
		f.set("alt-"+lang, text.GetLogoAlt())
	}
	return identityShow(v, p, f, nil)
}

func identityShow(v *visit, p *collectivesv1.CollectiveProfile, f *form, refusal error) error {
	page := identityPage{Up: v.toSettings(), Form: f, Columns: byLanguage(v, f), ReadOnly: !v.can(writers...)}
	for _, name := range []string{"image", "email", "contact", "website"} {
		field, err := f.Field(name)
		if err != nil {
			return err
		}
		page.Common = append(page.Common, field)
	}
	var err error
	alt := cmp.Or(p.GetTexts()["fr"].GetLogoAlt(), p.GetDisplayName())
	if page.Logo, page.Kept, err = imageShown(v, f, p.GetLogo(), v.path("/settings/identity/images"), alt); err != nil {
		return err
	}
	if changed(refusal) {
		f.Message, page.Replace = v.T("identity.changed"), p.GetEtag()
	}
	if f.failed() {
		return v.refuse("identity/form", v.T("identity.title"), page)
	}
	return v.show("identity/form", v.T("identity.title"), page)
}

func identitySave(v *visit) error {
	p, err := profileOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(identityFields())
	if err != nil {
		return err
	}
	sent := &collectivesv1.CollectiveProfile{
		Name: v.collective + "/profile", Etag: etagOf(f), Logo: p.GetLogo(), ContactEmail: f.Value("email"), ContactUrl: f.Value("contact"),
		Website: f.Value("website"), Texts: map[string]*collectivesv1.CollectiveText{},
	}
	for lang, text := range p.GetTexts() {
		sent.Texts[lang] = text
	}
	for _, lang := range languages {
		sent.Texts[lang] = &collectivesv1.CollectiveText{About: f.lines("about-" + lang), LegalNotice: f.lines("legal-" + lang), LogoAlt: f.Value("alt-" + lang)}
	}
	if f.Value("do") == "remove" {
		sent.Logo = ""
	} else {
		image, err := storeImage(v, f)
		if err != nil {
			return identityRefuse(v, p, f, err)
		}
		sent.Logo = cmp.Or(image, p.GetLogo())
	}
	_, err = collectivesv1.NewCollectivesServiceClient(v.Conn).UpdateCollectiveProfile(v.ctx(), &collectivesv1.UpdateCollectiveProfileRequest{
		CollectiveProfile: sent, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"*"}},
	})
	if err != nil {
		return identityRefuse(v, p, f, err)
	}
	return v.done("identity.saved", v.path("/settings/identity"))
}

func identityRefuse(v *visit, p *collectivesv1.CollectiveProfile, f *form, err error) error {
	if !refusedImage(v, f, err) && !f.refused(v, err) {
		return err
	}
	return identityShow(v, p, f, err)
}

// identityImage serves the logo to members, also before a campaign was published.
func identityImage(v *visit) error { return campaignsImageContent(v) }
