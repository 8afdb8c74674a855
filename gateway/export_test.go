package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/cagnotte/cagnotte/gateway"
	exportsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
)

const exportURL = "/v1/collectives/vallon/ledger:export?format=CSV&start_date=2026-01-01&end_date=2026-12-31"

func TestExport(t *testing.T) {
	var asked *exportsv1.ExportLedgerRequest
	var failure error
	b := &backend{exportLedger: func(r *exportsv1.ExportLedgerRequest, s grpc.ServerStreamingServer[httpbody.HttpBody]) error {
		asked = r
		if failure != nil && asked.GetFormat() == "" {
			return failure
		}
		if err := s.SetHeader(metadata.Pairs("content-disposition", `attachment; filename="vallon.csv"`, "secret", "x")); err != nil {
			return err
		}
		for _, part := range []string{"date,amo", "unt\r\n2026-05-0", "1,2000\r\n"} {
			if err := s.Send(&httpbody.HttpBody{ContentType: "text/csv; charset=utf-8", Data: []byte(part)}); err != nil {
				return err
			}
		}
		return failure
	}}
	front := serve(t, b, gateway.Options{})

	t.Run("passes the chunks on, with nothing in between", func(t *testing.T) {
		got := send(t, "GET", front.URL+exportURL, "", "Authorization", "Bearer key")
		if want := "date,amount\r\n2026-05-01,2000\r\n"; got.body != want {
			t.Errorf("got %q, want %q", got.body, want)
		}
		if got.Header.Get("Content-Type") != "text/csv; charset=utf-8" || got.Header.Get("Content-Disposition") != `attachment; filename="vallon.csv"` {
			t.Errorf("the headers are %v", got.Header)
		}
		if asked.GetName() != "collectives/vallon/ledger" || asked.GetFormat() != "CSV" || asked.GetStartDate() != "2026-01-01" || asked.GetEndDate() != "2026-12-31" {
			t.Errorf("it asked for %v", asked)
		}
		if key := b.lastMetadata(t).Get("authorization"); len(key) != 1 || key[0] != "Bearer key" {
			t.Errorf("the key is %v", key)
		}
		for name := range got.Header {
			if strings.Contains(strings.ToLower(name), "secret") || strings.HasPrefix(name, "Grpc-") {
				t.Errorf("it passed %s on", name)
			}
		}
	})
	t.Run("answers an error before the first byte like any other", func(t *testing.T) {
		failure = fail(codes.NotFound, "NOT_FOUND")
		got := send(t, "GET", front.URL+"/v1/collectives/vallon/ledger:export", "")
		if got.StatusCode != 404 || parse(t, got).reason != "NOT_FOUND" {
			t.Errorf("got %d: %s", got.StatusCode, got.body)
		}
		if got.Header.Get("Content-Disposition") != "" {
			t.Error("an error is offered as a file")
		}
	})
	t.Run("breaks the connection on a later error", func(t *testing.T) {
		failure = fail(codes.Internal, "INTERNAL")
		response, err := http.Get(front.URL + exportURL)
		if err == nil {
			defer response.Body.Close()
			_, err = io.ReadAll(response.Body)
		}
		if err == nil {
			t.Error("a cut file arrived as if it were whole")
		}
	})
}

func TestExportOfNothing(t *testing.T) {
	b := &backend{exportLedger: func(*exportsv1.ExportLedgerRequest, grpc.ServerStreamingServer[httpbody.HttpBody]) error { return nil }}
	front := serve(t, b, gateway.Options{})
	got := send(t, "GET", front.URL+exportURL, "")
	if got.StatusCode != 200 || got.body != "" {
		t.Errorf("got %d %q", got.StatusCode, got.body)
	}
}
