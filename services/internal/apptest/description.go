package apptest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// description is Stripe's OpenAPI description of the API version that the service uses, out of stripe-mock. Most
// schemas are never needed, so each is decoded at its first use. mu guards decoded; raw and paths do not change. Tests
// of one binary share it.
type description struct {
	mu      sync.Mutex
	raw     map[string]json.RawMessage
	decoded map[string]*schema
	paths   map[string]map[string]operation
}

// operation has the answers of one method of a path: "200", and "default" for errors.
type operation struct {
	Responses map[string]struct {
		Content map[string]struct {
			Schema *schema `json:"schema"`
		} `json:"content"`
	} `json:"responses"`
}

// schema is the part of OpenAPI's schema object that Stripe's description uses for answers.
type schema struct {
	Ref        string             `json:"$ref"`
	Type       string             `json:"type"`
	Nullable   bool               `json:"nullable"`
	Enum       []any              `json:"enum"`
	MaxLength  int                `json:"maxLength"`
	AnyOf      []*schema          `json:"anyOf"`
	Items      *schema            `json:"items"`
	Properties map[string]*schema `json:"properties"`
	Required   []string           `json:"required"`
	// Additional is absent, false, or a schema.
	Additional json.RawMessage `json:"additionalProperties"`
	// Open means that the description does not list all values.
	Open     bool   `json:"x-stripeBypassValidation"`
	Resource string `json:"x-resourceId"`
}

// undescribed has the members that recorded bodies of this API version have, and that its description lacks. The object's
// name is Stripe's; "*" is any object.
var undescribed = map[string]bool{
	"balance_transaction.balance_type":                             true,
	"charge.amount_updates":                                        true,
	"charge.billing_details.tax_id":                                true,
	"charge.destination":                                           true,
	"charge.dispute":                                               true,
	"charge.order":                                                 true,
	"charge.outcome.advice_code":                                   true,
	"charge.outcome.network_advice_code":                           true,
	"charge.outcome.network_decline_code":                          true,
	"charge.payment_method_details.card.authorization_code":        true,
	"charge.payment_method_details.sepa_debit.expected_debit_date": true,
	"charge.source":                                                true,
	"checkout.session.saved_payment_method_options":                true,
	"dispute.balance_transaction":                                  true,
	"invoice.rendering_options":                                    true,
	"line_item.plan":                                               true,
	"payment_intent.source":                                        true,
	"payout.application_fee":                                       true,
	"payout.application_fee_amount":                                true,
	"payout.trace_id":                                              true,
	"price.recurring.meter":                                        true,
	"price.recurring.trial_period_days":                            true,
	"subscription.discounts":                                       true,
	"subscription.invoice_settings":                                true,
	"subscription.plan":                                            true,
	"subscription.quantity":                                        true,
	"subscription_item.discounts":                                  true,
	"subscription_item.plan":                                       true,
	"*.total_count":                                                true,
}

// addedLater has the values that Stripe added to an enumeration later, by the path of the member. They occur in every
// version of the API.
var addedLater = map[string]string{"dispute.status": "prevented"}

// readDescription reads the description in the module of stripe-mock that the tools pin.
func readDescription() (*description, error) {
	dir, err := toolModule("github.com/stripe/stripe-mock")
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(dir, "embedded", "openapi", "spec3.json"))
	if err != nil {
		return nil, fmt.Errorf("read Stripe's description: %w", err)
	}
	// Schemas stay raw, and are decoded when they are needed. Paths are decoded at once.
	var doc struct {
		Components struct {
			Schemas map[string]json.RawMessage `json:"schemas"`
		} `json:"components"`
		Paths map[string]map[string]operation `json:"paths"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("read Stripe's description: %w", err)
	}
	return &description{raw: doc.Components.Schemas, decoded: map[string]*schema{}, paths: doc.Paths}, nil
}

// toolModule returns the folder of a module that .tools/go.mod pins. It downloads the module if the cache does not have it.
func toolModule(module string) (string, error) {
	_, file, _, _ := runtime.Caller(0)
	cmd := exec.Command("go", "mod", "download", "-modfile=.tools/go.mod", "-json", module)
	cmd.Dir = filepath.Join(filepath.Dir(file), "..", "..", "..")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil { // the reason may be in stderr or in the output
		return "", fmt.Errorf("fetch %s: %w: %s%s", module, err, stderr.String(), out)
	}
	var found struct{ Dir string }
	if err := json.Unmarshal(out, &found); err != nil {
		return "", fmt.Errorf("fetch %s: %w", module, err)
	}
	return found.Dir, nil
}

// component returns a named schema, or nil.
func (d *description) component(name string) *schema {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s, ok := d.decoded[name]; ok {
		return s
	}
	var s *schema
	// A name without a schema, or one that does not parse, is remembered as nil.
	if json.Unmarshal(d.raw[name], &s) != nil {
		s = nil
	}
	d.decoded[name] = s
	return s
}

// resolve follows references to the schema itself; nil for a name that does not exist.
func (d *description) resolve(s *schema) *schema {
	for s != nil && s.Ref != "" {
		s = d.component(s.Ref[strings.LastIndex(s.Ref, "/")+1:])
	}
	return s
}

// route returns the description's path of a request: /v1/charges/{charge} for /v1/charges/ch_1. A path without variables
// comes first.
func (d *description) route(path string) string {
	if _, ok := d.paths[path]; ok {
		return path
	}
	want := strings.Split(path, "/")
	for pattern := range d.paths {
		have := strings.Split(pattern, "/")
		if len(have) == len(want) && fits(have, want) {
			return pattern
		}
	}
	return ""
}

// fits compares paths of the same number of parts. A variable of the pattern fits any part.
func fits(pattern, path []string) bool {
	for i, p := range pattern {
		if p != path[i] && !strings.HasPrefix(p, "{") {
			return false
		}
	}
	return true
}

// answer returns the schema of an answer, or nil if the description does not have the call.
func (d *description) answer(method, route string, status int) *schema {
	// Stripe describes success by its status, and all errors under default.
	responses := d.paths[route][strings.ToLower(method)].Responses
	if r, ok := responses[fmt.Sprint(status)]; ok {
		return r.Content["application/json"].Schema
	}
	return responses["default"].Content["application/json"].Schema
}

// differences compares a value with its schema and returns one line for each difference.
func (d *description) differences(v any, s *schema, path string) []string {
	s = d.resolve(s)
	switch {
	case s == nil:
		return []string{path + ": has no schema"}
	case v == nil && (s.Nullable || s.nullableBranch(d)):
		return nil
	case v == nil:
		return []string{path + ": is null"}
	case len(s.AnyOf) > 0:
		return d.closest(v, s.AnyOf, path)
	}
	// The difference in type, which is returned unless the value fits the schema's type.
	wrong := []string{fmt.Sprintf("%s: %T is no %s", path, v, s.Type)}
	switch s.Type {
	case "object":
		if o, ok := v.(map[string]any); ok {
			return d.objectDifferences(o, s, path)
		}
	// An array has no other rule than that of its elements.
	case "array":
		list, ok := v.([]any)
		if !ok {
			return wrong
		}
		var out []string
		for _, e := range list {
			out = append(out, d.differences(e, s.Items, path+"[]")...)
		}
		return out
	case "string":
		text, ok := v.(string)
		switch {
		case !ok:
			return wrong
		// A value outside of the list counts as right where Stripe itself says that the list is open, and where it
		// added the value later.
		case len(s.Enum) > 0 && !s.Open && !slices.Contains(s.Enum, v) && addedLater[path] != text:
			return []string{fmt.Sprintf("%s: %q is none of %v", path, text, s.Enum)}
		case s.MaxLength > 0 && len([]rune(text)) > s.MaxLength:
			return []string{fmt.Sprintf("%s: is longer than %d characters", path, s.MaxLength)}
		}
		return nil
	case "integer":
		// JSON has one kind of number, so an integer is one without a fraction.
		if n, ok := v.(float64); ok && n == float64(int64(n)) {
			return nil
		}
	case "number":
		if _, ok := v.(float64); ok {
			return nil
		}
	case "boolean":
		if _, ok := v.(bool); ok {
			return nil
		}
	case "":
		return nil // anything
	}
	return wrong
}

// nullableBranch: a choice can be null if one of its branches can.
func (s *schema) nullableBranch(d *description) bool {
	return slices.ContainsFunc(s.AnyOf, func(b *schema) bool { b = d.resolve(b); return b != nil && b.Nullable })
}

// closest returns the differences from the branch that fits best, such as an id or the object with that id. Without any
// branch that fits, the fewest differences are the most useful ones to report.
func (d *description) closest(v any, branches []*schema, path string) []string {
	var best []string
	for i, b := range branches {
		found := d.differences(v, b, path)
		if i == 0 || len(found) < len(best) {
			best = found
		}
	}
	return best
}

// objectDifferences finds members that are missing, unknown or wrong. A resource starts a path of its own, so the same
// difference has one name wherever the object stands.
func (d *description) objectDifferences(o map[string]any, s *schema, path string) (out []string) {
	if s.Resource != "" {
		path = s.Resource
	}
	for _, name := range s.Required {
		if _, ok := o[name]; !ok {
			out = append(out, path+"."+name+": is missing")
		}
	}
	for name, v := range o {
		member := path + "." + name
		switch p := s.Properties[name]; {
		case p != nil:
			out = append(out, d.differences(v, p, member)...)
		// additionalProperties with a schema makes the object a map, such as metadata; false or absent ends here.
		case len(s.Additional) > 0 && s.Additional[0] == '{':
			var extra *schema
			if err := json.Unmarshal(s.Additional, &extra); err != nil {
				return append(out, member+": "+err.Error())
			}
			out = append(out, d.differences(v, extra, member)...)
		// A schema without properties describes any object.
		case s.Properties != nil && !undescribed[member] && !undescribed["*."+name]:
			out = append(out, member+": is no member")
		}
	}
	return out
}
