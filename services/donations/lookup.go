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

// MaxAsks bounds the payments that one [Lookup] reads at Stripe one by one, and maxInvoiceAsks the invoices, which are more,
// since many monthly donations are renewed on one day.
const (
	MaxAsks        = 20
	maxInvoiceAsks = 100
)

// Payment is what is known of a payment whose donation is wanted.
type Payment struct {
	// Intent, Charge and Invoice are Stripe's ids, empty when unknown. Invoice is the invoice that it paid.
	Intent, Charge, Invoice string
	// Claim is the donation that its metadata names, if that is known.
	Claim uuid.UUID
	// Money is its balance transaction; then Invoice and Claim are known too. It is nil when only a refund or the like names
	// the payment.
	Money *stripe.BalanceTransaction
}

// Lookup asks Stripe whose the payments are that [Service.Find] does not know. It is for one batch and one goroutine: it asks
// once about each payment and invoice, and bounds the calls of a batch.
type Lookup struct {
	service           *Service
	account           string
	asks, invoiceAsks int
	// claims are the donations that payments name, by id; sessions are the sessions that were read together, by intent.
	claims   map[uuid.UUID]Donation
	sessions map[string]stripe.Session
	// asked are the payments, and read the invoices, that need no further call.
	asked, read map[string]bool
}

// NewLookup returns a Lookup for one batch of payments of the account.
func (s *Service) NewLookup(account string) *Lookup {
	return &Lookup{
		service: s, account: account, asks: MaxAsks, invoiceAsks: maxInvoiceAsks,
		claims: map[uuid.UUID]Donation{}, sessions: map[string]stripe.Session{}, asked: map[string]bool{}, read: map[string]bool{},
	}
}

// claimedSQL returns donations by id, if they belong to the account and livemode. The ids come from metadata, which can
// name a donation of another account.
const claimedSQL = `
SELECT` + columns + `
FROM donations.donations AS d
WHERE d.id = ANY(@ids::uuid[])
	AND d.stripe_account = @account
	AND d.livemode = @livemode`

// claimed returns those of the donations that belong to the account.
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

// interrupted reports whether a session was requested and its answer is not known.
func (d Donation) interrupted() bool {
	return d.State == StateCreated && d.CheckoutSession == "" && d.attempt > 0
}

// Interrupted returns those of the donations whose session was requested and is not known. [Service.ContinuePage] completes them.
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

// ContinuePage completes a donation whose program was killed before it stored the session: under the same idempotency key
// Stripe answers the session that it made, so that payments on it are the donation's. It must not be called in a
// transaction.
func (s *Service) ContinuePage(ctx context.Context, id uuid.UUID) error {
	d, err := s.byID(ctx, id)
	if err != nil {
		return postgres.Error(err)
	}
	campaign, err := s.cfg.Campaigns.Get(ctx, d.Campaign)
	if err != nil {
		return err
	}
	_, err = s.openSession(ctx, id, campaign)
	return err
}

// Prepare reads, by pages of Stripe's list, the sessions of the donations that payments name, if they are many. Ask reads each
// of the others.
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
	// An interrupted donation has no session id yet. readClaim continues it.
	var wanted []stripe.Wanted
	for _, d := range l.claims {
		if d.CheckoutSession != "" {
			wanted = append(wanted, stripe.Wanted{ID: d.CheckoutSession, Created: d.openTime()})
		}
	}
	met, err := l.service.cfg.Stripe.FindSessions(ctx, l.account, wanted)
	if ctx.Err() != nil {
		return err
	}
	if err != nil {
		l.service.cfg.Logger.WarnContext(ctx, "the list of sessions cannot be read", "account", l.account, "error", err)
	}
	// After a failure the sessions that were found are used, and Ask reads the others one by one, within its bounds.
	for _, session := range met {
		if session.PaymentIntent != "" {
			l.sessions[session.PaymentIntent] = session
		}
	}
	return nil
}

// Ask makes sure that [Service.Find] finds the payment if it is a donation's: it reads the payment's session and applies it, or
// the invoice of a monthly donation, of which it makes the month's donation. answered is false when Stripe cannot answer
// now, or this batch may make no more calls: ask again in another batch. claim is the donation that the payment names; if
// Find does not find the payment then, it is not that donation's. It must not be called in a transaction. An error means
// that the database is unavailable or the time is up.
func (l *Lookup) Ask(ctx context.Context, p Payment) (claim uuid.UUID, answered bool, err error) {
	// Nothing but ids is known. The payment intent tells which donation or invoice it names.
	if p.Money == nil && p.Claim == uuid.Nil {
		if p.Intent == "" || l.asked[p.Intent] {
			return uuid.Nil, true, nil
		}
		if answered, err = l.readIntent(ctx, &p); err != nil || !answered {
			return uuid.Nil, false, err
		}
	}
	switch {
	case p.Claim != uuid.Nil:
		claim, answered, err = l.readClaim(ctx, p)
	case p.Invoice != "":
		claim, answered, err = l.makeMonth(ctx, p)
	default:
		answered = true
	}
	if answered && err == nil {
		l.asked[p.Intent] = true
	}
	return claim, answered, err
}

// may counts one more call to Stripe, and reports false when no more may be made.
func (l *Lookup) may(asks *int) bool {
	if *asks == 0 {
		return false
	}
	*asks--
	return true
}

// failed reports whether Stripe could not answer, so that it must be asked again. If no other call can succeed now either, no
// more are made.
func (l *Lookup) failed(err error) bool {
	switch stripe.KindOf(err) {
	case 0, stripe.Missing:
		return false
	// These concern one object. All other kinds, such as the rate limit, a lost answer or a bad key, concern every
	// call.
	case stripe.Failed, stripe.Refused:
	default:
		l.asks, l.invoiceAsks = 0, 0
	}
	return true
}

// readIntent completes what is known of a payment. A payment that our key may not read is not answered, so that a missing
// permission does not turn refunds and disputes into unknown receipts.
func (l *Lookup) readIntent(ctx context.Context, p *Payment) (answered bool, err error) {
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
	// The donation that a payment names is looked at before its invoice, as in Ask.
	p.Claim = found.Donation
	if found.Donation == uuid.Nil && found.Invoice != "" {
		p.Invoice, p.Money = found.Invoice, found.Balance
	}
	return true, nil
}

// readClaim finds out whether a payment that names a donation was made on one of its pages.
func (l *Lookup) readClaim(ctx context.Context, p Payment) (claim uuid.UUID, answered bool, err error) {
	d, known := l.claims[p.Claim]
	if !known {
		found, err := l.service.claimed(ctx, l.service.cfg.Pool, l.account, []uuid.UUID{p.Claim})
		if err != nil {
			return uuid.Nil, false, err
		}
		// A donation that the account does not have is remembered as the zero Donation, which has no page.
		d = found[p.Claim]
		l.claims[p.Claim] = d
	}
	if d.interrupted() {
		if err = l.service.ContinuePage(ctx, d.ID); err == nil {
			d, err = l.service.byID(ctx, d.ID)
			l.claims[p.Claim] = d
		}
		if err != nil {
			// Stripe did not complete the page, so the payment is asked about again. Only the end of the time ends the
			// batch.
			return d.ID, false, ctx.Err()
		}
	}
	if d.CheckoutSession == "" || p.Intent == "" { // there is no such donation, or it has no page
		return d.ID, true, nil
	}
	session, met := l.sessions[p.Intent]
	if !met {
		if session, answered, err = l.sessionOf(ctx, p.Intent); err != nil || !answered {
			return d.ID, false, err
		}
	}
	// The session may be another donation's, whatever the payment says.
	err = l.service.applySession(ctx, SessionFact{Account: l.account, Session: session, At: l.service.now()})
	switch {
	// A session with another amount is an answer too: the payment does not pay the donation.
	case err == nil, errs.As(err).Reason == errorsv1.ErrorReason_AMOUNT_DIFFERS:
		return d.ID, true, nil
	case ctx.Err() != nil, postgres.Away(err):
		return d.ID, false, err
	}
	// Any other failure concerns this session alone, and the batch goes on without it.
	l.service.cfg.Logger.WarnContext(ctx, "a session could not be applied",
		slog.String("account", l.account), slog.String("session", session.ID), slog.Any("error", err))
	return d.ID, false, nil
}

// sessionOf reads the session that a payment was made on.
func (l *Lookup) sessionOf(ctx context.Context, intent string) (session stripe.Session, answered bool, err error) {
	if !l.may(&l.asks) {
		return stripe.Session{}, false, nil
	}
	session, err = l.service.cfg.Stripe.SessionOfIntent(ctx, l.account, intent)
	if ctx.Err() != nil {
		return stripe.Session{}, false, err
	}
	return session, !l.failed(err), nil
}

// makeMonth makes a month's donation of a payment whose invoice belongs to a monthly donation. An invoice that our key may not
// read is not answered, so that a missing permission does not turn monthly donations into unknown receipts.
func (l *Lookup) makeMonth(ctx context.Context, p Payment) (claim uuid.UUID, answered bool, err error) {
	// Several payments can name one invoice. It was applied, or found not to be there, in this batch.
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
	if ours && !inv.Paid && p.Money == nil { // its debit is at the bank, or its fee is not known
		return uuid.Nil, false, nil
	}
	l.read[p.Invoice] = true
	return inv.Recurring, true, nil
}

// PaymentOf returns the donation of a payment; a zero Match for none. It may call Stripe, and must not be called in a
// transaction. If Stripe cannot answer now, or the payment may not be read, it is UNAVAILABLE (PAYMENT_UNREAD), since a
// refund or dispute that is attributed to nobody would be lost.
func (s *Service) PaymentOf(ctx context.Context, account string, p Payment) (Match, error) {
	clue := Clue{PaymentIntent: p.Intent, Charge: p.Charge}
	matches, err := s.Find(ctx, account, []Clue{clue})
	if err != nil || matches[0].Donation != uuid.Nil || p.Intent == "" {
		return first(matches), err
	}
	lookup := s.NewLookup(account)
	_, answered, err := lookup.Ask(ctx, p)
	if err != nil {
		return Match{}, err
	}
	if !answered {
		return Match{}, errs.Unavailable(errorsv1.ErrorReason_PAYMENT_UNREAD, firstRetry, nil, "Stripe does not answer now whose payment it is. It is asked again later.")
	}
	matches, err = s.Find(ctx, account, []Clue{clue})
	return first(matches), err
}

// first returns the Match of a single clue, and the zero Match after an error.
func first(matches []Match) Match {
	if len(matches) == 0 {
		return Match{}
	}
	return matches[0]
}

// adopt stores whose subscription it is, if that is unknown: its metadata says where to look, and the session of the first
// month proves it. It is UNAVAILABLE (SESSION_OPEN) while that session is not complete. It must not be called in a
// transaction.
func (s *Service) adopt(ctx context.Context, account string, recurring uuid.UUID, subscription string) error {
	if recurring == uuid.Nil || subscription == "" {
		return nil
	}
	// A monthly donation that has a subscription keeps it, and one of another account is not this account's to give.
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
	// Without the session there is no proof.
	case stripe.KindOf(err) == stripe.Missing:
		return nil
	case err != nil:
		return err
	case session.Status == stripe.SessionOpen:
		return errs.Unavailable(errorsv1.ErrorReason_SESSION_OPEN, firstRetry, nil, "The payment page of the first month is not complete yet.")
	// The page started another subscription, so the metadata of this one is wrong.
	case session.Subscription != subscription:
		return nil
	}
	err = s.applySession(ctx, SessionFact{Account: account, Session: session, At: s.now()})
	if err != nil && errs.As(err).Reason == errorsv1.ErrorReason_AMOUNT_DIFFERS {
		return nil
	}
	return err
}
