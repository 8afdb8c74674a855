package pages

import (
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"time"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
)

//go:embed door.js
var doorScript []byte

const (
	// doorPath and the paths below it follow the campaign's.
	doorPath = "/door"
	// doorLookWait is how long a donor who comes back to the door waits for the news of the payment: no page of the door says
	// later what became of it.
	doorLookWait = 4 * time.Second
	// eventNight is how long after midnight an event still takes place.
	eventNight = 6 * time.Hour
	// secondsThanked and secondsIdle are after how long without a touch a page of the door goes back to the start by itself.
	secondsThanked, secondsIdle = 20, 60
)

// doorView is the page at an event's door, and what stands there after a payment.
type doorView struct {
	campaignView
	// DoorPath is the page's own address, and StartPath the same in its language.
	DoorPath, StartPath string
	// When says that the event is yet to come, or over; empty on its day.
	When string
	// Unpaid says that a visitor came back without a payment.
	Unpaid bool
	// Place is where the door stands in the history of the browser, as its script sent it; empty without one.
	Place string
	// Seconds are after how long the page goes back to the start by itself; zero on the start.
	Seconds int
	// ThankYou is the collective's own word to who has paid; empty for none.
	ThankYou template.HTML
}

// historyPlace is a place in a browser's history. Chromium keeps 50 entries.
var historyPlace = regexp.MustCompile(`^[1-9][0-9]?$`)

// hasDoor reports whether a campaign has a door: it is an event. Without the service's own address no donor could be led back.
func (s *site) hasDoor(c *campaignsv1.Campaign) bool { return s.publicURL != "" && c.GetEvent() != nil }

// newDoorView is the start.
func (s *site) newDoorView(p *page, c *campaignsv1.Campaign) doorView {
	v := doorView{campaignView: newCampaignView(p.Words, c), When: s.whenAtDoor(p, c)}
	v.DoorPath = v.Path + doorPath
	v.StartPath = v.DoorPath + p.Query
	p.Title, p.NoIndex, p.Script = p.T("door.title", "title", v.Title), true, s.doorScript
	p.Discreet = c.GetCollectiveDiscreet()
	return v
}

// whenAtDoor says that an event is yet to come, or over: by the days of its collective.
func (s *site) whenAtDoor(p *page, c *campaignsv1.Campaign) string {
	now := s.now().In(zoneOf(c))
	day := c.GetEvent().GetDate()
	switch {
	case now.Format(time.DateOnly) < day:
		return p.T("door.before", "day", p.Day(day))
	case now.Add(-eventNight).Format(time.DateOnly) > day:
		return p.T("door.after", "day", p.Day(day))
	}
	return ""
}

// zoneOf is where the days of a campaign's collective begin; UTC for a zone that this machine does not know.
func zoneOf(c *campaignsv1.Campaign) *time.Location {
	zone, err := time.LoadLocation(c.GetCollectiveTimeZone())
	if err != nil {
		return time.UTC
	}
	return zone
}

// showDoor answers a page of the door; missing where the campaign has none.
func (s *site) showDoor(w http.ResponseWriter, r *http.Request, name string, fill func(*page, *campaignsv1.Campaign, *doorView)) {
	campaign, ok := campaignName(r)
	if !ok {
		s.missing(w, r)
		return
	}
	c, err := s.campaigns.GetCampaign(r.Context(), &campaignsv1.GetCampaignRequest{Name: campaign})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	if !s.hasDoor(c) {
		s.missing(w, r)
		return
	}
	p := s.begin(w, r)
	v := s.newDoorView(p, c)
	fill(p, c, &v)
	if v.Seconds > 0 {
		// The language was chosen at the start. A link to another would be one more entry in the history.
		p.InLanguage = ""
	}
	p.Content = v
	s.answer(w, r, http.StatusOK, name, p, cachePublic)
}

// door is the start: amounts to touch.
func (s *site) door(w http.ResponseWriter, r *http.Request) {
	s.showDoor(w, r, "door", func(*page, *campaignsv1.Campaign, *doorView) {})
}

// doorUnpaid is the start for who comes back without a payment.
func (s *site) doorUnpaid(w http.ResponseWriter, r *http.Request) {
	s.showDoor(w, r, "door", func(_ *page, _ *campaignsv1.Campaign, v *doorView) { v.Unpaid, v.Seconds = true, secondsIdle })
}

// doorThanks thanks who has paid. It knows nothing of the donation, and is the same for all.
func (s *site) doorThanks(w http.ResponseWriter, r *http.Request) {
	s.showDoor(w, r, "doorthanks", func(p *page, c *campaignsv1.Campaign, v *doorView) {
		v.Seconds, v.ThankYou = secondsThanked, s.stories.Render(v.TextLang, c.GetTexts()[v.TextLang].GetThankYou())
		p.Title = p.T("door.thanksTitle")
	})
}

// giveAtDoor starts a donation whose payment page leads back to the door. There it is always given once, and without the fee.
func (s *site) giveAtDoor(w http.ResponseWriter, r *http.Request) {
	s.giveBy(w, r, giveForm{
		serves: s.hasDoor,
		again:  s.doorAgain,
		ask: func(c *campaignsv1.Campaign, ask *donationsv1.CreateDonationRequest) {
			ask.Donation.ReturnUrl = s.doorURL(c.GetName())
			if place := r.PostForm.Get("at"); historyPlace.MatchString(place) {
				ask.Donation.ReturnUrl += "?at=" + place
			}
		},
	})
}

// doorAgain shows the door with an error and what was typed.
func (s *site) doorAgain(w http.ResponseWriter, r *http.Request, p *page, c *campaignsv1.Campaign, code int, sentence string) {
	v := s.newDoorView(p, c)
	v.Form.Typed, v.Seconds = r.PostForm.Get("amount"), secondsIdle
	if place := r.PostForm.Get("at"); historyPlace.MatchString(place) {
		v.Place = place
	}
	field := ""
	// Every other status is no fault of a field.
	if code == http.StatusBadRequest {
		field = "amount"
	}
	p.wrong(field, sentence)
	p.Title, p.Content, p.InLanguage = p.T("errorTitle", "title", p.Title), v, ""
	s.answer(w, r, code, "door", p, cacheNever)
}

// doorURL is the address to which the payment page of a donation at the door leads back.
func (s *site) doorURL(campaign string) string {
	collective, id := slugs(campaign)
	return s.publicURL + "/c/" + collective + "/" + id + doorPath
}

// doorOf reports whether a donation was made at the door of the campaign, and in which place of the history that is.
func (s *site) doorOf(returnURL, campaign string) (place string, ok bool) {
	u, err := url.Parse(returnURL)
	if err != nil || s.publicURL == "" {
		return "", false
	}
	if place = u.Query().Get("at"); !historyPlace.MatchString(place) {
		place = ""
	}
	u.RawQuery = ""
	return place, u.String() == s.doorURL(campaign)
}

// backAtDoor leads from the page of a donation to one that says nothing of it, so that the next visitor finds none. A redirect
// leaves no entry in the history.
func (s *site) backAtDoor(w http.ResponseWriter, r *http.Request, campaign, place string, donation *donationsv1.DonationStatus) {
	if donation.GetOutcome() == donationsv1.DonationOutcome_DONATION_OUTCOME_OPEN {
		later, err := s.status(r.Context(), donation.GetName(), doorLookWait-firstLookWait)
		if err != nil {
			s.failed(w, r, err)
			return
		}
		donation = later
	}
	to := doorPath + "/unpaid"
	switch donation.GetOutcome() {
	case donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED, donationsv1.DonationOutcome_DONATION_OUTCOME_CONFIRMING:
		to = doorPath + "/thanks"
	}
	query := url.Values{}
	if _, ok := s.catalogues[donation.GetLocale()]; ok {
		query.Set("lang", donation.GetLocale())
	}
	if place != "" {
		query.Set("at", place)
	}
	collective, id := slugs(campaign)
	target := url.URL{Path: "/c/" + collective + "/" + id + to, RawQuery: query.Encode()}
	w.Header().Set("Cache-Control", cacheNever)
	http.Redirect(w, r, target.String(), http.StatusSeeOther)
}
