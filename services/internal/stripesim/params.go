package stripesim

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// params are parameters that passed their schema: string, int64, bool, params, []any or map[string]string. A missing
// parameter reads as the zero value; has tells it from one that was sent.
type params map[string]any

// The accessors return the zero value for a missing parameter. obj of a missing object is nil, whose accessors work
// too.
func (p params) str(name string) string             { v, _ := p[name].(string); return v }
func (p params) flag(name string) bool              { v, _ := p[name].(bool); return v }
func (p params) obj(name string) params             { v, _ := p[name].(params); return v }
func (p params) list(name string) []any             { v, _ := p[name].([]any); return v }
func (p params) dict(name string) map[string]string { v, _ := p[name].(map[string]string); return v }

func (p params) num(name string) (int64, bool) { v, ok := p[name].(int64); return v, ok }

func (p params) has(name string) bool { _, ok := p[name]; return ok }

// strs returns a list of strings.
func (p params) strs(name string) []string {
	list := p.list(name)
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = v.(string)
	}
	return out
}

// spec checks one parameter, whose full name is given, and returns its value. It returns the value in the type that
// params has for it, or Stripe's error with the full name.
type spec func(name string, f *form) (any, *apiError)

// field is a named parameter of a schema.
type field struct {
	spec     spec
	required bool
}

// opt and req make a field that may, or must, be sent.
func opt(s spec) field { return field{spec: s} }
func req(s spec) field { return field{spec: s, required: true} }

// elsewhere is a parameter that Stripe has and this simulator does not support.
var elsewhere = opt(func(name string, _ *form) (any, *apiError) { return nil, notSimulated(name) })

// schema is what a call accepts.
type schema map[string]field

// parse checks a whole tree of parameters. Unknown ones come first, in the order sent, then missing ones.
func (s schema) parse(prefix string, f *form) (params, *apiError) {
	out := params{}
	for _, name := range f.order {
		// Within an object, the name is the one that the client sent: a[b].
		full := name
		if prefix != "" {
			full = prefix + "[" + name + "]"
		}
		fd, ok := s[name]
		if !ok {
			return nil, invalid("parameter_unknown", full, "Received unknown parameter: %s", full)
		}
		v, err := fd.spec(full, f.fields[name])
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	// A schema is a map, so the missing names have no order of their own; the smallest is reported.
	names := make([]string, 0, len(s))
	for name, fd := range s {
		if fd.required && !out.has(name) {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		missing := slices.Min(names)
		if prefix != "" {
			missing = prefix + "[" + missing + "]"
		}
		return nil, missingParam(missing)
	}
	return out, nil
}

// hash accepts a tree with a schema of its own.
func hash(s schema) spec {
	return func(name string, f *form) (any, *apiError) {
		if f.isLeaf() {
			return nil, invalid("", name, "Invalid object")
		}
		return s.parse(name, f)
	}
}

// unset accepts an empty value, the wish to unset a parameter, and otherwise what the spec accepts.
func unset(s spec) spec {
	return func(name string, f *form) (any, *apiError) {
		if f.isLeaf() && f.value == "" {
			return "", nil
		}
		return s(name, f)
	}
}

// list accepts up to limit elements (zero: any number), sent with or without indexes.
func list(of spec, limit int) spec {
	return func(name string, f *form) (any, *apiError) {
		if f.isLeaf() {
			return nil, invalid("", name, "Invalid array")
		}
		if limit > 0 && len(f.order) > limit {
			return nil, invalid("", name, "Array too long: %s has %d elements, at most %d are allowed.", name, len(f.order), limit)
		}
		keys := slices.Clone(f.order)
		// An index is a number that fits 31 bits. Anything else means that an object was sent.
		for _, k := range keys {
			if _, err := strconv.ParseUint(k, 10, 31); err != nil {
				return nil, invalid("", name, "Invalid array")
			}
		}
		// Indexes are numbers: a shorter one is smaller, so 2 comes before 10. Gaps between them are allowed.
		slices.SortFunc(keys, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
		out := make([]any, 0, len(keys))
		for _, k := range keys {
			v, err := of(name+"["+k+"]", f.fields[k])
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	}
}

// text accepts a string of at most limit characters (zero: 5,000, Stripe's general bound).
func text(limit int) spec {
	if limit == 0 {
		limit = 5000
	}
	return func(name string, f *form) (any, *apiError) {
		// A tree was sent where a value belongs.
		if !f.isLeaf() {
			return nil, invalid("", name, "Invalid string: %s must be a string", name)
		}
		// Stripe takes an empty string as the wish to unset a parameter, which no parameter here allows except
		// metadata.
		if f.value == "" {
			return nil, invalid("parameter_invalid_empty", name, "You passed an empty string for '%s'. We assume empty values "+
				"are an attempt to unset a parameter; however '%s' cannot be unset. You should remove '%s' from your request "+
				"or supply a non-empty value.", name, name, name)
		}
		if utf8.RuneCountInString(f.value) > limit {
			return nil, invalid("", name, "Invalid string: %s; must be at most %d characters", shorten(f.value), limit)
		}
		return f.value, nil
	}
}

// shorten keeps both ends of a text that is too long to be shown.
func shorten(s string) string {
	const end = 10
	r := []rune(s)
	if len(r) <= 2*end {
		return s
	}
	return string(r[:end]) + "…" + string(r[len(r)-end:])
}

// oneOf accepts one of the values of an enumeration.
func oneOf(values ...string) spec {
	return func(name string, f *form) (any, *apiError) {
		if v, err := text(0)(name, f); err != nil || slices.Contains(values, v.(string)) {
			return v, err
		}
		return nil, invalid("", name, "Invalid %s: must be one of %s", name, enumerate(values))
	}
}

// enumerate lists values as Stripe's messages do.
func enumerate(values []string) string {
	switch n := len(values); n {
	case 1:
		return values[0]
	case 2:
		return values[0] + " or " + values[1]
	default:
		return strings.Join(values[:n-1], ", ") + ", or " + values[n-1]
	}
}

// boolean accepts true and false in exactly this spelling.
func boolean(name string, f *form) (any, *apiError) {
	switch {
	case f.isLeaf() && f.value == "true":
		return true, nil
	case f.isLeaf() && f.value == "false":
		return false, nil
	}
	return nil, invalid("", name, "Invalid boolean: %s", f.value)
}

// integer accepts a whole number between the bounds.
func integer(low, high int64) spec {
	return func(name string, f *form) (any, *apiError) {
		// A tree has no value, so it is refused with the same message as a word.
		n, err := strconv.ParseInt(f.value, 10, 64)
		switch {
		case !f.isLeaf() || err != nil:
			return nil, invalid("parameter_invalid_integer", name, "Invalid integer: %s", f.value)
		case n < low:
			return nil, invalid("parameter_invalid_integer", name,
				"This value must be greater than or equal to %d (it currently is '%d').", low, n)
		case n > high:
			return nil, invalid("parameter_invalid_integer", name,
				"This value must be less than or equal to %d (it currently is '%d').", high, n)
		}
		return n, nil
	}
}

// timestamp accepts Unix seconds.
func timestamp(name string, f *form) (any, *apiError) {
	n, err := strconv.ParseInt(f.value, 10, 64)
	if !f.isLeaf() || err != nil || n < 0 {
		return nil, invalid("", name, "Invalid timestamp: must be an integer Unix timestamp in the range 0 to %d", int64(1)<<53)
	}
	return n, nil
}

// timeRange accepts created=t or created[gt|gte|lt|lte]=t and returns a span.
func timeRange(name string, f *form) (any, *apiError) {
	if f.isLeaf() {
		n, err := timestamp(name, f)
		if err != nil {
			return nil, err
		}
		return span{n.(int64), n.(int64)}, nil
	}
	bound := opt(timestamp)
	p, err := schema{"gt": bound, "gte": bound, "lt": bound, "lte": bound}.parse(name, f)
	if err != nil {
		return nil, err
	}
	// Both bounds of a span are included, and times are whole seconds, so gt and lt move by one.
	s := everything
	if n, ok := p.num("gte"); ok {
		s.from = n
	}
	if n, ok := p.num("gt"); ok {
		s.from = max(s.from, n+1)
	}
	if n, ok := p.num("lte"); ok {
		s.to = n
	}
	if n, ok := p.num("lt"); ok {
		s.to = min(s.to, n-1)
	}
	return s, nil
}

// metadata accepts up to 50 keys of 40 characters with values of 500; an empty value leaves its key out.
// https://docs.stripe.com/api/metadata
func metadata(name string, f *form) (any, *apiError) {
	const maxKeys, maxKey, maxValue = 50, 40, 500
	// An empty value for all of metadata is the same as none.
	if f.isLeaf() && f.value != "" {
		return nil, invalid("", name, "Invalid object")
	}
	out := map[string]string{}
	for _, key := range f.order {
		value := f.fields[key]
		full := fmt.Sprintf("%s[%s]", name, key)
		// Lengths are in characters, not in bytes.
		switch n, m := utf8.RuneCountInString(key), utf8.RuneCountInString(value.value); {
		case !value.isLeaf():
			return nil, invalid("", full, "Metadata values must be strings.")
		case n > maxKey:
			return nil, invalid("", full, "Metadata keys can have up to %d characters, but you passed in a key that is %d "+
				"characters. Invalid key: %s", maxKey, n, shorten(key))
		case m > maxValue:
			return nil, invalid("", full, "Metadata values can have up to %d characters, but you passed in a value that is %d "+
				"characters. Invalid value: %s", maxValue, m, shorten(value.value))
		case m > 0:
			out[key] = value.value
		}
	}
	if len(out) > maxKeys {
		return nil, invalid("", name, "Metadata can have up to %d keys, but you passed in %d.", maxKeys, len(out))
	}
	return out, nil
}
