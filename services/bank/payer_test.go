package bank

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cagnotte/cagnotte/services/bank/statement"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
)

// No payer's name is anywhere in the database, wherever in a file it stood.
func TestNoPayerIsStoredOfAStatement(t *testing.T) {
	s, pool := open(t)
	p := s.promise(t, 25_00)
	const canary = "CANARYPAYER"
	entry := fmt.Sprintf(`<Ntry><NtryRef>%[1]s-1</NtryRef><Amt Ccy="EUR">25.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-03-02</Dt></BookgDt>
<AcctSvcrRef>%[1]s-DUPONT-75</AcctSvcrRef><AddtlNtryInf>VIR %[1]s</AddtlNtryInf><NtryDtls><TxDtls><Refs><EndToEndId>%[1]s-76</EndToEndId>
<AcctSvcrRef>%[1]s-77</AcctSvcrRef></Refs><RltdPties><Dbtr><Nm>%[1]s</Nm></Dbtr></RltdPties><RmtInf><Ustrd>%[1]s %[2]s</Ustrd>
<Strd><CdtrRefInf><Ref>%[1]s78</Ref></CdtrRefInf></Strd></RmtInf><AddtlTxInf>%[1]s</AddtlTxInf></TxDtls></NtryDtls></Ntry>`, canary, p.Reference)
	batch := strings.NewReplacer("B-3b", canary+"-79", "B-3", canary+"80").Replace(camtBatch)
	if done := s.take(t, string(camt("08", "100.00", "155.00", entry, batch))); done.Booked != 1 || done.Open != 2 {
		t.Fatalf("%+v", done)
	}
	// A CSV file in which each column but that of the amount and of the day holds it.
	content := canary + "\nDate;Nom;Ref;Sens;Montant\n03/03/2026;" + canary + ";" + canary + "-DUPONT-75;" + canary + ";7,00\n" +
		"04/03/2026;" + canary + ";2026030400017;" + canary + ";8,00\n"
	format := &statement.CSVFormat{
		Separator: ';', DateLayout: "02/01/2006", DecimalMark: ",", Header: "Date;Nom;Ref;Sens;Montant", Date: 1, Text: []int{2}, Reference: 3, Amount: 5,
	}
	if done, err := s.ImportStatement(t.Context(), ask(), csvFile(content, format)); err != nil || done.Open != 4 {
		t.Fatalf("%+v, %v", done, err)
	}
	// A refusal does not say it either.
	content += "05/03/2026;" + canary + ";" + canary + ";x;" + canary + "\n"
	if _, err := s.ImportStatement(t.Context(), ask(), csvFile(content, format)); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("refused: %v", err)
	}
	lines, err := s.Lines(t.Context(), "vallon", LineFilter{}, newest, 10)
	if err != nil || len(lines) != 5 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	stored := ""
	for _, l := range lines {
		stored += l.BankReference
	}
	if stored != "2026030400017" {
		t.Errorf("stored %q", stored)
	}

	owner := pgtest.Owner(t, pool)
	rows, err := owner.Query(t.Context(), `
		SELECT format('%I.%I', n.nspname, c.relname)
		FROM pg_class AS c
		JOIN pg_namespace AS n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')`)
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, table)
	}
	if rows.Err() != nil || len(tables) < 20 {
		t.Fatalf("%d tables, %v", len(tables), rows.Err())
	}
	for _, table := range tables {
		var found int
		// Bytes are written as hexadecimal digits.
		err := owner.QueryRow(t.Context(), "SELECT count(*) FROM "+table+" AS t WHERE t::text ~* $1 OR t::text ~* encode(convert_to($1, 'UTF8'), 'hex')", canary).Scan(&found)
		if err != nil || found != 0 {
			t.Errorf("%s: %d rows name the payer, %v", table, found, err)
		}
	}
	t.Run("and the database refuses a reference that may be a name", func(t *testing.T) {
		_, err := owner.Exec(t.Context(), `
			INSERT INTO bank.lines (id, collective, account, line_key, statement, booked_on, amount_minor, currency, bank_reference, created_at, updated_at)
			SELECT gen_random_uuid(), collective, account, sha256('x'), statement, booked_on, 1, currency, 'DUPONT-75', now(), now() FROM bank.lines LIMIT 1`)
		if err == nil || !strings.Contains(err.Error(), "lines_reference_nameless") {
			t.Errorf("err = %v", err)
		}
	})
}
