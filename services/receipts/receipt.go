package receipts

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/collectives"
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
	CanceledReversed    CancelReason = "reversed"
)

// Receipt is a receipt, without who gave.
type Receipt struct {
	ID         uuid.UUID
	Collective string
	Year       int
	Sequence   int64
	// Subject is what it is of.
	Subject Subject
	// Declaration is the one that it was issued under.
	Declaration uuid.UUID
	Kind        DonorKind
	Amount      money.Amount
	// PaymentMethod is that of its payments; empty where they differ.
	PaymentMethod string
	// Payments are what it is of, oldest first.
	Payments []Payment
	// DonationDate, of the last payment, and IssueDate are days in the collective's zone, at midnight UTC.
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
	coalesce(r.donation, '00000000-0000-0000-0000-000000000000'),
	coalesce(r.recurring, '00000000-0000-0000-0000-000000000000'),
	coalesce(r.donation_year, 0),
	coalesce(r.pledge, '00000000-0000-0000-0000-000000000000'),
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
	err = row.Scan(&r.ID, &r.Collective, &r.Year, &r.Sequence, &r.Subject.Campaign.Campaign, &r.Subject.Donation,
		&r.Subject.Recurring, &r.Subject.Year, &r.Subject.Pledge, &r.Declaration, &r.Kind, &r.Amount.Minor,
		&r.Amount.Currency, &r.PaymentMethod, &r.DonationDate, &r.IssueDate, &r.requestHash, &r.donorCheck, &r.PDFSHA256, &r.SealedTo,
		&replaces, &replacedBy, &r.State, &r.CancelReason, &r.CancelNote, &r.Reissuable, &canceled, &erased, &r.CreateTime)
	if replaces != nil {
		r.Replaces = *replaces
	}
	if replacedBy != nil {
		r.ReplacedBy = *replacedBy
	}
	r.Subject.Campaign.Collective = r.Collective
	r.CreateTime, r.CancelTime, r.EraseTime = r.CreateTime.UTC(), fromNull(canceled), fromNull(erased)
	return r, err
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

// Offer is what can be had of a subject.
type Offer struct {
	// Subject has the year that was chosen.
	Subject Subject
	State   OfferState
	Kinds   []DonorKind
	// Number is that of the receipt that stands, or was canceled last; empty for none.
	Number string
	// Erasable: the donor's identity is kept, sealed.
	Erasable bool
	Amount   money.Amount
	// Payments are what the receipt is of, or would be.
	Payments []Payment
	// Years are those of a monthly donation that brought anything, newest first.
	Years []int
	// Over: nothing more comes in the year.
	Over bool
	// Mail: the receipt can be mailed.
	Mail bool
}

// GetOffer says whether a receipt can be had.
func (s *Service) GetOffer(ctx context.Context, subject Subject) (Offer, error) {
	collective, zone, err := s.collective(ctx, subject)
	if err != nil {
		return Offer{}, err
	}
	// Nothing is locked for a page that shows it: who issues asks again under locks.
	of, err := s.sourceTx(ctx, nil, subject, zone)
	if err != nil {
		return Offer{}, err
	}
	o, _, err := s.offerOf(ctx, s.cfg.Pool, collective, of)
	return o, err
}

func (s *Service) collective(ctx context.Context, subject Subject) (collectives.Collective, *time.Location, error) {
	c, err := s.cfg.Collectives.Get(ctx, subject.Campaign.Collective)
	if err != nil {
		return c, nil, err
	}
	zone, err := c.Location()
	if err != nil {
		return c, nil, errs.Internal(err)
	}
	return c, zone, nil
}

// offerOf also returns all receipts that have a payment of the source, the last one first.
func (s *Service) offerOf(ctx context.Context, db postgres.Querier, c collectives.Collective, of source) (o Offer, all []Receipt, err error) {
	o = Offer{Subject: of.subject, Years: of.years, Over: of.over, Mail: s.cfg.Mail.Enabled(), Amount: money.Amount{Currency: "EUR"}, Erasable: of.forgettable}
	if all, err = receiptsOf(ctx, db, of); err != nil {
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
	// The last receipt of a payment says whether there can be another one.
	last := map[uuid.UUID]Receipt{}
	for _, r := range slices.Backward(all) {
		o.Erasable = o.Erasable || r.EraseTime.IsZero()
		for _, p := range r.Payments {
			last[p.id()] = r
		}
	}
	var standing, barred *Receipt
	for _, id := range slices.Concat(of.donations, of.offline) {
		switch r, ok := last[id]; {
		case ok && r.State == StateIssued:
			standing = &r
		case ok && !r.Reissuable:
			barred = &r
		}
	}
	for _, p := range of.payments {
		if r, ok := last[p.id()]; !ok || r.State == StateCanceled && r.Reissuable {
			o.Payments, o.Amount.Minor = append(o.Payments, p), o.Amount.Minor+p.Amount.Minor
		}
	}
	free := len(o.Payments) > 0 && of.over
	// A suspended collective issues nothing more in its name.
	offers := declared && len(keys) > 0 && c.SuspendTime.IsZero()
	switch {
	case free && offers:
		o.State, o.Kinds = Offered, active.kinds()
		if i := replaceable(all, of.subject); i >= 0 {
			o.Number = all[i].Number()
		}
	case standing != nil:
		o.State, o.Amount, o.Payments, o.Number = Issued, standing.Amount, standing.Payments, standing.Number()
	case barred != nil:
		o.State, o.Number = CanceledForGood, barred.Number()
	default:
		if o.State = WithoutReceipt; !offers {
			o.State = NotOffered
		}
		if len(all) > 0 {
			o.Number = all[0].Number()
		}
	}
	return o, all, nil
}

func (p Payment) id() uuid.UUID {
	if p.Donation != uuid.Nil {
		return p.Donation
	}
	return p.OfflineDonation
}

// replaceable is the index of the receipt that another one of the subject replaces; -1 for none.
func replaceable(all []Receipt, subject Subject) int {
	return slices.IndexFunc(all, func(r Receipt) bool {
		return r.Subject == subject && r.State == StateCanceled && r.ReplacedBy == uuid.Nil
	})
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
	recurring,
	donation_year,
	pledge,
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
	@recurring,
	@donation_year,
	@pledge,
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

// Issue issues a receipt and returns its PDF, and mails it where an address is given. The same request and donor again are the
// same receipt and PDF. For the errors see the contract's IssueReceipt.
func (s *Service) Issue(ctx context.Context, subject Subject, request uuid.UUID, donor Donor, email string) (r Receipt, pdf []byte, mailed Mail, err error) {
	collective, zone, err := s.collective(ctx, subject)
	if err != nil {
		return Receipt{}, nil, "", err
	}
	// What does not exist is missing, whatever else is wrong.
	if _, err := s.sourceTx(ctx, nil, subject, zone); err != nil {
		return Receipt{}, nil, "", err
	}
	if err := donor.normalise(); err != nil {
		return Receipt{}, nil, "", err
	}
	if err := s.checkEmail(email); err != nil {
		return Receipt{}, nil, "", err
	}
	// The hashes in the database rest on the id: one that can be guessed is refused.
	if request.Version() != 4 {
		return Receipt{}, nil, "", errs.Invalid("request_id", "must be a random UUID, of version 4")
	}
	if subject.Recurring != uuid.Nil && subject.Year == 0 {
		return Receipt{}, nil, "", errs.Invalid("donation_year", "is required")
	}
	check, err := donor.check(request)
	if err != nil {
		return Receipt{}, nil, "", errs.Internal(err)
	}
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		// Nothing of the payments is booked until the commit.
		of, err := s.sourceTx(ctx, tx, subject, zone)
		if err != nil {
			return err
		}
		offer, all, err := s.offerOf(ctx, tx, collective, of)
		if err != nil {
			return err
		}
		for _, stored := range all {
			if stored.Subject != of.subject || !bytes.Equal(stored.requestHash, requestHash(request)) {
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
			ID: uuid.Must(uuid.NewV7()), Collective: collective.ID, Year: issued.Year(), Subject: of.subject, Kind: donor.Kind,
			Amount: offer.Amount, Payments: offer.Payments, PaymentMethod: commonMethod(offer.Payments),
			DonationDate: offer.Payments[len(offer.Payments)-1].Date, IssueDate: issued,
			State: StateIssued, CreateTime: now, requestHash: requestHash(request), donorCheck: check,
		}
		pdf, err = s.issueTx(ctx, tx, &r, all, request, donor)
		return err
	})
	if err != nil {
		return Receipt{}, nil, "", err
	}
	return r, pdf, s.mail(ctx, r, collective, pdf, email), nil
}

// commonMethod is the method of all payments; empty where they differ.
func commonMethod(all []Payment) string {
	for _, p := range all {
		if p.Method != all[0].Method {
			return ""
		}
	}
	return all[0].Method
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
	if i := replaceable(before, r.Subject); i >= 0 {
		r.Replaces = before[i].ID
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
	named := pgx.NamedArgs{
		"id": r.ID, "collective": r.Collective, "year": r.Year, "sequence": r.Sequence, "campaign": r.Subject.Campaign.Campaign,
		"donation": nullID(r.Subject.Donation), "recurring": nullID(r.Subject.Recurring), "donation_year": nil, "pledge": nullID(r.Subject.Pledge),
		"declaration": r.Declaration, "donor_kind": string(r.Kind), "amount_minor": r.Amount.Minor, "currency": string(r.Amount.Currency),
		"payment_method": r.PaymentMethod, "donated_on": r.DonationDate, "issued_on": r.IssueDate, "request_hash": r.requestHash,
		"donor_check": r.donorCheck, "pdf_sha256": r.PDFSHA256, "sealed": sealed, "sealed_to": r.SealedTo, "replaces": replaced,
		"created_at": r.CreateTime,
	}
	if r.Subject.Recurring != uuid.Nil {
		named["donation_year"] = r.Subject.Year
	}
	if _, err := tx.Exec(ctx, insertReceiptSQL, named); err != nil {
		return nil, postgres.Error(err)
	}
	return pdf, insertPaymentsTx(ctx, tx, *r)
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
	if r, err = foundReceipt(r, err, collective, id); err != nil {
		return Receipt{}, err
	}
	one := []Receipt{r}
	err = addPayments(ctx, s.cfg.Pool, one)
	return one[0], err
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
	AND (
		@donation::uuid IS NULL
		OR r.id IN (
			SELECT p.receipt
			FROM receipts.payments AS p
			WHERE p.donation = @donation
		)
	)
	AND (r.year, r.sequence) < (@before_year, @before_sequence)
ORDER BY
	r.year DESC,
	r.sequence DESC
LIMIT @count`

// List returns up to count receipts after the position, the highest number of the newest year first.
func (s *Service) List(ctx context.Context, f Filter, after NumberPosition, count int) ([]Receipt, error) {
	all, err := postgres.All(ctx, s.cfg.Pool, scanReceipt, listReceiptsSQL, pgx.NamedArgs{
		"collective": f.Collective, "year": f.Year, "donation": nullID(f.Donation), "before_year": after.Year, "before_sequence": after.Sequence,
		"count": count,
	})
	if err != nil {
		return nil, err
	}
	return all, addPayments(ctx, s.cfg.Pool, all)
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
		SELECT coalesce(sum(p.amount_minor), 0)::bigint
		FROM receipts.payments AS p
		WHERE p.collective = @collective
			AND p.standing
			AND p.donated_on >= make_date(@year, 1, 1)
			AND p.donated_on < make_date(@year + 1, 1, 1)
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
