package exports_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	exportsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/exports"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var update = flag.Bool("update", false, "write the golden files")

const vallon = "vallon-contre-cameras"

func open(t *testing.T, zone string) (*exports.Service, *ledger.Service, *pgxpool.Pool) {
	t.Helper()
	return openPaced(t, zone, exports.Pace{})
}

// openPaced is open with a slowest speed of readers.
func openPaced(t *testing.T, zone string, pace exports.Pace) (*exports.Service, *ledger.Service, *pgxpool.Pool) {
	t.Helper()
	pool := pgtest.New(t)
	groups := collectives.New(collectives.Config{Pool: pool})
	for _, c := range []collectives.Collective{
		{ID: vallon, DisplayName: "Vallon contre caméras", TimeZone: zone},
		{ID: "technopolice-marseille", DisplayName: "Technopolice Marseille"},
	} {
		if _, err := groups.Create(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	books := ledger.New(ledger.Config{Pool: pool, SecretKey: bytes.Repeat([]byte{7}, 32)})
	if err := postgres.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
		return books.EnsureBookTx(ctx, tx, "")
	}); err != nil {
		t.Fatal(err)
	}
	return exports.New(exports.Config{Ledger: books, Collectives: groups, Pace: pace}), books, pool
}

func post(t *testing.T, books *ledger.Service, pool *pgxpool.Pool, txs ...ledger.Transaction) {
	t.Helper()
	if err := postgres.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
		_, err := books.PostTx(ctx, tx, "", txs)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// pair moves an amount from one account to another, for a collective.
func pair(reference, kind string, at time.Time, debit, credit ledger.AccountRole, amount money.Amount, collective, campaign string) ledger.Transaction {
	entry := ledger.Entry{Role: debit, Amount: amount, Collective: collective, Campaign: campaign}
	if campaign != "" {
		entry.Donation = uuid.NewSHA1(uuid.Nil, []byte(reference))
	}
	other := entry
	other.Role, other.Amount.Minor = credit, -amount.Minor
	return ledger.Transaction{Reference: reference, Kind: kind, Effective: at, Entries: []ledger.Entry{entry, other}}
}

func eur(minor int64) money.Amount { return money.Amount{Minor: minor, Currency: money.EUR} }

// TestGolden has what a file can hold: several kinds and currencies, an entry of no campaign, a
// reference that is a formula, and a collective that must not be in it.
func TestGolden(t *testing.T) {
	service, books, pool := open(t, "Europe/Paris")
	newYear := time.Date(2025, 12, 31, 23, 30, 0, 123_000_000, time.UTC) // 2026 in Paris
	summer := time.Date(2026, 7, 14, 21, 59, 59, 0, time.UTC)
	post(t, books, pool,
		pair("txn_donation", ledger.KindDonation, newYear, ledger.RoleStripeBalance, ledger.RoleDonations, eur(2000), vallon, "avocate"),
		pair("txn_fee", ledger.KindFee, newYear.Add(time.Second), ledger.RoleStripeFees, ledger.RoleStripeBalance, eur(5), vallon, ""),
		pair(`=HYPERLINK("http://x")`, ledger.KindOther, summer, ledger.RoleBank, ledger.RoleUnknownReceipts, eur(123_456_789), vallon, ""),
		pair("txn_yen", ledger.KindRefund, summer, ledger.RoleDonations, ledger.RoleStripeBalance, money.Amount{Minor: 700, Currency: "JPY"}, vallon, "avocate"),
		pair("txn_other", ledger.KindDonation, summer, ledger.RoleStripeBalance, ledger.RoleDonations, eur(9999), "technopolice-marseille", "recours"),
	)
	for format, golden := range map[string]string{
		exports.FormatCSV: "golden.csv", exports.FormatHledger: "golden.journal", exports.FormatBeancount: "golden.beancount",
	} {
		got := file(t, service, exports.Request{Collective: vallon, Format: format})
		golden = filepath.Join("testdata", golden)
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
	got := file(t, service, exports.Request{Collective: vallon})
	t.Run("twice gives the same bytes", func(t *testing.T) {
		if again := file(t, service, exports.Request{Collective: vallon, Format: exports.FormatCSV}); again != got {
			t.Error("the bytes differ")
		}
	})
	t.Run("balances per currency", func(t *testing.T) {
		records, err := csv.NewReader(strings.NewReader(got)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		sums := map[string]money.Amount{}
		for _, r := range records[1:] {
			for column, sign := range map[int]int64{7: 1, 8: -1} {
				if r[column] == "" {
					continue
				}
				amount, err := money.Parse(r[column], money.Currency(r[9]))
				if err != nil {
					t.Fatal(err)
				}
				amount.Minor = amount.Minor*sign + sums[r[9]].Minor
				sums[r[9]] = amount
			}
		}
		for currency, sum := range sums {
			if sum.Minor != 0 {
				t.Errorf("%s sums to %v", currency, sum)
			}
		}
	})
}

func file(t *testing.T, service *exports.Service, req exports.Request) string {
	t.Helper()
	var b bytes.Buffer
	if err := service.Write(t.Context(), &b, req); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDays(t *testing.T) {
	for _, c := range []struct {
		zone, from, to string
		// inside are the first and the last instant of the span.
		first, last string
	}{
		{"Europe/Paris", "2026-01-01", "2026-01-01", "2025-12-31T23:00:00Z", "2026-01-01T22:59:59.999999Z"},
		{"Europe/Paris", "2026-03-29", "2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T21:59:59.999999Z"},
		{"Pacific/Auckland", "2026-01-01", "2026-01-02", "2025-12-31T11:00:00Z", "2026-01-02T10:59:59.999999Z"},
		// No midnight on that day, and two of them on this one.
		{"Africa/Cairo", "2024-04-26", "2024-04-26", "2024-04-25T22:00:00Z", "2024-04-26T20:59:59.999999Z"},
		{"America/Havana", "2026-11-01", "2026-11-01", "2026-11-01T04:00:00Z", "2026-11-02T04:59:59.999999Z"},
		{"UTC", "2024-02-29", "2024-02-29", "2024-02-29T00:00:00Z", "2024-02-29T23:59:59.999999Z"},
	} {
		t.Run(c.zone+" "+c.from, func(t *testing.T) {
			service, books, pool := open(t, c.zone)
			first, last := instant(t, c.first), instant(t, c.last)
			for reference, at := range map[string]time.Time{
				"before": first.Add(-time.Microsecond), "first": first, "last": last, "after": last.Add(time.Microsecond),
			} {
				post(t, books, pool, pair(reference, ledger.KindDonation, at, ledger.RoleBank, ledger.RoleDonations, eur(1), vallon, ""))
			}
			for _, span := range []struct {
				from, to string
				want     string
			}{
				{c.from, c.to, "first last"}, {c.from, "", "first last after"}, {"", c.to, "before first last"}, {"", "", "before first last after"},
			} {
				got := references(t, file(t, service, exports.Request{Collective: vallon, StartDate: span.from, EndDate: span.to}))
				if got != span.want {
					t.Errorf("from %q to %q has %q, want %q", span.from, span.to, got, span.want)
				}
			}
		})
	}
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// references are those of a file's lines, once each.
func references(t *testing.T, text string) string {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, r := range records[1:] {
		if n := len(found); n == 0 || found[n-1] != r[1] {
			found = append(found, r[1])
		}
	}
	return strings.Join(found, " ")
}

func TestRefuses(t *testing.T) {
	service, _, _ := open(t, "Europe/Paris")
	for _, c := range []struct {
		field string
		req   exports.Request
	}{
		{"start_date", exports.Request{StartDate: "2026-02-30"}},
		{"start_date", exports.Request{StartDate: "0000-01-01"}},
		{"start_date", exports.Request{StartDate: "today"}},
		{"end_date", exports.Request{EndDate: "2026-13-01"}},
		{"end_date", exports.Request{EndDate: "2026-1-1"}},
		{"end_date", exports.Request{StartDate: "2026-01-02", EndDate: "2026-01-01"}},
		{"siren", exports.Request{SIREN: "732829320"}},
		{"version", exports.Request{Version: "yesterday"}},
		{"version", exports.Request{Offset: 1}},
		{"offset", exports.Request{Offset: -1}},
		{"format", exports.Request{Format: "PDF"}},
		{"format", exports.Request{Format: "csv"}},
	} {
		c.req.Collective = vallon
		var b bytes.Buffer
		err := service.Write(t.Context(), &b, c.req)
		if e := errs.As(err); e == nil || e.Code != codes.InvalidArgument || len(e.Fields) != 1 || e.Fields[0].Field != c.field {
			t.Errorf("%+v: %v", c.req, err)
		}
		if b.Len() > 0 {
			t.Errorf("%+v: wrote %q", c.req, b.String())
		}
	}
	if err := service.Write(t.Context(), io.Discard, exports.Request{Collective: "nobody-here"}); errs.Code(err) != codes.NotFound {
		t.Errorf("err = %v", err)
	}
}

func TestExportLedger(t *testing.T) {
	service, _, pool := open(t, "Europe/Paris")
	fill(t, pool, 2_000)
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	exportsv1.RegisterExportsServiceServer(server, exports.NewServer(service))
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	conn, err := grpc.NewClient("passthrough:///ledger",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := exportsv1.NewExportsServiceClient(conn)

	receive := func(req *exportsv1.ExportLedgerRequest) (text string, header metadata.MD, chunks int, err error) {
		stream, err := client.ExportLedger(t.Context(), req)
		if err != nil {
			return "", nil, 0, err
		}
		var b strings.Builder
		for {
			message, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				header, err := stream.Header()
				return b.String(), header, chunks, err
			}
			if err != nil {
				return "", nil, 0, err
			}
			if got := message.GetContentType(); got != "text/csv; charset=utf-8; header=present" {
				t.Errorf("content type %q", got)
			}
			chunks++
			b.Write(message.GetData())
		}
	}
	for _, c := range []struct {
		from, to, fileName string
	}{
		{"", "", "vallon-contre-cameras-ledger.csv"},
		{"2026-01-01", "2026-12-31", "vallon-contre-cameras-ledger-from-2026-01-01-to-2026-12-31.csv"},
		{"2027-01-01", "", "vallon-contre-cameras-ledger-from-2027-01-01.csv"},
	} {
		t.Run(fmt.Sprintf("gives the bytes of Write, from %q to %q", c.from, c.to), func(t *testing.T) {
			text, header, chunks, err := receive(&exportsv1.ExportLedgerRequest{Name: "collectives/" + vallon + "/ledger", StartDate: c.from, EndDate: c.to})
			if err != nil {
				t.Fatal(err)
			}
			want := file(t, service, exports.Request{Collective: vallon, StartDate: c.from, EndDate: c.to})
			if text != want {
				t.Errorf("%d bytes, want %d", len(text), len(want))
			}
			if most := len(want)/(64<<10) + 1; chunks < 1 || chunks > most {
				t.Errorf("%d chunks, want at most %d", chunks, most)
			}
			if got := header.Get("content-disposition"); len(got) != 1 || got[0] != `attachment; filename="`+c.fileName+`"` {
				t.Errorf("content-disposition %q", got)
			}
		})
	}
	for rule, req := range map[string]*exportsv1.ExportLedgerRequest{
		"refuses a wrong day":                         {Name: "collectives/" + vallon + "/ledger", StartDate: "2026-02-30"},
		"refuses a collective that does not exist":    {Name: "collectives/nobody-here/ledger"},
		"refuses a name that is none of a collective": {Name: vallon},
	} {
		t.Run(rule, func(t *testing.T) {
			if text, _, _, err := receive(req); err == nil || text != "" {
				t.Errorf("text %q, err = %v", text, err)
			}
		})
	}
}
