package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cagnotte/cagnotte/gateway"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
)

// Who is asked for a challenge sends the same form again with its solution, or with the challenge alone once it is old enough.
func TestAChallengeIsSolvedOnThePage(t *testing.T) {
	var calls []string
	b := &backend{createDonation: func(r *donationsv1.CreateDonationRequest) (*donationsv1.Donation, error) {
		calls = append(calls, r.GetChallengeSolution())
		if r.GetChallengeSolution() != "" && r.GetRecurrence() == donationsv1.Recurrence_RECURRENCE_MONTHLY {
			return &donationsv1.Donation{CheckoutUrl: "https://checkout.stripe.com/c/pay/cs_1"}, nil
		}
		st, err := status.New(codes.FailedPrecondition, "Solve the challenge.").WithDetails(&errdetails.ErrorInfo{
			Reason: "CHALLENGE_REQUIRED", Domain: "cagnotte",
			Metadata: map[string]string{"challenge": "abc", "difficulty": "14", "ticket_wait_seconds": "60"},
		})
		if err != nil {
			t.Fatal(err)
		}
		return nil, st.Err()
	}}
	front := serve(t, b, gateway.Options{PublicURL: publicURL, Uncached: true})
	give := func(form string) answer {
		return send(t, "POST", front.URL+campaignPath+"/give?lang=en", form, "Content-Type", "application/x-www-form-urlencoded")
	}
	asked := give("preset=2000&often=monthly")
	if asked.StatusCode != http.StatusPreconditionRequired || asked.Header.Get("Cache-Control") != "no-store" ||
		!strings.Contains(asked.Header.Get("Content-Security-Policy"), "script-src 'self'") ||
		!strings.Contains(asked.Header.Get("Content-Security-Policy"), "form-action 'self' https://checkout.stripe.com") {
		t.Errorf("asked with %d, %v", asked.StatusCode, asked.Header)
	}
	holds(t, asked.body, `action="`+campaignPath+`/give?lang=en"`, `name="preset" value="2000"`, `name="often" value="monthly"`, `name="challenge" value="abc"`,
		`data-difficulty="14"`, "One moment", "You can continue in 6", "<button>Continue</button>")
	lacks(t, asked.body, front.URL)

	calls = nil
	early := give(fmt.Sprintf("preset=2000&often=monthly&challenge=abc&difficulty=14&ready=%d", time.Now().Unix()+30))
	if early.StatusCode != http.StatusPreconditionRequired || len(calls) != 0 {
		t.Errorf("before the wait is over: %d, calls %q", early.StatusCode, calls)
	}
	holds(t, early.body, "a little early", `name="challenge" value="abc"`, `name="preset" value="2000"`)

	for sent, want := range map[string]string{
		"challenge=abc.7&ready=":                                   "abc.7",
		fmt.Sprintf("challenge=abc&ready=%d", time.Now().Unix()-1): "abc",
		// A wait that we never ask for was made up, and the service decides.
		fmt.Sprintf("challenge=abc&ready=%d", time.Now().Unix()+100_000): "abc",
	} {
		calls = nil
		got := give("preset=2000&often=monthly&" + sent)
		if got.StatusCode != http.StatusSeeOther || len(calls) != 1 || calls[0] != want {
			t.Errorf("%s: %d, calls %q", sent, got.StatusCode, calls)
		}
	}
	// What was typed comes back as text.
	hostile := give("preset=2000&x=%22%3E%3Cscript%3E")
	lacks(t, hostile.body, `"><script>`)
}
