package receipts

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"filippo.io/age"
)

func TestOpenFile(t *testing.T) {
	var file bytes.Buffer
	recipient, err := GenerateKey(&file)
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	line := func(number string, d Donor, recipients ...string) string {
		if err := d.normalise(); err != nil {
			t.Fatal(err)
		}
		sealed, err := d.seal(recipients)
		if err != nil {
			t.Fatal(err)
		}
		if len(sealed) > maxLineBytes/2 || strings.Contains(sealed, "Łukasiewicz") {
			t.Errorf("sealed: %s", sealed)
		}
		encoded, err := json.Marshal(map[string]string{"number": number, "sealed": sealed})
		if err != nil {
			t.Fatal(err)
		}
		return string(encoded) + "\n"
	}
	sealed := line("2026-00001", person(), recipient, other.Recipient().String()) + line("2026-00002", company(), other.Recipient().String())
	var out bytes.Buffer
	err = OpenFile(bytes.NewReader(file.Bytes()), strings.NewReader(sealed), &out)
	if err == nil || !strings.Contains(err.Error(), "1 cannot be opened") || !strings.Contains(err.Error(), "2026-00002") {
		t.Errorf("%v", err)
	}
	if !strings.Contains(out.String(), "2026-00001,individual,Zoé,Łukasiewicz-D’Arcy") || strings.Contains(out.String(), "Ateliers") {
		t.Errorf("%s", out.String())
	}
	out.Reset()
	if err := OpenFile(strings.NewReader(other.String()), strings.NewReader(sealed), &out); err != nil || !strings.Contains(out.String(), "SARL,732829320") {
		t.Errorf("%v: %s", err, out.String())
	}
	for what, bad := range map[string]struct{ identity, sealed string }{
		"no identity": {"nothing", sealed}, "no file of ours": {other.String(), "a name\n"}, "an empty object": {other.String(), "{}\n"},
	} {
		if err := OpenFile(strings.NewReader(bad.identity), strings.NewReader(bad.sealed), &out); err == nil {
			t.Errorf("%s is opened", what)
		}
	}
}

// Names of different lengths are sealed to the same length.
func TestSealedIdentitiesAreOfOneLength(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	short, long := person(), person()
	short.FirstName, long.FirstName = "A", strings.Repeat("Maximilienne ", 5)
	lengths := map[int]bool{}
	for _, d := range []Donor{short, long} {
		if err := d.normalise(); err != nil {
			t.Fatal(err)
		}
		sealed, err := d.seal([]string{key.Recipient().String()})
		if err != nil {
			t.Fatal(err)
		}
		lengths[len(sealed)] = true
	}
	if len(lengths) != 1 {
		t.Errorf("lengths %v", lengths)
	}
}
