package exports_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cagnotte/cagnotte/services/money"
)

var fecColumns = []string{
	"JournalCode", "JournalLib", "EcritureNum", "EcritureDate", "CompteNum", "CompteLib", "CompAuxNum", "CompAuxLib", "PieceRef",
	"PieceDate", "EcritureLib", "Debit", "Credit", "EcritureLet", "DateLet", "ValidDate", "Montantdevise", "Idevise",
}

var (
	fecAmount = regexp.MustCompile(`^[0-9]+,[0-9]{2}$`)
	fecCode   = regexp.MustCompile(`^[0-9]{3}`)
)

// fecLine is a line by the names of its columns.
type fecLine map[string]string

// minor is debit less credit; a malformed amount is reported by checkFEC.
func (l fecLine) minor() int64 {
	debit, _ := money.Parse(strings.ReplaceAll(l["Debit"], ",", "."), money.EUR)
	credit, _ := money.Parse(strings.ReplaceAll(l["Credit"], ",", "."), money.EUR)
	return debit.Minor - credit.Minor
}

// checkFEC is written after the administration's test tool, not after our writer: it returns what
// that tool would say of a file of the year.
func checkFEC(text, first, last string) (lines []fecLine, problems []string) {
	say := func(number int, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("line %d: ", number)+fmt.Sprintf(format, args...))
	}
	if !utf8.ValidString(text) || strings.HasPrefix(text, "\ufeff") {
		say(0, "not plain UTF-8")
	}
	body, ended := strings.CutSuffix(text, "\r\n")
	if !ended {
		say(0, "the last line does not end")
	}
	records := strings.Split(body, "\r\n")
	if records[0] != strings.Join(fecColumns, "\t") {
		say(1, "the columns are %q", records[0])
	}
	sums := map[string]int64{}
	previous := fecLine{"EcritureNum": "0", "ValidDate": "00000000"}
	for i, record := range records[1:] {
		number := i + 2
		fields := strings.Split(record, "\t")
		if len(fields) != len(fecColumns) || strings.ContainsAny(record, "|\r\n") {
			say(number, "%d fields in %q", len(fields), record)
			continue
		}
		line := fecLine{}
		for column, name := range fecColumns {
			line[name] = fields[column]
		}
		lines = append(lines, line)
		for _, column := range []int{0, 1, 2, 3, 4, 5, 8, 9, 10, 15} {
			if strings.TrimSpace(fields[column]) == "" {
				say(number, "%s is empty", fecColumns[column])
			}
		}
		for _, pair := range [][2]string{{"CompAuxNum", "CompAuxLib"}, {"Montantdevise", "Idevise"}} {
			if (line[pair[0]] == "") != (line[pair[1]] == "") {
				say(number, "one of %v is empty", pair)
			}
		}
		if line["DateLet"] != "" && line["EcritureLet"] == "" {
			say(number, "a date of lettering without lettering")
		}
		for _, name := range []string{"EcritureDate", "PieceDate", "ValidDate", "DateLet"} {
			day := line[name]
			if _, err := time.Parse("20060102", day); (err != nil || day < first || day > last) && (day != "" || name != "DateLet") {
				say(number, "%s is %q", name, day)
			}
		}
		if !fecCode.MatchString(line["CompteNum"]) {
			say(number, "the account is %q", line["CompteNum"])
		}
		if !fecAmount.MatchString(line["Debit"]) || !fecAmount.MatchString(line["Credit"]) {
			say(number, "the amounts are %q and %q", line["Debit"], line["Credit"])
		} else if (line["Debit"] == "0,00") == (line["Credit"] == "0,00") {
			say(number, "debit and credit on one line, or neither")
		}
		before, _ := strconv.Atoi(previous["EcritureNum"])
		if now, err := strconv.Atoi(line["EcritureNum"]); err != nil || now != before && now != before+1 {
			say(number, "%q comes after %d", line["EcritureNum"], before)
		}
		if line["ValidDate"] < previous["ValidDate"] {
			say(number, "validated on %s, after a line of %s", line["ValidDate"], previous["ValidDate"])
		}
		if line["JournalCode"] == "AN" && previous["JournalCode"] != "" && previous["JournalCode"] != "AN" {
			say(number, "an opening balance after the year's entries")
		}
		sums[line["JournalCode"]+" "+line["EcritureNum"]] += line.minor()
		previous = line
	}
	for key, sum := range sums {
		if sum != 0 {
			say(0, "%s is not balanced", key)
		}
	}
	return lines, problems
}

// TestCheckFEC breaks a good file in every way that the checks are for.
func TestCheckFEC(t *testing.T) {
	line := func(fields ...string) string { return strings.Join(fields, "\t") + "\r\n" }
	good := []string{"DON", "Dons", "1", "20260102", "51212", "Stripe", "", "", "txn", "20260102", "Don", "20,00", "0,00", "", "", "20260103", "", ""}
	second := []string{"DON", "Dons", "1", "20260102", "75411", "Dons", "", "", "txn", "20260102", "Don", "0,00", "20,00", "", "", "20260103", "", ""}
	header := line(fecColumns...)
	if _, problems := checkFEC(header+line(good...)+line(second...), "20260101", "20261231"); len(problems) > 0 {
		t.Fatalf("the good file has %q", problems)
	}
	for column, values := range map[int][]string{
		0: {"", "OD"}, 1: {""}, 2: {"", "2", "0", "x"}, 3: {"", "20251231", "20270101", "20260230", "2026-01-02"}, 4: {"", "51", "5A1"}, 5: {"", " "},
		6: {"DUPONT"}, 7: {"Dupont"}, 8: {""}, 9: {"", "20251231"}, 10: {"", "a|b", "a\tb"}, 11: {"", "21,00", "20.00", "20", "-20,00", "0,00"}, 12: {"20,00", "x"},
		14: {"20260102"}, 15: {"", "20260104", "20270101"}, 16: {"20,00"}, 17: {"EUR"},
	} {
		for _, value := range values {
			changed := append([]string(nil), good...)
			changed[column] = value
			if _, problems := checkFEC(header+line(changed...)+line(second...), "20260101", "20261231"); len(problems) == 0 {
				t.Errorf("%s as %q passes", fecColumns[column], value)
			}
		}
	}
	for what, text := range map[string]string{
		"a byte order mark":       "\ufeff" + header,
		"another encoding":        header + "\xe9",
		"an open end":             strings.TrimSuffix(header+line(good...), "\r\n"),
		"other columns":           strings.Replace(header, "Debit\tCredit", "Montant\tSens", 1),
		"an opening in between":   header + line(good...) + line(second...) + strings.ReplaceAll(line(good...)+line(second...), "DON\tDons\t1", "AN\tDons\t2"),
		"a number left out":       header + line(good...) + line(second...) + strings.ReplaceAll(line(good...)+line(second...), "Dons\t1", "Dons\t3"),
		"half of what is entered": header + line(good...),
	} {
		if _, problems := checkFEC(text, "20260101", "20261231"); len(problems) == 0 {
			t.Errorf("%s passes", what)
		}
	}
}
