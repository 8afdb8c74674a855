package donations

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
)

// A payment is a donation's when it was made on the donation's own payment page, and brought what that asks for.
// Whoever may use a Stripe account, its owner or another product, writes there what they like: metadata, and
// client_reference_id. So these only say where to look, and what proves it is an id that we know:
//
//   - A Checkout Session is the donation's when its id was stored as that of the session that we made for it, or when
//     Stripe says that it is a copy of that one, recovered_from, which nobody else can write ([Donation.made]). A page's
//     address is told to nobody before its id is stored, so nobody pays on one that is not.
//   - A payment intent is the donation's when such a session names it. It is remembered then: in the donation's row, and
//     in payments if there is more than one.
//   - A subscription is a monthly donation's when the session of its first month names it, and an invoice when it is of
//     that subscription.
//
// All paths ask [Service.Find] by what is remembered: charges, refunds, disputes, warnings, declines. What nobody has
// heard of yet, since a webhook was lost, [Lookup] asks Stripe for before.

// made reports whether the session was made for the donation, by us or as a copy by Stripe.
func (d Donation) made(session stripe.Session) bool {
	is := func(id string) bool { return id != "" && (id == d.CheckoutSession || id == d.recoveredSession) }
	return is(session.ID) || is(session.RecoveredFrom)
}

// Clue is what leads from a movement of money to its payment. Any part may be empty.
type Clue struct {
	// PaymentIntent and Charge are Stripe's ids.
	PaymentIntent, Charge string
}

// Match is the donation that a clue leads to.
type Match struct {
	Donation uuid.UUID
	Campaign campaigns.Name
	Amount   money.Amount
	// Asked is what the payment's page asked for: the Amount, or that in the donor's own currency.
	Asked money.Amount
	// UnderWay: the payment is in transit in the books, since its bank had not answered. Booked: it arrived there.
	UnderWay, Booked bool
	// HeldTime is when the charge was made that is in transit: the payment can have another one before and after it.
	HeldTime time.Time
}

// IsPaidBy reports whether a payment of so much is the donation's. Another amount is not, nor a part of it.
func (m Match) IsPaidBy(paid money.Amount) bool { return m.Donation != uuid.Nil && paid == m.Asked }

// The three ways are one bitmap over three indexes. In the order of ids, so that two who book never wait for
// one another in a circle.
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

// findAndLockSQL is findSQL for who is going to book.
const findAndLockSQL = findSQL + `
FOR NO KEY UPDATE OF d`

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Find returns the donation of each clue, in their order; a zero Match for none. A donation of another account or
// livemode is none.
func (s *Service) Find(ctx context.Context, account string, clues []Clue) ([]Match, error) {
	return s.find(ctx, s.cfg.Pool, findSQL, account, clues)
}

// FindTx is Find, and locks the donations until the caller's transaction ends.
func (s *Service) FindTx(ctx context.Context, tx pgx.Tx, account string, clues []Clue) ([]Match, error) {
	return s.find(ctx, tx, findAndLockSQL, account, clues)
}

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
		byIntent[intent], byCharge[charge] = m, m
		for i, other := range others {
			of := m
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
	// A charge comes before its refunds in the same list: who names it alone is of the same payment.
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

// paymentNotes are payment intents that sessions of donations name, as far as the donations' own rows will not have them.
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

// addSession notes the payment of a session that was made for the donation. moved: the donation's row is going to
// have its intent.
func (n *paymentNotes) addSession(d Donation, session stripe.Session, moved bool) {
	if session.PaymentIntent == "" {
		return
	}
	if d.PaymentIntent != "" && d.PaymentIntent != session.PaymentIntent {
		n.add(d.ID, d.PaymentIntent, money.Amount{}) // each may take the other's place in the row
		moved = false
	}
	if !moved && d.PaymentIntent != session.PaymentIntent || session.ShownCurrency != "" {
		n.add(d.ID, session.PaymentIntent, money.Amount{Minor: session.ShownMinor, Currency: money.Currency(session.ShownCurrency)})
	}
}

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

// writeTx keeps them. The caller has locked the donations.
func (n *paymentNotes) writeTx(ctx context.Context, tx pgx.Tx) error {
	if len(n.donations) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, notePaymentsSQL, pgx.NamedArgs{
		"donations": n.donations, "intents": n.intents, "paid_in": n.paidIn, "currencies": n.currencies,
	})
	return postgres.Error(err)
}

// MaxAsks bounds the payments that one step asks for, one after the other, and maxInvoiceAsks the invoices: of
// monthly donations many are renewed on one day, and each has one. maxCopies are as many sessions as somebody opens one
// after the other, each as a copy of the one before.
const (
	MaxAsks        = 20
	maxInvoiceAsks = 100
	maxCopies      = 5
)

// Payment is what is known of a payment whose donation is looked for.
type Payment struct {
	// Intent, Charge and Invoice are Stripe's ids; Charge and Invoice, which is what it paid, are empty when they are not known.
	Intent, Charge, Invoice string
	// Claim is the donation that its metadata names, if that is known.
	Claim uuid.UUID
	// Money is what it brought, and then all of these are known; nil when somebody else speaks of the payment, such as a
	// refund, which names its Intent only.
	Money *stripe.BalanceTransaction
}

// Lookup asks Stripe whose payments are that nothing known leads from. It is for one step: of each payment and
// invoice it asks once, and no more often than one step may. It is for one goroutine.
type Lookup struct {
	service           *Service
	account           string
	asks, invoiceAsks int
	// claims are the donations that payments name, as they are here; sessions those of them that were read together.
	claims   map[uuid.UUID]Donation
	sessions map[string]stripe.Session
	// told are the payments, and read the invoices, of which all is known.
	told, read map[string]bool
}

// NewLookup begins a step that looks up payments of the account.
func (s *Service) NewLookup(account string) *Lookup {
	return &Lookup{
		service: s, account: account, asks: MaxAsks, invoiceAsks: maxInvoiceAsks,
		claims: map[uuid.UUID]Donation{}, sessions: map[string]stripe.Session{}, told: map[string]bool{}, read: map[string]bool{},
	}
}

const claimedSQL = `
SELECT` + columns + `
FROM donations.donations AS d
WHERE d.id = ANY(@ids::uuid[])
	AND d.stripe_account = @account
	AND d.livemode = @livemode`

// claimed returns the donations of the account among those that payments name.
func (s *Service) claimed(ctx context.Context, q querier, account string, ids []uuid.UUID) (map[uuid.UUID]Donation, error) {
	found := map[uuid.UUID]Donation{}
	if len(ids) == 0 {
		return found, nil
	}
	rows, err := q.Query(ctx, claimedSQL, pgx.NamedArgs{"ids": ids, "account": account, "livemode": s.cfg.Stripe.Livemode()})
	if err != nil {
		return nil, postgres.Error(err)
	}
	all, err := pgx.CollectRows(rows, scan)
	for _, d := range all {
		found[d.ID] = d
	}
	return found, postgres.Error(err)
}

// interrupted: a page was asked for, and nobody knows what came of it.
func (d Donation) interrupted() bool {
	return d.State == StateCreated && d.CheckoutSession == "" && d.attempt > 0
}

// Interrupted returns those of the donations whose page was asked for and is not known. [Service.ContinuePage] finds out.
func (s *Service) Interrupted(ctx context.Context, account string, ids []uuid.UUID) (map[uuid.UUID]bool, error) {
	found, err := s.claimed(ctx, s.cfg.Pool, account, ids)
	interrupted := map[uuid.UUID]bool{}
	for id, d := range found {
		if d.interrupted() {
			interrupted[id] = true
		}
	}
	return interrupted, err
}

// ContinuePage goes on where a program was killed before it stored its donation's session: under the same idempotency
// key Stripe answers with the one that it made. So a payment on that is known as the donation's, as it would be had its
// donor sent the request again. It must not be called in a transaction.
func (s *Service) ContinuePage(ctx context.Context, id uuid.UUID) error {
	d, err := s.byID(ctx, id)
	if err != nil {
		return postgres.Error(err)
	}
	campaign, err := s.cfg.Campaigns.Get(ctx, d.Campaign)
	if err != nil {
		return err
	}
	_, err = s.openSession(ctx, id, campaign.Title(d.Locale))
	return err
}

// Prepare reads the sessions of the donations that payments name by the pages of their list, where they are many. What
// is not met, or not now, is read by itself.
func (l *Lookup) Prepare(ctx context.Context, payments []Payment) error {
	var ids []uuid.UUID
	for _, p := range payments {
		if p.Claim != uuid.Nil {
			ids = append(ids, p.Claim)
		}
	}
	var err error
	if l.claims, err = l.service.claimed(ctx, l.service.cfg.Pool, l.account, ids); err != nil {
		return err
	}
	var wanted []stripe.Wanted
	for _, d := range l.claims {
		if d.CheckoutSession != "" {
			wanted = append(wanted, stripe.Wanted{ID: d.CheckoutSession, Created: d.CreateTime})
		}
	}
	met, err := l.service.cfg.Stripe.FindSessions(ctx, l.account, wanted)
	if ctx.Err() != nil {
		return err
	}
	if err != nil {
		l.service.cfg.Logger.WarnContext(ctx, "the list of sessions cannot be read", "account", l.account, "error", err)
	}
	for _, session := range met {
		if session.PaymentIntent != "" {
			l.sessions[session.PaymentIntent] = session
		}
	}
	return nil
}

// Ask makes sure that the payment is found by [Service.Find] if it is a donation's: its session is read, and applied. Of
// an invoice of a monthly donation it makes the month. told is false when Stripe cannot tell now, or may not be asked
// for more in this step: ask again in another. claim is the donation that it says that it is of, if there is one: when
// the payment is not found, it is not that one's. It must not be called in a transaction. An error is nobody's refusal:
// the database is away, or time is up.
func (l *Lookup) Ask(ctx context.Context, p Payment) (claim uuid.UUID, told bool, err error) {
	if p.Money == nil && p.Claim == uuid.Nil {
		if p.Intent == "" || l.told[p.Intent] {
			return uuid.Nil, true, nil
		}
		if told, err = l.readIntent(ctx, &p); err != nil || !told {
			return uuid.Nil, false, err
		}
	}
	switch {
	case p.Claim != uuid.Nil:
		claim, told, err = l.readClaim(ctx, p)
	case p.Invoice != "":
		claim, told, err = l.makeMonth(ctx, p)
	default:
		told = true
	}
	if told && err == nil {
		l.told[p.Intent] = true
	}
	return claim, told, err
}

// may counts one more question to Stripe; false when there must be none.
func (l *Lookup) may(asks *int) bool {
	if *asks == 0 {
		return false
	}
	*asks--
	return true
}

// failed reports whether Stripe could not tell, so that it is to be asked again. When the others may not be asked for
// now either, none will be.
func (l *Lookup) failed(err error) bool {
	switch stripe.KindOf(err) {
	case 0, stripe.Missing:
		return false
	case stripe.Failed, stripe.Refused:
	default:
		l.asks, l.invoiceAsks = 0, 0
	}
	return true
}

// readIntent completes what is known of a payment. Of one that may not be read nobody can tell whose it is: a key without
// that permission must not turn refunds and disputes into unknown receipts.
func (l *Lookup) readIntent(ctx context.Context, p *Payment) (told bool, err error) {
	if !l.may(&l.asks) {
		return false, nil
	}
	found, err := l.service.cfg.Stripe.GetPaymentIntent(ctx, l.account, p.Intent)
	switch {
	case ctx.Err() != nil:
		return false, err
	case l.failed(err):
		return false, nil
	}
	p.Claim = found.Donation
	if found.Donation == uuid.Nil && found.Invoice != "" {
		p.Invoice, p.Money = found.Invoice, found.Balance
	}
	return true, nil
}

// readClaim finds out whether a payment that names a donation was made on one of its pages.
func (l *Lookup) readClaim(ctx context.Context, p Payment) (claim uuid.UUID, told bool, err error) {
	d, known := l.claims[p.Claim]
	if !known {
		found, err := l.service.claimed(ctx, l.service.cfg.Pool, l.account, []uuid.UUID{p.Claim})
		if err != nil {
			return uuid.Nil, false, err
		}
		d = found[p.Claim]
		l.claims[p.Claim] = d
	}
	if d.interrupted() {
		if err = l.service.ContinuePage(ctx, d.ID); err == nil {
			d, err = l.service.byID(ctx, d.ID)
			l.claims[p.Claim] = d
		}
		if err != nil {
			return d.ID, false, ctx.Err()
		}
	}
	if d.CheckoutSession == "" || p.Intent == "" { // there is no such donation, or nobody was told where to pay
		return d.ID, true, nil
	}
	session, met := l.sessions[p.Intent]
	if !met {
		if session, told, err = l.sessionOf(ctx, d, p.Intent); err != nil || !told {
			return d.ID, false, err
		}
	}
	// Perhaps it is another donation's, whatever the payment says.
	err = l.service.applySession(ctx, SessionFact{Account: l.account, Session: session, At: l.service.now()})
	switch {
	case err == nil, errs.As(err).Reason == errorsv1.ErrorReason_AMOUNT_DIFFERS:
		return d.ID, true, nil
	case ctx.Err() != nil, postgres.Away(err):
		return d.ID, false, err
	}
	l.service.cfg.Logger.WarnContext(ctx, "a session could not be applied",
		slog.String("account", l.account), slog.String("session", session.ID), slog.Any("error", err))
	return d.ID, false, nil
}

// sessionOf reads the session that a payment was made on. Of a copy of a copy it follows Stripe's word to the session
// that we made.
func (l *Lookup) sessionOf(ctx context.Context, d Donation, intent string) (session stripe.Session, told bool, err error) {
	if !l.may(&l.asks) {
		return stripe.Session{}, false, nil
	}
	session, err = l.service.cfg.Stripe.SessionOfIntent(ctx, l.account, intent)
	origin := session
	for range maxCopies {
		if ctx.Err() != nil {
			return stripe.Session{}, false, err
		}
		if l.failed(err) {
			return stripe.Session{}, false, nil
		}
		if err != nil || d.made(origin) || origin.RecoveredFrom == "" {
			break
		}
		origin, err = l.service.cfg.Stripe.GetSession(ctx, l.account, origin.RecoveredFrom)
	}
	if session.RecoveredFrom != "" && d.made(origin) {
		session.RecoveredFrom = d.CheckoutSession
	}
	return session, true, nil
}

// makeMonth makes what a payment paid a month, when its invoice is one of a monthly donation. An invoice that may not be
// read is told of later: a key without that permission must not turn monthly donations into unknown receipts.
func (l *Lookup) makeMonth(ctx context.Context, p Payment) (claim uuid.UUID, told bool, err error) {
	if l.read[p.Invoice] {
		return uuid.Nil, true, nil
	}
	if !l.may(&l.invoiceAsks) {
		return uuid.Nil, false, nil
	}
	inv, err := l.service.cfg.Stripe.GetInvoice(ctx, l.account, p.Invoice)
	switch {
	case ctx.Err() != nil:
		return uuid.Nil, false, err
	case l.failed(err):
		return uuid.Nil, false, nil
	case err != nil: // there is none
		l.read[p.Invoice] = true
		return uuid.Nil, true, nil
	}
	ours, err := l.service.applyPaidInvoice(ctx, l.account, inv, p.Money)
	if err != nil {
		if ctx.Err() != nil || postgres.Away(err) {
			return uuid.Nil, false, err
		}
		l.service.cfg.Logger.WarnContext(ctx, "an invoice could not be applied",
			slog.String("account", l.account), slog.String("invoice", p.Invoice), slog.Any("error", err))
		return uuid.Nil, false, nil
	}
	if ours && !inv.Paid && p.Money == nil { // a debit is under way, or the fee is not known
		return uuid.Nil, false, nil
	}
	l.read[p.Invoice] = true
	return inv.Recurring, true, nil
}

// PaymentOf finds the donation that a payment is of; a zero Match for none. Where nothing known leads there, Stripe is
// asked, so it must not be called in a transaction. When Stripe cannot tell now, or the payment may not be read, it is
// UNAVAILABLE (PAYMENT_UNREAD): money can be booked to unknown receipts, but a refund or a dispute that is taken for
// nobody's is forgotten.
func (s *Service) PaymentOf(ctx context.Context, account string, p Payment) (Match, error) {
	clue := Clue{PaymentIntent: p.Intent, Charge: p.Charge}
	matches, err := s.Find(ctx, account, []Clue{clue})
	if err != nil || matches[0].Donation != uuid.Nil || p.Intent == "" {
		return first(matches), err
	}
	lookup := s.NewLookup(account)
	_, told, err := lookup.Ask(ctx, p)
	if err != nil {
		return Match{}, err
	}
	if !told {
		return Match{}, errs.Unavailable(errorsv1.ErrorReason_PAYMENT_UNREAD, firstRetry, nil, "Stripe does not tell now whose payment it is.")
	}
	matches, err = s.Find(ctx, account, []Clue{clue})
	return first(matches), err
}

func first(matches []Match) Match {
	if len(matches) == 0 {
		return Match{}
	}
	return matches[0]
}

// adopt makes known whose a subscription is that nobody has heard of yet: its metadata says where to look, and the
// session of the first month tells. UNAVAILABLE (SESSION_OPEN) while that session is not complete. It must not be
// called in a transaction.
func (s *Service) adopt(ctx context.Context, account string, recurring uuid.UUID, subscription string) error {
	if recurring == uuid.Nil || subscription == "" {
		return nil
	}
	r, err := oneRecurring(s.cfg.Pool.Query(ctx, recurringByIDSQL, pgx.NamedArgs{"id": recurring}))
	if errors.Is(err, pgx.ErrNoRows) || err == nil && (r.Subscription != "" || r.StripeAccount != account) {
		return nil
	}
	if err != nil {
		return postgres.Error(err)
	}
	d, err := s.byID(ctx, recurring)
	if err != nil || d.CheckoutSession == "" {
		return postgres.Error(err)
	}
	session, err := s.cfg.Stripe.GetSession(ctx, account, d.CheckoutSession)
	switch {
	case stripe.KindOf(err) == stripe.Missing:
		return nil
	case err != nil:
		return err
	case session.Status == stripe.SessionOpen:
		return errs.Unavailable(errorsv1.ErrorReason_SESSION_OPEN, firstRetry, nil, "The payment page of the first month is not complete yet.")
	case session.Subscription != subscription:
		return nil
	}
	err = s.applySession(ctx, SessionFact{Account: account, Session: session, At: s.now()})
	if err != nil && errs.As(err).Reason == errorsv1.ErrorReason_AMOUNT_DIFFERS {
		return nil
	}
	return err
}

// Stranger is a payment that says that it is a donation's, or was made on its page, and is not what that asks for.
type Stranger struct {
	Donation uuid.UUID
	// PaymentIntent and Transaction are Stripe's ids.
	PaymentIntent, Transaction string
	Paid                       money.Amount
}

const disownSQL = `
INSERT INTO donations.payments AS p (
	donation,
	payment_intent_id,
	surplus,
	refunded_minor,
	paid_in_minor,
	refunded_in_minor,
	differs
)
VALUES (
	@donation,
	@intent,
	false,
	0,
	0,
	0,
	true
)
ON CONFLICT (donation, payment_intent_id) DO UPDATE
SET differs = true`

// A payment can have several charges one after the other, as when a debit is tried again. The newest word counts.
const holdPaymentSQL = `
INSERT INTO donations.payments AS p (
	donation,
	payment_intent_id,
	surplus,
	refunded_minor,
	paid_in_minor,
	refunded_in_minor,
	under_way,
	held_at,
	poll_at
)
VALUES (
	@donation,
	@intent,
	false,
	0,
	0,
	0,
	@under_way,
	@at,
	@poll_at
)
ON CONFLICT (donation, payment_intent_id) DO UPDATE
SET
	under_way = excluded.under_way,
	held_at = excluded.held_at,
	poll_at = excluded.poll_at,
	poll_attempts = 0
WHERE p.held_at IS NULL
	OR p.held_at <= excluded.held_at`

// A month after the first has no session that says so.
const failMonthSQL = `
UPDATE donations.donations AS d
SET
	state = 'failed',
	updated_at = @now
WHERE d.id = @donation
	AND d.recurring_id <> d.id
	AND d.payment_intent_id = @intent
	AND d.state = 'pending'`

// Transit is how far a payment is that passes through transit in the books.
type Transit int

// The stages of a [Transit].
const (
	// TransitUnderWay: its bank has not answered.
	TransitUnderWay Transit = iota
	// TransitArrived: it is received.
	TransitArrived
	// TransitFailed: it went out of transit as it came.
	TransitFailed
)

// HoldTx remembers how far a payment of about then is in transit, and asks for it until it is there no more. The caller
// posts that in the same transaction, and has locked the donation, whose state it leaves to what the payment's session
// says; that of a month after the first, which has none, to the books. What is of before the last word changes nothing.
func (s *Service) HoldTx(ctx context.Context, tx pgx.Tx, donation uuid.UUID, intent string, transit Transit, at time.Time) error {
	now := s.now()
	named := pgx.NamedArgs{
		"donation": donation, "intent": intent, "under_way": transit == TransitUnderWay, "at": at, "poll_at": (*time.Time)(nil), "now": now,
	}
	if transit == TransitUnderWay {
		named["poll_at"] = now.Add(pollAfter)
	}
	tag, err := tx.Exec(ctx, holdPaymentSQL, named)
	if err == nil && transit == TransitFailed && tag.RowsAffected() > 0 {
		_, err = tx.Exec(ctx, failMonthSQL, named)
	}
	return postgres.Error(err)
}

// RefuseTx leaves the donations as they are whose payments these are not, and tells members of each. The caller books
// the money to nobody in the same transaction. Those that name no donation of the account are nobody's business.
func (s *Service) RefuseTx(ctx context.Context, tx pgx.Tx, account string, strangers []Stranger) error {
	ids := make([]uuid.UUID, len(strangers))
	for i, p := range strangers {
		ids[i] = p.Donation
	}
	named, err := s.claimed(ctx, tx, account, ids)
	if err != nil {
		return err
	}
	for _, p := range strangers {
		d, known := named[p.Donation]
		if !known {
			continue
		}
		s.cfg.Logger.WarnContext(ctx, "a payment names a donation that it is not of",
			slog.String("donation", d.ID.String()), slog.String("balance_transaction", p.Transaction))
		if p.PaymentIntent != "" {
			if _, err := tx.Exec(ctx, disownSQL, pgx.NamedArgs{"donation": d.ID, "intent": p.PaymentIntent}); err != nil {
				return postgres.Error(err)
			}
		}
		if err := s.cfg.Collectives.TellTx(ctx, tx, collectives.Notice{
			Collective: d.Campaign.Collective, Kind: collectives.NoticePaymentRefused, Key: p.Transaction,
			Subject: d.Name(), Amount: p.Paid, Transactions: []string{p.Transaction},
		}); err != nil {
			return err
		}
	}
	return nil
}
