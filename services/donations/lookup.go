package donations

import (
	"context"
	"errors"
	"log/slog"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

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
