package app

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/approvals"
	"github.com/cagnotte/cagnotte/services/notices"
)

// guardKeyTx is access.Config's GuardKeyTx: while a collective's two-person rule is active, a key of an owner's or treasurer's
// role waits.
func (s *services) guardKeyTx(ctx context.Context, tx pgx.Tx, k access.Key) (waits bool, err error) {
	if k.Collective == "" {
		return false, nil
	}
	if active, err := s.approvals.ActiveTx(ctx, tx, k.Collective); err != nil || !active {
		return false, err
	}
	_, err = s.approvals.RequestTx(ctx, tx, approvals.Request{
		Collective: k.Collective, Kind: approvals.APIKey, Subject: k.Name(), Before: "", After: k.Name(), AfterText: keyLabel(k),
	})
	return err == nil, err
}

// keyLabel is what people are told of a key.
func keyLabel(k access.Key) string { return string(k.Role) + " " + k.DisplayName }

// applyKeyTx makes a key work that waited.
func (s *services) applyKeyTx(ctx context.Context, tx pgx.Tx, c approvals.Change) error {
	if err := s.access.ApproveKeyTx(ctx, tx, c.Subject); err != nil {
		return err
	}
	return s.notices.TellChangeTx(ctx, tx, notices.Notice{
		Collective: c.Collective, Kind: notices.KeyApproved, Key: c.ID.String(), Subject: c.Subject,
	}, "", c.AfterText)
}

// newApprovals makes the service. Its functions read the services at the call, since those are made after it.
func (s *services) newApprovals(cfg approvals.Config) *approvals.Service {
	apply := func(ctx context.Context, tx pgx.Tx, c approvals.Change) error {
		return s.collectives.ApplyTx(ctx, tx, c)
	}
	cfg.Apply = map[approvals.Kind]approvals.Apply{
		approvals.BankAccount: apply, approvals.RefundApproval: apply, approvals.AlertEmails: apply, approvals.APIKey: s.applyKeyTx,
	}
	cfg.Drop = map[approvals.Kind]approvals.Drop{
		approvals.APIKey: func(ctx context.Context, tx pgx.Tx, c approvals.Change) error {
			return s.access.DropKeyTx(ctx, tx, c.Subject)
		},
	}
	return approvals.New(cfg)
}
