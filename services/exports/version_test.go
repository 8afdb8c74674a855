package exports_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/exports"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// year asks for 2026 in a format; a proof is of all time.
func year(format string) exports.Request {
	if format == exports.FormatProof {
		return exports.Request{Collective: vallon, Format: format}
	}
	return exports.Request{Collective: vallon, Format: format, StartDate: "2026-01-01", EndDate: "2026-12-31"}
}

func download(t *testing.T, service *exports.Service, req exports.Request) (string, exports.Header) {
	t.Helper()
	var b bytes.Buffer
	var header exports.Header
	if err := service.Export(t.Context(), req, func(h exports.Header) (io.Writer, error) {
		header = h
		return &b, nil
	}); err != nil {
		t.Fatalf("%+v: %v", req, err)
	}
	return b.String(), header
}

func seal(t *testing.T, books *ledger.Service) {
	t.Helper()
	if err := books.SealAll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestVersions writes every format again and again while the books grow, one transaction being under way from
// before the first writing to after the last but one.
func TestVersions(t *testing.T) {
	service, books, pool := open(t, "Europe/Paris")
	fill(t, pool, 600)
	slow, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Rollback(context.WithoutCancel(t.Context())) }()
	july := time.Date(2026, 7, 14, 12, 0, 0, 0, time.UTC)
	late := pair("txn_slow", ledger.KindDonation, july, ledger.RoleStripeBalance, ledger.RoleDonations, eur(100), vallon, "avocate")
	if _, err := books.PostTx(t.Context(), slow, "", []ledger.Transaction{late}); err != nil {
		t.Fatal(err)
	}
	seal(t, books)
	type file struct{ text, version string }
	before := map[string]file{}
	for _, format := range exports.Formats() {
		text, header := download(t, service, year(format))
		if again, _ := download(t, service, year(format)); again != text {
			t.Errorf("%s: the same content gives other bytes", format)
		}
		if header.Size != -1 {
			t.Errorf("%s: the size of a whole file is %d", format, header.Size)
		}
		before[format] = file{text, header.Version}
	}
	back := pair("txn_back", ledger.KindDonation, july.AddDate(0, -5, 0), ledger.RoleStripeBalance, ledger.RoleDonations, eur(300), vallon, "avocate")
	post(t, books, pool, back)
	if err := slow.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	seal(t, books)
	for _, format := range exports.Formats() {
		t.Run(format, func(t *testing.T) {
			want := before[format]
			req := year(format)
			now, _ := download(t, service, req)
			if (now == want.text) != (format == "FEC_NOTICE" || format == exports.FormatPayouts) {
				t.Errorf("without a version it is the same: %t", now == want.text)
			}
			req.Version = want.version
			if got, header := download(t, service, req); got != want.text || header.Version != want.version {
				t.Errorf("the version is not what it was: %d and %d bytes", len(got), len(want.text))
			}
			size := int64(len(want.text))
			for _, offset := range []int64{1, size / 2, size - 1} {
				req.Offset = offset
				got, header := download(t, service, req)
				if got != want.text[offset:] || header.Size != size {
					t.Errorf("from %d on it has %d bytes of %d, want %d of %d", offset, len(got), header.Size, size-offset, size)
				}
			}
			for _, offset := range []int64{size, size + 1} {
				req.Offset = offset
				if err := service.Write(t.Context(), io.Discard, req); errs.Code(err) != codes.OutOfRange {
					t.Errorf("from %d on: %v", offset, err)
				}
			}
		})
	}
	t.Run("refuses a part of what would be written otherwise now", func(t *testing.T) {
		if _, err := pgtest.Owner(t, pool).Exec(t.Context(), `UPDATE ledger.accounts SET display_name = 'Dons' WHERE code = '75411'`); err != nil {
			t.Fatal(err)
		}
		req := year(exports.FormatCSV)
		req.Version = before[exports.FormatCSV].version
		req.Offset = 1
		if err := service.Write(t.Context(), io.Discard, req); errs.As(err) == nil || errs.As(err).Reason != errorsv1.ErrorReason_EXPORT_CHANGED {
			t.Errorf("err = %v", err)
		}
		req.Offset = 0
		if err := service.Write(t.Context(), io.Discard, req); err != nil {
			t.Errorf("the whole is refused too: %v", err)
		}
	})
	t.Run("refuses a version that no export had", func(t *testing.T) {
		for _, version := range []string{"x", "-", "1:2", "2:1:-00", "1:2:x-00", "1:5:3,2-00", "1:9999999999999999:-00", "99999999999999999999999:1:-0", strings.Repeat("1", 20_000) + ":1:-0"} {
			req := exports.Request{Collective: vallon, Version: version}
			err := service.Write(t.Context(), io.Discard, req)
			if e := errs.As(err); e == nil || e.Code != codes.InvalidArgument || len(e.Fields) != 1 {
				t.Errorf("%.30q: %v", version, err)
			}
		}
	})
	t.Run("tells the writer's own error of a part too", func(t *testing.T) {
		full := errors.New("the disk is full")
		req := year(exports.FormatCSV)
		_, header := download(t, service, req)
		req.Version, req.Offset = header.Version, 100
		if err := service.Write(t.Context(), failing{full}, req); !errors.Is(err, full) {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("reports its progress", func(t *testing.T) {
		req := exports.Request{Collective: vallon}
		var calls int
		var last, whole int64
		req.Progress = func(done, total int64) {
			if calls++; done < last || done > total {
				t.Errorf("%d of %d after %d", done, total, last)
			}
			last, whole = done, total
		}
		const entries = 2 * (600 + 2)
		if err := service.Write(t.Context(), io.Discard, req); err != nil || last != entries || whole != entries {
			t.Errorf("%d of %d in %d calls, err = %v", last, whole, calls, err)
		}
	})
}
