package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	imagesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/images/v1"
)

func imageFields(c *campaignsv1.Campaign) []field {
	fields := []field{
		{Name: "etag", Kind: "hidden"},
		{Name: keptImage, Kind: "hidden"},
		{Name: "image", Label: "campaigns.image.file", Hint: "campaigns.image.hint", Kind: "file", Accept: "image/jpeg,image/png,image/webp,image/gif", Path: "image.content"},
	}
	for _, lang := range languages {
		if c.GetTexts()[lang] != nil {
			fields = append(fields, field{
				Name: "alt-" + lang, Label: "campaigns.image.alt." + lang, Hint: "campaigns.text.altHint", Required: true, Native: true, Max: 300, Spellcheck: true,
				Path: fmt.Sprintf("campaign.texts[%q].image_alt", lang),
			})
		}
	}
	return fields
}

// imagePage shows the picture of a campaign, or the one that the form keeps.
type imagePage struct {
	Shown *shownImage
	// Kept: it is not the campaign's yet. Stored: the campaign has one.
	Kept, Stored bool
}

// keptImage is the field with the name of a picture that was stored and is nobody's yet, since something else of the form was
// refused. So nobody chooses it again. The service removes a picture that nothing names after a day.
const keptImage = "kept"

// storeImage stores the picture that came with a form, and keeps its name in the form. It returns that name, or that of the
// picture kept before; empty for none.
func storeImage(v *visit, f *form) (string, error) {
	file, uploaded := f.file("image")
	if !uploaded {
		return keptOf(v, f), nil
	}
	image, err := v.images().CreateImage(v.ctx(), &imagesv1.CreateImageRequest{Parent: v.collective, Image: &imagesv1.Image{Content: file.Body}})
	if err != nil {
		return "", err
	}
	f.set(keptImage, image.GetName())
	return image.GetName(), nil
}

// keptOf is the name of the picture that a form keeps; empty for one that is not the collective's.
func keptOf(v *visit, f *form) string {
	if kept := f.Value(keptImage); strings.HasPrefix(kept, v.collective+"/images/") {
		return kept
	}
	return ""
}

// imageShown is the picture to show in a form: the one that it keeps, else the stored one. Both may be empty or gone, which is
// nil.
func imageShown(v *visit, f *form, stored, base, alt string) (shown *shownImage, kept bool, err error) {
	name := cmp.Or(keptOf(v, f), stored)
	if name == "" {
		return nil, false, nil
	}
	image, err := v.images().GetImage(v.ctx(), &imagesv1.GetImageRequest{Name: name})
	switch {
	case isNotFound(err) || status.Code(err) == codes.InvalidArgument: // kept for more than a day, or made up
		if f.set(keptImage, ""); name != stored {
			return imageShown(v, f, stored, base, alt)
		}
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	if name != stored {
		alt = ""
	}
	picture := memberImage(v, base, image, alt)
	return &picture, name != stored, nil
}

func campaignsImageForm(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	f := v.newForm(imageFields(c), "etag", c.GetEtag())
	for _, lang := range languages {
		f.set("alt-"+lang, c.GetTexts()[lang].GetImageAlt())
	}
	return campaignsShowImage(v, c, f, nil)
}

func campaignsShowImage(v *visit, c *campaignsv1.Campaign, f *form, refusal error) error {
	p := newCampaignPage(v, c, "image", f)
	content := imagePage{Stored: c.GetImage() != ""}
	var err error
	if content.Shown, content.Kept, err = imageShown(v, f, c.GetImage(), p.Path+"/images", campaignAlt(v, c)); err != nil {
		return err
	}
	p.Content = content
	return showChange(v, "campaigns/image", c.GetEtag(), p, refusal)
}

// shownImage is a picture on a page of the console.
type shownImage struct {
	Src, Alt      string
	Width, Height int32
}

// memberImage is a picture at its members' address, in the smallest width.
func memberImage(v *visit, base string, image *imagesv1.Image, alt string) shownImage {
	width := image.GetWidth()
	if widths := image.GetWidths(); len(widths) > 0 {
		width = widths[0]
	}
	return shownImage{
		Src: fmt.Sprintf("%s/%s/%s/%d", base, strings.TrimPrefix(v.collective, "collectives/"), lastOf(image.GetName()), width),
		Alt: alt, Width: width, Height: max(1, image.GetHeight()*width/max(1, image.GetWidth())),
	}
}

func campaignAlt(v *visit, c *campaignsv1.Campaign) string {
	for _, lang := range []string{v.Lang, "fr"} {
		if alt := c.GetTexts()[lang].GetImageAlt(); alt != "" {
			return alt
		}
	}
	return ""
}

func campaignsImage(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(imageFields(c))
	if err != nil {
		return err
	}
	remove := f.Value("do") == "remove"
	image := ""
	if !remove {
		if image, err = storeImage(v, f); err != nil {
			return campaignsRefuseImage(v, c, f, err)
		}
		if image = cmp.Or(image, c.GetImage()); image == "" {
			f.fail("image", v.T("shell.required"))
		}
		if f.failed() {
			return campaignsShowImage(v, c, f, nil)
		}
	}
	sent := &campaignsv1.Campaign{Name: c.GetName(), Etag: etagOf(f), Image: image, Texts: map[string]*campaignsv1.CampaignText{}}
	for lang, text := range c.GetTexts() {
		text = proto.CloneOf(text)
		if slices.Contains(languages, lang) {
			text.ImageAlt = f.Value("alt-" + lang)
		}
		if remove {
			text.ImageAlt = ""
		}
		sent.Texts[lang] = text
	}
	if err := updateCampaign(v, sent, "image", "texts"); err != nil {
		return campaignsRefuseImage(v, c, f, err)
	}
	return v.done("campaigns.saved", campaignPath(v, c)+"/image")
}

func campaignsRefuseImage(v *visit, c *campaignsv1.Campaign, f *form, err error) error {
	if !refusedImage(v, f, err) && !f.refused(v, err) {
		return err
	}
	return campaignsShowImage(v, c, f, err)
}

// refusedImage says at the file's field why a picture was refused; false for another error.
func refusedImage(v *visit, f *form, err error) bool {
	key := map[string]string{
		"IMAGE_UNREADABLE": "campaigns.image.unreadable", "IMAGE_TOO_LARGE": "campaigns.image.tooLarge", "TOO_MANY_IMAGES": "campaigns.image.tooMany",
	}[reasonOf(err)]
	if key == "" {
		return false
	}
	f.fail("image", v.T(key))
	return true
}
