package collectives

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// columns are what a Collective is read from.
const columns = `
	c.id,
	c.display_name,
	c.stripe_account,
	c.time_zone,
	c.language,
	c.alert_emails,
	c.refund_approval_minor,
	c.refund_approval_currency,
	c.bank_holder,
	c.bank_iban,
	c.bank_bic,
	c.cheque_payee,
	c.postal_address,
	c.own_account_required,
	c.discreet,
	c.suspended_at,
	c.suspend_reason,
	c.created_at,
	c.updated_at,
	c.version`

// getSQL reads one collective by collectives_pkey.
const getSQL = `
SELECT` + columns + `
FROM collectives.collectives AS c
WHERE c.id = @id`

// Get returns one collective; a missing one is NOT_FOUND.
func (s *Service) Get(ctx context.Context, id string) (Collective, error) {
	rows, err := s.pool.Query(ctx, getSQL, pgx.NamedArgs{"id": id})
	return one(rows, err, id)
}

// listSQL returns a page in the order of ids, which is that of collectives_pkey. An id never changes, so a position in
// the list stays valid.
const listSQL = `
SELECT` + columns + `
FROM collectives.collectives AS c
WHERE c.id > @after
ORDER BY c.id
LIMIT @count`

// List returns up to count collectives by id, those after the given one.
func (s *Service) List(ctx context.Context, after string, count int) ([]Collective, error) {
	rows, err := s.pool.Query(ctx, listSQL, pgx.NamedArgs{"after": after, "count": count})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scan)
	return found, postgres.Error(err)
}

// insertSQL adds a collective and returns it. It returns no row if the id is taken, so a repeat is harmless; Create
// compares the settings. account_in_use and version have their defaults in the table. RETURNING names the columns
// again, since columns has the alias c.
const insertSQL = `
INSERT INTO collectives.collectives (
	id,
	display_name,
	stripe_account,
	time_zone,
	language,
	alert_emails,
	refund_approval_minor,
	refund_approval_currency,
	bank_holder,
	bank_iban,
	bank_bic,
	cheque_payee,
	postal_address,
	own_account_required,
	discreet,
	created_at,
	updated_at
)
VALUES (
	@id,
	@display_name,
	@stripe_account,
	@time_zone,
	@language,
	@alert_emails,
	@refund_approval_minor,
	@refund_approval_currency,
	@bank_holder,
	@bank_iban,
	@bank_bic,
	@cheque_payee,
	@postal_address,
	@own_account_required,
	@discreet,
	@created_at,
	@created_at
)
ON CONFLICT (id) DO NOTHING
RETURNING
	id,
	display_name,
	stripe_account,
	time_zone,
	language,
	alert_emails,
	refund_approval_minor,
	refund_approval_currency,
	bank_holder,
	bank_iban,
	bank_bic,
	cheque_payee,
	postal_address,
	own_account_required,
	discreet,
	suspended_at,
	suspend_reason,
	created_at,
	updated_at,
	version`

// queryer is a pool or a transaction.
type queryer interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// insert reports false when the id is taken.
func insert(ctx context.Context, db queryer, c Collective) (created Collective, inserted bool, err error) {
	named := c.namedArgs()
	named["created_at"] = c.CreateTime
	rows, err := db.Query(ctx, insertSQL, named)
	if err != nil {
		return Collective{}, false, postgres.Error(err)
	}
	created, err = pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Collective{}, false, nil
	}
	return created, err == nil, postgres.Error(err)
}

// lockSQL takes the row against other updates only: donations and keys may go on
// referring to it.
const lockSQL = getSQL + `
FOR NO KEY UPDATE`

// updateSQL writes all settings of the locked row and a new version, by which the etag changes. The trigger
// collectives_keep_account refuses another Stripe account once a donation was made to the stored one.
const updateSQL = `
UPDATE collectives.collectives AS c
SET
	display_name = @display_name,
	stripe_account = @stripe_account,
	time_zone = @time_zone,
	language = @language,
	alert_emails = @alert_emails,
	refund_approval_minor = @refund_approval_minor,
	refund_approval_currency = @refund_approval_currency,
	bank_holder = @bank_holder,
	bank_iban = @bank_iban,
	bank_bic = @bank_bic,
	cheque_payee = @cheque_payee,
	postal_address = @postal_address,
	own_account_required = @own_account_required,
	discreet = @discreet,
	suspended_at = @suspended_at,
	suspend_reason = @suspend_reason,
	updated_at = @updated_at,
	version = c.version + 1
WHERE c.id = @id
RETURNING` + columns

// update locks the collective, lets decide say what it becomes, and writes that if it differs. Members are told of
// sensitive changes in the same transaction, so that nobody is told of one that did not happen. decide may run again
// after a conflict.
func (s *Service) update(ctx context.Context, id string, decide func(stored Collective) (Collective, error)) (Collective, error) {
	var result Collective
	err := postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		// Query's error is passed to one, which checks it.
		rows, err := tx.Query(ctx, lockSQL, pgx.NamedArgs{"id": id})
		stored, err := one(rows, err, id)
		if err != nil {
			return err
		}
		changed, err := decide(stored)
		if err != nil {
			return err
		}
		asked, err := s.guardTx(ctx, tx, stored, &changed)
		if err != nil {
			return err
		}
		var waits []string
		for _, c := range asked {
			waits = append(waits, c.Name())
		}
		// A repeated request keeps version and update time, and so the etag.
		if same(stored, changed) {
			result = stored
			result.waits = waits
			return s.auditRequestTx(ctx, tx, asked)
		}
		if err := s.tellChangesTx(ctx, tx, stored, changed); err != nil {
			return err
		}
		named := changed.namedArgs()
		named["updated_at"] = s.nowMicros()
		rows, err = tx.Query(ctx, updateSQL, named)
		if result, err = one(rows, err, id); err != nil {
			return err
		}
		result.waits = waits
		after := result.auditFields()
		if len(waits) > 0 {
			after["pending_changes"] = strings.Join(waits, " ")
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: id, Resource: result.Name(), Before: stored.auditFields(), After: after,
		})
	})
	if err != nil {
		return Collective{}, err
	}
	return result, nil
}

// one reads the single row of a statement about the collective of this id.
func one(rows pgx.Rows, err error, id string) (Collective, error) {
	if err != nil {
		return Collective{}, postgres.Error(err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Collective{}, errs.NotFound(namePrefix + id)
	}
	if err != nil {
		// The trigger's refusal has a meaning for the caller.
		return Collective{}, postgres.ErrorFor(err, map[string]*errs.Error{
			"collectives_stripe_account_in_use": errs.New(errorsv1.ErrorReason_STRIPE_ACCOUNT_IN_USE,
				"Donations were made to the Stripe account of %s; it cannot change any more.", namePrefix+id),
		})
	}
	return c, nil
}

// namedArgs are the columns that a collective's maker decides.
func (c Collective) namedArgs() pgx.NamedArgs {
	named := pgx.NamedArgs{
		"id":             c.ID,
		"display_name":   c.DisplayName,
		"stripe_account": c.StripeAccount,
		"time_zone":      c.TimeZone,
		"language":       c.Language,
		"alert_emails":   c.AlertEmails,
		// NULL, not zero: zero is a limit above which every refund is.
		"refund_approval_minor":    nil,
		"refund_approval_currency": nil,
		"bank_holder":              c.BankAccount.Holder,
		"bank_iban":                c.BankAccount.IBAN,
		"bank_bic":                 c.BankAccount.BIC,
		"cheque_payee":             c.ChequePayee,
		"postal_address":           c.PostalAddress,
		"own_account_required":     c.OwnAccountRequired,
		"discreet":                 c.Discreet,
		"suspended_at":             nil,
		"suspend_reason":           c.SuspendReason,
	}
	if !c.SuspendTime.IsZero() {
		named["suspended_at"] = c.SuspendTime
	}
	if c.RefundApproval.Currency != "" {
		named["refund_approval_minor"], named["refund_approval_currency"] = c.RefundApproval.Minor, string(c.RefundApproval.Currency)
	}
	return named
}

// scan reads a row of columns. The limit of refunds is two NULLs for none; a constraint keeps them together. Times are
// UTC.
func scan(r pgx.CollectableRow) (Collective, error) {
	var c Collective
	var approvalMinor *int64
	var approvalCurrency *string
	var suspended *time.Time
	err := r.Scan(&c.ID, &c.DisplayName, &c.StripeAccount, &c.TimeZone, &c.Language, &c.AlertEmails, &approvalMinor, &approvalCurrency,
		&c.BankAccount.Holder, &c.BankAccount.IBAN, &c.BankAccount.BIC, &c.ChequePayee, &c.PostalAddress,
		&c.OwnAccountRequired, &c.Discreet, &suspended, &c.SuspendReason, &c.CreateTime, &c.UpdateTime, &c.version)
	if approvalMinor != nil {
		c.RefundApproval = money.Amount{Minor: *approvalMinor, Currency: money.Currency(*approvalCurrency)}
	}
	if suspended != nil {
		c.SuspendTime = suspended.UTC()
	}
	c.CreateTime, c.UpdateTime = c.CreateTime.UTC(), c.UpdateTime.UTC()
	return c, err
}
