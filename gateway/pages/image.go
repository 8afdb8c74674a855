package pages

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	imagesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/images/v1"
)

// cacheForever is for what always is the same at its address.
const cacheForever = "public, max-age=31536000, immutable"

var imagePattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// image serves a picture that is public in one of its widths. Its address names its content.
func (s *site) image(w http.ResponseWriter, r *http.Request) {
	width, err := strconv.ParseInt(r.PathValue("width"), 10, 32)
	if err != nil || width < 1 || !slugPattern.MatchString(r.PathValue("collective")) || !imagePattern.MatchString(r.PathValue("image")) {
		s.missing(w, r)
		return
	}
	content, err := s.images.GetImageContent(r.Context(), &imagesv1.GetImageContentRequest{
		Name: "collectives/" + r.PathValue("collective") + "/images/" + r.PathValue("image"), Width: int32(width),
	})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	WriteImage(w, r, content, cacheForever)
}

// WriteImage answers a picture.
func WriteImage(w http.ResponseWriter, r *http.Request, content *imagesv1.ImageContent, cache string) {
	h := w.Header()
	h.Set("Content-Type", content.GetContentType())
	h.Set("Content-Length", strconv.Itoa(len(content.GetContent())))
	h.Set("Cache-Control", cache)
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if cache == cacheForever {
		h.Del("X-Request-Id")
	}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(content.GetContent())
	}
}

// imageView is a picture with what it shows in words.
type imageView struct {
	Src, SrcSet, Alt, Lang string
	Width, Height          int32
}

// newImageView names the addresses of a picture, which begin with base.
func newImageView(image *imagesv1.Image, base, alt, lang string) *imageView {
	collective, id, _ := strings.Cut(strings.TrimPrefix(image.GetName(), "collectives/"), "/images/")
	address := func(width int32) string { return fmt.Sprintf("%s/%s/%s/%d", base, collective, id, width) }
	var set []string
	for _, width := range image.GetWidths() {
		set = append(set, fmt.Sprintf("%s %dw", address(width), width))
	}
	return &imageView{
		Src: address(image.GetWidth()), SrcSet: strings.Join(set, ", "), Alt: alt, Lang: lang, Width: image.GetWidth(), Height: image.GetHeight(),
	}
}

// imageOf is the campaign's picture; nil for none. The page does without one that cannot be read.
func (s *site) imageOf(ctx context.Context, c *campaignsv1.Campaign, lang string) *imageView {
	if c.GetImage() == "" {
		return nil
	}
	image, err := s.images.GetImage(ctx, &imagesv1.GetImageRequest{Name: c.GetImage()})
	if err != nil {
		return nil
	}
	return newImageView(image, "/images", c.GetTexts()[lang].GetImageAlt(), lang)
}

// previewName is that of the page of a preview, whose form leads nowhere.
const previewName = "preview"

// Preview is a campaign's page as donors will see it, for its members.
type Preview struct {
	// Campaign is what is shown, stored or not.
	Campaign *campaignsv1.Campaign
	// Image is the campaign's, and ImageBase what its address begins with; nil for none.
	Image     *imagesv1.Image
	ImageBase string
	// Cards: it will take cards. OtherWays: donors will have other ways where it takes none.
	Cards, OtherWays bool
	// Notice says that it is a preview; Back leads away from it.
	Notice, Back, BackText string
}

// Preview answers the page of a campaign that need not be public. The caller has authorised it.
func (s *Site) Preview(w http.ResponseWriter, r *http.Request, shown Preview) {
	p := s.pages.begin(w, r)
	c := shown.Campaign
	v := newCampaignView(p.Words, c)
	v.Story = s.pages.stories.Render(v.TextLang, c.GetTexts()[v.TextLang].GetStory())
	if shown.Image != nil {
		v.Image = newImageView(shown.Image, shown.ImageBase, c.GetTexts()[v.TextLang].GetImageAlt(), v.TextLang)
	}
	// Pictures in the story would tell another site who reads, so they are left out, and its editor is told.
	if n := s.pages.stories.Pictures(c.GetTexts()[v.TextLang].GetStory()); n > 0 {
		p.Warning = p.N("previewPictures", int64(n))
	}
	v.Preview, v.Accepting, v.Cards = true, true, shown.Cards
	if !shown.Cards && shown.OtherWays {
		v.PledgePath = v.Path + "/pledge"
	}
	if d := c.GetDeadlineDate(); d != "" {
		v.Deadline = lastDay(p.Words, d)
	}
	p.Title, p.Content, p.NoIndex = v.Title, v, true
	p.Notice, p.Back, p.BackText = shown.Notice, shown.Back, shown.BackText
	if r.Method == http.MethodPost {
		// The other language would be another request, without what was sent.
		p.InLanguage = ""
	}
	s.pages.answer(w, r, http.StatusOK, previewName, p, cacheNever)
}
