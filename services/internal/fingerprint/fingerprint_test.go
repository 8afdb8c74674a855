package fingerprint_test

import (
	"bytes"
	"encoding/hex"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/cagnotte/cagnotte/services/internal/fingerprint"
)

func TestFingerprintsAreStable(t *testing.T) {
	const want = "25e4a2595a7fb17c6355ca32986d7685733fc18ea3dfdef383c745864a77b7da"
	fields := fingerprint.Fields{"amount_minor": "1250", "currency": "EUR", "cheques": fingerprint.List("a", "b"), "monthly": fingerprint.Flag(true)}
	if got := hex.EncodeToString(fingerprint.Of(fields)); got != want {
		t.Errorf("got %s, want %s: requests that are sent again after a deploy would be refused", got, want)
	}
}

func TestOnlyEqualFieldsShareAFingerprint(t *testing.T) {
	texts := rapid.MapOfN(rapid.StringMatching(`[a-c]{1,2}`), rapid.StringMatching(`[a-c]{0,2}`), 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		a, b := texts.Draw(t, "a"), texts.Draw(t, "b")
		same := bytes.Equal(fingerprint.Of(a), fingerprint.Of(b))
		none := func(_, value string) bool { return value == "" }
		maps.DeleteFunc(a, none)
		maps.DeleteFunc(b, none)
		if want := maps.Equal(a, b); same != want {
			t.Fatalf("%v and %v: same is %v, want %v", a, b, same, want)
		}
	})
}

func TestANewFieldKeepsOldFingerprints(t *testing.T) {
	before := fingerprint.Of(fingerprint.Fields{"amount_minor": "1250"})
	after := fingerprint.Of(fingerprint.Fields{"amount_minor": "1250", "monthly": fingerprint.Flag(false), "stage": "", "cheques": fingerprint.List()})
	if !bytes.Equal(before, after) {
		t.Error("a field that is not set changed the fingerprint")
	}
}

func TestListsAreOfTheirOwnValues(t *testing.T) {
	if fingerprint.List("ab", "c") == fingerprint.List("a", "bc") || fingerprint.List("a", "b") == fingerprint.List("b", "a") {
		t.Error("two lists have one value")
	}
}
