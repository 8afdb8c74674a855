// Package page makes and reads page tokens.
//
// A token is opaque to callers: it carries the key of the last row of a page
// (keyset paging, so pages stay right while rows arrive) and a fingerprint of
// the request's filter, so that a token cannot silently continue another
// question. It is not a secret and grants nothing: every page is authorised anew.
package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	"github.com/cagnotte/cagnotte/services/internal/errs"
)

const (
	defaultSize = 50
	maxSize     = 200
	// maxTokenBytes bounds what Decode looks at; the protos allow no more.
	maxTokenBytes   = 1024
	fingerprintSize = 8
)

// Size returns how many rows a page holds: 50 when asked for none, 200 at most.
func Size(asked int32) int {
	switch {
	case asked <= 0:
		return defaultSize
	case asked > maxSize:
		return maxSize
	default:
		return int(asked)
	}
}

// Encode returns the token that continues after the row with this key. Filter is
// whatever else the request asked for; both must survive encoding/json.
func Encode(filter any, key ...any) string {
	body, err := json.Marshal(key)
	if err != nil {
		panic("page: a key that JSON cannot hold: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(append(fingerprint(filter), body...))
}

// Decode reads a token into pointers to the key's parts, in Encode's order. A
// token that is broken, or was made for another filter, is INVALID_ARGUMENT on
// page_token.
func Decode(token string, filter any, key ...any) error {
	bad := errs.Invalid("page_token", "must be the next_page_token of the page before, with the same filter")
	if len(token) > maxTokenBytes {
		return bad
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < fingerprintSize || !bytes.Equal(raw[:fingerprintSize], fingerprint(filter)) {
		return bad
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(raw[fingerprintSize:], &parts); err != nil || len(parts) != len(key) {
		return bad
	}
	for i, part := range parts {
		// No key holds a NUL, and Postgres takes none.
		if bytes.Equal(part, []byte("null")) || bytes.Contains(part, []byte(`\u0000`)) || json.Unmarshal(part, key[i]) != nil {
			return bad
		}
	}
	return nil
}

func fingerprint(filter any) []byte {
	body, err := json.Marshal(filter)
	if err != nil {
		panic("page: a filter that JSON cannot hold: " + err.Error())
	}
	sum := sha256.Sum256(body)
	return sum[:fingerprintSize]
}
