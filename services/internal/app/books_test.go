package app_test

import (
	"io"
	"net/http"
	"testing"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// TestBooksAreTheOperators asks for what of a book belongs to no collective: the operator's key is answered, a
// treasurer's is told that there is nothing.
func TestBooksAreTheOperators(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	pay(t, e, give(t, e.Conn, donationTo(campaign)))
	e.Eventually("it is booked", func() bool { settled, _ := progress(t, e.Conn, campaign); return settled == 20_00 })
	for _, path := range []string{
		"/v1/instance/books/platform/ledger/accounts", "/v1/instance/books/platform/ledger/transactions", "/v1/instance/books/platform/ledger:export",
		"/v1/instance/books/platform/ledger/accounts/75411", "/v1/instance/books/platform/ledger/accounts/75411/statementLines",
	} {
		for key, want := range map[string]int{
			e.OperatorKey: http.StatusOK,
			e.Key("collectives/vallon", accessv1.Role_ROLE_TREASURER): http.StatusNotFound,
			"": http.StatusUnauthorized,
		} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if key != "" {
				req.Header.Set("Authorization", "Bearer "+key)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s: HTTP %d, want %d: %s", path, resp.StatusCode, want, body)
			}
		}
	}
}
