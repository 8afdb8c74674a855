package chaos_test

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// step is something that can happen. weight is its relative frequency.
type step struct {
	name   string
	weight int
	do     func()
}

// donationSteps are the steps of donations by card, and the faults.
func (h *history) donationSteps() []step {
	return []step{
		{"somebody gives", 10, h.give},
		{"somebody elsewhere gives", 2, h.giveElsewhere},
		{"somebody asks again", 4, h.giveAgain},
		{"somebody pays", 10, h.pay},
		{"a card is declined", 3, h.decline},
		{"a page closes", 2, h.expire},
		{"webhooks travel otherwise", 5, h.deliverOtherwise},
		{"an event comes again", 3, h.redeliver},
		{"Stripe has a fault", 6, h.fault},
		{"the answer to a donation is lost", 5, h.loseSession},
		{"the program does its work", 6, h.breathe},
		{"moments pass", 4, func() { h.advance(time.Duration(1+h.dice.IntN(60)) * time.Second) }},
		{"hours pass", 5, func() { h.advance(time.Duration(1+h.dice.IntN(30)) * time.Hour) }},
		{"the program is restarted", 1, h.restart},
		{"the program is killed", 2, h.kill},
	}
}

// donor is somebody who repeats a request for a donation until there is an answer.
type donor struct {
	request *donationsv1.CreateDonationRequest
	// donation, page and session are empty until there is an answer. session is the id of the page's session.
	donation, page, session string
}

func (h *history) give() {
	d := &donor{request: &donationsv1.CreateDonationRequest{
		Parent: h.campaign, Donation: &donationsv1.Donation{Amount: apptest.Euros(1_00 + h.dice.Int64N(799_00))}, RequestId: uuid.NewString(),
		CoverFee: h.dice.IntN(4) == 0,
	}}
	amount := d.request.GetDonation().GetAmount()
	amount.AmountMinor = min(amount.GetAmountMinor(), 780_00) // with the fee, below the campaign's maximum
	h.donors = append(h.donors, d)
	h.ask(d)
}

// giveElsewhere is a donation for which Stripe shows a price in another currency.
func (h *history) giveElsewhere() {
	h.give()
	if s, ok := h.pageOf(h.donors[len(h.donors)-1]); ok {
		h.must(h.Sim.Localize(s.ID, "gbp", elsewhereRate))
	}
}

func (h *history) giveAgain() {
	if len(h.donors) > 0 {
		h.ask(h.donors[h.dice.IntN(len(h.donors))])
	}
}

// ask sends the donor's request. It may stay unanswered because of a fault, but a refusal fails the test.
func (h *history) ask(d *donor) {
	ctx, cancel := context.WithTimeout(h.t.Context(), 12*time.Second)
	defer cancel()
	answer, err := donationsv1.NewDonationsServiceClient(h.rest).CreateDonation(ctx, d.request)
	if err != nil {
		if h.unanswered(err) {
			h.note("  … and is not answered")
			return
		}
		if status.Code(err) == codes.FailedPrecondition && (h.closed || h.wasDisconnected || h.wasUnready) {
			h.note("  … and is refused: %v", err)
			return
		}
		h.t.Fatalf("a donation was refused: %v", err)
	}
	if d.donation != "" && d.donation != answer.GetName() {
		h.t.Errorf("one request made two donations: %s and %s", d.donation, answer.GetName())
	}
	d.donation = answer.GetName()
	if url := answer.GetCheckoutUrl(); url != "" {
		d.page = url
		if told, open := h.pageOf(d); open {
			d.session = told.ID
		}
	}
}

// unanswered reports whether the same call may succeed later.
func (h *history) unanswered(err error) bool {
	switch status.Code(err) {
	// Unknown is what the client gets when the connection breaks.
	case codes.Unavailable, codes.Unknown, codes.DeadlineExceeded, codes.Aborted, codes.Canceled:
		return true
	}
	return false
}

// openPages returns the sessions that can be paid and whose address a donor has.
func (h *history) openPages() []stripesim.Session {
	told := map[string]bool{}
	for _, d := range h.donors {
		told[d.page] = d.page != ""
	}
	var open []stripesim.Session
	for _, s := range h.Sim.Sessions(h.account) {
		if s.URL != "" && told[s.URL] {
			open = append(open, s)
		}
	}
	return open
}

// pageOf returns the session of the donor.
func (h *history) pageOf(d *donor) (stripesim.Session, bool) {
	for _, s := range h.openPages() {
		if s.URL == d.page {
			return s, true
		}
	}
	return stripesim.Session{}, false
}

// somePage draws an open page.
func (h *history) somePage() (stripesim.Session, bool) {
	open := h.openPages()
	if len(open) == 0 {
		return stripesim.Session{}, false
	}
	return open[h.dice.IntN(len(open))], true
}

func (h *history) pay() {
	s, ok := h.somePage()
	if !ok {
		return
	}
	if err := h.Sim.Pay(s.ID, stripesim.CardOK); err != nil {
		h.t.Fatalf("pay: %v", err)
	}
}

func (h *history) decline() {
	if s, ok := h.somePage(); ok {
		// The card is declined on purpose; the page stays open.
		_ = h.Sim.Pay(s.ID, stripesim.CardDeclined)
	}
}

func (h *history) expire() {
	if s, ok := h.somePage(); ok {
		if err := h.Sim.Expire(s.ID); err != nil {
			h.t.Fatalf("expire: %v", err)
		}
	}
}

func (h *history) deliverOtherwise() {
	mode := stripesim.Delivery{Seed: h.dice.Uint64()}
	if h.dice.IntN(4) > 0 {
		mode.Drop = h.dice.IntN(4) == 0
		mode.DropRate = h.dice.Float64() / 2
		mode.TwiceRate = h.dice.Float64()
		mode.Shuffle = h.dice.IntN(2) == 0
		mode.Hold = h.dice.IntN(5) == 0
		mode.Delay = time.Duration(h.dice.IntN(20)) * time.Millisecond
	}
	h.note("  … %+v", mode)
	h.Sim.SetDelivery(mode)
}

func (h *history) redeliver() {
	if events := h.Sim.Events(h.account); len(events) > 0 {
		if err := h.Sim.Redeliver(events[h.dice.IntN(len(events))].ID); err != nil {
			h.t.Fatalf("redeliver: %v", err)
		}
	}
}

// fault makes the next calls to Stripe fail in one of the ways of Stripe and of networks.
func (h *history) fault() {
	faults := []stripesim.Fault{
		{Status: http.StatusTooManyRequests},
		stripesim.LockTimeout("", 0),
		keyInUse,
		{Status: http.StatusInternalServerError},
		{Status: http.StatusServiceUnavailable},
		{Reset: true},
		{LoseReply: true},
		{Delay: time.Duration(1+h.dice.IntN(50)) * time.Millisecond},
	}
	f := faults[h.dice.IntN(len(faults))]
	f.Times = 1 + h.dice.IntN(3)
	if h.dice.IntN(3) == 0 {
		f.Method = http.MethodPost
	}
	h.note("  … %+v", f)
	h.Sim.AddFault(f)
}

// lostAnswers is more than one, because Go's net/http repeats a request when a connection that it reuses breaks.
const lostAnswers = 2

// loseSession makes Stripe create a payment page and lose the answer. Then the donor asks again.
func (h *history) loseSession() {
	h.Sim.AddFault(stripesim.Fault{
		Method: http.MethodPost, PathPrefix: "/v1/checkout/sessions", Times: lostAnswers, LoseReply: true,
	})
	h.give()
	for range lostAnswers {
		h.advance(time.Minute) // the pause after a failed attempt
		h.ask(h.donors[len(h.donors)-1])
	}
}

// breathe waits a moment for what is on its way.
func (h *history) breathe() {
	ctx, cancel := context.WithTimeout(h.t.Context(), 100*time.Millisecond)
	defer cancel()
	_ = h.Sim.WaitDelivered(ctx)
}

func (h *history) restart() {
	h.program.Stop()
	h.program.Start()
	h.program.Ready()
}

// kill kills the program during another step, or between steps.
func (h *history) kill() {
	something := []func(){func() {}, h.give, h.pay, h.breathe}
	h.killDuring(something[h.dice.IntN(len(something))], 30)
}

// killDuring kills the program within so many milliseconds after the beginning of something, and starts it again.
func (h *history) killDuring(something func(), milliseconds int) {
	moment := time.Duration(h.dice.IntN(milliseconds)) * time.Millisecond
	done := make(chan struct{})
	go func() {
		defer close(done)
		something()
	}()
	time.Sleep(moment)
	h.program.Kill()
	<-done
	h.program.Start()
	h.program.Ready()
	h.note("  … after %s", moment)
}
