package campaigns

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/money"
)

// French is the language that every text has.
const French = "fr"

// Name says which campaign. It is comparable; the zero Name is none.
type Name struct {
	// Collective is the collective's id.
	Collective string
	// Campaign is the campaign's slug in its collective.
	Campaign string
}

// String returns the resource name, `collectives/{collective}/campaigns/{campaign}`.
func (n Name) String() string {
	return "collectives/" + n.Collective + "/campaigns/" + n.Campaign
}

var slugPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{1,38}[a-z0-9]$`)

// ParseName reads a resource name. One of another form names nothing: NOT_FOUND.
func ParseName(name string) (Name, error) {
	parts := strings.Split(name, "/")
	if len(parts) != 4 || parts[0] != "collectives" || parts[2] != "campaigns" ||
		!slugPattern.MatchString(parts[1]) || !slugPattern.MatchString(parts[3]) {
		return Name{}, errs.NotFound(name)
	}
	return Name{Collective: parts[1], Campaign: parts[3]}, nil
}

// State is where a campaign is in its life.
type State string

// The states; doc.go draws the ways between them.
const (
	// StateDraft is seen by members only.
	StateDraft State = "draft"
	// StatePublished is seen by all and takes donations.
	StatePublished State = "published"
	// StatePaused is seen by all and takes no donations for now.
	StatePaused State = "paused"
	// StateClosed is seen by all and takes no donations any more.
	StateClosed State = "closed"
)

// Text is a campaign in one language.
type Text struct {
	// Title is one line.
	Title string `json:"title"`
	// Story is Markdown that nobody has sanitised yet.
	Story string `json:"story"`
}

// Stage is one step of a case.
type Stage struct {
	// ID says which stage it is, unique in its campaign.
	ID string
	// Titles are its names by language; French is there.
	Titles map[string]string
	// Amount is what the step costs.
	Amount money.Amount
}

// Content is what members write of a campaign. All amounts are in Currency.
type Content struct {
	// Texts by language; French is there.
	Texts map[string]Text
	// Currency is Goal's, and that of every amount and donation.
	Currency money.Currency
	// Goal is what is needed in all.
	Goal money.Amount
	// Presets are offered as buttons, ascending, within Minimum and Maximum.
	Presets []money.Amount
	// Minimum is the smallest donation.
	Minimum money.Amount
	// Maximum is the largest donation.
	Maximum money.Amount
	// Deadline is when it stops to take donations; zero: never by itself.
	Deadline time.Time
	// Stages are the steps of the case, in order; they add up to the goal at most.
	Stages []Stage
	// AllowedOrigins are the pages that may embed the widget and be returned to, as
	// browsers write them. For questions use [Campaign.AllowsOrigin].
	AllowedOrigins []string
}

// Campaign is what money is raised for.
type Campaign struct {
	// Name never changes.
	Name Name
	Content
	// State is where it is in its life.
	State State
	// CollectiveDisplayName is what people call who raises the money.
	CollectiveDisplayName string
	// PublishTime is when it was first published; zero for a draft.
	PublishTime time.Time
	// CloseTime is when it was closed; zero while it is not.
	CloseTime time.Time
	// CreateTime is when it was created.
	CreateTime time.Time
	// UpdateTime is when it was last changed.
	UpdateTime time.Time

	version int64
	// fee is the service's estimate, put in to be shown.
	fee FeeEstimate
}

// AcceptsDonations returns nil when a donation can be started at this time, else
// FAILED_PRECONDITION (CAMPAIGN_NOT_OPEN): draft, paused, closed, or past the
// deadline, which is the first moment that is too late.
func (c Campaign) AcceptsDonations(now time.Time) error {
	switch {
	case c.State != StatePublished:
		return errs.New(errorsv1.ErrorReason_CAMPAIGN_NOT_OPEN, "%s takes no donations: it is %s.", c.Name, c.State)
	case c.deadlinePassed(now):
		return errs.New(errorsv1.ErrorReason_CAMPAIGN_NOT_OPEN, "%s takes no donations: its deadline has passed.", c.Name)
	}
	return nil
}

// Over reports whether it takes no donations any more at this time: closed, or past the deadline.
func (c Campaign) Over(now time.Time) bool { return c.State == StateClosed || c.deadlinePassed(now) }

func (c Campaign) deadlinePassed(now time.Time) bool {
	return !c.Deadline.IsZero() && !now.Before(c.Deadline)
}

// AllowsOrigin reports whether pages of the origin ("https://vallon.example") may
// embed the campaign and be returned to. It does not look at the state.
func (c Campaign) AllowsOrigin(origin string) bool {
	normal, problem := normaliseOrigin(origin)
	return problem == "" && slices.Contains(c.AllowedOrigins, normal)
}

// Title returns the title in the language, or in French.
func (c Campaign) Title(lang string) string {
	if text, ok := c.Texts[lang]; ok {
		return text.Title
	}
	return c.Texts[French].Title
}

// etag is opaque to callers; it changes with every change of the campaign.
func (c Campaign) etag() string { return strconv.FormatInt(c.version, 10) }

// equal reports whether two normalised contents say the same.
func (c Content) equal(d Content) bool {
	return maps.Equal(c.Texts, d.Texts) &&
		c.Currency == d.Currency &&
		c.Goal == d.Goal &&
		slices.Equal(c.Presets, d.Presets) &&
		c.Minimum == d.Minimum &&
		c.Maximum == d.Maximum &&
		c.Deadline.Equal(d.Deadline) &&
		slices.EqualFunc(c.Stages, d.Stages, func(a, b Stage) bool {
			return a.ID == b.ID && a.Amount == b.Amount && maps.Equal(a.Titles, b.Titles)
		}) &&
		slices.Equal(c.AllowedOrigins, d.AllowedOrigins)
}

// Progress is what has come in for a campaign and what was spent, in its currency. May pass the goal.
type Progress struct {
	// Settled is booked in the ledger: donations minus what was given back.
	Settled money.Amount
	// Pending is paid or under way, and not booked yet. It is not part of Settled.
	Pending money.Amount
	// Spent is what its cause has cost so far, and SpentByStage what of it was spent on stages, by their ids.
	Spent        money.Amount
	SpentByStage map[string]money.Amount
}

// ProgressFunc tells the progress of campaigns. A campaign that is missing in the
// answer has none. It is called once for a whole page.
type ProgressFunc func(ctx context.Context, names []Name) (map[Name]Progress, error)
