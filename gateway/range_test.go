package gateway_test

import (
	"strconv"
	"testing"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/cagnotte/cagnotte/gateway"
	exportsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
)

func TestExportGoesOnWhereItBrokeOff(t *testing.T) {
	const whole, version = "0123456789", "7:9:7,8-ab"
	b := &backend{exportLedger: func(r *exportsv1.ExportLedgerRequest, s grpc.ServerStreamingServer[httpbody.HttpBody]) error {
		switch {
		case r.GetVersion() == "1:1:-00" && r.GetOffset() > 0:
			return fail(codes.FailedPrecondition, "EXPORT_CHANGED")
		case r.GetOffset() >= int64(len(whole)):
			return fail(codes.OutOfRange, "OFFSET_BEYOND_END")
		}
		md := metadata.Pairs("cagnotte-export-version", version)
		if r.GetOffset() > 0 {
			md.Set("cagnotte-export-size", strconv.Itoa(len(whole)))
		}
		if err := s.SetHeader(md); err != nil {
			return err
		}
		return s.Send(&httpbody.HttpBody{ContentType: "text/csv", Data: []byte(whole[r.GetOffset():])})
	}}
	front := serve(t, b, gateway.Options{})
	const path = "/v1/collectives/vallon/ledger:export"
	const pinned = path + "?version=7:9:7%2C8-ab"
	for _, c := range []struct {
		rule, url, span, ifRange string
		status                   int
		body, contentRange       string
	}{
		{"gives the whole with its version", path, "", "", 200, whole, ""},
		{"gives the rest of the version in the query", pinned, "bytes=4-", "", 206, "456789", "bytes 4-9/10"},
		{"gives the rest of the version in If-Range", path, "bytes=9-", `"7:9:7,8-ab"`, 206, "9", "bytes 9-9/10"},
		{"gives the rest when both are the same", pinned, "bytes=4-", `"7:9:7,8-ab"`, 206, "456789", "bytes 4-9/10"},
		{"gives the whole when they differ", pinned, "bytes=4-", `"7:9:-cd"`, 200, whole, ""},
		{"gives the whole without a version", path, "bytes=4-", "", 200, whole, ""},
		{"gives the whole from the first byte on", pinned, "bytes=0-", "", 200, whole, ""},
		{"gives the whole when If-Range has a date", path, "bytes=4-", "Sun, 06 Nov 1994 08:49:37 GMT", 200, whole, ""},
		{"gives the whole when If-Range has a weak tag", path, "bytes=4-", `W/"7:9:7,8-ab"`, 200, whole, ""},
		{"gives the whole when If-Range has changed", path, "bytes=4-", `"1:1:-00"`, 200, whole, ""},
		{"refuses to go on with what has changed", path + "?version=1:1:-00", "bytes=4-", "", 400, "", ""},
		{"refuses what is behind the end", pinned, "bytes=10-", "", 416, "", ""},
		{"ignores other ranges", pinned, "bytes=2-5", "", 200, whole, ""},
		{"ignores ranges of no bytes", pinned, "bytes=x-", "", 200, whole, ""},
		{"takes no offset from the query", pinned + "&offset=4", "", "", 200, whole, ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got := send(t, "GET", front.URL+c.url, "", "Range", c.span, "If-Range", c.ifRange)
			if got.StatusCode != c.status || got.Header.Get("Content-Range") != c.contentRange {
				t.Fatalf("%d, Content-Range %q: %s", got.StatusCode, got.Header.Get("Content-Range"), got.body)
			}
			if c.status >= 400 {
				return
			}
			if got.body != c.body || got.Header.Get("ETag") != `"`+version+`"` || got.Header.Get("Accept-Ranges") != "bytes" {
				t.Errorf("%q with %v", got.body, got.Header)
			}
			if c.status == 206 && got.Header.Get("Content-Length") != strconv.Itoa(len(c.body)) {
				t.Errorf("Content-Length is %q", got.Header.Get("Content-Length"))
			}
		})
	}
}
