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

// French is the code of the language that every text has.
const French = "fr"

// Name identifies a campaign. It is comparable; the zero Name is no campaign's.
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

// reservedSlug is no campaign's: /c/{collective}/monthly is the page where donors manage monthly donations.
const reservedSlug = "monthly"

// checkSlug is INVALID_ARGUMENT for what can be no new campaign's id.
func checkSlug(id string) error {
	if !slugPattern.MatchString(id) {
		return errs.Invalid("campaign_id", "must be 3 to 40 lower-case letters, digits and dashes, beginning with a letter")
	}
	if id == reservedSlug {
		return errs.Invalid("campaign_id", "must not be %q: that address is the page where donors manage monthly donations", id)
	}
	return nil
}

// ParseName reads a resource name. A name of another form is NOT_FOUND.
func ParseName(name string) (Name, error) {
	parts := strings.Split(name, "/")
	if len(parts) != 4 || parts[0] != "collectives" || parts[2] != "campaigns" ||
		!slugPattern.MatchString(parts[1]) || !slugPattern.MatchString(parts[3]) {
		return Name{}, errs.NotFound(name)
	}
	return Name{Collective: parts[1], Campaign: parts[3]}, nil
}

// State is a campaign's state.
type State string

// The states; doc.go has their table.
const (
	// StateDraft is visible to members only.
	StateDraft State = "draft"
	// StatePublished is public, and accepts donations until the deadline.
	StatePublished State = "published"
	// StatePaused is public, and accepts no new donations until it is resumed.
	StatePaused State = "paused"
	// StateClosed is public and final, and accepts no donations.
	StateClosed State = "closed"
)

// Text is a campaign in one language.
type Text struct {
	// Title is one line.
	Title string `json:"title"`
	// Story is Markdown, not sanitised.
	Story string `json:"story"`
	// ThankYou is Markdown that donors read after they paid, not sanitised; may be empty.
	ThankYou string `json:"thank_you,omitempty"`
	// ImageAlt says in one line what the image shows; required while there is one.
	ImageAlt string `json:"image_alt,omitempty"`
}

// Stage is one step of a case.
type Stage struct {
	// ID is unique in its campaign.
	ID string
	// Titles are its names by language, French always.
	Titles map[string]string
	// Amount is what the step costs.
	Amount money.Amount
}

// Content is what members write of a campaign. All amounts are in Currency.
type Content struct {
	// Texts are by language, French always.
	Texts map[string]Text
	// Currency is that of Goal and of every other amount and donation.
	Currency money.Currency
	// Goal is the sum that is needed.
	Goal money.Amount
	// Presets are offered as buttons, ascending, within Minimum and Maximum.
	Presets []money.Amount
	// Minimum is the smallest donation.
	Minimum money.Amount
	// Maximum is the largest donation.
	Maximum money.Amount
	// Deadline is the first instant at which no donation can be started; zero for none.
	Deadline time.Time
	// Stages are the steps of the case, in order. Their sum is at most the goal.
	Stages []Stage
	// AllowedOrigins are those whose pages may embed the widget and be returned to, in the form that browsers send.
	// [Campaign.AllowsOrigin] compares with them.
	AllowedOrigins []string
	// Image is the id of an image of the collective's; empty for none.
	Image string
	// Event says when and where the campaign takes place; zero for a campaign that is no event.
	Event Event
	Shown
}

// Event is when and where a campaign takes place. Its zero value is no event.
type Event struct {
	// Date is the day, YYYY-MM-DD, and Time when it begins on that day, HH:MM; Time may be empty.
	Date, Time string
	// Place is one line.
	Place string
}

// Shown is what public pages show of a campaign beyond itself. It changes as long as the campaign exists, closed or not.
type Shown struct {
	// Listed: the front page shows the campaign while it is public.
	Listed bool
	// ExpensesShown: its page shows its expenses one by one.
	ExpensesShown bool
	// DonationsShown: its page shows donations in batches, unless the collective is discreet.
	DonationsShown bool
}

// Campaign is what money is raised for.
type Campaign struct {
	// Name changes by Rename alone, and never once the campaign is referred to.
	Name Name
	Content
	// State is its state.
	State State
	// CollectiveDisplayName is the name of the collective for people.
	CollectiveDisplayName string
	// timeZone is the collective's.
	timeZone string
	// CollectiveSuspended: the operator suspended the collective.
	CollectiveSuspended bool
	// CollectiveDiscreet: the collective asks that nothing names its cause to those around a donor.
	CollectiveDiscreet bool
	// PublishTime is when it was first published; zero for a draft.
	PublishTime time.Time
	// CloseTime is when it was closed; zero while it is not.
	CloseTime time.Time
	// CreateTime is when it was created.
	CreateTime time.Time
	// UpdateTime is when it was last changed.
	UpdateTime time.Time

	version int64
	// fee is the service's estimate, set for answers.
	fee FeeEstimate
	// cards says whether Stripe takes the collective's payments, set for answers while the campaign accepts donations.
	cards bool
	// paused: no payment page is opened for a while, since too many cards were declined.
	paused bool
}

// AcceptsDonations returns nil when a donation can be started at this time. Otherwise it is FAILED_PRECONDITION
// (CAMPAIGN_NOT_OPEN): the campaign is a draft, paused, closed, or past its deadline; or COLLECTIVE_SUSPENDED.
func (c Campaign) AcceptsDonations(now time.Time) error {
	switch {
	case c.CollectiveSuspended && c.State != StateDraft:
		return errs.New(errorsv1.ErrorReason_COLLECTIVE_SUSPENDED, "%s accepts no donations: its collective is suspended.", c.Name)
	case c.State != StatePublished:
		return errs.New(errorsv1.ErrorReason_CAMPAIGN_NOT_OPEN, "%s accepts no donations: it is %s.", c.Name, c.State)
	case c.deadlinePassed(now):
		return errs.New(errorsv1.ErrorReason_CAMPAIGN_NOT_OPEN, "%s accepts no donations: its deadline has passed.", c.Name)
	}
	return nil
}

// Over reports whether its monthly donations end: it is closed, or past its deadline.
func (c Campaign) Over(now time.Time) bool { return c.State == StateClosed || c.deadlinePassed(now) }

func (c Campaign) deadlinePassed(now time.Time) bool {
	return !c.Deadline.IsZero() && !now.Before(c.Deadline)
}

// rank is its place in lists of what runs: 0 while it runs, 1 while it is paused or a draft, 2 when it is over. The SQL of the
// lists computes it too.
func (c Campaign) rank(now time.Time) int16 {
	switch {
	case c.Over(now):
		return 2
	case c.State == StatePublished:
		return 0
	}
	return 1
}

// AllowsOrigin reports whether pages of the origin ("https://vallon.example") may embed the campaign and be returned to,
// whatever the campaign's state.
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

// deadlineDate is the last day on which the campaign accepts donations, in the collective's time zone; empty for no deadline.
// The deadline itself is the first instant that is too late.
func (c Campaign) deadlineDate() string {
	if c.Deadline.IsZero() {
		return ""
	}
	zone, err := time.LoadLocation(c.timeZone)
	if err != nil {
		zone = time.UTC
	}
	return c.Deadline.Add(-time.Nanosecond).In(zone).Format(time.DateOnly)
}

// etag is opaque to callers, and another after each change of the campaign.
func (c Campaign) etag() string { return strconv.FormatInt(c.version, 10) }

// equal reports whether two normalised contents are the same.
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
		slices.Equal(c.AllowedOrigins, d.AllowedOrigins) &&
		c.Image == d.Image &&
		c.Event == d.Event &&
		c.Shown == d.Shown
}

// Progress is the sum of a campaign's donations and of its expenses, in its currency. It may exceed the goal.
type Progress struct {
	// Settled is booked in the ledger: donations minus refunds and disputes. Fees are not deducted.
	Settled money.Amount
	// Pending is paid or being paid, and not booked yet. It is not part of Settled.
	Pending money.Amount
	// Spent is the sum of expenses, and SpentByStage the part of each stage, by stage id.
	Spent        money.Amount
	SpentByStage map[string]money.Amount
	// PublicSpent and PublicSpentByStage are the part of them that everybody sees: of what donors gave to a payee themselves, no
	// single amount.
	PublicSpent        money.Amount
	PublicSpentByStage map[string]money.Amount
}

// ProgressFunc returns the progress of campaigns. A campaign that is missing in the answer has none. It is called once for
// a page of campaigns.
type ProgressFunc func(ctx context.Context, names []Name) (map[Name]Progress, error)
