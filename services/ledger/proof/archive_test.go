package proof_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

func TestVerifyArchive(t *testing.T) {
	sealed := single(t, 300, 100)
	archive := sealed.archive(t)
	report, err := proof.VerifyArchive(strings.NewReader(archive), sealed.verifierKey)
	if err != nil || len(report.Differences) > 0 || report.Sealed != 300 || report.Checkpoints != 3 || report.Book != book {
		t.Fatalf("report %+v, err = %v", report, err)
	}
	t.Run("tells another key", func(t *testing.T) {
		report, err := proof.VerifyArchive(strings.NewReader(archive), "cagnotte-ledger-other")
		if err != nil || len(report.Differences) != 1 {
			t.Errorf("found %v, err = %v", report, err)
		}
	})
	t.Run("says that nothing is proven without a checkpoint", func(t *testing.T) {
		report, err := proof.VerifyArchive(strings.NewReader((&sealedBook{}).archive(t)), "")
		if err != nil || !strings.Contains(fmt.Sprint(report.Differences), "nothing is proven") {
			t.Errorf("found %v, err = %v", report, err)
		}
	})
	line := func(number int) string { return lineOf(archive, number) }
	wantTold(t, archive, []forgery{
		{"an amount", line(7), strings.Replace(line(7), `"amount_minor":"106"`, `"amount_minor":"206"`, 1), "number 7 (txn_006): its transaction, an entry or its number is not what was sealed"},
		{"an unbalanced transaction", line(7), strings.Replace(line(7), `"amount_minor":"106"`, `"amount_minor":"206"`, 1), "sums to 100 EUR"},
		{"a stored balance", `"balance":{"account":"75411","amount_minor":"-`, `"balance":{"account":"75411","amount_minor":"-1`, "stored balance of account 75411"},
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

func TestVerifyShare(t *testing.T) {
	sealed := hosted(t, 300)
	file := sealed.share(t, vallon)
	report, err := proof.VerifyArchive(strings.NewReader(file), sealed.verifierKey)
	if err != nil || len(report.Differences) > 0 {
		t.Fatalf("report %+v, err = %v", report, err)
	}
	if report.Collective != vallon || report.Book != book || report.Sealed != 300 || report.Own != 75 || !report.Share {
		t.Errorf("report %+v", report)
	}
	t.Run("says that nothing is proven without a checkpoint", func(t *testing.T) {
		report, err := proof.VerifyArchive(strings.NewReader((&sealedBook{}).share(t, vallon)), "")
		if err != nil || !strings.Contains(fmt.Sprint(report.Differences), "nothing is proven") {
			t.Errorf("found %v, err = %v", report, err)
		}
	})
	line := func(number int) string { return lineOf(file, number) }
	wantTold(t, file, []forgery{
		{"an amount", `"amount_minor":"1004"`, `"amount_minor":"1005"`, "number 5 (txn_004): its transaction, an entry or its number is not what was sealed"},
		{"an unbalanced transaction", `"amount_minor":"1004"`, `"amount_minor":"1005"`, "sums to 1 EUR"},
		{"a reference", `"reference":"txn_004"`, `"reference":"txn_xxx"`, "number 5 (txn_xxx): its transaction"},
		{"a hash with its content", regexp.MustCompile(`"leaf_hash":"[^"]*"`).FindString(line(5)), `"leaf_hash":"` + strings.Repeat("A", 43) + `="`, "another root was signed"},
		{"a changed note", `\nsigned 20`, `\nsigned 21`, "the signature of the checkpoint"},
		{"another book", `"book":"acct_vallon"`, `"book":"acct_other"`, "is of another book"},
		{"another collective", `"collective":"` + vallon, `"collective":"elsewhere`, "has an entry of another collective"},
	})
	wantRefused(t, map[string]string{
		"with a transaction removed": strings.Replace(file, line(5), "", 1),
		"with one twice":             strings.Replace(file, line(5), line(5)+line(5), 1),
		"cut off":                    file[:len(file)-len("{\"type\":\"end\"}\n")],
		"of another version":         strings.Replace(file, `"version":2`, `"version":1`, 1),
		"with a short gap":           regexp.MustCompile(`"hashes":\["[^"]*"`).ReplaceAllString(file, `"hashes":[`),
		"with an archive's line":     strings.Replace(file, line(5), `{"type":"balance"}`+"\n", 1),
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
			report, err := proof.VerifyArchive(strings.NewReader(forged), "")
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
		t.Run("is not one "+rule, func(t *testing.T) {
			if _, err := proof.VerifyArchive(strings.NewReader(forged), ""); err == nil {
				t.Error("it passes")
			}
		})
	}
}

// lineOf returns the line of the transaction of a number.
func lineOf(file string, number int) string {
	return regexp.MustCompile(fmt.Sprintf(`(?m)^\{"type":"transaction","number":"%d".*\n`, number)).FindString(file)
}
