package instance

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"testing"
)

var placeholder = regexp.MustCompile(`\{\w+\}`)

// The console says each finding in the languages of its readers, with the same values.
func TestTheConsoleHasTheFindings(t *testing.T) {
	for _, language := range []string{"fr", "en"} {
		raw, err := os.ReadFile("../../gateway/console/strings/instance." + language + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var sentences map[string]any
		if err := json.Unmarshal(raw, &sentences); err != nil {
			t.Fatal(err)
		}
		for code, message := range messages {
			said, ok := sentences["finding."+code].(string)
			if !ok {
				t.Errorf("%s: finding.%s is missing", language, code)
				continue
			}
			theirs := placeholder.FindAllString(said, -1)
			for _, value := range placeholder.FindAllString(message, -1) {
				// A message may name the command, which the console does not.
				if !slices.Contains(theirs, value) {
					t.Errorf("%s: finding.%s lacks %s", language, code, value)
				}
			}
		}
	}
}

func TestTestMails(t *testing.T) {
	for _, language := range []string{"fr", "en", ""} {
		subject, text := testMail(language, "https://dons.example.org")
		if subject == "" || !regexp.MustCompile(`https://dons\.example\.org`).MatchString(text) || placeholder.MatchString(subject+text) {
			t.Errorf("%s: %q, %q", language, subject, text)
		}
	}
}
