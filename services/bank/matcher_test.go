package bank

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/bank/statement"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/treasury"
)

func TestALineThatAMemberUnmatchedIsOnlySuggested(t *testing.T) {
	s, _ := open(t)
	p := s.promise(t, 25_00)
	c := s.give(t, treasury.MethodCheque, 70_00)
	if _, err := s.treasury.CreateDeposit(t.Context(), ask(), treasury.Deposit{Collective: "vallon", BankedOn: someDay, Cheques: []treasury.Cheque{{Campaign: vallon, ID: c.ID}}}); err != nil {
		t.Fatal(err)
	}
	if done := s.read(t, "02/03/2026;"+p.Reference+";;25,00", "03/03/2026;REMISE;;70,00"); done.Booked != 1 || done.Recognised != 1 {
		t.Fatalf("%+v", done)
	}
	for _, minor := range []int64{25_00, 70_00} {
		if _, err := s.UnmatchLine(t.Context(), ask(), "vallon", s.line(t, minor).ID, "another's", time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	done := s.read(t, "04/03/2026;autre;;1,00")
	if done.Booked != 0 || done.Recognised != 0 || s.balance(t, "51211") != 70_00 {
		t.Errorf("%+v; the bank stands at %d", done, s.balance(t, "51211"))
	}
	if l := s.line(t, 25_00); l.State != LineSuggested || l.Target != TargetPledge {
		t.Errorf("the pledge's line is %v of %v", l.State, l.Target)
	}
	if l := s.line(t, 70_00); l.State != LineSuggested || l.Target != TargetTransaction {
		t.Errorf("the deposit's line is %v of %v", l.State, l.Target)
	}
	if _, err := s.MatchLine(t.Context(), ask(), "vallon", s.line(t, 25_00).ID, Target{Kind: TargetPledge, Campaign: vallon, ID: p.ID}); err != nil || s.balance(t, "51211") != 95_00 {
		t.Errorf("a member may say it: err = %v, the bank stands at %d", err, s.balance(t, "51211"))
	}
}

func TestALineFindsWhatIsBookedAfterIt(t *testing.T) {
	s, _ := open(t)
	s.read(t, "02/03/2026;REMISE;;70,00", "02/03/2026;VIR;;30,00", "02/03/2026;PRLV;12,00;", "02/03/2026;PRLV;13,00;")
	c := s.give(t, treasury.MethodCheque, 70_00)
	if _, err := s.treasury.CreateDeposit(t.Context(), ask(), treasury.Deposit{Collective: "vallon", BankedOn: someDay, Cheques: []treasury.Cheque{{Campaign: vallon, ID: c.ID}}}); err != nil {
		t.Fatal(err)
	}
	if l := s.line(t, 70_00); l.State != LineMatched {
		t.Errorf("the deposit's line is %v", l.State)
	}
	s.give(t, treasury.MethodTransfer, 30_00)
	e := treasury.Expense{Collective: "vallon", Kind: treasury.ExpenseLawyer, Payee: "Martin", Document: "F-1", DocumentDate: someDay, Amount: eur(12_00)}
	e.PaidOn = someDay
	if _, err := s.treasury.CreateExpense(t.Context(), ask(), e); err != nil {
		t.Fatal(err)
	}
	e.PaidOn, e.Document, e.Amount = "", "F-2", eur(13_00)
	owed, err := s.treasury.CreateExpense(t.Context(), ask(), e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.treasury.PayExpense(t.Context(), ask(), "vallon", owed.ID, someDay, treasury.SourceBank, money.Amount{}); err != nil {
		t.Fatal(err)
	}
	for _, minor := range []int64{30_00, -12_00, -13_00} {
		if l := s.line(t, minor); l.State != LineSuggested || l.Target != TargetTransaction {
			t.Errorf("%d: the line is %v of %v", minor, l.State, l.Target)
		}
	}
}

func TestADepositThatTwoLinesMayShowIsOnlySuggested(t *testing.T) {
	s, _ := open(t)
	c := s.give(t, treasury.MethodCheque, 50_00)
	if _, err := s.treasury.CreateDeposit(t.Context(), ask(), treasury.Deposit{Collective: "vallon", BankedOn: someDay, Cheques: []treasury.Cheque{{Campaign: vallon, ID: c.ID}}}); err != nil {
		t.Fatal(err)
	}
	p := s.promise(t, 50_00)
	if done := s.read(t, "03/03/2026;VIR DON;;50,00", "04/03/2026;REMISE;;50,00"); done.Recognised != 0 || done.Open != 2 {
		t.Errorf("%+v", done)
	}
	if done := s.read(t, "03/03/2026;VIR "+p.Reference+";;50,00"); done.Booked != 1 || done.Recognised != 0 || done.Open != 2 {
		t.Errorf("a line that names a pledge is no rival, and takes no slip: %+v", done)
	}
	lines, err := s.Lines(t.Context(), "vallon", LineFilter{State: LineSuggested}, newest, 10)
	if err != nil || len(lines) != 2 {
		t.Fatalf("%d are suggested, err = %v", len(lines), err)
	}
	// The member says which is the donation; the other is the slip then.
	transfer := slices.IndexFunc(lines, func(l Line) bool { return l.BookedOn == "2026-03-03" })
	if _, err := s.MatchLine(t.Context(), ask(), "vallon", lines[transfer].ID, Target{Kind: TargetCampaign, Campaign: vallon}); err != nil {
		t.Fatal(err)
	}
	if l, err := s.Line(t.Context(), "vallon", lines[1-transfer].ID); err != nil || l.State != LineMatched || l.Target != TargetTransaction {
		t.Errorf("the slip's line is %v of %v, err = %v", l.State, l.Target, err)
	}
}

func TestATransferEnteredWithoutItsPledgeIsNotBookedTwice(t *testing.T) {
	s, _ := open(t)
	p, other := s.promise(t, 25_00), s.promise(t, 25_00)
	wrong := s.give(t, treasury.MethodTransfer, 25_00)
	if _, err := s.treasury.ReverseOfflineDonation(t.Context(), ask(), vallon, wrong.ID, "another's"); err != nil {
		t.Fatal(err)
	}
	entered := s.give(t, treasury.MethodTransfer, 25_00)
	if _, err := s.treasury.CreateOfflineDonation(t.Context(), ask(), treasury.OfflineDonation{
		Campaign: vallon, Amount: eur(25_00), Method: treasury.MethodTransfer, ReceivedOn: "2026-03-01", Pledge: other.ID,
	}); err != nil {
		t.Fatal(err)
	}
	if done := s.read(t, "02/03/2026;"+p.Reference+";;25,00", "04/03/2026;VIR;;25,00"); done.Booked != 0 || done.Open != 2 {
		t.Errorf("%+v", done)
	}
	lines, err := s.Lines(t.Context(), "vallon", LineFilter{State: LineSuggested}, newest, 10)
	if err != nil || len(lines) != 2 || lines[0].Transaction != lines[1].Transaction || lines[0].Target != TargetTransaction {
		t.Fatalf("suggested are %+v, err = %v", lines, err)
	}
	l := lines[0]
	if _, err := s.MatchLine(t.Context(), ask(), "vallon", l.ID, Target{Kind: TargetTransaction, Transaction: l.Transaction}); err != nil {
		t.Fatal(err)
	}
	if g, err := s.treasury.OfflineDonation(t.Context(), vallon, entered.ID); err != nil || g.BankLine != l.ID {
		t.Errorf("the donation is %+v, err = %v", g, err)
	}
	if named, err := s.Line(t.Context(), "vallon", lines[1].ID); err != nil || named.Target != TargetPledge || named.State != LineMatched || s.balance(t, "51211") != 75_00 {
		t.Errorf("once the other is its line, this one is %v of %v, err = %v; the bank stands at %d", named.State, named.Target, err, s.balance(t, "51211"))
	}
}

func TestAReversedTransactionIsShownByNoLine(t *testing.T) {
	s, _ := open(t)
	s.read(t, "02/03/2026;VIR;;44,00")
	l := s.line(t, 44_00)
	booked, err := s.MatchLine(t.Context(), ask(), "vallon", l.ID, Target{Kind: TargetUnknownReceipt})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.UnmatchLine(t.Context(), ask(), "vallon", l.ID, "another's", time.Time{}); err != nil {
		t.Fatal(err)
	}
	s.read(t, "03/03/2026;autre;;1,00")
	if l = s.line(t, 44_00); l.State != LineUnmatched {
		t.Errorf("the line is %v of %v, transaction %d", l.State, l.Target, l.Transaction)
	}
	_, err = s.MatchLine(t.Context(), ask(), "vallon", l.ID, Target{Kind: TargetTransaction, Transaction: booked.Transaction})
	if errs.As(err) == nil || errs.As(err).Reason != errorsv1.ErrorReason_BANK_LINE_DIFFERS {
		t.Errorf("a member says that it is what was taken back: err = %v", err)
	}
	s.read(t, s.now().Format("02/01/2006")+";LOYER;44,00;")
	if rent := s.line(t, -44_00); rent.State != LineUnmatched {
		t.Errorf("money that went is %v of %v, as if it were the taking back", rent.State, rent.Target)
	}
}

func TestABouncedChequeIsSuggestedForItsLine(t *testing.T) {
	s, _ := open(t)
	banked, back := s.give(t, treasury.MethodCheque, 70_00), s.give(t, treasury.MethodCheque, 30_00)
	if _, err := s.treasury.CreateDeposit(t.Context(), ask(), treasury.Deposit{Collective: "vallon", BankedOn: someDay, Cheques: []treasury.Cheque{{Campaign: vallon, ID: banked.ID}, {Campaign: vallon, ID: back.ID}}}); err != nil {
		t.Fatal(err)
	}
	if done := s.read(t, "03/03/2026;REMISE;;100,00", "06/03/2026;IMPAYE;30,00;"); done.Recognised != 1 {
		t.Fatalf("%+v", done)
	}
	if _, err := s.treasury.BounceCheque(t.Context(), ask(), vallon, back.ID, "2026-03-06"); err != nil {
		t.Fatal(err)
	}
	l := s.line(t, -30_00)
	if l.State != LineSuggested || l.Target != TargetTransaction {
		t.Fatalf("the line is %v of %v", l.State, l.Target)
	}
	if _, err := s.MatchLine(t.Context(), ask(), "vallon", l.ID, Target{Kind: TargetTransaction, Transaction: l.Transaction}); err != nil {
		t.Fatal(err)
	}
	if bank, held, donations := s.balance(t, "51211"), s.balance(t, "5112"), s.balance(t, "75411"); bank != 70_00 || held != 0 || donations != -70_00 {
		t.Errorf("the bank stands at %d, cheques at %d, donations at %d", bank, held, donations)
	}
}

func TestAReversedDepositIsShownByNoLine(t *testing.T) {
	s, _ := open(t)
	var banked [2]treasury.OfflineDonation
	for i := range banked {
		banked[i] = s.give(t, treasury.MethodCheque, 70_00)
		if _, err := s.treasury.CreateDeposit(t.Context(), ask(), treasury.Deposit{Collective: "vallon", BankedOn: someDay, Cheques: []treasury.Cheque{{Campaign: vallon, ID: banked[i].ID}}}); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if _, err := s.treasury.ReverseOfflineDonation(t.Context(), ask(), vallon, banked[i].ID, "wrong"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if done := s.read(t, "02/03/2026;REMISE;;70,00"); done.Recognised != 1 {
		t.Fatalf("%+v", done)
	}
	if _, err := s.treasury.ReverseOfflineDonation(t.Context(), ask(), vallon, banked[1].ID, "x"); errs.As(err) == nil || errs.As(err).Reason != errorsv1.ErrorReason_BANK_LINE_MATCHED {
		t.Errorf("the line shows the other slip: %v", err)
	}
}

func TestADepositCountsWithoutItsReversedCheques(t *testing.T) {
	s, _ := open(t)
	right, wrong := s.give(t, treasury.MethodCheque, 70_00), s.give(t, treasury.MethodCheque, 30_00)
	if _, err := s.treasury.CreateDeposit(t.Context(), ask(), treasury.Deposit{Collective: "vallon", BankedOn: someDay, Cheques: []treasury.Cheque{{Campaign: vallon, ID: right.ID}, {Campaign: vallon, ID: wrong.ID}}}); err != nil {
		t.Fatal(err)
	}
	today := s.now().Format("02/01/2006")
	if done := s.read(t, "03/03/2026;REMISE;;70,00", today+";LOYER;30,00;"); done.Recognised != 0 {
		t.Fatalf("%+v", done)
	}
	if _, err := s.treasury.ReverseOfflineDonation(t.Context(), ask(), vallon, wrong.ID, "not on the slip"); err != nil {
		t.Fatal(err)
	}
	l := s.line(t, 70_00)
	if l.State != LineMatched || l.Target != TargetTransaction {
		t.Errorf("the slip's line is %v of %v", l.State, l.Target)
	}
	if rent := s.line(t, -30_00); rent.State != LineUnmatched {
		t.Errorf("money that went is %v of %v, as if it were the taking off", rent.State, rent.Target)
	}
	if _, err := s.treasury.ReverseOfflineDonation(t.Context(), ask(), vallon, right.ID, "x"); errs.As(err) == nil || errs.As(err).Reason != errorsv1.ErrorReason_BANK_LINE_MATCHED {
		t.Errorf("the line shows the other cheque: %v", err)
	}
	if _, err := s.UnmatchLine(t.Context(), ask(), "vallon", l.ID, "x", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.MatchLine(t.Context(), ask(), "vallon", l.ID, Target{Kind: TargetTransaction, Transaction: l.Transaction}); err != nil {
		t.Errorf("a member says it: %v", err)
	}
	if bank, held, donations := s.balance(t, "51211"), s.balance(t, "5112"), s.balance(t, "75411"); bank != 70_00 || held != 0 || donations != -70_00 {
		t.Errorf("the bank stands at %d, cheques at %d, donations at %d", bank, held, donations)
	}
}

func TestAnAccountKeepsToOneFormOfFile(t *testing.T) {
	s, _ := open(t)
	read := func(content string, format *statement.CSVFormat) error {
		_, err := s.ImportStatement(t.Context(), ask(), Import{Collective: "vallon", File: statement.File{Content: []byte(content), CSV: format, Currency: money.EUR}})
		return err
	}
	file := func(minor, number string) string {
		return string(camt("02", "100.00", minor, strings.ReplaceAll(camtDebit, "N-2", number)))
	}
	if err := read(file("9.50", "1"), nil); err != nil {
		t.Fatal(err)
	}
	t.Run("an entry that has another number in another file is the same", func(t *testing.T) {
		if err := read(file("9.50", "7"), nil); err != nil {
			t.Fatal(err)
		}
		s.line(t, -90_50)
	})
	for rule, c := range map[string]struct {
		content string
		format  statement.CSVFormat
		reason  errs.Reason
	}{
		"a day of the other form":              {"h\n02/03/2026;PRLV;90,50;\n", frenchCSV, errorsv1.ErrorReason_STATEMENT_FORM_CHANGED},
		"also when a later one is in the file": {"h\n03/03/2026;VIR;;5,00\n02/03/2026;PRLV;90,50;\n", frenchCSV, errorsv1.ErrorReason_STATEMENT_FORM_CHANGED},
		"later days":                           {"h\n03/03/2026;VIR;;5,00\n", frenchCSV, 0},
	} {
		t.Run(rule, func(t *testing.T) {
			err := read(c.content, &c.format)
			if e := errs.As(err); e != nil && e.Reason != c.reason || (err == nil) != (c.reason == 0) {
				t.Errorf("err = %v, want %s", err, c.reason)
			}
		})
	}
	t.Run("and to the same columns, also for the same file", func(t *testing.T) {
		same := "h\n03/03/2026;VIR;;5,00;04/03/2026\n04/03/2026;VIR;;6,00;04/03/2026\n"
		if err := read(same, &frenchCSV); err != nil {
			t.Fatal(err)
		}
		referenced, untold, dated := frenchCSV, frenchCSV, frenchCSV
		referenced.Reference, untold.Text, dated.Date = 2, nil, 5
		for _, other := range []statement.CSVFormat{referenced, untold, dated} {
			for _, content := range []string{same, "h\n04/03/2026;VIR;;6,00;04/03/2026\n"} {
				if err := read(content, &other); errs.As(err) == nil || errs.As(err).Reason != errorsv1.ErrorReason_STATEMENT_FORM_CHANGED {
					t.Errorf("%+v: err = %v", other, err)
				}
			}
		}
		if _, err := s.ImportStatement(t.Context(), ask(), Import{Collective: "vallon", File: statement.File{
			Content: []byte(same), CSV: &frenchCSV, Currency: "CHF",
		}}); errs.As(err) == nil || errs.As(err).Reason != errorsv1.ErrorReason_STATEMENT_FORM_CHANGED {
			t.Errorf("in another money: err = %v", err)
		}
		if err := read(same, &frenchCSV); err != nil {
			t.Errorf("as before: %v", err)
		}
	})
	if lines, err := s.Lines(t.Context(), "vallon", LineFilter{}, newest, 100); err != nil || len(lines) != 3 {
		t.Errorf("%d lines, err = %v", len(lines), err)
	}
}

func TestALineBooksForItsOwnCollectiveAlone(t *testing.T) {
	s, _ := open(t)
	other := campaigns.Name{Collective: "marseille", Campaign: "avocate"}
	if _, err := s.cfg.Collectives.Create(t.Context(), collectives.Collective{
		ID: other.Collective, DisplayName: "Marseille",
		Settings: collectives.Settings{BankAccount: collectives.BankAccount{Holder: "Marseille", IBAN: "FR1420041010050500013M02606"}},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.campaigns.Create(t.Context(), other, campaigns.Content{
		Texts: map[string]campaigns.Text{"fr": {Title: "Une avocate"}}, Goal: eur(800_00), Minimum: eur(1_00), Maximum: eur(800_00),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.campaigns.Publish(t.Context(), other, ""); err != nil {
		t.Fatal(err)
	}
	theirs, err := s.treasury.CreatePledge(t.Context(), ask(), treasury.NewPledge{Campaign: other, Amount: eur(25_00), Method: treasury.MethodTransfer})
	if err != nil {
		t.Fatal(err)
	}
	if done := s.read(t, "02/03/2026;"+theirs.Reference+";;25,00"); done.Booked != 0 || s.line(t, 25_00).Pledge != uuid.Nil {
		t.Errorf("%+v", done)
	}
	if p, err := s.treasury.Pledge(t.Context(), other, theirs.ID); err != nil || p.Fulfilled() {
		t.Errorf("%+v, err = %v", p, err)
	}
	t.Run("and a pledge that came twice is fulfilled once", func(t *testing.T) {
		ours := s.promise(t, 40_00)
		if done := s.read(t, "02/03/2026;"+ours.Reference+";;40,00", "03/03/2026;"+ours.Reference+";;40,00"); done.Booked != 1 || done.Open != 2 {
			t.Errorf("%+v", done)
		}
	})
}

func TestATransferEnteredAfterItsLineWasBookedIsRefused(t *testing.T) {
	s, _ := open(t)
	donation := treasury.OfflineDonation{Campaign: vallon, Amount: eur(25_00), Method: treasury.MethodTransfer, ReceivedOn: "2026-03-04"}
	enter := func(d treasury.OfflineDonation) error {
		_, err := s.treasury.CreateOfflineDonation(t.Context(), ask(), d)
		return err
	}
	refused := func(l Line) {
		t.Helper()
		if e := errs.As(enter(donation)); e == nil || e.Reason != errorsv1.ErrorReason_BANK_LINE_BOOKED || !strings.Contains(e.Message, l.Name()) {
			t.Errorf("err = %v, want %s", e, l.Name())
		}
	}
	match := func(l Line, target Target) {
		t.Helper()
		if _, err := s.MatchLine(t.Context(), ask(), "vallon", l.ID, target); err != nil {
			t.Fatal(err)
		}
	}
	p := s.promise(t, 25_00)
	s.read(t, "02/03/2026;"+p.Reference+";;25,00")
	l := s.line(t, 25_00)
	t.Run("that became its pledge's donation", func(*testing.T) { refused(l) })
	for rule, target := range map[string]Target{
		"that a member called a donation":             {Kind: TargetCampaign, Campaign: vallon},
		"that a member matched as an unknown receipt": {Kind: TargetUnknownReceipt},
	} {
		t.Run(rule, func(t *testing.T) {
			if _, err := s.UnmatchLine(t.Context(), ask(), "vallon", l.ID, "x", time.Time{}); err != nil {
				t.Fatal(err)
			}
			match(l, target)
			refused(l)
		})
	}
	if s.balance(t, "51211") != 25_00 {
		t.Fatalf("the bank stands at %d", s.balance(t, "51211"))
	}
	t.Run("not what no line of them can be", func(t *testing.T) {
		for _, other := range []treasury.OfflineDonation{
			{Campaign: vallon, Amount: eur(25_00), Method: treasury.MethodCash, ReceivedOn: "2026-03-04"},
			{Campaign: vallon, Amount: eur(24_00), Method: treasury.MethodTransfer, ReceivedOn: "2026-03-04"},
			{Campaign: vallon, Amount: eur(25_00), Method: treasury.MethodTransfer, ReceivedOn: "2026-03-08"},
		} {
			if err := enter(other); err != nil {
				t.Errorf("%+v: %v", other, err)
			}
		}
	})
	t.Run("one for each line that is open", func(t *testing.T) {
		s, _ := open(t)
		s.read(t, "02/03/2026;A;;25,00")
		first := s.line(t, 25_00)
		if _, err := s.MatchLine(t.Context(), ask(), "vallon", first.ID, Target{Kind: TargetCampaign, Campaign: vallon}); err != nil {
			t.Fatal(err)
		}
		s.read(t, "03/03/2026;B;;25,00")
		r := ask()
		for range 2 { // sent twice
			if _, err := s.treasury.CreateOfflineDonation(t.Context(), r, donation); err != nil {
				t.Fatal(err)
			}
		}
		_, err := s.treasury.CreateOfflineDonation(t.Context(), ask(), donation)
		if e := errs.As(err); e == nil || e.Reason != errorsv1.ErrorReason_BANK_LINE_BOOKED || !strings.Contains(e.Message, first.Name()) {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("unless it is said to be another, once", func(t *testing.T) {
		another, r, before := donation, ask(), s.balance(t, "51211")
		if _, err := s.treasury.CreateOfflineDonation(t.Context(), r, donation); err == nil {
			t.Fatal("it is booked")
		}
		another.AllowDuplicate = true
		for range 2 {
			if _, err := s.treasury.CreateOfflineDonation(t.Context(), r, another); err != nil {
				t.Fatal(err)
			}
		}
		if s.balance(t, "51211") != before+25_00 {
			t.Errorf("the bank stands at %d", s.balance(t, "51211"))
		}
		if _, err := s.treasury.CreateOfflineDonation(t.Context(), r, donation); errs.As(err) == nil || errs.As(err).Reason != errorsv1.ErrorReason_REQUEST_ID_REUSED {
			t.Errorf("err = %v", err)
		}
	})
}

func TestADepositEnteredAfterItsLineWasBookedIsRefused(t *testing.T) {
	s, _ := open(t)
	slip := []treasury.Cheque{{Campaign: vallon, ID: s.give(t, treasury.MethodCheque, 40_00).ID}, {Campaign: vallon, ID: s.give(t, treasury.MethodCheque, 30_00).ID}}
	s.read(t, "04/03/2026;REMISE;;70,00")
	l := s.line(t, 70_00)
	bank := func(r treasury.Request, allowDuplicate bool) error {
		_, err := s.treasury.CreateDeposit(t.Context(), r, treasury.Deposit{Collective: "vallon", BankedOn: someDay, AllowDuplicate: allowDuplicate, Cheques: slip})
		return err
	}
	match := func(target Target) {
		t.Helper()
		if _, err := s.MatchLine(t.Context(), ask(), "vallon", l.ID, target); err != nil {
			t.Fatal(err)
		}
	}
	r := ask()
	for rule, target := range map[string]Target{
		"that a member called a donation":             {Kind: TargetCampaign, Campaign: vallon},
		"that a member matched as an unknown receipt": {Kind: TargetUnknownReceipt},
	} {
		t.Run(rule, func(t *testing.T) {
			match(target)
			if e := errs.As(bank(r, false)); e == nil || e.Reason != errorsv1.ErrorReason_BANK_LINE_BOOKED || !strings.Contains(e.Message, l.Name()) {
				t.Errorf("err = %v, want %s", e, l.Name())
			}
			if s.balance(t, "51211") != 70_00 || s.balance(t, "5112") != 70_00 {
				t.Errorf("the bank stands at %d, cheques at %d", s.balance(t, "51211"), s.balance(t, "5112"))
			}
			if _, err := s.UnmatchLine(t.Context(), ask(), "vallon", l.ID, "x", time.Time{}); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("unless it is said to be another, once", func(t *testing.T) {
		match(Target{Kind: TargetCampaign, Campaign: vallon})
		for range 2 {
			if err := bank(r, true); err != nil {
				t.Fatal(err)
			}
		}
		if s.balance(t, "51211") != 140_00 {
			t.Errorf("the bank stands at %d", s.balance(t, "51211"))
		}
		if e := errs.As(bank(r, false)); e == nil || e.Reason != errorsv1.ErrorReason_REQUEST_ID_REUSED {
			t.Errorf("err = %v", e)
		}
	})
	t.Run("not once the line is open again", func(t *testing.T) {
		s, _ := open(t)
		held := s.give(t, treasury.MethodCheque, 70_00)
		s.read(t, "04/03/2026;REMISE;;70,00")
		l := s.line(t, 70_00)
		if _, err := s.MatchLine(t.Context(), ask(), "vallon", l.ID, Target{Kind: TargetCampaign, Campaign: vallon}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.UnmatchLine(t.Context(), ask(), "vallon", l.ID, "a slip", time.Time{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.treasury.CreateDeposit(t.Context(), ask(), treasury.Deposit{Collective: "vallon", BankedOn: someDay, Cheques: []treasury.Cheque{{Campaign: vallon, ID: held.ID}}}); err != nil {
			t.Fatal(err)
		}
		if l = s.line(t, 70_00); l.State != LineSuggested || l.Target != TargetTransaction || s.balance(t, "51211") != 70_00 {
			t.Errorf("the line is %v of %v, the bank stands at %d", l.State, l.Target, s.balance(t, "51211"))
		}
	})
}
