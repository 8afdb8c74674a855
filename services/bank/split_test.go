package bank

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/treasury"
)

// owe enters an invoice that is to be paid.
func (s *env) owe(t *testing.T, payee, document string, minor int64) treasury.Expense {
	t.Helper()
	e, err := s.treasury.CreateExpense(t.Context(), ask(), treasury.Expense{
		Collective: "vallon", Kind: treasury.ExpenseLawyer, Payee: payee, Document: document, DocumentDate: "2026-03-01", Amount: eur(minor),
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func toExpense(e treasury.Expense) *Target { return &Target{Kind: TargetExpense, ID: e.ID} }

func wantReason(t *testing.T, err error, want errorsv1.ErrorReason) {
	t.Helper()
	if err == nil || errs.As(err).Reason != want {
		t.Errorf("err = %v, want %v", err, want)
	}
}

func TestALineIsSplitAndThatIsUndone(t *testing.T) {
	s, _ := open(t)
	lawyer, bailiff := s.owe(t, "Cabinet Martin", "2026-071", 120_00), s.owe(t, "Étude Roux", "F9", 30_00)
	s.read(t, "02/03/2026;VIR CABINET MARTIN ET ETUDE ROUX;150,00;")
	l := s.line(t, -150_00)

	r := ask()
	parts := []Part{{eur(-100_00), toExpense(lawyer)}, {eur(-30_00), toExpense(bailiff)}, {eur(-20_00), nil}}
	whole, err := s.SplitLine(t.Context(), r, "vallon", l.ID, parts)
	if err != nil || whole.State != LineSplit || len(whole.Parts) != 3 {
		t.Fatalf("%+v, err = %v", whole, err)
	}
	// Sent twice it is done once.
	if again, err := s.SplitLine(t.Context(), r, "vallon", l.ID, parts); err != nil || len(again.Parts) != 3 {
		t.Errorf("sent twice: %+v, err = %v", again, err)
	}
	paid := func(e treasury.Expense) treasury.Expense {
		t.Helper()
		e, err := s.treasury.Expense(t.Context(), "vallon", e.ID)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if e := paid(lawyer); e.State != treasury.ExpenseOwed || e.Remaining != eur(20_00) || len(e.BankLines) != 1 {
		t.Errorf("the lawyer is %s, and %v remains, shown by %v", e.State, e.Remaining, e.BankLines)
	}
	if e := paid(bailiff); e.State != treasury.ExpensePaid {
		t.Errorf("the bailiff is %s", e.State)
	}
	if got := s.balance(t, "51211"); got != -130_00 {
		t.Errorf("the bank stands at %d", got)
	}
	// The parts take the place of the line in sums and in the position.
	if p, err := s.BankPosition(t.Context(), "vallon"); err != nil || p.Open != eur(-20_00) || p.OpenCount != 1 {
		t.Errorf("open are %v in %d lines, err = %v", p.Open, p.OpenCount, err)
	}
	for _, id := range whole.Parts {
		part, err := s.Line(t.Context(), "vallon", id)
		if err != nil || part.SplitFrom != l.ID || part.BookedOn != l.BookedOn {
			t.Errorf("%+v, err = %v", part, err)
		}
		_, err = s.SplitLine(t.Context(), ask(), "vallon", id, []Part{{eur(-1), nil}, {money.Amount{Minor: part.Amount.Minor + 1, Currency: money.EUR}, nil}})
		if part.open() {
			wantReason(t, err, errorsv1.ErrorReason_BANK_LINE_SPLIT)
		} else {
			wantReason(t, err, errorsv1.ErrorReason_BANK_LINE_NOT_OPEN)
		}
	}
	// The line itself can neither be matched nor ignored while it is split.
	_, err = s.MatchLine(t.Context(), ask(), "vallon", l.ID, Target{Kind: TargetUnknownReceipt})
	wantReason(t, err, errorsv1.ErrorReason_BANK_LINE_NOT_OPEN)
	// The file again brings nothing.
	if done := s.read(t, "02/03/2026;VIR CABINET MARTIN ET ETUDE ROUX;150,00;"); done.Open != 1 {
		t.Errorf("the file again: %+v", done)
	}

	r = ask()
	back, err := s.UnmatchLine(t.Context(), r, "vallon", l.ID, "wrong", time.Time{})
	if err != nil || back.State != LineUnmatched || len(back.Parts) != 0 {
		t.Fatalf("%+v, err = %v", back, err)
	}
	if back, err = s.UnmatchLine(t.Context(), r, "vallon", l.ID, "wrong", time.Time{}); err != nil || back.State != LineUnmatched {
		t.Errorf("sent twice: %+v, err = %v", back, err)
	}
	if e := paid(lawyer); e.Remaining != eur(120_00) {
		t.Errorf("%v remains of the lawyer's", e.Remaining)
	}
	if e := paid(bailiff); e.State != treasury.ExpenseOwed {
		t.Errorf("the bailiff is %s", e.State)
	}
	if got := s.balance(t, "51211"); got != 0 {
		t.Errorf("the bank stands at %d", got)
	}
	part, err := s.Line(t.Context(), "vallon", whole.Parts[0])
	if err != nil || part.State != LineWithdrawn {
		t.Fatalf("the part is %s, err = %v", part.State, err)
	}
	_, err = s.UnmatchLine(t.Context(), ask(), "vallon", part.ID, "again", time.Time{})
	wantReason(t, err, errorsv1.ErrorReason_BANK_LINE_SPLIT)
	if lines, err := s.Lines(t.Context(), "vallon", LineFilter{}, newest, 10); err != nil || len(lines) != 1 {
		t.Errorf("%d lines are listed, err = %v", len(lines), err)
	}
	if lines, err := s.Lines(t.Context(), "vallon", LineFilter{State: LineWithdrawn}, newest, 10); err != nil || len(lines) != 3 {
		t.Errorf("%d withdrawn parts are listed, err = %v", len(lines), err)
	}
	// It can be split anew, in another way.
	if _, err := s.SplitLine(t.Context(), ask(), "vallon", l.ID, []Part{{eur(-120_00), toExpense(lawyer)}, {eur(-30_00), toExpense(bailiff)}}); err != nil {
		t.Error(err)
	}
}

func TestPartsThatAreNoSplitAreRefused(t *testing.T) {
	s, pool := open(t)
	owed := s.owe(t, "Cabinet Martin", "2026-071", 50_00)
	s.read(t, "02/03/2026;a;150,00;", "02/03/2026;b;;70,00")
	l, credit := s.line(t, -150_00), s.line(t, 70_00)
	for name, c := range map[string]struct {
		line  Line
		parts []Part
		want  errorsv1.ErrorReason
	}{
		"too little":            {l, []Part{{eur(-100_00), nil}, {eur(-49_99), nil}}, errorsv1.ErrorReason_INVALID_FIELD},
		"one part":              {l, []Part{{eur(-150_00), nil}}, errorsv1.ErrorReason_INVALID_FIELD},
		"another sign":          {l, []Part{{eur(-200_00), nil}, {eur(50_00), nil}}, errorsv1.ErrorReason_INVALID_FIELD},
		"nothing":               {l, []Part{{eur(-150_00), nil}, {eur(0), nil}}, errorsv1.ErrorReason_INVALID_FIELD},
		"another currency":      {l, []Part{{eur(-100_00), nil}, {money.Amount{Minor: -50_00, Currency: "CHF"}, nil}}, errorsv1.ErrorReason_CURRENCY_MISMATCH},
		"more than is owed":     {l, []Part{{eur(-100_00), toExpense(owed)}, {eur(-50_00), nil}}, errorsv1.ErrorReason_BANK_LINE_DIFFERS},
		"an expense of arrival": {credit, []Part{{eur(40_00), toExpense(owed)}, {eur(30_00), nil}}, errorsv1.ErrorReason_BANK_LINE_DIFFERS},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.SplitLine(t.Context(), ask(), "vallon", c.line.ID, c.parts)
			wantReason(t, err, c.want)
			if l, err := s.Line(t.Context(), "vallon", c.line.ID); err != nil || !l.open() {
				t.Errorf("the line is %s, err = %v", l.State, err)
			}
		})
	}
	if _, err := s.SplitLine(t.Context(), ask(), "autre", l.ID, []Part{{eur(-100_00), nil}, {eur(-50_00), nil}}); errs.As(err).Reason != errorsv1.ErrorReason_NOT_FOUND {
		t.Errorf("for another collective: %v", err)
	}
	// The database refuses what the program would forget.
	whole, err := s.SplitLine(t.Context(), ask(), "vallon", l.ID, []Part{{eur(-100_00), nil}, {eur(-50_00), nil}})
	if err != nil {
		t.Fatal(err)
	}
	owner := pgtest.Owner(t, pool)
	for name, statement := range map[string]string{
		"a part alone is withdrawn":        fmt.Sprintf(`UPDATE bank.lines SET state = 'withdrawn' WHERE id = '%s'`, whole.Parts[0]),
		"the line is opened with parts":    fmt.Sprintf(`UPDATE bank.lines SET state = 'unmatched' WHERE id = '%s'`, l.ID),
		"a line is split into nothing":     fmt.Sprintf(`UPDATE bank.lines SET state = 'split' WHERE id = '%s'`, credit.ID),
		"a part becomes another line's":    fmt.Sprintf(`UPDATE bank.lines SET split_from = '%s' WHERE id = '%s'`, credit.ID, whole.Parts[0]),
		"a whole line is withdrawn":        fmt.Sprintf(`UPDATE bank.lines SET state = 'withdrawn' WHERE id = '%s'`, credit.ID),
		"a part is split into what it has": fmt.Sprintf(`UPDATE bank.lines SET state = 'split' WHERE id = '%s'`, whole.Parts[0]),
	} {
		if _, err := owner.Exec(t.Context(), statement); err == nil {
			t.Errorf("%s", name)
		}
	}
}

// TestOneLineIsSplitOnce lets a split, a match and another split of one line run at once.
func TestOneLineIsSplitOnce(t *testing.T) {
	s, _ := open(t)
	a := s.owe(t, "Cabinet Martin", "2026-071", 150_00)
	s.read(t, "02/03/2026;a;150,00;")
	l := s.line(t, -150_00)
	var wg sync.WaitGroup
	results := make([]error, 6)
	for i := range results {
		wg.Add(1)
		go func() {
			defer wg.Done()
			switch i % 3 {
			case 0:
				_, results[i] = s.SplitLine(t.Context(), ask(), "vallon", l.ID, []Part{{eur(-100_00), toExpense(a)}, {eur(-50_00), toExpense(a)}})
			case 1:
				_, results[i] = s.MatchLine(t.Context(), ask(), "vallon", l.ID, *toExpense(a))
			case 2:
				_, results[i] = s.treasury.PayExpense(t.Context(), ask(), "vallon", a.ID, "2026-03-02", treasury.SourceBank, money.Amount{})
			}
		}()
	}
	wg.Wait()
	done := 0
	for _, err := range results {
		if err == nil {
			done++
		}
	}
	e, err := s.treasury.Expense(t.Context(), "vallon", a.ID)
	if err != nil || done != 1 || e.State != treasury.ExpensePaid || s.balance(t, "51211") != -150_00 {
		t.Errorf("%d were done, the expense is %s, the bank stands at %d, err = %v: %v", done, e.State, s.balance(t, "51211"), err, results)
	}
}

func TestSuggestionsSayWhy(t *testing.T) {
	s, _ := open(t)
	named := s.promise(t, 25_00)
	s.promise(t, 41_00)
	martin := s.owe(t, "Cabinet Martin", "2026-071", 90_00)
	other := s.owe(t, "Imprimerie", "77", 90_00)
	s.owe(t, "Imprimerie", "78", 500_00)
	s.owe(t, "Imprimerie", "79", 10_00)
	transfer := s.give(t, treasury.MethodTransfer, 40_00)
	// Another amount than pledged, so that it is suggested and not booked.
	s.read(t, "02/03/2026;DON "+named.Reference+";;30,00", "02/03/2026;VIR CABINET MARTIN fact 2026-071;90,00;", "03/03/2026;VIR JEANNE;;40,00", "03/03/2026;?;;7,00", "10/03/2026;VIR PAUL;;41,00")
	for _, c := range []struct {
		minor int64
		want  []string
	}{
		{30_00, []string{"pledge reference true"}},
		{-90_00, []string{
			"expense document,payee,amount,day true", "expense amount,day true", "expense part_of_amount,day true", "expense more_than_amount,day false",
		}},
		{40_00, []string{"donation amount,day true"}},
		// The donor left out the reference.
		{41_00, []string{"pledge amount,day true"}},
		{7_00, nil},
	} {
		found, err := s.Suggestions(t.Context(), "vallon", s.line(t, c.minor).ID)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range found {
			text := string(f.Kind) + " "
			for i, r := range f.Reasons {
				if i > 0 {
					text += ","
				}
				text += string(r)
			}
			got = append(got, fmt.Sprintf("%s %v", text, f.WholeLine))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%d (-want +got)\n%s", c.minor, diff)
		}
	}
	found, err := s.Suggestions(t.Context(), "vallon", s.line(t, -90_00).ID)
	if err != nil || found[0].Target.ID != martin.ID || found[1].Target.ID != other.ID || found[0].Payee != "Cabinet Martin" {
		t.Errorf("%+v, err = %v", found, err)
	}
	// What a suggestion names can be matched.
	l, err := s.MatchLine(t.Context(), ask(), "vallon", s.line(t, -90_00).ID, found[0].Target)
	if err != nil || l.State != LineMatched {
		t.Errorf("%+v, err = %v", l, err)
	}
	if found, err = s.Suggestions(t.Context(), "vallon", l.ID); err != nil || len(found) != 0 {
		t.Errorf("a matched line: %+v, err = %v", found, err)
	}
	if d, err := s.treasury.OfflineDonation(t.Context(), vallon, transfer.ID); err != nil || d.BankLine != uuid.Nil {
		t.Errorf("%+v, err = %v", d, err)
	}
	if _, err := s.Suggestions(t.Context(), "autre", l.ID); errs.As(err).Reason != errorsv1.ErrorReason_NOT_FOUND {
		t.Errorf("for another collective: %v", err)
	}
}

func TestSuggestionsThatFitComeFirst(t *testing.T) {
	s, _ := open(t)
	for _, minor := range []int64{9_00, 11_00, 40_00, 60_00} {
		s.give(t, treasury.MethodTransfer, minor)
	}
	s.owe(t, "Étude Roux", "F9", 30_00)
	s.owe(t, "Cabinet Martin", "2026-071", 120_00)
	s.owe(t, "Imprimerie", "78", 500_00)
	s.read(t, "02/03/2026;a;;100,00", "02/03/2026;b;;5000,00", "02/03/2026;c;150,00;")
	for _, c := range []struct {
		minor int64
		want  []string
	}{
		// 40 and 60 make 100; 9 and 11 are in no sum of it.
		{100_00, []string{"4000 true", "6000 true", "900 false", "1100 false"}},
		{5000_00, []string{"900 false", "1100 false", "4000 false", "6000 false"}},
		// Two invoices add up; the third may be paid in part.
		{-150_00, []string{"-3000 true", "-12000 true", "-50000 false"}},
	} {
		found, err := s.Suggestions(t.Context(), "vallon", s.line(t, c.minor).ID)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range found {
			got = append(got, fmt.Sprintf("%d %v", f.Amount.Minor, slices.Contains(f.Reasons, ReasonAddsUp)))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%d (-want +got)\n%s", c.minor, diff)
		}
	}
}

func TestOpenLinesAreCounted(t *testing.T) {
	s, _ := open(t)
	s.owe(t, "Cabinet Martin", "2026-071", 90_00)
	s.give(t, treasury.MethodTransfer, 40_00)
	s.read(t, "02/03/2026;a;;40,00", "02/03/2026;b;;41,00", "02/03/2026;c;5,00;")
	if _, err := s.IgnoreLine(t.Context(), ask(), "vallon", s.line(t, -5_00).ID, "not ours"); err != nil {
		t.Fatal(err)
	}
	if n, err := s.OpenLines(t.Context(), "vallon"); err != nil || n != (OpenLineCount{Open: 2, Suggested: 1}) {
		t.Errorf("%+v, err = %v", n, err)
	}
	lines := make([]string, maxCounted+5)
	for i := range lines {
		lines[i] = fmt.Sprintf("03/03/2026;n%d;;%d,01", i, i+100)
	}
	s.read(t, lines...)
	if n, err := s.OpenLines(t.Context(), "vallon"); err != nil || n.Open != maxCounted || !n.More {
		t.Errorf("%+v, err = %v", n, err)
	}
}
