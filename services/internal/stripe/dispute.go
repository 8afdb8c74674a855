package stripe

import (
	"context"
	"net/url"
	"strings"
	"time"

	stripego "github.com/stripe/stripe-go/v76"
)

// DisputeStatus is the status of a dispute.
type DisputeStatus string

// The statuses of a dispute, https://docs.stripe.com/api/disputes/object#dispute_object-status. The first three are
// those of an inquiry, which moves no money.
const (
	InquiryNeedsResponse DisputeStatus = "warning_needs_response"
	InquiryUnderReview   DisputeStatus = "warning_under_review"
	InquiryClosed        DisputeStatus = "warning_closed"
	DisputeNeedsResponse DisputeStatus = "needs_response"
	DisputeUnderReview   DisputeStatus = "under_review"
	DisputeWon           DisputeStatus = "won"
	DisputeLost          DisputeStatus = "lost"
	// DisputePrevented ended before it began. No money moved, and there is nothing to answer.
	DisputePrevented DisputeStatus = "prevented"
)

// Dispute is a dispute without its evidence, which tells of the payer.
type Dispute struct {
	// ID is the dispute's; Charge is the disputed charge.
	ID                    string
	Charge, PaymentIntent string
	// AmountMinor is the disputed amount, possibly a part of the charge, in Currency, upper case.
	AmountMinor int64
	Currency    string
	// Reason is in Stripe's words, such as fraudulent.
	Reason string
	Status DisputeStatus
	// DueBy is the time limit for evidence; zero when none can be submitted.
	DueBy time.Time
	// Refundable: the charge can still be refunded.
	Refundable bool
	// WithdrawnMinor and ReinstatedMinor are what the balance lost and got back, without fees. FeeMinor is the
	// dispute's cost so far. All are in BalanceCurrency, upper case, which is empty while no money moved.
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
		// The amounts that moved are here; the dispute's amount is what was asked for.
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
