package app

import (
	"cmp"
	"context"
	"encoding/json"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/approvals"
	"github.com/cagnotte/cagnotte/services/internal/errs"
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

// guardPeopleTx is access.Config's GuardPeopleTx: while a collective's two-person rule is active, nobody becomes an owner or
// treasurer before a second person has agreed. Otherwise one person alone would make the second one.
func (s *services) guardPeopleTx(ctx context.Context, tx pgx.Tx, g access.Given) (access.Waiting, error) {
	collective := cmp.Or(g.Invitation.Collective, g.Membership.Collective)
	if collective == "" {
		return access.Waiting{}, nil
	}
	if active, err := s.approvals.ActiveTx(ctx, tx, collective); err != nil || !active {
		return access.Waiting{}, err
	}
	r := approvals.Request{
		Collective: collective, Kind: approvals.Invitation, Subject: g.Invitation.Name(), Before: "", After: g.Role, AfterText: g.Text(),
	}
	if m := g.Membership; m.ID != uuid.Nil {
		r.Kind, r.Subject, r.Before = approvals.MemberRole, m.Name(), m.Role
		r.BeforeText = access.Given{Membership: m, Role: m.Role}.Text()
	}
	c, err := s.approvals.RequestTx(ctx, tx, r)
	if err != nil {
		return access.Waiting{}, err
	}
	return access.Waiting{Change: c.Name(), Repeated: c.Repeated}, nil
}

// withdrawTx is access.Config's WithdrawTx. It reads the service at the call, since that is made later.
func (s *services) withdrawTx(ctx context.Context, tx pgx.Tx, subjects []string) error {
	return s.approvals.WithdrawTx(ctx, tx, subjects)
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
		approvals.Invitation: func(ctx context.Context, tx pgx.Tx, c approvals.Change) error {
			return s.access.ApproveInvitationTx(ctx, tx, c.Subject)
		},
		approvals.ReceiptDeclaration: func(ctx context.Context, tx pgx.Tx, c approvals.Change) error {
			return s.receipts.ApplyTx(ctx, tx, c)
		},
		approvals.MemberRole: func(ctx context.Context, tx pgx.Tx, c approvals.Change) error {
			var role access.Role
			if err := json.Unmarshal(c.After, &role); err != nil {
				return errs.Internal(err)
			}
			return s.access.ApproveRoleTx(ctx, tx, c.Subject, role)
		},
	}
	cfg.Drop = map[approvals.Kind]approvals.Drop{
		approvals.ReceiptDeclaration: func(ctx context.Context, tx pgx.Tx, c approvals.Change) error {
			return s.receipts.DropTx(ctx, tx, c)
		},
		approvals.APIKey: func(ctx context.Context, tx pgx.Tx, c approvals.Change) error {
			return s.access.DropKeyTx(ctx, tx, c.Subject)
		},
		approvals.Invitation: func(ctx context.Context, tx pgx.Tx, c approvals.Change) error {
			return s.access.DropInvitationTx(ctx, tx, c.Subject)
		},
	}
	return approvals.New(cfg)
}
