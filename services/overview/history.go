package overview

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// EntryKind is what an entry of a history is. Entries of one moment are in the order of their kinds.
type EntryKind int

// The kinds.
const (
	EntryState EntryKind = iota + 1
	EntryEvent
	EntryTransaction
	EntryRefund
	EntryDispute
	EntryFraudWarning
	EntryPayout
	EntryDeposit
	EntryBankLine
)

// Entry is one thing that happened to a contribution.
type Entry struct {
	Time time.Time
	Kind EntryKind
	// Resource is its name; empty for a state.
	Resource string
	// Detail is a state as stored, or what the thing says of itself.
	Detail string
	// Amount has no currency when there is none.
	Amount money.Amount
}

// maxEntries is how long a history is. Each of its parts is bounded by the same number.
const maxEntries = 300

// History returns what happened to a contribution, oldest first. Only states are read when states is true.
func (s *Service) History(ctx context.Context, c Contribution, statesOnly bool) ([]Entry, error) {
	parts := []func(context.Context, Contribution) ([]Entry, error){s.states}
	if !statesOnly {
		parts = append(parts, s.transactions, s.payouts)
		switch c.Kind {
		case KindDonation:
			parts = append(parts, s.events, s.refunds)
		case KindOffline:
			parts = append(parts, s.banked)
		case KindEntry:
			parts = append(parts, s.transaction)
		}
	}
	var all []Entry
	for _, part := range parts {
		entries, err := part(ctx, c)
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
	}
	slices.SortStableFunc(all, func(a, b Entry) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Kind, b.Kind))
	})
	return all[max(0, len(all)-maxEntries):], nil
}

// entries reads the rows of a query: time, resource, detail, amount and currency.
func (s *Service) entries(ctx context.Context, kind EntryKind, sql string, args pgx.NamedArgs, name func(id string) string) ([]Entry, error) {
	args["count"] = maxEntries
	rows, err := s.cfg.Pool.Query(ctx, sql, args)
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Entry, error) {
		e := Entry{Kind: kind}
		var id string
		err := r.Scan(&e.Time, &id, &e.Detail, &e.Amount.Minor, &e.Amount.Currency)
		if e.Time = e.Time.UTC(); name != nil {
			e.Resource = name(id)
		}
		return e, err
	})
	return found, postgres.Error(err)
}

// The states of an offline donation follow those of its pledge.
const statesSQL = `
SELECT
	h.began_at,
	'',
	h.state,
	0::bigint,
	''
FROM (
	SELECT @id::uuid AS id
	UNION ALL
	SELECT d.pledge
	FROM treasury.offline_donations AS d
	WHERE d.id = @id
		AND d.pledge IS NOT NULL
) AS w
JOIN overview.states AS h ON h.contribution = w.id
ORDER BY h.id DESC
LIMIT @count`

func (s *Service) states(ctx context.Context, c Contribution) ([]Entry, error) {
	found, err := s.entries(ctx, EntryState, statesSQL, pgx.NamedArgs{"id": c.ID}, nil)
	// Read from the newest end, and told from the oldest.
	slices.Reverse(found)
	return found, err
}

// What Stripe calls the donation: its payments, pages, invoice, refunds and disputes.
const stripeNamesSQL = `
SELECT x.name
FROM (
	SELECT d.payment_intent_id AS name
	FROM donations.donations AS d
	WHERE d.id = @id
	UNION
	SELECT d.charge_id
	FROM donations.donations AS d
	WHERE d.id = @id
	UNION
	SELECT d.checkout_session_id
	FROM donations.donations AS d
	WHERE d.id = @id
	UNION
	SELECT e.session_id
	FROM donations.earlier_sessions AS e
	WHERE e.donation = @id
	UNION
	SELECT d.invoice_id
	FROM donations.donations AS d
	WHERE d.id = @id
	UNION
	SELECT p.payment_intent_id
	FROM donations.payments AS p
	WHERE p.donation = @id
	UNION
	SELECT r.stripe_refund_id
	FROM refunds.refunds AS r
	WHERE r.donation = @id
	UNION
	SELECT t.id
	FROM refunds.disputes AS t
	WHERE t.donation = @id
) AS x
WHERE x.name <> ''
ORDER BY x.name`

const accountSQL = `
SELECT d.stripe_account
FROM donations.donations AS d
WHERE d.id = @id`

// events_payment_idx and events_resource_idx serve the two parts.
const eventsSQL = `
SELECT
	x.created_at,
	x.id,
	x.type || ' ' || x.state,
	0::bigint,
	''
FROM (
	SELECT
		e.id,
		e.type,
		e.state,
		e.created_at
	FROM webhooks.events AS e
	WHERE e.account = @account
		AND e.payment_key = ANY (@names::text[])
	UNION
	SELECT
		e.id,
		e.type,
		e.state,
		e.created_at
	FROM webhooks.events AS e
	WHERE e.account = @account
		AND e.resource_key = ANY (@names::text[])
) AS x
ORDER BY
	x.created_at DESC,
	x.id DESC
LIMIT @count`

func (s *Service) events(ctx context.Context, c Contribution) ([]Entry, error) {
	rows, err := s.cfg.Pool.Query(ctx, stripeNamesSQL, pgx.NamedArgs{"id": c.ID})
	if err != nil {
		return nil, postgres.Error(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, postgres.Error(err)
	}
	var account string
	if err := s.cfg.Pool.QueryRow(ctx, accountSQL, pgx.NamedArgs{"id": c.ID}).Scan(&account); err != nil {
		return nil, postgres.Error(err)
	}
	found, err := s.entries(ctx, EntryEvent, eventsSQL, pgx.NamedArgs{"account": account, "names": names}, func(id string) string {
		return "collectives/" + c.Campaign.Collective + "/webhookEvents/" + id
	})
	slices.Reverse(found)
	return found, err
}

// The transactions that are about the donation alone; their amount is what they move of the collective's. One that is not
// sealed yet, for a few seconds, is missing.
// transactionsSQL answers what each transaction moves: the sum of the accounts that it debits, each net. Stripe's fee passes
// through Stripe's balance, which is debited the whole payment and credited the fee, so a sum of all debits would count the fee
// twice.
const transactionsSQL = `
SELECT
	t.recorded_at,
	t.id::text,
	t.kind,
	coalesce(e.amount, 0)::bigint,
	coalesce(e.currency, '')
FROM ledger.seals AS s
JOIN ledger.transactions AS t ON t.id = s.transaction_id
LEFT JOIN LATERAL (
	SELECT
		sum(b.amount) FILTER (WHERE b.amount > 0) AS amount,
		min(b.currency) AS currency
	FROM (
		SELECT
			sum(n.amount) AS amount,
			min(n.currency) AS currency
		FROM ledger.entries AS n
		WHERE n.transaction_id = t.id
			AND n.collective = @collective
		GROUP BY n.account_id
	) AS b
) AS e ON true
WHERE s.donation = @id
ORDER BY s.number
LIMIT @count`

func (s *Service) transactions(ctx context.Context, c Contribution) ([]Entry, error) {
	return s.entries(ctx, EntryTransaction, transactionsSQL, pgx.NamedArgs{"id": c.ID, "collective": c.Campaign.Collective}, func(id string) string {
		return "collectives/" + c.Campaign.Collective + "/ledger/transactions/" + id
	})
}

// The transaction of an entry of the books.
const transactionSQL = `
SELECT
	t.recorded_at,
	t.id::text,
	t.kind,
	c.amount_minor,
	c.currency
FROM overview.contributions AS c
JOIN ledger.transactions AS t ON t.id = c.transaction_id
WHERE c.id = @id
ORDER BY t.id
LIMIT @count`

func (s *Service) transaction(ctx context.Context, c Contribution) ([]Entry, error) {
	return s.entries(ctx, EntryTransaction, transactionSQL, pgx.NamedArgs{"id": c.ID}, func(string) string { return c.resource() })
}

const refundsSQL = `
SELECT
	r.created_at,
	r.id::text,
	r.state,
	r.amount_minor,
	r.currency
FROM refunds.refunds AS r
WHERE r.donation = @id
ORDER BY
	r.created_at,
	r.id
LIMIT @count`

const disputesSQL = `
SELECT
	t.created_at,
	t.id,
	t.status,
	t.amount_minor,
	t.currency
FROM refunds.disputes AS t
WHERE t.donation = @id
ORDER BY
	t.created_at,
	t.id
LIMIT @count`

const fraudWarningsSQL = `
SELECT
	w.created_at,
	w.id,
	w.fraud_type,
	0::bigint,
	''
FROM refunds.fraud_warnings AS w
WHERE w.donation = @id
ORDER BY
	w.created_at,
	w.id
LIMIT @count`

// refunds are what happened to a payment later: refunds, disputes and warnings.
func (s *Service) refunds(ctx context.Context, c Contribution) ([]Entry, error) {
	var all []Entry
	for _, part := range []struct {
		kind   EntryKind
		sql    string
		prefix string
	}{
		{EntryRefund, refundsSQL, c.resource() + "/refunds/"},
		{EntryDispute, disputesSQL, "collectives/" + c.Campaign.Collective + "/disputes/"},
		{EntryFraudWarning, fraudWarningsSQL, "collectives/" + c.Campaign.Collective + "/fraudWarnings/"},
	} {
		found, err := s.entries(ctx, part.kind, part.sql, pgx.NamedArgs{"id": c.ID}, func(id string) string { return part.prefix + id })
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// The payouts that contain a balance transaction of the donation, which is the reference of its transaction in the books. As
// in package payouts, a collective sees those with a share of its own, and of an account that it has alone those whose shares
// are not decided. What others have of a payout is not its own to see.
const payoutsSQL = `
SELECT
	p.arrival_at,
	p.id,
	p.state,
	coalesce(o.amount_minor, p.amount_minor),
	p.currency
FROM ledger.seals AS s
JOIN ledger.transactions AS t ON t.id = s.transaction_id
JOIN payouts.contents AS i ON i.account = t.book AND i.transaction = t.reference
JOIN payouts.payouts AS p ON p.account = i.account AND p.id = i.payout
LEFT JOIN payouts.shares AS o ON o.account = p.account AND o.payout = p.id AND o.collective = @collective
WHERE s.donation = @id
	AND (
		o.collective IS NOT NULL
		OR @sole AND NOT EXISTS (
			SELECT
			FROM payouts.shares AS x
			WHERE x.account = p.account
				AND x.payout = p.id
		)
	)
GROUP BY
	p.account,
	p.id,
	o.amount_minor
ORDER BY
	p.arrival_at,
	p.id
LIMIT @count`

// The lines that show transactions with these references in the books.
const referencedLinesSQL = `
SELECT
	l.booked_on::timestamptz,
	l.id::text,
	l.state,
	l.amount_minor,
	l.currency
FROM ledger.transactions AS t
JOIN bank.lines AS l ON l.ledger_transaction = t.id AND l.state = 'matched' AND l.collective = @collective
WHERE t.book = @book
	AND t.reference = ANY (@references::text[])
ORDER BY
	l.booked_on,
	l.id
LIMIT @count`

// payouts are Stripe's payouts, and the bank lines that show them.
func (s *Service) payouts(ctx context.Context, c Contribution) ([]Entry, error) {
	if c.Kind != KindDonation {
		return nil, nil
	}
	collective, err := s.cfg.Collectives.Get(ctx, c.Campaign.Collective)
	if err != nil {
		return nil, err
	}
	owner, err := s.cfg.Collectives.SoleOwner(ctx, collective.StripeAccount)
	if err != nil {
		return nil, err
	}
	var references []string
	prefix := "collectives/" + collective.ID
	args := pgx.NamedArgs{"id": c.ID, "collective": collective.ID, "sole": owner == collective.ID}
	found, err := s.entries(ctx, EntryPayout, payoutsSQL, args, func(id string) string {
		references = append(references, "payout:"+id)
		return prefix + "/payouts/" + id
	})
	if err != nil || len(references) == 0 {
		return found, err
	}
	lines, err := s.entries(ctx, EntryBankLine, referencedLinesSQL, pgx.NamedArgs{
		"references": references, "book": collective.StripeAccount, "collective": c.Campaign.Collective,
	}, func(id string) string { return prefix + "/bankLines/" + id })
	return append(found, lines...), err
}

const depositSQL = `
SELECT
	d.banked_on::timestamptz,
	p.id::text,
	p.document,
	p.total_minor,
	p.currency
FROM treasury.offline_donations AS d
JOIN treasury.deposits AS p ON p.id = d.deposit
WHERE d.id = @id
LIMIT @count`

const offlineLinesSQL = `
SELECT
	l.booked_on::timestamptz,
	l.id::text,
	l.state,
	l.amount_minor,
	l.currency
FROM bank.lines AS l
WHERE l.offline_donation = @id
LIMIT @count`

const bookSQL = `
SELECT d.book
FROM treasury.offline_donations AS d
WHERE d.id = @id`

// banked is how an offline donation came to the bank: a line of its own, or that of the deposit of its cheque.
func (s *Service) banked(ctx context.Context, c Contribution) ([]Entry, error) {
	prefix := "collectives/" + c.Campaign.Collective
	var references []string
	found, err := s.entries(ctx, EntryDeposit, depositSQL, pgx.NamedArgs{"id": c.ID}, func(id string) string {
		references = append(references, "deposit:"+id)
		return prefix + "/deposits/" + id
	})
	if err != nil {
		return nil, err
	}
	line := func(id string) string { return prefix + "/bankLines/" + id }
	lines, err := s.entries(ctx, EntryBankLine, offlineLinesSQL, pgx.NamedArgs{"id": c.ID}, line)
	if err != nil || len(references) == 0 {
		return append(found, lines...), err
	}
	var book string
	if err := s.cfg.Pool.QueryRow(ctx, bookSQL, pgx.NamedArgs{"id": c.ID}).Scan(&book); err != nil {
		return nil, postgres.Error(err)
	}
	deposited, err := s.entries(ctx, EntryBankLine, referencedLinesSQL, pgx.NamedArgs{
		"references": references, "book": book, "collective": c.Campaign.Collective,
	}, line)
	return slices.Concat(found, lines, deposited), err
}
