package statement

import (
	"bytes"
	"regexp"
)

// Format is how a file is written.
type Format string

// The formats. CSV is that of files whose columns a [CSVFormat] tells.
const (
	CAMT053  Format = "camt.053"
	CSV      Format = "csv"
	OFX      Format = "ofx"
	CFONB120 Format = "cfonb120"
	MT940    Format = "mt940"
	QIF      Format = "qif"
)

// joins tells the formats of which several files can stand one behind the other.
func (f Format) joins() bool { return f != CSV && f != QIF }

// formatOf recognises the format by the content. What is no other format is CSV, or refused as that.
func formatOf(content []byte) Format {
	switch {
	case isOFX(content):
		return OFX
	case isMT940(content):
		return MT940
	case isCFONB(content):
		return CFONB120
	case isQIF(content):
		return QIF
	case bytes.HasPrefix(trimmed(content), []byte("<")):
		return CAMT053
	}
	return CSV
}

// otherReport recognises the messages of ISO 20022 that look like a statement and are none: 052 is a day that is not over, and
// 054 tells single movements without balances.
var otherReport = regexp.MustCompile(`<(?:[A-Za-z0-9]+:)?(BkToCstmrAcctRpt|BkToCstmrDbtCdtNtfctn)[\s>]`)

// otherReportIn returns the problem of such a message; empty for other files.
func otherReportIn(content []byte) ProblemKind {
	found := otherReport.FindSubmatch(content[:min(len(content), 16<<10)])
	switch {
	case found == nil:
		return ""
	case string(found[1]) == "BkToCstmrAcctRpt":
		return ProblemIntraday
	}
	return ProblemNotification
}
