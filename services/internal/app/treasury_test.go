package app_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

const treasuryIBAN = "FR7630006000011234567890189"

// treasury is a collective with its bank account, and its treasurer.
type treasury struct {
	e                  *apptest.Env
	collective         string
	campaign           string
	owner, key, reader string
}

func newTreasury(t *testing.T, e *apptest.Env, slug string) *treasury {
	t.Helper()
	y := &treasury{e: e, collective: "collectives/" + slug}
	y.campaign, y.owner = e.Campaign(slug, "https://vallon.example")
	y.key = e.Key(y.collective, accessv1.Role_ROLE_TREASURER)
	y.reader = e.Key(y.collective, accessv1.Role_ROLE_AUDITOR)
	_, err := collectivesv1.NewCollectivesServiceClient(e.Conn).UpdateCollective(apptest.WithKey(t.Context(), y.owner), &collectivesv1.UpdateCollectiveRequest{
		Collective: &collectivesv1.Collective{
			Name: y.collective, DisplayName: "Vallon contre caméras",
			BankAccount: &collectivesv1.BankAccount{Holder: "Vallon contre caméras", Iban: treasuryIBAN, Bic: "AGRIFRPP"},
			ChequePayee: "Vallon contre caméras", PostalAddress: []string{"Mairie", "12000 Vallon"},
		},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"bank_account", "cheque_payee", "postal_address"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return y
}

func (y *treasury) ctx(t *testing.T) context.Context { return apptest.WithKey(t.Context(), y.key) }

// day is one in the collective's time zone, some days ago.
func (y *treasury) day(ago int) string {
	zone, _ := time.LoadLocation("Europe/Paris")
	return y.e.Clock.Now().In(zone).AddDate(0, 0, -ago).Format(time.DateOnly)
}

// cash asks to record cash.
func (y *treasury) cash(minor int64) *treasuryv1.CreateOfflineDonationRequest {
	return &treasuryv1.CreateOfflineDonationRequest{
		Parent: y.campaign, RequestId: uuid.NewString(), OfflineDonation: &treasuryv1.OfflineDonation{
			Amount: apptest.Euros(minor),
			Method: treasuryv1.OfflineMethod_OFFLINE_METHOD_CASH, ReceiveDate: y.day(3), Document: "carnet 1/12",
		},
	}
}

func (y *treasury) cheque(minor int64) *treasuryv1.CreateOfflineDonationRequest {
	req := y.cash(minor)
	req.OfflineDonation.Method = treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE
	return req
}

// invoice asks to book the lawyer's, owed.
func (y *treasury) invoice(document string, minor int64) *treasuryv1.CreateExpenseRequest {
	return &treasuryv1.CreateExpenseRequest{
		Parent: y.collective, RequestId: uuid.NewString(),
		Expense: &treasuryv1.Expense{
			Kind: treasuryv1.ExpenseKind_EXPENSE_KIND_LAWYER, Payee: "Cabinet Martin", Document: document, DocumentDate: y.day(10),
			Amount: apptest.Euros(minor), Campaign: y.campaign, Stage: "1",
		},
	}
}

// books runs do twice, as when the first answer was lost, wants the same answer, and returns by how much each account
// of the collective changed.
func (y *treasury) books(t *testing.T, conn grpc.ClientConnInterface, do func() (proto.Message, error)) map[string]int64 {
	t.Helper()
	before := balances(t, conn, y.reader, y.collective)
	first, err := do()
	if err != nil {
		t.Fatal(err)
	}
	second, err := do()
	if err != nil || !proto.Equal(first, second) {
		t.Errorf("sent twice: %v, then %v, err = %v", first, second, err)
	}
	changed := balances(t, conn, y.reader, y.collective)
	for code, minor := range before {
		changed[code] -= minor
	}
	for code, minor := range changed {
		if minor == 0 {
			delete(changed, code)
		}
	}
	return changed
}

func wantBooks(t *testing.T, got, want map[string]int64) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the accounts changed otherwise (-want +got):\n%s", diff)
	}
}

func TestWhatATreasurerEntersIsBooked(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	y := newTreasury(t, e, "vallon")
	round := 0
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		round++
		hand := treasuryv1.NewTreasuryServiceClient(conn)
		ctx := y.ctx(t)
		settled, _ := progress(t, e.Conn, y.campaign)
		var last *treasuryv1.OfflineDonation
		enter := func(t *testing.T, req *treasuryv1.CreateOfflineDonationRequest) map[string]int64 {
			t.Helper()
			return y.books(t, conn, func() (_ proto.Message, err error) {
				last, err = hand.CreateOfflineDonation(ctx, req)
				return last, err
			})
		}
		reverse := func(t *testing.T) map[string]int64 {
			t.Helper()
			req := &treasuryv1.ReverseOfflineDonationRequest{Name: last.GetName(), RequestId: uuid.NewString(), Reason: "saisi deux fois"}
			return y.books(t, conn, func() (proto.Message, error) { return hand.ReverseOfflineDonation(ctx, req) })
		}
		t.Run("cash", func(t *testing.T) {
			wantBooks(t, enter(t, y.cash(15_00)), map[string]int64{"530": 15_00, "75411": -15_00})
			if now, _ := progress(t, e.Conn, y.campaign); now != settled+15_00 {
				t.Errorf("the progress is %d, want %d", now, settled+15_00)
			}
			wantBooks(t, reverse(t), map[string]int64{"530": -15_00, "75411": 15_00})
			if now, _ := progress(t, e.Conn, y.campaign); now != settled {
				t.Errorf("the progress is %d after the reversal, want %d", now, settled)
			}
			_, err := hand.ReverseOfflineDonation(ctx, &treasuryv1.ReverseOfflineDonationRequest{Name: last.GetName(), RequestId: uuid.NewString(), Reason: "x"})
			wantError(t, err, codes.FailedPrecondition, "DONATION_REVERSED", "")
		})
		t.Run("a transfer", func(t *testing.T) {
			req := y.cash(30_00)
			req.OfflineDonation.Method = treasuryv1.OfflineMethod_OFFLINE_METHOD_TRANSFER
			wantBooks(t, enter(t, req), map[string]int64{"51211": 30_00, "75411": -30_00})
		})
		t.Run("a cheque to the lawyer is a donation and an expense", func(t *testing.T) {
			req := y.cash(40_00)
			req.OfflineDonation.Method, req.OfflineDonation.Stage = treasuryv1.OfflineMethod_OFFLINE_METHOD_PAYEE_CHEQUE, "2"
			wantBooks(t, enter(t, req), map[string]int64{"6226": 40_00, "75411": -40_00})
			wantBooks(t, reverse(t), map[string]int64{"6226": -40_00, "75411": 40_00})
		})
		t.Run("or is left outside the books", func(t *testing.T) {
			req := y.cash(40_00)
			req.OfflineDonation.Method, req.OfflineDonation.OutsideBooks = treasuryv1.OfflineMethod_OFFLINE_METHOD_PAYEE_CHEQUE, true
			wantBooks(t, enter(t, req), map[string]int64{})
			wantBooks(t, reverse(t), map[string]int64{})
		})
		t.Run("cheques are received, banked together, and one bounces", func(t *testing.T) {
			wantBooks(t, enter(t, y.cheque(20_00)), map[string]int64{"5112": 20_00, "75411": -20_00})
			first := last
			wantBooks(t, enter(t, y.cheque(5_00)), map[string]int64{"5112": 5_00, "75411": -5_00})
			waiting := clearing(t, conn, y)
			if len(waiting) != 2 || waiting[0].GetAgeDays() != 3 || waiting[0].GetKind() != treasuryv1.ClearingKind_CLEARING_KIND_CHEQUE {
				t.Errorf("waiting are %v", waiting)
			}
			reader := apptest.WithKey(t.Context(), y.reader)
			item, err := hand.GetClearingItem(reader, &treasuryv1.GetClearingItemRequest{Name: waiting[0].GetName()})
			if err != nil || !proto.Equal(item, waiting[0]) || item.GetResource() != first.GetName() || item.GetOpenDate() != first.GetReceiveDate() {
				t.Errorf("the first to clear is %v, err = %v", item, err)
			}
			slip := &treasuryv1.CreateDepositRequest{
				Parent: y.collective, RequestId: uuid.NewString(), Deposit: &treasuryv1.Deposit{Cheques: []string{first.GetName(), last.GetName()}, BankDate: y.day(2), Document: "B-7"},
			}
			wantBooks(t, y.books(t, conn, func() (proto.Message, error) { return hand.CreateDeposit(ctx, slip) }), map[string]int64{"5112": -25_00, "51211": 25_00})
			if waiting := clearing(t, conn, y); len(waiting) != 0 {
				t.Errorf("still waiting are %v", waiting)
			}
			_, err = hand.GetClearingItem(reader, &treasuryv1.GetClearingItemRequest{Name: item.GetName()})
			wantError(t, err, codes.NotFound, "NOT_FOUND", "")
			deposits, err := hand.ListDeposits(reader, &treasuryv1.ListDepositsRequest{Parent: y.collective, PageSize: 1})
			if err != nil || len(deposits.GetDeposits()) != 1 || len(deposits.GetDeposits()[0].GetCheques()) != 2 || deposits.GetDeposits()[0].GetTotal().GetAmountMinor() != 25_00 {
				t.Fatalf("deposits are %v, err = %v", deposits, err)
			}
			deposit, err := hand.GetDeposit(reader, &treasuryv1.GetDepositRequest{Name: deposits.GetDeposits()[0].GetName()})
			if err != nil || !proto.Equal(deposit, deposits.GetDeposits()[0]) {
				t.Errorf("the deposit is %v, err = %v", deposit, err)
			}
			if cheque, err := hand.GetOfflineDonation(reader, &treasuryv1.GetOfflineDonationRequest{Name: last.GetName()}); err != nil || cheque.GetDeposit() != deposit.GetName() {
				t.Errorf("the cheque is %v, err = %v", cheque, err)
			}
			_, err = hand.GetDeposit(reader, &treasuryv1.GetDepositRequest{Name: y.collective + "/deposits/" + uuid.NewString()})
			wantError(t, err, codes.NotFound, "NOT_FOUND", "")
			if held := balances(t, conn, y.reader, y.collective)["5112"]; held != 0 {
				t.Errorf("5112 stands at %d", held)
			}
			again := proto.CloneOf(slip)
			again.RequestId = uuid.NewString()
			_, err = hand.CreateDeposit(ctx, again)
			wantError(t, err, codes.FailedPrecondition, "CHEQUE_NOT_HELD", "")

			bounce := &treasuryv1.BounceChequeRequest{Name: first.GetName(), RequestId: uuid.NewString(), BounceDate: y.day(5)}
			_, err = hand.BounceCheque(ctx, bounce)
			wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "bounce_date")
			bounce.BounceDate = y.day(0)
			wantBooks(t, y.books(t, conn, func() (proto.Message, error) { return hand.BounceCheque(ctx, bounce) }), map[string]int64{"51211": -20_00, "75411": 20_00})
			bounce.RequestId = uuid.NewString()
			_, err = hand.BounceCheque(ctx, bounce)
			wantError(t, err, codes.FailedPrecondition, "CHEQUE_NOT_BANKED", "")
			wantBooks(t, reverse(t), map[string]int64{"51211": -5_00, "75411": 5_00})
			got, err := hand.GetOfflineDonation(apptest.WithKey(t.Context(), y.reader), &treasuryv1.GetOfflineDonationRequest{Name: first.GetName()})
			if err != nil || got.GetState() != treasuryv1.OfflineDonationState_OFFLINE_DONATION_STATE_BOUNCED || got.GetBankDate() != slip.GetDeposit().GetBankDate() {
				t.Errorf("got %v, err = %v", got, err)
			}
		})
		t.Run("an invoice is owed, paid, and taken back", func(t *testing.T) {
			req := y.invoice(fmt.Sprintf("F-2025/%d", round), 250_00)
			var owed *treasuryv1.Expense
			wantBooks(t, y.books(t, conn, func() (_ proto.Message, err error) { owed, err = hand.CreateExpense(ctx, req); return owed, err }),
				map[string]int64{"6226": 250_00, "401": -250_00})
			wantSpent(t, y.e.Conn, y.campaign, 250_00, 250_00)

			booked, err := ledgerv1.NewLedgerServiceClient(conn).ListTransactions(apptest.WithKey(t.Context(), y.reader), &ledgerv1.ListTransactionsRequest{
				Parent: y.collective + "/ledger", Reference: "expense:" + owed.GetName()[strings.LastIndexByte(owed.GetName(), '/')+1:],
			})
			if err != nil || len(booked.GetTransactions()) != 1 {
				t.Fatalf("%v, err = %v", booked, err)
			}
			_, err = ledgerv1.NewLedgerServiceClient(conn).ReverseTransaction(ctx, &ledgerv1.ReverseTransactionRequest{
				Name: booked.GetTransactions()[0].GetName(), RequestId: uuid.NewString(),
			})
			wantError(t, err, codes.FailedPrecondition, "REVERSED_ELSEWHERE", "")
			wantSpent(t, y.e.Conn, y.campaign, 250_00, 250_00)

			twin := proto.CloneOf(req)
			twin.RequestId, twin.Expense.Document = uuid.NewString(), fmt.Sprintf("f 2025 %d", round)
			_, err = hand.CreateExpense(ctx, twin)
			wantError(t, err, codes.AlreadyExists, "DOCUMENT_EXISTS", "")

			paid := &treasuryv1.PayExpenseRequest{Name: owed.GetName(), RequestId: uuid.NewString(), PayDate: y.day(1)}
			wantBooks(t, y.books(t, conn, func() (proto.Message, error) { return hand.PayExpense(ctx, paid) }), map[string]int64{"401": 250_00, "51211": -250_00})
			paid.RequestId = uuid.NewString()
			_, err = hand.PayExpense(ctx, paid)
			wantError(t, err, codes.FailedPrecondition, "EXPENSE_NOT_OWED", "")

			back := &treasuryv1.ReverseExpenseRequest{Name: owed.GetName(), RequestId: uuid.NewString(), Reason: "autre dossier"}
			wantBooks(t, y.books(t, conn, func() (proto.Message, error) { return hand.ReverseExpense(ctx, back) }), map[string]int64{"6226": -250_00, "51211": 250_00})
			wantSpent(t, y.e.Conn, y.campaign, 0, 0)
		})
		t.Run("costs of the court are paid at once, from the cash box", func(t *testing.T) {
			req := y.invoice(fmt.Sprintf("huissier %d", round), 60_00)
			req.Expense.Kind, req.Expense.PayDate, req.Expense.Source = treasuryv1.ExpenseKind_EXPENSE_KIND_LITIGATION, y.day(0), treasuryv1.PaymentSource_PAYMENT_SOURCE_CASH
			var made *treasuryv1.Expense
			wantBooks(t, y.books(t, conn, func() (_ proto.Message, err error) { made, err = hand.CreateExpense(ctx, req); return made, err }),
				map[string]int64{"6227": 60_00, "530": -60_00})
			back := &treasuryv1.ReverseExpenseRequest{Name: made.GetName(), RequestId: uuid.NewString(), Reason: "x"}
			wantBooks(t, y.books(t, conn, func() (proto.Message, error) { return hand.ReverseExpense(ctx, back) }), map[string]int64{"6227": -60_00, "530": 60_00})
		})
		t.Run("anything else goes on the account that is said", func(t *testing.T) {
			req := y.invoice(fmt.Sprintf("agios %d", round), 3_00)
			req.Expense.Kind, req.Expense.Account, req.Expense.PayDate = treasuryv1.ExpenseKind_EXPENSE_KIND_OTHER, "627", y.day(0)
			req.Expense.Campaign, req.Expense.Stage = "", ""
			wantBooks(t, y.books(t, conn, func() (proto.Message, error) { return hand.CreateExpense(ctx, req) }), map[string]int64{"627": 3_00, "51211": -3_00})
			req.RequestId, req.Expense.Document, req.Expense.Account = uuid.NewString(), "z"+req.GetExpense().GetDocument(), "512"
			_, err := hand.CreateExpense(ctx, req)
			wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "expense.account")
		})
		t.Run("a request id stands for one thing", func(t *testing.T) {
			req := y.cash(1_00)
			enter(t, req)
			req.OfflineDonation.Amount = apptest.Euros(2_00)
			_, err := hand.CreateOfflineDonation(ctx, req)
			wantError(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED", "")
			reverse(t)
		})
		t.Run("days to come and other currencies are refused", func(t *testing.T) {
			req := y.cash(1_00)
			req.OfflineDonation.ReceiveDate = y.day(-1)
			_, err := hand.CreateOfflineDonation(ctx, req)
			wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "offline_donation.receive_date")
			req = y.cash(1_00)
			req.OfflineDonation.Amount.CurrencyCode = "CHF"
			_, err = hand.CreateOfflineDonation(ctx, req)
			wantError(t, err, codes.InvalidArgument, "CURRENCY_MISMATCH", "offline_donation.amount.currency_code")
			late := y.invoice("later", 1_00)
			late.Expense.Stage = "cassation"
			_, err = hand.CreateExpense(ctx, late)
			wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "expense.stage")
		})
		t.Run("others do not write, and editors do not read", func(t *testing.T) {
			editor := e.Key(y.collective, accessv1.Role_ROLE_EDITOR)
			for _, key := range []string{editor, y.reader, e.OperatorKey} {
				_, err := hand.CreateOfflineDonation(apptest.WithKey(t.Context(), key), y.cash(1_00))
				wantError(t, err, codes.NotFound, "NOT_FOUND", "")
			}
			_, err := hand.ListOfflineDonations(apptest.WithKey(t.Context(), editor), &treasuryv1.ListOfflineDonationsRequest{Parent: y.campaign})
			wantError(t, err, codes.NotFound, "NOT_FOUND", "")
			_, err = hand.CreateExpense(t.Context(), y.invoice("x", 1_00))
			wantError(t, err, codes.Unauthenticated, "UNAUTHENTICATED", "")
		})
	})
	t.Run("lists go page by page", func(t *testing.T) {
		hand := treasuryv1.NewTreasuryServiceClient(e.Conn)
		seen := map[string]bool{}
		for token := ""; ; {
			resp, err := hand.ListOfflineDonations(apptest.WithKey(t.Context(), y.reader), &treasuryv1.ListOfflineDonationsRequest{Parent: y.campaign, PageSize: 3, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range resp.GetOfflineDonations() {
				seen[g.GetName()] = true
			}
			if token = resp.GetNextPageToken(); token == "" {
				break
			}
		}
		if len(seen) != 14 {
			t.Errorf("%d donations, want 14", len(seen))
		}
	})
	t.Run("the exports have it, and the books are sound", func(t *testing.T) {
		for _, format := range []string{"FEC", "CSV", "HLEDGER"} {
			var b strings.Builder
			year := y.e.Clock.Now().Year()
			if err := app.Export(t.Context(), e.DatabaseURL, app.ExportRequest{
				Collective: "vallon", Format: format, StartDate: fmt.Sprintf("%d-01-01", year), EndDate: fmt.Sprintf("%d-01-01", year+1),
			}, &b); err != nil {
				t.Errorf("%s: %v", format, err)
			}
			if format == "FEC" {
				// What is not sealed yet is not in it: ask until all is.
				e.Eventually("the papers are named in the FEC", func() bool {
					b.Reset()
					if err := app.Export(t.Context(), e.DatabaseURL, app.ExportRequest{
						Collective: "vallon", Format: format, StartDate: fmt.Sprintf("%d-01-01", year), EndDate: fmt.Sprintf("%d-01-01", year+1),
					}, &b); err != nil {
						t.Fatal(err)
					}
					return strings.Contains(b.String(), "\tcarnet 1/12\t"+strings.ReplaceAll(y.day(3), "-", "")+"\t") && strings.Contains(b.String(), "\tF-2025/")
				})
				if strings.Contains(b.String(), "offline-donation:") || strings.Contains(b.String(), "expense:") {
					t.Errorf("references of our own are in it:\n%s", b.String())
				}
			}
			if format != "FEC" && (!strings.Contains(b.String(), "offline-donation:") || !strings.Contains(b.String(), "expense:")) {
				t.Errorf("%s does not have it:\n%s", format, b.String())
			}
		}
		var told strings.Builder
		if err := app.VerifyLedger(t.Context(), e.DatabaseURL, nil, nil, &told); err != nil {
			t.Errorf("%v\n%s", err, told.String())
		}
	})
}

func clearing(t *testing.T, conn grpc.ClientConnInterface, y *treasury) []*treasuryv1.ClearingItem {
	t.Helper()
	resp, err := treasuryv1.NewTreasuryServiceClient(conn).ListClearingItems(apptest.WithKey(t.Context(), y.reader),
		&treasuryv1.ListClearingItemsRequest{Parent: y.collective})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetClearingItems()
}

// wantSpent checks what the public campaign says was spent, in all and on its first stage.
func wantSpent(t *testing.T, conn grpc.ClientConnInterface, campaign string, all, first int64) {
	t.Helper()
	c, err := campaignsv1.NewCampaignsServiceClient(conn).GetCampaign(t.Context(), &campaignsv1.GetCampaignRequest{Name: campaign})
	if err != nil {
		t.Fatal(err)
	}
	if got, stage := c.GetSpent().GetAmountMinor(), c.GetStages()[0].GetSpent().GetAmountMinor(); got != all || stage != first {
		t.Errorf("spent %d, %d of it on the first stage; want %d and %d", got, stage, all, first)
	}
}

func TestAClosedPeriodNamesTheField(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	y := newTreasury(t, e, "vallon")
	hand := treasuryv1.NewTreasuryServiceClient(e.Conn)
	owed, err := hand.CreateExpense(y.ctx(t), y.invoice("F-1", 10_00))
	if err != nil {
		t.Fatal(err)
	}
	held, err := hand.CreateOfflineDonation(y.ctx(t), y.cheque(10_00))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledgerv1.NewLedgerServiceClient(e.Conn).ClosePeriod(y.ctx(t), &ledgerv1.ClosePeriodRequest{
		Name: y.collective + "/ledger", EndTime: timestamppb.New(e.Clock.Now().Add(-time.Hour)),
	}); err != nil {
		t.Fatal(err)
	}
	_, err = hand.CreateOfflineDonation(y.ctx(t), y.cash(1_00))
	wantError(t, err, codes.FailedPrecondition, "PERIOD_CLOSED", "offline_donation.receive_date")
	_, err = hand.CreateExpense(y.ctx(t), y.invoice("F-2", 10_00))
	wantError(t, err, codes.FailedPrecondition, "PERIOD_CLOSED", "expense.document_date")
	_, err = hand.PayExpense(y.ctx(t), &treasuryv1.PayExpenseRequest{Name: owed.GetName(), RequestId: uuid.NewString(), PayDate: y.day(2)})
	wantError(t, err, codes.FailedPrecondition, "PERIOD_CLOSED", "pay_date")
	_, err = hand.CreateDeposit(y.ctx(t), &treasuryv1.CreateDepositRequest{Parent: y.collective, RequestId: uuid.NewString(), Deposit: &treasuryv1.Deposit{Cheques: []string{held.GetName()}, BankDate: y.day(2)}})
	wantError(t, err, codes.FailedPrecondition, "PERIOD_CLOSED", "deposit.bank_date")
	// A correction counts when the books are open again.
	if _, err := hand.ReverseExpense(y.ctx(t), &treasuryv1.ReverseExpenseRequest{Name: owed.GetName(), RequestId: uuid.NewString(), Reason: "x"}); err != nil {
		t.Error(err)
	}
}

func TestAnOfflineDonationIsProven(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	y := newTreasury(t, e, "vallon")
	g, err := treasuryv1.NewTreasuryServiceClient(e.Conn).CreateOfflineDonation(y.ctx(t), y.cash(12_00))
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Replace(g.GetName(), "/offlineDonations/", "/donations/", 1)
	e.Eventually("the donation is sealed and proven", func() bool {
		proof, err := ledgerv1.NewLedgerServiceClient(e.Conn).GetDonationProof(e.Context(), &ledgerv1.GetDonationProofRequest{Name: name + "/proof"})
		return err == nil && app.VerifyProof(proof.GetCode(), proof.GetVerifierKey(), io.Discard) == nil
	})
}
