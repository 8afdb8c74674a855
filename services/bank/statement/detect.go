package statement

import (
	"bytes"
	"slices"
	"unicode/utf8"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
)

// Detected is what a file tells about itself.
type Detected struct {
	// File is the file with what was found out: its format and, of a CSV file, its currency and its balances.
	File File
	// Encoding is that of a CSV file.
	Encoding Encoding
	// Columns are the titles of a CSV file's columns; nil when it has none.
	Columns []string
}

// Detect finds out how a file is to be read: as CAMT.053, or as CSV whose columns are recognised by their titles, or by what
// is in them. It never guesses at money: when the sign or the decimal mark of amounts is not certain, the file is refused.
// What it finds out is a [CSVFormat], with which [Read] reads and checks the file like any other.
//
// Errors, all INVALID_ARGUMENT: STATEMENT_FORMAT_UNKNOWN; STATEMENT_UNREADABLE; BANK_ACCOUNT_MISMATCH when a column names
// another account than OwnAccount.
func Detect(f File) (Detected, error) {
	if kind := otherKind(f.Content); kind != "" {
		return Detected{}, unknownFormat(kind, "must be CAMT.053 or CSV")
	}
	if begins := bytes.TrimLeft(bytes.TrimPrefix(f.Content, []byte("\ufeff")), " \t\r\n"); bytes.HasPrefix(begins, []byte("<")) {
		f.CSV = nil
		return Detected{File: f}, nil
	}
	text, err := CSVFormat{}.decode(f.Content)
	if err != nil {
		return Detected{}, err
	}
	t, err := findTable(text)
	if err != nil {
		return Detected{}, err
	}
	if err := t.columns(); err != nil {
		return Detected{}, err
	}
	if err := t.account(&f); err != nil {
		return Detected{}, err
	}
	if err := t.days(); err != nil {
		return Detected{}, err
	}
	if err := t.amounts(&f); err != nil {
		return Detected{}, err
	}
	t.format.Encoding = encodingOf(f.Content)
	t.format.Section = t.section(text, f.OwnAccount)
	f.CSV = &t.format
	return Detected{File: f, Encoding: t.format.Encoding, Columns: t.titles}, t.format.Check()
}

// encodingOf is the encoding that [CSVFormat.decode] finds out.
func encodingOf(content []byte) Encoding {
	switch {
	case utf8.Valid(content):
		return UTF8
	case slices.ContainsFunc(content, isC1):
		return Windows1252
	}
	return Latin9
}

// unknownFormat is INVALID_ARGUMENT (STATEMENT_FORMAT_UNKNOWN).
func unknownFormat(kind ProblemKind, description string) error {
	return with(refused(errorsv1.ErrorReason_STATEMENT_FORMAT_UNKNOWN, "content", description), Problem{Kind: kind})
}

// otherKind tells a file that is neither XML nor a table of text, by its first bytes; empty for others.
func otherKind(content []byte) ProblemKind {
	begins := func(texts ...string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return bytes.HasPrefix(content, []byte(text)) })
	}
	switch {
	case begins("%PDF"):
		return ProblemPDF
	// A ZIP archive, as all newer workbooks are, and the container of the old ones.
	case begins("PK\x03\x04", "\xd0\xcf\x11\xe0"):
		return ProblemWorkbook
	// Money and Quicken, SWIFT MT940, a photograph, a web page, and what has bytes that no text has.
	case begins("OFXHEADER", "!Type", ":20:", "{1:", "\xff\xd8", "\x89PNG", "<!DOCTYPE", "<html", "<HTML", "<OFX", "<?OFX"),
		bytes.IndexByte(content, 0) >= 0:
		return ProblemNotAStatement
	}
	return ""
}
