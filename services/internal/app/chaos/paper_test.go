package chaos_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// paper is the test's own record of what happened without Stripe. The program must end with the same.
type paper struct {
	// wants has the treasurer's requests without an answer, in their order.
	wants     []want
	donations []*paperDonation
	pledges   []*pledge
	invoices  []*invoice
	// receipts has the amounts of unknown receipts, by the name of the bank line.
	receipts map[string]int64
	bank     bankAccount
}

// want is a request that the treasurer repeats until there is an answer, and sometimes once more, and then records. It
// returns the error if there was no answer.
type want func(ctx context.Context, client treasuryv1.TreasuryServiceClient) error

// wanted makes a request after all earlier ones were answered, so that the record is complete when a step is chosen.
func (h *history) wanted(w want) {
	h.paper.wants = append(h.paper.wants, w)
	h.answered()
}

// answered repeats the requests without an answer, and reports whether all are answered now.
func (h *history) answered() bool {
	for len(h.paper.wants) > 0 {
		for range 1 + h.dice.IntN(2) {
			ctx, cancel := context.WithTimeout(apptest.WithKey(h.t.Context(), h.treasurer), 12*time.Second)
			err := h.paper.wants[0](ctx, treasuryv1.NewTreasuryServiceClient(h.rest))
			cancel()
			if err != nil {
				h.note("  … and is not answered")
				return false
			}
		}
		h.paper.wants = h.paper.wants[1:]
	}
	return true
}

// refused classifies an error: it returns one that means no answer, notes a refusal with one of the reasons, and fails the
// test for any other.
func (h *history) refused(what string, err error, reasons ...string) (unanswered error) {
	if h.unanswered(err) {
		return err
	}
	if reason := reasonOf(err); slices.Contains(reasons, reason) {
		h.note("  … %s: %s", what, reason)
		return nil
	}
	h.t.Fatalf("%s was refused: %v", what, err)
	return nil
}

// reasonOf returns the reason of an error.
func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// paperSteps are the treasurer's entries.
func (h *history) paperSteps() []step {
	return []step{
		{"the treasurer enters a donation on paper", 3, h.giveOnPaper},
		{"the treasurer takes a donation on paper back", 1, h.reverseDonation},
		{"cheques are banked", 1, h.bankCheques},
		{"a cheque bounces", 1, h.bounceCheque},
		{"the treasurer enters an invoice", 2, h.enterInvoice},
		{"an invoice is paid", 1, h.payInvoice},
		{"the treasurer takes an invoice back", 1, h.reverseInvoice},
	}
}

// paperDonation is a donation without Stripe, which the treasurer entered or a bank line became.
type paperDonation struct {
	name   string
	minor  int64
	method treasuryv1.OfflineMethod
	state  treasuryv1.OfflineDonationState
	pledge *pledge
	// deposit is the bank line of the slip with which a cheque was deposited.
	deposit *bankLine
}

// Short for the proto's.
const (
	byCash        = treasuryv1.OfflineMethod_OFFLINE_METHOD_CASH
	byTransfer    = treasuryv1.OfflineMethod_OFFLINE_METHOD_TRANSFER
	byCheque      = treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE
	byPayeeCheque = treasuryv1.OfflineMethod_OFFLINE_METHOD_PAYEE_CHEQUE

	donationReceived = treasuryv1.OfflineDonationState_OFFLINE_DONATION_STATE_RECEIVED
	donationBanked   = treasuryv1.OfflineDonationState_OFFLINE_DONATION_STATE_BANKED
	donationBounced  = treasuryv1.OfflineDonationState_OFFLINE_DONATION_STATE_BOUNCED
	donationReversed = treasuryv1.OfflineDonationState_OFFLINE_DONATION_STATE_REVERSED
)

// counts reports whether the collective still has the donation.
func (g *paperDonation) counts() bool {
	return g.state == donationReceived || g.state == donationBanked
}

// today returns the day in the collective's time zone.
func (h *history) today() string { return h.Clock.Now().In(paris).Format(time.DateOnly) }

var paris = func() *time.Location {
	zone, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		panic(err) // the program contains the time zones
	}
	return zone
}()

func (h *history) giveOnPaper() {
	g := &paperDonation{
		minor:  1 + h.dice.Int64N(200_00),
		method: []treasuryv1.OfflineMethod{byCash, byTransfer, byCheque, byCheque, byPayeeCheque}[h.dice.IntN(5)],
	}
	req := &treasuryv1.CreateOfflineDonationRequest{
		Parent: h.campaign, RequestId: uuid.NewString(), OfflineDonation: &treasuryv1.OfflineDonation{Amount: apptest.Euros(g.minor), Method: g.method, ReceiveDate: h.today()},
	}
	if p, ok := h.somePledge(); ok && g.method != byPayeeCheque && h.dice.IntN(4) == 0 {
		g.pledge, req.OfflineDonation.Pledge = p, p.name
	}
	h.wanted(func(ctx context.Context, client treasuryv1.TreasuryServiceClient) error {
		made, err := client.CreateOfflineDonation(ctx, req)
		if err != nil {
			return h.refused("a donation on paper", err, "PLEDGE_FULFILLED", "BANK_LINE_BOOKED")
		}
		if g.name == "" {
			h.paper.donations = append(h.paper.donations, g)
			g.name, g.state = made.GetName(), donationReceived
			if g.method == byTransfer && h.dice.IntN(2) == 0 {
				h.bankBooks(&bankLine{minor: g.minor, text: "VIREMENT RECU"})
			}
		}
		if g.name != made.GetName() {
			h.t.Errorf("one request made two donations: %s and %s", g.name, made.GetName())
		}
		return nil
	})
}

// someDonation draws one of the donations for which a condition holds.
func (h *history) someDonation(is func(*paperDonation) bool) (*paperDonation, bool) {
	some := slices.DeleteFunc(slices.Clone(h.paper.donations), func(g *paperDonation) bool { return !is(g) })
	if len(some) == 0 {
		return nil, false
	}
	return some[h.dice.IntN(len(some))], true
}

// reverseDonation reverses a donation. It must be refused while a bank line shows the money.
func (h *history) reverseDonation() {
	if !h.answered() {
		return
	}
	g, ok := h.someDonation((*paperDonation).counts)
	if !ok {
		return
	}
	req := &treasuryv1.ReverseOfflineDonationRequest{Name: g.name, RequestId: uuid.NewString(), Reason: "entered twice"}
	h.wanted(func(ctx context.Context, client treasuryv1.TreasuryServiceClient) error {
		if _, err := client.ReverseOfflineDonation(ctx, req); err != nil {
			return h.refused("a reversal", err, "BANK_LINE_MATCHED")
		}
		g.state = donationReversed
		return nil
	})
}

func (h *history) bankCheques() {
	if !h.answered() {
		return
	}
	req := &treasuryv1.CreateDepositRequest{
		Parent: "collectives/" + h.slug, RequestId: uuid.NewString(),
		Deposit: &treasuryv1.Deposit{BankDate: h.today(), Document: "R-" + uuid.NewString()[:8]},
	}
	slip := &bankLine{text: "REMISE DE CHEQUES", deposit: true}
	var cheques []*paperDonation
	for _, g := range h.paper.donations {
		if g.method == byCheque && g.state == donationReceived && h.dice.IntN(3) > 0 {
			cheques, slip.minor = append(cheques, g), slip.minor+g.minor
			req.Deposit.Cheques = append(req.Deposit.Cheques, g.name)
		}
	}
	if len(cheques) == 0 {
		return
	}
	h.wanted(func(ctx context.Context, client treasuryv1.TreasuryServiceClient) error {
		deposit, err := client.CreateDeposit(ctx, req)
		if err != nil {
			return h.refused("a deposit", err, "BANK_LINE_BOOKED")
		}
		if deposit.GetTotal().GetAmountMinor() != slip.minor {
			h.t.Errorf("%s is of %v, its cheques are of %d", deposit.GetName(), deposit.GetTotal(), slip.minor)
		}
		if cheques[0].state == donationReceived {
			h.bankBooks(slip)
			for _, g := range cheques {
				g.state, g.deposit = donationBanked, slip
			}
		}
		return nil
	})
}

func (h *history) bounceCheque() {
	if !h.answered() {
		return
	}
	banked := func(g *paperDonation) bool { return g.state == donationBanked }
	g, ok := h.someDonation(banked)
	if !ok {
		h.bankCheques()
		if g, ok = h.someDonation(banked); !ok || !h.answered() {
			return
		}
	}
	req := &treasuryv1.BounceChequeRequest{Name: g.name, RequestId: uuid.NewString(), BounceDate: h.today()}
	h.wanted(func(ctx context.Context, client treasuryv1.TreasuryServiceClient) error {
		if _, err := client.BounceCheque(ctx, req); err != nil {
			return h.refused("a cheque that bounced", err)
		}
		if g.state == donationBanked {
			h.bankBooks(&bankLine{minor: -g.minor, text: "CHEQUE IMPAYE"})
		}
		g.state = donationBounced
		return nil
	})
}

// invoice is an expense.
type invoice struct {
	name    string
	expense *treasuryv1.Expense
	state   treasuryv1.ExpenseState
	// source is that of the last payment.
	source treasuryv1.PaymentSource
	// entered has what the treasurer entered as paid from each source, and lines what each bank line paid.
	entered map[treasuryv1.PaymentSource]int64
	lines   map[string]int64
}

// Short for the proto's.
const (
	invoiceOwed     = treasuryv1.ExpenseState_EXPENSE_STATE_OWED
	invoicePaid     = treasuryv1.ExpenseState_EXPENSE_STATE_PAID
	invoiceReversed = treasuryv1.ExpenseState_EXPENSE_STATE_REVERSED

	fromBank = treasuryv1.PaymentSource_PAYMENT_SOURCE_BANK
	fromCash = treasuryv1.PaymentSource_PAYMENT_SOURCE_CASH
)

func (e *invoice) minor() int64 { return e.expense.GetAmount().GetAmountMinor() }

// fromLines returns what bank lines have paid.
func (e *invoice) fromLines() (minor int64) {
	for _, part := range e.lines {
		minor += part
	}
	return minor
}

// left returns what is not paid.
func (e *invoice) left() int64 {
	return e.minor() - e.entered[fromBank] - e.entered[fromCash] - e.fromLines()
}

// enterPayment enters the payment of what is left of an invoice.
func (h *history) enterPayment(e *invoice, source treasuryv1.PaymentSource) {
	left := e.left()
	e.state, e.source = invoicePaid, source
	e.entered[source] += left
	if source == fromBank {
		h.bankBooks(&bankLine{minor: -left, text: "VIR CABINET MARTIN"})
	}
}

// enterInvoice enters a new invoice, owed or paid, or by mistake one that is booked already.
func (h *history) enterInvoice() {
	if !h.answered() {
		return
	}
	e := &invoice{state: invoiceOwed, entered: map[treasuryv1.PaymentSource]int64{}, lines: map[string]int64{}, expense: &treasuryv1.Expense{
		Kind:  []treasuryv1.ExpenseKind{treasuryv1.ExpenseKind_EXPENSE_KIND_LAWYER, treasuryv1.ExpenseKind_EXPENSE_KIND_LITIGATION}[h.dice.IntN(2)],
		Payee: "Cabinet Martin", Document: fmt.Sprintf("F-%d", len(h.paper.invoices)+1), DocumentDate: h.today(),
		Amount: apptest.Euros(1 + h.dice.Int64N(500_00)),
	}}
	if h.dice.IntN(2) == 0 {
		e.expense.Campaign = h.campaign
	}
	if h.dice.IntN(2) == 0 {
		e.expense.PayDate, e.expense.Source = h.today(), []treasuryv1.PaymentSource{fromBank, fromCash}[h.dice.IntN(2)]
	}
	known := false
	if old, ok := h.someInvoice(func(e *invoice) bool { return e.state != invoiceReversed }); ok && h.dice.IntN(5) == 0 {
		e.expense.Document, known = " "+old.expense.GetDocument(), true
	}
	req := &treasuryv1.CreateExpenseRequest{Parent: "collectives/" + h.slug, RequestId: uuid.NewString(), Expense: e.expense}
	h.wanted(func(ctx context.Context, client treasuryv1.TreasuryServiceClient) error {
		made, err := client.CreateExpense(ctx, req)
		switch {
		case err != nil && known:
			return h.refused("an invoice that is in the books", err, "DOCUMENT_EXISTS")
		case err != nil:
			return h.refused("an invoice", err)
		case known:
			h.t.Errorf("%s was entered twice", made.GetDocument())
		case e.name == "":
			e.name = made.GetName()
			h.paper.invoices = append(h.paper.invoices, e)
			if source := made.GetSource(); source != 0 {
				h.enterPayment(e, source)
			}
		case e.name != made.GetName():
			h.t.Errorf("one request made two expenses: %s and %s", e.name, made.GetName())
		}
		return nil
	})
}

// someInvoice draws one of the invoices for which a condition holds.
func (h *history) someInvoice(is func(*invoice) bool) (*invoice, bool) {
	some := slices.DeleteFunc(slices.Clone(h.paper.invoices), func(e *invoice) bool { return !is(e) })
	if len(some) == 0 {
		return nil, false
	}
	return some[h.dice.IntN(len(some))], true
}

func (h *history) payInvoice() {
	if !h.answered() {
		return
	}
	e, ok := h.someInvoice(func(e *invoice) bool { return e.state == invoiceOwed })
	if !ok {
		return
	}
	source := []treasuryv1.PaymentSource{fromBank, fromCash}[h.dice.IntN(2)]
	if h.dice.IntN(3) == 0 { // the bank has paid it, and a line will show it
		parts := []int64{e.left()}
		if h.dice.IntN(2) == 0 && parts[0] > 1 { // in two instalments
			first := 1 + h.dice.Int64N(parts[0]-1)
			parts = []int64{first, parts[0] - first}
		}
		for _, part := range parts {
			h.bankBooks(&bankLine{minor: -part, text: "VIR CABINET MARTIN"})
		}
		return
	}
	req := &treasuryv1.PayExpenseRequest{Name: e.name, RequestId: uuid.NewString(), PayDate: h.today(), Source: source}
	h.wanted(func(ctx context.Context, client treasuryv1.TreasuryServiceClient) error {
		if _, err := client.PayExpense(ctx, req); err != nil {
			return h.refused("a payment", err)
		}
		if e.state == invoiceOwed {
			h.enterPayment(e, source)
		}
		return nil
	})
}

// reverseInvoice reverses an invoice. It must be refused while a bank line shows its payment.
func (h *history) reverseInvoice() {
	if !h.answered() {
		return
	}
	stands := func(e *invoice) bool { return e.state != invoiceReversed }
	e, ok := h.someInvoice(stands)
	if !ok {
		h.enterInvoice()
		if e, ok = h.someInvoice(stands); !ok || !h.answered() {
			return
		}
	}
	req := &treasuryv1.ReverseExpenseRequest{Name: e.name, RequestId: uuid.NewString(), Reason: "entered wrongly"}
	h.wanted(func(ctx context.Context, client treasuryv1.TreasuryServiceClient) error {
		if _, err := client.ReverseExpense(ctx, req); err != nil {
			return h.refused("a reversal", err, "BANK_LINE_MATCHED")
		}
		e.state = invoiceReversed
		clear(e.entered)
		return nil
	})
}
