// Package page reads lists page by page.
//
// A page token is opaque to callers. It carries the key of the page's last row, so that pages stay right while rows
// arrive, and a hash of the request's filter, so that a token cannot continue another list. It is not a secret and
// grants nothing: every page is authorised anew.
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
	// maxTokenBytes bounds what is decoded; the protos allow no more.
	maxTokenBytes = 1024
	filterSize    = 8
)

// Request is what the requests for all lists have in common.
type Request interface {
	GetPageSize() int32
	GetPageToken() string
}

// List returns the page that a request asks for, and the token of the next page, which is empty after the last.
//
// Read returns the first rows after a key, in the list's order, at most limit of them: one more than the page has, to
// know whether another follows. KeyOf returns a row's key. First is the key before all rows. The filter is all else
// that the request asks for, and tells one list from another. Filter and key must survive encoding/json.
//
// Errors: INVALID_ARGUMENT on page_token for a token that is broken or was made for another filter; those of read.
func List[Row, Key any](
	req Request, filter any, first Key, read func(after Key, limit int) ([]Row, error), keyOf func(Row) Key,
) (rows []Row, next string, err error) {
	after := first
	if token := req.GetPageToken(); token != "" {
		if err := Decode(token, filter, &after); err != nil {
			return nil, "", err
		}
	}
	size := Size(req)
	rows, err = read(after, size+1)
	if err != nil {
		return nil, "", err
	}
	if len(rows) > size {
		rows = rows[:size]
		next = Encode(filter, keyOf(rows[size-1]))
	}
	return rows, next, nil
}

// Size returns how many rows the page of a request has: 50 when it asks for none, 200 at most.
func Size(req Request) int {
	switch asked := req.GetPageSize(); {
	case asked <= 0:
		return defaultSize
	case asked > maxSize:
		return maxSize
	default:
		return int(asked)
	}
}

// Encode returns the token that continues after the row with this key, for what [List] cannot read.
func Encode(filter, key any) string {
	body, err := json.Marshal(key)
	if err != nil {
		panic("page: a key that JSON cannot hold: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(append(hash(filter), body...))
}

// Decode reads the key of a token into a pointer, for what [List] cannot read. Its errors are those of [List].
func Decode(token string, filter, key any) error {
	bad := errs.Invalid("page_token", "must be the next_page_token of the page before, with the same filter")
	if len(token) > maxTokenBytes {
		return bad
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < filterSize || !bytes.Equal(raw[:filterSize], hash(filter)) {
		return bad
	}
	body := raw[filterSize:]
	// No key holds a NUL, and Postgres takes none.
	if bytes.Equal(body, []byte("null")) || bytes.Contains(body, []byte(`\u0000`)) {
		return bad
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if d.Decode(key) != nil || d.More() {
		return bad
	}
	return nil
}

func hash(filter any) []byte {
	body, err := json.Marshal(filter)
	if err != nil {
		panic("page: a filter that JSON cannot hold: " + err.Error())
	}
	sum := sha256.Sum256(body)
	return sum[:filterSize]
}
