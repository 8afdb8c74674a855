package gateway_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/gateway"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
)

func TestProofOfADonation(t *testing.T) {
	outcome := donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED
	var failure error
	asked := ""
	b := &backend{
		donationStatus: func(r *donationsv1.GetDonationStatusRequest) (*donationsv1.DonationStatus, error) {
			return &donationsv1.DonationStatus{Name: r.GetName(), Amount: euros(2000), Outcome: outcome}, nil
		},
		donationProof: func(r *ledgerv1.GetDonationProofRequest) (*ledgerv1.DonationProof, error) {
			asked = r.GetName()
			return &ledgerv1.DonationProof{Code: "cagnotte-proof-1.AbC", VerifierKey: "cagnotte-ledger-1+2+3"}, failure
		},
	}
	front := serve(t, b, gateway.Options{})
	page := front.URL + "/c/vallon/cameras/donations/" + donationID + "?look=9&lang="

	t.Run("is shown with the way to check it, once sealed", func(t *testing.T) {
		holds(t, send(t, "GET", page+"fr", "").body, "<details", "La preuve que ce don", ">cagnotte-proof-1.AbC</textarea>",
			"cagnotte ledger verify-proof -key cagnotte-ledger-1&#43;2&#43;3 CODE")
		holds(t, send(t, "GET", page+"en", "").body, "The proof that this donation", "cagnotte-proof-1.AbC")
		if asked != campaignName+"/donations/"+donationID+"/proof" {
			t.Errorf("asked for %s", asked)
		}
	})
	t.Run("is promised before", func(t *testing.T) {
		failure = fail(codes.NotFound, "NOT_FOUND")
		got := send(t, "GET", page+"fr", "").body
		holds(t, got, "dans quelques instants", "Vérifier à nouveau")
		lacks(t, got, "<details")
	})
	t.Run("does not keep the page from telling that the donation arrived", func(t *testing.T) {
		failure = fail(codes.Unavailable, "DATABASE_UNAVAILABLE")
		got := send(t, "GET", page+"fr", "").body
		holds(t, got, "bien arrivé")
		lacks(t, got, "<details", "dans quelques instants")
	})
	t.Run("is not there for what was not paid", func(t *testing.T) {
		failure, outcome = nil, donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID
		lacks(t, send(t, "GET", page+"fr", "").body, "<details", "dans quelques instants")
	})
}
