package treasury

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// Deposit is cheques that went to the bank on one slip.
type Deposit struct {
	ID         uuid.UUID
	Collective string
	Total      money.Amount
	BankedOn   Day
	// Document is the number of the slip.
	Document string
	// Cheques are the names of the donations, in order.
	Cheques []string
	// Another says of a slip that is recorded that it is none that a line of the bank's shows already.
	Another    bool
	CreateTime time.Time
}

// Name returns the resource name.
func (d Deposit) Name() string { return "collectives/" + d.Collective + "/deposits/" + d.ID.String() }

// depositReference is a deposit's in its book.
func depositReference(id uuid.UUID) string { return depositReferencePrefix + id.String() }

// chequeReference is that of what takes one cheque off a deposit.
func chequeReference(deposit, donation uuid.UUID) string {
	return depositReference(deposit) + ":" + donation.String()
}

const depositReferencePrefix = "deposit:"

func errNotHeld(name string) error {
	return errs.New(errorsv1.ErrorReason_CHEQUE_NOT_HELD, "%s is no cheque of the collective's that waits to be banked.", name)
}

// cheque names a donation by its campaign and id.
type cheque struct {
	campaign campaigns.Name
	id       uuid.UUID
}

// BankCheques banks cheques on one slip, safely sent twice. Errors: those of the proto's method.
func (s *Service) BankCheques(ctx context.Context, r Request, d Deposit, cheques []cheque) (Deposit, error) {
	days, err := s.calendar(ctx, d.Collective)
	if err != nil {
		return Deposit{}, err
	}
	if err := days.check("bank_date", d.BankedOn); err != nil {
		return Deposit{}, err
	}
	// In the order of ids, so that two slips never wait for one another in a circle.
	slices.SortFunc(cheques, func(a, b cheque) int { return slices.Compare(a.id[:], b.id[:]) })
	parts := []string{string(d.BankedOn), d.Document}
	for _, c := range cheques {
		parts = append(parts, donationName(c.campaign, c.id))
	}
	if d.Another {
		parts = append(parts, "another")
	}
	d.ID = s.cfg.NewID()
	made, err := s.once(ctx, r, d.Collective, "bank_cheques", d.ID, parts, func(ctx context.Context, tx pgx.Tx, now time.Time) error {
		if err := lockBankTx(ctx, tx, d.Collective); err != nil {
			return err
		}
		d.CreateTime = now
		return s.depositTx(ctx, tx, d, cheques, days, r.By)
	})
	if err == nil {
		err = s.Recognise(ctx, d.Collective)
	}
	if err != nil {
		return Deposit{}, err
	}
	return s.deposit(ctx, d.Collective, made)
}

// depositTx moves each cheque, and books the slip as one transaction with two entries for each cheque: so one
// of them can be taken back alone.
func (s *Service) depositTx(ctx context.Context, tx pgx.Tx, d Deposit, cheques []cheque, days calendar, by string) error {
	book, err := s.openBookTx(ctx, tx, d.Collective)
	if err != nil {
		return err
	}
	var donations []Donation
	t := ledger.Transaction{Reference: depositReference(d.ID), Kind: ledger.KindDeposit, Effective: days.start(d.BankedOn)}
	for _, c := range cheques {
		g, err := lockDonationTx(ctx, tx, c.campaign, c.id)
		switch {
		case errors.Is(err, errs.NotFound("")), err == nil && (g.Method != MethodCheque || g.State != DonationReceived):
			return errNotHeld(donationName(c.campaign, c.id))
		case err != nil:
			return err
		case g.ReceivedOn > d.BankedOn:
			return errs.Invalid("bank_date", "must not be before %s, when a cheque was received", g.ReceivedOn)
		}
		if d.Total.Currency == "" {
			d.Total.Currency = g.Amount.Currency
		}
		if d.Total, err = d.Total.Add(g.Amount); err != nil {
			return wrong(errorsv1.ErrorReason_CURRENCY_MISMATCH, "cheques", "must all be in one currency")
		}
		held := ledger.Entry{
			Role: ledger.RoleBank, Amount: g.Amount,
			Collective: g.Campaign.Collective, Campaign: g.Campaign.Campaign, Donation: g.ID,
		}
		t.Entries = append(t.Entries, pair("", "", time.Time{}, held, ledger.Entry{Role: ledger.RoleChequesToBank}).Entries...)
		g.State, g.Deposit, g.BankedOn = DonationBanked, d.ID, d.BankedOn
		donations = append(donations, g)
	}
	if !d.Another {
		if err := s.checkUnbookedTx(ctx, tx, d.Collective, d.Total, d.BankedOn, days); err != nil {
			return err
		}
	}
	if err := insertDepositTx(ctx, tx, d, book, by); err != nil {
		return err
	}
	for _, g := range donations {
		if err := moveDonationTx(ctx, tx, g, d.CreateTime); err != nil {
			return err
		}
	}
	return s.postTx(ctx, tx, book, "bank_date", t)
}

// BounceCheque records that the bank sent a cheque back, safely sent twice. Errors: those of the proto's method.
func (s *Service) BounceCheque(ctx context.Context, r Request, campaign campaigns.Name, id uuid.UUID, on Day) (Donation, error) {
	days, err := s.calendar(ctx, campaign.Collective)
	if err != nil {
		return Donation{}, err
	}
	if err := days.check("bounce_date", on); err != nil {
		return Donation{}, err
	}
	if _, err := s.once(ctx, r, campaign.Collective, "bounce_cheque", id, []string{id.String(), string(on)},
		func(ctx context.Context, tx pgx.Tx, now time.Time) error {
			g, err := lockDonationTx(ctx, tx, campaign, id)
			switch {
			case err != nil:
				return err
			case g.State != DonationBanked:
				return errs.New(errorsv1.ErrorReason_CHEQUE_NOT_BANKED, "%s is no cheque that stands at the bank.", g.Name())
			case on < g.BankedOn:
				return errs.Invalid("bounce_date", "must not be before %s, when the cheque was banked", g.BankedOn)
			}
			if err := s.unbookDonationTx(ctx, tx, g, days.start(on), "bounce_date"); err != nil {
				return err
			}
			g.State, g.BouncedOn = DonationBounced, on
			return moveDonationTx(ctx, tx, g, now)
		}); err != nil {
		return Donation{}, err
	}
	if err := s.Recognise(ctx, campaign.Collective); err != nil {
		return Donation{}, err
	}
	return s.Donation(ctx, campaign, id)
}

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

const depositSQL = `
SELECT
	d.id,
	d.collective,
	d.total_minor,
	d.currency,
	to_char(d.banked_on, 'YYYY-MM-DD'),
	d.document,
	ARRAY(
		SELECT 'collectives/' || g.collective || '/campaigns/' || g.campaign || '/offlineDonations/' || g.id
		FROM treasury.offline_donations AS g
		WHERE g.deposit = d.id
		ORDER BY g.id
	),
	d.created_at
FROM treasury.deposits AS d
WHERE d.id = @id
	AND d.collective = @collective`

func (s *Service) deposit(ctx context.Context, collective string, id uuid.UUID) (Deposit, error) {
	d, err := one(ctx, s.cfg.Pool, func(r pgx.CollectableRow) (d Deposit, err error) {
		err = r.Scan(&d.ID, &d.Collective, &d.Total.Minor, &d.Total.Currency, &d.BankedOn, &d.Document, &d.Cheques, &d.CreateTime)
		d.CreateTime = d.CreateTime.UTC()
		return d, err
	}, depositSQL, pgx.NamedArgs{"id": id, "collective": collective})
	return d, postgres.Error(err)
}
