package treasury

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fingerprint"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// Deposit is cheques that were banked together, on one slip.
type Deposit struct {
	ID         uuid.UUID
	Collective string
	// Total is what the cheques add up to.
	Total    money.Amount
	BankedOn calendar.Day
	// Document is the number of the slip.
	Document string
	// Cheques are in the order of their ids.
	Cheques []Cheque
	// AllowDuplicate books the deposit although a line of a bank statement that looks like it is booked already. It is
	// part of the request and not stored.
	// It is meant for two deposits of one amount within a few days.
	AllowDuplicate bool
	CreateTime     time.Time
}

// Cheque names an offline donation that came as a cheque.
type Cheque struct {
	Campaign campaigns.Name
	ID       uuid.UUID
	// Amount, Document and State are read with a deposit and ignored when it is made.
	Amount   money.Amount
	Document string
	State    DonationState
}

// Name returns the resource name of the donation.
func (c Cheque) Name() string { return donationName(c.Campaign, c.ID) }

// Name returns the resource name.
func (d Deposit) Name() string { return depositName(d.Collective, d.ID) }

func depositName(collective string, id uuid.UUID) string {
	return "collectives/" + collective + "/deposits/" + id.String()
}

// depositReference is that of a deposit in its book.
func depositReference(id uuid.UUID) string { return depositReferencePrefix + id.String() }

// chequeReference is that of the reversal of one cheque of a deposit.
func chequeReference(deposit, donation uuid.UUID) string {
	return depositReference(deposit) + ":" + donation.String()
}

const depositReferencePrefix = "deposit:"

func errNotHeld(name string) error {
	return errs.New(errorsv1.ErrorReason_CHEQUE_NOT_HELD, "%s is not a cheque of the collective that waits to be banked.", name)
}

// CreateDeposit banks cheques together. Sent twice, it banks them once. Errors: those of the proto's method.
func (s *Service) CreateDeposit(ctx context.Context, r Request, d Deposit) (Deposit, error) {
	days, err := s.localDays(ctx, d.Collective)
	if err != nil {
		return Deposit{}, err
	}
	if err := days.check("deposit.bank_date", d.BankedOn); err != nil {
		return Deposit{}, err
	}
	// Rows are locked in the order of their ids, so that two deposits never wait for one another.
	slices.SortFunc(d.Cheques, func(a, b Cheque) int { return slices.Compare(a.ID[:], b.ID[:]) })
	var cheques []string
	for _, c := range d.Cheques {
		cheques = append(cheques, c.Name())
	}
	// The fingerprint has the cheques in the order of their ids, so a repeat may list them in another order.
	d.ID = newID()
	made, err := s.Once(ctx, r, d.Collective, "create_deposit", d.ID, fingerprint.Fields{
		"bank_date": string(d.BankedOn), "document": d.Document, "cheques": fingerprint.List(cheques...),
		"allow_duplicate": fingerprint.Flag(d.AllowDuplicate),
	}, func(ctx context.Context, tx pgx.Tx, now time.Time) error {
		// The lock of the bank comes before those of the cheques, as [LockBankTx] asks.
		if err := LockBankTx(ctx, tx, d.Collective); err != nil {
			return err
		}
		d.CreateTime = now
		if err := s.bankChequesTx(ctx, tx, d, days, r.By); err != nil {
			return err
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: d.Collective, Resource: d.Name(),
			After: audit.Fields{"bank_date": string(d.BankedOn), "cheques": strconv.Itoa(len(d.Cheques))},
		})
	})
	// After the commit, because the comparison opens a transaction of its own. If it fails, the deposit is stored, and
	// a repeat of the request compares again.
	if err == nil {
		err = s.cfg.Banked(ctx, d.Collective)
	}
	if err != nil {
		return Deposit{}, err
	}
	return s.Deposit(ctx, d.Collective, made)
}

// bankChequesTx moves each cheque to its new state and books the deposit as one transaction with two entries for each
// cheque, so that one of them can be reversed alone.
func (s *Service) bankChequesTx(ctx context.Context, tx pgx.Tx, d Deposit, days localDays, by string) error {
	book, err := s.openBookTx(ctx, tx, d.Collective)
	if err != nil {
		return err
	}
	// The cheques are checked and the entries made before anything is written. The caller's deposit is not changed: it
	// is read again after the commit, with the total that is computed here.
	var donations []OfflineDonation
	t := ledger.Transaction{Reference: depositReference(d.ID), Kind: ledger.KindDeposit, Effective: d.BankedOn.Start(days.zone)}
	for _, c := range d.Cheques {
		donation, err := lockDonationTx(ctx, tx, c.Campaign, c.ID)
		switch {
		// A cheque that is not there is refused in the same words as one that was banked, bounced or reversed before.
		case errors.Is(err, errs.NotFound("")), err == nil && (donation.Method != MethodCheque || donation.State != DonationReceived):
			return errNotHeld(c.Name())
		case err != nil:
			return err
		case donation.ReceivedOn > d.BankedOn:
			return errs.Invalid("deposit.bank_date", "must not be before %s, when a cheque was received", donation.ReceivedOn)
		}
		// The currency of a deposit is that of its first cheque; Add refuses a cheque in another one.
		if d.Total.Currency == "" {
			d.Total.Currency = donation.Amount.Currency
		}
		if d.Total, err = d.Total.Add(donation.Amount); err != nil {
			return refused(errorsv1.ErrorReason_CURRENCY_MISMATCH, "deposit.cheques", "must all be in one currency")
		}
		// Each pair has the dimensions of its donation, so the account of cheques to bank can be read donation by
		// donation.
		banked := ledger.Entry{
			Role: ledger.RoleBank, Amount: donation.Amount,
			Collective: c.Campaign.Collective, Campaign: c.Campaign.Campaign, Donation: donation.ID,
		}
		t.Entries = append(t.Entries, pair("", "", time.Time{}, banked, ledger.Entry{Role: ledger.RoleChequesToBank}).Entries...)
		donation.State, donation.Deposit, donation.BankedOn = DonationBanked, d.ID, d.BankedOn
		donations = append(donations, donation)
	}
	// The bank shows one slip as one line, so the total is compared and not each cheque.
	if !d.AllowDuplicate {
		if err := s.checkUnbookedTx(ctx, tx, d.Collective, d.Total, d.BankedOn, days); err != nil {
			return err
		}
	}
	// The deposit comes before its donations, which refer to it by a foreign key.
	if err := insertDepositTx(ctx, tx, d, book, by); err != nil {
		return err
	}
	for _, donation := range donations {
		if err := s.updateDonationTx(ctx, tx, donation, d.CreateTime); err != nil {
			return err
		}
	}
	return s.postTx(ctx, tx, book, "deposit.bank_date", t)
}

// BounceCheque records that the bank returned a cheque. Sent twice, it does so once. Errors: those of the proto's method.
// The donation and its part of the deposit are reversed on the day of the bounce. The days on which they were booked
// stay as they were, and the other cheques of the deposit are not touched.
func (s *Service) BounceCheque(ctx context.Context, r Request, campaign campaigns.Name, id uuid.UUID, on calendar.Day) (OfflineDonation, error) {
	days, err := s.localDays(ctx, campaign.Collective)
	if err != nil {
		return OfflineDonation{}, err
	}
	if err := days.check("bounce_date", on); err != nil {
		return OfflineDonation{}, err
	}
	fields := fingerprint.Fields{"id": id.String(), "bounce_date": string(on)}
	if _, err := s.Once(ctx, r, campaign.Collective, "bounce_cheque", id, fields, func(ctx context.Context, tx pgx.Tx, now time.Time) error {
		// A line shows the bounce, so no import may compare the books with the bank meanwhile.
		if err := LockBankTx(ctx, tx, campaign.Collective); err != nil {
			return err
		}
		d, err := lockDonationTx(ctx, tx, campaign, id)
		switch {
		case err != nil:
			return err
		// This also refuses a cheque that bounced or was reversed before, and a donation that came in another way.
		case d.State != DonationBanked:
			return errs.New(errorsv1.ErrorReason_CHEQUE_NOT_BANKED, "%s is not a cheque that is banked.", d.Name())
		case on < d.BankedOn:
			return errs.Invalid("bounce_date", "must not be before %s, when the cheque was banked", d.BankedOn)
		}
		if err := s.unbookDonationTx(ctx, tx, d, on.Start(days.zone), "bounce_date"); err != nil {
			return err
		}
		before := d.auditFields()
		d.State, d.BouncedOn = DonationBounced, on
		if err := s.updateDonationTx(ctx, tx, d, now); err != nil {
			return err
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: campaign.Collective, Resource: d.Name(), Before: before, After: d.auditFields(),
		})
	}); err != nil {
		return OfflineDonation{}, err
	}
	// The bank shows a bounce as a line of its own, which may have been imported before.
	if err := s.cfg.Banked(ctx, campaign.Collective); err != nil {
		return OfflineDonation{}, err
	}
	return s.OfflineDonation(ctx, campaign, id)
}

// insertDepositSQL stores a deposit. A repeat of the request does not reach it: see [Service.Once].
const insertDepositSQL = `
INSERT INTO treasury.deposits (
	id,
	collective,
	book,
	total_minor,
	currency,
	banked_on,
	document,
	created_by,
	created_at
)
VALUES (
	@id,
	@collective,
	@book,
	@total_minor,
	@currency,
	@banked_on,
	@document,
	@created_by,
	@now
)`

func insertDepositTx(ctx context.Context, tx pgx.Tx, d Deposit, book, by string) error {
	_, err := tx.Exec(ctx, insertDepositSQL, pgx.NamedArgs{
		"id": d.ID, "collective": d.Collective, "book": book, "total_minor": d.Total.Minor, "currency": string(d.Total.Currency),
		"banked_on": string(d.BankedOn), "document": d.Document, "created_by": by, "now": d.CreateTime,
	})
	return postgres.Error(err)
}

// depositColumns is what scanDeposit reads. The arrays are in one order, so that the same place in all is one cheque. A
// cheque that bounced or was reversed later is still in them. The index offline_donations_deposit_idx serves them.
const depositColumns = `
	d.id,
	d.collective,
	d.total_minor,
	d.currency,
	to_char(d.banked_on, 'YYYY-MM-DD'),
	d.document,
	ARRAY(
		SELECT c.campaign
		FROM treasury.offline_donations AS c
		WHERE c.deposit = d.id
		ORDER BY c.id
	),
	ARRAY(
		SELECT c.id
		FROM treasury.offline_donations AS c
		WHERE c.deposit = d.id
		ORDER BY c.id
	),
	ARRAY(
		SELECT c.amount_minor
		FROM treasury.offline_donations AS c
		WHERE c.deposit = d.id
		ORDER BY c.id
	),
	ARRAY(
		SELECT c.document
		FROM treasury.offline_donations AS c
		WHERE c.deposit = d.id
		ORDER BY c.id
	),
	ARRAY(
		SELECT c.state
		FROM treasury.offline_donations AS c
		WHERE c.deposit = d.id
		ORDER BY c.id
	),
	d.created_at`

// The collective's slug stands once in the row; each cheque's name needs it.
func scanDeposit(r pgx.CollectableRow) (d Deposit, err error) {
	var slugs, documents []string
	var ids []uuid.UUID
	var amounts []int64
	var states []DonationState
	err = r.Scan(&d.ID, &d.Collective, &d.Total.Minor, &d.Total.Currency, &d.BankedOn, &d.Document, &slugs, &ids, &amounts,
		&documents, &states, &d.CreateTime)
	for i, id := range ids {
		d.Cheques = append(d.Cheques, Cheque{
			Campaign: campaigns.Name{Collective: d.Collective, Campaign: slugs[i]}, ID: id,
			Amount: money.Amount{Minor: amounts[i], Currency: d.Total.Currency}, Document: documents[i], State: states[i],
		})
	}
	d.CreateTime = d.CreateTime.UTC()
	return d, err
}

const depositSQL = `
SELECT` + depositColumns + `
FROM treasury.deposits AS d
WHERE d.id = @id
	AND d.collective = @collective`

// Deposit returns one deposit of a collective; NOT_FOUND when there is none.
func (s *Service) Deposit(ctx context.Context, collective string, id uuid.UUID) (Deposit, error) {
	d, err := postgres.One(ctx, s.cfg.Pool, scanDeposit, depositSQL, pgx.NamedArgs{"id": id, "collective": collective})
	if errors.Is(err, pgx.ErrNoRows) {
		return Deposit{}, errs.NotFound(depositName(collective, id))
	}
	return d, postgres.Error(err)
}

// listDepositsSQL returns a page of a collective's deposits. The index deposits_list_idx has their order.
const listDepositsSQL = `
SELECT` + depositColumns + `
FROM treasury.deposits AS d
WHERE d.collective = @collective
	AND (d.created_at, d.id) < (@before_time, @before_id)
ORDER BY
	d.created_at DESC,
	d.id DESC
LIMIT @count`

// Deposits returns up to count deposits of a collective, those entered last first, before the given place.
func (s *Service) Deposits(ctx context.Context, collective string, before Position, count int) ([]Deposit, error) {
	return postgres.All(ctx, s.cfg.Pool, scanDeposit, listDepositsSQL, pgx.NamedArgs{
		"collective": collective, "before_time": before.Time, "before_id": before.ID, "count": count,
	})
}
