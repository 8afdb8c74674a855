package treasury

import (
	"context"
	"errors"
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

// Method is how a donation comes without Stripe.
type Method string

// The methods.
const (
	MethodCash     Method = "cash"
	MethodTransfer Method = "transfer"
	// MethodCheque is a cheque that the collective banks.
	MethodCheque Method = "cheque"
	// MethodPayeeCheque is a cheque written to the lawyer, which never reaches the collective's account.
	MethodPayeeCheque Method = "payee_cheque"
)

// debited is the account that a donation of a method is booked on first.
var debited = map[Method]ledger.AccountRole{
	MethodCash:        ledger.RoleCash,
	MethodTransfer:    ledger.RoleBank,
	MethodCheque:      ledger.RoleChequesToBank,
	MethodPayeeCheque: ledger.RoleLawyerFees,
}

// DonationState is the state of an offline donation.
type DonationState string

// The states; doc.go tells the steps between them.
const (
	// DonationReceived is final but for a cheque, which is still to be banked.
	DonationReceived DonationState = "received"
	// DonationBanked is a cheque that a deposit has.
	DonationBanked DonationState = "banked"
	// DonationBounced is a cheque that the bank returned; it is reversed in the books.
	DonationBounced DonationState = "bounced"
	// DonationReversed was entered wrongly; it is reversed in the books.
	DonationReversed DonationState = "reversed"
)

// OfflineDonation is a donation that did not come through Stripe.
type OfflineDonation struct {
	// ID is also that of the donation in the books.
	ID       uuid.UUID
	Campaign campaigns.Name
	// Amount is positive and in the campaign's currency.
	Amount     money.Amount
	Method     Method
	ReceivedOn calendar.Day
	// Document is the number of the paper; never a name.
	Document string
	// Pledge is uuid.Nil for none.
	Pledge uuid.UUID
	// OutsideBooks and Stage are for cheques to the lawyer.
	OutsideBooks bool
	Stage        string
	State        DonationState
	// Deposit and BankedOn are of a cheque that was banked; BouncedOn of one that the bank returned.
	Deposit       uuid.UUID
	BankedOn      calendar.Day
	BouncedOn     calendar.Day
	ReverseReason string
	// AllowDuplicate books a transfer although a line of a bank statement that looks like it is booked already. It is part
	// of the request and not stored.
	AllowDuplicate bool
	// BankLine is the line of a bank statement that shows it; uuid.Nil for none.
	BankLine uuid.UUID
	// CreatedBy is a key's name; empty when an import entered it.
	CreatedBy  string
	CreateTime time.Time
	UpdateTime time.Time

	// book is the collective's book when the donation was entered. Its reversal goes there too.
	book string
}

// Name returns the resource name.
func (d OfflineDonation) Name() string { return donationName(d.Campaign, d.ID) }

func donationName(c campaigns.Name, id uuid.UUID) string {
	return c.String() + "/offlineDonations/" + id.String()
}

// auditFields are the donation as the audit log tells it. Document and reasons are left out: they are free texts, and
// somebody may have written who gave.
func (d OfflineDonation) auditFields() audit.Fields {
	return audit.Fields{
		"state":        string(d.State),
		"amount":       d.Amount.String(),
		"method":       string(d.Method),
		"receive_date": string(d.ReceivedOn),
		"bounce_date":  string(d.BouncedOn),
	}
}

// Reference returns the donation's reference in its book.
func (d OfflineDonation) Reference() string { return donationReferencePrefix + d.ID.String() }

const donationReferencePrefix = "offline-donation:"

// CreateOfflineDonation records a donation and books it. Sent twice, it does so once. It ignores the fields that tell
// what became of the donation later. Errors: those of the proto's method.
func (s *Service) CreateOfflineDonation(ctx context.Context, r Request, d OfflineDonation) (OfflineDonation, error) {
	campaign, err := s.BookableCampaign(ctx, d.Campaign)
	if err != nil {
		return OfflineDonation{}, err
	}
	days, err := s.localDays(ctx, d.Campaign.Collective)
	if err != nil {
		return OfflineDonation{}, err
	}
	if err := s.checkDonation(ctx, d, campaign, days); err != nil {
		return OfflineDonation{}, err
	}
	// The fingerprint has texts alone, and an empty one for no pledge.
	pledge := ""
	if d.Pledge != uuid.Nil {
		pledge = d.Pledge.String()
	}
	d.ID, d.CreatedBy = newID(), r.By
	made, err := s.Once(ctx, r, d.Campaign.Collective, "create_offline_donation", d.ID, fingerprint.Fields{
		"campaign": d.Campaign.Campaign, "currency": string(d.Amount.Currency), "amount_minor": strconv.FormatInt(d.Amount.Minor, 10),
		"method": string(d.Method), "receive_date": string(d.ReceivedOn), "document": d.Document, "pledge": pledge,
		"outside_books": fingerprint.Flag(d.OutsideBooks), "stage": d.Stage, "allow_duplicate": fingerprint.Flag(d.AllowDuplicate),
	}, func(ctx context.Context, tx pgx.Tx, now time.Time) error {
		// A transfer is one line of the bank. A cheque is compared when it is deposited; cash and cheques to the lawyer
		// never reach the bank account.
		if d.Method == MethodTransfer && !d.AllowDuplicate {
			if err := LockBankTx(ctx, tx, d.Campaign.Collective); err != nil {
				return err
			}
			if err := s.checkUnbookedTx(ctx, tx, d.Campaign.Collective, d.Amount, d.ReceivedOn, days); err != nil {
				return err
			}
		}
		d.CreateTime = now
		if err := s.bookDonationTx(ctx, tx, d, d.ReceivedOn.Start(days.zone), "offline_donation.receive_date"); err != nil {
			return err
		}
		d.State = DonationReceived
		return audit.WriteTx(ctx, tx, audit.Change{Collective: d.Campaign.Collective, Resource: d.Name(), After: d.auditFields()})
	})
	// A line that was imported before may show this transfer. A repeat of the request compares again.
	if err == nil && d.Method == MethodTransfer {
		err = s.cfg.Banked(ctx, d.Campaign.Collective)
	}
	if err != nil {
		return OfflineDonation{}, err
	}
	return s.OfflineDonation(ctx, d.Campaign, made)
}

// checkDonation refuses a donation that cannot be booked. Whether another donation fulfils the pledge is decided when
// the row is inserted (index offline_donations_pledge_key). A pledge that expired may still be fulfilled.
func (s *Service) checkDonation(ctx context.Context, d OfflineDonation, campaign campaigns.Campaign, days localDays) error {
	if err := checkAmount("offline_donation.amount", d.Amount, campaign.Currency); err != nil {
		return err
	}
	if err := days.check("offline_donation.receive_date", d.ReceivedOn); err != nil {
		return err
	}
	if d.Method != MethodPayeeCheque && (d.OutsideBooks || d.Stage != "") {
		return errs.Invalid("offline_donation.method", "must be a cheque to the payee when outside_books or stage is set")
	}
	if err := checkStage(campaign, "offline_donation.stage", d.Stage); err != nil {
		return err
	}
	if d.Pledge == uuid.Nil {
		return nil
	}
	if _, err := s.Pledge(ctx, d.Campaign, d.Pledge); err != nil {
		return errs.Invalid("offline_donation.pledge", "must be a pledge of the campaign")
	}
	return nil
}

// alikeDays is how many days a line of a bank statement and what is entered by a member may lie apart to be alike.
const alikeDays = 5

// alikeLinesSQL returns the lines of one amount around a day. The first truth value tells that a line is open, the
// second that it shows a donation or is an unknown receipt. Ignored lines, and lines that show a payout or a deposit,
// are neither. The index lines_list_idx serves it. Nothing is locked: the caller holds [LockBankTx].
const alikeLinesSQL = `
SELECT
	l.id,
	to_char(l.booked_on, 'YYYY-MM-DD'),
	l.state IN ('unmatched', 'suggested'),
	l.offline_donation IS NOT NULL OR l.target = 'unknown_receipt'
FROM bank.lines AS l
WHERE l.collective = @collective
	AND l.booked_on BETWEEN @day::date - @days::integer AND @day::date + @days::integer
	AND l.amount_minor = @amount_minor
	AND l.currency = @currency
ORDER BY
	l.booked_on,
	l.id`

// checkUnbookedTx refuses a transfer or a deposit that a line of a bank statement seems to show and that is booked by that
// line: the line has its amount, is of about its day, and no other such line is open for it. Each movement that a member
// entered before, and that no line shows, takes one open line. The caller holds [LockBankTx].
func (s *Service) checkUnbookedTx(ctx context.Context, tx pgx.Tx, collective string, amount money.Amount, on calendar.Day, days localDays) error {
	rows, err := tx.Query(ctx, alikeLinesSQL, pgx.NamedArgs{
		"collective": collective, "amount_minor": amount.Minor, "currency": string(amount.Currency), "day": string(on), "days": alikeDays,
	})
	if err != nil {
		return postgres.Error(err)
	}
	var booked, day string
	var id uuid.UUID
	var isOpen, isBooked bool
	// booked is the last such line, for the text of the error.
	open := 0
	if _, err := pgx.ForEachRow(rows, []any{&id, &day, &isOpen, &isBooked}, func() error {
		if isOpen {
			open++
		} else if isBooked {
			booked = bankLineName(collective, id) + " of " + day
		}
		return nil
	}); err != nil || booked == "" {
		return postgres.Error(err)
	}
	// Other movements that were entered may wait for the same open lines. The end of the span is excluded, so it is one
	// day later.
	start := on.Start(days.zone)
	movements, err := s.BankMovementsTx(ctx, tx, days.book, collective, start.AddDate(0, 0, -alikeDays), start.AddDate(0, 0, alikeDays+1))
	if err != nil {
		return err
	}
	for _, m := range movements {
		// This movement is to be shown by one of the open lines.
		if m.Amount == amount && !m.Undone && !m.Shown {
			open--
		}
	}
	// A line is left for what is entered now, so the booked line is about other money.
	if open > 0 {
		return nil
	}
	return errs.New(errorsv1.ErrorReason_BANK_LINE_BOOKED,
		"%s shows %s and is booked already. Unmatch the line, or set allow_duplicate when this is other money.", booked, amount)
}

// bookDonationTx stores a donation that was checked, and posts it. Field is the request's field for its day.
func (s *Service) bookDonationTx(ctx context.Context, tx pgx.Tx, d OfflineDonation, effective time.Time, field string) (err error) {
	if d.book, err = s.openBookTx(ctx, tx, d.Campaign.Collective); err != nil {
		return err
	}
	if err := insertDonationTx(ctx, tx, d); err != nil {
		return err
	}
	// Only a cheque to the lawyer can be outside the books. It is stored, and no transaction is posted for it.
	if d.OutsideBooks {
		return nil
	}
	return s.postTx(ctx, tx, d.book, field, pair(d.Reference(), ledger.KindDonation, effective, ledger.Entry{
		Role: debited[d.Method], Amount: d.Amount,
		Collective: d.Campaign.Collective, Campaign: d.Campaign.Campaign, Donation: d.ID,
	}, ledger.Entry{Role: ledger.RoleDonations}))
}

// BookTransferTx records and books a donation that a line of a bank statement shows, and returns it with its id. It sets
// the method and ignores what [Service.CreateOfflineDonation] ignores. The campaign was checked with
// [Service.BookableCampaign], and the caller holds [LockBankTx].
//
// Errors: FAILED_PRECONDITION (PLEDGE_FULFILLED, PERIOD_CLOSED, STRIPE_ACCOUNT_NOT_READY).
// It does not look for lines that are alike: the line itself is what books it.
func (s *Service) BookTransferTx(ctx context.Context, tx pgx.Tx, d OfflineDonation, effective time.Time) (OfflineDonation, error) {
	d.ID, d.Method = newID(), MethodTransfer
	return d, s.bookDonationTx(ctx, tx, d, effective, "")
}

// ReverseOfflineDonation reverses a donation that was entered wrongly. Sent twice, it does so once. Errors: those of the
// proto's method.
func (s *Service) ReverseOfflineDonation(ctx context.Context, r Request, campaign campaigns.Name, id uuid.UUID, reason string) (OfflineDonation, error) {
	fields := fingerprint.Fields{"id": id.String(), "reason": reason}
	if _, err := s.Once(ctx, r, campaign.Collective, "reverse_offline_donation", id, fields,
		func(ctx context.Context, tx pgx.Tx, now time.Time) error {
			// Without this lock a line could be matched with the donation, or with its deposit, before the commit.
			if err := LockBankTx(ctx, tx, campaign.Collective); err != nil {
				return err
			}
			d, err := lockDonationTx(ctx, tx, campaign, id)
			if err != nil {
				return err
			}
			shown, err := s.shownTx(ctx, tx, d)
			if err != nil {
				return err
			}
			// Unmatching the line reverses the donation when the match booked it.
			if shown {
				return errMatched(d.Name())
			}
			if err := s.reverseDonationTx(ctx, tx, d, reason, now); err != nil {
				return err
			}
			before := d.auditFields()
			d.State = DonationReversed
			return audit.WriteTx(ctx, tx, audit.Change{
				Collective: campaign.Collective, Resource: d.Name(), Before: before, After: d.auditFields(),
			})
		}); err != nil {
		return OfflineDonation{}, err
	}
	// Without this cheque its deposit may be what a line shows.
	if err := s.cfg.Banked(ctx, campaign.Collective); err != nil {
		return OfflineDonation{}, err
	}
	return s.OfflineDonation(ctx, campaign, id)
}

// shownTx reports whether a line of a bank statement shows the donation, or the deposit that it was banked with: then the
// money is there, and the donation was not entered wrongly.
func (s *Service) shownTx(ctx context.Context, tx pgx.Tx, d OfflineDonation) (bool, error) {
	if d.BankLine != uuid.Nil || d.Deposit == uuid.Nil {
		return d.BankLine != uuid.Nil, nil
	}
	// A cheque has no line of its own. The line of its deposit is found through the deposit's transaction.
	m, err := s.BankMovementTx(ctx, tx, d.book, d.Campaign.Collective, 0, depositReference(d.Deposit))
	return m.Shown, err
}

// ReverseTransferTx reverses a donation that [Service.BookTransferTx] made. The caller holds [LockBankTx].
//
// Errors: FAILED_PRECONDITION (DONATION_REVERSED).
func (s *Service) ReverseTransferTx(ctx context.Context, tx pgx.Tx, campaign campaigns.Name, id uuid.UUID, reason string, now time.Time) error {
	d, err := lockDonationTx(ctx, tx, campaign, id)
	if err != nil {
		return err
	}
	return s.reverseDonationTx(ctx, tx, d, reason, now)
}

// reverseDonationTx reverses a donation that is locked, in its state and in the books.
func (s *Service) reverseDonationTx(ctx context.Context, tx pgx.Tx, d OfflineDonation, reason string, now time.Time) error {
	switch d.State {
	case DonationReversed:
		return errs.New(errorsv1.ErrorReason_DONATION_REVERSED, "%s was reversed already.", d.Name())
	// The database refuses this step as well (trigger offline_donations_check_change).
	case DonationBounced:
		return errs.New(errorsv1.ErrorReason_CHEQUE_BOUNCED, "%s bounced and was reversed in the books then.", d.Name())
	}
	// The zero time books the reversal now, so a closed period does not refuse it.
	if !d.OutsideBooks {
		if err := s.unbookDonationTx(ctx, tx, d, time.Time{}, ""); err != nil {
			return err
		}
	}
	d.State, d.ReverseReason = DonationReversed, reason
	return s.updateDonationTx(ctx, tx, d, now)
}

// unbookDonationTx reverses the donation in the books and, when it was banked, its part of the deposit. The zero time
// stands for now.
// Each reversal has one reference that is made of the ids, so nothing is reversed twice.
func (s *Service) unbookDonationTx(ctx context.Context, tx pgx.Tx, d OfflineDonation, effective time.Time, field string) error {
	if d.Deposit != uuid.Nil {
		// A deposit has two entries for each cheque. These two take back those of this cheque: the bank is credited,
		// and the account of cheques to bank debited.
		share := func(role ledger.AccountRole, minor int64) ledger.Entry {
			return ledger.Entry{
				Role: role, Amount: money.Amount{Minor: minor, Currency: d.Amount.Currency},
				Collective: d.Campaign.Collective, Campaign: d.Campaign.Campaign, Donation: d.ID,
			}
		}
		if err := s.reverseTx(ctx, tx, d.book, field, ledger.Reversal{
			Original:  depositReference(d.Deposit),
			Reference: chequeReference(d.Deposit, d.ID),
			Effective: effective,
			Entries:   []ledger.Entry{share(ledger.RoleChequesToBank, d.Amount.Minor), share(ledger.RoleBank, -d.Amount.Minor)},
		}); err != nil {
			return err
		}
	}
	// This takes the amount off the campaign's donations, and off the account on which the donation was booked first.
	return s.reverseTx(ctx, tx, d.book, field, ledger.Reversal{
		Original: d.Reference(), Reference: d.Reference() + reversedSuffix, Effective: effective,
	})
}

// reversedSuffix ends the reference of a reversal of a whole transaction.
const reversedSuffix = ":reversed"

func errMatched(name string) error {
	return errs.New(errorsv1.ErrorReason_BANK_LINE_MATCHED, "A line of a bank statement shows %s. Unmatch that line first.", name)
}

// donationColumns is what scanDonation reads.
// NULL is read as the zero id or an empty day. The unique index lines_donation_key finds the line, of which a donation
// has one at most.
const donationColumns = `
	d.id,
	d.collective,
	d.campaign,
	d.book,
	d.amount_minor,
	d.currency,
	d.method,
	to_char(d.received_on, 'YYYY-MM-DD'),
	d.document,
	coalesce(d.pledge, '00000000-0000-0000-0000-000000000000'),
	d.outside_books,
	d.stage,
	d.state,
	coalesce(d.deposit, '00000000-0000-0000-0000-000000000000'),
	coalesce(to_char(d.banked_on, 'YYYY-MM-DD'), ''),
	coalesce(to_char(d.bounced_on, 'YYYY-MM-DD'), ''),
	d.reverse_reason,
	coalesce((
		SELECT l.id
		FROM bank.lines AS l
		WHERE l.offline_donation = d.id
	), '00000000-0000-0000-0000-000000000000'),
	d.created_by,
	d.created_at,
	d.updated_at`

func scanDonation(r pgx.CollectableRow) (d OfflineDonation, err error) {
	err = r.Scan(&d.ID, &d.Campaign.Collective, &d.Campaign.Campaign, &d.book, &d.Amount.Minor, &d.Amount.Currency, &d.Method,
		&d.ReceivedOn, &d.Document, &d.Pledge, &d.OutsideBooks, &d.Stage, &d.State, &d.Deposit, &d.BankedOn, &d.BouncedOn,
		&d.ReverseReason, &d.BankLine, &d.CreatedBy, &d.CreateTime, &d.UpdateTime)
	d.CreateTime, d.UpdateTime = d.CreateTime.UTC(), d.UpdateTime.UTC()
	return d, err
}

const donationSQL = `
SELECT` + donationColumns + `
FROM treasury.offline_donations AS d
WHERE d.id = @id
	AND d.collective = @collective
	AND d.campaign = @campaign`

// OfflineDonation returns one donation of a campaign; NOT_FOUND when there is none.
func (s *Service) OfflineDonation(ctx context.Context, campaign campaigns.Name, id uuid.UUID) (OfflineDonation, error) {
	return oneDonation(ctx, s.cfg.Pool, donationSQL, campaign, id)
}

// lockDonationSQL locks the donation against other changes of its state. FOR NO KEY UPDATE does not wait for a
// transaction that only refers to the row, as a line of the bank does by its foreign key.
const lockDonationSQL = donationSQL + `
FOR NO KEY UPDATE OF d`

// lockDonationTx returns a donation and locks it. The row is read again once it is locked, because the line of the bank
// statement is read from another table.
func lockDonationTx(ctx context.Context, tx pgx.Tx, campaign campaigns.Name, id uuid.UUID) (OfflineDonation, error) {
	if _, err := oneDonation(ctx, tx, lockDonationSQL, campaign, id); err != nil {
		return OfflineDonation{}, err
	}
	return oneDonation(ctx, tx, donationSQL, campaign, id)
}

func oneDonation(ctx context.Context, db postgres.Querier, sql string, campaign campaigns.Name, id uuid.UUID) (OfflineDonation, error) {
	d, err := postgres.One(ctx, db, scanDonation, sql, pgx.NamedArgs{"id": id, "collective": campaign.Collective, "campaign": campaign.Campaign})
	if errors.Is(err, pgx.ErrNoRows) {
		return OfflineDonation{}, errs.NotFound(donationName(campaign, id))
	}
	return d, postgres.Error(err)
}

const ofPledgeSQL = `
SELECT` + donationColumns + `
FROM treasury.offline_donations AS d
WHERE d.pledge = @pledge
	AND d.state IN ('received', 'banked')`

const lockOfPledgeSQL = ofPledgeSQL + `
FOR NO KEY UPDATE OF d`

// OfPledge returns the donation that fulfils a pledge, of which there is at most one; ok is false for none. In a transaction
// with lock, it stays as it is until the transaction ends.
func (s *Service) OfPledge(ctx context.Context, db postgres.Querier, pledge uuid.UUID, lock bool) (d OfflineDonation, ok bool, err error) {
	statement := ofPledgeSQL
	if lock {
		statement = lockOfPledgeSQL
	}
	d, err = postgres.One(ctx, db, scanDonation, statement, pgx.NamedArgs{"pledge": pledge})
	if errors.Is(err, pgx.ErrNoRows) {
		return OfflineDonation{}, false, nil
	}
	return d, err == nil, postgres.Error(err)
}

// listDonationsSQL returns a page of a campaign's donations. The index offline_donations_list_idx has their order.
const listDonationsSQL = `
SELECT` + donationColumns + `
FROM treasury.offline_donations AS d
WHERE d.collective = @collective
	AND d.campaign = @campaign
	AND (d.created_at, d.id) < (@before_time, @before_id)
ORDER BY
	d.created_at DESC,
	d.id DESC
LIMIT @count`

// OfflineDonations returns up to count donations of a campaign, those entered last first, before the given one.
func (s *Service) OfflineDonations(ctx context.Context, campaign campaigns.Name, before Position, count int) ([]OfflineDonation, error) {
	return postgres.All(ctx, s.cfg.Pool, scanDonation, listDonationsSQL, pgx.NamedArgs{
		"collective": campaign.Collective, "campaign": campaign.Campaign,
		"before_time": before.Time, "before_id": before.ID, "count": count,
	})
}

// insertDonationSQL stores a donation in the state received. The unique index offline_donations_pledge_key refuses a
// second donation for a pledge while the first is received or banked.
const insertDonationSQL = `
INSERT INTO treasury.offline_donations (
	id,
	collective,
	campaign,
	book,
	amount_minor,
	currency,
	method,
	received_on,
	document,
	pledge,
	outside_books,
	stage,
	created_by,
	created_at,
	updated_at
)
VALUES (
	@id,
	@collective,
	@campaign,
	@book,
	@amount_minor,
	@currency,
	@method,
	@received_on,
	@document,
	@pledge,
	@outside_books,
	@stage,
	@created_by,
	@now,
	@now
)`

// donationRefusals are the errors for the caller, by the name of the constraint or index that refuses.
var donationRefusals = map[string]*errs.Error{
	"offline_donations_pledge_key": errs.New(errorsv1.ErrorReason_PLEDGE_FULFILLED, "Another donation fulfils the pledge."),
}

func insertDonationTx(ctx context.Context, tx pgx.Tx, d OfflineDonation) error {
	_, err := tx.Exec(ctx, insertDonationSQL, pgx.NamedArgs{
		"id":            d.ID,
		"collective":    d.Campaign.Collective,
		"campaign":      d.Campaign.Campaign,
		"book":          d.book,
		"amount_minor":  d.Amount.Minor,
		"currency":      string(d.Amount.Currency),
		"method":        string(d.Method),
		"received_on":   string(d.ReceivedOn),
		"document":      d.Document,
		"pledge":        nullID(d.Pledge),
		"outside_books": d.OutsideBooks,
		"stage":         d.Stage,
		"created_by":    d.CreatedBy,
		"now":           d.CreateTime,
	})
	return postgres.ErrorFor(err, donationRefusals)
}

// nullID is NULL for uuid.Nil.
func nullID(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

// nullDay is NULL for no day.
func nullDay(d calendar.Day) *string {
	if d == "" {
		return nil
	}
	return (*string)(&d)
}

// updateDonationSQL changes what may change of a donation. The trigger offline_donations_check_change refuses steps of
// the state that doc.go does not name, and another deposit for a cheque that has one.
const updateDonationSQL = `
UPDATE treasury.offline_donations
SET
	state = @state,
	deposit = @deposit,
	banked_on = @banked_on,
	bounced_on = @bounced_on,
	reverse_reason = @reverse_reason,
	updated_at = @now
WHERE id = @id`

// updateDonationTx stores the new state of a donation that is locked.
func (s *Service) updateDonationTx(ctx context.Context, tx pgx.Tx, d OfflineDonation, now time.Time) error {
	_, err := tx.Exec(ctx, updateDonationSQL, pgx.NamedArgs{
		"id": d.ID, "state": string(d.State), "deposit": nullID(d.Deposit), "banked_on": nullDay(d.BankedOn),
		"bounced_on": nullDay(d.BouncedOn), "reverse_reason": d.ReverseReason, "now": now,
	})
	if err != nil || d.State != DonationReversed && d.State != DonationBounced || s.cfg.ReversedTx == nil {
		return postgres.Error(err)
	}
	return s.cfg.ReversedTx(ctx, tx, d.ID)
}
