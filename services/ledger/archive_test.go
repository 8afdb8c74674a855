package ledger_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/cagnotte/cagnotte/services/ledger"
)

func TestArchive(t *testing.T) {
	s, pool := filled(t)
	var out bytes.Buffer
	if err := s.WriteArchive(t.Context(), book, &out); err != nil {
		t.Fatal(err)
	}
	archive := out.String()
	report, err := ledger.VerifyArchive(strings.NewReader(archive), "")
	if err != nil || len(report.Differences) > 0 || report.Sealed != 300 || report.Checkpoints != 3 || report.Book != book {
		t.Fatalf("report %+v, err = %v", report, err)
	}
	t.Run("is the same each time, and under its key", func(t *testing.T) {
		var again bytes.Buffer
		if err := s.WriteArchive(t.Context(), book, &again); err != nil || again.String() != archive {
			t.Errorf("the second differs, err = %v", err)
		}
		if report, err := ledger.VerifyArchive(&again, report.VerifierKey); err != nil || len(report.Differences) > 0 {
			t.Errorf("found %v, err = %v", report, err)
		}
		report, err := ledger.VerifyArchive(strings.NewReader(archive), "cagnotte-ledger-other")
		if err != nil || len(report.Differences) != 1 {
			t.Errorf("another key: found %v, err = %v", report, err)
		}
	})
	t.Run("of an empty book proves nothing", func(t *testing.T) {
		ensure(t, s, pool, "acct_other")
		var empty bytes.Buffer
		if err := s.WriteArchive(t.Context(), "acct_other", &empty); err != nil {
			t.Fatal(err)
		}
		if report, err := ledger.VerifyArchive(&empty, ""); err != nil || !strings.Contains(fmt.Sprint(report.Differences), "nothing is proven") {
			t.Errorf("found %v, err = %v", report, err)
		}
	})
	line := func(number int) string { return lineOf(archive, number) }
	wantTold(t, archive, []forgery{
		{"an amount", line(7), strings.Replace(line(7), `"amount_minor":"106"`, `"amount_minor":"206"`, 1), "number 7 (txn_006): its transaction, an entry or its number is not what was sealed"},
		{"an unbalanced transaction", line(7), strings.Replace(line(7), `"amount_minor":"106"`, `"amount_minor":"206"`, 1), "sums to 100 EUR"},
		{"a kept balance", `"balance":{"account":"75411","amount_minor":"-`, `"balance":{"account":"75411","amount_minor":"-1`, "kept balance of account 75411"},
		{"a reference", `"reference":"txn_010"`, `"reference":"txn_xxx"`, "number 11 (txn_xxx): its transaction"},
		{"a removed transaction", line(9), "", "number 9: is missing"},
		{"a transaction twice", line(9), line(9) + line(9), "comes where number 10 is expected"},
		{"a changed note", `\nsigned 20`, `\nsigned 21`, "the signature of the checkpoint"},
		{"a removed checkpoint", archive[strings.Index(archive, `{"type":"checkpoint","size":"200"`):strings.Index(archive, `{"type":"checkpoint","size":"300"`)], "", "checkpoint 300: follows the checkpoint 200"},
	})
	wantRefused(t, map[string]string{
		"cut off":                   archive[:len(archive)-len("{\"type\":\"end\"}\n")],
		"cut in a line":             archive[:len(archive)/2],
		"of another version":        strings.Replace(archive, `"version":2`, `"version":1`, 1),
		"with something behind":     archive + line(9),
		"without its first line":    archive[strings.Index(archive, "\n")+1:],
		"with an unknown member":    strings.Replace(archive, `"kind":`, `"donor":"x","kind":`, 1),
		"with a number far away":    strings.Replace(archive, `"number":"9"`, `"number":"9000000000000"`, 1),
		"with nothing in it at all": "",
	})
}

// forgery is one change of a file, and what it must be told by.
type forgery struct{ rule, old, new, want string }

// wantTold makes each change by itself, and expects the check to tell it.
func wantTold(t *testing.T, file string, forgeries []forgery) {
	t.Helper()
	for _, f := range forgeries {
		t.Run("tells "+f.rule, func(t *testing.T) {
			forged := strings.Replace(file, f.old, f.new, 1)
			if forged == file {
				t.Fatal("nothing was changed")
			}
			report, err := ledger.VerifyArchive(strings.NewReader(forged), "")
			if err != nil {
				t.Fatal(err)
			}
			if found := fmt.Sprint(report.Differences); !strings.Contains(found, f.want) {
				t.Errorf("found %s", found)
			}
		})
	}
}

// wantRefused says that none of the files, by what was done to them, is an archive.
func wantRefused(t *testing.T, files map[string]string) {
	t.Helper()
	for rule, forged := range files {
		t.Run("is none "+rule, func(t *testing.T) {
			if _, err := ledger.VerifyArchive(strings.NewReader(forged), ""); err == nil {
				t.Error("it passes")
			}
		})
	}
}

// lineOf returns the line of the transaction of a number.
func lineOf(file string, number int) string {
	return regexp.MustCompile(fmt.Sprintf(`(?m)^\{"type":"transaction","number":"%d".*\n`, number)).FindString(file)
}
