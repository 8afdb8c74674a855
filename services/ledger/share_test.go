package ledger_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

// hosted is a book of two collectives: one donation in four is vallon's, and every fortieth transaction is for both.
func hosted(t *testing.T, count int) (*ledger.Service, *pgxpool.Pool) {
	t.Helper()
	s, pool := openSealing(t)
	var txs []ledger.Transaction
	for i := range count {
		tx := donation(fmt.Sprintf("txn_%03d", i), day(1), int64(1000+i))
		of := func(line int, collective, campaign string) {
			tx.Entries[line].Collective, tx.Entries[line].Campaign = collective, campaign
		}
		if i%4 > 0 {
			for line := range tx.Entries {
				of(line, marseille, "port")
			}
		} else if i%40 == 0 {
			of(2, marseille, "port")
			of(3, marseille, "port")
		}
		txs = append(txs, tx)
	}
	mustPost(t, s, pool, txs...)
	if err := s.SealAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, pool
}

func share(t *testing.T, s *ledger.Service, watermark ledger.Watermark, collective string) (string, ledger.Watermark) {
	t.Helper()
	var out bytes.Buffer
	if err := s.View(t.Context(), watermark, func(v *ledger.View) error {
		watermark = v.Watermark()
		return v.WriteShare(t.Context(), book, collective, &out)
	}); err != nil {
		t.Fatal(err)
	}
	return out.String(), watermark
}

func TestShare(t *testing.T) {
	s, pool := hosted(t, 300)
	file, watermark := share(t, s, "", vallon)
	report, err := proof.VerifyArchive(strings.NewReader(file), "")
	if err != nil || len(report.Differences) > 0 {
		t.Fatalf("report %+v, err = %v", report, err)
	}
	if report.Collective != vallon || report.Book != book || report.Sealed != 300 || report.Own != 75 {
		t.Errorf("report %+v", report)
	}
	t.Run("says nothing of the others", func(t *testing.T) {
		for _, theirs := range []string{marseille, `"port"`, "txn_001"} {
			if strings.Contains(file, theirs) {
				t.Errorf("%q is in it", theirs)
			}
		}
	})
	t.Run("is the same for its watermark, whatever is sealed after", func(t *testing.T) {
		mustPost(t, s, pool, donation("txn_later", day(2), 100))
		if err := s.SealAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if again, _ := share(t, s, watermark, vallon); again != file {
			t.Error("it differs")
		}
		if now, _ := share(t, s, "", vallon); now == file {
			t.Error("what is new is missing")
		}
	})
	t.Run("of a book without seals, which proves nothing", func(t *testing.T) {
		var out bytes.Buffer
		if err := s.View(t.Context(), "", func(v *ledger.View) error {
			return v.WriteShare(t.Context(), "acct_other", vallon, &out)
		}); err != nil {
			t.Fatal(err)
		}
		if report, err := proof.VerifyArchive(&out, ""); err != nil || !strings.Contains(fmt.Sprint(report.Differences), "nothing is proven") {
			t.Errorf("report %+v, err = %v", report, err)
		}
	})
}
