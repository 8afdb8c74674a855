// Package fingerprint tells whether two requests with one id ask for the same.
package fingerprint

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
)

// Fields are what a request asks for, by name. An empty value is as good as none: so a request of before a field
// existed keeps its fingerprint, and is recognised when it is sent again.
type Fields map[string]string

// Of returns a hash that only equal fields share. Names must stay as they are: another name is another fingerprint.
func Of(fields Fields) []byte {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if value := fields[name]; value != "" {
			b = appendText(appendText(b, name), value)
		}
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

// List returns the value of a field that has many; lists of other values, or in another order, have another one.
func List(values ...string) string {
	var b []byte
	for _, value := range values {
		b = appendText(b, value)
	}
	return string(b)
}

// Flag returns the value of a field that is true or false. False is as good as none.
func Flag(set bool) string {
	if set {
		return "true"
	}
	return ""
}

// appendText writes the length first, so that no two sequences of texts have the same bytes.
func appendText(b []byte, text string) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(text)))
	return append(b, text...)
}
