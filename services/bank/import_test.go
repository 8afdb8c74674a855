package bank

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/bank/statement"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
	"github.com/cagnotte/cagnotte/services/treasury"
)

// take imports a CAMT.053 file.
func (s *env) take(t *testing.T, content string) Imported {
	t.Helper()
	done, err := s.ImportStatement(t.Context(), ask(), Import{Collective: vallon.Collective, File: statement.File{Content: []byte(content)}})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// Two givers of 20 € who write nothing are two lines, whatever statements they are in; a movement that is in two
// statements is one.
func TestAlikeLinesAreCountedAndRepeatedOnesAreNot(t *testing.T) {
	alike := strings.Replace(camtCredit, "<AcctSvcrRef>B-1</AcctSvcrRef>", "", 1)
	const tail = "</BkToCstmrStmt></Document>"
	first, second := string(camt("08", "100.00", "150.00", alike, alike)), string(camt("08", "150.00", "175.00", alike))
	both := strings.TrimSuffix(first, tail) + second[strings.Index(second, "<Stmt>"):]
	twice := strings.TrimSuffix(first, tail) + first[strings.Index(first, "<Stmt>"):]
	s, _ := open(t)
	for _, step := range []struct {
		rule, content string
		open          int
	}{
		{"two in one", first, 2},
		{"the statement twice in a file", twice, 2},
		{"a third in the statement that goes on", both, 3},
		{"which comes alone too", second, 3},
		{"and all again", both + "\n", 3},
	} {
		if done := s.take(t, step.content); done.Open != step.open {
			t.Errorf("%s: %d lines are open, want %d", step.rule, done.Open, step.open)
		}
	}
}

func TestAReturnedPaymentIsNoDonation(t *testing.T) {
	s, _ := open(t)
	p := s.promise(t, 25_00)
	named := strings.Replace(camtCredit, "<Ustrd>CAG-7K3M</Ustrd><Ustrd>9QXT</Ustrd>", "<Ustrd>"+p.Reference+"</Ustrd>", 1)
	code := "<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>ICDT</Cd><SubFmlyCd>RRTN</SubFmlyCd></Fmly></Domn></BkTxCd>"
	marks := []struct{ before, mark string }{
		{"<Sts>", "<RvslInd>true</RvslInd>"},
		{"<NtryDtls>", code},
		{"</TxDtls>", "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>"},
		{"</TxDtls>", "<RtrInf/>"},
		{"</TxDtls>", code},
	}
	for i, c := range marks {
		back := strings.Replace(strings.Replace(named, c.before, c.mark+c.before, 1), "B-1", fmt.Sprintf("B-1%d", i), 1)
		if done := s.take(t, string(camt("08", "100.00", "125.00", back))); done.Booked != 0 || done.Open != i+1 {
			t.Errorf("what came back, by %s: %+v", c.mark, done)
		}
	}
	came := strings.Replace(strings.Replace(named, "<Sts>", "<RvslInd>false</RvslInd><Sts>", 1), "B-1", "B-2", 1)
	if done := s.take(t, string(camt("08", "125.00", "150.00", came))); done.Booked != 1 {
		t.Errorf("what came: %+v", done)
	}
}

// The same file again stores nothing, but may match a line with what was booked since: that is a change.
func TestTheSameFileThatMatchesALineIsInTheAuditLog(t *testing.T) {
	s, pool := open(t)
	line := "02/03/2026;REMISE;;25,00"
	s.read(t, line)
	// A program that dies after the deposit's commit compares nothing.
	silent := treasury.New(treasury.Config{
		Pool: pool, Campaigns: s.campaigns, Collectives: s.cfg.Collectives, Ledger: s.cfg.Ledger, Now: s.cfg.Now,
	})
	cheque := s.give(t, treasury.MethodCheque, 25_00)
	if _, err := silent.CreateDeposit(t.Context(), ask(), treasury.Deposit{
		Collective: "vallon", BankedOn: someDay, Cheques: []treasury.Cheque{{Campaign: vallon, ID: cheque.ID}},
	}); err != nil {
		t.Fatal(err)
	}
	ctx := rpc.WithCaller(t.Context(), rpc.Caller{
		Principal: access.Principal{Name: "members/x", Member: "members/x", Grants: []access.Grant{{Collective: "vallon", Role: access.RoleTreasurer}}},
		Method:    "/cagnotte.bank.v1.BankService/ImportBankStatement",
	})
	for _, want := range []int{1, 1} {
		if _, err := s.ImportStatement(ctx, ask(), csvFile("h\n"+line+"\n", &frenchCSV)); err != nil {
			t.Fatal(err)
		}
		entries := 0
		if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM audit.entries").Scan(&entries); err != nil || entries != want {
			t.Errorf("the log has %d entries, want %d, err = %v", entries, want, err)
		}
	}
}
