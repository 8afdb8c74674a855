package receipts

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/treasury"
)

// Subject is what a receipt is of: a donation, a year of a monthly donation, or a pledge that arrived.
type Subject struct {
	Campaign campaigns.Name
	// One of them is not Nil.
	Donation, Recurring, Pledge uuid.UUID
	// Year is of a monthly donation; 0 for others.
	Year int
}

// Name returns the resource name of what it is of.
func (s Subject) Name() string {
	parent := s.Campaign.String()
	switch {
	case s.Recurring != uuid.Nil:
		return parent + "/recurringDonations/" + s.Recurring.String()
	case s.Pledge != uuid.Nil:
		return parent + "/pledges/" + s.Pledge.String()
	}
	return parent + "/donations/" + s.Donation.String()
}

// Payment is one payment that a receipt is of.
type Payment struct {
	// Donation, or OfflineDonation, is Nil.
	Donation, OfflineDonation uuid.UUID
	Campaign                  string
	Amount                    money.Amount
	// Method is Stripe's word, or that of an offline donation.
	Method string
	// Date is a day in the collective's zone, at midnight UTC.
	Date time.Time
}

// source is what a subject brought, as far as there can be a receipt of it.
type source struct {
	subject Subject
	// payments are those without regard to other receipts, oldest first.
	payments []Payment
	// donations and offline are the ids of all payments, also of those that no receipt is of.
	donations, offline []uuid.UUID
	// years are those in which a monthly donation brought anything, newest first.
	years []int
	// over: nothing more comes.
	over bool
	// forgettable: there is more to erase than receipts.
	forgettable bool
}

// left is what was given and not given back: what a receipt is about. ok is false when there is no receipt of it.
func left(d donations.Donation) (amount money.Amount, ok bool) {
	amount = d.Amount
	// Of a donation that was paid twice, refunds are counted below zero until the second payment went back.
	amount.Minor -= max(0, d.RefundedMinor)
	arrived := d.State == donations.StateSucceeded || d.State == donations.StatePartiallyRefunded
	return amount, arrived && !d.BookTime.IsZero() && !d.PayTime.IsZero() && d.DisputedMinor <= 0 && amount.Minor > 0 && amount.Currency == "EUR"
}

// sourceTx reads what a subject brought. With tx, its payments are locked until the transaction ends: nothing of them is booked
// until then. A subject that does not exist is NOT_FOUND.
func (s *Service) sourceTx(ctx context.Context, tx pgx.Tx, subject Subject, zone *time.Location) (source, error) {
	switch {
	case subject.Recurring != uuid.Nil:
		return s.yearTx(ctx, tx, subject, zone)
	case subject.Pledge != uuid.Nil:
		return s.pledgeTx(ctx, tx, subject)
	}
	of := source{subject: subject, over: true}
	d, err := s.cfg.Donations.Get(ctx, subject.Campaign, subject.Donation)
	if err == nil && tx != nil {
		d, err = s.cfg.Donations.LockTx(ctx, tx, subject.Donation)
		err = postgres.Error(err)
	}
	if err != nil {
		return source{}, err
	}
	of.add(d, zone)
	if d.Recurring == uuid.Nil {
		return of, nil
	}
	r, err := s.cfg.Donations.GetRecurring(ctx, subject.Campaign, d.Recurring)
	of.forgettable = err == nil && s.cfg.Donations.Forgettable(r)
	return of, err
}

// add adds a donation, if there can be a receipt of it.
func (of *source) add(d donations.Donation, zone *time.Location) {
	of.donations = append(of.donations, d.ID)
	if amount, ok := left(d); ok {
		of.payments = append(of.payments, Payment{
			Donation: d.ID, Campaign: d.Campaign.Campaign, Amount: amount, Method: d.PaymentMethod, Date: dayIn(d.PayTime, zone),
		})
	}
}

// yearTx reads the months of a year. A year of zero is the newest one that is over and brought anything, or else the newest.
func (s *Service) yearTx(ctx context.Context, tx pgx.Tx, subject Subject, zone *time.Location) (source, error) {
	r, err := s.cfg.Donations.GetRecurring(ctx, subject.Campaign, subject.Recurring)
	if err != nil {
		return source{}, err
	}
	months, err := s.cfg.Donations.Months(ctx, s.cfg.Pool, r.ID)
	if err != nil {
		return source{}, err
	}
	of := source{subject: subject, forgettable: s.cfg.Donations.Forgettable(r)}
	for _, m := range months {
		if year := m.PayTime.In(zone).Year(); !slices.Contains(of.years, year) {
			of.years = append(of.years, year)
		}
	}
	slices.Sort(of.years)
	slices.Reverse(of.years)
	over := func(year int) bool { return year < s.now().In(zone).Year() || r.State == donations.RecurringCanceled }
	if of.subject.Year == 0 && len(of.years) > 0 {
		of.subject.Year = of.years[0]
		if i := slices.IndexFunc(of.years, over); i >= 0 {
			of.subject.Year = of.years[i]
		}
	}
	of.over = over(of.subject.Year)
	for _, m := range months {
		if m.PayTime.In(zone).Year() != of.subject.Year {
			continue
		}
		// They are locked by their ids, as bookings lock them.
		if tx != nil {
			if m, err = s.cfg.Donations.LockTx(ctx, tx, m.ID); err != nil {
				return source{}, postgres.Error(err)
			}
		}
		of.add(m, zone)
	}
	slices.SortStableFunc(of.payments, func(a, b Payment) int { return a.Date.Compare(b.Date) })
	return of, nil
}

// pledgeTx reads the donation that fulfils a pledge. A cheque has arrived when it was banked; one that was written to somebody
// else was never given to the collective.
func (s *Service) pledgeTx(ctx context.Context, tx pgx.Tx, subject Subject) (source, error) {
	if _, err := s.cfg.Treasury.Pledge(ctx, subject.Campaign, subject.Pledge); err != nil {
		return source{}, err
	}
	var db postgres.Querier = s.cfg.Pool
	if tx != nil {
		db = tx
	}
	of := source{subject: subject, over: true}
	d, ok, err := s.cfg.Treasury.OfPledge(ctx, db, subject.Pledge, tx != nil)
	if err != nil || !ok {
		return of, err
	}
	of.offline = append(of.offline, d.ID)
	arrived := d.State == treasury.DonationBanked || d.Method == treasury.MethodCash || d.Method == treasury.MethodTransfer
	if !arrived || d.Method == treasury.MethodPayeeCheque || d.OutsideBooks || d.Amount.Currency != "EUR" {
		return of, nil
	}
	day, err := time.Parse(time.DateOnly, string(d.ReceivedOn))
	if err != nil {
		return of, err
	}
	of.payments = append(of.payments, Payment{
		OfflineDonation: d.ID, Campaign: d.Campaign.Campaign, Amount: d.Amount, Method: string(d.Method), Date: day,
	})
	return of, nil
}

const receiptsOfSQL = `
SELECT` + receiptColumns + `
FROM receipts.receipts AS r
WHERE r.id IN (
	SELECT p.receipt
	FROM receipts.payments AS p
	WHERE p.donation = ANY(@donations::uuid[])
	UNION
	SELECT p.receipt
	FROM receipts.payments AS p
	WHERE p.offline_donation = ANY(@offline::uuid[])
)
ORDER BY
	r.created_at DESC,
	r.id DESC`

// receiptsOf returns all receipts that have a payment of the source, the last one first.
func receiptsOf(ctx context.Context, db postgres.Querier, of source) ([]Receipt, error) {
	all, err := postgres.All(ctx, db, scanReceipt, receiptsOfSQL, pgx.NamedArgs{"donations": of.donations, "offline": of.offline})
	if err != nil {
		return nil, err
	}
	return all, addPayments(ctx, db, all)
}

const paymentsSQL = `
SELECT
	p.receipt,
	coalesce(p.donation, '00000000-0000-0000-0000-000000000000'),
	coalesce(p.offline_donation, '00000000-0000-0000-0000-000000000000'),
	p.campaign,
	p.amount_minor,
	p.payment_method,
	p.donated_on
FROM receipts.payments AS p
WHERE p.receipt = ANY(@receipts::uuid[])
ORDER BY
	p.receipt,
	p.position`

// addPayments reads the payments of receipts.
func addPayments(ctx context.Context, db postgres.Querier, all []Receipt) error {
	ids, at := make([]uuid.UUID, len(all)), map[uuid.UUID]*Receipt{}
	for i := range all {
		ids[i], at[all[i].ID] = all[i].ID, &all[i]
	}
	rows, err := db.Query(ctx, paymentsSQL, pgx.NamedArgs{"receipts": ids})
	if err != nil {
		return postgres.Error(err)
	}
	var receipt uuid.UUID
	var p Payment
	_, err = pgx.ForEachRow(rows, []any{&receipt, &p.Donation, &p.OfflineDonation, &p.Campaign, &p.Amount.Minor, &p.Method, &p.Date}, func() error {
		r := at[receipt]
		p.Amount.Currency = r.Amount.Currency
		r.Payments = append(r.Payments, p)
		return nil
	})
	return postgres.Error(err)
}

const insertPaymentSQL = `
INSERT INTO receipts.payments (
	receipt,
	position,
	collective,
	campaign,
	donation,
	offline_donation,
	amount_minor,
	payment_method,
	donated_on,
	standing
)
VALUES (
	@receipt,
	@position,
	@collective,
	@campaign,
	@donation,
	@offline_donation,
	@amount_minor,
	@payment_method,
	@donated_on,
	true
)`

// insertPaymentsTx stores the payments of a receipt. Of a receipt of one donation the database does it.
func insertPaymentsTx(ctx context.Context, tx pgx.Tx, r Receipt) error {
	if r.Subject.Donation != uuid.Nil {
		return nil
	}
	for i, p := range r.Payments {
		if _, err := tx.Exec(ctx, insertPaymentSQL, pgx.NamedArgs{
			"receipt": r.ID, "position": i + 1, "collective": r.Collective, "campaign": p.Campaign, "donation": nullID(p.Donation),
			"offline_donation": nullID(p.OfflineDonation), "amount_minor": p.Amount.Minor, "payment_method": p.Method, "donated_on": p.Date,
		}); err != nil {
			return postgres.Error(err)
		}
	}
	return nil
}

// nullID is NULL for Nil.
func nullID(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}
