package statement

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/money"
)

// largest is what a request may hold.
const largest = 4 << 20

// TestFilesThatAreAllStructure holds what a hostile file may cost: memory is a small multiple of the file, and the
// time does not grow with its square.
func TestFilesThatAreAllStructure(t *testing.T) {
	const head = `<Document><BkToCstmrStmt>`
	fill := func(head, part string) []byte {
		return []byte(head + strings.Repeat(part, (largest-len(head))/len(part)))
	}
	entry := head + `<Stmt><Ntry><Amt Ccy="EUR">1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-03-02</Dt></BookgDt><NtryDtls>`
	read := map[string]func() error{
		"statements":        func() error { _, err := statementsOf(fill(head, "<Stmt/>")); return err },
		"balances":          func() error { _, err := statementsOf(fill(head+"<Stmt>", "<Bal/>")); return err },
		"entries":           func() error { _, err := statementsOf(fill(head+"<Stmt>", "<Ntry/>")); return err },
		"details":           func() error { _, err := statementsOf(fill(entry, "<TxDtls/>")); return err },
		"details, closed":   func() error { return detailsClosed(entry) },
		"lines of remarks":  func() error { _, err := statementsOf(fill(entry+"<TxDtls><RmtInf>", "<Ustrd/>")); return err },
		"depth":             func() error { _, err := statementsOf(fill("", "<a>")); return err },
		"depth in an entry": func() error { _, err := statementsOf(fill(entry, "<TxDtls>")); return err },
		"a quote that nobody closes": func() error {
			_, err := linesOf(fill(`"`, "\n\";\""), CSVFormat{Separator: ';', Date: 1, Amount: 2}, money.EUR)
			return err
		},
		"columns": func() error {
			_, err := linesOf(fill("", ";"), CSVFormat{Separator: ';', Date: 1, Amount: 2}, money.EUR)
			return err
		},
	}
	for name, parse := range read {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := parse()
			runtime.ReadMemStats(&after)
			if !unreadableHere(err) {
				t.Errorf("got %v", err)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 16*largest {
				t.Errorf("a file of %d MiB took %d MiB", largest>>20, took>>20)
			}
		})
	}
}

func unreadableHere(err error) bool {
	e := errs.As(err)
	return e != nil && e.Reason == errorsv1.ErrorReason_STATEMENT_UNREADABLE
}

// detailsClosed is a file that can be read to its end: an entry of details without amounts.
func detailsClosed(entry string) error {
	const tail = "</NtryDtls></Ntry></Stmt></BkToCstmrStmt></Document>"
	body := strings.Repeat("<TxDtls><AddtlTxInf>x</AddtlTxInf></TxDtls>", (largest-len(entry)-len(tail))/43)
	_, err := statementsOf([]byte(entry + body + tail))
	if err == nil {
		return errors.New("it was taken")
	}
	return err
}

// TestXMLHasNoEntities: neither a bomb nor a way to the file system.
func TestXMLHasNoEntities(t *testing.T) {
	for name, declaration := range map[string]string{
		"a bomb":             `<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>`,
		"an external entity": `<!DOCTYPE d [<!ENTITY b SYSTEM "file:///etc/passwd">]>`,
		"none declared":      ``,
	} {
		content := strings.Replace(string(camt("08", "0.00", "25.00", camtCredit)), "<Document", declaration+"<Document", 1)
		content = strings.Replace(content, "<Ustrd>9QXT</Ustrd>", "<Ustrd>&b;</Ustrd>", 1)
		if _, err := statementsOf([]byte(content)); !unreadableHere(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReferencesNameNobody: what is stored of a line is a number, whatever stands in its place.
func TestReferencesNameNobody(t *testing.T) {
	for reference, want := range map[string]string{
		" B-1 ": "B-1", "2026/0412.7": "2026/0412.7", "B-3b/2": "B-3b/2", "Z1202611090001": "Z1202611090001",
		"0197C0DE-0000-7000-8000-000000000001": "0197C0DE-0000-7000-8000-000000000001",
		"":                                     "", "NOTPROVIDED": "", "NONREF": "", "JEANNE DUPONT": "", "DUPONT": "", "VIR JEANNE DUPONT 12": "", "1\x00": "",
		"CANARYPAYER-DUPONT-75": "", "DUPONT75": "", "75Li": "", "LI-75": "", "D-U-75": "", "7D-U": "", "Ñ-75": "", "J": "",
		"FR1420041010050500013M02606": "", strings.Repeat("1", 101): "",
	} {
		if got := (Movement{Reference: provided(reference)}).StoredReference(); got != want {
			t.Errorf("%q is %q, want %q", reference, got, want)
		}
	}
	format := CSVFormat{Date: 1, Amount: 3, Text: []int{2}, Reference: 2}
	if format.Check() == nil {
		t.Error("the column of texts is taken for that of references")
	}
}
