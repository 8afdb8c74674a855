package receipts

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/google/uuid"
	"golang.org/x/text/unicode/norm"

	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// DonorKind says which form a receipt is on.
type DonorKind string

// The kinds, as they are stored.
const (
	Individual DonorKind = "individual"
	Company    DonorKind = "company"
)

// Donor is who gave. A Donor is never stored, logged or put into an error.
type Donor struct {
	Kind        DonorKind `json:"kind"`
	FirstName   string    `json:"first_name,omitempty"`
	LastName    string    `json:"last_name,omitempty"`
	CompanyName string    `json:"company_name,omitempty"`
	LegalForm   string    `json:"legal_form,omitempty"`
	SIREN       string    `json:"siren,omitempty"`
	Street      string    `json:"street"`
	PostalCode  string    `json:"postal_code"`
	City        string    `json:"city"`
	Country     string    `json:"country,omitempty"`
}

// String keeps a donor out of logs.
func (d Donor) String() string { return "(a donor)" }

// GoString keeps a donor out of logs.
func (d Donor) GoString() string { return d.String() }

const (
	maxNameChars    = 80
	maxCompanyChars = 120
	maxFormChars    = 40
	maxStreetChars  = 120
	maxStreetLines  = 3
	maxCodeChars    = 12
	maxCityChars    = 80
)

// normalise brings what was typed into one form, so that the same person is the same bytes, and refuses what a receipt cannot
// show. Its errors name the field and never what was typed.
func (d *Donor) normalise() error {
	var individual, company bool
	switch d.Kind {
	case Individual:
		individual = true
		d.CompanyName, d.LegalForm, d.SIREN = "", "", ""
	case Company:
		company = true
		d.FirstName, d.LastName = "", ""
	default:
		return errs.Invalid("donor.kind", "is required")
	}
	for _, f := range []struct {
		field    string
		value    *string
		max      int
		required bool
	}{
		{"first_name", &d.FirstName, maxNameChars, individual},
		{"last_name", &d.LastName, maxNameChars, individual},
		{"company_name", &d.CompanyName, maxCompanyChars, company},
		{"legal_form", &d.LegalForm, maxFormChars, company},
		{"postal_code", &d.PostalCode, maxCodeChars, true},
		{"city", &d.City, maxCityChars, true},
		{"country", &d.Country, maxNameChars, false},
	} {
		line, err := printable("donor."+f.field, *f.value, f.max, f.required)
		if err != nil {
			return err
		}
		*f.value = line
	}
	if err := d.normaliseStreet(); err != nil {
		return err
	}
	// France is not written on a letter within it.
	if strings.EqualFold(d.Country, "France") {
		d.Country = ""
	}
	if !company {
		return nil
	}
	siren, err := checkSIREN("donor.siren", d.SIREN, true)
	d.SIREN = siren
	return err
}

// normaliseStreet takes lines, without those that are empty.
func (d *Donor) normaliseStreet() error {
	if len(d.Street) > 4*maxStreetLines*maxStreetChars {
		return errs.Invalid("donor.street", "must be at most %d characters a line", maxStreetChars)
	}
	var lines []string
	for line := range strings.Lines(strings.ReplaceAll(d.Street, "\r", "\n")) {
		line, err := printable("donor.street", line, maxStreetChars, false)
		if err != nil {
			return err
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	switch {
	case len(lines) == 0:
		return errs.Invalid("donor.street", "is required")
	case len(lines) > maxStreetLines:
		return errs.Invalid("donor.street", "must have at most %d lines", maxStreetLines)
	}
	d.Street = strings.Join(lines, "\n")
	return nil
}

// lines are the donor as the form prints it: the name, and the address.
func (d Donor) lines() (name string, address []string) {
	name = d.FirstName + " " + d.LastName
	if d.Kind == Company {
		name = d.CompanyName
	}
	address = append(strings.Split(d.Street, "\n"), d.PostalCode+" "+d.City)
	if d.Country != "" {
		address = append(address, d.Country)
	}
	return name, address
}

// marks are the signs in names and addresses beside letters, figures and space. Those of HTML are not among them, and neither
// are control characters and signs that change the direction of text.
const marks = "'’-.,/&()+:;°ºª№\"«»@!#–"

// printable takes a line in the composed form with single spaces, and refuses what is too long or not in the fonts of the PDF.
func printable(field, value string, maxChars int, required bool) (string, error) {
	// Four bytes are the longest character: nothing longer is looked at.
	if len(value) > 4*maxChars || utf8.RuneCountInString(strings.TrimSpace(value)) > maxChars {
		return "", errs.Invalid(field, "must be one line of at most %d characters", maxChars)
	}
	line := strings.Join(strings.Fields(norm.NFC.String(value)), " ")
	if line == "" && required {
		return "", errs.Invalid(field, "is required")
	}
	for _, r := range line {
		known := r == ' ' || strings.ContainsRune(marks, r) || unicode.IsLetter(r) || unicode.Is(unicode.Nd, r)
		if !known || r == utf8.RuneError || !inFonts(r) {
			return "", errs.Invalid(field, "has characters that cannot be printed")
		}
	}
	return line, nil
}

// checkSIREN takes nine digits with spaces, and checks the last one (Luhn, as INSEE gives them).
func checkSIREN(field, value string, required bool) (string, error) {
	digits := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, value)
	if digits == "" && !required {
		return "", nil
	}
	sum := 0
	for i, r := range digits {
		if r < '0' || r > '9' {
			return "", errs.Invalid(field, "must be the nine digits of a SIREN")
		}
		n := int(r - '0')
		if i%2 == 1 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	if len(digits) != 9 || sum%10 != 0 {
		return "", errs.Invalid(field, "must be the nine digits of a SIREN")
	}
	return digits, nil
}

// paddedTo is what the length of a sealed identity is a multiple of, so that it tells nothing about a name's length.
const paddedTo = 1024

// seal encrypts the donor to the recipients, armored. Nobody opens it without one of their keys, this service included.
func (d Donor) seal(recipients []string) (string, error) {
	if len(recipients) == 0 {
		return "", errors.New("receipts: there is no key to seal to")
	}
	to := make([]age.Recipient, len(recipients))
	for i, r := range recipients {
		recipient, err := age.ParseX25519Recipient(r)
		if err != nil {
			return "", err
		}
		to[i] = recipient
	}
	plain, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	// Space after JSON is JSON.
	plain = append(plain, bytes.Repeat([]byte{' '}, (paddedTo-len(plain)%paddedTo)%paddedTo)...)
	var out strings.Builder
	a := armor.NewWriter(&out)
	w, err := age.Encrypt(a, to...)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(plain); err != nil {
		return "", err
	}
	// The ends are written by Close.
	err = errors.Join(w.Close(), a.Close())
	return out.String(), err
}

// Open decrypts an identity that was sealed, with an age identity file as age-keygen writes it. It needs neither a database
// nor a network.
func Open(identities io.Reader, sealed string) (Donor, error) {
	keys, err := age.ParseIdentities(identities)
	if err != nil {
		return Donor{}, fmt.Errorf("receipts: read the identity: %w", err)
	}
	return open(keys, sealed)
}

func open(keys []age.Identity, sealed string) (d Donor, err error) {
	r, err := age.Decrypt(armor.NewReader(strings.NewReader(sealed)), keys...)
	if err != nil {
		return Donor{}, fmt.Errorf("receipts: open: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, 64<<10))
	if err != nil {
		return Donor{}, fmt.Errorf("receipts: open: %w", err)
	}
	err = json.Unmarshal(plain, &d)
	return d, err
}

// derive returns bytes that follow from a request's id and a purpose. The id is random and kept nowhere.
func derive(request uuid.UUID, purpose string, data []byte) []byte {
	mac := hmac.New(sha256.New, request[:])
	mac.Write([]byte("cagnotte receipts " + purpose + "\x00"))
	mac.Write(data)
	return mac.Sum(nil)
}

// check is what a repeat of a request is recognised by: it tells nothing without the request's id.
func (d Donor) check(request uuid.UUID) ([]byte, error) {
	body, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	return derive(request, "donor", body), nil
}

func requestHash(request uuid.UUID) []byte {
	sum := sha256.Sum256(append([]byte("cagnotte receipts request\x00"), request[:]...))
	return sum[:]
}
