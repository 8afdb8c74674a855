package proof_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

const codeHeader = "cagnotte-proof-2."

func TestVerifyCode(t *testing.T) {
	sealed := single(t, 9, 5)
	code := sealed.inclusion(t, 3).Code()
	leaf, checkpoint, err := proof.VerifyCode(code, sealed.verifierKey)
	if err != nil {
		t.Fatal(err)
	}
	if leaf.Reference != "txn_002" || leaf.Entries[1].Amount.Minor != -102 || checkpoint.Size != 9 {
		t.Errorf("proves %+v in %+v", leaf, checkpoint)
	}
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(code, codeHeader))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("fails when any bit is changed", func(t *testing.T) {
		for i := range data {
			for bit := range 8 {
				changed := bytes.Clone(data)
				changed[i] ^= 1 << bit
				if _, _, err := proof.VerifyCode(codeHeader+base64.RawURLEncoding.EncodeToString(changed), sealed.verifierKey); err == nil {
					t.Errorf("bit %d of byte %d of %d does not matter", bit, i, len(data))
				}
			}
		}
	})
	t.Run("fails when it is cut off anywhere", func(t *testing.T) {
		for n := range data {
			if _, _, err := proof.VerifyCode(codeHeader+base64.RawURLEncoding.EncodeToString(data[:n]), sealed.verifierKey); err == nil {
				t.Errorf("passes with %d of %d bytes", n, len(data))
			}
		}
	})
	t.Run("fails under another key", func(t *testing.T) {
		other, err := proof.NewKey(bytes.Repeat([]byte{8}, 32), book)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := proof.VerifyCode(code, other.VerifierKey); err == nil {
			t.Error("it passes")
		}
	})
}

func FuzzVerifyCode(f *testing.F) {
	f.Add(codeHeader, "k")
	f.Add(codeHeader+"AAAAAAAAAAAAAAAAAAAAAP____8", "")
	f.Fuzz(func(t *testing.T, code, key string) {
		if leaf, _, err := proof.VerifyCode(code, key); err == nil {
			t.Errorf("%q proves %+v", code, leaf)
		}
	})
}
