package app_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
	"github.com/cagnotte/cagnotte/services/wall"
)

// Named after a bug that others shipped: fraud moved to the one path without a limit. All ways to a payment page, and
// those to a pledge, which costs as little, have one limit together.
func TestFraudMovedToTheOnePathWithoutALimit(t *testing.T) {
	const burst = 4
	e := apptest.Start(t, apptest.Config{Wall: wall.Limits{Near: wall.Network{Soft: burst, Hard: burst, Interval: time.Hour}}})
	campaign := newTreasury(t, e, "vallon").campaign
	collective, slug, _ := strings.Cut(strings.TrimPrefix(campaign, "collectives/"), "/campaigns/")

	// Each way to a payment page, from the one address of this machine. Each reports whether it was let through.
	byRPC := func(monthly bool, rest bool) func() bool {
		return func() bool {
			req := donationTo(campaign)
			if monthly {
				req.Recurrence = donationsv1.Recurrence_RECURRENCE_MONTHLY
			}
			_, err := donationsv1.NewDonationsServiceClient(door(e, rest)).CreateDonation(t.Context(), req)
			return allowed(t, err)
		}
	}
	pledge := func(rest bool) func() bool {
		return func() bool {
			_, err := treasuryv1.NewTreasuryServiceClient(door(e, rest)).CreatePledge(t.Context(), &treasuryv1.CreatePledgeRequest{
				Parent: campaign, RequestId: uuid.NewString(), Pledge: &treasuryv1.Pledge{Amount: apptest.Euros(20_00), Method: treasuryv1.OfflineMethod_OFFLINE_METHOD_CASH},
			})
			return allowed(t, err)
		}
	}
	byForm := func(often string) func() bool {
		return func() bool {
			form := url.Values{"preset": {"2000"}, "often": {often}}
			client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			resp, err := client.PostForm(e.URL+"/c/"+collective+"/"+slug+"/give", form)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusSeeOther && resp.StatusCode != http.StatusTooManyRequests {
				t.Errorf("the form answers %d", resp.StatusCode)
			}
			return resp.StatusCode == http.StatusSeeOther
		}
	}
	ways := map[string]func() bool{
		"gRPC": byRPC(false, false), "REST": byRPC(false, true), "monthly by gRPC": byRPC(true, false), "monthly by REST": byRPC(true, true),
		"the form": byForm("once"), "the monthly form": byForm("monthly"),
		"a pledge by gRPC": pledge(false), "a pledge by REST": pledge(true),
	}
	opened := 0
	for range burst + 2 {
		for _, way := range ways {
			if way() {
				opened++
			}
		}
	}
	if opened != burst || len(e.Sim.Sessions("")) > burst {
		t.Errorf("%d were let through, %d to Stripe; %d are allowed by all ways together", opened, len(e.Sim.Sessions("")), burst)
	}
	for name, way := range ways {
		if way() {
			t.Errorf("%s has a limit of its own", name)
		}
	}
}

// door is one of the two ways in.
func door(e *apptest.Env, rest bool) grpc.ClientConnInterface {
	if rest {
		return &apptest.RESTConn{URL: e.URL}
	}
	return e.Conn
}

// allowed reports whether a call was let through; only a limit may refuse it.
func allowed(t *testing.T, err error) bool {
	t.Helper()
	if err != nil && status.Code(err) != codes.ResourceExhausted {
		t.Errorf("refused otherwise: %v", err)
	}
	return err == nil
}

func TestLinksToMonthlyDonationsAreLimitedByNetwork(t *testing.T) {
	e := apptest.Start(t, apptest.Config{SMTPURL: mailtest.Start(t).URL()})
	campaign, _ := e.Campaign("vallon")
	for range 100 {
		_, err := recurringv1.NewRecurringServiceClient(e.Conn).RequestManageLink(t.Context(),
			&recurringv1.RequestManageLinkRequest{Name: campaign + "/recurringDonations/" + uuid.NewString()})
		if !allowed(t, err) {
			return
		}
	}
	t.Error("a hundred were let through")
}

// What somebody without a key may change is limited, or takes a proof that cannot be guessed. A call that is opened to
// everybody must be added here, and to the tests of its limit.
func TestEveryPublicWriteIsLimitedOrProven(t *testing.T) {
	want := []string{
		"AcceptInvitation",        // a token that was mailed, and attempts are limited by network
		"BeginPasskeySignIn",      // the same limit
		"ChangeRecurringDonation", // a token that was mailed
		"CreateApplication",       // its own limit by network
		"CreateDonation",          // TestFraudMovedToTheOnePathWithoutALimit
		"CreatePledge",            // the same
		"CreatePortalSession",     // a token that was mailed
		"EraseReceiptDonor",       // a donation's id, which cannot be guessed; it erases once
		"FinishPasskeySignIn",     // a ceremony that was begun
		"IssueReceipt",            // a donation's id, which cannot be guessed; one receipt of each
		"LookUpInvitation",        // a token that was mailed, and attempts are limited by network
		"ReceiveStripeEvent",      // Stripe's signature
		"RedeemManageLink",        // a token that was mailed
		"RedeemSignInLink",        // a token that was mailed, and attempts are limited by network
		"ReopenDonation",          // TestCardTestingFromOneAddress: the limit of CreateDonation
		"RequestManageLink",       // TestLinksToMonthlyDonationsAreLimitedByNetwork
		"RequestManageLinks",      // TestADonorFindsMonthlyDonationsByAnAddress
		"RequestSignInLink",       // TestSignInByLink of package access
		"ShowRecurringDonation",   // a token that was mailed; it changes nothing
		"StopRecurringDonation",   // a token that was mailed
	}
	e := apptest.Start(t, apptest.Config{})
	var got []string
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				if method := methods.Get(j); writes(method) && public(t, e, method) {
					got = append(got, string(method.Name()))
				}
			}
		}
		return true
	})
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("writes that need no key (-want +got):\n%s", diff)
	}
}

// writes tells by its address over REST whether a method of ours changes something; one that has none may.
func writes(method protoreflect.MethodDescriptor) bool {
	rule, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	return rule.GetGet() == "" && strings.HasPrefix(string(method.FullName()), "cagnotte.")
}

// public tries a method without a key.
func public(t *testing.T, e *apptest.Env, method protoreflect.MethodDescriptor) bool {
	t.Helper()
	path := "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
	err := e.Conn.Invoke(t.Context(), path, dynamicpb.NewMessage(method.Input()), dynamicpb.NewMessage(method.Output()))
	return status.Code(err) != codes.Unauthenticated
}
