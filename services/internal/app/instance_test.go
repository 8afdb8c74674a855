package app_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	instancev1 "github.com/cagnotte/cagnotte/proto/cagnotte/instance/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// An installation without any webhook endpoint and secret is set up by calls alone, while it runs.
func TestAnOperatorSetsUpStripe(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	e.StopApp()
	e.Sim.SetEndpoints(nil)
	e.SetSecrets("", "")
	e.StartApp()
	operator := apptest.WithKey(t.Context(), e.OperatorKey)
	client := instancev1.NewInstanceServiceClient(e.Conn)
	get := func() *instancev1.Instance {
		t.Helper()
		got, err := client.GetInstance(operator, &instancev1.GetInstanceRequest{Name: "instance"})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	check := func() map[string]instancev1.FindingSeverity {
		t.Helper()
		found, err := client.CheckStripe(operator, &instancev1.CheckStripeRequest{Name: "instance"})
		if err != nil {
			t.Fatal(err)
		}
		codes := map[string]instancev1.FindingSeverity{}
		for _, f := range found.GetFindings() {
			codes[f.GetCode()] = f.GetSeverity()
			if strings.Contains(f.String(), "whsec_") || strings.Contains(f.String(), apptest.APIKey) || strings.Contains(f.GetMessage(), "{") {
				t.Errorf("finding %v", f)
			}
		}
		return codes
	}
	setUp := func(replace bool) map[instancev1.EndpointKind]*instancev1.EndpointResult {
		t.Helper()
		got, err := client.SetUpStripeEndpoints(operator, &instancev1.SetUpStripeEndpointsRequest{Name: "instance", Replace: replace})
		if err != nil {
			t.Fatal(err)
		}
		results := map[instancev1.EndpointKind]*instancev1.EndpointResult{}
		for _, r := range got.GetResults() {
			results[r.GetKind()] = r
		}
		return results
	}
	const platform, connect = instancev1.EndpointKind_ENDPOINT_KIND_PLATFORM, instancev1.EndpointKind_ENDPOINT_KIND_CONNECT

	if i := get(); i.GetVersion() == "" || i.GetAppliedMigrations() != i.GetNeededMigrations() || i.GetPublicUrl() != e.URL ||
		i.GetStripe().GetAccount() != e.Sim.Account() || i.GetStripe().GetLivemode() || i.GetStripe().GetLastCheck() != nil ||
		len(i.GetEndpoints()) != 2 || i.GetEndpoints()[0].GetStoredSecretCount() != 0 || i.GetLastVerification() != nil {
		t.Errorf("at first: %v", i)
	}
	if found := check(); found["ENDPOINT_MISSING"] != instancev1.FindingSeverity_FINDING_SEVERITY_WRONG {
		t.Errorf("without endpoints: %v", found)
	}
	t.Run("creates endpoints whose secrets work at once", func(t *testing.T) {
		made := setUp(false)
		if made[platform].GetOutcome() != instancev1.EndpointOutcome_ENDPOINT_OUTCOME_CREATED || made[connect].GetOutcome() != instancev1.EndpointOutcome_ENDPOINT_OUTCOME_CREATED {
			t.Fatalf("%v", made)
		}
		pay(t, e, give(t, e.Conn, donationTo(campaign)))
		e.Eventually("a webhook brings the donation", func() bool {
			settled, _ := progress(t, e.Conn, campaign)
			return settled == 20_00
		})
		if err := e.Sim.WaitDelivered(t.Context()); err != nil {
			t.Error(err)
		}
		at := get().GetEndpoints()[0]
		if at.GetStoredSecretCount() != 1 || at.GetStoredEndpoint() != made[platform].GetEndpoint() || at.GetLastReceiveTime() == nil {
			t.Errorf("%v", at)
		}
	})
	t.Run("several at once make one at each address", func(t *testing.T) {
		if _, err := ownerOf(t, e).Exec(t.Context(), `DELETE FROM webhooks.endpoint_secrets`); err != nil {
			t.Fatal(err)
		}
		// Each has listed what is there long before the other has made its own, unless one waits.
		e.Sim.AddFault(stripesim.Fault{Method: http.MethodPost, PathPrefix: "/v1/webhook_endpoints", Delay: 300 * time.Millisecond})
		var group sync.WaitGroup
		answers := make([]*instancev1.SetUpStripeEndpointsResponse, 3)
		for i := range answers {
			group.Go(func() {
				var err error
				if answers[i], err = client.SetUpStripeEndpoints(operator, &instancev1.SetUpStripeEndpointsRequest{Name: "instance", Replace: true}); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		e.Sim.ClearFaults()
		made := map[instancev1.EndpointOutcome]int{}
		for _, a := range answers {
			for _, r := range a.GetResults() {
				made[r.GetOutcome()]++
			}
		}
		if made[instancev1.EndpointOutcome_ENDPOINT_OUTCOME_REPLACED] != 2 || made[instancev1.EndpointOutcome_ENDPOINT_OUTCOME_IN_ORDER] != 4 {
			t.Errorf("%v", answers)
		}
		if found := check(); found["ENDPOINT_SEVERAL"] != 0 || found["SECRET_MISSING"] != 0 {
			t.Errorf("%v", found)
		}
	})
	t.Run("is in order when repeated", func(t *testing.T) {
		before := len(e.Sim.Requests())
		for kind, r := range setUp(true) {
			if r.GetOutcome() != instancev1.EndpointOutcome_ENDPOINT_OUTCOME_IN_ORDER {
				t.Errorf("%v: %v", kind, r)
			}
		}
		for _, r := range e.Sim.Requests()[before:] {
			if r.Method != http.MethodGet {
				t.Errorf("it sends %s %s", r.Method, r.Path)
			}
		}
		for code, severity := range check() {
			if severity == instancev1.FindingSeverity_FINDING_SEVERITY_WRONG {
				t.Errorf("%s", code)
			}
		}
		if last := get().GetStripe().GetLastCheck(); last == nil || last.GetWrongCount() != 0 || len(last.GetFindings()) == 0 {
			t.Errorf("stored: %v", last)
		}
	})
	t.Run("replaces an endpoint whose secret nobody has", func(t *testing.T) {
		if _, err := ownerOf(t, e).Exec(t.Context(), `DELETE FROM webhooks.endpoint_secrets WHERE kind = 'platform'`); err != nil {
			t.Fatal(err)
		}
		if found := check(); found["SECRET_MISSING"] != instancev1.FindingSeverity_FINDING_SEVERITY_WRONG {
			t.Errorf("%v", found)
		}
		left := setUp(false)[platform]
		if left.GetOutcome() != instancev1.EndpointOutcome_ENDPOINT_OUTCOME_FAILED || left.GetFailureCode() != "NO_SECRET" {
			t.Fatalf("without the permission to: %v", left)
		}
		made := setUp(true)[platform]
		if made.GetOutcome() != instancev1.EndpointOutcome_ENDPOINT_OUTCOME_REPLACED || made.GetEndpoint() == left.GetEndpoint() {
			t.Fatalf("%v", made)
		}
		pay(t, e, give(t, e.Conn, donationTo(campaign)))
		if err := e.Sim.WaitDelivered(t.Context()); err != nil {
			t.Error(err)
		}
		if found := check(); found["SECRET_MISSING"] != 0 || found["ENDPOINT_SEVERAL"] != 0 {
			t.Errorf("%v", found)
		}
	})
	t.Run("deletes an endpoint again whose secret cannot be stored", func(t *testing.T) {
		owner := ownerOf(t, e)
		for _, sql := range []string{`DELETE FROM webhooks.endpoint_secrets`, `REVOKE INSERT ON webhooks.endpoint_secrets FROM cagnotte_service`} {
			if _, err := owner.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		r := setUp(true)[connect]
		if r.GetOutcome() != instancev1.EndpointOutcome_ENDPOINT_OUTCOME_FAILED || r.GetFailureCode() != "STORE" {
			t.Errorf("%v", r)
		}
		if found := check(); found["ENDPOINT_SEVERAL"] != 0 {
			t.Errorf("%v", found)
		}
		if _, err := owner.Exec(t.Context(), `GRANT INSERT ON webhooks.endpoint_secrets TO cagnotte_service`); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("says at each endpoint what Stripe refuses", func(t *testing.T) {
		e.Sim.AddFault(stripesim.Fault{Method: http.MethodPost, PathPrefix: "/v1/webhook_endpoints", Status: 403, Code: "more_permissions_required"})
		defer e.Sim.ClearFaults()
		if r := setUp(true)[platform]; r.GetOutcome() != instancev1.EndpointOutcome_ENDPOINT_OUTCOME_FAILED || r.GetFailureCode() != "STRIPE" {
			t.Errorf("%v", r)
		}
	})
	t.Run("sends no test mail without a server", func(t *testing.T) {
		_, err := client.SendTestMail(operator, &instancev1.SendTestMailRequest{Name: "instance", RequestId: uuid.NewString()})
		wantError(t, err, codes.FailedPrecondition, "MAIL_NOT_CONFIGURED", "")
	})
}

// platformBook is the result of the platform's own book; the audit log is one too.
func platformBook(v *instancev1.LedgerVerification) *instancev1.BookVerification {
	for _, b := range v.GetBooks() {
		if b.GetStripeAccount() == "" {
			return b
		}
	}
	return nil
}

func TestAnOperatorVerifiesTheBooks(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	pay(t, e, give(t, e.Conn, donationTo(campaign)))
	e.Eventually("the donation is booked", func() bool {
		settled, _ := progress(t, e.Conn, campaign)
		return settled == 20_00
	})
	operator := apptest.WithKey(t.Context(), e.OperatorKey)
	client := instancev1.NewInstanceServiceClient(e.Conn)
	verify := func(request string) *instancev1.LedgerVerification {
		t.Helper()
		v, err := client.CreateLedgerVerification(operator, &instancev1.CreateLedgerVerificationRequest{Parent: "instance", RequestId: request})
		if err != nil {
			t.Fatal(err)
		}
		e.Eventually("it ends", func() bool {
			v, err = client.GetLedgerVerification(operator, &instancev1.GetLedgerVerificationRequest{Name: v.GetName()})
			return err == nil && v.GetEndTime() != nil
		})
		return v
	}
	first := uuid.NewString()
	v := verify(first)
	if v.GetState() != instancev1.VerificationState_VERIFICATION_STATE_SOUND || v.GetBookCount() != 2 || v.GetVerifiedCount() != 2 ||
		len(v.GetBooks()) != 2 || v.GetBooks()[1].GetStripeAccount() != "audit" || v.GetBooks()[0].GetSealedCount()+v.GetBooks()[0].GetUnsealedCount() != 1 {
		t.Errorf("%v", v)
	}
	if again := verify(first); again.GetName() != v.GetName() {
		t.Errorf("the request started two: %v", again)
	}
	t.Run("finds what was changed", func(t *testing.T) {
		e.Eventually("it is sealed", func() bool { return platformBook(verify(uuid.NewString())).GetSealedCount() == 1 })
		if _, err := ownerOf(t, e).Exec(t.Context(), `
			SET session_replication_role = replica;
			UPDATE ledger.entries SET amount = amount + 100 WHERE amount > 0`); err != nil {
			t.Fatal(err)
		}
		v := verify(uuid.NewString())
		if v.GetState() != instancev1.VerificationState_VERIFICATION_STATE_DIFFERS || v.GetDifferenceCount() == 0 || len(platformBook(v).GetDifferences()) == 0 {
			t.Errorf("%v", v)
		}
		i, err := client.GetInstance(operator, &instancev1.GetInstanceRequest{Name: "instance"})
		if err != nil || i.GetLastVerification().GetName() != v.GetName() {
			t.Errorf("%v, %v", i.GetLastVerification(), err)
		}
	})
	list, err := client.ListLedgerVerifications(operator, &instancev1.ListLedgerVerificationsRequest{Parent: "instance", PageSize: 1})
	if err != nil || len(list.GetLedgerVerifications()) != 1 || list.GetNextPageToken() == "" {
		t.Errorf("%v, %v", list, err)
	}
}

func TestApplicationsAreClosedByDefault(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	client := collectivesv1.NewApplicationsServiceClient(e.Conn)
	o, err := client.GetOpening(t.Context(), &collectivesv1.GetOpeningRequest{Name: "instance/opening"})
	if err != nil || o.GetMode() != collectivesv1.OpeningMode_OPENING_MODE_INVITATION {
		t.Errorf("%v, %v", o, err)
	}
	_, err = client.CreateApplication(t.Context(), &collectivesv1.CreateApplicationRequest{
		Parent: "instance", RequestId: uuid.NewString(), Application: &collectivesv1.Application{
			DisplayName: "Vallon", CollectiveId: "vallon", Purpose: "Un procès.", Applicant: "Marie", Email: "marie@example.org",
		},
	})
	wantError(t, err, codes.FailedPrecondition, "APPLICATIONS_CLOSED", "")
}

// Somebody asks for a collective, and the operator decides.
func TestApplicationsOnRequest(t *testing.T) {
	box := mailtest.Start(t)
	e := apptest.Start(t, apptest.Config{SMTPURL: box.URL()})
	operator := apptest.WithKey(t.Context(), e.OperatorKey)
	client := collectivesv1.NewApplicationsServiceClient(e.Conn)
	open := func(mode collectivesv1.OpeningMode) {
		t.Helper()
		for range 2 {
			o, err := client.UpdateOpening(operator, &collectivesv1.UpdateOpeningRequest{Opening: &collectivesv1.Opening{Name: "instance/opening", Mode: mode}})
			if err != nil || o.GetMode() != mode {
				t.Fatalf("%v, %v", o, err)
			}
		}
	}
	apply := func(slug string) *collectivesv1.Application {
		t.Helper()
		a, err := client.CreateApplication(t.Context(), &collectivesv1.CreateApplicationRequest{
			Parent: "instance", RequestId: uuid.NewString(), Application: &collectivesv1.Application{
				DisplayName: "Causse libre", CollectiveId: slug, Purpose: "Une salle.", Applicant: "Marie", Email: slug + "@example.org", Language: "fr",
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	invited := func(address string) {
		t.Helper()
		e.Eventually(address+" is invited", func() bool {
			return slices.ContainsFunc(box.Mails(), func(m mailtest.Mail) bool { return m.To == address && strings.Contains(m.Text, "/invitation?token=") })
		})
	}
	open(collectivesv1.OpeningMode_OPENING_MODE_REQUEST)
	a := apply("causse")
	if a.GetState() != collectivesv1.ApplicationState_APPLICATION_STATE_WAITING || a.GetDecider() != "" {
		t.Errorf("%v", a)
	}
	_, err := client.GetApplication(t.Context(), &collectivesv1.GetApplicationRequest{Name: a.GetName()})
	wantError(t, err, codes.Unauthenticated, "UNAUTHENTICATED", "")
	approved, err := client.ApproveApplication(operator, &collectivesv1.ApproveApplicationRequest{Name: a.GetName(), CollectiveId: "causse-libre"})
	if err != nil || approved.GetCollective() != "collectives/causse-libre" || approved.GetCollectiveId() != "causse-libre" {
		t.Fatalf("%v, %v", approved, err)
	}
	invited("causse@example.org")
	second := apply("second")
	if _, err := client.RejectApplication(operator, &collectivesv1.RejectApplicationRequest{Name: second.GetName(), Reason: "Trop loin."}); err != nil {
		t.Fatal(err)
	}
	e.Eventually("the reason is mailed", func() bool {
		return slices.ContainsFunc(box.Mails(), func(m mailtest.Mail) bool {
			return m.To == "second@example.org" && strings.Contains(m.Text, "Trop loin.")
		})
	})
	list, err := client.ListApplications(operator, &collectivesv1.ListApplicationsRequest{Parent: "instance", State: collectivesv1.ApplicationState_APPLICATION_STATE_REJECTED})
	if err != nil || len(list.GetApplications()) != 1 || list.GetApplications()[0].GetName() != second.GetName() {
		t.Errorf("%v, %v", list, err)
	}
	open(collectivesv1.OpeningMode_OPENING_MODE_ALL)
	if third := apply("third"); third.GetCollective() != "collectives/third" {
		t.Errorf("%v", third)
	}
	invited("third@example.org")
}
