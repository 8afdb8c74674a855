package stripesim

import (
	"net/http"
	"slices"
	"time"
)

// States of a payment intent that a card payment goes through here.
const (
	intentNeedsMethod = "requires_payment_method"
	intentNeedsAction = "requires_action" // 3-D Secure: the donor's bank asks for one more step
	intentProcessing  = "processing"      // a debit until the bank answers
	intentSucceeded   = "succeeded"
)

// intent is a payment intent. The first payment attempt creates it, and later attempts use it again. Its states are:
// requires_payment_method, before an attempt and after a failed one; requires_action or processing; then succeeded for
// ever. LastError is the last failed attempt's, and nil once an attempt succeeded. Amount is in minor units of
// Currency.
type intent struct {
	ID         string         `json:"id"`
	Created    int64          `json:"created"`
	Amount     int64          `json:"amount"`
	Currency   string         `json:"currency"`
	Data       intentData     `json:"data"`
	Secret     string         `json:"secret"`
	Status     string         `json:"status"`
	Late       bool           `json:"late,omitempty"` // captured asynchronously: the fee comes later
	MethodID   string         `json:"method_id,omitempty"`
	ChargeID   string         `json:"charge_id,omitempty"` // the last attempt
	LastError  *DeclinedError `json:"last_error,omitempty"`
	LastMethod string         `json:"last_method,omitempty"` // of LastError
	Methods    []string       `json:"methods,omitempty"`     // that the session offered; empty: card
	Source     *sourcePrice   `json:"source,omitempty"`      // of a session in the donor's own currency
	Challenge  string         `json:"challenge,omitempty"`   // where the step of intentNeedsAction is made
	// CustomerID and InvoiceID are set when it pays an invoice.
	CustomerID string `json:"customer_id,omitempty"`
	InvoiceID  string `json:"invoice_id,omitempty"`
}

func (in *intent) key() (string, int64) { return in.ID, in.Created }

// newIntent is the intent of a session in payment mode. The invoice of a subscription makes its own, see finalize. The
// client secret begins with the id, as Stripe's does.
func newIntent(se *session, late bool, now time.Time) *intent {
	id := newID("pi_3", 23)
	return &intent{
		ID: id, Created: now.Unix(), Amount: se.amount(), Currency: se.Currency, Data: se.Intent,
		Secret: newID(id+"_secret_", 25), Status: intentNeedsMethod, Late: late, Methods: se.methodTypes(), Source: se.Source,
	}
}

// render shows every member of a payment intent.
func (in *intent) render(w *world) document {
	// With a fee that comes later, Stripe captures asynchronously, and the charge has no balance transaction at first.
	capture, received := "automatic", int64(0)
	if in.Late {
		capture = "automatic_async"
	}
	if in.Status == intentSucceeded {
		received = in.Amount
	}
	return document{
		"id":                                   in.ID,
		"object":                               "payment_intent",
		"amount":                               in.Amount,
		"amount_capturable":                    0,
		"amount_details":                       document{"tip": document{}},
		"amount_received":                      received,
		"application":                          nil,
		"application_fee_amount":               nil,
		"automatic_payment_methods":            nil,
		"canceled_at":                          nil,
		"cancellation_reason":                  nil,
		"capture_method":                       capture,
		"client_secret":                        in.Secret,
		"confirmation_method":                  "automatic",
		"created":                              in.Created,
		"currency":                             in.Currency,
		"customer":                             orNull(in.CustomerID),
		"description":                          orNull(in.Data.Description),
		"invoice":                              orNull(in.InvoiceID),
		"last_payment_error":                   in.renderLastError(w),
		"latest_charge":                        orNull(in.ChargeID),
		"livemode":                             false,
		"metadata":                             orEmpty(in.Data.Metadata),
		"next_action":                          in.nextAction(),
		"on_behalf_of":                         nil,
		"payment_method":                       orNull(in.MethodID),
		"payment_method_configuration_details": nil,
		"payment_method_options":               in.methodOptions(),
		"payment_method_types":                 in.methodTypes(),
		"processing":                           nil,
		"receipt_email":                        orNull(in.Data.ReceiptEmail),
		"review":                               nil,
		"setup_future_usage":                   nil,
		"shipping":                             nil,
		"source":                               nil,
		"statement_descriptor":                 orNull(in.Data.StatementDescriptor),
		"statement_descriptor_suffix":          orNull(in.Data.StatementDescriptorSuffix),
		"status":                               in.Status,
		"transfer_data":                        nil,
		"transfer_group":                       nil,
	}
}

// methodTypes are the methods that the session offered. An intent without any, as one of an invoice on an account
// without debits, is paid by card.
func (in *intent) methodTypes() []string {
	if len(in.Methods) == 0 {
		return []string{"card"}
	}
	return in.Methods
}

// methodOptions are payment_method_options: Stripe lists options for each method that the intent can be paid with.
func (in *intent) methodOptions() document {
	o := document{"card": document{
		"installments": nil, "mandate_options": nil, "network": nil, "request_three_d_secure": "automatic",
	}}
	if slices.Contains(in.Methods, debitMethod) {
		o[debitMethod] = document{}
	}
	return o
}

// nextAction is where the donor has to go while the intent requires an action: back to the payment page, which asks the
// challenge.
func (in *intent) nextAction() any {
	if in.Status != intentNeedsAction {
		return nil
	}
	return document{
		"redirect_to_url": document{"return_url": nil, "url": in.Challenge},
		"type":            "redirect_to_url",
	}
}

// renderLastError is the error of the last failed attempt, with the payment method that was used in full.
func (in *intent) renderLastError(w *world) any {
	if in.LastError == nil {
		return nil
	}
	o := document{
		"code":           in.LastError.Code,
		"doc_url":        docURL(in.LastError.Code),
		"message":        in.LastError.Message,
		"payment_method": w.PaymentMethods.byID[in.LastMethod].render(),
		"type":           typeCard,
	}
	if in.ChargeID != "" { // both are left out otherwise, and never null
		o["charge"] = in.ChargeID
	}
	if in.LastError.DeclineCode != "" {
		o["decline_code"] = in.LastError.DeclineCode
	}
	return o
}

func (s *Sim) getIntent(c *call) (document, *apiError) {
	id := c.http.PathValue("id")
	in, ok := c.world.Intents.get(id)
	if !ok {
		return nil, noSuch(http.StatusNotFound, "payment_intent", id, "intent")
	}
	return in.render(c.world), nil
}
