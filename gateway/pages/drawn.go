package pages

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"

	"github.com/cagnotte/cagnotte/gateway/markdown"
	"github.com/cagnotte/cagnotte/gateway/picture"
	"github.com/cagnotte/cagnotte/gateway/poster"
	"github.com/cagnotte/cagnotte/gateway/qr"
	"github.com/cagnotte/cagnotte/gateway/text"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

const (
	// cacheMinutes is for what is drawn: messengers come back rarely, and the address of a picture changes with the progress.
	cacheMinutes = "public, max-age=300"
	// maxDrawn bounds the memory of what is drawn: some hundred pictures.
	maxDrawn = 16 << 20
	// sentenceLength is what a poster has room for.
	sentenceLength = 160
)

// drawings is what was drawn, by what it shows. It is safe for concurrent use.
//
// Drawing takes tens of milliseconds, so one thing is drawn at a time, once for all who ask, and kept until the room is
// needed for another.
type drawings struct {
	kept    *otter.Cache[string, []byte]
	flights singleflight.Group
	pen     sync.Mutex
}

func newDrawings() (*drawings, error) {
	kept, err := otter.New(&otter.Options[string, []byte]{
		MaximumWeight: maxDrawn,
		Weigher:       func(_ string, drawn []byte) uint32 { return uint32(len(drawn)) },
	})
	return &drawings{kept: kept}, err
}

// get returns what draw draws. Shown is all that it depends on.
func (d *drawings) get(shown string, draw func() ([]byte, error)) ([]byte, error) {
	if drawn, ok := d.kept.GetIfPresent(shown); ok {
		return drawn, nil
	}
	drawn, err, _ := d.flights.Do(shown, func() (any, error) {
		d.pen.Lock()
		defer d.pen.Unlock()
		if drawn, ok := d.kept.GetIfPresent(shown); ok { // another flight landed meanwhile
			return drawn, nil
		}
		drawn, err := draw()
		if err == nil {
			d.kept.Set(shown, drawn)
		}
		return drawn, err
	})
	return drawn.([]byte), err
}

// pictureOf is what a campaign's picture shows.
func (s *site) pictureOf(v campaignView) picture.Campaign {
	return picture.Campaign{
		Title: v.Title, Collective: v.Collective, Raised: v.Progress.Raised, Goal: v.Progress.Goal, Percent: v.Progress.Percent,
		Settled: partOf(v.Progress.Settled), Waiting: partOf(v.Progress.Waiting), Address: s.typed(v.Path),
	}
}

// partOf reads a share in percent that was printed for SVG.
func partOf(percent string) float64 {
	part, _ := strconv.ParseFloat(percent, 64)
	return part / 100
}

// typed is an address as people type it.
func (s *site) typed(path string) string {
	_, address, _ := strings.Cut(s.publicURL, "://")
	return address + path
}

// shown is a name for all that a drawing shows.
func shown(kind string, content any) string { return fmt.Sprintf("%s %+v", kind, content) }

// sharePictureOf is the picture beside the link to a campaign. Its address changes with what it shows, so that messengers that
// know an older one ask again.
func (s *site) sharePictureOf(w *text.Words, v campaignView) *sharePicture {
	sum := sha256.Sum256([]byte(shown("picture", s.pictureOf(v))))
	return &sharePicture{
		URL:   s.publicURL + v.Path + "/picture.png?lang=" + w.Lang + "&v=" + base64.RawURLEncoding.EncodeToString(sum[:9]),
		Alt:   w.T("share.pictureAlt", "title", v.Title, "progress", v.Progress.Text),
		Width: picture.Width, Height: picture.Height,
	}
}

// drawing answers what is drawn of a campaign that is public. Draw returns what it depends on, and how it is drawn.
func (s *site) drawing(w http.ResponseWriter, r *http.Request, contentType string, draw func(*campaignsv1.Campaign) (string, func() ([]byte, error))) {
	name, ok := campaignName(r)
	// A code that leads nowhere, and a picture without an address, are worse than none.
	if !ok || s.publicURL == "" {
		s.missing(w, r)
		return
	}
	c, err := s.campaigns.GetCampaign(r.Context(), &campaignsv1.GetCampaignRequest{Name: name})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	drawn, err := s.drawn.get(draw(c))
	if err != nil {
		s.logger.ErrorContext(r.Context(), "a drawing failed", "type", contentType, "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(drawn)))
	h.Set("Cache-Control", cacheMinutes)
	h.Del("X-Request-Id")
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(drawn)
	}
}

// picture serves the picture that messengers show beside a link to the campaign.
func (s *site) picture(w http.ResponseWriter, r *http.Request) {
	s.drawing(w, r, "image/png", func(c *campaignsv1.Campaign) (string, func() ([]byte, error)) {
		shows := s.pictureOf(newCampaignView(s.begin(w, r).Words, c))
		return shown("picture", shows), func() ([]byte, error) { return picture.Draw(shows) }
	})
}

// qrSVG and qrPNG serve the code of the campaign's page.
func (s *site) qrSVG(w http.ResponseWriter, r *http.Request) {
	s.code(w, r, "image/svg+xml; charset=utf-8", qr.SVG)
}

func (s *site) qrPNG(w http.ResponseWriter, r *http.Request) { s.code(w, r, "image/png", qr.PNG) }

func (s *site) code(w http.ResponseWriter, r *http.Request, contentType string, draw func(string) ([]byte, error)) {
	s.drawing(w, r, contentType, func(c *campaignsv1.Campaign) (string, func() ([]byte, error)) {
		collective, campaign := slugs(c.GetName())
		address := s.publicURL + "/c/" + collective + "/" + campaign
		return shown(contentType, address), func() ([]byte, error) { return draw(address) }
	})
}

// poster serves the campaign's sheet for a wall.
func (s *site) poster(w http.ResponseWriter, r *http.Request) {
	s.drawing(w, r, "application/pdf", func(c *campaignsv1.Campaign) (string, func() ([]byte, error)) {
		shows := s.posterOf(s.begin(w, r).Words, c)
		return shown("poster", shows), func() ([]byte, error) { return poster.PDF(shows) }
	})
}

// posterOf is what a campaign's poster says, all in the language of its texts: a sheet in two languages has one too many.
func (s *site) posterOf(w *text.Words, c *campaignsv1.Campaign) poster.Campaign {
	w = s.catalogues[textLanguage(w, c)]
	v := newCampaignView(w, c)
	address := s.publicURL + v.Path
	return poster.Campaign{
		Lang: w.Lang, Title: v.Title, Collective: v.Collective, Goal: w.T("share.posterGoal", "goal", w.Money(c.GetGoal())),
		Sentence: markdown.Summary(s.stories.Render(w.Lang, c.GetTexts()[w.Lang].GetStory()), sentenceLength),
		URL:      address, Address: s.typed(v.Path), CodeAlt: w.T("share.codeAlt", "address", address),
		Scan: w.T("share.posterScan"), OrType: w.T("share.posterType"),
	}
}

// Poster returns the poster of a campaign that need not be public, as PDF. The caller has authorised it. Lang is the reader's
// language; French for one that is not ours.
func (s *Site) Poster(c *campaignsv1.Campaign, lang string) ([]byte, error) {
	return s.pages.printed(s.pages.posterOf(s.wordsIn(lang), c))
}

// DoorPoster returns the poster for the door of an event as Poster does: its code leads to the page at the door.
func (s *Site) DoorPoster(c *campaignsv1.Campaign, lang string) ([]byte, error) {
	return s.pages.printed(s.pages.doorPosterOf(s.wordsIn(lang), c))
}

func (s *Site) wordsIn(lang string) *text.Words {
	return cmp.Or(s.pages.catalogues[lang], s.pages.catalogues["fr"])
}

// doorPosterOf is what the poster at an event's door says.
func (s *site) doorPosterOf(w *text.Words, c *campaignsv1.Campaign) poster.Campaign {
	w = s.catalogues[textLanguage(w, c)]
	v := newCampaignView(w, c)
	address := s.doorURL(c.GetName())
	sheet := poster.Campaign{
		Lang: w.Lang, Title: v.Title, Collective: v.Collective, Goal: w.T("door.posterPrice"),
		URL: address, Address: s.typed(v.Path + doorPath), CodeAlt: w.T("share.codeAlt", "address", address),
		Scan: w.T("door.posterScan"), OrType: w.T("share.posterType"),
	}
	if v.Event != nil {
		sheet.Sentence = v.Event.When + " · " + v.Event.Place
	}
	return sheet
}

// printed is a sheet as PDF.
func (s *site) printed(sheet poster.Campaign) ([]byte, error) {
	return s.drawn.get(shown("poster", sheet), func() ([]byte, error) { return poster.PDF(sheet) })
}
