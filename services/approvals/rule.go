package approvals

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/notices"
)

// Mode is what a collective chose.
type Mode string

// The modes, as they are stored.
const (
	Automatic Mode = "automatic"
	On        Mode = "on"
	Off       Mode = "off"
)

// TwoPersonRule is a collective's rule.
type TwoPersonRule struct {
	Collective string
	Mode       Mode
	// Active reports whether guarded changes wait.
	Active bool
	// Waiting is the change of the rule that waits; its ID is zero for none.
	Waiting Change
}

// Name returns the resource name.
func (r TwoPersonRule) Name() string { return ruleName(r.Collective) }

func ruleName(collective string) string { return "collectives/" + collective + "/twoPersonRule" }

const modeSQL = `
SELECT r.mode
FROM approvals.rules AS r
WHERE r.collective = @collective`

func modeTx(ctx context.Context, tx pgx.Tx, collective string) (Mode, error) {
	mode, err := postgres.One(ctx, tx, pgx.RowTo[Mode], modeSQL, pgx.NamedArgs{"collective": collective})
	if errors.Is(err, pgx.ErrNoRows) {
		return Automatic, nil
	}
	return mode, postgres.Error(err)
}

// ActiveTx reports whether guarded changes of a collective wait for a second person.
func (s *Service) ActiveTx(ctx context.Context, tx pgx.Tx, collective string) (bool, error) {
	mode, err := modeTx(ctx, tx, collective)
	if err != nil {
		return false, err
	}
	return activeTx(ctx, tx, collective, mode)
}

func activeTx(ctx context.Context, tx pgx.Tx, collective string, mode Mode) (bool, error) {
	if mode != Automatic {
		return mode == On, nil
	}
	people, err := access.CountTrustedTx(ctx, tx, collective)
	return people >= 2, err
}

// lockRuleSQL makes changes of one rule wait for each other.
const lockRuleSQL = `
SELECT pg_advisory_xact_lock(hashtextextended('cagnotte approvals rule ' || @collective::text, 0))`

const knownSQL = `
SELECT EXISTS (
	SELECT
	FROM collectives.collectives AS c
	WHERE c.id = @collective
)`

// ruleTx reads a rule. NOT_FOUND when there is no such collective.
func ruleTx(ctx context.Context, tx pgx.Tx, collective string) (r TwoPersonRule, err error) {
	var known bool
	if err := tx.QueryRow(ctx, knownSQL, pgx.NamedArgs{"collective": collective}).Scan(&known); err != nil {
		return r, postgres.Error(err)
	}
	if !known {
		return r, errs.NotFound(ruleName(collective))
	}
	r.Collective = collective
	if r.Mode, err = modeTx(ctx, tx, collective); err != nil {
		return r, err
	}
	if r.Active, err = activeTx(ctx, tx, collective, r.Mode); err != nil {
		return r, err
	}
	r.Waiting, err = postgres.One(ctx, tx, scan, waitingSQL, pgx.NamedArgs{"collective": collective, "kind": Rule, "subject": r.Name()})
	if errors.Is(err, pgx.ErrNoRows) {
		return r, nil
	}
	return r, postgres.Error(err)
}

// GetRule returns a collective's rule.
func (s *Service) GetRule(ctx context.Context, collective string) (r TwoPersonRule, err error) {
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		r, err = ruleTx(ctx, tx, collective)
		return err
	})
	return r, err
}

// UpdateRule sets the mode for the caller in the context. One that makes an active rule inactive waits for a second person.
// For the errors see the contract's UpdateTwoPersonRule.
func (s *Service) UpdateRule(ctx context.Context, collective string, mode Mode) (r TwoPersonRule, err error) {
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockRuleSQL, pgx.NamedArgs{"collective": collective}); err != nil {
			return postgres.Error(err)
		}
		if r, err = ruleTx(ctx, tx, collective); err != nil || r.Mode == mode {
			return err
		}
		active, err := activeTx(ctx, tx, collective, mode)
		if err != nil {
			return err
		}
		if r.Active && !active {
			r.Waiting, err = s.RequestTx(ctx, tx, Request{
				Collective: collective, Kind: Rule, Subject: r.Name(), Before: r.Mode, After: mode,
				BeforeText: string(r.Mode), AfterText: string(mode),
			})
			if err != nil || r.Waiting.Repeated {
				return err
			}
			return audit.WriteTx(ctx, tx, audit.Change{Collective: collective, Resource: r.Waiting.Name(), After: r.Waiting.AuditFields()})
		}
		before := r.Mode
		if err := s.setModeTx(ctx, tx, collective, before, mode); err != nil {
			return err
		}
		r.Mode, r.Active = mode, active
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: collective, Resource: r.Name(),
			Before: map[string]string{"mode": string(before)}, After: map[string]string{"mode": string(mode)},
		})
	})
	return r, err
}

const setModeSQL = `
INSERT INTO approvals.rules AS r (
	collective,
	mode,
	updated_at
)
VALUES (
	@collective,
	@mode,
	@now
)
ON CONFLICT (collective) DO UPDATE
SET
	mode = excluded.mode,
	updated_at = excluded.updated_at`

// setModeTx writes the mode, and tells of it.
func (s *Service) setModeTx(ctx context.Context, tx pgx.Tx, collective string, before, mode Mode) error {
	now := s.now()
	if _, err := tx.Exec(ctx, setModeSQL, pgx.NamedArgs{"collective": collective, "mode": mode, "now": now}); err != nil {
		return postgres.Error(err)
	}
	return s.cfg.Notices.TellChangeTx(ctx, tx, notices.Notice{
		Collective: collective, Kind: notices.TwoPersonRuleChanged, Key: now.Format("20060102T150405.000000"), Subject: ruleName(collective),
	}, string(before), string(mode))
}

// applyRuleTx is the Apply of the rule.
func (s *Service) applyRuleTx(ctx context.Context, tx pgx.Tx, c Change) error {
	if _, err := tx.Exec(ctx, lockRuleSQL, pgx.NamedArgs{"collective": c.Collective}); err != nil {
		return postgres.Error(err)
	}
	mode, err := modeTx(ctx, tx, c.Collective)
	if err != nil {
		return err
	}
	if string(mode) != c.BeforeText {
		return Outdated()
	}
	return s.setModeTx(ctx, tx, c.Collective, mode, Mode(c.AfterText))
}
