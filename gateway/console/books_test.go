package console

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/fullstorydev/grpchan/inprocgrpc"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cagnotte/cagnotte/gateway/design"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	exportsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	payoutsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/payouts/v1"
)

// hostile is a text that must stay a text.
const hostile = `<script>alert("x")</script>`

// fakeBooks has one of everything, with hostile names.
type fakeBooks struct {
	ledgerv1.UnimplementedLedgerServiceServer
	payoutsv1.UnimplementedPayoutsServiceServer
	campaignsv1.UnimplementedCampaignsServiceServer
	collectivesv1.UnimplementedCollectivesServiceServer
	exportsv1.UnimplementedExportsServiceServer
	exported []*exportsv1.ExportLedgerRequest
	moved    []*ledgerv1.ReclassifyTransactionRequest
	closed   []*ledgerv1.ClosePeriodRequest
}

func fakeTransaction() *ledgerv1.Transaction {
	return &ledgerv1.Transaction{
		Name: "collectives/vallon/ledger/transactions/7", Reference: hostile, Kind: "receipt", EffectiveTime: timestamppb.Now(),
		RecordTime: timestamppb.Now(), Entries: []*ledgerv1.Entry{
			{Account: "512", AccountDisplayName: hostile, Amount: euros(500)},
			{Account: "4718", AccountDisplayName: hostile, Amount: euros(-500), Campaign: "collectives/vallon/campaigns/avocate"},
		},
	}
}

func (f *fakeBooks) GetCollective(context.Context, *collectivesv1.GetCollectiveRequest) (*collectivesv1.Collective, error) {
	return &collectivesv1.Collective{DisplayName: hostile, TimeZone: "Europe/Paris"}, nil
}

func (f *fakeBooks) ListCampaigns(context.Context, *campaignsv1.ListCampaignsRequest) (*campaignsv1.ListCampaignsResponse, error) {
	return &campaignsv1.ListCampaignsResponse{Campaigns: []*campaignsv1.Campaign{{
		Name: "collectives/vallon/campaigns/avocate", Texts: map[string]*campaignsv1.CampaignText{"fr": {Title: hostile}},
	}}}, nil
}

func (f *fakeBooks) ListAccounts(context.Context, *ledgerv1.ListAccountsRequest) (*ledgerv1.ListAccountsResponse, error) {
	return &ledgerv1.ListAccountsResponse{Accounts: []*ledgerv1.Account{
		{Code: "512", DisplayName: hostile, Type: ledgerv1.AccountType_ACCOUNT_TYPE_ASSET, Balances: []*moneyv1.Money{euros(500)}},
		{Code: "4718", DisplayName: hostile, Type: ledgerv1.AccountType_ACCOUNT_TYPE_LIABILITY, Balances: []*moneyv1.Money{euros(-500)}},
		{Code: "75411", DisplayName: "Dons", Type: ledgerv1.AccountType_ACCOUNT_TYPE_INCOME},
	}}, nil
}

func (f *fakeBooks) ListStatementLines(context.Context, *ledgerv1.ListStatementLinesRequest) (*ledgerv1.ListStatementLinesResponse, error) {
	return &ledgerv1.ListStatementLinesResponse{
		Account: &ledgerv1.Account{Code: "4718", DisplayName: hostile, Type: ledgerv1.AccountType_ACCOUNT_TYPE_LIABILITY, Balances: []*moneyv1.Money{euros(0)}},
		Lines: []*ledgerv1.StatementLine{{
			Transaction: "collectives/vallon/ledger/transactions/7", Reference: hostile, Kind: hostile, EffectiveTime: timestamppb.Now(),
			Amount: euros(-500), Balance: euros(-500),
		}},
		NextPageToken: "next",
	}, nil
}

func (f *fakeBooks) ListTransactions(context.Context, *ledgerv1.ListTransactionsRequest) (*ledgerv1.ListTransactionsResponse, error) {
	return &ledgerv1.ListTransactionsResponse{Transactions: []*ledgerv1.Transaction{fakeTransaction()}, NextPageToken: "next"}, nil
}

func (f *fakeBooks) GetTransaction(_ context.Context, r *ledgerv1.GetTransactionRequest) (*ledgerv1.Transaction, error) {
	if !strings.HasSuffix(r.GetName(), "/7") {
		return nil, status.Error(codes.NotFound, "no")
	}
	return fakeTransaction(), nil
}

func (f *fakeBooks) GetCheckpoint(context.Context, *ledgerv1.GetCheckpointRequest) (*ledgerv1.Checkpoint, error) {
	return &ledgerv1.Checkpoint{Size: 1700, SignTime: timestamppb.Now(), Note: hostile, VerifierKey: hostile}, nil
}

func (f *fakeBooks) ReclassifyTransaction(_ context.Context, r *ledgerv1.ReclassifyTransactionRequest) (*ledgerv1.Transaction, error) {
	f.moved = append(f.moved, r)
	return &ledgerv1.Transaction{Name: "collectives/vallon/ledger/transactions/8"}, nil
}

func (f *fakeBooks) ClosePeriod(_ context.Context, r *ledgerv1.ClosePeriodRequest) (*ledgerv1.ClosePeriodResponse, error) {
	f.closed = append(f.closed, r)
	return &ledgerv1.ClosePeriodResponse{}, nil
}

func (f *fakeBooks) ListPayouts(context.Context, *payoutsv1.ListPayoutsRequest) (*payoutsv1.ListPayoutsResponse, error) {
	return &payoutsv1.ListPayoutsResponse{Payouts: []*payoutsv1.Payout{fakePayout()}}, nil
}

func (f *fakeBooks) GetPayout(context.Context, *payoutsv1.GetPayoutRequest) (*payoutsv1.Payout, error) {
	return fakePayout(), nil
}

func (f *fakeBooks) ListPayoutLines(context.Context, *payoutsv1.ListPayoutLinesRequest) (*payoutsv1.ListPayoutLinesResponse, error) {
	return &payoutsv1.ListPayoutLinesResponse{Lines: []*payoutsv1.PayoutLine{{
		Kind: payoutsv1.PayoutLineKind_PAYOUT_LINE_KIND_DONATION, Transaction: hostile, Gross: euros(520), Fee: euros(20), Net: euros(500),
	}}}, nil
}

func fakePayout() *payoutsv1.Payout {
	return &payoutsv1.Payout{
		Name: "collectives/vallon/payouts/po_1", Amount: euros(900), ShareAmount: euros(500), State: payoutsv1.PayoutState_PAYOUT_STATE_PAID,
		ArrivalTime: timestamppb.Now(), Transaction: hostile, Reconciliation: payoutsv1.Reconciliation_RECONCILIATION_DIFFERS,
		Findings: []*payoutsv1.Finding{{Problem: payoutsv1.Problem_PROBLEM_SUM, Transaction: hostile, Expected: euros(1)}},
	}
}

func (f *fakeBooks) ExportLedger(r *exportsv1.ExportLedgerRequest, s grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	f.exported = append(f.exported, r)
	if r.GetFormat() == "FEC" && r.GetEndDate() == "" {
		return status.Error(codes.InvalidArgument, "end_date")
	}
	if err := s.SetHeader(metadata.Pairs("content-disposition", `attachment; filename="vallon.csv"`, "cagnotte-export-version", "1:2:-ab")); err != nil {
		return err
	}
	return s.Send(&httpbody.HttpBody{ContentType: "text/csv", Data: []byte("a,b\r\n")})
}

func startBooks(t *testing.T) (http.Handler, *fakeBooks) {
	t.Helper()
	books, conn := &fakeBooks{}, &inprocgrpc.Channel{}
	accessv1.RegisterAccessServiceServer(conn, &fakeAccess{})
	ledgerv1.RegisterLedgerServiceServer(conn, books)
	payoutsv1.RegisterPayoutsServiceServer(conn, books)
	campaignsv1.RegisterCampaignsServiceServer(conn, books)
	collectivesv1.RegisterCollectivesServiceServer(conn, books)
	exportsv1.RegisterExportsServiceServer(conn, books)
	handler, err := New(Config{Conn: conn, Assets: design.NewAssets(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return handler, books
}

func TestThePagesOfTheBooks(t *testing.T) {
	handler, _ := startBooks(t)
	const books = "/console/c/vallon/books"
	for path, shows := range map[string]string{
		"":                       "Soldes",
		"/accounts/4718":         "page=next",
		"/journal":               "page=next",
		"/journal/7":             "Reclasser",
		"/journal/7/reclassify":  "Montant à déplacer",
		"/payouts":               "Un écart",
		"/payouts/po_1":          "Le contenu ne correspond pas au total",
		"/exports":               "Beancount",
		"/new-account":           "Numéro",
		"/proof":                 "opérations sont scellées",
		"/journal/7?lang=en":     "Reclassify",
		"/exports?lang=en":       "Spreadsheet",
		"/proof?lang=en":         "transactions are sealed",
		"/payouts/po_1?lang=en":  "What is in it",
		"/accounts/4718?lang=en": "Balance before",
	} {
		r := send(handler, http.MethodGet, books+path, nil, "Cookie", signedIn)
		text := body(t, r)
		if r.StatusCode != http.StatusOK || !strings.Contains(text, shows) {
			t.Errorf("%s: %d, it must show %q:\n%s", path, r.StatusCode, shows, text)
		}
		if strings.Contains(text, hostile) || strings.Contains(text, "books.") {
			t.Errorf("%s has a script or a key of the catalogue:\n%s", path, text)
		}
	}
	for path, want := range map[string]int{"/journal/9": 404, "/closing": 303, "/journal/7/reverse": 200} {
		if r := send(handler, http.MethodGet, books+path, nil, "Cookie", signedIn); r.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, r.StatusCode, want)
		}
	}
	// A day that is none is said at its field, and not taken for no day.
	for _, path := range []string{"?end_date=31/02/2026", "/accounts/4718?start_date=x", "/journal?end_date=x"} {
		r := send(handler, http.MethodGet, books+path, nil, "Cookie", signedIn)
		if text := body(t, r); r.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, `id="errors"`) || strings.Contains(text, "page=next") {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
	// Léa is an editor there.
	if r := send(handler, http.MethodGet, "/console/c/causse/books", nil, "Cookie", signedIn); r.StatusCode != http.StatusNotFound {
		t.Errorf("an editor sees the books: %d", r.StatusCode)
	}
}

func TestAnAmountIsMovedWithTheSignOfItsEntry(t *testing.T) {
	handler, books := startBooks(t)
	const address = "/console/c/vallon/books/journal/7/reclassify"
	form := url.Values{
		"entry": {"1"}, "amount": {"1,20 €"}, "to_account": {"75411"}, "to_campaign": {"collectives/vallon/campaigns/avocate"},
		"request_id": {"01890a5d-ac96-774b-bcce-b302099a8057"},
	}
	r := send(handler, http.MethodPost, address, form, "Cookie", signedIn)
	if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "/console/c/vallon/books/journal/8?done=books.reclassified" {
		t.Fatalf("%d %s:\n%s", r.StatusCode, r.Header.Get("Location"), body(t, r))
	}
	got := books.moved[0]
	if got.GetFrom().GetAmount().GetAmountMinor() != -120 || got.GetFrom().GetAccount() != "4718" || got.GetRequestId() != form.Get("request_id") {
		t.Errorf("it asked for %v", got)
	}
	for _, entry := range []string{"", "-1", "2", "x"} {
		form.Set("entry", entry)
		if r := send(handler, http.MethodPost, address, form, "Cookie", signedIn); entry == "" && r.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("entry %q: %d", entry, r.StatusCode)
		}
	}
}

func TestExportsOfTheConsole(t *testing.T) {
	handler, books := startBooks(t)
	const address = "/console/c/vallon/books/export"
	r := send(handler, http.MethodGet, address+"?format=CSV&start_date=01/02/2026&end_date=2026-02-28", nil, "Cookie", signedIn)
	if text := body(t, r); r.StatusCode != http.StatusOK || text != "a,b\r\n" || r.Header.Get("ETag") != `"1:2:-ab"` || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %q %v", r.StatusCode, text, r.Header)
	}
	if got := books.exported[0]; got.GetStartDate() != "2026-02-01" || got.GetEndDate() != "2026-02-28" || got.GetName() != "collectives/vallon/ledger" {
		t.Errorf("it asked for %v", got)
	}
	send(handler, http.MethodGet, address+"?format=CSV", nil, "Cookie", signedIn, "Range", "bytes=2-", "If-Range", `"1:2:-ab"`)
	if got := books.exported[1]; got.GetOffset() != 2 || got.GetVersion() != "1:2:-ab" {
		t.Errorf("a continued download asked for %v", got)
	}
	r = send(handler, http.MethodGet, address+"?format=FEC&siren=123", nil, "Cookie", signedIn)
	if text := body(t, r); r.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, `value="123"`) || r.Header.Get("Content-Disposition") != "" {
		t.Errorf("a refused export: %d\n%s", r.StatusCode, text)
	}
}

func TestAPeriodIsClosedAtTheEndOfItsDay(t *testing.T) {
	handler, books := startBooks(t)
	const address = "/console/c/vallon/books/closing"
	if r := send(handler, http.MethodPost, address, url.Values{"end_date": {"31/10/2026"}}, "Cookie", signedIn); r.StatusCode != http.StatusUnprocessableEntity || len(books.closed) > 0 {
		t.Errorf("without the tick: %d", r.StatusCode)
	}
	r := send(handler, http.MethodPost, address, url.Values{"end_date": {"31/10/2026"}, "sure": {"yes"}}, "Cookie", signedIn)
	if r.StatusCode != http.StatusSeeOther || len(books.closed) != 1 {
		t.Fatalf("%d, %v", r.StatusCode, books.closed)
	}
	// Midnight in Paris, one hour before UTC's.
	if got := books.closed[0].GetEndTime().AsTime().Format("2006-01-02T15:04Z"); got != "2026-10-31T23:00Z" {
		t.Errorf("closed until %s", got)
	}
}

func TestBadgesBeginWithACapital(t *testing.T) {
	for _, section := range []string{"bank", "books", "donations", "expenses", "refunds", "disputes"} {
		for _, lang := range []string{"fr", "en"} {
			raw, err := os.ReadFile("strings/" + section + "." + lang + ".json")
			if err != nil {
				t.Fatal(err)
			}
			var texts map[string]any
			if err := json.Unmarshal(raw, &texts); err != nil {
				t.Fatal(err)
			}
			for key, value := range texts {
				text, ok := value.(string)
				if !ok || !strings.Contains(key, "_STATE_") && !strings.HasPrefix(key, "RECONCILIATION_") {
					continue
				}
				if first, _ := utf8.DecodeRuneInString(text); !unicode.IsUpper(first) {
					t.Errorf("%s.%s of %s is %q", section, key, lang, text)
				}
			}
		}
	}
}
