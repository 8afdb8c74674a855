package chaos_test

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// statementFile is a bank statement of some whole days.
type statementFile struct {
	lines        []*bankLine
	openingMinor int64
	request      *bankv1.ImportBankStatementRequest
}

// statement writes the lines of some days, the last one included. No two files are equal.
func (h *history) statement(from, to string, camt bool) *statementFile {
	f := &statementFile{openingMinor: openingMinor}
	closingMinor := int64(openingMinor)
	for _, l := range h.paper.bank.lines {
		if l.day > to {
			break
		}
		closingMinor += l.minor
		if l.day < from {
			f.openingMinor = closingMinor
			continue
		}
		f.lines = append(f.lines, l)
	}
	h.paper.bank.exports++
	f.request = &bankv1.ImportBankStatementRequest{Parent: "collectives/" + h.slug, RequestId: uuid.NewString()}
	if camt {
		f.request.Format = &bankv1.ImportBankStatementRequest_Camt053{Camt053: true}
		f.request.Content = []byte(f.camt(h.paper.bank.exports, to, closingMinor))
		return f
	}
	f.request.Format = &bankv1.ImportBankStatementRequest_Csv{Csv: &bankv1.CsvFormat{
		SkipLines: 2, DateColumn: 1, ReferenceColumn: 2, TextColumns: []int32{3}, DebitColumn: 4, CreditColumn: 5,
	}}
	f.request.OpeningBalance, f.request.ClosingBalance = apptest.Euros(f.openingMinor), apptest.Euros(closingMinor)
	f.request.Content = []byte(f.csv(h.paper.bank.exports, h.dice.IntN(2) == 0))
	return f
}

// decimal formats the absolute value of an amount.
func decimal(minor int64, mark string) string {
	minor = max(minor, -minor)
	return fmt.Sprintf("%d%s%02d", minor/100, mark, minor%100)
}

// csv writes a file in the form of French banks; some of them write the newest line first.
func (f *statementFile) csv(number int, newestFirst bool) string {
	rows := make([]string, len(f.lines))
	for i, l := range f.lines {
		debit, credit := "", decimal(l.minor, ",")
		if l.minor < 0 {
			debit, credit = credit, ""
		}
		at := i
		if newestFirst {
			at = len(rows) - 1 - i
		}
		rows[at] = strings.Join([]string{l.day[8:] + "/" + l.day[5:7] + "/" + l.day[:4], l.reference, l.text, debit, credit}, ";")
	}
	return fmt.Sprintf("Releve no %d\r\nDate;Reference;Libelle;Debit;Credit\r\n%s\r\n", number, strings.Join(rows, "\r\n"))
}

// camt writes a CAMT.053 file, with one entry that is pending and must be ignored.
func (f *statementFile) camt(number int, day string, closingMinor int64) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>%d</Id>
<Acct><Id><IBAN>%s</IBAN></Id><Ccy>EUR</Ccy></Acct>
%s
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp>%s<Dt><Dt>%s</Dt></Dt></Bal>
<Ntry><Amt Ccy="EUR">99.99</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>PDNG</Cd></Sts><BookgDt><Dt>%[5]s</Dt></BookgDt></Ntry>
`, number, iban, opening(f.openingMinor), amountXML(closingMinor), day)
	for _, l := range f.lines {
		fmt.Fprintf(&b, `<Ntry>%s<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>%s</Dt></BookgDt><AcctSvcrRef>%s</AcctSvcrRef>`+
			`<NtryDtls><TxDtls><RmtInf><Ustrd>%s</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>`+"\n", amountXML(l.minor), l.day, l.reference, l.text)
	}
	b.WriteString("</Stmt></BkToCstmrStmt></Document>\n")
	return b.String()
}

// opening returns the opening balance of a CAMT.053 file.
func opening(minor int64) string {
	return `<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp>` + amountXML(minor) + `</Bal>`
}

func amountXML(minor int64) string {
	sign := "CRDT"
	if minor < 0 {
		sign = "DBIT"
	}
	return fmt.Sprintf(`<Amt Ccy="EUR">%s</Amt><CdtDbtInd>%s</CdtDbtInd>`, decimal(minor, "."), sign)
}
