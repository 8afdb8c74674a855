package donations

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// bookAt stores donations that were booked at a time.
func (e *env) bookAt(at time.Time, amounts ...int64) (ids []uuid.UUID) {
	e.t.Helper()
	for _, minor := range amounts {
		id := uuid.New()
		ids = append(ids, id)
		e.must(e.exec(`
			INSERT INTO donations.donations (id, collective, campaign, request_id, fingerprint, amount_minor, currency, locale, return_url,
				stripe_account, livemode, state, paid_at, booked_at, created_at, updated_at)
			VALUES ($1, 'vallon', 'avocate', $1, sha256('x'), $2, 'EUR', 'fr', '', '', false, 'succeeded', $3, $3, $3, $3)`, id, minor, at))
	}
	return ids
}

// batches returns what everybody sees of the campaign.
func (e *env) batches() *donationsv1.ListDonationBatchesResponse {
	e.t.Helper()
	resp, err := NewServer(e.donations).ListDonationBatches(e.t.Context(), &donationsv1.ListDonationBatchesRequest{Parent: vallon.String()})
	if err != nil {
		e.t.Fatal(err)
	}
	return resp
}

// bytes are what goes out on the wire.
func (e *env) bytes() string {
	e.t.Helper()
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(e.batches())
	if err != nil {
		e.t.Fatal(err)
	}
	return string(body)
}

func (e *env) showDonations(shown bool) {
	e.t.Helper()
	_, err := e.campaigns.Update(e.t.Context(), vallon, "", func(c *campaigns.Content) error { c.DonationsShown = shown; return nil })
	e.must(err)
}

// to sets the clock, which goes on only, and runs upkeep.
func (e *env) to(at time.Time) {
	e.t.Helper()
	e.clock.Advance(at.Sub(e.clock.Now()))
	e.upkeep()
}

func TestBatchesAreShownWhereMembersChoseSo(t *testing.T) {
	e := newEnv(t)
	today := e.clock.Now().UTC().Truncate(24 * time.Hour)
	day := func(n int, hour float64) time.Time {
		return today.AddDate(0, 0, n).Add(time.Duration(hour * float64(time.Hour)))
	}
	date := func(n int) string { return day(n, 0).Format(time.DateOnly) }
	euros := func(n int64) *moneyv1.Money { return &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: n * 100} }

	e.bookAt(day(-1, 12), 20_00, 20_00, 20_00, 20_00, 20_00)
	e.upkeep()
	e.showDonations(true)
	e.to(day(0, 23))
	e.bookAt(day(0, 23.5), 20_00, 20_00, 20_00, 20_00, 20_00)
	e.to(day(1, 12))
	if got := e.batches(); len(got.GetDonationBatches()) != 0 {
		t.Errorf("donations from before the choice are shown: %v", got)
	}

	first := e.bookAt(day(1, 13), 20_00, 25_00, 20_00, 60_00)
	e.bookAt(day(3, 23.99), 18_00, 50_00, 40_00)
	e.to(day(4, 5.9))
	if got := e.batches(); len(got.GetDonationBatches()) != 0 {
		t.Errorf("a day is shown within hours of its end: %v", got)
	}
	e.to(day(4, 6))
	want := &donationsv1.ListDonationBatchesResponse{DonationBatches: []*donationsv1.DonationBatch{{
		StartDate: date(1), EndDate: date(3), DonationCount: 7,
		Steps: []*donationsv1.AmountStep{
			{MoreThan: euros(15), UpTo: euros(30), DonationCount: 4}, {MoreThan: euros(30), UpTo: euros(70), DonationCount: 3},
		},
	}}}
	if diff := cmp.Diff(want, e.batches(), protocmp.Transform()); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
	shown := e.bytes()
	// A batch stays as it is, whatever becomes of its donations, and however often it is made.
	e.must(e.exec("UPDATE donations.donations SET state = 'refunded', refunded_minor = amount_minor WHERE id = $1", first[0]),
		e.exec("UPDATE donations.donations SET state = 'disputed', disputed_minor = amount_minor WHERE id = $1", first[3]))
	e.to(day(6, 0))
	if e.bytes() != shown {
		t.Errorf("a refund or a dispute changed what is shown: %v", e.batches())
	}
	if err := e.exec("UPDATE donations.donations SET booked_at = booked_at + interval '1 day' WHERE id = $1", first[1]); err == nil {
		t.Error("when a donation was booked can change")
	}
	for _, statement := range []string{"UPDATE donations.batches SET donation_count = 9", "DELETE FROM donations.batches"} {
		if err := e.exec(statement); err == nil {
			t.Errorf("%s is allowed", statement)
		}
	}

	// While members or the collective's discretion hide them, days pass that are never shown.
	for n, c := range []struct{ hide, show func() }{
		{func() { e.showDonations(false) }, func() { e.showDonations(true) }},
		{
			func() { e.must(e.exec("UPDATE collectives.collectives SET discreet = true WHERE id = 'vallon'")) },
			func() { e.must(e.exec("UPDATE collectives.collectives SET discreet = false WHERE id = 'vallon'")) },
		},
	} {
		begin := 7 + n*10
		e.to(day(begin, 1))
		c.hide()
		if got := e.batches(); len(got.GetDonationBatches()) != 0 {
			t.Errorf("hidden: %v", got)
		}
		e.upkeep()
		e.bookAt(day(begin, 2), 20_00, 20_00, 20_00, 20_00, 20_00)
		e.to(day(begin+3, 0))
		c.show()
		e.to(day(begin+6, 0))
		if e.bytes() != shown {
			t.Errorf("what was given while they were hidden is shown: %v", e.batches())
		}
	}

	// A campaign that is closed changes what it shows, and a draft is missing.
	_, err := e.campaigns.Close(t.Context(), vallon)
	e.must(err)
	e.showDonations(false)
	e.showDonations(true)
	draft := campaigns.Name{Collective: "vallon", Campaign: "draft"}
	c, err := e.campaigns.Get(t.Context(), vallon)
	e.must(err)
	_, err = e.campaigns.Create(t.Context(), draft, c.Content)
	e.must(err)
	for _, missing := range []string{draft.String(), "collectives/vallon/campaigns/missing"} {
		if _, err := NewServer(e.donations).ListDonationBatches(t.Context(), &donationsv1.ListDonationBatchesRequest{Parent: missing}); errs.Code(err) != codes.NotFound {
			t.Errorf("%s: %v", missing, err)
		}
	}
}

// The same donations at other hours of their days, and in another order, give the same bytes.
func TestBatchesTellNoHour(t *testing.T) {
	amounts := [][]int64{{20_00, 37_00, 20_00, 22_00}, {45_00, 60_00, 25_00}, {5_00, 10_00, 5_00, 12_00, 200_00, 300_00, 400_00}}
	var shown []string
	for _, hours := range [][]float64{{0, 1, 2, 3, 4, 5, 6}, {23.9, 14.03, 0.01, 22, 3, 8, 12}, {23.99, 23.99, 23.99, 23.99, 23.99, 23.99, 23.99}} {
		e := newEnv(t)
		e.showDonations(true)
		e.upkeep()
		today := e.clock.Now().UTC().Truncate(24 * time.Hour)
		for n, day := range amounts {
			for i, minor := range day {
				e.bookAt(today.AddDate(0, 0, n+1).Add(time.Duration(hours[i]*float64(time.Hour))), minor)
			}
		}
		e.to(today.AddDate(0, 0, 6))
		if len(e.batches().GetDonationBatches()) != 2 {
			t.Fatalf("got %v", e.batches())
		}
		shown = append(shown, e.bytes())
	}
	if shown[0] != shown[1] || shown[0] != shown[2] {
		t.Errorf("hours are told: %q", shown)
	}
}
