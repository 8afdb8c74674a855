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

// Detect finds out how a file is to be read, by its content and never by its name: in one of the formats, from an archive or a
// workbook, or as CSV whose columns are recognised by their titles, or by what is in them. It never guesses at money: when the sign or the decimal mark of amounts is not certain, the file is refused.
// What it finds out is a [CSVFormat], with which [Read] reads and checks the file like any other.
//
// Errors, all INVALID_ARGUMENT: STATEMENT_FORMAT_UNKNOWN; STATEMENT_UNREADABLE; BANK_ACCOUNT_MISMATCH when a column names
// another account than OwnAccount.
func Detect(f File) (Detected, error) {
	var err error
	if f.Content, err = unpack(f.Content); err != nil {
		return Detected{}, err
	}
	f.CSV, f.Format = nil, formatOf(f.Content)
	kind := otherKind(f.Content)
	if f.Format == CAMT053 && kind == "" {
		kind = otherReportIn(f.Content)
	}
	if kind != "" && (f.Format == CSV || f.Format == CAMT053) {
		return Detected{}, unknownFormat(kind, "must be CAMT.053, OFX, CFONB 120, MT940, QIF, CSV or XLSX")
	}
	if f.Format != CSV {
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
	// The container of workbooks before XLSX, and an archive in an archive.
	case begins("PK\x03\x04", "\xd0\xcf\x11\xe0"):
		return ProblemWorkbook
	// A photograph, a web page, and what has bytes that no text has.
	case begins("\xff\xd8", "\x89PNG", "<!DOCTYPE", "<html", "<HTML"), bytes.IndexByte(content, 0) >= 0:
		return ProblemNotAStatement
	}
	return ""
}
