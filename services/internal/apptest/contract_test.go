package apptest

import (
	"net/http"
	"testing"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

func TestMain(m *testing.M) { Main(m) }

// The second opinion is worth something only if it can say no.
func TestTheContractCanRefuse(t *testing.T) {
	contract.once.Do(startStripeMock)
	if contract.err != nil {
		t.Fatal(contract.err)
	}
	request := func(body string) stripesim.Request {
		return stripesim.Request{
			Method: http.MethodPost, Path: "/v1/checkout/sessions", Body: []byte(body),
			Header: http.Header{"Authorization": {"Bearer " + APIKey}, "Content-Type": {"application/x-www-form-urlencoded"}},
		}
	}
	if err := replay(request("mode=payment&success_url=https%3A%2F%2Fexample.org")); err != nil {
		t.Errorf("what Stripe takes is refused: %v", err)
	}
	for what, body := range map[string]string{
		"a parameter that Stripe does not know": "mode=payment&success_url=https%3A%2F%2Fexample.org&donor=somebody",
		"a value of the wrong type":             "mode=payment&success_url=https%3A%2F%2Fexample.org&expires_at=tomorrow",
	} {
		if err := replay(request(body)); err == nil {
			t.Errorf("%s passes", what)
		}
	}
}
