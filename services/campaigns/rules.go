package campaigns

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/money"
)

// smallestDonationMinor is the smallest payment that Stripe accepts, by the currencies that campaigns can have. All of them
// have two decimals.
// https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts
var smallestDonationMinor = map[money.Currency]int64{
	"AUD": 50,
	"CAD": 50,
	"CHF": 50,
	"CZK": 1500,
	"DKK": 250,
	"EUR": 50,
	"GBP": 30,
	"NOK": 300,
	"PLN": 200,
	"RON": 200,
	"SEK": 300,
	"USD": 50,
}

const (
	// Both defaults count in hundredths, since all currencies of campaigns have two decimals. A currency whose smallest
	// donation is larger has that as its minimum.
	defaultMinimumMinor = 1_00
	defaultMaximumMinor = 5_000_00
	// maxDonationMinor is Stripe's limit: eight digits.
	maxDonationMinor = 999_999_99
	// maxGoalMinor keeps sums far below the largest int64.
	maxGoalMinor = 10_000_000_000_000

	maxTitleChars = 120
	maxStoryChars = 20_000
	maxThankChars = 2_000
	maxAltChars   = 300
	maxPlaceChars = 200
)

// imagePattern is the form of an image's id.
var imagePattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// check collects field violations, so that a form can show all of them at once.
type check struct{ fields []errs.Field }

// wrong adds a violation, by the path of the request's field.
func (k *check) wrong(field, format string, args ...any) {
	k.fields = append(k.fields, errs.Field{Field: field, Description: fmt.Sprintf(format, args...)})
}

// err is nil without a violation, and otherwise INVALID_ARGUMENT (INVALID_FIELD) with all of them.
func (k *check) err() error {
	if len(k.fields) == 0 {
		return nil
	}
	e := errs.New(errorsv1.ErrorReason_INVALID_FIELD, "A field of the request is invalid.")
	e.Fields = k.fields
	return e
}

// normalise brings a content into the form that is stored, sets defaults, and checks all that does not depend on the time or
// the state. Errors: INVALID_ARGUMENT with all wrong fields, by the paths of the request.
func (c *Content) normalise() error {
	var k check
	c.checkTexts(&k)
	c.Currency = c.Goal.Currency
	smallest, known := smallestDonationMinor[c.Currency]
	// Amounts can only be judged in a known currency.
	switch {
	case c.Goal == money.Amount{}:
		k.wrong("campaign.goal", "is required")
	case !known:
		k.wrong("campaign.goal.currency_code", "must be one of %s", currencyList())
	default:
		c.checkAmounts(&k, smallest)
		c.checkStages(&k)
	}
	if c.Image != "" && !imagePattern.MatchString(c.Image) {
		k.wrong("campaign.image", "must be an image of the collective")
	}
	c.checkEvent(&k)
	c.normaliseOrigins(&k)
	c.normaliseDeadline(&k)
	return k.err()
}

// normaliseDeadline checks the form of the deadline only. Whether it may be in the past depends on the state, and is
// Update's to say.
func (c *Content) normaliseDeadline(k *check) {
	// At Postgres' precision, so that a repeated request compares equal.
	c.Deadline = c.Deadline.UTC().Truncate(time.Microsecond)
	first := time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)
	last := time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)
	if !c.Deadline.IsZero() && (c.Deadline.Before(first) || c.Deadline.After(last)) {
		k.wrong("campaign.deadline", "must be a time between the years 2000 and 9999")
	}
}

// checkEvent checks an event, which may be in the past: its accounts are shown after it.
func (c *Content) checkEvent(k *check) {
	if c.Event == (Event{}) {
		return
	}
	if day, err := time.Parse(time.DateOnly, c.Event.Date); err != nil || day.Year() < 2000 {
		k.wrong("campaign.event.date", "must be a day from 2000-01-01, as YYYY-MM-DD")
	}
	if _, err := time.Parse("15:04", c.Event.Time); c.Event.Time != "" && (err != nil || len(c.Event.Time) != len("15:04")) {
		k.wrong("campaign.event.time", "must be a time from 00:00 to 23:59, as HH:MM, or absent")
	}
	if !isLine(c.Event.Place, maxPlaceChars) {
		k.wrong("campaign.event.place", "must be one line of 1 to %d characters", maxPlaceChars)
	}
}

// currencyList names the currencies in one order, so that an error is the same each time.
func currencyList() string {
	var list []string
	for _, currency := range slices.Sorted(maps.Keys(smallestDonationMinor)) {
		list = append(list, string(currency))
	}
	return strings.Join(list, ", ")
}

// checkTexts checks languages in one order, so that an error is the same each time.
func (c *Content) checkTexts(k *check) {
	if _, ok := c.Texts[French]; !ok {
		k.wrong(`campaign.texts["fr"]`, "is required: French is the language that all others fall back to")
	}
	for _, lang := range slices.Sorted(maps.Keys(c.Texts)) {
		text := c.Texts[lang]
		if !isLine(text.Title, maxTitleChars) {
			k.wrong(fmt.Sprintf("campaign.texts[%q].title", lang), "must be one line of 1 to %d characters", maxTitleChars)
		}
		if utf8.RuneCountInString(text.Story) > maxStoryChars || strings.ContainsFunc(text.Story, isStrayControl) {
			k.wrong(fmt.Sprintf("campaign.texts[%q].story", lang), "must be text of at most %d characters", maxStoryChars)
		}
		if utf8.RuneCountInString(text.ThankYou) > maxThankChars || strings.ContainsFunc(text.ThankYou, isStrayControl) {
			k.wrong(fmt.Sprintf("campaign.texts[%q].thank_you", lang), "must be text of at most %d characters", maxThankChars)
		}
		// Who does not see the image reads what it shows, in every language.
		if (c.Image != "" || text.ImageAlt != "") && !isLine(text.ImageAlt, maxAltChars) {
			k.wrong(fmt.Sprintf("campaign.texts[%q].image_alt", lang), "must be one line of 1 to %d characters while there is an image", maxAltChars)
		}
	}
}

// isLine reports whether a text is one line of at most so many characters, without control characters that is not blank.
func isLine(s string, maxChars int) bool {
	return strings.TrimSpace(s) != "" && utf8.RuneCountInString(s) <= maxChars &&
		!strings.ContainsFunc(s, unicode.IsControl)
}

// isStrayControl reports control characters that are not white space. Postgres cannot store a NUL in JSON.
func isStrayControl(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t'
}

// checkAmounts checks goal, bounds and presets; smallest is the currency's smallest donation.
func (c *Content) checkAmounts(k *check, smallest int64) {
	if c.Goal.Minor <= 0 || c.Goal.Minor > maxGoalMinor {
		k.wrong("campaign.goal.amount_minor", "must be between 1 and %d", maxGoalMinor)
	}
	// The zero Amount, without a currency, is one that was left out.
	if (c.Minimum == money.Amount{}) {
		c.Minimum = money.Amount{Minor: max(defaultMinimumMinor, smallest), Currency: c.Currency}
	}
	if (c.Maximum == money.Amount{}) {
		c.Maximum = money.Amount{Minor: defaultMaximumMinor, Currency: c.Currency}
	}
	if c.sameCurrency(k, "campaign.minimum", c.Minimum) && c.Minimum.Minor < smallest {
		k.wrong("campaign.minimum.amount_minor", "must be at least %d, the least that Stripe accepts", smallest)
	}
	if c.sameCurrency(k, "campaign.maximum", c.Maximum) {
		if c.Maximum.Minor < c.Minimum.Minor {
			k.wrong("campaign.maximum.amount_minor", "must be at least the minimum, %d", c.Minimum.Minor)
		} else if c.Maximum.Minor > maxDonationMinor {
			k.wrong("campaign.maximum.amount_minor", "must be at most %d", maxDonationMinor)
		}
	}
	// Presets ascend, so none is there twice.
	for i, preset := range c.Presets {
		field := fmt.Sprintf("campaign.presets[%d]", i)
		switch {
		// sameCurrency has noted the violation. An amount of another currency cannot be compared.
		case !c.sameCurrency(k, field, preset):
		case preset.Minor < c.Minimum.Minor || preset.Minor > c.Maximum.Minor:
			k.wrong(field+".amount_minor", "must be between minimum and maximum, %d and %d", c.Minimum.Minor, c.Maximum.Minor)
		case i > 0 && preset.Minor <= c.Presets[i-1].Minor:
			k.wrong(field+".amount_minor", "must be more than the preset before it")
		}
	}
}

// checkStages checks the stages' ids, titles and amounts. Their sum may be less than the goal, and not more.
func (c *Content) checkStages(k *check) {
	// Counted down, because a sum could overflow.
	left := c.Goal.Minor
	for i, stage := range c.Stages {
		field := fmt.Sprintf("campaign.stages[%d]", i)
		c.checkStageID(k, field, i)
		if _, ok := stage.Titles[French]; !ok {
			k.wrong(field+`.titles["fr"]`, "is required: French is the language that all others fall back to")
		}
		for _, lang := range slices.Sorted(maps.Keys(stage.Titles)) {
			if !isLine(stage.Titles[lang], maxTitleChars) {
				k.wrong(fmt.Sprintf("%s.titles[%q]", field, lang), "must be one line of 1 to %d characters", maxTitleChars)
			}
		}
		switch {
		case !c.sameCurrency(k, field+".amount", stage.Amount):
		case stage.Amount.Minor <= 0:
			k.wrong(field+".amount.amount_minor", "must be more than zero")
		case stage.Amount.Minor > left:
			k.wrong(field+".amount", "must keep the sum of the stages within the goal, %d", c.Goal.Minor)
			// Nothing is left for the stages that follow, so each of them is a violation too.
			left = 0
		default:
			left -= stage.Amount.Minor
		}
	}
}

// sameCurrency reports whether the amount is in the campaign's currency, and notes the violation if it is not.
func (c *Content) sameCurrency(k *check, field string, a money.Amount) bool {
	if a.Currency != c.Currency {
		k.wrong(field+".currency_code", "must be the currency of the goal, %s", c.Currency)
	}
	return a.Currency == c.Currency
}

// normaliseOrigins brings the origins into the form that browsers send. Two that become the same are a violation.
func (c *Content) normaliseOrigins(k *check) {
	origins := make([]string, 0, len(c.AllowedOrigins))
	for i, origin := range c.AllowedOrigins {
		field := fmt.Sprintf("campaign.allowed_origins[%d]", i)
		normal, problem := normaliseOrigin(origin)
		switch {
		case problem != "":
			k.wrong(field, "%s", problem)
		case slices.Contains(origins, normal):
			k.wrong(field, "repeats %q", normal)
		default:
			origins = append(origins, normal)
		}
	}
	c.AllowedOrigins = origins
}
