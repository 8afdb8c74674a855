package campaigns

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/money"
)

func eur(minor int64) money.Amount { return money.Amount{Minor: minor, Currency: "EUR"} }

// lawyer is the campaign of the tests: a good one, with everything in it.
func lawyer() Content {
	return Content{
		Texts:    map[string]Text{"fr": {Title: "Un avocat", Story: "Contre *les* caméras.\n"}, "en": {Title: "A lawyer"}},
		Goal:     eur(800_00),
		Presets:  []money.Amount{eur(5_00), eur(20_00), eur(50_00)},
		Minimum:  eur(2_00),
		Maximum:  eur(500_00),
		Deadline: time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC),
		Stages: []Stage{
			{ID: "1", Titles: map[string]string{"fr": "Mise en demeure", "en": "Formal notice"}, Amount: eur(200_00)},
			{ID: "2", Titles: map[string]string{"fr": "Première instance"}, Amount: eur(600_00)},
		},
		AllowedOrigins: []string{"https://vallon.example", "http://localhost:8000"},
	}
}

func TestNormaliseRefuses(t *testing.T) {
	for _, test := range []struct {
		rule   string
		change func(*Content)
		fields []string
	}{
		{"no text", func(c *Content) { c.Texts = nil }, []string{`campaign.texts["fr"]`}},
		{"no French text", func(c *Content) { delete(c.Texts, "fr") }, []string{`campaign.texts["fr"]`}},
		{"an empty title", func(c *Content) { c.Texts["en"] = Text{Title: " "} }, []string{`campaign.texts["en"].title`}},
		{"a title of two lines", func(c *Content) { c.Texts["fr"] = Text{Title: "a\nb"} }, []string{`campaign.texts["fr"].title`}},
		{"a title too long", func(c *Content) { c.Texts["fr"] = Text{Title: strings.Repeat("é", 121)} }, []string{`campaign.texts["fr"].title`}},
		{"a story too long", func(c *Content) { c.Texts["fr"] = Text{Title: "a", Story: strings.Repeat("é", 20_001)} }, []string{`campaign.texts["fr"].story`}},
		{"a story with a NUL", func(c *Content) { c.Texts["fr"] = Text{Title: "a", Story: "a\x00b"} }, []string{`campaign.texts["fr"].story`}},
		{"a thank-you text too long", func(c *Content) { c.Texts["fr"] = Text{Title: "a", ThankYou: strings.Repeat("é", 2_001)} }, []string{`campaign.texts["fr"].thank_you`}},
		{"an image of another collective", func(c *Content) {
			c.Image, c.Texts = "collectives/b/images/x", map[string]Text{"fr": {Title: "a", ImageAlt: "b"}}
		}, []string{"campaign.image"}},
		{"an image that a language does not tell", func(c *Content) {
			c.Image = strings.Repeat("0", 64)
			c.Texts = map[string]Text{"fr": {Title: "a", ImageAlt: "Une rue"}, "en": {Title: "a"}}
		}, []string{`campaign.texts["en"].image_alt`}},
		{"no goal", func(c *Content) { c.Goal = money.Amount{} }, []string{"campaign.goal"}},
		{"a goal of zero", func(c *Content) { c.Goal.Minor, c.Stages = 0, nil }, []string{"campaign.goal.amount_minor"}},
		{"a goal below zero", func(c *Content) { c.Goal.Minor, c.Stages = -1, nil }, []string{"campaign.goal.amount_minor"}},
		{"a goal out of the world", func(c *Content) { c.Goal.Minor = maxGoalMinor + 1 }, []string{"campaign.goal.amount_minor"}},
		{"a currency that Stripe's minimum is not known for", func(c *Content) { c.Goal.Currency = "JPY" }, []string{"campaign.goal.currency_code"}},
		{"a currency that is none", func(c *Content) { c.Goal.Currency = "eur" }, []string{"campaign.goal.currency_code"}},
		{"a minimum in another currency", func(c *Content) { c.Minimum.Currency = "USD" }, []string{"campaign.minimum.currency_code"}},
		{"a maximum in another currency", func(c *Content) { c.Maximum.Currency = "USD" }, []string{"campaign.maximum.currency_code"}},
		{"a preset in another currency", func(c *Content) { c.Presets[2].Currency = "USD" }, []string{"campaign.presets[2].currency_code"}},
		{"a stage in another currency", func(c *Content) { c.Stages[1].Amount.Currency = "USD" }, []string{"campaign.stages[1].amount.currency_code"}},
		{"a minimum below Stripe's", func(c *Content) { c.Minimum.Minor = 49 }, []string{"campaign.minimum.amount_minor"}},
		{"a maximum below the minimum", func(c *Content) { c.Maximum.Minor, c.Presets = 1_99, nil }, []string{"campaign.maximum.amount_minor"}},
		{"a maximum above Stripe's", func(c *Content) { c.Maximum.Minor = 1_000_000_00 }, []string{"campaign.maximum.amount_minor"}},
		{"a preset below the minimum", func(c *Content) { c.Presets[0].Minor = 1_99 }, []string{"campaign.presets[0].amount_minor"}},
		{"a preset above the maximum", func(c *Content) { c.Presets[2].Minor = 500_01 }, []string{"campaign.presets[2].amount_minor"}},
		{"presets that fall", func(c *Content) { c.Presets[1].Minor = 4_00 }, []string{"campaign.presets[1].amount_minor"}},
		{"a preset twice", func(c *Content) { c.Presets[1].Minor = 5_00 }, []string{"campaign.presets[1].amount_minor"}},
		{"a stage without French", func(c *Content) { c.Stages[0].Titles = map[string]string{"en": "x"} }, []string{`campaign.stages[0].titles["fr"]`}},
		{"a stage with an empty title", func(c *Content) { c.Stages[0].Titles["en"] = "" }, []string{`campaign.stages[0].titles["en"]`}},
		{"two stages of one id", func(c *Content) { c.Stages[1].ID = "1" }, []string{"campaign.stages[1].id"}},
		{"an id in capitals", func(c *Content) { c.Stages[0].ID = "A" }, []string{"campaign.stages[0].id"}},
		{"a stage for nothing", func(c *Content) { c.Stages[1].Amount.Minor = 0 }, []string{"campaign.stages[1].amount.amount_minor"}},
		{"stages above the goal", func(c *Content) { c.Stages[1].Amount.Minor = 600_01 }, []string{"campaign.stages[1].amount"}},
		{"stages that would leave int64", func(c *Content) { c.Stages[0].Amount.Minor, c.Stages[1].Amount.Minor = 800_00, 1<<63-1 }, []string{"campaign.stages[1].amount"}},
		{"an origin with a path", func(c *Content) { c.AllowedOrigins[1] = "https://a.example/x" }, []string{"campaign.allowed_origins[1]"}},
		{"an origin twice, in two spellings", func(c *Content) { c.AllowedOrigins[1] = "HTTPS://VALLON.example:443" }, []string{"campaign.allowed_origins[1]"}},
		{"a deadline before computers", func(c *Content) { c.Deadline = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC) }, []string{"campaign.deadline"}},
		{"a deadline out of the calendar", func(c *Content) { c.Deadline = time.Unix(1<<62, 0) }, []string{"campaign.deadline"}},
		{"several things at once", func(c *Content) { c.Minimum.Minor, c.AllowedOrigins[0], c.Texts["en"] = 1, "*", Text{} }, []string{`campaign.texts["en"].title`, "campaign.minimum.amount_minor", "campaign.allowed_origins[0]"}},
	} {
		t.Run("refuses "+test.rule, func(t *testing.T) {
			c := lawyer()
			test.change(&c)
			e := errs.As(c.normalise())
			if e == nil || e.Code != codes.InvalidArgument || e.Reason != errorsv1.ErrorReason_INVALID_FIELD {
				t.Fatalf("got %v, want INVALID_ARGUMENT", e)
			}
			var got []string
			for _, f := range e.Fields {
				got = append(got, f.Field)
				if f.Description == "" {
					t.Errorf("%s: no word on what would be right", f.Field)
				}
			}
			if diff := cmp.Diff(test.fields, got); diff != "" {
				t.Errorf("fields (-want +got)\n%s", diff)
			}
		})
	}
}

func TestNormaliseAccepts(t *testing.T) {
	for rule, change := range map[string]func(*Content){
		"everything":                       func(*Content) {},
		"nothing that may be left out":     func(c *Content) { *c = Content{Texts: c.Texts, Goal: c.Goal} },
		"stages that make up the goal":     func(c *Content) { c.Stages[1].Amount.Minor = 600_00 },
		"presets at the bounds":            func(c *Content) { c.Presets = []money.Amount{eur(2_00), eur(500_00)} },
		"one amount and no other":          func(c *Content) { c.Minimum, c.Maximum, c.Presets = eur(5_00), eur(5_00), []money.Amount{eur(5_00)} },
		"the least and most of Stripe":     func(c *Content) { c.Minimum, c.Maximum = eur(50), eur(999_999_99) },
		"a deadline that has passed":       func(c *Content) { c.Deadline = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) },
		"a story with tabs and line feeds": func(c *Content) { c.Texts["fr"] = Text{Title: "a", Story: "a\r\n\tb"} },
	} {
		t.Run("accepts "+rule, func(t *testing.T) {
			c := lawyer()
			change(&c)
			if err := c.normalise(); err != nil {
				t.Fatal(err)
			}
			again := c
			if err := again.normalise(); err != nil || !again.equal(c) {
				t.Errorf("a second time: %v, %+v", err, again)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	for currency, minimum := range map[money.Currency]int64{"EUR": 1_00, "GBP": 1_00, "CZK": 15_00, "SEK": 3_00} {
		c := Content{Texts: lawyer().Texts, Goal: money.Amount{Minor: 800_00, Currency: currency}}
		if err := c.normalise(); err != nil {
			t.Fatal(err)
		}
		if c.Currency != currency || c.Minimum != (money.Amount{Minor: minimum, Currency: currency}) || c.Maximum != (money.Amount{Minor: 5_000_00, Currency: currency}) {
			t.Errorf("%s: from %v to %v", currency, c.Minimum, c.Maximum)
		}
	}
}

// The bounds are written down in major units, and Stripe's list in minor ones.
func TestCurrenciesHaveTwoDecimals(t *testing.T) {
	for currency := range smallestDonationMinor {
		if !currency.Valid() || currency.Exponent() != 2 {
			t.Errorf("%s: valid %v, %d decimals", currency, currency.Valid(), currency.Exponent())
		}
	}
}

func TestContentEqualLooksAtEverything(t *testing.T) {
	for part, change := range map[string]func(*Content){
		"a text":       func(c *Content) { c.Texts["en"] = Text{Title: "Another"} },
		"a language":   func(c *Content) { delete(c.Texts, "en") },
		"currency":     func(c *Content) { c.Currency = "USD" },
		"goal":         func(c *Content) { c.Goal = eur(1) },
		"presets":      func(c *Content) { c.Presets = c.Presets[:1] },
		"minimum":      func(c *Content) { c.Minimum = eur(1) },
		"maximum":      func(c *Content) { c.Maximum = eur(1) },
		"deadline":     func(c *Content) { c.Deadline = time.Time{} },
		"stages":       func(c *Content) { c.Stages = nil },
		"stage amount": func(c *Content) { c.Stages[0].Amount = eur(1) },
		"stage title":  func(c *Content) { c.Stages[0].Titles["fr"] = "x" },
		"origins":      func(c *Content) { slices.Reverse(c.AllowedOrigins) },
	} {
		c := lawyer()
		change(&c)
		if c.equal(lawyer()) {
			t.Errorf("%s makes no difference", part)
		}
	}
	if !lawyer().equal(lawyer()) {
		t.Error("a content is not equal to itself")
	}
}

func TestCampaignAnswers(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		state    State
		deadline time.Time
		open     bool
	}{
		{StateDraft, time.Time{}, false},
		{StatePublished, time.Time{}, true},
		{StatePublished, now.Add(1), true},
		{StatePublished, now, false},
		{StatePublished, now.Add(-1), false},
		{StatePaused, time.Time{}, false},
		{StateClosed, time.Time{}, false},
	} {
		c := Campaign{State: test.state, Content: Content{Deadline: test.deadline}}
		err := c.AcceptsDonations(now)
		if test.open != (err == nil) || err != nil && (errs.As(err).Reason != errorsv1.ErrorReason_CAMPAIGN_NOT_OPEN || errs.Code(err) != codes.FailedPrecondition) {
			t.Errorf("%s until %v: %v", test.state, test.deadline, err)
		}
	}
	c := Campaign{Content: lawyer()}
	for lang, want := range map[string]string{"fr": "Un avocat", "en": "A lawyer", "de": "Un avocat", "": "Un avocat"} {
		if got := c.Title(lang); got != want {
			t.Errorf("title in %q: %q, want %q", lang, got, want)
		}
	}
	for origin, want := range map[string]bool{
		"https://vallon.example": true, "https://vallon.example:443": true, "http://localhost:8000": true,
		"http://vallon.example": false, "https://vallon.example:8443": false, "https://www.vallon.example": false,
		"https://vallon.example.evil.example": false, "http://localhost": false, "null": false, "": false,
	} {
		if got := c.AllowsOrigin(origin); got != want {
			t.Errorf("allows %q: %v, want %v", origin, got, want)
		}
	}
}

func TestParseName(t *testing.T) {
	name, err := ParseName("collectives/vallon/campaigns/avocat")
	if err != nil || name != (Name{Collective: "vallon", Campaign: "avocat"}) || name.String() != "collectives/vallon/campaigns/avocat" {
		t.Errorf("%+v, %v", name, err)
	}
	for _, bad := range []string{
		"", "vallon/avocat", "collectives/vallon", "collectives/vallon/campaigns/", "collectives//campaigns/avocat",
		"collectives/vallon/campaigns/avocat/x", "collectives/vallon/donations/avocat", "collectives/vallon/campaigns/A",
	} {
		if _, err := ParseName(bad); errs.Code(err) != codes.NotFound {
			t.Errorf("%q: %v, want NOT_FOUND", bad, err)
		}
	}
}
