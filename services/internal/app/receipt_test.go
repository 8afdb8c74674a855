package app_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	auditv1 "github.com/cagnotte/cagnotte/proto/cagnotte/audit/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	receiptsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/receipts/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/receipts"
)

// receiptDesk is a collective that issues receipts, its two people, and the key of its treasurer.
type receiptDesk struct {
	*desk
	boss, purse person
	secret      *age.X25519Identity
}

func newReceiptDesk(t *testing.T, e *apptest.Env, slug string) *receiptDesk {
	t.Helper()
	d := &receiptDesk{desk: newDesk(t, e, slug)}
	d.boss, d.purse = newPerson(t, e, slug, "owner"), newPerson(t, e, slug, "treasurer")
	var err error
	if d.secret, err = age.GenerateX25519Identity(); err != nil {
		t.Fatal(err)
	}
	e.Clock.Advance(time.Minute)
	return d
}

func (d *receiptDesk) client() receiptsv1.ReceiptsServiceClient {
	return receiptsv1.NewReceiptsServiceClient(d.e.Conn)
}

func (d *receiptDesk) as(t *testing.T, p person) context.Context {
	return apptest.WithKey(t.Context(), p.token)
}

func (d *receiptDesk) declaration() *receiptsv1.CreateReceiptDeclarationRequest {
	return &receiptsv1.CreateReceiptDeclarationRequest{Parent: d.collective, ReceiptDeclaration: &receiptsv1.ReceiptDeclaration{
		BodyName: "Les Amis du Vallon", PostalAddress: []string{"3 place de l’Église", "38000 Grenoble"}, Purpose: "Défense des libertés",
		Quality: "Œuvre ou organisme d’intérêt général", Articles: []receiptsv1.TaxArticle{receiptsv1.TaxArticle_TAX_ARTICLE_200, receiptsv1.TaxArticle_TAX_ARTICLE_238_BIS},
		Rna: "W381001234", SignatoryName: "Marie Durand", SignatoryTitle: "présidente",
	}}
}

// open makes the collective one that issues: declared, approved, with a key.
func (d *receiptDesk) open(t *testing.T) *receiptsv1.ReceiptDeclaration {
	t.Helper()
	made, err := d.client().CreateReceiptDeclaration(d.as(t, d.boss), d.declaration())
	if err != nil {
		t.Fatal(err)
	}
	g := &guardedDesk{e: d.e, conn: d.e.Conn, collective: d.collective}
	if err := g.approve(t, d.purse.token, made.GetPendingChange()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.client().CreateSealingKey(d.as(t, d.purse), &receiptsv1.CreateSealingKeyRequest{
		Parent: d.collective, SealingKey: &receiptsv1.SealingKey{DisplayName: "Trésorerie", Recipient: d.secret.Recipient().String()},
	}); err != nil {
		t.Fatal(err)
	}
	return made
}

func zoe() *receiptsv1.Donor {
	return &receiptsv1.Donor{
		Kind: receiptsv1.DonorKind_DONOR_KIND_INDIVIDUAL, FirstName: "Zoé", LastName: "Quillebeuf", Street: "77 impasse des Engoulevents",
		PostalCode: "29217", City: "Ploumoguer",
	}
}

func (d *receiptDesk) issue(t *testing.T, donation *donationsv1.Donation, request string, donor *receiptsv1.Donor) (*receiptsv1.IssueReceiptResponse, error) {
	return d.client().IssueReceipt(t.Context(), &receiptsv1.IssueReceiptRequest{Parent: donation.GetName(), Donor: donor, RequestId: request})
}

// issued is a donation of so much, with its receipt.
func (d *receiptDesk) issued(t *testing.T, minor int64) (donation *donationsv1.Donation, charge string, receipt *receiptsv1.Receipt) {
	t.Helper()
	donation, charge = d.paid(t, minor)
	resp, err := d.issue(t, donation, uuid.NewString(), zoe())
	if err != nil {
		t.Fatal(err)
	}
	return donation, charge, resp.GetReceipt()
}

func (d *receiptDesk) offer(t *testing.T, donation *donationsv1.Donation) *receiptsv1.ReceiptOffer {
	t.Helper()
	o, err := d.client().GetReceiptOffer(t.Context(), &receiptsv1.GetReceiptOfferRequest{Name: donation.GetName() + "/receiptOffer"})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (d *receiptDesk) get(t *testing.T, name string) *receiptsv1.Receipt {
	t.Helper()
	r, err := d.client().GetReceipt(d.as(t, d.purse), &receiptsv1.GetReceiptRequest{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (d *receiptDesk) year(t *testing.T) *receiptsv1.ReceiptYear {
	t.Helper()
	y, err := d.client().GetReceiptYear(d.as(t, d.purse), &receiptsv1.GetReceiptYearRequest{Name: fmt.Sprintf("%s/receiptYears/%d", d.collective, d.e.Clock.Now().Year())})
	if err != nil {
		t.Fatal(err)
	}
	return y
}

func TestACollectiveDeclaresThatItMayIssueReceipts(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	d := newReceiptDesk(t, e, "vallon")
	donation, _ := d.paid(t, 50_00)
	offer := func() receiptsv1.ReceiptOfferState { return d.offer(t, donation).GetState() }
	none, offered := receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_NOT_OFFERED, receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_OFFERED
	if offer() != none {
		t.Error("a collective that declared nothing offers receipts")
	}
	_, err := d.issue(t, donation, uuid.NewString(), zoe())
	wantError(t, err, codes.FailedPrecondition, "RECEIPTS_NOT_OFFERED", "")
	_, err = d.client().CreateReceiptDeclaration(apptest.WithKey(t.Context(), d.owner), d.declaration())
	wantError(t, err, codes.FailedPrecondition, "PERSON_NEEDED", "")

	made, err := d.client().CreateReceiptDeclaration(d.as(t, d.boss), d.declaration())
	if err != nil {
		t.Fatal(err)
	}
	again, err := d.client().CreateReceiptDeclaration(d.as(t, d.boss), d.declaration())
	if err != nil || again.GetName() != made.GetName() {
		t.Errorf("the same declaration again is %v, %v", again, err)
	}
	other := d.declaration()
	other.ReceiptDeclaration.SignatoryName = "Paul Petit"
	_, err = d.client().CreateReceiptDeclaration(d.as(t, d.boss), other)
	wantError(t, err, codes.FailedPrecondition, "CHANGE_PENDING", "")
	g := &guardedDesk{e: e, conn: e.Conn, collective: d.collective}
	wantError(t, g.approve(t, d.boss.token, made.GetPendingChange()), codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
	if offer() != none {
		t.Error("what one person declared is offered")
	}
	if err := g.approve(t, d.purse.token, made.GetPendingChange()); err != nil {
		t.Fatal(err)
	}
	if offer() != none {
		t.Error("without a key to seal to, receipts are offered")
	}
	_, err = d.client().CreateSealingKey(d.as(t, d.purse), &receiptsv1.CreateSealingKeyRequest{
		Parent: d.collective, SealingKey: &receiptsv1.SealingKey{DisplayName: "Secret", Recipient: d.secret.String()},
	})
	wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "sealing_key.recipient")
	if strings.Contains(err.Error(), d.secret.String()) {
		t.Error("the error has the secret key")
	}
	key, err := d.client().CreateSealingKey(d.as(t, d.purse), &receiptsv1.CreateSealingKeyRequest{
		Parent: d.collective, SealingKey: &receiptsv1.SealingKey{DisplayName: "Trésorerie", Recipient: d.secret.Recipient().String()},
	})
	if err != nil || offer() != offered {
		t.Fatalf("%v, %v: the offer is %v", key, err, offer())
	}
	if _, err := d.client().RevokeSealingKey(d.as(t, d.purse), &receiptsv1.RevokeSealingKeyRequest{Name: key.GetName()}); err != nil || offer() != none {
		t.Errorf("%v: after its key was revoked the offer is %v", err, offer())
	}
	spare, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.client().CreateSealingKey(d.as(t, d.purse), &receiptsv1.CreateSealingKeyRequest{
		Parent: d.collective, SealingKey: &receiptsv1.SealingKey{DisplayName: "Autre", Recipient: spare.Recipient().String()},
	}); err != nil || offer() != offered {
		t.Fatalf("%v: %v", err, offer())
	}
	// A second version waits while the first is active, and either can be withdrawn by one person.
	next, err := d.client().CreateReceiptDeclaration(d.as(t, d.boss), other)
	if err != nil || offer() != offered {
		t.Fatalf("%v, %v", err, offer())
	}
	if w, err := d.client().WithdrawReceiptDeclaration(d.as(t, d.purse), &receiptsv1.WithdrawReceiptDeclarationRequest{Name: next.GetName()}); err != nil ||
		w.GetState() != receiptsv1.ReceiptDeclarationState_RECEIPT_DECLARATION_STATE_DROPPED {
		t.Errorf("%v, %v", w, err)
	}
	for range 2 {
		w, err := d.client().WithdrawReceiptDeclaration(d.as(t, d.purse), &receiptsv1.WithdrawReceiptDeclarationRequest{Name: made.GetName()})
		if err != nil || w.GetState() != receiptsv1.ReceiptDeclarationState_RECEIPT_DECLARATION_STATE_WITHDRAWN {
			t.Errorf("%v, %v", w, err)
		}
	}
	if offer() != none {
		t.Error("a declaration that was withdrawn is offered")
	}
	told := d.notices(t)
	if len(told["receipt_declaration_waits"]) != 2 || len(told["receipt_declaration_changed"]) != 2 || len(told["sealing_key_changed"]) != 3 {
		t.Errorf("notices %v", told)
	}
}

func TestReceipts(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	d := newReceiptDesk(t, e, "vallon")
	d.open(t)

	t.Run("the same request is the same receipt and the same bytes", func(t *testing.T) {
		donation, _ := d.paid(t, 80_00)
		request := uuid.NewString()
		first, err := d.issue(t, donation, request, zoe())
		if err != nil {
			t.Fatal(err)
		}
		again, err := d.issue(t, donation, request, zoe())
		if err != nil || first.GetReceipt().GetNumber() != again.GetReceipt().GetNumber() || !bytes.Equal(first.GetPdf(), again.GetPdf()) {
			t.Errorf("%v: %s, then %s", err, first.GetReceipt().GetNumber(), again.GetReceipt().GetNumber())
		}
		other := zoe()
		other.LastName = "Another"
		_, err = d.issue(t, donation, request, other)
		wantError(t, err, codes.FailedPrecondition, "RECEIPT_EXISTS", "")
		_, err = d.issue(t, donation, uuid.NewString(), zoe())
		wantError(t, err, codes.FailedPrecondition, "RECEIPT_EXISTS", "")
		if first.GetReceipt().GetAmount().GetAmountMinor() != 80_00 || first.GetReceipt().GetNumber() != fmt.Sprintf("%d-00001", e.Clock.Now().Year()) {
			t.Errorf("%v", first.GetReceipt())
		}
	})
	t.Run("refuses what cannot be printed, at its field, without repeating it", func(t *testing.T) {
		donation, _ := d.paid(t, 10_00)
		for what, set := range map[string]func(*receiptsv1.Donor, string){
			"donor.first_name":  func(d *receiptsv1.Donor, v string) { d.FirstName = v },
			"donor.last_name":   func(d *receiptsv1.Donor, v string) { d.LastName = v },
			"donor.street":      func(d *receiptsv1.Donor, v string) { d.Street = v },
			"donor.postal_code": func(d *receiptsv1.Donor, v string) { d.PostalCode = v },
			"donor.city":        func(d *receiptsv1.Donor, v string) { d.City = v },
			"donor.country":     func(d *receiptsv1.Donor, v string) { d.Country = v },
		} {
			for _, hostile := range []string{
				"<script>alert(1)</script>", "evil\u202etxt.exe", "a\u200bb", "tab\u0000", "\u0627\u0644", "日本", "😀", strings.Repeat("x", 2000),
				"&lt;\\x", "=HYPERLINK(1)", "e\u0301\u0302\u0303\u0304",
			} {
				donor := zoe()
				set(donor, hostile)
				_, err := d.issue(t, donation, uuid.NewString(), donor)
				wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", what)
				if err != nil && strings.Contains(err.Error(), hostile) {
					t.Errorf("%s: the error repeats what was typed: %v", what, err)
				}
			}
			if what == "donor.country" {
				continue
			}
			donor := zoe()
			set(donor, "  ")
			_, err := d.issue(t, donation, uuid.NewString(), donor)
			wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", what)
		}
		company := zoe()
		company.Kind, company.CompanyName, company.LegalForm, company.Siren = receiptsv1.DonorKind_DONOR_KIND_COMPANY, "Ateliers", "SARL", "732829321"
		_, err := d.issue(t, donation, uuid.NewString(), company)
		wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "donor.siren")
		_, err = d.issue(t, donation, "00000000-0000-0000-0000-000000000001", zoe())
		wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "request_id")
		company.Siren = "732 829 320"
		if r, err := d.issue(t, donation, uuid.NewString(), company); err != nil || r.GetReceipt().GetDonorKind() != company.Kind {
			t.Errorf("a company: %v, %v", r, err)
		}
	})
	t.Run("a donation that has not arrived has none", func(t *testing.T) {
		open := give(t, e.Conn, donationTo(d.campaign))
		_, err := d.issue(t, open, uuid.NewString(), zoe())
		wantError(t, err, codes.FailedPrecondition, "DONATION_WITHOUT_RECEIPT", "")
	})
	t.Run("a refund cancels it with its booking, and what is left has another one", func(t *testing.T) {
		donation, _, r := d.issued(t, 60_00)
		d.create(t, d.treasurer, ask(donation, 20_00))
		e.Eventually("the receipt is canceled", func() bool { return d.get(t, r.GetName()).GetState() == receiptsv1.ReceiptState_RECEIPT_STATE_CANCELED })
		if got := d.get(t, r.GetName()); got.GetCancelReason() != receiptsv1.ReceiptCancelReason_RECEIPT_CANCEL_REASON_REFUNDED || !got.GetReissuable() {
			t.Errorf("%v", got)
		}
		next, err := d.issue(t, donation, uuid.NewString(), zoe())
		if err != nil || next.GetReceipt().GetReplaces() != r.GetName() || next.GetReceipt().GetAmount().GetAmountMinor() != 40_00 {
			t.Errorf("%v, %v", next.GetReceipt(), err)
		}
		if d.get(t, r.GetName()).GetReplacedBy() != next.GetReceipt().GetName() {
			t.Error("the first does not name the second")
		}
		d.create(t, d.treasurer, ask(donation, 0))
		e.Eventually("the second is canceled", func() bool {
			return d.get(t, next.GetReceipt().GetName()).GetState() == receiptsv1.ReceiptState_RECEIPT_STATE_CANCELED
		})
		_, err = d.issue(t, donation, uuid.NewString(), zoe())
		wantError(t, err, codes.FailedPrecondition, "DONATION_WITHOUT_RECEIPT", "")
	})
	t.Run("a dispute that is lost cancels it, and one that is open does not", func(t *testing.T) {
		donation, charge, r := d.issued(t, 33_00)
		id := d.mustDispute(t, charge, stripesim.Disputed{})
		d.disputed(t, id, needsResponse)
		if got := d.get(t, r.GetName()); got.GetState() != receiptsv1.ReceiptState_RECEIPT_STATE_ISSUED {
			t.Errorf("an open dispute: %v", got)
		}
		if err := e.Sim.CloseDispute(id, false, false); err != nil {
			t.Fatal(err)
		}
		d.disputed(t, id, lost)
		if got := d.get(t, r.GetName()); got.GetCancelReason() != receiptsv1.ReceiptCancelReason_RECEIPT_CANCEL_REASON_DISPUTE_LOST {
			t.Errorf("a lost dispute: %v", got)
		}
		if o := d.offer(t, donation); o.GetState() != receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_DONATION_WITHOUT_RECEIPT {
			t.Errorf("%v", o)
		}
	})
	t.Run("a dispute that is lost and whose money comes back leaves the way to another one", func(t *testing.T) {
		donation, charge, r := d.issued(t, 34_00)
		id := d.mustDispute(t, charge, stripesim.Disputed{})
		d.disputed(t, id, needsResponse)
		if err := e.Sim.CloseDispute(id, false, false); err != nil {
			t.Fatal(err)
		}
		d.disputed(t, id, lost)
		if err := e.Sim.ReinstateDispute(id); err != nil {
			t.Fatal(err)
		}
		e.Eventually("another receipt can be had", func() bool {
			return d.offer(t, donation).GetState() == receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_OFFERED
		})
		next, err := d.issue(t, donation, uuid.NewString(), zoe())
		if err != nil || next.GetReceipt().GetReplaces() != r.GetName() || next.GetReceipt().GetAmount().GetAmountMinor() != 34_00 {
			t.Errorf("%v, %v", next.GetReceipt(), err)
		}
	})
	t.Run("a suspended collective issues none, and those it issued stand", func(t *testing.T) {
		donation, _ := d.paid(t, 15_00)
		_, _, r := d.issued(t, 16_00)
		group, operator := collectivesv1.NewCollectivesServiceClient(e.Conn), apptest.WithKey(t.Context(), e.OperatorKey)
		if _, err := group.SuspendCollective(operator, &collectivesv1.SuspendCollectiveRequest{Name: d.collective, Reason: "Looked at"}); err != nil {
			t.Fatal(err)
		}
		_, err := d.issue(t, donation, uuid.NewString(), zoe())
		wantError(t, err, codes.FailedPrecondition, "RECEIPTS_NOT_OFFERED", "")
		if got := d.get(t, r.GetName()); got.GetState() != receiptsv1.ReceiptState_RECEIPT_STATE_ISSUED {
			t.Errorf("%v", got)
		}
		if _, err := group.ResumeCollective(operator, &collectivesv1.ResumeCollectiveRequest{Name: d.collective}); err != nil {
			t.Fatal(err)
		}
		if _, err := d.issue(t, donation, uuid.NewString(), zoe()); err != nil {
			t.Errorf("resumed: %v", err)
		}
	})
	t.Run("a member cancels it, for good or to be replaced", func(t *testing.T) {
		donation, _, r := d.issued(t, 12_00)
		cancel := func(name string, reissuable bool) *receiptsv1.Receipt {
			got, err := d.client().CancelReceipt(d.as(t, d.purse), &receiptsv1.CancelReceiptRequest{Name: name, Note: "Wrong address", Reissuable: reissuable})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		cancel(r.GetName(), true)
		if got := cancel(r.GetName(), false); !got.GetReissuable() {
			t.Error("canceling again changed it")
		}
		next, err := d.issue(t, donation, uuid.NewString(), zoe())
		if err != nil || next.GetReceipt().GetReplaces() != r.GetName() {
			t.Fatalf("%v, %v", next, err)
		}
		cancel(next.GetReceipt().GetName(), false)
		_, err = d.issue(t, donation, uuid.NewString(), zoe())
		wantError(t, err, codes.FailedPrecondition, "RECEIPT_CANCELED", "")
	})
	t.Run("numbers have no gap, and the totals are those of the donations", func(t *testing.T) {
		list, err := d.client().ListReceipts(d.as(t, d.purse), &receiptsv1.ListReceiptsRequest{Parent: d.collective, PageSize: 200})
		if err != nil {
			t.Fatal(err)
		}
		var standing, canceled, sum int64
		for i, r := range list.GetReceipts() {
			if want := fmt.Sprintf("%d-%05d", e.Clock.Now().Year(), len(list.GetReceipts())-i); r.GetNumber() != want {
				t.Errorf("number %s, want %s", r.GetNumber(), want)
			}
			if r.GetState() == receiptsv1.ReceiptState_RECEIPT_STATE_CANCELED {
				canceled++
				continue
			}
			standing++
			got := d.donation(t, &donationsv1.Donation{Name: r.GetDonation()})
			sum += got.GetAmount().GetAmountMinor() - got.GetAmountRefunded().GetAmountMinor()
		}
		y := d.year(t)
		if y.GetIssuedCount() != standing+canceled || y.GetCanceledCount() != canceled || y.GetStandingCount() != standing ||
			y.GetStandingAmount().GetAmountMinor() != sum || y.GetDonatedAmount().GetAmountMinor() != sum || standing < 2 || canceled < 4 {
			t.Errorf("%v; %d stand, %d are canceled, of %d", y, standing, canceled, sum)
		}
	})
}

// 32 donors ask at the same moment, each twice, and some of them fail after the number was taken.
func TestNumbersOfReceiptsHaveNoGap(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	d := newReceiptDesk(t, e, "vallon")
	d.open(t)
	conn, err := pgx.Connect(t.Context(), e.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	// Each third receipt is refused after its number was taken, the first time.
	if _, err := conn.Exec(t.Context(), `
		CREATE SEQUENCE receipts.tries;
		GRANT USAGE ON SEQUENCE receipts.tries TO cagnotte_service;
		CREATE FUNCTION receipts.fail() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF nextval('receipts.tries') % 3 = 0 THEN
				RAISE EXCEPTION 'deliberate' USING ERRCODE = 'disk_full';
			END IF;
			RETURN NEW;
		END $$;
		CREATE TRIGGER fail BEFORE INSERT ON receipts.receipts FOR EACH ROW EXECUTE FUNCTION receipts.fail()`); err != nil {
		t.Fatal(err)
	}
	const donors = 32
	given := make([]*donationsv1.Donation, donors)
	for i := range given {
		req := donationTo(d.campaign)
		req.Donation.Amount = apptest.Euros(int64(1000 + i))
		given[i] = give(t, e.Conn, req)
		pay(t, e, given[i])
	}
	for _, g := range given {
		e.Eventually("all are booked", func() bool { return d.donation(t, g).GetBookTime() != nil })
	}
	var (
		wait     sync.WaitGroup
		mu       sync.Mutex
		numbers  []string
		failures int
	)
	for _, g := range given {
		request := uuid.NewString()
		wait.Go(func() {
			for tries, done := 0, 0; done < 2 && tries < 50; tries++ {
				resp, err := d.issue(t, g, request, zoe())
				mu.Lock()
				if err != nil {
					failures++
				} else if done++; done == 1 {
					numbers = append(numbers, resp.GetReceipt().GetNumber())
				} else if !slices.Contains(numbers, resp.GetReceipt().GetNumber()) {
					t.Errorf("the repeat has another number, %s", resp.GetReceipt().GetNumber())
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	slices.Sort(numbers)
	var want []string
	for i := range donors {
		want = append(want, fmt.Sprintf("%d-%05d", e.Clock.Now().Year(), i+1))
	}
	if diff := cmp.Diff(want, numbers); diff != "" || failures < 5 {
		t.Errorf("numbers after %d failures (-want +got):\n%s", failures, diff)
	}
}

// The name, the address and the rest of who gave are looked for wherever the program writes, and opened with the treasurer's
// key.
func TestWhoGaveIsKeptSealedAlone(t *testing.T) {
	box, written := mailtest.Start(t), &log{}
	e := apptest.Start(t, apptest.Config{SMTPURL: box.URL(), AlertEmails: []string{"operator@example.org"}, LogTo: written})
	d := newReceiptDesk(t, e, "vallon")
	d.open(t)
	donation, _ := d.paid(t, 50_00)
	request := uuid.NewString()
	issued, err := d.issue(t, donation, request, zoe())
	if err != nil {
		t.Fatal(err)
	}
	hostile := zoe()
	hostile.City = "Ploumoguer<>"
	_, err = d.issue(t, donation, request, hostile)
	wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "donor.city")
	second := donationTo(d.campaign)
	_, err = d.issue(t, give(t, e.Conn, second), uuid.NewString(), zoe())
	wantError(t, err, codes.FailedPrecondition, "DONATION_WITHOUT_RECEIPT", "")
	if _, err := d.issue(t, donation, request, zoe()); err != nil {
		t.Fatal(err)
	}
	r := issued.GetReceipt()
	read := &receiptsv1.ReadSealedDonorRequest{Name: r.GetName()}
	sealed, err := d.client().ReadSealedDonor(d.as(t, d.purse), read)
	if err != nil {
		t.Fatal(err)
	}
	for who, p := range map[string]string{"an auditor": d.audi, "the operator": e.OperatorKey} {
		_, err := d.client().ReadSealedDonor(apptest.WithKey(t.Context(), p), read)
		if err == nil {
			t.Errorf("%s reads the sealed identity", who)
		}
	}
	got, err := receipts.Open(strings.NewReader("# created: now\n"+d.secret.String()+"\n"), sealed.GetSealed())
	want := receipts.Donor{
		Kind: receipts.Individual, FirstName: "Zoé", LastName: "Quillebeuf", Street: "77 impasse des Engoulevents", PostalCode: "29217", City: "Ploumoguer",
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("opened: %v\n%s", err, diff)
	}
	foreign, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := receipts.Open(strings.NewReader(foreign.String()), sealed.GetSealed()); err == nil {
		t.Error("another key opens it")
	}
	exported, err := d.client().ExportSealedDonors(d.as(t, d.purse), &receiptsv1.ExportSealedDonorsRequest{Parent: d.collective, Year: r.GetYear()})
	if err != nil || len(exported.GetSealedDonors()) != 1 || exported.GetSealedDonors()[0].GetSealed() != sealed.GetSealed() {
		t.Errorf("%v, %v", exported, err)
	}
	entries, err := auditv1.NewAuditServiceClient(e.Conn).ListAuditEntries(d.as(t, d.purse), &auditv1.ListAuditEntriesRequest{Parent: d.collective})
	if err != nil || !strings.Contains(entries.String(), "ReadSealedDonor") || !strings.Contains(entries.String(), "ExportSealedDonors") || !strings.Contains(entries.String(), r.GetNumber()) {
		t.Errorf("the audit log does not say that identities were read: %v, %v", entries, err)
	}
	places := func() map[string]string {
		mails := ""
		for _, m := range box.Mails() {
			mails += fmt.Sprint(m)
		}
		return map[string]string{"the log": written.String(), "the metrics": metricsOf(t, e), "the database": everyRow(t, e), "the mails": mails}
	}
	nowhere := func(words ...string) {
		t.Helper()
		for where, text := range places() {
			for _, word := range words {
				if strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
					t.Errorf("%s holds %q", where, word)
				}
			}
		}
	}
	nowhere("Quillebeuf", "Engoulevents", "29217", "Ploumoguer", "Zoé", request, strings.ReplaceAll(request, "-", ""), d.secret.String())
	// A call that is no JSON is answered, and its words are not written down.
	broken, err := http.Post(e.URL+"/v1/"+donation.GetName()+"/receipts:issue", "application/json", strings.NewReader(`{"donor": {"last_name": Quillebeuf}}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = broken.Body.Close()
	nowhere("Quillebeuf")
	if found := inDatabaseFiles(t, e, "Quillebeuf", "Engoulevents", "Ploumoguer", request, d.secret.String()); found != nil {
		t.Errorf("on disk: %v", found)
	}
	if inDatabaseFiles(t, e, "BEGIN AGE ENCRYPTED FILE", "Les Amis du Vallon") == nil {
		t.Error("the files of the database were not read")
	}
	if !strings.Contains(places()["the database"], "BEGIN AGE ENCRYPTED FILE") || !strings.Contains(places()["the log"], "IssueReceipt") {
		t.Error("nothing was looked at")
	}
	t.Run("a receipt cannot be changed or removed, even by the owner of the tables", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), e.DatabaseURL)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.WithoutCancel(t.Context()))
		for _, sql := range []string{
			"UPDATE receipts.receipts SET amount_minor = 1", "UPDATE receipts.receipts SET sequence = 9", "DELETE FROM receipts.receipts",
			"UPDATE receipts.receipts SET sealed = '-----BEGIN AGE ENCRYPTED FILE-----x'", "UPDATE receipts.declarations SET body_name = 'x'",
			"UPDATE receipts.receipts SET pdf_sha256 = sha256('x')", "UPDATE receipts.declarations SET state = 'pending', activated_at = NULL",
		} {
			if _, err := conn.Exec(t.Context(), sql); err == nil {
				t.Errorf("%s went through", sql)
			}
		}
	})
	t.Run("its donor erases it, and the number stays", func(t *testing.T) {
		for range 2 {
			o, err := d.client().EraseReceiptDonor(t.Context(), &receiptsv1.EraseReceiptDonorRequest{Name: donation.GetName() + "/receiptOffer"})
			if err != nil || o.GetErasable() || o.GetNumber() != r.GetNumber() || o.GetState() != receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_ISSUED {
				t.Errorf("%v, %v", o, err)
			}
		}
		nowhere("BEGIN AGE ENCRYPTED FILE")
		_, err := d.client().ReadSealedDonor(d.as(t, d.purse), read)
		wantError(t, err, codes.FailedPrecondition, "RECEIPT_DONOR_ERASED", "")
		if got := d.get(t, r.GetName()); got.GetEraseTime() == nil || got.GetAmount().GetAmountMinor() != 50_00 {
			t.Errorf("%v", got)
		}
		_, err = d.issue(t, donation, request, zoe())
		wantError(t, err, codes.FailedPrecondition, "RECEIPT_EXISTS", "")
	})
	t.Run("its time ends by itself, six full years after its own", func(t *testing.T) {
		_, _, kept := d.issued(t, 20_00)
		end := time.Date(int(kept.GetYear())+7, 1, 1, 12, 0, 0, 0, time.UTC)
		e.Clock.Advance(end.Add(-24 * time.Hour).Sub(e.Clock.Now()))
		e.StopApp()
		e.StartApp()
		e.Eventually("the upkeep has run", func() bool { return strings.Count(everyRow(t, e), "receipts_upkeep") > 1 })
		// Sessions have ended meanwhile.
		if !strings.Contains(everyTable(t, e)["receipts.receipts"], "AGE ENCRYPTED") {
			t.Fatal("erased a day early")
		}
		e.Clock.Advance(36 * time.Hour)
		e.StopApp()
		e.StartApp()
		e.Eventually("the identity is erased", func() bool { return !strings.Contains(everyTable(t, e)["receipts.receipts"], "AGE ENCRYPTED") })
	})
}

// auditedReceipts are the cases of the audit walk that are about receipts.
var auditedReceipts = map[string]func(*auditWalk) auditedCall{
	receiptsv1.ReceiptsService_CreateReceiptDeclaration_FullMethodName: func(w *auditWalk) auditedCall {
		d := newReceiptDesk(w.t, w.e, "declares")
		refused := d.declaration()
		refused.ReceiptDeclaration.Rna = "X1"
		return auditedCall{by: d.boss.token, request: d.declaration(), refused: refused}
	},
	receiptsv1.ReceiptsService_WithdrawReceiptDeclaration_FullMethodName: func(w *auditWalk) auditedCall {
		d := newReceiptDesk(w.t, w.e, "withdraws")
		return auditedCall{
			by: d.purse.token, request: &receiptsv1.WithdrawReceiptDeclarationRequest{Name: d.open(w.t).GetName()},
			refused: &receiptsv1.WithdrawReceiptDeclarationRequest{Name: d.collective + "/receiptDeclarations/" + uuid.NewString()},
		}
	},
	receiptsv1.ReceiptsService_CreateSealingKey_FullMethodName: func(w *auditWalk) auditedCall {
		d := newReceiptDesk(w.t, w.e, "seals")
		request := func(recipient string) *receiptsv1.CreateSealingKeyRequest {
			return &receiptsv1.CreateSealingKeyRequest{Parent: d.collective, SealingKey: &receiptsv1.SealingKey{DisplayName: "Key", Recipient: recipient}}
		}
		return auditedCall{by: d.purse.token, request: request(d.secret.Recipient().String()), refused: request("age1x")}
	},
	receiptsv1.ReceiptsService_RevokeSealingKey_FullMethodName: func(w *auditWalk) auditedCall {
		d := newReceiptDesk(w.t, w.e, "unseals")
		d.open(w.t)
		keys := &receiptsv1.ListSealingKeysResponse{}
		w.answer(d.purse.token, receiptsv1.ReceiptsService_ListSealingKeys_FullMethodName, &receiptsv1.ListSealingKeysRequest{Parent: d.collective}, keys)
		return auditedCall{
			by: d.purse.token, request: &receiptsv1.RevokeSealingKeyRequest{Name: keys.GetSealingKeys()[0].GetName()},
			refused: &receiptsv1.RevokeSealingKeyRequest{Name: d.collective + "/sealingKeys/" + uuid.NewString()},
		}
	},
	receiptsv1.ReceiptsService_CancelReceipt_FullMethodName: func(w *auditWalk) auditedCall {
		d := newReceiptDesk(w.t, w.e, "undoes")
		d.open(w.t)
		_, _, r := d.issued(w.t, 10_00)
		return auditedCall{
			by: d.purse.token, request: &receiptsv1.CancelReceiptRequest{Name: r.GetName(), Note: "Wrong"},
			refused: &receiptsv1.CancelReceiptRequest{Name: d.collective + "/receipts/" + uuid.NewString(), Note: "Wrong"},
		}
	},
	// Each time that somebody gets an identity is an entry.
	receiptsv1.ReceiptsService_ReadSealedDonor_FullMethodName: func(w *auditWalk) auditedCall {
		d := newReceiptDesk(w.t, w.e, "reads")
		d.open(w.t)
		_, _, r := d.issued(w.t, 10_00)
		return auditedCall{
			by: d.purse.token, request: &receiptsv1.ReadSealedDonorRequest{Name: r.GetName()},
			refused: &receiptsv1.ReadSealedDonorRequest{Name: d.collective + "/receipts/" + uuid.NewString()}, again: 1,
		}
	},
	receiptsv1.ReceiptsService_ExportSealedDonors_FullMethodName: func(w *auditWalk) auditedCall {
		d := newReceiptDesk(w.t, w.e, "exports")
		d.open(w.t)
		_, _, r := d.issued(w.t, 10_00)
		return auditedCall{
			by: d.purse.token, request: &receiptsv1.ExportSealedDonorsRequest{Parent: d.collective, Year: r.GetYear()},
			refused: &receiptsv1.ExportSealedDonorsRequest{Parent: d.collective, Year: r.GetYear(), PageToken: "x"}, again: 1,
		}
	},
	receiptsv1.ReceiptsService_ExportStaleSealedDonors_FullMethodName: func(w *auditWalk) auditedCall {
		d := newReceiptDesk(w.t, w.e, "stale")
		d.open(w.t)
		_, _, _ = d.issued(w.t, 10_00)
		d.secondKey(w.t)
		return auditedCall{
			by: d.purse.token, request: &receiptsv1.ExportStaleSealedDonorsRequest{Parent: d.collective},
			refused: &receiptsv1.ExportStaleSealedDonorsRequest{Parent: d.collective, PageToken: "x"}, again: 1,
		}
	},
	receiptsv1.ReceiptsService_ResealDonors_FullMethodName: func(w *auditWalk) auditedCall {
		d := newReceiptDesk(w.t, w.e, "reseals")
		d.open(w.t)
		_, _, r := d.issued(w.t, 10_00)
		second := d.secondKey(w.t)
		keys, sealed := &receiptsv1.ListSealingKeysResponse{}, &receiptsv1.SealedDonor{}
		w.answer(d.purse.token, receiptsv1.ReceiptsService_ListSealingKeys_FullMethodName, &receiptsv1.ListSealingKeysRequest{Parent: d.collective}, keys)
		w.answer(d.purse.token, receiptsv1.ReceiptsService_ReadSealedDonor_FullMethodName, &receiptsv1.ReadSealedDonorRequest{Name: r.GetName()}, sealed)
		sum := sha256.Sum256([]byte(sealed.GetSealed()))
		request := &receiptsv1.ResealDonorsRequest{Parent: d.collective, ResealedDonors: []*receiptsv1.ResealedDonor{{
			Receipt: r.GetName(), SealedBeforeSha256: hex.EncodeToString(sum[:]), Sealed: sealedFor(w.t, []byte("{}"), d.secret, second),
		}}}
		for _, k := range keys.GetSealingKeys() {
			request.SealingKeys = append(request.SealingKeys, k.GetName())
		}
		refused := proto.Clone(request).(*receiptsv1.ResealDonorsRequest)
		refused.ResealedDonors[0].Sealed = "x"
		return auditedCall{by: d.purse.token, request: request, refused: refused}
	},
}

// secondKey adds another key, so that what was sealed before is not sealed to all.
func (d *receiptDesk) secondKey(t *testing.T) *age.X25519Identity {
	t.Helper()
	second, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.client().CreateSealingKey(d.as(t, d.purse), &receiptsv1.CreateSealingKeyRequest{
		Parent: d.collective, SealingKey: &receiptsv1.SealingKey{DisplayName: "Seconde", Recipient: second.Recipient().String()},
	}); err != nil {
		t.Fatal(err)
	}
	return second
}
