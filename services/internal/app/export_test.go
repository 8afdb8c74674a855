package app_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	"github.com/cagnotte/cagnotte/services/exports"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// TestDownloadGoesOnWhereItBrokeOff takes half a file of every format over REST, lets a donation come in between,
// and takes the other half.
func TestDownloadGoesOnWhereItBrokeOff(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	treasurer := e.Key("collectives/vallon", accessv1.Role_ROLE_TREASURER)
	paid := int64(0)
	another := func() {
		pay(t, e, give(t, e.Conn, donationTo(campaign)))
		paid += 20_00
		e.Eventually("it is booked", func() bool { settled, _ := progress(t, e.Conn, campaign); return settled == paid })
	}
	get := func(format string, headers ...string) (*http.Response, string) {
		url := e.URL + "/v1/collectives/vallon/ledger:export?format=" + format
		if format != "PROOF" { // which is always of the whole share
			url += "&start_date=2000-01-01&end_date=2100-12-31"
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+treasurer)
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	another()
	for _, format := range exports.Formats() {
		t.Run(format, func(t *testing.T) {
			resp, whole := get(format)
			if resp.StatusCode != http.StatusOK || len(whole) < 2 || resp.Header.Get("ETag") == "" {
				t.Fatalf("HTTP %d: %s", resp.StatusCode, whole)
			}
			if want := `attachment; filename="`; !strings.HasPrefix(resp.Header.Get("Content-Disposition"), want) {
				t.Errorf("Content-Disposition is %q", resp.Header.Get("Content-Disposition"))
			}
			another()
			resp, rest := get(format, "Range", "bytes=2-", "If-Range", resp.Header.Get("ETag"))
			if resp.StatusCode != http.StatusPartialContent || rest != whole[2:] {
				t.Errorf("HTTP %d, Content-Range %q: %d bytes, want %d", resp.StatusCode, resp.Header.Get("Content-Range"), len(rest), len(whole)-2)
			}
		})
	}
}
