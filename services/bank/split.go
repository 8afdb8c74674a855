package bank

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fingerprint"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/treasury"
)

// Part is a part of a line that is split: its amount and, when it is known, what it shows.
type Part struct {
	Amount money.Amount
	Target *Target
}

// SplitLine replaces an open line by parts that add up to it, and matches the parts that have a target. Sent twice, it does
// so once. Errors: those of the proto's method.
//
// A part is a line of its own, so that a payment, a donation or a payout is one line of the bank's, as everywhere. It has the
// day, the account and the names of the line, and a key that no file can have.
func (s *Service) SplitLine(ctx context.Context, r treasury.Request, collective string, id uuid.UUID, parts []Part) (Line, error) {
	at, err := s.openPlace(ctx, collective)
	if err != nil {
		return Line{}, err
	}
	fields := fingerprint.Fields{"line": id.String()}
	for i, p := range parts {
		key := fmt.Sprintf("part.%d", i+1)
		fields[key+".amount"] = p.Amount.String()
		if p.Target == nil {
			continue
		}
		for name, value := range p.Target.fields() {
			fields[key+"."+name] = value
		}
		if err := s.prepare(ctx, p.Target); err != nil {
			return Line{}, err
		}
	}
	if _, err := s.cfg.Treasury.Once(ctx, r, collective, "split_line", id, fields, func(ctx context.Context, tx pgx.Tx, now time.Time) error {
		l, err := s.lockOpenLineTx(ctx, tx, collective, id)
		if err != nil {
			return err
		}
		if err := checkParts(l, parts); err != nil {
			return err
		}
		made, err := s.insertPartsTx(ctx, tx, l, parts, now)
		if err != nil {
			return err
		}
		for i, p := range parts {
			if p.Target == nil {
				continue
			}
			if err := s.matchTargetTx(ctx, tx, made[i], *p.Target, r.By, at, now); err != nil {
				return err
			}
		}
		after := audit.Fields{"state": string(LineSplit)}
		for i, p := range parts {
			text := p.Amount.String()
			if p.Target != nil {
				text += " " + p.Target.String()
			}
			after[fmt.Sprintf("parts.%d", i+1)] = text
		}
		return audit.WriteTx(ctx, tx, audit.Change{Collective: collective, Resource: l.Name(), Before: audit.Fields{"state": string(l.State)}, After: after})
	}); err != nil {
		return Line{}, err
	}
	if err := s.Recognise(ctx, collective); err != nil {
		return Line{}, err
	}
	return s.Line(ctx, collective, id)
}

// checkParts refuses parts that are not a split of the line. The database refuses a wrong sum as well (trigger
// lines_check_split).
func checkParts(l Line, parts []Part) error {
	if l.SplitFrom != uuid.Nil {
		return errs.New(errorsv1.ErrorReason_BANK_LINE_SPLIT, "%s is a part of a line that is split already.", l.Name())
	}
	sum := money.Amount{Currency: l.Amount.Currency}
	for i, p := range parts {
		if p.Amount.Currency != l.Amount.Currency {
			return refusedPart(errorsv1.ErrorReason_CURRENCY_MISMATCH, i, "amount.currency_code", "must be "+string(l.Amount.Currency))
		}
		if p.Amount.Minor == 0 || (p.Amount.Minor > 0) != (l.Amount.Minor > 0) {
			return refusedPart(errorsv1.ErrorReason_INVALID_FIELD, i, "amount", "must not be zero, and must have the sign of the line")
		}
		var err error
		if sum, err = sum.Add(p.Amount); err != nil {
			return errs.Invalid("parts", "are too large to add up")
		}
	}
	if len(parts) < 2 || sum != l.Amount {
		return errs.Invalid("parts", "must add up to %s, and not to %s", l.Amount, sum)
	}
	return nil
}

func refusedPart(reason errs.Reason, part int, field, description string) error {
	e := errs.New(reason, "A field of the request is invalid.")
	e.Fields = []errs.Field{{Field: "parts[" + strconv.Itoa(part) + "]." + field, Description: description}}
	return e
}

// insertPartSQL stores a part of a line, which is copied but for its amount. It is unmatched.
const insertPartSQL = `
INSERT INTO bank.lines (
	id,
	collective,
	account,
	line_key,
	statement,
	booked_on,
	amount_minor,
	currency,
	bank_reference,
	pledge,
	split_from,
	payee_named,
	document_named,
	attempt,
	created_at,
	updated_at
)
SELECT
	@id,
	l.collective,
	l.account,
	@line_key,
	l.statement,
	l.booked_on,
	@amount_minor,
	l.currency,
	l.bank_reference,
	l.pledge,
	l.id,
	l.payee_named,
	l.document_named,
	@attempt,
	@now,
	@now
FROM bank.lines AS l
WHERE l.id = @line`

// insertPartsTx splits a line that is locked and open, and returns its parts.
func (s *Service) insertPartsTx(ctx context.Context, tx pgx.Tx, l Line, parts []Part, now time.Time) ([]Line, error) {
	whole := l
	whole.State, whole.Target, whole.Transaction = LineSplit, "", 0
	if err := updateLineTx(ctx, tx, whole, now); err != nil {
		return nil, err
	}
	made := make([]Line, len(parts))
	for i, p := range parts {
		part := l
		part.ID, part.Amount, part.SplitFrom = newID(), p.Amount, l.ID
		part.State, part.Target, part.Transaction = LineUnmatched, "", 0
		// Above zero, so that a part is only suggested and not matched by itself: a member is at work on it.
		part.attempt = l.attempt + 1
		mac := hmac.New(sha256.New, s.cfg.SecretKey)
		mac.Write([]byte("bank.parts " + part.ID.String()))
		if _, err := tx.Exec(ctx, insertPartSQL, pgx.NamedArgs{
			"id": part.ID, "line": l.ID, "line_key": mac.Sum(nil), "amount_minor": p.Amount.Minor, "attempt": part.attempt, "now": now,
		}); err != nil {
			return nil, postgres.Error(err)
		}
		made[i] = part
	}
	return made, nil
}

// lockPartsSQL returns the parts of a line that are not withdrawn, and locks them. The index lines_split_idx has this order.
const lockPartsSQL = `
SELECT` + lineColumns + `
FROM bank.lines AS l
WHERE l.split_from = @line
	AND l.state <> 'withdrawn'
ORDER BY l.id
FOR NO KEY UPDATE OF l`

// withdrawPartsTx reverses what the matches of the parts of a line booked, and withdraws the parts. The line is locked.
func (s *Service) withdrawPartsTx(ctx context.Context, tx pgx.Tx, l Line, reason string, now time.Time) error {
	parts, err := postgres.All(ctx, tx, scanLine, lockPartsSQL, pgx.NamedArgs{"line": l.ID})
	if err != nil {
		return err
	}
	for _, part := range parts {
		// A line that is matched or ignored is opened before it takes another state (trigger lines_check_change).
		if !part.open() {
			if part, err = s.openLineTx(ctx, tx, part, reason, now); err != nil {
				return err
			}
		}
		part.State, part.Target, part.Transaction = LineWithdrawn, "", 0
		if err := updateLineTx(ctx, tx, part, now); err != nil {
			return err
		}
	}
	return nil
}
