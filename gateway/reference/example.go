package reference

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/reflect/protoreflect"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
)

// exampleID stands in examples where a real id belongs: that of a resource, or of a request.
const exampleID = "0198c2a4-7d5e-7c3b-9a41-5d2f6b8e1c07"

var pathVariable = regexp.MustCompile(`\{([a-z_.]+)(?:=([^}]+))?\}`)

// sampleNames are the segments of the demo, which `make run` starts.
var sampleNames = map[string]string{
	"collectives":        "vallon-contre-cameras",
	"campaigns":          "avocate",
	"books":              "acct_1Example",
	"accounts":           "512",
	"images":             "3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea",
	"transactions":       "1",
	"events":             "evt_1Example",
	"webhookEvents":      "evt_1Example",
	"webhookHealth":      "acct_1Example",
	"parkedTransactions": "txn_1Example",
	"payouts":            "po_1Example",
	"lines":              "txn_1Example",
	"apiKeys":            "0123456789ab",
	"disputes":           "dp_1Example",
	"fraudWarnings":      "issfr_1Example",
	"receiptYears":       "2026",
}

// fillPattern writes the segments of a resource name: collectives/* becomes collectives/vallon-contre-cameras.
func fillPattern(pattern string) string {
	segments := strings.Split(pattern, "/")
	for i, s := range segments {
		if s != "*" || i == 0 {
			continue
		}
		segments[i] = exampleID
		if name, known := sampleNames[segments[i-1]]; known {
			segments[i] = name
		}
	}
	return strings.Join(segments, "/")
}

// curlOf returns a command that can be pasted: $URL is where the service is, $KEY the caller's key.
func curlOf(m protoreflect.MethodDescriptor, rule *annotations.HttpRule, public bool) (string, error) {
	verb, path := verbAndPath(rule)
	// A variable stands for a resource name; its pattern tells the form.
	path = pathVariable.ReplaceAllStringFunc(path, func(v string) string {
		parts := pathVariable.FindStringSubmatch(v)
		return fillPattern(parts[2])
	})
	// The quotes are needed for the ampersands of a query; $URL still becomes the address within them.
	line := "curl $URL" + path
	query, err := queryOf(m, rule)
	if err != nil {
		return "", err
	}
	if len(query) > 0 {
		line = `curl "` + strings.TrimPrefix(line, "curl ") + "?" + query.Encode() + `"`
	}
	// curl sends GET without a body and POST with one by itself.
	if verb != "GET" && verb != "POST" {
		line += " -X " + verb
	}
	if !public {
		line += ` \` + "\n" + `  -H "Authorization: Bearer $KEY"`
	}
	body, err := bodyOf(m, rule)
	if err != nil {
		return "", err
	}
	if body != "" {
		// Each run of the command is a request of its own, so the shell makes a new id.
		body = strings.ReplaceAll(body, `"request_id":"`+exampleID+`"`, `"request_id":"'$(uuidgen)'"`)
		line += ` \` + "\n  -d '" + body + "'"
	} else if verb == "POST" {
		line += " -X POST"
	}
	return line, nil
}

// queryOf returns the parameters that an example needs in its address.
func queryOf(m protoreflect.MethodDescriptor, rule *annotations.HttpRule) (url.Values, error) {
	query := url.Values{}
	for i := range m.Input().Fields().Len() {
		f := m.Input().Fields().Get(i)
		switch {
		// Fields in the path and in the body are written elsewhere.
		case placeOf(string(f.Name()), rule) != "query":
		case f.Message() != nil && f.Message().FullName() == "google.protobuf.FieldMask":
			// The mask names the one field that the example changes.
			resource := m.Input().Fields().ByName(protoreflect.Name(rule.GetBody()))
			query.Set(string(f.Name()), strings.Join(exampleKeys(resource.Message()), ","))
		case isNeeded(f) && f.Kind() == protoreflect.StringKind:
			text, err := stringOf(f.Name(), constraintsOf(f).GetString())
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.Name(), err)
			}
			query.Set(string(f.Name()), text)
		}
	}
	return query, nil
}

// bodyOf returns the JSON of an example body, or nothing where the rule takes none.
func bodyOf(m protoreflect.MethodDescriptor, rule *annotations.HttpRule) (string, error) {
	// The body is the whole request, or the one field that the rule names.
	message, prefix := m.Input(), ""
	switch rule.GetBody() {
	case "":
		return "", nil
	case "*":
	default:
		f := m.Input().Fields().ByName(protoreflect.Name(rule.GetBody()))
		if f == nil || f.Message() == nil {
			return "", fmt.Errorf("the body %q is no message of the request", rule.GetBody())
		}
		message, prefix = f.Message(), rule.GetBody()+"."
	}
	_, path := verbAndPath(rule)
	// What the path binds is not repeated in the body.
	bound := map[string]bool{}
	for _, v := range pathVariable.FindAllStringSubmatch(path, -1) {
		bound[strings.TrimPrefix(v[1], prefix)] = true
	}
	return objectOf(message, bound)
}

// objectOf writes the fields that an example needs, in the contract's order.
func objectOf(m protoreflect.MessageDescriptor, bound map[string]bool) (string, error) {
	var pairs []string
	for _, key := range exampleKeys(m) {
		f := m.Fields().ByName(protoreflect.Name(key))
		if bound[key] {
			continue
		}
		v, err := valueOf(f)
		if err != nil {
			return "", fmt.Errorf("%s: %w", f.Name(), err)
		}
		pairs = append(pairs, `"`+key+`":`+v)
	}
	return "{" + strings.Join(pairs, ",") + "}", nil
}

// exampleKeys are the fields that a caller must or nearly always will send: those that the contract requires, whatever their
// form, and the first of each required choice.
func exampleKeys(m protoreflect.MessageDescriptor) []string {
	var keys []string
	chosen := map[protoreflect.Name]bool{}
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		// A synthetic oneof is how protobuf describes an optional field.
		if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
			if !chosen[o.Name()] {
				keys = append(keys, string(f.Name()))
			}
			chosen[o.Name()] = true
			continue
		}
		if isNeeded(f) || slices.Contains(domainNeeds[m.FullName()], f.Name()) {
			keys = append(keys, string(f.Name()))
		}
	}
	return keys
}

// isNeeded reports whether a request without the field breaks the field's own constraints.
func isNeeded(f protoreflect.FieldDescriptor) bool {
	c := constraintsOf(f)
	if c.GetRequired() {
		return true
	}
	// The empty value must break a rule: each kind of field has its own.
	switch {
	case c.GetIgnore() == validate.Ignore_IGNORE_IF_ZERO_VALUE:
		return false
	case c.GetString() != nil:
		s := c.GetString()
		if s.GetUuid() || s.GetMinLen() > 0 || s.GetEmail() {
			return true
		}
		if s.HasPattern() {
			return !matches(s.GetPattern(), "")
		}
	// Zero is the unspecified value.
	case c.GetEnum() != nil:
		in := c.GetEnum().GetIn()
		return slices.Contains(c.GetEnum().GetNotIn(), 0) || len(in) > 0 && !slices.Contains(in, 0)
	case c.GetBytes() != nil:
		return c.GetBytes().GetMinLen() > 0
	case c.GetRepeated() != nil:
		return c.GetRepeated().GetMinItems() > 0
	case c.GetMap() != nil:
		return c.GetMap().GetMinPairs() > 0
	case c.GetBool() != nil:
		return c.GetBool().HasConst() && c.GetBool().GetConst()
	case c.GetInt32() != nil:
		return c.GetInt32().GetGt() > 0 || c.GetInt32().GetGte() > 0
	}
	return false
}

// valueOf writes an example of a field's value as JSON.
func valueOf(f protoreflect.FieldDescriptor) (string, error) {
	if f.IsMap() {
		// The maps of the contract have languages as their keys.
		key := "fr"
		v, err := valueOf(f.MapValue())
		return `{"` + key + `":` + v + `}`, err
	}
	v, err := singleOf(f)
	if f.IsList() {
		// Some lists need more than one item.
		items := max(1, int(constraintsOf(f).GetRepeated().GetMinItems()))
		v = "[" + strings.Join(slices.Repeat([]string{v}, items), ",") + "]"
	}
	return v, err
}

// singleOf writes one value, also of a list.
func singleOf(f protoreflect.FieldDescriptor) (string, error) {
	switch f.Kind() {
	case protoreflect.MessageKind:
		switch f.Message().FullName() {
		case "cagnotte.money.v1.Money":
			return `{"currency_code":"EUR","amount_minor":"2000"}`, nil
		case "google.protobuf.Timestamp":
			return `"2026-12-31T23:00:00Z"`, nil
		case "google.protobuf.FieldMask":
			return `"display_name"`, nil
		}
		return objectOf(f.Message(), nil)
	case protoreflect.EnumKind:
		// The first value is the unspecified one.
		return `"` + string(f.Enum().Values().Get(1).Name()) + `"`, nil
	case protoreflect.BoolKind:
		return "true", nil
	case protoreflect.BytesKind:
		return `"RGF0ZTtUZXh0O0Ftb3VudA=="`, nil
	case protoreflect.StringKind:
		c := constraintsOf(f)
		if f.IsList() {
			c = c.GetRepeated().GetItems()
		}
		text, err := stringOf(f.Name(), c.GetString())
		quoted, _ := json.Marshal(text)
		return string(quoted), err
	case protoreflect.Int64Kind, protoreflect.Uint64Kind:
		return `"1"`, nil
	default:
		return "1", nil
	}
}

// domainNeeds are fields that a rule of the services requires and the contract cannot, by message.
var domainNeeds = map[protoreflect.FullName][]protoreflect.Name{
	"cagnotte.campaigns.v1.Campaign":     {"texts", "goal"},
	"cagnotte.campaigns.v1.CampaignText": {"title", "story"},
	"cagnotte.money.v1.Money":            {"currency_code", "amount_minor"},
}

// fieldTexts are texts that say more than any other would, by the name of the field.
var fieldTexts = map[protoreflect.Name]string{
	"collective_id": "vallon-contre-cameras",
	"campaign_id":   "avocate",
	"origin":        "https://vallon.example",
	"payee":         "Cabinet Martin",
	"document":      "2026-071",
	"reason":        "entered twice",
	"title":         "Une avocate pour Vallon",
	"story":         "Aidez-nous à payer la procédure.",
}

// sampleTexts are taken in this order: the first that a field's constraints accept.
var sampleTexts = []string{
	"Vallon contre caméras", "vallon-contre-cameras", exampleID, "2026-11-30", "EUR", "fr", "718", "0123456789ab",
	"tresoriere@example.org", "https://vallon.example", "FR7630006000011234567890189", strings.Repeat("0123456789abcdef", 3), strings.Repeat("0123456789abcdef", 4),
}

// stringOf picks a text that the constraints accept.
func stringOf(field protoreflect.Name, s *validate.StringRules) (string, error) {
	if s.GetUuid() {
		return exampleID, nil
	}
	// The first of the allowed texts is often the empty one.
	if len(s.GetIn()) > 0 {
		return s.GetIn()[len(s.GetIn())-1], nil
	}
	// The text for the field's name comes first, then a name that the pattern describes, then texts for all purposes.
	var candidates []string
	if text, ok := fieldTexts[field]; ok {
		candidates = append(candidates, text)
	}
	if s.HasPattern() {
		candidates = append(candidates, nameOf(s.GetPattern()))
	}
	candidates = append(candidates, sampleTexts...)
	for _, text := range candidates {
		// The contract counts characters and not bytes.
		length := uint64(utf8.RuneCountInString(text))
		switch {
		case s.HasPattern() && !matches(s.GetPattern(), text):
		case s.GetEmail() && !strings.Contains(text, "@"):
		case length < s.GetMinLen(), s.HasMaxLen() && length > s.GetMaxLen():
		default:
			return text, nil
		}
	}
	// The program does not start then, so a new constraint without an example is found by the tests.
	return "", fmt.Errorf("no example text fits the constraints %v", s)
}

var collectionName = regexp.MustCompile(`([a-z][A-Za-z]+)/`)

// nameOf writes a resource name for a pattern such as "^collectives/[a-z]+/expenses/[0-9a-f-]{36}$".
func nameOf(pattern string) string {
	var segments []string
	for _, collection := range collectionName.FindAllStringSubmatch(pattern, -1) {
		segments = append(segments, collection[1], "*")
	}
	return fillPattern(strings.Join(segments, "/"))
}

// A pattern that Go cannot read matches nothing.
func matches(pattern, text string) bool {
	matched, err := regexp.MatchString(pattern, text)
	return err == nil && matched
}
