package app_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// pledge makes one by transfer.
func (y *treasury) pledge(t *testing.T, minor int64) *treasuryv1.Pledge {
	t.Helper()
	p, err := treasuryv1.NewTreasuryServiceClient(y.e.Conn).CreatePledge(t.Context(), &treasuryv1.CreatePledgeRequest{
		Parent: y.campaign, RequestId: uuid.NewString(), Pledge: &treasuryv1.Pledge{Amount: apptest.Euros(minor), Method: treasuryv1.OfflineMethod_OFFLINE_METHOD_TRANSFER},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// csv asks to import lines of day, text and amount, as a French bank writes them.
func (y *treasury) csv(lines ...string) *bankv1.ImportBankStatementRequest {
	return &bankv1.ImportBankStatementRequest{
		Parent: y.collective, RequestId: uuid.NewString(),
		Content: []byte("Compte courant\xe9 n\xb0 1\r\nDate;Libell\xe9;Montant\r\n" + strings.Join(lines, "\r\n") + "\r\n"),
		Format: &bankv1.ImportBankStatementRequest_Csv{Csv: &bankv1.CsvFormat{
			SkipLines: 2, DateColumn: 1, TextColumns: []int32{2}, AmountColumn: 3,
		}},
	}
}

// line writes one of a CSV file.
func (y *treasury) line(ago int, text, amount string) string {
	day := y.day(ago)
	return fmt.Sprintf("%s/%s/%s;%s;%s", day[8:], day[5:7], day[:4], text, amount)
}

// lines are the collective's bank lines by their amount in cents.
func (y *treasury) lines(t *testing.T, conn grpc.ClientConnInterface) map[int64]*bankv1.BankLine {
	t.Helper()
	resp, err := bankv1.NewBankServiceClient(conn).ListBankLines(apptest.WithKey(t.Context(), y.reader),
		&bankv1.ListBankLinesRequest{Parent: y.collective})
	if err != nil {
		t.Fatal(err)
	}
	byAmount := map[int64]*bankv1.BankLine{}
	for _, l := range resp.GetBankLines() {
		byAmount[l.GetAmount().GetAmountMinor()] = l
	}
	if len(byAmount) != len(resp.GetBankLines()) {
		t.Errorf("%d lines have %d amounts", len(resp.GetBankLines()), len(byAmount))
	}
	return byAmount
}

const (
	lineUnmatched = bankv1.BankLineState_BANK_LINE_STATE_UNMATCHED
	lineSuggested = bankv1.BankLineState_BANK_LINE_STATE_SUGGESTED
	lineMatched   = bankv1.BankLineState_BANK_LINE_STATE_MATCHED
	lineIgnored   = bankv1.BankLineState_BANK_LINE_STATE_IGNORED
)

func TestABankStatementIsMatched(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	for name, conn := range map[string]grpc.ClientConnInterface{"grpc": e.Conn, "rest": &apptest.RESTConn{URL: e.URL}} {
		t.Run(name, func(t *testing.T) { matchStatement(t, newTreasury(t, e, "vallon-"+name), conn) })
	}
	var told strings.Builder
	if err := app.VerifyLedger(t.Context(), e.DatabaseURL, nil, nil, &told); err != nil {
		t.Errorf("%v\n%s", err, told.String())
	}
}

func matchStatement(t *testing.T, y *treasury, conn grpc.ClientConnInterface) {
	hand, banking := treasuryv1.NewTreasuryServiceClient(conn), bankv1.NewBankServiceClient(conn)
	ctx := y.ctx(t)
	fits, differs := y.pledge(t, 25_00), y.pledge(t, 40_00)
	held, err := hand.CreateOfflineDonation(ctx, y.cheque(70_00))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hand.CreateDeposit(ctx, &treasuryv1.CreateDepositRequest{
		Parent: y.collective, RequestId: uuid.NewString(), Deposit: &treasuryv1.Deposit{Cheques: []string{held.GetName()}, BankDate: y.day(3)},
	}); err != nil {
		t.Fatal(err)
	}
	owed, err := hand.CreateExpense(ctx, y.invoice("F-9", 90_00))
	if err != nil {
		t.Fatal(err)
	}
	file := y.csv(
		y.line(2, "VIR SEPA JEANNE DUPONT "+strings.ToLower(strings.ReplaceAll(fits.GetReference(), "-", "")), "25,00"),
		y.line(2, "VIR INST "+differs.GetReference(), "1 234,56"),
		y.line(2, "REMISE CHEQUES 1", "70,00"),
		y.line(1, "VIREMENT RECU PAUL MARTIN", "33,00"),
		y.line(1, "VIREMENT RECU", "44,00"),
		y.line(1, "PRLV CABINET MARTIN", "-90,00"),
		y.line(1, "FRAIS", "-2,50"),
	)
	file.OpeningBalance, file.ClosingBalance = apptest.Euros(100_00), apptest.Euros(100_00+25_00+1234_56+70_00+33_00+44_00-90_00-2_50)

	t.Run("its lines are booked or recognised once", func(t *testing.T) {
		changed := y.books(t, conn, func() (proto.Message, error) {
			done, err := banking.ImportBankStatement(ctx, file)
			// What the first time found is not told again.
			done.BookedLineCount, done.RecognisedLineCount = 0, 0
			return done, err
		})
		wantBooks(t, changed, map[string]int64{"51211": 25_00, "75411": -25_00})
		file.RequestId = uuid.NewString()
		done, err := banking.ImportBankStatement(ctx, file)
		if err != nil || done.GetBookedLineCount() != 0 || done.GetBankStatements()[0].GetNewLineCount() != 7 || done.GetOpenLineCount() != 5 {
			t.Errorf("the same file again: %v, err = %v", done, err)
		}
		overlap := y.csv(
			y.line(1, "VIREMENT RECU PAUL MARTIN", "33,00"),
			y.line(1, "VIREMENT RECU", "44,00"),
			y.line(0, "AVOIR", "0,07"),
		)
		if done, err = banking.ImportBankStatement(ctx, overlap); err != nil || done.GetBankStatements()[0].GetNewLineCount() != 1 {
			t.Errorf("an overlapping file: %v, err = %v", done, err)
		}
		lines := y.lines(t, conn)
		for amount, state := range map[int64]bankv1.BankLineState{
			25_00: lineMatched, 1234_56: lineSuggested, 70_00: lineMatched, 33_00: lineUnmatched, -90_00: lineUnmatched, 7: lineUnmatched,
		} {
			if lines[amount].GetState() != state {
				t.Errorf("%d is %v, want %v", amount, lines[amount].GetState(), state)
			}
		}
		if got := lines[25_00]; got.GetTarget().GetPledge() != fits.GetName() || got.GetTarget().GetOfflineDonation() == "" {
			t.Errorf("matched to %v", got.GetTarget())
		}
		if got := lines[1234_56]; got.GetTarget().GetPledge() != differs.GetName() {
			t.Errorf("suggested is %v", got.GetTarget())
		}
		reader := apptest.WithKey(t.Context(), y.reader)
		statements, err := banking.ListBankStatements(reader, &bankv1.ListBankStatementsRequest{Parent: y.collective, PageSize: 1})
		if err != nil || len(statements.GetBankStatements()) != 1 || statements.GetBankStatements()[0].GetLineCount() != 3 || statements.GetNextPageToken() == "" {
			t.Fatalf("the last statement is %v, err = %v", statements, err)
		}
		statement, err := banking.GetBankStatement(reader, &bankv1.GetBankStatementRequest{Name: lines[7].GetBankStatement()})
		if err != nil || !proto.Equal(statement, statements.GetBankStatements()[0]) {
			t.Errorf("the statement of its new line is %v, err = %v", statement, err)
		}
		line, err := banking.GetBankLine(reader, &bankv1.GetBankLineRequest{Name: lines[7].GetName()})
		if err != nil || !proto.Equal(line, lines[7]) {
			t.Errorf("the line is %v, err = %v", line, err)
		}
		for bounds, want := range map[[2]string]int{
			{y.day(2), y.day(2)}: 3, {y.day(1), ""}: 5, {"", y.day(1)}: 7, {y.day(0), y.day(0)}: 1, {y.day(-1), ""}: 0,
		} {
			some, err := banking.ListBankLines(reader, &bankv1.ListBankLinesRequest{Parent: y.collective, StartDate: bounds[0], EndDate: bounds[1]})
			if err != nil || len(some.GetBankLines()) != want {
				t.Errorf("%d lines are of %v, want %d, err = %v", len(some.GetBankLines()), bounds, want, err)
			}
		}
		_, err = banking.ListBankLines(reader, &bankv1.ListBankLinesRequest{Parent: y.collective, EndDate: "2026-02-30"})
		wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "end_date")
		p, err := hand.GetPledge(ctx, &treasuryv1.GetPledgeRequest{Name: fits.GetName()})
		if err != nil || p.GetState() != treasuryv1.PledgeState_PLEDGE_STATE_FULFILLED || p.GetTransfer() != nil {
			t.Errorf("the pledge is %v, err = %v", p, err)
		}
	})
	t.Run("a cheque that the bank shows can bounce, and was not entered wrongly", func(t *testing.T) {
		_, err := hand.ReverseOfflineDonation(ctx, &treasuryv1.ReverseOfflineDonationRequest{Name: held.GetName(), RequestId: uuid.NewString(), Reason: "x"})
		wantError(t, err, codes.FailedPrecondition, "BANK_LINE_MATCHED", "")
	})
	match := func(amount int64, target *bankv1.BankLineTarget) *bankv1.MatchBankLineRequest {
		return &bankv1.MatchBankLineRequest{Name: y.lines(t, conn)[amount].GetName(), RequestId: uuid.NewString(), Target: target}
	}
	matched := func(t *testing.T, req *bankv1.MatchBankLineRequest) map[string]int64 {
		t.Helper()
		return y.books(t, conn, func() (proto.Message, error) { return banking.MatchBankLine(ctx, req) })
	}
	unmatched := func(t *testing.T, amount int64) map[string]int64 {
		t.Helper()
		req := &bankv1.UnmatchBankLineRequest{Name: y.lines(t, conn)[amount].GetName(), RequestId: uuid.NewString(), Reason: "erreur"}
		return y.books(t, conn, func() (proto.Message, error) { return banking.UnmatchBankLine(ctx, req) })
	}
	toCampaign := &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Campaign{Campaign: y.campaign}}
	unknown := &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_UnknownReceipt{UnknownReceipt: true}}
	toExpense := &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Expense{Expense: owed.GetName()}}

	t.Run("a donation without a reference", func(t *testing.T) {
		wantBooks(t, matched(t, match(33_00, toCampaign)), map[string]int64{"51211": 33_00, "75411": -33_00})
		given := y.lines(t, conn)[33_00].GetTarget().GetOfflineDonation()
		_, err := hand.ReverseOfflineDonation(ctx, &treasuryv1.ReverseOfflineDonationRequest{Name: given, RequestId: uuid.NewString(), Reason: "x"})
		wantError(t, err, codes.FailedPrecondition, "BANK_LINE_MATCHED", "")
		_, err = banking.MatchBankLine(ctx, match(33_00, toCampaign))
		wantError(t, err, codes.FailedPrecondition, "BANK_LINE_NOT_OPEN", "")
		wantBooks(t, unmatched(t, 33_00), map[string]int64{"51211": -33_00, "75411": 33_00})
		wantBooks(t, matched(t, match(33_00, toCampaign)), map[string]int64{"51211": 33_00, "75411": -33_00})
	})
	t.Run("a pledge of another amount is what came", func(t *testing.T) {
		target := &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Pledge{Pledge: differs.GetName()}}
		wantBooks(t, matched(t, match(1234_56, target)), map[string]int64{"51211": 1234_56, "75411": -1234_56})
		target = &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Pledge{Pledge: fits.GetName()}}
		_, err := banking.MatchBankLine(ctx, match(44_00, target))
		wantError(t, err, codes.FailedPrecondition, "PLEDGE_FULFILLED", "")
	})
	t.Run("an unknown receipt", func(t *testing.T) {
		wantBooks(t, matched(t, match(44_00, unknown)), map[string]int64{"51211": 44_00, "4718": -44_00})
		waiting := clearing(t, conn, y)
		if len(waiting) != 2 || waiting[1].GetKind() != treasuryv1.ClearingKind_CLEARING_KIND_UNKNOWN_RECEIPT {
			t.Errorf("waiting are %v", waiting)
		}
		wantBooks(t, unmatched(t, 44_00), map[string]int64{"51211": -44_00, "4718": 44_00})
		wantBooks(t, matched(t, match(44_00, unknown)), map[string]int64{"51211": 44_00, "4718": -44_00})
		_, err := banking.MatchBankLine(ctx, match(-2_50, unknown))
		wantError(t, err, codes.FailedPrecondition, "BANK_LINE_DIFFERS", "")
	})
	t.Run("the payment of an invoice", func(t *testing.T) {
		wantBooks(t, matched(t, match(-2_50, toExpense)), map[string]int64{"401": 2_50, "51211": -2_50})
		part, err := hand.GetExpense(ctx, &treasuryv1.GetExpenseRequest{Name: owed.GetName()})
		if err != nil || part.GetRemainingAmount().GetAmountMinor() != 87_50 || len(part.GetBankLines()) != 1 {
			t.Errorf("an instalment leaves %v, err = %v", part, err)
		}
		_, err = banking.MatchBankLine(ctx, match(-90_00, toExpense))
		wantError(t, err, codes.FailedPrecondition, "BANK_LINE_DIFFERS", "")
		wantBooks(t, unmatched(t, -2_50), map[string]int64{"401": -2_50, "51211": 2_50})
		wantBooks(t, matched(t, match(-90_00, toExpense)), map[string]int64{"401": 90_00, "51211": -90_00})
		_, err = hand.ReverseExpense(ctx, &treasuryv1.ReverseExpenseRequest{Name: owed.GetName(), RequestId: uuid.NewString(), Reason: "x"})
		wantError(t, err, codes.FailedPrecondition, "BANK_LINE_MATCHED", "")
		wantBooks(t, unmatched(t, -90_00), map[string]int64{"401": -90_00, "51211": 90_00})
		wantBooks(t, matched(t, match(-90_00, toExpense)), map[string]int64{"401": 90_00, "51211": -90_00})
	})
	t.Run("what the books have already", func(t *testing.T) {
		fee := y.invoice("frais", 2_50)
		fee.Expense.Kind, fee.Expense.Account, fee.Expense.PayDate = treasuryv1.ExpenseKind_EXPENSE_KIND_OTHER, "627", y.day(1)
		made, err := hand.CreateExpense(ctx, fee)
		if err != nil {
			t.Fatal(err)
		}
		list, err := ledgerv1.NewLedgerServiceClient(conn).ListTransactions(apptest.WithKey(t.Context(), y.reader), &ledgerv1.ListTransactionsRequest{
			Parent: y.collective + "/ledger", Kind: "expense", Account: "627",
		})
		if err != nil || len(list.GetTransactions()) != 1 {
			t.Fatalf("%v, err = %v", list, err)
		}
		target := &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Transaction{Transaction: list.GetTransactions()[0].GetName()}}
		_, err = banking.MatchBankLine(ctx, match(7, target))
		wantError(t, err, codes.FailedPrecondition, "BANK_LINE_DIFFERS", "")
		wantBooks(t, matched(t, match(-2_50, target)), map[string]int64{})
		_, err = hand.ReverseExpense(ctx, &treasuryv1.ReverseExpenseRequest{Name: made.GetName(), RequestId: uuid.NewString(), Reason: "x"})
		wantError(t, err, codes.FailedPrecondition, "BANK_LINE_MATCHED", "")
	})
	t.Run("a line is ignored with its reason", func(t *testing.T) {
		req := &bankv1.IgnoreBankLineRequest{Name: y.lines(t, conn)[7].GetName(), RequestId: uuid.NewString(), Reason: "arrondi"}
		wantBooks(t, y.books(t, conn, func() (proto.Message, error) { return banking.IgnoreBankLine(ctx, req) }), map[string]int64{})
		if got := y.lines(t, conn)[7]; got.GetState() != lineIgnored || got.GetIgnoreReason() != "arrondi" {
			t.Errorf("it is %v", got)
		}
	})
	t.Run("the books stand beside the bank", func(t *testing.T) {
		p, err := banking.GetBankPosition(apptest.WithKey(t.Context(), y.reader), &bankv1.GetBankPositionRequest{Name: y.collective + "/bankPosition"})
		if err != nil {
			t.Fatal(err)
		}
		// The bank had 100 € before the first line, which nobody has entered.
		if p.GetDifference().GetAmountMinor() != -100_00 || p.GetOpenLineCount() != 0 || p.GetIgnoredLines().GetAmountMinor() != 7 {
			t.Errorf("it is %v", p)
		}
	})
	t.Run("a file that is wrong changes nothing", func(t *testing.T) {
		short := y.csv(y.line(1, "x", "1,00"))
		short.OpeningBalance, short.ClosingBalance = apptest.Euros(0), apptest.Euros(2_00)
		_, err := banking.ImportBankStatement(ctx, short)
		wantError(t, err, codes.InvalidArgument, "STATEMENT_UNBALANCED", "content")
		other := y.csv(y.line(1, "x", "1,00"))
		other.Account = "FR14 2004 1010 0505 0001 3M02 606"
		_, err = banking.ImportBankStatement(ctx, other)
		wantError(t, err, codes.InvalidArgument, "BANK_ACCOUNT_MISMATCH", "content")
		broken := y.csv(y.line(1, "JEANNE DUPONT", "un euro"))
		_, err = banking.ImportBankStatement(ctx, broken)
		wantError(t, err, codes.InvalidArgument, "STATEMENT_UNREADABLE", "content")
		if strings.Contains(fmt.Sprint(err), "DUPONT") {
			t.Errorf("a name is in the error: %v", err)
		}
		_, err = banking.ImportBankStatement(apptest.WithKey(t.Context(), y.reader), y.csv(y.line(1, "x", "1,00")))
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
	})
}

func TestAPayoutOnTheBankStatementIsRecognised(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	y := newTreasury(t, e, "vallon")
	pay(t, e, give(t, e.Conn, donationTo(y.campaign)))
	e.Eventually("the donation is booked", func() bool { settled, _ := progress(t, e.Conn, y.campaign); return settled == 20_00 })
	if err := e.Sim.SchedulePayouts("", true); err != nil {
		t.Fatal(err)
	}
	e.Clock.Advance(12 * day)
	e.Eventually("the payout is at the bank", func() bool { return balances(t, e.Conn, y.reader, y.collective)[bank] != 0 })
	paid := balances(t, e.Conn, y.reader, y.collective)[bank]
	arrived := e.Sim.Payouts("")[0].ArrivalDate
	line := fmt.Sprintf("%s;VIR STRIPE;%d,%02d", arrived.Format("02/01/2006"), paid/100, paid%100)
	banking := bankv1.NewBankServiceClient(e.Conn)
	changed := y.books(t, e.Conn, func() (proto.Message, error) {
		done, err := banking.ImportBankStatement(y.ctx(t), y.csv(line))
		if err == nil && done.GetOpenLineCount() != 0 {
			t.Errorf("it is not recognised: %v", y.lines(t, e.Conn))
		}
		return y.lines(t, e.Conn)[paid], err
	})
	wantBooks(t, changed, map[string]int64{})
	booked, err := ledgerv1.NewLedgerServiceClient(e.Conn).ListTransactions(apptest.WithKey(t.Context(), y.reader), &ledgerv1.ListTransactionsRequest{
		Parent: y.collective + "/ledger", Reference: listPayouts(t, e.Conn, y.reader, y.collective)[0].GetBankTransaction(),
	})
	if err != nil || len(booked.GetTransactions()) != 1 {
		t.Fatalf("%v, err = %v", booked, err)
	}
	if got := y.lines(t, e.Conn)[paid].GetTarget().GetTransaction(); got != booked.GetTransactions()[0].GetName() {
		t.Errorf("it is matched to %q, want %q", got, booked.GetTransactions()[0].GetName())
	}
}

func TestAPayoutIsRecognisedOnAStatementFromBefore(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	y := newTreasury(t, e, "vallon")
	pay(t, e, give(t, e.Conn, donationTo(y.campaign)))
	e.Eventually("the donation is booked", func() bool { settled, _ := progress(t, e.Conn, y.campaign); return settled == 20_00 })
	if err := e.Sim.SchedulePayouts("", true); err != nil {
		t.Fatal(err)
	}
	for range 12 {
		if len(e.Sim.Payouts("")) > 0 {
			break
		}
		e.Clock.Advance(day)
	}
	payout := e.Sim.Payouts("")[0]
	// The bank may write the day before.
	written := payout.ArrivalDate.Add(-day)
	e.Clock.Set(written.Add(day / 2))
	line := fmt.Sprintf("%s;VIR STRIPE;%d,%02d", written.Format("02/01/2006"), payout.AmountMinor/100, payout.AmountMinor%100)
	done, err := bankv1.NewBankServiceClient(e.Conn).ImportBankStatement(y.ctx(t), y.csv(line))
	if err != nil || done.GetOpenLineCount() != 1 {
		t.Fatalf("%v, err = %v", done, err)
	}
	e.Clock.Advance(2 * day)
	shown := func() bool { return y.lines(t, e.Conn)[payout.AmountMinor].GetState() == lineMatched }
	e.Eventually("the line shows the payout", shown)

	t.Run("though the program died before it looked", func(t *testing.T) {
		e.StopApp()
		db, err := pgx.Connect(t.Context(), e.DatabaseURL)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close(context.WithoutCancel(t.Context()))
		if _, err := db.Exec(t.Context(), `
			UPDATE bank.lines AS l
			SET
				state = 'unmatched',
				target = '',
				ledger_transaction = NULL`); err != nil {
			t.Fatal(err)
		}
		e.StartApp()
		e.Eventually("the line shows the payout", shown)
	})
}
