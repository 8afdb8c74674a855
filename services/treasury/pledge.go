package treasury

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fingerprint"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/wall"
)

// pledgeLife is how long a pledge is open.
// An expired pledge is still found by its reference, and a donation may still fulfil it.
const pledgeLife = 90 * 24 * time.Hour

// Pledge is a promise to give.
type Pledge struct {
	ID       uuid.UUID
	Campaign campaigns.Name
	// Reference is written as people read it: CAG-7K3M-9QXT.
	Reference string
	Amount    money.Amount
	Method    Method
	Locale    string
	// Donation is the offline donation that fulfils it; uuid.Nil for none yet.
	Donation   uuid.UUID
	CreateTime time.Time
	ExpireTime time.Time
}

// Fulfilled reports whether the money came.
func (p Pledge) Fulfilled() bool { return p.Donation != uuid.Nil }

// Name returns the resource name.
func (p Pledge) Name() string { return pledgeName(p.Campaign, p.ID) }

func pledgeName(c campaigns.Name, id uuid.UUID) string { return c.String() + "/pledges/" + id.String() }

// NewPledge is what a pledge is made of.
type NewPledge struct {
	Campaign campaigns.Name
	Amount   money.Amount
	Method   Method
	// Locale is one of money.Languages; "fr" when empty.
	Locale string
	// Origin is that of the page that asks; empty when the caller is no browser.
	Origin string
	// Address is where the request comes from; invalid when unknown. It is not stored.
	Address netip.Addr
	// Solution is that of a challenge of package wall; empty for none.
	Solution string
}

// CreatePledge makes a pledge. Sent twice, it makes one, and the repeat does not count for the limit of the network.
// Errors: those of the proto's method.
func (s *Service) CreatePledge(ctx context.Context, r Request, n NewPledge) (Pledge, error) {
	if n.Locale == "" {
		n.Locale = campaigns.French
	}
	campaign, err := s.cfg.Campaigns.Get(ctx, n.Campaign)
	if err == nil && campaign.State == campaigns.StateDraft {
		err = errs.NotFound(n.Campaign.String()) // a draft is not public
	}
	if err != nil {
		return Pledge{}, err
	}
	// The pages of the service itself may take pledges for every campaign, other sites only for campaigns that name
	// them.
	if n.Origin != "" && n.Origin != s.cfg.PublicURL && !campaign.AllowsOrigin(n.Origin) {
		return Pledge{}, errs.New(errorsv1.ErrorReason_ORIGIN_NOT_ALLOWED, "Pages of this origin may not take donations for %s.", n.Campaign)
	}
	group, err := s.cfg.Collectives.Get(ctx, n.Campaign.Collective)
	if err != nil {
		return Pledge{}, err
	}
	// The origin and the network are left out, so a repeat may come from another one.
	fields := fingerprint.Fields{
		"campaign": n.Campaign.Campaign, "currency": string(n.Amount.Currency), "amount_minor": strconv.FormatInt(n.Amount.Minor, 10),
		"method": string(n.Method), "locale": n.Locale,
	}
	attempt := wall.Attempt{
		Kind: wall.Pledge, Address: n.Address, Campaign: n.Campaign.String(), Account: group.StripeAccount,
		Amount: n.Amount, Solution: n.Solution,
	}
	// Only a new pledge is checked: a repeat is answered whatever became of the campaign. Nothing is written before the wall has
	// let it through.
	sent, err := s.sent(ctx, r, n.Campaign.Collective, "create_pledge")
	if err == nil && !sent {
		err = s.checkPledge(n, campaign, group)
	}
	if err == nil && !sent {
		err = s.cfg.Wall.Check(ctx, attempt)
	}
	if err != nil {
		return Pledge{}, err
	}
	id := newID()
	made, err := s.Once(ctx, r, n.Campaign.Collective, "create_pledge", id, fields,
		func(ctx context.Context, tx pgx.Tx, now time.Time) error {
			// A pledge that the wall refuses is rolled back with the request, so the same request can be sent again
			// later.
			if err := s.insertPledgeTx(ctx, tx, id, n, now); err != nil {
				return err
			}
			// This comes last, because it locks the rows of the network until the commit.
			return s.cfg.Wall.TakeTx(ctx, tx, attempt)
		})
	if err != nil {
		return Pledge{}, err
	}
	return s.Pledge(ctx, n.Campaign, made)
}

// checkPledge refuses a pledge that the campaign, now, or the collective's settings do not allow. The bounds of the
// amount are those of donations by card.
func (s *Service) checkPledge(n NewPledge, campaign campaigns.Campaign, group collectives.Collective) error {
	if err := campaign.AcceptsDonations(s.now()); err != nil {
		return err
	}
	switch {
	case !offers(group, n.Method):
		return errs.New(errorsv1.ErrorReason_PLEDGE_METHOD_UNAVAILABLE, "%s does not take pledges by this method.", group.Name())
	case n.Amount.Currency != campaign.Currency:
		return refused(errorsv1.ErrorReason_CURRENCY_MISMATCH, "pledge.amount.currency_code", "must be the campaign's, "+string(campaign.Currency))
	case n.Amount.Minor < campaign.Minimum.Minor:
		return refused(errorsv1.ErrorReason_AMOUNT_TOO_SMALL, "pledge.amount.amount_minor", "must be at least "+campaign.Minimum.String())
	case n.Amount.Minor > campaign.Maximum.Minor:
		return refused(errorsv1.ErrorReason_AMOUNT_TOO_LARGE, "pledge.amount.amount_minor", "must be at most "+campaign.Maximum.String())
	}
	return nil
}

// offers reports whether a collective's settings allow a method: a transfer needs its bank account, a cheque its payee.
func offers(c collectives.Collective, m Method) bool {
	switch m {
	case MethodCash:
		return true
	case MethodTransfer:
		return c.BankAccount.IBAN != ""
	case MethodCheque:
		return c.ChequePayee != ""
	}
	return false
}

// PledgeMethods returns the methods that a pledge to a campaign can have now: none when the campaign takes no donations, or
// does not exist.
func (s *Service) PledgeMethods(ctx context.Context, name campaigns.Name) (methods []Method, err error) {
	campaign, err := s.cfg.Campaigns.Get(ctx, name)
	if errors.Is(err, errs.NotFound("")) {
		return nil, nil
	}
	if err != nil || campaign.AcceptsDonations(s.now()) != nil {
		return nil, err
	}
	group, err := s.cfg.Collectives.Get(ctx, name.Collective)
	if err != nil {
		return nil, err
	}
	// A cheque to the lawyer cannot be pledged. The order is that in which the methods are offered.
	for _, m := range []Method{MethodTransfer, MethodCheque, MethodCash} {
		if offers(group, m) {
			methods = append(methods, m)
		}
	}
	return methods, nil
}

// Slip is what a giver needs to keep a pledge.
type Slip struct {
	// Holder, IBAN, BIC and QR are of a transfer. EPC is the text of the QR code, QR its picture; both may be empty.
	Holder, IBAN, BIC string
	EPC, QR           string
	// Payee and PostalAddress are of a cheque.
	Payee         string
	PostalAddress []string
}

// Slip returns the slip of a pledge, with the current settings of the collective.
// The reference is what lets a line of the bank be recognised, so it is the remittance text of a transfer.
func (s *Service) Slip(ctx context.Context, p Pledge) (slip Slip, err error) {
	group, err := s.cfg.Collectives.Get(ctx, p.Campaign.Collective)
	if err != nil {
		return Slip{}, err
	}
	switch {
	// A collective that removed its account since leaves the slip empty.
	case p.Method == MethodTransfer && group.BankAccount.IBAN != "":
		a := group.BankAccount
		slip.Holder, slip.IBAN, slip.BIC = a.Holder, a.IBAN, a.BIC
		slip.EPC = epcPayload(transfer{holder: a.Holder, iban: a.IBAN, bic: a.BIC, amount: p.Amount, remittance: p.Reference})
		if slip.EPC != "" {
			slip.QR, err = qrSVG(slip.EPC)
		}
	case p.Method == MethodCheque:
		slip.Payee, slip.PostalAddress = group.ChequePayee, group.PostalAddress
	}
	return slip, err
}

// pledgeColumns is what scanPledge reads. The donation is sought under the condition of the unique index
// offline_donations_pledge_key, so there is one at most. After it bounced or was reversed the pledge is open again.
const pledgeColumns = `
	p.id,
	p.collective,
	p.campaign,
	p.reference,
	p.amount_minor,
	p.currency,
	p.method,
	p.locale,
	coalesce((
		SELECT d.id
		FROM treasury.offline_donations AS d
		WHERE d.pledge = p.id
			AND d.state IN ('received', 'banked')
	), '00000000-0000-0000-0000-000000000000'),
	p.created_at,
	p.expires_at`

func scanPledge(r pgx.CollectableRow) (p Pledge, err error) {
	var code string
	if err = r.Scan(&p.ID, &p.Campaign.Collective, &p.Campaign.Campaign, &code, &p.Amount.Minor, &p.Amount.Currency, &p.Method,
		&p.Locale, &p.Donation, &p.CreateTime, &p.ExpireTime); err != nil {
		return p, err
	}
	p.Reference = formatReference(code)
	p.CreateTime, p.ExpireTime = p.CreateTime.UTC(), p.ExpireTime.UTC()
	return p, nil
}

const pledgeSQL = `
SELECT` + pledgeColumns + `
FROM treasury.pledges AS p
WHERE p.id = @id`

// Pledge returns one pledge of a campaign; NOT_FOUND when there is none.
func (s *Service) Pledge(ctx context.Context, campaign campaigns.Name, id uuid.UUID) (Pledge, error) {
	p, err := pledgeByID(ctx, s.cfg.Pool, id)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && p.Campaign != campaign {
		return Pledge{}, errs.NotFound(pledgeName(campaign, id))
	}
	return p, postgres.Error(err)
}

// PledgeTx returns a pledge of a collective, of whatever campaign.
//
// Errors: NOT_FOUND.
func (s *Service) PledgeTx(ctx context.Context, tx pgx.Tx, collective string, id uuid.UUID) (Pledge, error) {
	p, err := pledgeByID(ctx, tx, id)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && p.Campaign.Collective != collective {
		return Pledge{}, errs.NotFound("collectives/" + collective + "/pledges/" + id.String())
	}
	return p, postgres.Error(err)
}

// pledgesNamedSQL returns the pledges that have one of the references, whatever their state. The unique constraint
// pledges_reference_key serves it.
const pledgesNamedSQL = `
SELECT
	p.id,
	p.reference
FROM treasury.pledges AS p
WHERE p.reference = ANY(@references::text[])
	AND p.collective = @collective`

// PledgesNamedTx returns, for each text, the pledge of the collective whose reference is in it, however it is written;
// uuid.Nil for none, and for several.
func (s *Service) PledgesNamedTx(ctx context.Context, tx pgx.Tx, collective string, texts []string) ([]uuid.UUID, error) {
	// The references in all texts are looked up with one statement.
	named := make([][]string, len(texts))
	var references []string
	for i, text := range texts {
		named[i] = findReferences(text)
		references = append(references, named[i]...)
	}
	rows, err := tx.Query(ctx, pledgesNamedSQL, pgx.NamedArgs{"references": references, "collective": collective})
	if err != nil {
		return nil, postgres.Error(err)
	}
	ids := map[string]uuid.UUID{}
	var id uuid.UUID
	var code string
	if _, err := pgx.ForEachRow(rows, []any{&id, &code}, func() error { ids[code] = id; return nil }); err != nil {
		return nil, postgres.Error(err)
	}
	pledges := make([]uuid.UUID, len(texts))
	for i := range texts {
		// A text may hold characters that look like a reference by chance, or the reference of another collective.
		// Those count for nothing. A text with two references that are known is left to a member.
		known := slices.DeleteFunc(named[i], func(code string) bool { return ids[code] == uuid.Nil })
		if len(known) == 1 {
			pledges[i] = ids[known[0]]
		}
	}
	return pledges, nil
}

// pledgesOfAmountSQL returns pledges of transfers of one amount that were made in a span of time, the newest first. The
// index pledges_amount_idx serves it.
const pledgesOfAmountSQL = `
SELECT` + pledgeColumns + `
FROM treasury.pledges AS p
WHERE p.collective = @collective
	AND p.amount_minor = @amount_minor
	AND p.method = 'transfer'
	AND p.currency = @currency
	AND p.created_at >= @start
	AND p.created_at < @end
ORDER BY
	p.created_at DESC,
	p.id DESC
LIMIT @count`

// PledgesOfAmountTx returns up to count pledges of transfers of an amount that were made in a span of time, the newest
// first. Some of them may be fulfilled.
func (s *Service) PledgesOfAmountTx(
	ctx context.Context, tx pgx.Tx, collective string, amount money.Amount, start, end time.Time, count int,
) ([]Pledge, error) {
	return postgres.All(ctx, tx, scanPledge, pledgesOfAmountSQL, pgx.NamedArgs{
		"collective": collective, "amount_minor": amount.Minor, "currency": string(amount.Currency),
		"start": start, "end": end, "count": count,
	})
}

// pledgeByID returns pgx.ErrNoRows when there is none.
func pledgeByID(ctx context.Context, db postgres.Querier, id uuid.UUID) (Pledge, error) {
	return postgres.One(ctx, db, scanPledge, pledgeSQL, pgx.NamedArgs{"id": id})
}

// listPledgesSQL returns a page of a campaign's pledges; an empty reference leaves all. The index pledges_list_idx has
// their order.
const listPledgesSQL = `
SELECT` + pledgeColumns + `
FROM treasury.pledges AS p
WHERE p.collective = @collective
	AND p.campaign = @campaign
	AND (@reference = '' OR p.reference = @reference)
	AND (p.created_at, p.id) < (@before_time, @before_id)
ORDER BY
	p.created_at DESC,
	p.id DESC
LIMIT @count`

// Pledges returns up to count pledges of a campaign, newest first, before the given place. With a reference it returns only
// the pledge that has it.
//
// Errors: INVALID_ARGUMENT for a text that is no reference, or mistyped.
func (s *Service) Pledges(ctx context.Context, campaign campaigns.Name, reference string, before Position, count int) ([]Pledge, error) {
	code := ""
	if reference != "" {
		var ok bool
		if code, ok = parseReference(reference); !ok {
			return nil, errs.Invalid("reference", "must be the reference of a pledge: a character is wrong or missing")
		}
	}
	return postgres.All(ctx, s.cfg.Pool, scanPledge, listPledgesSQL, pgx.NamedArgs{
		"collective": campaign.Collective, "campaign": campaign.Campaign, "reference": code,
		"before_time": before.Time, "before_id": before.ID, "count": count,
	})
}

// insertPledgeSQL stores a pledge, and nothing when another one has the reference. No error aborts the transaction
// then, so another reference can be tried in it.
const insertPledgeSQL = `
INSERT INTO treasury.pledges (
	id,
	collective,
	campaign,
	reference,
	amount_minor,
	currency,
	method,
	locale,
	created_at,
	expires_at
)
VALUES (
	@id,
	@collective,
	@campaign,
	@reference,
	@amount_minor,
	@currency,
	@method,
	@locale,
	@now,
	@expires_at
)
ON CONFLICT (reference) DO NOTHING`

// insertPledgeTx stores a pledge under a new reference: it draws until one is free.
func (s *Service) insertPledgeTx(ctx context.Context, tx pgx.Tx, id uuid.UUID, n NewPledge, now time.Time) error {
	for {
		code, err := newReference(randomness)
		if err != nil {
			return errs.Internal(err)
		}
		tag, err := tx.Exec(ctx, insertPledgeSQL, pgx.NamedArgs{
			"id": id, "collective": n.Campaign.Collective, "campaign": n.Campaign.Campaign, "reference": code,
			"amount_minor": n.Amount.Minor, "currency": string(n.Amount.Currency), "method": string(n.Method), "locale": n.Locale,
			"now": now, "expires_at": now.Add(pledgeLife),
		})
		// No row means that the reference was taken.
		if err != nil || tag.RowsAffected() == 1 {
			return postgres.Error(err)
		}
	}
}
