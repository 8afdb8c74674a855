package ledger_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

func TestArchive(t *testing.T) {
	s, pool := filled(t)
	var out bytes.Buffer
	if err := s.WriteArchive(t.Context(), book, &out); err != nil {
		t.Fatal(err)
	}
	archive := out.String()
	report, err := proof.VerifyArchive(strings.NewReader(archive), "")
	if err != nil || len(report.Differences) > 0 || report.Sealed != 300 || report.Checkpoints != 3 || report.Book != book {
		t.Fatalf("report %+v, err = %v", report, err)
	}
	t.Run("is the same each time, and under its key", func(t *testing.T) {
		var again bytes.Buffer
		if err := s.WriteArchive(t.Context(), book, &again); err != nil || again.String() != archive {
			t.Errorf("the second differs, err = %v", err)
		}
		if report, err := proof.VerifyArchive(&again, report.VerifierKey); err != nil || len(report.Differences) > 0 {
			t.Errorf("found %v, err = %v", report, err)
		}
		report, err := proof.VerifyArchive(strings.NewReader(archive), "cagnotte-ledger-other")
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
		if report, err := proof.VerifyArchive(&empty, ""); err != nil || !strings.Contains(fmt.Sprint(report.Differences), "nothing is proven") {
			t.Errorf("found %v, err = %v", report, err)
		}
	})
}
