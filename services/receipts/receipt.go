package receipts

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// State is where a receipt is.
type State string

// The states, as they are stored.
const (
	StateIssued   State = "issued"
	StateCanceled State = "canceled"
)

// CancelReason is why a receipt was canceled.
type CancelReason string

// The reasons, as they are stored; empty while the receipt stands.
const (
	CanceledByMember    CancelReason = "member"
	CanceledRefunded    CancelReason = "refunded"
	CanceledDisputeLost CancelReason = "dispute_lost"
)

// Receipt is a receipt, without who gave.
type Receipt struct {
	ID         uuid.UUID
	Collective string
	Year       int
	Sequence   int64
	Campaign   string
	Donation   uuid.UUID
	// Declaration is the one that it was issued under.
	Declaration uuid.UUID
	Kind        DonorKind
	Amount      money.Amount
	// PaymentMethod is Stripe's word.
	PaymentMethod string
	// DonationDate and IssueDate are days in the collective's zone, at midnight UTC.
	DonationDate, IssueDate time.Time
	PDFSHA256               []byte
	// SealedTo are the keys that open the identity.
	SealedTo []uuid.UUID
	// Replaces is the receipt that it replaces, and ReplacedBy the one that replaces it; Nil for none.
	Replaces, ReplacedBy uuid.UUID
	State                State
	CancelReason         CancelReason
	CancelNote           string
	// Reissuable: the donor can ask for another one.
	Reissuable bool
	CreateTime time.Time
	// CancelTime and EraseTime are zero until then.
	CancelTime, EraseTime time.Time

	requestHash, donorCheck []byte
}

// Name returns the resource name.
func (r Receipt) Name() string { return receiptName(r.Collective, r.ID) }

func receiptName(collective string, id uuid.UUID) string {
	return "collectives/" + collective + "/receipts/" + id.String()
}

// DonationName is the resource name of the donation.
func (r Receipt) DonationName() string {
	return campaigns.Name{Collective: r.Collective, Campaign: r.Campaign}.String() + "/donations/" + r.Donation.String()
}

// Number is what the receipt shows.
func (r Receipt) Number() string { return fmt.Sprintf("%04d-%05d", r.Year, r.Sequence) }

func (r Receipt) auditFields() audit.Fields {
	return audit.Fields{"number": r.Number(), "state": string(r.State), "note": r.CancelNote, "reissuable": fmt.Sprint(r.Reissuable)}
}

const receiptColumns = `
	r.id,
	r.collective,
	r.year,
	r.sequence,
	r.campaign,
	r.donation,
	r.declaration,
	r.donor_kind,
	r.amount_minor,
	r.currency,
	r.payment_method,
	r.donated_on,
	r.issued_on,
	r.request_hash,
	r.donor_check,
	r.pdf_sha256,
	r.sealed_to,
	r.replaces,
	(
		SELECT n.id
		FROM receipts.receipts AS n
		WHERE n.replaces = r.id
	),
	r.state,
	r.cancel_reason,
	r.cancel_note,
	r.reissuable,
	r.canceled_at,
	r.erased_at,
	r.created_at`

func scanReceipt(row pgx.CollectableRow) (r Receipt, err error) {
	var replaces, replacedBy *uuid.UUID
	var canceled, erased *time.Time
	err = row.Scan(&r.ID, &r.Collective, &r.Year, &r.Sequence, &r.Campaign, &r.Donation, &r.Declaration, &r.Kind, &r.Amount.Minor,
		&r.Amount.Currency, &r.PaymentMethod, &r.DonationDate, &r.IssueDate, &r.requestHash, &r.donorCheck, &r.PDFSHA256, &r.SealedTo,
		&replaces, &replacedBy, &r.State, &r.CancelReason, &r.CancelNote, &r.Reissuable, &canceled, &erased, &r.CreateTime)
	if replaces != nil {
		r.Replaces = *replaces
	}
	if replacedBy != nil {
		r.ReplacedBy = *replacedBy
	}
	r.CreateTime, r.CancelTime, r.EraseTime = r.CreateTime.UTC(), fromNull(canceled), fromNull(erased)
	return r, err
}

const ofDonationSQL = `
SELECT` + receiptColumns + `
FROM receipts.receipts AS r
WHERE r.donation = @donation
ORDER BY
	r.created_at DESC,
	r.id DESC`

// ofDonation returns all receipts of a donation, the last one first.
func ofDonation(ctx context.Context, db postgres.Querier, donation uuid.UUID) ([]Receipt, error) {
	return postgres.All(ctx, db, scanReceipt, ofDonationSQL, pgx.NamedArgs{"donation": donation})
}

// OfferState says whether a receipt can be had.
type OfferState int

// The states of an offer, as in the contract.
const (
	NotOffered OfferState = iota
	WithoutReceipt
	Offered
	Issued
	CanceledForGood
)

// Offer is what can be had for a donation.
type Offer struct {
	Donation donations.Donation
	State    OfferState
	Kinds    []DonorKind
	// Number is that of the last receipt; empty for none.
	Number string
	// Erasable: the donor's identity is kept, sealed.
	Erasable bool
	Amount   money.Amount
}

// left is what was given and not given back: what a receipt is about. ok is false when there is no receipt of it.
func left(d donations.Donation) (amount money.Amount, ok bool) {
	amount = d.Amount
	// Of a donation that was paid twice, refunds are counted below zero until the second payment went back.
	amount.Minor -= max(0, d.RefundedMinor)
	arrived := d.State == donations.StateSucceeded || d.State == donations.StatePartiallyRefunded
	return amount, arrived && !d.BookTime.IsZero() && !d.PayTime.IsZero() && d.DisputedMinor <= 0 && amount.Minor > 0 && amount.Currency == "EUR"
}

// GetOffer says whether a receipt can be had for a donation.
func (s *Service) GetOffer(ctx context.Context, campaign campaigns.Name, donation uuid.UUID) (o Offer, err error) {
	if o.Donation, err = s.cfg.Donations.Get(ctx, campaign, donation); err != nil {
		return Offer{}, err
	}
	collective, err := s.cfg.Collectives.Get(ctx, campaign.Collective)
	if err != nil {
		return Offer{}, err
	}
	// Nothing is locked for a page that shows it: who issues asks again under locks.
	o, _, err = offerOf(ctx, s.cfg.Pool, collective, o.Donation)
	return o, err
}

// offerOf also returns all receipts of the donation, the last one first.
func offerOf(ctx context.Context, db postgres.Querier, c collectives.Collective, d donations.Donation) (o Offer, all []Receipt, err error) {
	o.Donation = d
	if all, err = ofDonation(ctx, db, d.ID); err != nil {
		return o, nil, err
	}
	active, declared, err := inState(ctx, db, inStateSQL, c.ID, DeclarationActive)
	if err != nil {
		return o, nil, err
	}
	keys, err := postgres.All(ctx, db, scanKey, sealingSQL, pgx.NamedArgs{"collective": c.ID})
	if err != nil {
		return o, nil, err
	}
	amount, ok := left(d)
	o.Amount = amount
	if len(all) > 0 {
		o.Number = all[0].Number()
	}
	for _, r := range all {
		o.Erasable = o.Erasable || r.EraseTime.IsZero()
	}
	switch {
	case len(all) > 0 && all[0].State == StateIssued:
		o.State, o.Amount = Issued, all[0].Amount
	case len(all) > 0 && !all[0].Reissuable:
		o.State = CanceledForGood
	// A suspended collective issues nothing more in its name.
	case !declared || len(keys) == 0 || !c.SuspendTime.IsZero():
		o.State = NotOffered
	case !ok:
		o.State = WithoutReceipt
	default:
		o.State, o.Kinds = Offered, active.kinds()
	}
	return o, all, nil
}

const nextNumberSQL = `
INSERT INTO receipts.counters AS c (
	collective,
	year,
	last
)
VALUES (
	@collective,
	@year,
	1
)
ON CONFLICT (collective, year) DO UPDATE
SET last = c.last + 1
RETURNING c.last`

const insertReceiptSQL = `
INSERT INTO receipts.receipts (
	id,
	collective,
	year,
	sequence,
	campaign,
	donation,
	declaration,
	donor_kind,
	amount_minor,
	currency,
	payment_method,
	donated_on,
	issued_on,
	request_hash,
	donor_check,
	pdf_sha256,
	sealed,
	sealed_to,
	replaces,
	created_at
)
VALUES (
	@id,
	@collective,
	@year,
	@sequence,
	@campaign,
	@donation,
	@declaration,
	@donor_kind,
	@amount_minor,
	@currency,
	@payment_method,
	@donated_on,
	@issued_on,
	@request_hash,
	@donor_check,
	@pdf_sha256,
	@sealed,
	@sealed_to,
	@replaces,
	@created_at
)`

var (
	errNotOffered     = errs.New(errorsv1.ErrorReason_RECEIPTS_NOT_OFFERED, "The collective issues no receipts to this kind of donor.")
	errWithoutReceipt = errs.New(errorsv1.ErrorReason_DONATION_WITHOUT_RECEIPT, "The donation has not arrived, went back, is disputed, or is not in euros.")
	errExists         = errs.New(errorsv1.ErrorReason_RECEIPT_EXISTS, "The donation has a receipt. The collective can have it replaced.")
	errCanceled       = errs.New(errorsv1.ErrorReason_RECEIPT_CANCELED, "The receipt was canceled.")
)

// Issue issues the receipt of a donation and returns its PDF. The same request and donor again are the same receipt and PDF.
// For the errors see the contract's IssueReceipt.
func (s *Service) Issue(ctx context.Context, campaign campaigns.Name, donation, request uuid.UUID, donor Donor) (r Receipt, pdf []byte, err error) {
	d, err := s.cfg.Donations.Get(ctx, campaign, donation)
	if err != nil {
		return Receipt{}, nil, err
	}
	if err := donor.normalise(); err != nil {
		return Receipt{}, nil, err
	}
	// The hashes in the database rest on the id: one that can be guessed is refused.
	if request.Version() != 4 {
		return Receipt{}, nil, errs.Invalid("request_id", "must be a random UUID, of version 4")
	}
	collective, err := s.cfg.Collectives.Get(ctx, campaign.Collective)
	if err != nil {
		return Receipt{}, nil, err
	}
	zone, err := collective.Location()
	if err != nil {
		return Receipt{}, nil, errs.Internal(err)
	}
	check, err := donor.check(request)
	if err != nil {
		return Receipt{}, nil, errs.Internal(err)
	}
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		// Nothing of the donation is booked until the commit.
		if d, err = s.cfg.Donations.LockTx(ctx, tx, donation); err != nil {
			return postgres.Error(err)
		}
		offer, all, err := offerOf(ctx, tx, collective, d)
		if err != nil {
			return err
		}
		for _, stored := range all {
			if !bytes.Equal(stored.requestHash, requestHash(request)) {
				continue
			}
			r, pdf, err = repeatTx(ctx, tx, stored, all, request, donor, check)
			return err
		}
		switch {
		case offer.State == NotOffered:
			return errNotOffered
		case offer.State == WithoutReceipt:
			return errWithoutReceipt
		case offer.State == Issued:
			return errExists
		case offer.State == CanceledForGood:
			return errCanceled
		}
		now := s.now()
		issued := dayIn(now, zone)
		r = Receipt{
			ID: uuid.Must(uuid.NewV7()), Collective: campaign.Collective, Year: issued.Year(), Campaign: d.Campaign.Campaign, Donation: donation,
			Kind: donor.Kind, Amount: offer.Amount, PaymentMethod: d.PaymentMethod, DonationDate: dayIn(d.PayTime, zone), IssueDate: issued,
			State: StateIssued, CreateTime: now, requestHash: requestHash(request), donorCheck: check,
		}
		pdf, err = s.issueTx(ctx, tx, &r, all, request, donor)
		return err
	})
	return r, pdf, err
}

// issueTx numbers, prints, seals and stores a receipt.
func (s *Service) issueTx(ctx context.Context, tx pgx.Tx, r *Receipt, before []Receipt, request uuid.UUID, donor Donor) (pdf []byte, err error) {
	declaration, declared, err := inStateTx(ctx, tx, r.Collective, DeclarationActive)
	if err != nil {
		return nil, err
	}
	if !declared || !declaration.Serves(donor.Kind) {
		return nil, errNotOffered
	}
	keys, err := sealingTx(ctx, tx, r.Collective)
	if err != nil {
		return nil, err
	}
	recipients := make([]string, len(keys))
	for i, k := range keys {
		recipients[i] = k.Recipient
		r.SealedTo = append(r.SealedTo, k.ID)
	}
	// Sealed before the number is taken, so that others wait for the number less.
	sealed, err := donor.seal(recipients)
	if err != nil {
		return nil, errs.Internal(err)
	}
	r.Declaration = declaration.ID
	var replaced *uuid.UUID
	if len(before) > 0 {
		r.Replaces = before[0].ID
		replaced = &r.Replaces
	}
	if err := tx.QueryRow(ctx, nextNumberSQL, pgx.NamedArgs{"collective": r.Collective, "year": r.Year}).Scan(&r.Sequence); err != nil {
		return nil, postgres.Error(err)
	}
	if pdf, err = print(*r, declaration, replacedNumber(*r, before), request, donor); err != nil {
		return nil, errs.Internal(err)
	}
	sum := sha256.Sum256(pdf)
	r.PDFSHA256 = sum[:]
	_, err = tx.Exec(ctx, insertReceiptSQL, pgx.NamedArgs{
		"id": r.ID, "collective": r.Collective, "year": r.Year, "sequence": r.Sequence, "campaign": r.Campaign, "donation": r.Donation,
		"declaration": r.Declaration, "donor_kind": string(r.Kind), "amount_minor": r.Amount.Minor, "currency": string(r.Amount.Currency),
		"payment_method": r.PaymentMethod, "donated_on": r.DonationDate, "issued_on": r.IssueDate, "request_hash": r.requestHash,
		"donor_check": r.donorCheck, "pdf_sha256": r.PDFSHA256, "sealed": sealed, "sealed_to": r.SealedTo, "replaces": replaced,
		"created_at": r.CreateTime,
	})
	return pdf, postgres.Error(err)
}

// repeatTx answers a request that was answered before: with the same PDF, from the declaration of then.
func repeatTx(ctx context.Context, tx pgx.Tx, stored Receipt, all []Receipt, request uuid.UUID, donor Donor, check []byte) (Receipt, []byte, error) {
	switch {
	case stored.State == StateCanceled:
		return Receipt{}, nil, errCanceled
	case !bytes.Equal(stored.donorCheck, check), !stored.EraseTime.IsZero():
		return Receipt{}, nil, errExists
	}
	declaration, err := postgres.One(ctx, tx, scanDeclaration, getDeclarationSQL, pgx.NamedArgs{"collective": stored.Collective, "id": stored.Declaration})
	if err != nil {
		return Receipt{}, nil, postgres.Error(err)
	}
	pdf, err := print(stored, declaration, replacedNumber(stored, all), request, donor)
	if err != nil {
		return Receipt{}, nil, errs.Internal(err)
	}
	return stored, pdf, nil
}

// replacedNumber is the number of the receipt that r replaces; empty for none.
func replacedNumber(r Receipt, all []Receipt) string {
	for _, other := range all {
		if r.Replaces != uuid.Nil && other.ID == r.Replaces {
			return other.Number()
		}
	}
	return ""
}

// dayIn is the day of a time in a zone, as midnight UTC.
func dayIn(t time.Time, zone *time.Location) time.Time {
	y, m, d := t.In(zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

const getReceiptSQL = `
SELECT` + receiptColumns + `
FROM receipts.receipts AS r
WHERE r.collective = @collective
	AND r.id = @id`

// Get returns one receipt.
func (s *Service) Get(ctx context.Context, collective string, id uuid.UUID) (Receipt, error) {
	r, err := postgres.One(ctx, s.cfg.Pool, scanReceipt, getReceiptSQL, pgx.NamedArgs{"collective": collective, "id": id})
	return foundReceipt(r, err, collective, id)
}

func foundReceipt(r Receipt, err error, collective string, id uuid.UUID) (Receipt, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return Receipt{}, errs.NotFound(receiptName(collective, id))
	}
	return r, postgres.Error(err)
}

// lockReceiptTx keeps a receipt from being canceled or erased by others.
func lockReceiptTx(ctx context.Context, tx pgx.Tx, collective string, id uuid.UUID) (Receipt, error) {
	r, err := postgres.One(ctx, tx, scanReceipt, lockReceiptSQL, pgx.NamedArgs{"collective": collective, "id": id})
	return foundReceipt(r, err, collective, id)
}

const lockReceiptSQL = getReceiptSQL + `
FOR UPDATE OF r`

// Filter is which receipts a list has.
type Filter struct {
	Collective string
	// Year and Donation are zero and Nil for all.
	Year     int
	Donation uuid.UUID
}

// NumberPosition is the place of a receipt in a list.
type NumberPosition struct {
	Year     int
	Sequence int64
}

// highest is before all receipts.
var highest = NumberPosition{Year: 1 << 30}

const listReceiptsSQL = `
SELECT` + receiptColumns + `
FROM receipts.receipts AS r
WHERE r.collective = @collective
	AND (@year::integer = 0 OR r.year = @year)
	AND (@donation::uuid IS NULL OR r.donation = @donation)
	AND (r.year, r.sequence) < (@before_year, @before_sequence)
ORDER BY
	r.year DESC,
	r.sequence DESC
LIMIT @count`

// List returns up to count receipts after the position, the highest number of the newest year first.
func (s *Service) List(ctx context.Context, f Filter, after NumberPosition, count int) ([]Receipt, error) {
	var donation *uuid.UUID
	if f.Donation != uuid.Nil {
		donation = &f.Donation
	}
	return postgres.All(ctx, s.cfg.Pool, scanReceipt, listReceiptsSQL, pgx.NamedArgs{
		"collective": f.Collective, "year": f.Year, "donation": donation, "before_year": after.Year, "before_sequence": after.Sequence, "count": count,
	})
}

// YearTotals are what art. 222 bis of the CGI asks for.
type YearTotals struct {
	Collective               string
	Year                     int
	Issued, Canceled         int64
	StandingMinor, GaveMinor int64
}

// Name returns the resource name.
func (y YearTotals) Name() string {
	return fmt.Sprintf("collectives/%s/receiptYears/%04d", y.Collective, y.Year)
}

const yearSQL = `
SELECT
	count(*),
	count(*) FILTER (WHERE r.state = 'canceled'),
	coalesce(sum(r.amount_minor) FILTER (WHERE r.state = 'issued'), 0)::bigint,
	(
		SELECT coalesce(sum(g.amount_minor), 0)::bigint
		FROM receipts.receipts AS g
		WHERE g.collective = @collective
			AND g.state = 'issued'
			AND g.donated_on >= make_date(@year, 1, 1)
			AND g.donated_on < make_date(@year + 1, 1, 1)
	)
FROM receipts.receipts AS r
WHERE r.collective = @collective
	AND r.year = @year`

// GetYear counts and adds up the receipts of a year.
func (s *Service) GetYear(ctx context.Context, collective string, year int) (YearTotals, error) {
	return postgres.One(ctx, s.cfg.Pool, func(row pgx.CollectableRow) (YearTotals, error) {
		y := YearTotals{Collective: collective, Year: year}
		err := row.Scan(&y.Issued, &y.Canceled, &y.StandingMinor, &y.GaveMinor)
		return y, err
	}, yearSQL, pgx.NamedArgs{"collective": collective, "year": year})
}
