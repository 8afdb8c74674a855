package stripe

import (
	"context"
	"net/url"
	"strings"
	"time"

	stripego "github.com/stripe/stripe-go/v76"
)

// DisputeStatus is how far a dispute is.
type DisputeStatus string

// The statuses of a dispute, https://docs.stripe.com/api/disputes/object#dispute_object-status. The first three
// are an inquiry's, which moves no money.
const (
	InquiryNeedsResponse DisputeStatus = "warning_needs_response"
	InquiryUnderReview   DisputeStatus = "warning_under_review"
	InquiryClosed        DisputeStatus = "warning_closed"
	DisputeNeedsResponse DisputeStatus = "needs_response"
	DisputeUnderReview   DisputeStatus = "under_review"
	DisputeWon           DisputeStatus = "won"
	DisputeLost          DisputeStatus = "lost"
	// DisputePrevented ended before it began: no money moved, and nothing is to be answered.
	DisputePrevented DisputeStatus = "prevented"
)

// Dispute is what is kept of a dispute: nothing of its evidence, which tells of the payer.
type Dispute struct {
	// ID is no charge's: Charge is.
	ID                    string
	Charge, PaymentIntent string
	// AmountMinor is what is disputed, perhaps a part of the charge, in Currency, upper case.
	AmountMinor int64
	Currency    string
	// Reason is Stripe's word, such as fraudulent.
	Reason string
	Status DisputeStatus
	// DueBy is until when evidence can be handed in; zero when it cannot.
	DueBy time.Time
	// Refundable: the charge can still be given back.
	Refundable bool
	// WithdrawnMinor and ReinstatedMinor are what the balance lost and got back, without fees; FeeMinor is what
	// the dispute cost so far. All are in BalanceCurrency, upper case, which is empty while no money moved.
	WithdrawnMinor, ReinstatedMinor, FeeMinor int64
	BalanceCurrency                           string
	Created                                   time.Time
	Livemode                                  bool
}

// GetDispute reads one dispute.
func (c *Client) GetDispute(ctx context.Context, account, id string) (Dispute, error) {
	var answer struct {
		stripego.APIResource
		ID              string        `json:"id"`
		Charge          reference     `json:"charge"`
		PaymentIntent   reference     `json:"payment_intent"`
		Amount          int64         `json:"amount"`
		Currency        string        `json:"currency"`
		Reason          string        `json:"reason"`
		Status          DisputeStatus `json:"status"`
		Refundable      bool          `json:"is_charge_refundable"`
		EvidenceDetails struct {
			DueBy int64 `json:"due_by"`
		} `json:"evidence_details"`
		// The money that moved stands here, and not in the amount.
		BalanceTransactions []balanceTransactionJSON `json:"balance_transactions"`
		Created             int64                    `json:"created"`
		Livemode            bool                     `json:"livemode"`
	}
	if err := c.get(ctx, account, "/v1/disputes/"+url.PathEscape(id), nil, &answer); err != nil {
		return Dispute{}, err
	}
	d := Dispute{
		ID: answer.ID, Charge: answer.Charge.ID, PaymentIntent: answer.PaymentIntent.ID, AmountMinor: answer.Amount,
		Currency: strings.ToUpper(answer.Currency), Reason: answer.Reason, Status: answer.Status,
		Refundable: answer.Refundable, Created: unix(answer.Created), Livemode: answer.Livemode,
		DueBy: unixOrZero(answer.EvidenceDetails.DueBy),
	}
	for _, moved := range answer.BalanceTransactions {
		d.BalanceCurrency = strings.ToUpper(moved.Currency)
		d.FeeMinor += moved.Fee
		if moved.Amount < 0 {
			d.WithdrawnMinor -= moved.Amount
		} else {
			d.ReinstatedMinor += moved.Amount
		}
	}
	return d, nil
}
