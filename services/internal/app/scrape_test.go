package app_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// A scrape that waited as long as a database that hangs would tell nothing, as if the program were down.
func TestAScrapeDoesNotWaitForADatabaseThatHangs(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	db, err := pgx.Connect(t.Context(), e.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context())
	if _, err := db.Exec(t.Context(), `BEGIN`); err != nil {
		t.Fatal(err)
	}
	const lockSQL = `LOCK TABLE webhooks.events, payouts.findings, notices.notices, ledger.seals IN ACCESS EXCLUSIVE MODE`
	if _, err := db.Exec(t.Context(), lockSQL); err != nil {
		t.Fatal(err)
	}
	// Prometheus waits for ten seconds; who waits for ever is ended by the test's own deadline.
	resp, err := http.Get("http://" + e.App.AdminAddr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	told, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %v: %s", resp.StatusCode, err, told)
	}
	if !strings.Contains(string(told), "cagnotte_webhooks_events_received_total") {
		t.Error("what needs no database is not told")
	}
	for _, name := range []string{
		"cagnotte_webhooks_failed_events", "cagnotte_payouts_differences", "cagnotte_notices_open",
		"cagnotte_ledger_unsealed_transactions",
	} {
		if strings.Contains(string(told), "\n"+name) {
			t.Errorf("%s is told, and nobody could read it", name)
		}
	}
	if _, err := db.Exec(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
}
