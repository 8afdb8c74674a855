package overview

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// Kind is what a contribution is a row of.
type Kind string

// The kinds.
const (
	KindDonation Kind = "donation"
	KindOffline  Kind = "offline"
	KindPledge   Kind = "pledge"
	// KindEntry is an entry of the books that counts for a campaign without a donation.
	KindEntry Kind = "entry"
)

// Contribution is something that was given or promised.
type Contribution struct {
	// ID is that of the donation, the offline donation or the pledge. An entry has one of its own.
	ID       uuid.UUID
	Kind     Kind
	Campaign campaigns.Name
	// Day is when it was given, in the collective's time zone.
	Day calendar.Day
	// Amount is negative for an entry that takes from the campaign.
	Amount money.Amount
	// Received is what counts of it: zero until it is in the books.
	Received money.Amount
	// Method and State are as stored; an open pledge is StatePledged also after it expired.
	Method, State string
	// PaymentMethod is Stripe's word; empty where it is not known.
	PaymentMethod string
	// Recurring is the monthly donation that it is a month of; Nil for none.
	Recurring uuid.UUID
	// Pledge has the characters of the pledge's code; empty for none.
	Pledge string
	// Document is the number of its paper.
	Document string
	// Transaction is that of an entry; 0 for all others.
	Transaction int64
	// ExpireTime is when a pledge expires; zero for all others.
	ExpireTime             time.Time
	CreateTime, UpdateTime time.Time
}

// statePledged is the state of a pledge without a donation.
const statePledged = "pledged"

// resource returns the name of what the contribution is.
func (c Contribution) resource() string {
	if c.Kind == KindEntry {
		return "collectives/" + c.Campaign.Collective + "/ledger/transactions/" + strconv.FormatInt(c.Transaction, 10)
	}
	kind := map[Kind]string{KindDonation: "donations", KindOffline: "offlineDonations", KindPledge: "pledges"}[c.Kind]
	return c.Campaign.String() + "/" + kind + "/" + c.ID.String()
}

func (c Contribution) name() string {
	return "collectives/" + c.Campaign.Collective + "/contributions/" + c.ID.String()
}

// Filter says which contributions a list has. It is part of the page token.
type Filter struct {
	Collective string
	// Campaign is empty for all.
	Campaign string
	// States and Methods are sorted, without repeats, and empty for all.
	States, Methods []string
	// Currency goes with the bounds of the amount, which are included; Max is 0 for none.
	Currency money.Currency
	Min, Max int64
	// Start and End are the first and the last day; empty for no bound.
	Start, End calendar.Day
	// Reference is what the caller searches for; empty for no search.
	Reference string
	// Documents: the search looks at papers too.
	Documents bool
	// Monthly lists months of monthly donations, Recurring those of one; Nil for any.
	Monthly   bool
	Recurring uuid.UUID
	// OpenPledges and ExpiredPledges say which of the pledges are listed, when their state is.
	OpenPledges, ExpiredPledges bool
}

// Position is a contribution's place in a list.
type Position struct {
	Day        calendar.Day
	CreateTime time.Time
	ID         uuid.UUID
}

// newest is before every contribution.
var newest = Position{Day: "9999-01-01", CreateTime: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), ID: uuid.Max}

// columns are what scan reads.
const columns = `
	c.id,
	c.kind,
	c.collective,
	c.campaign,
	c.day,
	c.amount_minor,
	c.currency,
	c.received_minor,
	c.method,
	c.state,
	c.payment_method,
	coalesce(c.recurring_id, '00000000-0000-0000-0000-000000000000'),
	c.pledge,
	c.document,
	coalesce(c.transaction_id, 0),
	c.expires_at,
	c.created_at,
	c.updated_at`

func scan(r pgx.CollectableRow) (Contribution, error) {
	var c Contribution
	var day time.Time
	var expires *time.Time
	err := r.Scan(&c.ID, &c.Kind, &c.Campaign.Collective, &c.Campaign.Campaign, &day, &c.Amount.Minor, &c.Amount.Currency,
		&c.Received.Minor, &c.Method, &c.State, &c.PaymentMethod, &c.Recurring, &c.Pledge, &c.Document, &c.Transaction, &expires,
		&c.CreateTime, &c.UpdateTime)
	c.Received.Currency = c.Amount.Currency
	c.Day = calendar.Day(day.Format(time.DateOnly))
	c.CreateTime, c.UpdateTime = c.CreateTime.UTC(), c.UpdateTime.UTC()
	if expires != nil {
		c.ExpireTime = expires.UTC()
	}
	return c, err
}

// A fulfilled pledge has no row, and is found by its donation. The ids are joined, because under row-level security an index
// is not used for a comparison with coalesce.
const getSQL = `
SELECT` + columns + `
FROM (
	SELECT @id::uuid AS id
	UNION ALL
	SELECT d.id
	FROM treasury.offline_donations AS d
	WHERE d.pledge = @id
		AND d.state IN ('received', 'banked')
) AS w
JOIN overview.contributions AS c ON c.id = w.id
WHERE c.collective = @collective`

// Get returns one contribution. A missing one, or another collective's, is NOT_FOUND.
func (s *Service) Get(ctx context.Context, collective string, id uuid.UUID) (Contribution, error) {
	rows, err := s.cfg.Pool.Query(ctx, getSQL, pgx.NamedArgs{"collective": collective, "id": id})
	if err != nil {
		return Contribution{}, postgres.Error(err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Contribution{}, errs.NotFound("collectives/" + collective + "/contributions/" + id.String())
	}
	return c, postgres.Error(err)
}

// The list is put together of the conditions that a filter has, so that each plan is made for them alone. Each condition has
// an index of its own, in the order of the list. Several states or methods are read one by one, each from its own part of the
// index, and merged: so a page costs the same however rare they are.
const (
	listHead = `
SELECT` + columns + `
FROM `
	listRows = `overview.contributions AS c
WHERE c.collective = @collective
	AND (c.day, c.created_at, c.id) < (@before_day::date, @before_time::timestamptz, @before_id::uuid)`
	listNewest = `
ORDER BY
	c.day DESC,
	c.created_at DESC,
	c.id DESC
LIMIT @count`

	listEach = `(
	SELECT f.id
	FROM `
	listEachState = `unnest(@states::text[]) AS s (state)
	CROSS JOIN `
	listEachMethod = `unnest(@methods::text[]) AS m (method)
	CROSS JOIN `
	listEachRows = `LATERAL (
		SELECT
			c.id,
			c.day,
			c.created_at
		FROM `
	listFound = `
	) AS f
	ORDER BY
		f.day DESC,
		f.created_at DESC,
		f.id DESC
	LIMIT @count
) AS found
JOIN overview.contributions AS c ON c.id = found.id`
)

// statement returns the statement of a filter.
func (f Filter) statement() string {
	var where strings.Builder
	add := func(has bool, condition string) {
		if has {
			where.WriteString("\n\tAND " + condition)
		}
	}
	add(f.Campaign != "", "c.campaign = @campaign")
	add(f.Currency != "", "c.currency = @currency")
	add(f.Min > 0 && f.Min == f.Max, "c.amount_minor = @min")
	add(f.Min > 0 && f.Min != f.Max, "c.amount_minor >= @min")
	add(f.Max > 0 && f.Min != f.Max, "c.amount_minor <= @max")
	add(f.Start != "", "c.day >= @start_day::date")
	add(f.Monthly, "c.recurring_id IS NOT NULL")
	add(f.Recurring != uuid.Nil, "c.recurring_id = @recurring")
	add(f.Reference != "" && !f.Documents, "c.id = ANY (@ids::uuid[])")
	add(f.Reference != "" && f.Documents, "(c.id = ANY (@ids::uuid[]) OR c.document_key <> '' AND c.document_key = @document)")
	add(f.OpenPledges && !f.ExpiredPledges, "(c.expires_at IS NULL OR c.expires_at > @now)")
	add(f.ExpiredPledges && !f.OpenPledges, "(c.expires_at IS NULL OR c.expires_at <= @now)")
	// One value is told to the planner, which knows how rare it is.
	add(len(f.States) == 1, "c.state = @state")
	add(len(f.Methods) == 1, "c.method = @method")
	add(len(f.States) > 1, "c.state = s.state")
	add(len(f.Methods) > 1, "c.method = m.method")
	if len(f.States) < 2 && len(f.Methods) < 2 {
		return listHead + listRows + where.String() + listNewest
	}
	from := listEach
	if len(f.States) > 1 {
		from += listEachState
	}
	if len(f.Methods) > 1 {
		from += listEachMethod
	}
	return listHead + from + listEachRows + listRows + where.String() + listNewest + listFound + listNewest
}

// args are the arguments of the statement: those that it does not have are left out by pgx.
func (f Filter) args(before Position, count int) pgx.NamedArgs {
	// A later page begins below the end already.
	if next := f.End.Add(0, 0, 1); f.End != "" && next < before.Day {
		before = Position{Day: next, CreateTime: time.Time{}, ID: uuid.Nil}
	}
	first := func(values []string) string { return strings.Join(values[:min(1, len(values))], "") }
	return pgx.NamedArgs{
		"state": first(f.States), "method": first(f.Methods),
		"collective": f.Collective, "campaign": f.Campaign, "states": f.States, "methods": f.Methods,
		"currency": string(f.Currency), "min": f.Min, "max": f.Max, "start_day": string(f.Start), "recurring": f.Recurring,
		"before_day": string(before.Day), "before_time": before.CreateTime, "before_id": before.ID, "count": count,
		"document": strings.ToLower(f.Reference),
	}
}

// List returns up to count contributions of the filter, newest first, those before the given one.
func (s *Service) List(ctx context.Context, f Filter, before Position, count int) ([]Contribution, error) {
	args := f.args(before, count)
	args["now"] = s.cfg.Now()
	if f.Reference != "" {
		ids, err := s.find(ctx, f.Collective, f.Reference)
		if err != nil {
			return nil, err
		}
		args["ids"] = ids
	}
	// A plan for these very arguments: one for all of them would not tell a rare amount from a common one.
	rows, err := s.cfg.Pool.Query(ctx, f.statement(), pgx.QueryExecModeCacheDescribe, args)
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scan)
	return found, postgres.Error(err)
}

// Each part is a probe of an index, and finds a few rows at most. Those of other collectives are left out by the list.
const findSQL = `
SELECT d.id
FROM donations.donations AS d
WHERE d.payment_intent_id = @reference
UNION
SELECT p.donation
FROM donations.payments AS p
WHERE p.payment_intent_id = @reference
UNION
SELECT d.id
FROM donations.donations AS d
WHERE d.charge_id = @reference
UNION
SELECT d.id
FROM donations.donations AS d
WHERE d.checkout_session_id = @reference
UNION
SELECT e.donation
FROM donations.earlier_sessions AS e
WHERE e.session_id = @reference
UNION
SELECT d.id
FROM collectives.collectives AS o
JOIN donations.donations AS d ON d.stripe_account = o.stripe_account AND d.invoice_id = @reference
WHERE o.id = @collective
UNION
SELECT r.donation
FROM collectives.collectives AS o
JOIN refunds.refunds AS r ON r.stripe_account = o.stripe_account AND r.stripe_refund_id = @reference
WHERE o.id = @collective
UNION
SELECT t.donation
FROM collectives.collectives AS o
JOIN refunds.disputes AS t ON t.stripe_account = o.stripe_account AND t.id = @reference
WHERE o.id = @collective
UNION
SELECT p.id
FROM treasury.pledges AS p
WHERE p.reference = @code
UNION
SELECT d.id
FROM treasury.pledges AS p
JOIN treasury.offline_donations AS d ON d.pledge = p.id AND d.state IN ('received', 'banked')
WHERE p.reference = @code`

var (
	uuidPattern = regexp.MustCompile(`[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`)
	codePattern = regexp.MustCompile(`^(?:CAG)?([2-9A-Y]{8})$`)
)

// find returns the contributions that a reference of ours or of Stripe's names.
func (s *Service) find(ctx context.Context, collective, reference string) ([]uuid.UUID, error) {
	ids := []uuid.UUID{}
	// An id may stand in a name or an address.
	for _, text := range uuidPattern.FindAllString(reference, 2) {
		if id, err := uuid.Parse(text); err == nil {
			ids = append(ids, id)
		}
	}
	if len(ids) > 0 {
		// The last one names the innermost thing.
		return ids[len(ids)-1:], nil
	}
	code := ""
	if match := codePattern.FindStringSubmatch(strings.NewReplacer("-", "", " ", "").Replace(strings.ToUpper(reference))); match != nil {
		code = match[1]
	}
	rows, err := s.cfg.Pool.Query(ctx, findSQL, pgx.NamedArgs{"collective": collective, "reference": reference, "code": code})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	return append(ids, found...), postgres.Error(err)
}

// sorted returns the texts sorted and without repeats.
func sorted(texts []string) []string {
	slices.Sort(texts)
	return slices.Compact(texts)
}
