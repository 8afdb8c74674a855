package stripesim

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxFormDepth is more than any of Stripe's parameters needs.
const maxFormDepth = 10

// form is a tree of form-encoded parameters: a[b][0][c]=v. A node has fields or a value; the schema decides which one a
// parameter must have.
type form struct {
	value  string
	fields map[string]*form
	order  []string // of the fields, as they were sent
}

// parseForm reads an encoded query or body. Empty brackets (expand[]=a) count up from zero.
func parseForm(encoded string) (*form, *apiError) {
	root := &form{}
	for pair := range strings.SplitSeq(encoded, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return nil, invalid("", "", "Invalid encoding of the parameter %s", rawName)
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return nil, invalid("", name, "Invalid encoding of the value of %s", name)
		}
		steps := formPath(name)
		if len(steps) > maxFormDepth {
			return nil, invalid("", name, "Too many levels of nesting: %s", shorten(name))
		}
		node := root
		// A name that is sent twice overwrites its value. Each empty bracket makes a new element.
		for _, step := range steps {
			if step == "" {
				step = strconv.Itoa(len(node.fields))
			}
			node = node.child(step)
		}
		node.value = value
	}
	return root, nil
}

// formPath splits a[b][c] into a, b, c. Text that is no bracket stays part of the name, and so is refused as
// unknown later.
func formPath(name string) []string {
	first, rest, ok := strings.Cut(name, "[")
	if !ok || !strings.HasSuffix(rest, "]") {
		return []string{name}
	}
	return append([]string{first}, strings.Split(strings.TrimSuffix(rest, "]"), "][")...)
}

// child finds or creates a field. Its first use gives it its place in order.
func (f *form) child(name string) *form {
	if c, ok := f.fields[name]; ok {
		return c
	}
	if f.fields == nil {
		f.fields = map[string]*form{}
	}
	c := &form{}
	f.fields[name] = c
	f.order = append(f.order, name)
	return c
}

// isLeaf tells a value from a tree; the root of no parameters at all is a leaf too.
func (f *form) isLeaf() bool { return len(f.fields) == 0 }

// canonical writes the tree so that the same parameters in another order give the same text.
func (f *form) canonical() string {
	var b strings.Builder
	f.write(&b, "")
	return b.String()
}

// write is canonical for a part of the tree. Names and values are escaped, so that a bracket or an ampersand in them
// does not look like structure.
func (f *form) write(b *strings.Builder, prefix string) {
	if f.isLeaf() {
		b.WriteString(prefix + "=" + url.QueryEscape(f.value) + "&")
		return
	}
	for _, name := range slices.Sorted(slices.Values(f.order)) {
		f.fields[name].write(b, prefix+"["+url.QueryEscape(name)+"]")
	}
}
