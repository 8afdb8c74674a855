package console

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// The script is what `make age` made of these sources: who changes one runs it.
func TestTheScriptOfKeysIsCurrent(t *testing.T) {
	sums, err := os.ReadFile("age/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(sums))
	files := 0
	for lines.Scan() {
		want, name, _ := strings.Cut(lines.Text(), "  ")
		content, err := os.ReadFile("age/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s changed after age.js was made: run make age", name)
		}
		files++
	}
	if files != 3 {
		t.Errorf("%d files are recorded, want 3", files)
	}
	var made struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	content, err := os.ReadFile("age/package.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &made); err != nil || made.Dependencies["age-encryption"] == "" || strings.ContainsAny(made.Dependencies["age-encryption"], "^~*") {
		t.Errorf("the version of age is not pinned: %v, %v", made, err)
	}
}

// Keys stay in the browser: the script asks for nothing and stores nothing.
func TestTheScriptOfKeysSendsNothing(t *testing.T) {
	for _, forbidden := range []string{"fetch(", "XMLHttpRequest", "sendBeacon", "WebSocket", "localStorage", "sessionStorage", "indexedDB", "document.cookie", "eval(", "new Function"} {
		if bytes.Contains(ageScript, []byte(forbidden)) {
			t.Errorf("the script has %s", forbidden)
		}
	}
}
