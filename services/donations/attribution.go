package donations

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
)

// A payment is a donation's when it was made on the donation's own payment page, and brought what the page asks for.
// Everybody who may use a Stripe account, such as its owner or another product, can write metadata and client_reference_id.
// So these only say where to look. The proof is an id that is stored here:
//
//   - A Checkout Session is the donation's when its id is stored as that of a session made for it: the one that it has, or one
//     before its page was opened again ([Donation.made]). A page's address is disclosed only after its id is stored, so nobody
//     pays on a page that is not.
//   - A payment intent is the donation's when such a session names it. It is stored then: in the donation's row, and in
//     payments if there is more than one.
//   - A subscription is a monthly donation's when the session of its first month names it, and an invoice when it belongs to
//     that subscription.
//
// Charges, refunds, disputes, warnings and declines are all attributed by [Service.Find], from what is stored. If a webhook
// was lost, [Lookup] asks Stripe first.

// made reports whether the session was made for the donation.
func (d Donation) made(session stripe.Session) bool {
	return session.ID != "" && (session.ID == d.CheckoutSession || slices.Contains(d.earlier, session.ID))
}

// Clue identifies the payment of a movement of money. Any part may be empty.
type Clue struct {
	// PaymentIntent and Charge are Stripe's ids.
	PaymentIntent, Charge string
}

// Match is the donation that a clue leads to; its Donation is Nil for none.
type Match struct {
	Donation uuid.UUID
	Campaign campaigns.Name
	Amount   money.Amount
	// Asked is what the payment's page asked for: the Amount, or its equivalent in the donor's currency.
	Asked money.Amount
	// UnderWay: the payment is in transit in the books, because the bank has not answered. Booked: it is received in the books.
	UnderWay, Booked bool
	// HeldTime is when the charge in transit was made. The payment can have other charges before and after it.
	HeldTime time.Time
}

// IsPaidBy reports whether a payment of this amount pays the donation. Any other amount, also a part, does not.
func (m Match) IsPaidBy(paid money.Amount) bool { return m.Donation != uuid.Nil && paid == m.Asked }

// The three conditions are one bitmap over three indexes. They are donations_payment_intent_idx, donations_charge_idx
// and donations_pkey, whose ids payments_intent_idx finds. The rows are locked in the order of ids, so that two
// bookings never deadlock. The arrays have one element for each row of payments, all in the order of payment intents.
// findSQL returns donations of one account and livemode only, since metadata and events can name others.
const findSQL = `
SELECT
	d.id,
	d.collective,
	d.campaign,
	d.amount_minor,
	d.currency,
	coalesce(d.payment_intent_id, ''),
	coalesce(d.charge_id, ''),
	d.booked_at IS NOT NULL,
	ARRAY(SELECT p.payment_intent_id FROM donations.payments AS p WHERE p.donation = d.id ORDER BY 1),
	ARRAY(SELECT p.paid_in_minor FROM donations.payments AS p WHERE p.donation = d.id ORDER BY p.payment_intent_id),
	ARRAY(SELECT p.paid_in_currency FROM donations.payments AS p WHERE p.donation = d.id ORDER BY p.payment_intent_id),
	ARRAY(SELECT p.differs FROM donations.payments AS p WHERE p.donation = d.id ORDER BY p.payment_intent_id),
	ARRAY(SELECT p.surplus FROM donations.payments AS p WHERE p.donation = d.id ORDER BY p.payment_intent_id),
	ARRAY(SELECT p.under_way FROM donations.payments AS p WHERE p.donation = d.id ORDER BY p.payment_intent_id),
	ARRAY(SELECT p.held_at FROM donations.payments AS p WHERE p.donation = d.id ORDER BY p.payment_intent_id)
FROM donations.donations AS d
WHERE (
		d.payment_intent_id = ANY(@intents::text[])
		OR d.charge_id = ANY(@charges::text[])
		OR d.id = ANY(ARRAY(
			SELECT p.donation
			FROM donations.payments AS p
			WHERE p.payment_intent_id = ANY(@intents::text[])
		))
	)
	AND d.stripe_account = @account
	AND d.livemode = @livemode
ORDER BY d.id`

// findAndLockSQL is findSQL with the locks that booking needs.
const findAndLockSQL = findSQL + `
FOR NO KEY UPDATE OF d`

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Find returns the donation of each clue, in their order; a zero Match for none. Donations of another account or livemode
// are not found.
func (s *Service) Find(ctx context.Context, account string, clues []Clue) ([]Match, error) {
	return s.find(ctx, s.cfg.Pool, findSQL, account, clues)
}

// FindTx is Find, and locks the donations until the caller's transaction ends.
func (s *Service) FindTx(ctx context.Context, tx pgx.Tx, account string, clues []Clue) ([]Match, error) {
	return s.find(ctx, tx, findAndLockSQL, account, clues)
}

// find runs sql, which is findSQL or findAndLockSQL, once for all clues. A payment intent decides, and the charge only
// where the intent leads to nothing. A clue whose intent paid another amount than its page asked for (differs) matches
// nothing, not even by its charge.
func (s *Service) find(ctx context.Context, q querier, sql, account string, clues []Clue) ([]Match, error) {
	intents, charges := []string{}, []string{}
	for _, c := range clues {
		if c.PaymentIntent != "" {
			intents = append(intents, c.PaymentIntent)
		}
		if c.Charge != "" {
			charges = append(charges, c.Charge)
		}
	}
	rows, err := q.Query(ctx, sql, pgx.NamedArgs{
		"intents": intents, "charges": charges, "account": account, "livemode": s.cfg.Stripe.Livemode(),
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	byIntent, byCharge, differing := map[string]Match{}, map[string]Match{}, map[string]bool{}
	var (
		m              Match
		intent, charge string
		others         []string
		paidIn         []int64
		currencies     []money.Currency
		booked         bool
		differs        []bool
		surplus        []bool
		underWay       []bool
		heldAt         []*time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{
		&m.Donation, &m.Campaign.Collective, &m.Campaign.Campaign, &m.Amount.Minor, &m.Amount.Currency, &intent, &charge,
		&booked, &others, &paidIn, &currencies, &differs, &surplus, &underWay, &heldAt,
	}, func() error {
		m.Asked, m.Booked = m.Amount, booked
		// This is the payment in the donation's own row. A row of payments with the same intent replaces it below,
		// because it has the amount in the currency that the donor was asked for.
		byIntent[intent], byCharge[charge] = m, m
		for i, other := range others {
			of := m
			// The donation's booked_at is that of its own payment. A surplus payment became surplus when it was booked.
			of.UnderWay, of.Booked = underWay[i], surplus[i] || booked && other == intent
			of.HeldTime = fromNull(heldAt[i])
			if currencies[i] != "" {
				of.Asked = money.Amount{Minor: paidIn[i], Currency: currencies[i]}
			}
			byIntent[other], differing[other] = of, differs[i]
		}
		return nil
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	delete(byIntent, "")
	// A clue that has only a charge belongs to the payment of another clue with the same charge.
	for _, c := range clues {
		if m, ok := byIntent[c.PaymentIntent]; ok && !differing[c.PaymentIntent] {
			byCharge[c.Charge] = m
		}
	}
	delete(byCharge, "")
	matches := make([]Match, len(clues))
	for i, c := range clues {
		switch m, ok := byIntent[c.PaymentIntent]; {
		case differing[c.PaymentIntent]:
		case ok:
			matches[i] = m
		default:
			matches[i] = byCharge[c.Charge]
		}
	}
	return matches, nil
}

// paymentNotes are payment intents that sessions of donations name and that the donations' own rows will not have.
type paymentNotes struct {
	donations  []uuid.UUID
	intents    []string
	paidIn     []int64
	currencies []string
}

func (n *paymentNotes) add(donation uuid.UUID, intent string, paidIn money.Amount) {
	n.donations, n.intents = append(n.donations, donation), append(n.intents, intent)
	n.paidIn, n.currencies = append(n.paidIn, paidIn.Minor), append(n.currencies, string(paidIn.Currency))
}

// addSession notes the payment of a session that was made for the donation. moved: the donation's row will have its intent.
func (n *paymentNotes) addSession(d Donation, session stripe.Session, moved bool) {
	if session.PaymentIntent == "" {
		return
	}
	if d.PaymentIntent != "" && d.PaymentIntent != session.PaymentIntent {
		n.add(d.ID, d.PaymentIntent, money.Amount{}) // either may replace the other in the row
		moved = false
	}
	if !moved && d.PaymentIntent != session.PaymentIntent || session.ShownCurrency != "" {
		n.add(d.ID, session.PaymentIntent, money.Amount{Minor: session.ShownMinor, Currency: money.Currency(session.ShownCurrency)})
	}
}

// notePaymentsSQL adds a row for each donation and intent. The facts of one call can name a payment twice, and ON
// CONFLICT cannot change a row twice, so they are grouped first. An existing row, found by payments_pkey, only gets the
// currency and amount of its page if it lacks them, so a repeat changes nothing.
const notePaymentsSQL = `
INSERT INTO donations.payments AS p (
	donation,
	payment_intent_id,
	surplus,
	refunded_minor,
	paid_in_minor,
	refunded_in_minor,
	paid_in_currency
)
SELECT
	n.donation,
	n.intent,
	false,
	0,
	max(n.paid_in),
	0,
	max(n.currency)
FROM unnest(
	@donations::uuid[],
	@intents::text[],
	@paid_in::bigint[],
	@currencies::text[]
) AS n (donation, intent, paid_in, currency)
GROUP BY
	n.donation,
	n.intent
ON CONFLICT (donation, payment_intent_id) DO UPDATE
SET
	paid_in_minor = excluded.paid_in_minor,
	paid_in_currency = excluded.paid_in_currency
WHERE p.paid_in_currency = ''
	AND excluded.paid_in_currency <> ''`

// writeTx stores them. The caller has locked the donations.
func (n *paymentNotes) writeTx(ctx context.Context, tx pgx.Tx) error {
	if len(n.donations) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, notePaymentsSQL, pgx.NamedArgs{
		"donations": n.donations, "intents": n.intents, "paid_in": n.paidIn, "currencies": n.currencies,
	})
	return postgres.Error(err)
}
