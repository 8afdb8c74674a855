package instance

import (
	"strings"
	"time"
)

// Severity is how grave a finding is.
type Severity string

// The severities.
const (
	// OK is in order.
	OK Severity = "ok"
	// Note is to be known; nothing has to be done now.
	Note Severity = "note"
	// Wrong is to be mended.
	Wrong Severity = "wrong"
)

// Finding is one thing that a check found. Code is what it is, and Values are the values in its text, by name: no secret is
// among them.
type Finding struct {
	Severity Severity          `json:"severity"`
	Code     string            `json:"code"`
	Values   map[string]string `json:"values,omitempty"`
}

// Message says a finding in English, and what to do.
func (f Finding) Message() string {
	var pairs []string
	for name, value := range f.Values {
		pairs = append(pairs, "{"+name+"}", value)
	}
	return strings.NewReplacer(pairs...).Replace(messages[f.Code])
}

// StripeCheck is a comparison with Stripe.
type StripeCheck struct {
	Time     time.Time
	Findings []Finding
}

// Wrong is how many findings are to be mended.
func (c StripeCheck) Wrong() (count int) {
	for _, f := range c.Findings {
		if f.Severity == Wrong {
			count++
		}
	}
	return count
}

// messages are the texts of findings by code. The console has them in the languages of its readers.
var messages = map[string]string{
	"STRIPE_SETTINGS":          "{problem}",
	"KEY_MODE_TEST":            "STRIPE_API_KEY is for test mode, API version {version}",
	"KEY_MODE_LIVE":            "STRIPE_API_KEY is for live mode, API version {version}",
	"KEY_SEVERAL":              "STRIPE_API_KEY holds {count} keys: leave the new one alone when the roll is over",
	"KEY_UNKNOWN":              "key {key}: Stripe does not know it (401): it was revoked, has expired, or is mistyped",
	"KEY_OWN_ACCOUNT_HIDDEN":   "key {key}: may not read its own account, so that a key of another account would not be noticed",
	"STRIPE_SILENT":            "key {key}: Stripe does not answer: {problem}",
	"PERMISSION_UNTRIED":       "key {key}: {permission} cannot be tried now: {problem}",
	"PERMISSION_LACKING":       "key {key}: lacks the permission {permission}: {access}",
	"PERMISSION_UNKNOWN":       "key {key}: whether it has the permission {permission}: {access} cannot be tried without writing",
	"CLOCK_UNKNOWN":            "Stripe's clock cannot be read: {problem}",
	"CLOCK_WRONG":              "the clock differs from Stripe's by {difference}: signatures are refused; set the time (NTP)",
	"CLOCK_DIFFERS":            "the clock differs from Stripe's by {difference}; {limit} is the limit",
	"CLOCK_OK":                 "the clock agrees with Stripe's",
	"ENDPOINTS_HIDDEN":         "webhook endpoints cannot be listed, so they are not checked: {problem}",
	"ENDPOINT_ELSEWHERE":       "{endpoint} sends to {url}, which is not CAGNOTTE_PUBLIC_URL",
	"ENDPOINT_CONNECT_MISSING": "no endpoint sends the events of connected accounts to {url}: they are needed once a collective has an account of its own",
	"ENDPOINT_MISSING":         "no endpoint sends to {url}: run `cagnotte stripe setup`",
	"ENDPOINT_SEVERAL":         "{count} endpoints send to {url}: events come as often, and each has a secret of its own; delete all but one",
	"ENDPOINT_DISABLED":        "{endpoint} ({url}) is disabled: run `cagnotte stripe setup`",
	"ENDPOINT_OTHER_MODE":      "{endpoint} ({url}) is of the other mode than the key",
	"ENDPOINT_VERSION":         "{endpoint} ({url}) renders events in {version}: each costs a call; delete it and run `cagnotte stripe setup`",
	"ENDPOINT_EVENTS":          "{endpoint} ({url}) does not send {events}: run `cagnotte stripe setup`",
	"SECRET_MISSING":           "{variable} is not set: {endpoint} signs with a secret, which Stripe's dashboard shows",
	"SECRET_SEVERAL":           "{variable} holds {count} secrets: leave the new one alone when the roll is over",
	"SECRET_OTHER":             "the stored secret is not that of {endpoint}: replace the endpoint, or set {variable}",
	"SECRET_UNREADABLE":        "the stored secret of {endpoint} was encrypted under another CAGNOTTE_SECRET_KEY: replace the endpoint, or set {variable}",
	"ENDPOINT_OK":              "{endpoint} ({url}) sends what is needed",
	"MAIL_MISSING":             "SMTP_URL is not set: members see notices only where they look",
	"MAIL_SETTINGS":            "SMTP_URL: {problem}",
	"MAIL_OK":                  "SMTP_URL is set",
	"DATABASE_SETTINGS":        "{problem}",
	"DATABASE_SILENT":          "DATABASE_URL: the database does not answer: {problem}",
	"MIGRATIONS_MISSING":       "{applied} of {needed} migrations are applied: run `cagnotte migrate`",
	"DATABASE_OK":              "the database is current: {applied} migrations",
	"OTHER_ACCOUNT":            "STRIPE_API_KEY: {problem}",
}
