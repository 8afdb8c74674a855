package bank

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/notices"
)

func TestOpenCreditsAreToldOncePerStatement(t *testing.T) {
	s, pool := open(t)
	p := s.promise(t, 25_00)
	want := []string{}
	told := func(rule string) {
		t.Helper()
		rows, err := pool.Query(t.Context(), `SELECT n.subject FROM notices.notices AS n
			WHERE n.collective = 'vallon' AND n.kind = $1 ORDER BY n.id`, string(notices.BankImportUnmatched))
		if err != nil {
			t.Fatal(err)
		}
		subjects, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, subjects); diff != "" {
			t.Errorf("%s (-want +got)\n%s", rule, diff)
		}
	}

	s.read(t, "02/03/2026;"+p.Reference+";;25,00", "02/03/2026;FRAIS;2,50;")
	told("what was matched, and what went out, is not told")

	first := s.read(t, "03/03/2026;VIR;;33,00", "03/03/2026;VIR;;44,00")
	want = append(want, first.Statements[0].Name())
	told("two transfers of one statement are told together")

	s.read(t, "03/03/2026;VIR;;33,00", "03/03/2026;VIR;;44,00")
	s.read(t, "03/03/2026;VIR;;33,00", "03/03/2026;VIR;;44,00", "04/03/2026;FRAIS;1,00;")
	told("the same file, and the same lines in another, tell nothing")

	// It looks like the pledge's money, but is for a member to say.
	second := s.read(t, "05/03/2026;"+s.promise(t, 40_00).Reference+";;41,00")
	want = append(want, second.Statements[0].Name())
	told("what is only suggested waits for a member too")
}
