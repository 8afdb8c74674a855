package receipts

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"filippo.io/age"

	"github.com/cagnotte/cagnotte/services/internal/csvcell"
)

// maxLineBytes is far above a sealed identity.
const maxLineBytes = 256 << 10

// openedColumns are those of what OpenFile writes.
var openedColumns = []string{
	"number", "kind", "first_name", "last_name", "company_name", "legal_form", "siren", "street", "postal_code", "city", "country",
}

// OpenFile opens a file of sealed identities, one JSON object a line with `number` and `sealed`, as the console hands it out,
// with an identity file of age, and writes them as CSV. It needs neither a database nor a network. It writes all that it can
// open, and returns an error that counts the others.
func OpenFile(identity, sealed io.Reader, out io.Writer) error {
	keys, err := age.ParseIdentities(identity)
	if err != nil {
		return fmt.Errorf("read the identity file: %w", err)
	}
	w := bufio.NewWriter(out)
	writeRow(w, openedColumns)
	lines := bufio.NewScanner(sealed)
	lines.Buffer(nil, maxLineBytes)
	closed, first := 0, error(nil)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var line struct{ Number, Sealed string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.Sealed == "" {
			return fmt.Errorf("line %d is no sealed identity", n)
		}
		d, err := open(keys, line.Sealed)
		if err != nil {
			closed, first = closed+1, errors.Join(first, fmt.Errorf("%s: %w", line.Number, err))
			continue
		}
		writeRow(w, []string{
			line.Number, string(d.Kind), d.FirstName, d.LastName, d.CompanyName, d.LegalForm, d.SIREN, d.Street, d.PostalCode, d.City, d.Country,
		})
	}
	if err := errors.Join(lines.Err(), w.Flush()); err != nil {
		return err
	}
	if closed > 0 {
		return fmt.Errorf("%d cannot be opened with this identity: %w", closed, first)
	}
	return nil
}

// writeRow writes a line of CSV; the writer keeps its error.
func writeRow(w *bufio.Writer, cells []string) {
	var line []byte
	for i, cell := range cells {
		if i > 0 {
			line = append(line, ',')
		}
		line = csvcell.Append(line, cell)
	}
	_, _ = w.Write(append(line, "\r\n"...))
}

// GenerateKey writes a new identity, as age-keygen does, and returns its public part. What is written opens identities and
// must not be lost.
func GenerateKey(out io.Writer) (recipient string, err error) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return "", err
	}
	recipient = key.Recipient().String()
	_, err = fmt.Fprintf(out, "# created: %s\n# public key: %s\n%s\n", time.Now().UTC().Format(time.RFC3339), recipient, key)
	return recipient, err
}
