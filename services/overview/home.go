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

// AttentionKind is what needs somebody.
type AttentionKind int

// The kinds.
const (
	AttentionNotices AttentionKind = iota + 1
	AttentionBankLines
	AttentionDisputes
	AttentionRefundApprovals
	AttentionPendingChanges
	AttentionStripeRequirements
	AttentionFailedPayouts
	AttentionCheques
)

// Attention is something that needs somebody.
type Attention struct {
	Kind AttentionKind
	// Count is at most maxCount, which means that many or more.
	Count int
	// Deadline is the nearest one; zero for none.
	Deadline time.Time
	// Items are the first maxItems of them.
	Items []AttentionItem
}

// AttentionItem is one of the things that need somebody.
type AttentionItem struct {
	// Resource is its name; empty for what is the collective's own.
	Resource string
	Deadline time.Time
	// Amount has no currency for none.
	Amount money.Amount
}

const (
	// maxCount is how far is counted.
	maxCount = 100
	maxItems = 5
	// lastContributions is how many of the newest a home has.
	lastContributions = 10
)

// Home is a collective's first page.
type Home struct {
	Raised, Pending, MonthlyExpected []money.Amount
	MonthlyCount                     int64
	Contributions                    []Contribution
	Attentions                       []Attention
}

// paidStates are those of what was given, or promised and not expired.
var paidStates = []string{
	"banked", "booked", "bounced", "disputed", "partially_refunded", "pending", statePledged, "received", "refunded", "succeeded",
}

// The days of all campaigns in the currency of each, which sum to what their public pages say, and what is not in the books
// yet. days_campaign_idx and donations_unbooked_idx serve the two parts.
const raisedSQL = `
SELECT
	x.currency,
	sum(x.raised_minor)::bigint,
	sum(x.pending_minor)::bigint
FROM (
	SELECT
		d.currency,
		sum(d.received_minor) AS raised_minor,
		0 AS pending_minor
	FROM campaigns.campaigns AS c
	JOIN overview.days AS d
		ON d.collective = c.collective
		AND d.campaign = c.id
		AND d.currency = c.currency
	WHERE c.collective = @collective
	GROUP BY d.currency
	UNION ALL
	SELECT
		d.currency,
		0,
		sum(d.amount_minor)
	FROM donations.donations AS d
	WHERE d.collective = @collective
		AND d.booked_at IS NULL
		AND d.state IN ('pending', 'succeeded', 'partially_refunded', 'refunded', 'disputed')
	GROUP BY d.currency
) AS x
GROUP BY x.currency
ORDER BY x.currency`

const monthlyNowSQL = `
SELECT
	m.currency,
	coalesce(sum(m.began - m.ended), 0)::bigint,
	coalesce(sum(m.expected_minor), 0)::bigint
FROM overview.months AS m
WHERE m.collective = @collective
GROUP BY m.currency
ORDER BY m.currency`

// Home returns the first page of a collective. An editor's has the needs of the Stripe account alone. NOT_FOUND for a
// collective that is not there.
func (s *Service) Home(ctx context.Context, collective string, bookkeeper bool) (Home, error) {
	var h Home
	if _, err := s.cfg.Collectives.Get(ctx, collective); err != nil {
		return h, err
	}
	if err := s.totals(ctx, collective, &h); err != nil {
		return h, err
	}
	var err error
	last := Filter{Collective: collective, States: paidStates, OpenPledges: true}
	if h.Contributions, err = s.List(ctx, last, newest, lastContributions); err != nil {
		return h, err
	}
	h.Attentions, err = s.attentions(ctx, collective, bookkeeper)
	return h, err
}

// totals reads what the campaigns raised and what monthly donations bring.
func (s *Service) totals(ctx context.Context, collective string, h *Home) error {
	rows, err := s.cfg.Pool.Query(ctx, raisedSQL, pgx.NamedArgs{"collective": collective})
	if err != nil {
		return postgres.Error(err)
	}
	raised, pending := map[money.Currency]int64{}, map[money.Currency]int64{}
	var currency money.Currency
	var settled, unbooked int64
	if _, err = pgx.ForEachRow(rows, []any{&currency, &settled, &unbooked}, func() error {
		raised[currency], pending[currency] = settled, unbooked
		return nil
	}); err != nil {
		return postgres.Error(err)
	}
	h.Raised, h.Pending = amounts(raised), amounts(pending)
	if rows, err = s.cfg.Pool.Query(ctx, monthlyNowSQL, pgx.NamedArgs{"collective": collective}); err != nil {
		return postgres.Error(err)
	}
	expected := map[money.Currency]int64{}
	var count, minor int64
	_, err = pgx.ForEachRow(rows, []any{&currency, &count, &minor}, func() error {
		h.MonthlyCount += count
		expected[currency] += minor
		return nil
	})
	h.MonthlyExpected = amounts(expected)
	return postgres.Error(err)
}

// Each of these statements reads one index of rows that are open, up to @count of them: a name's end, a deadline or NULL, an
// amount, and a currency that is empty for no amount.

// A notice whose subject is told elsewhere on the page counts here too, since it is acknowledged by itself.
const openNoticesSQL = `
SELECT
	'notices/' || n.id::text,
	n.deadline,
	coalesce(n.amount_minor, 0),
	coalesce(n.currency, '')
FROM notices.notices AS n
WHERE n.collective = @collective
	AND n.acknowledged_at IS NULL
ORDER BY
	n.created_at DESC,
	n.id DESC
LIMIT @count`

// The newest open notices are looked through for those of payouts.
const failedPayoutsSQL = `
SELECT
	'notices/' || o.id::text,
	o.deadline,
	coalesce(o.amount_minor, 0),
	coalesce(o.currency, '')
FROM (
	SELECT
		n.id,
		n.kind,
		n.deadline,
		n.amount_minor,
		n.currency,
		n.created_at
	FROM notices.notices AS n
	WHERE n.collective = @collective
		AND n.acknowledged_at IS NULL
	ORDER BY
		n.created_at DESC,
		n.id DESC
	LIMIT 1000
) AS o
WHERE o.kind = 'payout_failed'
ORDER BY
	o.created_at DESC,
	o.id DESC
LIMIT @count`

const openBankLinesSQL = `
SELECT
	'bankLines/' || l.id::text,
	NULL::timestamptz,
	l.amount_minor,
	l.currency
FROM bank.lines AS l
WHERE l.collective = @collective
	AND l.state IN ('unmatched', 'suggested')
ORDER BY
	l.booked_on,
	l.id
LIMIT @count`

const openDisputesSQL = `
SELECT
	'disputes/' || t.id,
	t.due_at,
	t.amount_minor,
	t.currency
FROM refunds.disputes AS t
WHERE t.collective = @collective
	AND t.due_at IS NOT NULL
	AND t.due_at > @now
ORDER BY
	t.due_at,
	t.id
LIMIT @count`

const waitingRefundsSQL = `
SELECT
	'campaigns/' || d.campaign || '/donations/' || d.id::text || '/refunds/' || r.id::text,
	NULL::timestamptz,
	r.amount_minor,
	r.currency
FROM (
	SELECT
		w.id,
		w.donation,
		w.amount_minor,
		w.currency,
		w.created_at
	FROM refunds.refunds AS w
	WHERE w.collective = @collective
		AND w.state = 'awaiting_approval'
	ORDER BY
		w.created_at,
		w.id
	LIMIT @count
) AS r
JOIN donations.donations AS d ON d.id = r.donation
ORDER BY
	r.created_at,
	r.id`

// One that expired waits for the job alone.
const pendingChangesSQL = `
SELECT
	'pendingChanges/' || p.id::text,
	p.expires_at,
	0::bigint,
	''
FROM approvals.pending_changes AS p
WHERE p.collective = @collective
	AND p.state = 'pending'
	AND p.expires_at > @now
ORDER BY
	p.expires_at,
	p.id
LIMIT @count`

const heldChequesSQL = `
SELECT
	'campaigns/' || d.campaign || '/offlineDonations/' || d.id::text,
	NULL::timestamptz,
	d.amount_minor,
	d.currency
FROM treasury.offline_donations AS d
WHERE d.collective = @collective
	AND d.method = 'cheque'
	AND d.state = 'received'
ORDER BY
	d.received_on,
	d.id
LIMIT @count`

// A collective that needs an account of its own and has none has one thing to do: to begin.
const stripeRequirementsSQL = `
SELECT
	'connection',
	n.requirements_deadline,
	0::bigint,
	''
FROM collectives.collectives AS c
JOIN connect.connections AS n ON n.stripe_account = c.stripe_account
CROSS JOIN LATERAL unnest(n.requirements_due) AS r (requirement)
WHERE c.id = @collective
	AND c.stripe_account <> ''
UNION ALL
SELECT
	'connection',
	NULL,
	0,
	''
FROM collectives.collectives AS c
WHERE c.id = @collective
	AND c.stripe_account = ''
	AND c.own_account_required
LIMIT @count`

// attentions returns what needs somebody, what has the nearest deadline first.
func (s *Service) attentions(ctx context.Context, collective string, bookkeeper bool) ([]Attention, error) {
	var all []Attention
	for _, need := range []struct {
		kind AttentionKind
		sql  string
		// forAll: editors see it too.
		forAll bool
	}{
		{AttentionStripeRequirements, stripeRequirementsSQL, true},
		{AttentionDisputes, openDisputesSQL, false},
		{AttentionRefundApprovals, waitingRefundsSQL, false},
		{AttentionPendingChanges, pendingChangesSQL, false},
		{AttentionFailedPayouts, failedPayoutsSQL, false},
		{AttentionNotices, openNoticesSQL, false},
		{AttentionBankLines, openBankLinesSQL, false},
		{AttentionCheques, heldChequesSQL, false},
	} {
		if !need.forAll && !bookkeeper {
			continue
		}
		a, err := s.attention(ctx, need.kind, need.sql, collective)
		if err != nil {
			return nil, err
		}
		if a.Count > 0 {
			all = append(all, a)
		}
	}
	// What has no deadline keeps its order, behind what has one.
	slices.SortStableFunc(all, func(a, b Attention) int {
		return cmp.Or(cmp.Compare(flag(a.Deadline.IsZero()), flag(b.Deadline.IsZero())), a.Deadline.Compare(b.Deadline))
	})
	return all, nil
}

func (s *Service) attention(ctx context.Context, kind AttentionKind, sql, collective string) (Attention, error) {
	a := Attention{Kind: kind}
	rows, err := s.cfg.Pool.Query(ctx, sql, pgx.NamedArgs{"collective": collective, "now": s.cfg.Now(), "count": maxCount})
	if err != nil {
		return a, postgres.Error(err)
	}
	var end string
	var deadline *time.Time
	var amount money.Amount
	_, err = pgx.ForEachRow(rows, []any{&end, &deadline, &amount.Minor, &amount.Currency}, func() error {
		a.Count++
		item := AttentionItem{Resource: "collectives/" + collective + "/" + end, Amount: amount}
		if deadline != nil {
			item.Deadline = deadline.UTC()
			if a.Deadline.IsZero() || item.Deadline.Before(a.Deadline) {
				a.Deadline = item.Deadline
			}
		}
		if len(a.Items) < maxItems {
			a.Items = append(a.Items, item)
		}
		return nil
	})
	return a, postgres.Error(err)
}

// flag is 1 for true.
func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
