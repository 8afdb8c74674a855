package app_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// TestADonationIsProven has the program seal by itself, and a donor check their donation with the command.
func TestADonationIsProven(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	donation := give(t, e.Conn, donationTo(campaign))
	pay(t, e, donation)
	books := ledgerv1.NewLedgerServiceClient(e.Conn)
	e.Eventually("the donation is sealed", func() bool {
		_, err := books.GetDonationProof(e.Context(), &ledgerv1.GetDonationProofRequest{Name: donation.GetName() + "/proof"})
		if err != nil && status.Code(err) != codes.NotFound {
			t.Fatal(err)
		}
		return err == nil
	})
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		books := ledgerv1.NewLedgerServiceClient(conn)
		checkpoint, err := books.GetCheckpoint(t.Context(), &ledgerv1.GetCheckpointRequest{Name: "collectives/vallon/ledger/checkpoint"})
		if err != nil {
			t.Fatal(err)
		}
		proof, err := books.GetDonationProof(t.Context(), &ledgerv1.GetDonationProofRequest{Name: donation.GetName() + "/proof"})
		if err != nil {
			t.Fatal(err)
		}
		if proof.GetVerifierKey() != checkpoint.GetVerifierKey() {
			t.Errorf("the proof's key is %s, the checkpoint's %s", proof.GetVerifierKey(), checkpoint.GetVerifierKey())
		}
		var told strings.Builder
		if err := app.VerifyProof(proof.GetCode(), checkpoint.GetVerifierKey(), &told); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(told.String(), donation.GetName()) || !strings.Contains(told.String(), "donation") {
			t.Errorf("told:\n%s", told.String())
		}
		t.Run("who may not read the books gets no other proof", func(t *testing.T) {
			_, err := books.GetInclusionProof(t.Context(), &ledgerv1.GetInclusionProofRequest{Name: "collectives/vallon/ledger/transactions/1/inclusionProof"})
			wantError(t, err, codes.Unauthenticated, "UNAUTHENTICATED", "")
		})
	})
	t.Run("ledger verify finds the books sound", func(t *testing.T) {
		var told strings.Builder
		if err := app.VerifyLedger(t.Context(), e.DatabaseURL, nil, nil, &told); err != nil {
			t.Errorf("%v\n%s", err, told.String())
		}
		if !strings.Contains(told.String(), "verifier key cagnotte-ledger-") {
			t.Errorf("told:\n%s", told.String())
		}
	})
	key := func(t *testing.T) string {
		checkpoint, err := books.GetCheckpoint(t.Context(), &ledgerv1.GetCheckpointRequest{Name: "collectives/vallon/ledger/checkpoint"})
		if err != nil {
			t.Fatal(err)
		}
		return checkpoint.GetVerifierKey()
	}
	t.Run("ledger verify needs no database with an archive", func(t *testing.T) {
		var archive, told strings.Builder
		if err := app.ArchiveLedger(t.Context(), e.DatabaseURL, "", &archive); err != nil {
			t.Fatal(err)
		}
		if err := app.VerifyArchive(strings.NewReader(archive.String()), key(t), &told); err != nil || !strings.Contains(told.String(), "0 differences") {
			t.Errorf("%v\n%s", err, told.String())
		}
		if err := app.VerifyArchive(strings.NewReader(archive.String()), "", &told); err == nil || !strings.Contains(err.Error(), key(t)) {
			t.Errorf("without a key: err = %v", err)
		}
		forged := strings.Replace(archive.String(), `"amount_minor":"`, `"amount_minor":"1`, 1)
		if err := app.VerifyArchive(strings.NewReader(forged), key(t), &told); err == nil {
			t.Errorf("a forged archive passes:\n%s", told.String())
		}
		if err := app.ArchiveLedger(t.Context(), e.DatabaseURL, "acct_nobody", &archive); err == nil {
			t.Error("there is an archive of no book")
		}
	})
	t.Run("a collective checks its own export without the database", func(t *testing.T) {
		var share, told strings.Builder
		if err := app.Export(t.Context(), e.DatabaseURL, app.ExportRequest{Collective: "vallon", Format: "PROOF"}, &share); err != nil {
			t.Fatal(err)
		}
		if err := app.VerifyArchive(strings.NewReader(share.String()), key(t), &told); err != nil || !strings.Contains(told.String(), "share of the collective") ||
			!strings.Contains(told.String(), " 1 transactions proven with all their entries") {
			t.Errorf("%s, err = %v", told.String(), err)
		}
		told.Reset()
		doubled := strings.ReplaceAll(share.String(), `"amount_minor":"2000"`, `"amount_minor":"4000"`)
		doubled = strings.ReplaceAll(doubled, `"amount_minor":"-2000"`, `"amount_minor":"-4000"`)
		if doubled == share.String() {
			t.Fatalf("there is no amount of 20.00 to forge in %s", share.String())
		}
		if err := app.VerifyArchive(strings.NewReader(doubled), key(t), &told); err == nil || !strings.Contains(told.String(), "nothing of it is proven") {
			t.Errorf("a forged share: %s, err = %v", told.String(), err)
		}
	})
	t.Run("ledger verify names a book that is not", func(t *testing.T) {
		if err := app.VerifyLedger(t.Context(), e.DatabaseURL, nil, []string{"acct_nobody"}, &strings.Builder{}); err == nil {
			t.Error("it passes")
		}
	})
}

func TestAPeriodIsClosedByItsTreasurer(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	treasurer := e.Key("collectives/vallon", accessv1.Role_ROLE_TREASURER)
	auditor := e.Key("collectives/vallon", accessv1.Role_ROLE_AUDITOR)
	pay(t, e, give(t, e.Conn, donationTo(campaign)))
	e.Eventually("it is booked", func() bool { settled, _ := progress(t, e.Conn, campaign); return settled > 0 })
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		books := ledgerv1.NewLedgerServiceClient(conn)
		req := &ledgerv1.ClosePeriodRequest{Name: "collectives/vallon/ledger", EndTime: &timestamppb.Timestamp{Seconds: 1_700_000_000}}
		closed, err := books.ClosePeriod(apptest.WithKey(t.Context(), treasurer), req)
		if err != nil {
			t.Fatal(err)
		}
		if closed.GetClosedEndTime().GetSeconds() != 1_700_000_000 {
			t.Errorf("closed until %v", closed.GetClosedEndTime())
		}
		_, err = books.ClosePeriod(apptest.WithKey(t.Context(), auditor), req)
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		req.EndTime.Seconds = 32_000_000_000
		_, err = books.ClosePeriod(apptest.WithKey(t.Context(), treasurer), req)
		wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "end_time")
	})
}
