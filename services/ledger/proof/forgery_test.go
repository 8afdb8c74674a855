package proof_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

// proven tells whether a file passes under the book's key.
func proven(file, key string) bool {
	report, err := proof.VerifyArchive(strings.NewReader(file), key)
	return err == nil && len(report.Differences) == 0
}

// encoded is a value as the files have it.
func encoded(t *testing.T, value any) string {
	t.Helper()
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// member is one thing that a line says, and how to put another value in its place.
type member struct {
	path string
	set  func(any)
	was  any
}

// members are all that a line says, at any depth: those of objects and of lists.
func members(path string, value any, set func(any)) []member {
	found := []member{{path, set, value}}
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			found = append(found, members(path+"."+name, inner, func(to any) { v[name] = to })...)
		}
	case []any:
		for i, inner := range v {
			found = append(found, members(fmt.Sprintf("%s[%d]", path, i), inner, func(to any) { v[i] = to })...)
		}
	}
	return found
}

// forged are other values for a member: near ones, far ones, empty ones.
func forged(was any) []any {
	switch v := was.(type) {
	case string:
		values := []any{"", v + "0", "1" + v, "x", "1", "-1"}
		if data, err := base64.StdEncoding.DecodeString(v); err == nil && len(data) == 32 {
			data[31] ^= 1
			values = append(values, base64.StdEncoding.EncodeToString(data), base64.StdEncoding.EncodeToString(data[:31]))
		}
		if n := len(v); n > 1 {
			swapped := []byte(v)
			swapped[n-1], swapped[0] = swapped[0], swapped[n-1]
			values = append(values, v[:n-1], v[1:], string(swapped), strings.ToUpper(v), "-"+v)
		}
		return values
	case float64:
		return []any{v + 1, v - 1, -v, 0}
	case []any:
		values := []any{[]any{}, append(slices.Clone(v), v...)}
		if len(v) > 0 {
			reversed := slices.Clone(v)
			slices.Reverse(reversed)
			values = append(values, v[1:], v[:len(v)-1], reversed)
		}
		return values
	case map[string]any:
		return []any{map[string]any{}, nil}
	}
	return nil
}

// jsonOrder writes an object with the members in the order of a line that the program wrote.
func jsonOrder(t *testing.T, line string, value any) string {
	t.Helper()
	switch v := value.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.SortFunc(names, func(a, b string) int {
			return strings.Index(line, `"`+a+`":`) - strings.Index(line, `"`+b+`":`)
		})
		parts := make([]string, 0, len(v))
		for _, name := range names {
			parts = append(parts, strings.TrimSpace(encoded(t, name))+":"+jsonOrder(t, line, v[name]))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		parts := make([]string, 0, len(v))
		for _, inner := range v {
			parts = append(parts, jsonOrder(t, line, inner))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return strings.TrimSpace(encoded(t, value))
}

// forgeEverything changes each member of some lines of a file to some other values, removes it, and does what else can be
// done to the line; none of these may pass. It returns how many it tried.
func forgeEverything(t *testing.T, file, key string, which func(n int, line string) bool) int {
	t.Helper()
	lines := slices.Collect(strings.Lines(file))
	tried := 0
	check := func(what, forged string) {
		t.Helper()
		if forged == file {
			return
		}
		tried++
		if proven(forged, key) {
			t.Errorf("%s: it passes", what)
		}
	}
	with := func(n int, replaced ...string) string {
		return strings.Join(slices.Concat(lines[:n], replaced, lines[n+1:]), "")
	}
	for n, line := range lines {
		if !which(n, line) {
			continue
		}
		read := func() (value map[string]any) {
			if err := json.Unmarshal([]byte(line), &value); err != nil {
				t.Fatal(err)
			}
			return value
		}
		if again := jsonOrder(t, line, read()) + "\n"; again != line {
			t.Fatalf("the test writes %s for %s", again, line)
		}
		all := members("", read(), nil)[1:]
		for i := range all {
			// Maps come in another order each time: the path says which.
			path := all[i].path
			find := func(value map[string]any) member {
				for _, m := range members("", value, nil)[1:] {
					if m.path == path {
						return m
					}
				}
				t.Fatalf("line %d has no %s", n+1, path)
				return member{}
			}
			for _, to := range forged(all[i].was) {
				value := read()
				find(value).set(to)
				check(fmt.Sprintf("line %d, %s from %v to %v", n+1, path, all[i].was, to), with(n, jsonOrder(t, line, value)+"\n"))
			}
		}
		for name, inner := range read() {
			value := read()
			delete(value, name)
			check(fmt.Sprintf("line %d without %s", n+1, name), with(n, jsonOrder(t, line, value)+"\n"))
			// Readers disagree on which of two counts.
			twice := strings.TrimSuffix(line, "}\n") + fmt.Sprintf(",%q:%s}\n", name, jsonOrder(t, line, inner))
			check(fmt.Sprintf("line %d with %s twice", n+1, name), with(n, twice))
			check(fmt.Sprintf("line %d with %s in capitals", n+1, name), with(n, strings.Replace(line, `"`+name+`"`, `"`+strings.ToUpper(name)+`"`, 1)))
		}
		for _, added := range []string{
			`"shared":true`, `"donor":"x"`, `"number":"1"`, `"size":"1"`, `"last":"9"`, `"hashes":[]`, `"balance":{"account":"1","amount_minor":"1","currency_code":"EUR"}`,
			`"collective":"other"`, `"others":[]`, `"share":{"transactions":"1","place":"1","places":"1","path":[]}`, `"entries":[]`, `"version":2`,
		} {
			check(fmt.Sprintf("line %d with %s", n+1, added), with(n, strings.TrimSuffix(line, "}\n")+","+added+"}\n"))
		}
		check(fmt.Sprintf("line %d removed", n+1), with(n))
		check(fmt.Sprintf("line %d twice", n+1), with(n, line, line))
		check(fmt.Sprintf("line %d with a space", n+1), with(n, strings.Replace(line, ":", ": ", 1)))
		check(fmt.Sprintf("an empty line before line %d", n+1), with(n, "\n", line))
		check(fmt.Sprintf("cut off in line %d", n+1), strings.Join(lines[:n], "")+line[:len(line)/2])
		check(fmt.Sprintf("cut off before the end of line %d", n+1), strings.Join(lines[:n], "")+line[:len(line)-1])
		check(fmt.Sprintf("ended before line %d", n+1), strings.Join(lines[:n], "")+"{\"type\":\"end\"}\n")
		if n+1 < len(lines) {
			changed := slices.Clone(lines)
			changed[n], changed[n+1] = changed[n+1], changed[n]
			check(fmt.Sprintf("lines %d and %d in the other order", n+1, n+2), strings.Join(changed, ""))
		}
	}
	return tried
}

var (
	typeOf   = regexp.MustCompile(`^\{"type":"([a-z]+)"`)
	hashOf   = regexp.MustCompile(`"leaf_hash":("[^"]*")`)
	numberOf = regexp.MustCompile(`"number":"([0-9]+)"`)
)

// someOfEach takes the first and the last lines of each type, and of the transactions one more, that is for several.
func someOfEach(file string) func(n int, line string) bool {
	first, last, shared := map[string]int{}, map[string]int{}, -1
	n := 0
	for line := range strings.Lines(file) {
		kind := typeOf.FindStringSubmatch(line)[1]
		if _, seen := first[kind]; !seen {
			first[kind] = n
		}
		last[kind] = n
		if strings.Count(line, `"others":["`) > 0 && strings.Count(line, "=\",\"") > 0 && shared < 0 && n > 3 {
			shared = n
		}
		n++
	}
	return func(n int, line string) bool {
		kind := typeOf.FindStringSubmatch(line)[1]
		return n == first[kind] || n == last[kind] || n == shared
	}
}

// TestNoForgedShareIsProven changes everything that a valid file says, one thing at a time, and some things together.
func TestNoForgedShareIsProven(t *testing.T) {
	sealed := hosted(t, 90)
	file := sealed.share(t, vallon)
	report, err := proof.VerifyArchive(strings.NewReader(file), "")
	if err != nil || len(report.Differences) > 0 {
		t.Fatalf("report %+v, err = %v", report, err)
	}
	key := report.VerifierKey
	if !proven(file, key) || report.Own != 23 || report.Sealed != 90 {
		t.Fatalf("the file itself is not proven: %+v", report)
	}
	t.Run("with one thing changed", func(t *testing.T) {
		if tried := forgeEverything(t, file, key, someOfEach(file)); tried < 500 {
			t.Errorf("only %d forgeries", tried)
		}
	})
	doubled := regexp.MustCompile(`("amount_minor":"-?)([0-9]+)"`).ReplaceAllStringFunc(file, func(m string) string {
		var amount int64
		parts := regexp.MustCompile(`^("amount_minor":"-?)([0-9]+)"$`).FindStringSubmatch(m)
		if _, err := fmt.Sscan(parts[2], &amount); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`%s%d"`, parts[1], 2*amount)
	})
	line := lineOf(file, 5)
	asGap := fmt.Sprintf(`{"type":"gap","number":"5","last":"5","hashes":[%s]}`+"\n", hashOf.FindStringSubmatch(line)[1])
	lastLine := ""
	var allGaps strings.Builder
	for l := range strings.Lines(file) {
		if typeOf.FindStringSubmatch(l)[1] != "transaction" {
			allGaps.WriteString(l)
			continue
		}
		lastLine = l
		number := numberOf.FindStringSubmatch(l)[1]
		fmt.Fprintf(&allGaps, `{"type":"gap","number":"%s","last":"%s","hashes":[%s]}`+"\n", number, number, hashOf.FindStringSubmatch(l)[1])
	}
	lastNumber := numberOf.FindStringSubmatch(lastLine)[1]
	theirs := sealed.share(t, marseille)
	for rule, forged := range map[string]string{
		"all amounts doubled":                                   doubled,
		"all amounts doubled, and each marked as shared":        strings.ReplaceAll(doubled, `,"leaf_hash"`, `,"shared":true,"leaf_hash"`),
		"one donation times a thousand, in all its entries":     strings.Replace(file, line, regexp.MustCompile(`"amount_minor":"(-?[0-9]+)"`).ReplaceAllString(line, `"amount_minor":"${1}000"`), 1),
		"one donation marked as shared":                         strings.Replace(file, line, strings.Replace(line, `"entries"`, `"shared":true,"entries"`, 1), 1),
		"one donation turned into a gap":                        strings.Replace(file, line, asGap, 1),
		"the last donation turned into a gap":                   strings.Replace(file, lastLine, fmt.Sprintf(`{"type":"gap","number":"%s","last":"%s","hashes":[%s]}`+"\n", lastNumber, lastNumber, hashOf.FindStringSubmatch(lastLine)[1]), 1),
		"one donation turned into a gap, and one fewer counted": strings.Replace(strings.Replace(file, line, asGap, 1), `"transactions":"23"`, `"transactions":"22"`, 1),
		"all turned into gaps":                                  allGaps.String(),
		"all turned into gaps, and none counted":                regexp.MustCompile(`,"share":\{[^}]*\}`).ReplaceAllString(allGaps.String(), ""),
		"another collective's transactions under this name":     strings.ReplaceAll(theirs, marseille, vallon),
		"this collective's transactions under another name":     strings.ReplaceAll(file, vallon, marseille),
		"the other's count":                                     strings.Replace(file, shareMember(file), shareMember(theirs), 1),
		"a line of the other's in place of its gap":             withLineOf(file, theirs, 2),
		"nothing at all":                                        "",
		"nothing but a beginning and an end":                    file[:strings.Index(file, "\n")+1] + "{\"type\":\"end\"}\n",
		"nothing but the checkpoint":                            strings.Join(slices.Collect(strings.Lines(file))[:2], "") + "{\"type\":\"end\"}\n",
		"two files, one behind the other":                       file + file,
		"the checkpoint of an archive's kind":                   strings.Replace(file, `"note"`, `"previous_size":"1","note"`, 1),
	} {
		t.Run("nor "+rule, func(t *testing.T) {
			if forged == file {
				t.Fatal("nothing was changed")
			}
			if proven(forged, key) {
				t.Error("it passes")
			}
			// Whoever has no key of the book's is told of it all the same.
			if proven(forged, "") {
				t.Error("it passes without a key")
			}
		})
	}
	t.Run("nor the same under another key", func(t *testing.T) {
		forged := seal(t, bytes.Repeat([]byte{9}, 32), []proof.Leaf{donation(1, 100_000_000)}, 5).share(t, vallon)
		if !proven(forged, "") || proven(forged, key) {
			t.Error("it is not the key that tells")
		}
	})
}

// shareMember is what a file says of the collective's count.
func shareMember(file string) string { return regexp.MustCompile(`"share":\{[^}]*\}`).FindString(file) }

// withLineOf cuts a gap of a file open to put the other's line of a number into it.
func withLineOf(file, theirs string, number int) string {
	return strings.Replace(file, lineOf(file, 1), lineOf(file, 1)+lineOf(theirs, number), 1)
}

// TestNoForgedArchiveIsProven does the same to a whole book of two collectives.
func TestNoForgedArchiveIsProven(t *testing.T) {
	archive := hosted(t, 110).archive(t)
	report, err := proof.VerifyArchive(strings.NewReader(archive), "")
	if err != nil || len(report.Differences) > 0 || !proven(archive, report.VerifierKey) {
		t.Fatalf("report %+v, err = %v", report, err)
	}
	if tried := forgeEverything(t, archive, report.VerifierKey, someOfEach(archive)); tried < 500 {
		t.Errorf("only %d forgeries", tried)
	}
}
