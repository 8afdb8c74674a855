package bank

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/bank/statement"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
)

func TestAPreviewTellsWhatAnImportWouldDoAndStoresNothing(t *testing.T) {
	s, pool := open(t)
	p := s.promise(t, 25_00)
	content := "Date;Libellé;Montant;Solde\n02/03/2026;DON " + p.Reference + " JEANNE DUPONT;25,00;1 025,00\n03/03/2026;FRAIS;-5,00;1 020,00\n"
	file := Import{Collective: "vallon", File: statement.File{Content: []byte(content)}, Detect: true}
	before := rows(t, pgtest.Owner(t, pool))
	seen, err := s.PreviewStatement(t.Context(), file)
	if err != nil || seen.Problem != nil {
		t.Fatalf("%+v, err = %v", seen.Problem, err)
	}
	if after := rows(t, pgtest.Owner(t, pool)); after != before {
		t.Errorf("%s is stored, and before %s", after, before)
	}
	st := seen.Statements[0]
	if st.Lines != 2 || st.NewLines != 2 || *st.Closing != eur(1020_00) || seen.Start != "2026-03-02" || seen.End != "2026-03-03" {
		t.Errorf("%+v", st)
	}
	if l := seen.Lines[0]; l.Pledge.ID != p.ID || l.Imported || !strings.Contains(l.Text, "JEANNE") {
		t.Errorf("%+v", l)
	}

	done, err := s.ImportStatement(t.Context(), ask(), file)
	if err != nil || done.Booked != 1 || done.Open != 1 {
		t.Fatalf("%+v, err = %v", done, err)
	}
	seen, err = s.PreviewStatement(t.Context(), file)
	if err != nil || seen.Statements[0].NewLines != 0 || !seen.Lines[0].Imported {
		t.Errorf("once it is imported: %+v, err = %v", seen.Statements, err)
	}
	// The format that was found out reads the file in the same way, with the same lines.
	given := Import{Collective: "vallon", File: seen.File}
	given.File.Opening, given.File.Closing = nil, nil
	if seen, err = s.PreviewStatement(t.Context(), given); err != nil || seen.Problem != nil || seen.Statements[0].NewLines != 0 {
		t.Errorf("with the format: %+v, err = %v", seen, err)
	}
	// The same days in another form.
	seen, err = s.PreviewStatement(t.Context(), Import{Collective: "vallon", File: statement.File{
		Content: camt("02", "1000.00", "1025.00", camtCredit),
	}})
	if err != nil || seen.Problem == nil || seen.FormUntil != "2026-03-02" {
		t.Errorf("%+v, err = %v", seen, err)
	}
	seen, err = s.PreviewStatement(t.Context(), Import{Collective: "vallon", File: statement.File{Content: []byte("%PDF-1.7")}, Detect: true})
	if err != nil || seen.Problem == nil || seen.Problem.Kind != statement.ProblemPDF {
		t.Errorf("%+v, err = %v", seen, err)
	}
}

// rows counts the rows that an import makes.
func rows(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	var counts []string
	for _, table := range []string{"treasury.requests", "treasury.offline_donations", "bank.statements", "bank.lines", "ledger.transactions", "notices.notices"} {
		n := 0
		if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		counts = append(counts, fmt.Sprintf("%s %d", table, n))
	}
	return strings.Join(counts, ", ")
}

func TestBalancesOfACSVFile(t *testing.T) {
	s, _ := open(t)
	file := csvFile("h\n02/03/2026;a;;40,00\n03/03/2026;b;15,00;\n", &frenchCSV)
	if _, err := s.ImportStatement(t.Context(), ask(), file); err != nil {
		t.Fatal(err)
	}
	if p, err := s.BankPosition(t.Context(), "vallon"); err != nil || p.Statement != nil {
		t.Fatalf("without a balance: %+v, err = %v", p, err)
	}
	// The same file with its balances has no new line, and its statement tells the balance.
	opening, closing := eur(100_00), eur(125_00)
	file.File.Opening, file.File.Closing = &opening, &closing
	for range 2 {
		done, err := s.ImportStatement(t.Context(), ask(), file)
		if err != nil || len(done.Statements) != 1 || done.Statements[0].NewLines != 0 || *done.Statements[0].Closing != closing {
			t.Fatalf("%+v, err = %v", done, err)
		}
	}
	if p, err := s.BankPosition(t.Context(), "vallon"); err != nil || p.Statement == nil || *p.Statement != closing || p.OpenCount != 2 {
		t.Errorf("%+v, err = %v", p, err)
	}
	if list, err := s.Statements(t.Context(), "vallon", newest, 10); err != nil || len(list) != 2 {
		t.Errorf("%d statements, err = %v", len(list), err)
	}
	wrong := eur(124_99)
	file.File.Closing = &wrong
	seen, err := s.PreviewStatement(t.Context(), file)
	if err != nil || seen.Problem == nil || seen.Problem.Kind != statement.ProblemUnbalanced || *seen.Problem.Computed != closing {
		t.Errorf("%+v, err = %v", seen.Problem, err)
	}
}
