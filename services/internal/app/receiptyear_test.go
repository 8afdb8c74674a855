package app_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	receiptsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/receipts/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
	"github.com/cagnotte/cagnotte/services/receipts"
)

// deskOf is a collective that exists, and issues receipts from now on.
func deskOf(t *testing.T, e *apptest.Env, slug, campaign, owner string) *receiptDesk {
	t.Helper()
	collective := "collectives/" + slug
	d := &receiptDesk{desk: &desk{
		e: e, slug: slug, campaign: campaign, collective: collective, owner: owner, treasurer: e.Key(collective, accessv1.Role_ROLE_TREASURER),
		audi: e.Key(collective, accessv1.Role_ROLE_AUDITOR),
	}}
	d.boss, d.purse = newPerson(t, e, slug, "owner"), newPerson(t, e, slug, "treasurer")
	var err error
	if d.secret, err = age.GenerateX25519Identity(); err != nil {
		t.Fatal(err)
	}
	e.Clock.Advance(time.Minute)
	d.open(t)
	return d
}

const (
	offered        = receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_OFFERED
	receiptIssued  = receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_ISSUED
	withoutReceipt = receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_DONATION_WITHOUT_RECEIPT
)

func (d *receiptDesk) offerOf(t *testing.T, name string, year int32) *receiptsv1.ReceiptOffer {
	t.Helper()
	o, err := d.client().GetReceiptOffer(t.Context(), &receiptsv1.GetReceiptOfferRequest{Name: name + "/receiptOffer", DonationYear: year})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (d *receiptDesk) issueOf(t *testing.T, name string, year int32, request string) (*receiptsv1.IssueReceiptResponse, error) {
	return d.client().IssueReceipt(t.Context(), &receiptsv1.IssueReceiptRequest{Parent: name, DonationYear: year, Donor: zoe(), RequestId: request})
}

func TestAYearOfAMonthlyDonationHasOneReceipt(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	m := payMonthly(t, e, "monthly")
	m.wantBooked(1, 20_00)
	year := int32(e.Clock.Now().Year())
	for paid := 2; paid <= 3; paid++ {
		m.nextMonth()
		m.wantBooked(paid, int64(paid)*20_00)
	}
	all := m.donations()
	d := deskOf(t, e, "monthly", m.campaign, m.owner)
	// All that was paid in the first year, and in the second one if the year ended meanwhile.
	counts := map[int32]int{}
	for _, donation := range all {
		counts[int32(donation.GetPayTime().AsTime().In(paris(t)).Year())]++
	}
	now := int32(e.Clock.Now().In(paris(t)).Year())
	if counts[now] > 0 {
		if o := d.offerOf(t, m.name(), now); o.GetState() != withoutReceipt || o.GetYearOver() {
			t.Errorf("a year that goes on: %v", o)
		}
		_, err := d.issueOf(t, m.name(), now, uuid.NewString())
		wantError(t, err, codes.FailedPrecondition, "DONATION_WITHOUT_RECEIPT", "")
	}
	// It ends, and its year is over with it.
	if _, err := recurringv1.NewRecurringServiceClient(e.Conn).CancelRecurringDonation(apptest.WithKey(t.Context(), m.owner),
		&recurringv1.CancelRecurringDonationRequest{Name: m.name()}); err != nil {
		t.Fatal(err)
	}
	m.becomes("it has ended", func(r *recurringv1.RecurringDonation) bool {
		return r.GetState() == recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_CANCELED
	})
	if o := d.offerOf(t, m.name(), year); o.GetState() != offered || int(o.GetPaymentCount()) != counts[year] ||
		o.GetAmount().GetAmountMinor() != int64(counts[year])*20_00 || len(o.GetDonationYears()) != len(counts) || !o.GetYearOver() {
		t.Fatalf("%v, want %d payments", o, counts[year])
	}
	_, err := d.issueOf(t, m.name(), 0, uuid.NewString())
	wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "donation_year")
	page := e.URL + "/c/monthly/avocate/monthly/" + m.name()[strings.LastIndex(m.name(), "/")+1:] + "/receipt"
	if text, _ := browse(t, fmt.Sprintf("%s?year=%d&lang=fr", page, year), nil); !strings.Contains(text, fmt.Sprintf("year=%d&amp;lang=fr", year)) {
		t.Errorf("the page of the year has no form: %s", text)
	}
	request := uuid.NewString()
	first, err := d.issueOf(t, m.name(), year, request)
	if err != nil {
		t.Fatal(err)
	}
	r := first.GetReceipt()
	if r.GetRecurringDonation() != m.name() || r.GetDonation() != "" || len(r.GetPayments()) != counts[year] || r.GetDonationYear() != year {
		t.Errorf("%v", r)
	}
	again, err := d.issueOf(t, m.name(), year, request)
	if err != nil || !bytes.Equal(first.GetPdf(), again.GetPdf()) {
		t.Errorf("the repeat differs: %v", err)
	}
	_, err = d.issueOf(t, m.name(), year, uuid.NewString())
	wantError(t, err, codes.FailedPrecondition, "RECEIPT_EXISTS", "")
	// No month of it has a receipt of its own.
	month := d.get(t, r.GetName()).GetPayments()[0].GetDonation()
	_, err = d.issueOf(t, month, 0, uuid.NewString())
	wantError(t, err, codes.FailedPrecondition, "RECEIPT_EXISTS", "")
	if o := d.offerOf(t, month, 0); o.GetState() != receiptIssued || o.GetNumber() != r.GetNumber() {
		t.Errorf("a month: %v", o)
	}
	totals, err := d.client().GetReceiptYear(d.as(t, d.purse), &receiptsv1.GetReceiptYearRequest{Name: fmt.Sprintf("%s/receiptYears/%d", d.collective, year)})
	if err != nil || totals.GetDonatedAmount().GetAmountMinor() != int64(counts[year])*20_00 {
		t.Errorf("%v, %v", totals, err)
	}
	// One of its months goes back in part: the whole is replaced by what is left.
	d.create(t, d.treasurer, ask(&donationsv1.Donation{Name: month}, 5_00))
	e.Eventually("the receipt is canceled", func() bool { return d.get(t, r.GetName()).GetState() == receiptsv1.ReceiptState_RECEIPT_STATE_CANCELED })
	next, err := d.issueOf(t, m.name(), year, uuid.NewString())
	if err != nil || next.GetReceipt().GetReplaces() != r.GetName() || next.GetReceipt().GetAmount().GetAmountMinor() != int64(counts[year])*20_00-5_00 {
		t.Errorf("%v, %v", next.GetReceipt(), err)
	}
	// Erasing at any of its months erases the person everywhere, and Stripe's customer.
	o, err := d.client().EraseReceiptDonor(t.Context(), &receiptsv1.EraseReceiptDonorRequest{Name: month + "/receiptOffer"})
	if err != nil || o.GetErasable() {
		t.Errorf("%v, %v", o, err)
	}
	if strings.Contains(everyTable(t, e)["receipts.receipts"], "AGE ENCRYPTED") {
		t.Error("an identity is left")
	}
	e.Eventually("Stripe has no customer", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.SimURL+"/v1/customers/"+m.customer, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+apptest.APIKey)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return err == nil && strings.Contains(string(body), `"deleted"`)
	})
}

func paris(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestAPledgeThatArrivedHasAReceipt(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	y := newTreasury(t, e, "vallon")
	d := deskOf(t, e, "vallon", y.campaign, y.owner)
	hand := treasuryv1.NewTreasuryServiceClient(e.Conn)
	for _, method := range []treasuryv1.OfflineMethod{treasuryv1.OfflineMethod_OFFLINE_METHOD_CASH, treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE} {
		t.Run(method.String(), func(t *testing.T) {
			p, err := hand.CreatePledge(t.Context(), &treasuryv1.CreatePledgeRequest{
				Parent: y.campaign, RequestId: uuid.NewString(), Pledge: &treasuryv1.Pledge{Amount: apptest.Euros(25_00), Method: method},
			})
			if err != nil {
				t.Fatal(err)
			}
			if o := d.offerOf(t, p.GetName(), 0); o.GetState() != withoutReceipt {
				t.Errorf("a pledge that is awaited: %v", o)
			}
			request := y.cash(24_00)
			request.OfflineDonation.Method, request.OfflineDonation.Pledge = method, p.GetName()
			arrived, err := hand.CreateOfflineDonation(y.ctx(t), request)
			if err != nil {
				t.Fatal(err)
			}
			if method == treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE {
				if o := d.offerOf(t, p.GetName(), 0); o.GetState() != withoutReceipt {
					t.Errorf("a cheque that is not banked: %v", o)
				}
				return
			}
			issued, err := d.issueOf(t, p.GetName(), 0, uuid.NewString())
			if err != nil {
				t.Fatal(err)
			}
			r := issued.GetReceipt()
			if r.GetPledge() != p.GetName() || r.GetAmount().GetAmountMinor() != 24_00 || r.GetPaymentMethod() != "cash" ||
				r.GetPayments()[0].GetOfflineDonation() != arrived.GetName() {
				t.Errorf("%v", r)
			}
			if _, err := hand.ReverseOfflineDonation(y.ctx(t), &treasuryv1.ReverseOfflineDonationRequest{
				Name: arrived.GetName(), RequestId: uuid.NewString(), Reason: "Entered twice",
			}); err != nil {
				t.Fatal(err)
			}
			if got := d.get(t, r.GetName()); got.GetCancelReason() != receiptsv1.ReceiptCancelReason_RECEIPT_CANCEL_REASON_REVERSED {
				t.Errorf("%v", got)
			}
			if o, err := d.client().EraseReceiptDonor(t.Context(), &receiptsv1.EraseReceiptDonorRequest{Name: p.GetName() + "/receiptOffer"}); err != nil || o.GetErasable() {
				t.Errorf("%v, %v", o, err)
			}
		})
	}
	_, err := d.issueOf(t, y.campaign+"/pledges/"+uuid.NewString(), 0, uuid.NewString())
	wantError(t, err, codes.NotFound, "NOT_FOUND", "")
}

func TestAReceiptIsMailedAtOnceAndTheAddressIsKeptNowhere(t *testing.T) {
	box, written := mailtest.Start(t), &log{}
	e := apptest.Start(t, apptest.Config{SMTPURL: box.URL(), LogTo: written})
	d := newReceiptDesk(t, e, "vallon")
	d.open(t)
	donation, _ := d.paid(t, 50_00)
	const address = "zoe.quillebeuf@example.org"
	request := &receiptsv1.IssueReceiptRequest{Parent: donation.GetName(), Donor: zoe(), RequestId: uuid.NewString(), Email: "not an address"}
	_, err := d.client().IssueReceipt(t.Context(), request)
	wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "email")
	// The server refuses the address: the receipt is issued, and its donor is told.
	request.Email = address
	box.Answer("RCPT", "550 5.1.1 <"+address+"> is unknown here")
	first, err := d.client().IssueReceipt(t.Context(), request)
	if err != nil || first.GetMail() != receiptsv1.ReceiptMail_RECEIPT_MAIL_REFUSED || len(first.GetPdf()) == 0 {
		t.Fatalf("%v, %v", first.GetMail(), err)
	}
	// The page tells it too, and the same form answers the PDF without the address.
	page := e.URL + "/c/vallon/avocate/donations/" + donation.GetName()[strings.LastIndex(donation.GetName(), "/")+1:] + "/receipt?lang=fr"
	form := url.Values{
		"kind": {"individual"}, "request_id": {request.GetRequestId()}, "first_name": {"Zoé"}, "last_name": {"Quillebeuf"},
		"street": {"77 impasse des Engoulevents"}, "postal_code": {"29217"}, "city": {"Ploumoguer"}, "email": {address},
	}
	if text, _ := browse(t, page, form); !strings.Contains(text, "email-error") || !strings.Contains(text, "Quillebeuf") {
		t.Errorf("the page does not say that the address is refused: %s", text)
	}
	form.Del("email")
	if text, _ := browse(t, page, form); !strings.HasPrefix(text, "%PDF") {
		t.Error("without an address the form answers no PDF")
	}
	box.Answer("RCPT", "")
	sent := func() (mails []mailtest.Mail) {
		for _, m := range box.Mails() {
			if m.To == address {
				mails = append(mails, m)
			}
		}
		return mails
	}
	again, err := d.client().IssueReceipt(t.Context(), request)
	if err != nil || again.GetMail() != receiptsv1.ReceiptMail_RECEIPT_MAIL_SENT || again.GetReceipt().GetName() != first.GetReceipt().GetName() {
		t.Fatalf("%v, %v", again, err)
	}
	if mails := sent(); len(mails) != 1 || !strings.Contains(mails[0].Raw, "application/pdf") || !strings.Contains(mails[0].Subject(), again.GetReceipt().GetNumber()) {
		t.Fatalf("mails %v", mails)
	}
	// It is no way to send mails to others.
	last := receiptsv1.ReceiptMail_RECEIPT_MAIL_SENT
	for range 6 {
		resp, err := d.client().IssueReceipt(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		last = resp.GetMail()
	}
	if last != receiptsv1.ReceiptMail_RECEIPT_MAIL_FAILED || len(sent()) > 4 {
		t.Errorf("after many mails: %v, %d", last, len(sent()))
	}
	for where, text := range map[string]string{"the log": written.String(), "the database": everyRow(t, e), "the metrics": metricsOf(t, e)} {
		for _, word := range []string{address, "quillebeuf", "Ploumoguer"} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
				t.Errorf("%s holds %q", where, word)
			}
		}
	}
}

// sealedFor is what the page in the browser makes.
func sealedFor(t *testing.T, plain []byte, to ...*age.X25519Identity) string {
	t.Helper()
	recipients := make([]age.Recipient, len(to))
	for i, k := range to {
		recipients[i] = k.Recipient()
	}
	var out bytes.Buffer
	a := armor.NewWriter(&out)
	w, err := age.Encrypt(a, recipients...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestIdentitiesAreSealedAnewToOtherKeys(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	d := newReceiptDesk(t, e, "vallon")
	d.open(t)
	_, _, r := d.issued(t, 20_00)
	gone, _, _ := d.issued(t, 30_00)
	stale := func() []*receiptsv1.SealedDonor {
		t.Helper()
		page, err := d.client().ExportStaleSealedDonors(d.as(t, d.purse), &receiptsv1.ExportStaleSealedDonorsRequest{Parent: d.collective})
		if err != nil {
			t.Fatal(err)
		}
		return page.GetSealedDonors()
	}
	if got := stale(); len(got) != 0 {
		t.Errorf("nothing changed, and %d are stale", len(got))
	}
	keys, err := d.client().ListSealingKeys(d.as(t, d.purse), &receiptsv1.ListSealingKeysRequest{Parent: d.collective})
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	added, err := d.client().CreateSealingKey(d.as(t, d.purse), &receiptsv1.CreateSealingKeyRequest{
		Parent: d.collective, SealingKey: &receiptsv1.SealingKey{DisplayName: "Neuve", Recipient: fresh.Recipient().String()},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.client().RevokeSealingKey(d.as(t, d.purse), &receiptsv1.RevokeSealingKeyRequest{Name: keys.GetSealingKeys()[0].GetName()}); err != nil {
		t.Fatal(err)
	}
	old := stale()
	if len(old) != 2 || old[0].GetSealingKeys()[0] != keys.GetSealingKeys()[0].GetName() {
		t.Fatalf("%v", old)
	}
	who, err := receipts.Open(strings.NewReader(d.secret.String()), old[0].GetSealed())
	if err != nil || who.LastName != "Quillebeuf" {
		t.Fatal(err)
	}
	plain := []byte(`{"kind":"individual","first_name":"Zoé","last_name":"Quillebeuf","street":"77 impasse","postal_code":"29217","city":"Ploumoguer"}`)
	request := &receiptsv1.ResealDonorsRequest{Parent: d.collective, SealingKeys: []string{added.GetName()}}
	for _, s := range old {
		sum := sha256.Sum256([]byte(s.GetSealed()))
		request.ResealedDonors = append(request.ResealedDonors, &receiptsv1.ResealedDonor{
			Receipt: s.GetReceipt(), SealedBeforeSha256: hex.EncodeToString(sum[:]), Sealed: sealedFor(t, plain, fresh),
		})
	}
	t.Run("refuses what is sealed to fewer or other keys, and what is not age's", func(t *testing.T) {
		good := request.GetResealedDonors()[0].GetSealed()
		for _, bad := range []string{"x", sealedFor(t, plain, fresh, d.secret), strings.Replace(good, "BEGIN", "BEGUN", 1), string(plain)} {
			request.ResealedDonors[0].Sealed = bad
			_, err := d.client().ResealDonors(d.as(t, d.purse), request)
			wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "resealed_donors[0].sealed")
		}
		request.ResealedDonors[0].Sealed = good
		request.SealingKeys[0] = keys.GetSealingKeys()[0].GetName()
		_, err := d.client().ResealDonors(d.as(t, d.purse), request)
		wantError(t, err, codes.FailedPrecondition, "SEALING_KEYS_CHANGED", "")
		request.SealingKeys[0] = added.GetName()
		if _, err := d.client().ResealDonors(apptest.WithKey(t.Context(), d.audi), request); err == nil {
			t.Error("an auditor replaces identities")
		}
	})
	// One is erased meanwhile, and stays so.
	if _, err := d.client().EraseReceiptDonor(t.Context(), &receiptsv1.EraseReceiptDonorRequest{Name: gone.GetName() + "/receiptOffer"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int32{1, 0} {
		done, err := d.client().ResealDonors(d.as(t, d.purse), request)
		if err != nil || done.GetResealedCount() != want {
			t.Errorf("%v, %v; want %d", done, err, want)
		}
	}
	if got := stale(); len(got) != 0 {
		t.Errorf("%d are left", len(got))
	}
	sealed, err := d.client().ReadSealedDonor(d.as(t, d.purse), &receiptsv1.ReadSealedDonorRequest{Name: r.GetName()})
	if err != nil {
		t.Fatal(err)
	}
	if who, err := receipts.Open(strings.NewReader(fresh.String()), sealed.GetSealed()); err != nil || who.LastName != "Quillebeuf" {
		t.Errorf("%v", err)
	}
	if _, err := receipts.Open(strings.NewReader(d.secret.String()), sealed.GetSealed()); err == nil {
		t.Error("the revoked key opens it")
	}
}
