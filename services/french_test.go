package services_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var campagne = regexp.MustCompile(`(?i)campagne`)

// The French texts for people have one word for a campaign, collecte.
func TestFrenchTextsSayCollecte(t *testing.T) {
	found := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			if name := entry.Name(); name == "node_modules" || name != ".." && strings.HasPrefix(name, ".") {
				return filepath.SkipDir
			}
			return nil
		case !strings.HasSuffix(path, ".fr.json") && filepath.Base(path) != "fec_notice.txt" && filepath.Base(path) != "recurringtext.go":
			return nil
		}
		found++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if at := campagne.FindIndex(text); at != nil {
			t.Errorf("%s says campagne: …%s…", path, text[max(0, at[0]-30):min(len(text), at[1]+30)])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 5 {
		t.Errorf("only %d texts were found", found)
	}
}
