package collectives

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/approvals"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// guarded is a setting that waits for a second person while the two-person rule is active.
type guarded struct {
	kind approvals.Kind
	// value is the setting's, for encoding/json, and text its form for people.
	value func(c Collective) any
	text  func(c Collective) string
	// same compares the settings of two, and take copies it from one to another.
	same func(a, b Collective) bool
	take func(to *Collective, from Collective)
	// read sets the setting from what value gave.
	read func(c *Collective, value json.RawMessage) error
}

var guardedSettings = []guarded{
	{
		kind:  approvals.BankAccount,
		value: func(c Collective) any { return c.BankAccount },
		text:  func(c Collective) string { return c.BankAccount.short() },
		same:  func(a, b Collective) bool { return a.BankAccount == b.BankAccount },
		take:  func(to *Collective, from Collective) { to.BankAccount = from.BankAccount },
		read: func(c *Collective, value json.RawMessage) error {
			c.BankAccount = BankAccount{}
			return json.Unmarshal(value, &c.BankAccount)
		},
	},
	{
		kind:  approvals.RefundApproval,
		value: func(c Collective) any { return c.RefundApproval },
		text:  func(c Collective) string { return limitText(c.RefundApproval) },
		same:  func(a, b Collective) bool { return a.RefundApproval == b.RefundApproval },
		take:  func(to *Collective, from Collective) { to.RefundApproval = from.RefundApproval },
		read: func(c *Collective, value json.RawMessage) error {
			return json.Unmarshal(value, &c.RefundApproval)
		},
	},
	{
		kind:  approvals.AlertEmails,
		value: func(c Collective) any { return c.AlertEmails },
		text:  func(c Collective) string { return shortAddresses(c.AlertEmails) },
		same:  func(a, b Collective) bool { return slices.Equal(a.AlertEmails, b.AlertEmails) },
		take:  func(to *Collective, from Collective) { to.AlertEmails = from.AlertEmails },
		read: func(c *Collective, value json.RawMessage) error {
			c.AlertEmails = nil
			return json.Unmarshal(value, &c.AlertEmails)
		},
	},
}

// guardTx takes the guarded settings out of a change while the two-person rule is active, and asks for a second person. It
// returns what waits. A session needs a fresh proof, whether the rule is active or not; it also needs one to have cards and
// cheques paid elsewhere.
func (s *Service) guardTx(ctx context.Context, tx pgx.Tx, stored Collective, changed *Collective) (asked []approvals.Change, err error) {
	differs := slices.DeleteFunc(slices.Clone(guardedSettings), func(g guarded) bool { return g.same(stored, *changed) })
	if len(differs) == 0 && !stored.paidElsewhere(*changed) {
		return nil, nil
	}
	if err := access.RequireFresh(ctx); err != nil {
		return nil, err
	}
	if len(differs) == 0 || s.approvals == nil {
		return nil, nil
	}
	if active, err := s.approvals.ActiveTx(ctx, tx, stored.ID); err != nil || !active {
		return nil, err
	}
	for _, g := range differs {
		c, err := s.approvals.RequestTx(ctx, tx, approvals.Request{
			Collective: stored.ID, Kind: g.kind, Subject: stored.Name(), Before: g.value(stored), After: g.value(*changed),
			BeforeText: g.text(stored), AfterText: g.text(*changed),
		})
		if err != nil {
			return nil, err
		}
		asked = append(asked, c)
		g.take(changed, stored)
	}
	return asked, nil
}

// paidElsewhere reports whether cards or cheques are paid to somebody else in another version of the collective.
func (c Collective) paidElsewhere(other Collective) bool {
	return c.StripeAccount != other.StripeAccount || c.ChequePayee != other.ChequePayee || !slices.Equal(c.PostalAddress, other.PostalAddress)
}

// auditRequestTx writes the entry of a request that changes nothing yet. One that waited before is no new request.
func (s *Service) auditRequestTx(ctx context.Context, tx pgx.Tx, asked []approvals.Change) error {
	asked = slices.DeleteFunc(asked, func(c approvals.Change) bool { return c.Repeated })
	if len(asked) == 0 {
		return nil
	}
	after := audit.Fields{}
	for _, c := range asked {
		after[string(c.Kind)] = c.AfterText
	}
	return audit.WriteTx(ctx, tx, audit.Change{Collective: asked[0].Collective, Resource: asked[0].Name(), After: after})
}

// ApplyTx is the approvals' Apply for the guarded settings.
func (s *Service) ApplyTx(ctx context.Context, tx pgx.Tx, c approvals.Change) error {
	i := slices.IndexFunc(guardedSettings, func(g guarded) bool { return g.kind == c.Kind })
	if i < 0 {
		return errs.Internal(errors.New("collectives: no setting is guarded as " + string(c.Kind)))
	}
	g := guardedSettings[i]
	rows, err := tx.Query(ctx, lockSQL, pgx.NamedArgs{"id": c.Collective})
	stored, err := one(rows, err, c.Collective)
	if err != nil {
		return err
	}
	before, changed := stored, stored
	if err := errors.Join(g.read(&before, c.Before), g.read(&changed, c.After)); err != nil {
		return errs.Internal(err)
	}
	if !g.same(stored, before) {
		return approvals.Outdated()
	}
	if err := changed.normalise(); err != nil {
		return err
	}
	if err := s.tellChangesTx(ctx, tx, stored, changed); err != nil {
		return err
	}
	named := changed.namedArgs()
	named["updated_at"] = s.nowMicros()
	rows, err = tx.Query(ctx, updateSQL, named)
	_, err = one(rows, err, c.Collective)
	return err
}
