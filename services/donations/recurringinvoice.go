package donations

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
)

// errForeignInvoice: the month was paid in the donor's own currency, so that only Stripe's balance tells its amount here.
var errForeignInvoice = errors.New("donations: a month in the donor's own currency")

// ApplyInvoice makes a paid invoice exactly one donation. The first invoice pays the donation that the donor started; each
// other one gets a row. It is safe to repeat, and comes in any order with sessions. The donation is booked with its
// balance transaction. An unpaid invoice is no donation; a first one that Stripe has given up makes a pending donation
// failed. ours is false for an invoice that belongs to no monthly donation of this account.
//
// It must not be called in a transaction, because it may ask Stripe for a converted amount. Errors: UNAVAILABLE
// (FEE_UNKNOWN) while Stripe does not know that amount.
func (s *Service) ApplyInvoice(ctx context.Context, account string, inv stripe.Invoice) (ours bool, err error) {
	ours, err = s.applyPaidInvoice(ctx, account, inv, nil)
	if !errors.Is(err, errForeignInvoice) {
		return ours, err
	}
	intent, askErr := s.cfg.Stripe.GetPaymentIntent(ctx, account, inv.PaymentIntent)
	switch {
	case askErr != nil:
		return true, askErr
	case intent.Balance == nil:
		return true, errs.Unavailable(errorsv1.ErrorReason_FEE_UNKNOWN, pollAfter, err, "Stripe has not converted the month's payment yet; try again.")
	}
	return s.applyPaidInvoice(ctx, account, inv, intent.Balance)
}

// applyPaidInvoice is ApplyInvoice with the balance transaction of the invoice's payment, if that is known. Money that
// arrived pays a month whatever became of its invoice: members may have voided it while a debit was at the bank.
func (s *Service) applyPaidInvoice(ctx context.Context, account string, inv stripe.Invoice, brought *stripe.BalanceTransaction) (ours bool, err error) {
	state := StateSucceeded
	if brought != nil && !inv.Paid {
		switch brought.Source.Status { // some debits are in the balance before the bank has answered
		case stripe.ChargePending:
			state = StatePending
		case stripe.ChargeFailed:
			state = StateFailed
		}
		inv.Paid, inv.PaidAt = true, brought.Created
		inv.Amount = money.Amount{Minor: brought.Source.Amount, Currency: money.Currency(brought.Source.Currency)}
		inv.PaymentIntent, inv.Charge = brought.Source.PaymentIntent, brought.Source.Charge
	}
	if err := s.adopt(ctx, account, inv.Recurring, inv.Subscription); err != nil {
		return false, err
	}
	// What the donor was asked for. inv.Amount may be converted below.
	asked := inv.Amount
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		// InTx may run this again after a conflict.
		ours = false
		r, first, err := s.lockRecurringTx(ctx, tx, account, inv.Subscription)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return postgres.Error(err)
		}
		if inv.Livemode != r.Livemode {
			return nil
		}
		ours = true
		if !inv.Paid {
			return s.failFirstTx(ctx, tx, first, inv)
		}
		if inv.Amount.Currency != r.Amount.Currency {
			// Stripe showed the donor a price in another currency. The first month counts the amount that was agreed
			// on, which its donation has already. Each other month counts what it brought, or the agreed amount where
			// the balance is in a third currency.
			switch {
			case inv.First:
				inv.Amount = first.Amount
			case brought == nil:
				return errForeignInvoice
			case brought.Currency == string(r.Amount.Currency):
				inv.Amount = money.Amount{Minor: brought.Amount, Currency: r.Amount.Currency}
			default:
				inv.Amount = r.Amount
			}
		}
		// Only money that arrived makes the monthly donation active.
		if err := s.payMonthTx(ctx, tx, first, inv, asked, state); err != nil || state != StateSucceeded {
			return err
		}
		return s.noteInvoiceTx(ctx, tx, r, inv)
	})
	return ours, err
}

// failFirstSQL changes no row if the donation is paid, or if the invoice is another one's.
const failFirstSQL = `
UPDATE donations.donations AS d
SET
	state = 'failed',
	updated_at = @now
WHERE d.id = @id
	AND d.invoice_id = @invoice
	AND d.state = 'pending'`

// failFirstTx makes the first donation failed once Stripe has given up its invoice. A session's failure is not enough: Stripe
// may debit again, and a donor who starts another donation meanwhile would pay twice.
func (s *Service) failFirstTx(ctx context.Context, tx pgx.Tx, first Donation, inv stripe.Invoice) error {
	if !inv.GivenUp {
		return nil
	}
	_, err := tx.Exec(ctx, failFirstSQL, pgx.NamedArgs{"id": first.ID, "invoice": inv.ID, "now": s.now()})
	return postgres.Error(err)
}

// What is not paid yet is known by its payment all the same. Whether a first month fails, its invoice says. payMonthSQL
// changes the invoice's donation, which donations_invoice_idx finds, or, for a first invoice, the first donation while
// it has no invoice and if the amount is the same. Payment, charge and time that are stored stay. The last condition
// excludes a donation of which all is known, so a repeat changes no row. A month after the first one, whose id is not
// recurring_id, has no session, so a refused debit fails it here.
const payMonthSQL = `
UPDATE donations.donations AS d
SET
	state = CASE
		WHEN @state = 'succeeded' AND d.state IN ('created', 'pending', 'expired', 'failed', 'canceled') THEN 'succeeded'
		WHEN @state = 'failed' AND d.state = 'pending' AND d.recurring_id <> d.id THEN 'failed'
		ELSE d.state
	END,
	invoice_id = @invoice,
	payment_intent_id = coalesce(d.payment_intent_id, @intent),
	charge_id = coalesce(d.charge_id, nullif(@charge, '')),
	paid_at = coalesce(d.paid_at, @at::timestamptz),
	poll_at = CASE WHEN d.booked_at IS NULL AND @at::timestamptz IS NOT NULL THEN @poll_at::timestamptz ELSE d.poll_at END,
	updated_at = @now
WHERE d.stripe_account = @account
	AND (
		d.invoice_id = @invoice
		OR (@first AND d.id = @first_id AND d.invoice_id IS NULL AND d.amount_minor = @amount_minor)
	)
	AND (d.invoice_id IS NULL OR d.paid_at IS NULL OR d.payment_intent_id IS NULL)`

// A month of the first one's amount has its fee cover too. No request made the donation, so its request id comes from
// the invoice's id. addMonthSQL adds no row for an invoice that has a donation, by donations_invoice_idx, so a repeat
// is harmless.
const addMonthSQL = `
INSERT INTO donations.donations (
	id,
	collective,
	campaign,
	request_id,
	fingerprint,
	amount_minor,
	fee_cover_minor,
	currency,
	locale,
	return_url,
	stripe_account,
	livemode,
	state,
	recurring_id,
	invoice_id,
	payment_intent_id,
	charge_id,
	paid_at,
	poll_at,
	created_at,
	updated_at
)
SELECT
	@id,
	f.collective,
	f.campaign,
	@request_id,
	@fingerprint,
	@amount_minor,
	CASE WHEN f.amount_minor = @amount_minor THEN f.fee_cover_minor ELSE 0 END,
	f.currency,
	f.locale,
	'',
	f.stripe_account,
	f.livemode,
	@state,
	f.id,
	@invoice,
	@intent,
	nullif(@charge, ''),
	@at,
	CASE WHEN @at::timestamptz IS NOT NULL THEN @poll_at::timestamptz END,
	@now,
	@now
FROM donations.donations AS f
WHERE f.id = @first_id
	AND NOT EXISTS (
		SELECT
		FROM donations.donations AS o
		WHERE o.stripe_account = f.stripe_account
			AND o.invoice_id = @invoice
	)`

// monthSQL finds the donation of an invoice, by donations_invoice_idx.
const monthSQL = `
SELECT d.id
FROM donations.donations AS d
WHERE d.stripe_account = @account
	AND d.invoice_id = @invoice`

// payMonthTx marks the invoice's donation as paid, or adds it; state is pending or failed where a debit's bank has not
// answered or has refused. asked is in the donor's own currency. The caller has locked the first donation, so that two
// calls for one invoice come one after the other.
func (s *Service) payMonthTx(ctx context.Context, tx pgx.Tx, first Donation, inv stripe.Invoice, asked money.Amount, state State) error {
	now := s.now()
	// paid_at stays NULL while the money has not arrived.
	var at *time.Time
	if state == StateSucceeded {
		at = &now
		if !inv.PaidAt.IsZero() {
			at = &inv.PaidAt
		}
	}
	fingerprint := sha256.Sum256([]byte("invoice\n" + inv.ID))
	named := pgx.NamedArgs{
		"account": first.StripeAccount, "first_id": first.ID, "first": inv.First,
		"invoice": inv.ID, "intent": inv.PaymentIntent, "charge": inv.Charge, "amount_minor": inv.Amount.Minor,
		"at": at, "state": string(state), "poll_at": now.Add(pollAfter), "now": now,
		"id": uuid.Must(uuid.NewV7()), "request_id": uuid.NewSHA1(first.ID, []byte(inv.ID)), "fingerprint": fingerprint[:],
	}
	// No row is changed for an invoice without a donation and for one whose donation is complete. The second statement
	// adds the one and leaves the other.
	tag, err := tx.Exec(ctx, payMonthSQL, named)
	if err == nil && tag.RowsAffected() == 0 {
		_, err = tx.Exec(ctx, addMonthSQL, named)
	}
	if err != nil || asked.Currency == first.Amount.Currency {
		return postgres.Error(err)
	}
	// The month was paid in the donor's own currency, so its payment gets a row that says what was asked there.
	var month uuid.UUID
	if err := tx.QueryRow(ctx, monthSQL, named).Scan(&month); err != nil {
		return postgres.Error(err)
	}
	var notes paymentNotes
	notes.add(month, inv.PaymentIntent, asked)
	return notes.writeTx(ctx, tx)
}

// noteInvoiceSQL makes the monthly donation active and has its subscription read soon, since the invoice does not tell
// the end of the period. One that is past due stays so: its subscription says when that is over. A repeat changes no
// row.
const noteInvoiceSQL = `
UPDATE donations.recurring AS r
SET
	state = CASE WHEN r.state IN ('created', 'expired') THEN 'active' ELSE r.state END,
	subscription_id = coalesce(r.subscription_id, @subscription),
	customer_id = coalesce(r.customer_id, nullif(@customer, '')),
	debit_pending = false,
	look_at = CASE WHEN r.state IN ('created', 'expired') THEN @look_at ELSE r.look_at END,
	updated_at = @now
WHERE r.id = @id
	AND (r.state IN ('created', 'expired') OR r.customer_id IS NULL OR r.debit_pending)`

// noteInvoiceTx makes a monthly donation active whose session's event has not come, and clears debit_pending. It changes
// nothing about an end, of which an invoice knows nothing.
func (s *Service) noteInvoiceTx(ctx context.Context, tx pgx.Tx, r Recurring, inv stripe.Invoice) error {
	now := s.now()
	_, err := tx.Exec(ctx, noteInvoiceSQL, pgx.NamedArgs{
		"id": r.ID, "subscription": inv.Subscription, "customer": inv.Customer, "look_at": now.Add(pollAfter), "now": now,
	})
	if err != nil {
		return postgres.Error(err)
	}
	return s.mailStartTx(ctx, tx, r, RecurringActive)
}
