package app_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// Each public write of the services that lead to payments passes the wall, which its `challenge_solution` shows, or is listed here
// with what it does instead. A new method must be put in one of the two.
func TestEveryWayToAPaymentIsKnown(t *testing.T) {
	passes := []string{"ChangeRecurringDonation", "CreateDonation", "CreatePledge", "CreatePortalSession", "ReopenDonation"}
	without := []string{
		"RedeemManageLink",      // opens a link that was mailed; no payment
		"RequestManageLink",     // mails a link
		"RequestManageLinks",    // mails links
		"ShowRecurringDonation", // changes nothing
		"StopRecurringDonation", // ends payments
	}
	e := apptest.Start(t, apptest.Config{})
	var got, other []string
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				method := methods.Get(j)
				if method.Input().Fields().ByName("challenge_solution") != nil {
					got = append(got, string(method.Name()))
					continue
				}
				switch file.Package() {
				case "cagnotte.donations.v1", "cagnotte.recurring.v1", "cagnotte.treasury.v1":
					if writes(method) && public(t, e, method) {
						other = append(other, string(method.Name()))
					}
				}
			}
		}
		return true
	})
	slices.Sort(got)
	slices.Sort(other)
	if diff := cmp.Diff(passes, got); diff != "" {
		t.Errorf("methods that take a solution (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(without, other); diff != "" {
		t.Errorf("public writes that pass no wall (-want +got):\n%s", diff)
	}
}
