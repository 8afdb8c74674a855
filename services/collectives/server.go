package collectives

import (
	"context"
	"slices"

	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fieldmask"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

type server struct {
	collectivesv1.UnimplementedCollectivesServiceServer
	service *Service
}

// NewServer returns the service as gRPC.
func NewServer(s *Service) collectivesv1.CollectivesServiceServer { return &server{service: s} }

// CreateCollective ignores the output-only fields of the collective that is sent.
func (s *server) CreateCollective(ctx context.Context, req *collectivesv1.CreateCollectiveRequest) (*collectivesv1.Collective, error) {
	c := Collective{ID: req.GetCollectiveId()}
	settingsFromProto(&c, req.GetCollective())
	created, err := s.service.Create(ctx, c)
	return answer(ctx, created, err)
}

func (s *server) GetCollective(ctx context.Context, req *collectivesv1.GetCollectiveRequest) (*collectivesv1.Collective, error) {
	id, ok := ParseName(req.GetName())
	if !ok {
		return nil, errs.NotFound(req.GetName())
	}
	c, err := s.service.Get(ctx, id)
	return answer(ctx, c, err)
}

// ListCollectives lists all collectives for the operator, and for a member its own.
func (s *server) ListCollectives(ctx context.Context, req *collectivesv1.ListCollectivesRequest) (*collectivesv1.ListCollectivesResponse, error) {
	p := access.PrincipalFrom(ctx)
	if !p.IsOperator() {
		return s.own(ctx, p)
	}
	found, next, err := page.List(req, listFilter, "", func(after string, count int) ([]Collective, error) {
		return s.service.List(ctx, after, count)
	}, func(c Collective) string { return c.ID })
	if err != nil {
		return nil, err
	}
	resp := &collectivesv1.ListCollectivesResponse{NextPageToken: next}
	for _, c := range found {
		resp.Collectives = append(resp.Collectives, visible(ctx, c))
	}
	return resp, nil
}

// listFilter keeps the tokens of other lists out.
const listFilter = "collectives"

// own is a member's list: the collectives in which it has a role.
func (s *server) own(ctx context.Context, p access.Principal) (*collectivesv1.ListCollectivesResponse, error) {
	resp := &collectivesv1.ListCollectivesResponse{}
	for _, id := range slices.Sorted(slices.Values(p.Collectives())) {
		c, err := s.service.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		resp.Collectives = append(resp.Collectives, visible(ctx, c))
	}
	return resp, nil
}

// UpdateCollective applies the mask to the stored settings under the row's lock, so that fields which the mask leaves
// out stay as they are.
func (s *server) UpdateCollective(ctx context.Context, req *collectivesv1.UpdateCollectiveRequest) (*collectivesv1.Collective, error) {
	sent := req.GetCollective()
	id, ok := ParseName(sent.GetName())
	if !ok {
		return nil, errs.NotFound(sent.GetName())
	}
	isOperator := access.PrincipalFrom(ctx).IsOperator()
	updated, err := s.service.Update(ctx, id, sent.GetEtag(), func(c *Collective) error {
		stored := *c
		merged := toProto(stored)
		if err := fieldmask.Apply(merged, sent, req.GetUpdateMask(), writable...); err != nil {
			return err
		}
		settingsFromProto(c, merged)
		// On whose account the money stands is the operator's word. An owner who sends back what it
		// has read changes nothing, and may.
		if !isOperator && (c.StripeAccount != stored.StripeAccount || c.OwnAccountRequired != stored.OwnAccountRequired) {
			return errs.NotFound(c.Name())
		}
		return nil
	})
	return answer(ctx, updated, err)
}

func (s *server) SuspendCollective(ctx context.Context, req *collectivesv1.SuspendCollectiveRequest) (*collectivesv1.Collective, error) {
	id, ok := ParseName(req.GetName())
	if !ok {
		return nil, errs.NotFound(req.GetName())
	}
	c, err := s.service.Suspend(ctx, id, req.GetReason())
	return answer(ctx, c, err)
}

func (s *server) ResumeCollective(ctx context.Context, req *collectivesv1.ResumeCollectiveRequest) (*collectivesv1.Collective, error) {
	id, ok := ParseName(req.GetName())
	if !ok {
		return nil, errs.NotFound(req.GetName())
	}
	c, err := s.service.Resume(ctx, id)
	return answer(ctx, c, err)
}

// writable are the fields that an update may change.
var writable = []string{
	"display_name", "stripe_account", "time_zone", "language", "alert_emails", "refund_approval", "bank_account",
	"cheque_payee", "postal_address", "own_account_required", "discreet",
}

// settingsFromProto copies the fields that are writable, unchecked: normalise checks them. All others of c stay.
func settingsFromProto(c *Collective, p *collectivesv1.Collective) {
	c.DisplayName = p.GetDisplayName()
	c.StripeAccount = p.GetStripeAccount()
	c.TimeZone = p.GetTimeZone()
	c.Settings = Settings{
		Language:       p.GetLanguage(),
		AlertEmails:    p.GetAlertEmails(),
		RefundApproval: wire.Amount(p.GetRefundApproval()),
		BankAccount: BankAccount{
			Holder: p.GetBankAccount().GetHolder(), IBAN: p.GetBankAccount().GetIban(), BIC: p.GetBankAccount().GetBic(),
		},
		ChequePayee:        p.GetChequePayee(),
		PostalAddress:      p.GetPostalAddress(),
		OwnAccountRequired: p.GetOwnAccountRequired(),
		Discreet:           p.GetDiscreet(),
	}
}

// answer is one collective as the caller may see it, or the error as it is.
func answer(ctx context.Context, c Collective, err error) (*collectivesv1.Collective, error) {
	if err != nil {
		return nil, err
	}
	return visible(ctx, c), nil
}

// visible is what the caller may see: the addresses of members are for who may change them.
func visible(ctx context.Context, c Collective) *collectivesv1.Collective {
	p := toProto(c)
	if by := access.PrincipalFrom(ctx); by.Role(c.ID) != access.RoleOwner && !by.IsOperator() {
		p.AlertEmails = nil
	}
	return p
}

// toProto has all fields. visible takes out what the caller may not see.
func toProto(c Collective) *collectivesv1.Collective {
	p := &collectivesv1.Collective{
		Name:               c.Name(),
		DisplayName:        c.DisplayName,
		StripeAccount:      c.StripeAccount,
		TimeZone:           c.TimeZone,
		CreateTime:         wire.Time(c.CreateTime),
		UpdateTime:         wire.Time(c.UpdateTime),
		Etag:               c.etag(),
		Language:           c.Language,
		AlertEmails:        c.AlertEmails,
		ChequePayee:        c.ChequePayee,
		PostalAddress:      c.PostalAddress,
		OwnAccountRequired: c.OwnAccountRequired,
		Discreet:           c.Discreet,
		SuspendTime:        wire.Time(c.SuspendTime),
		SuspendReason:      c.SuspendReason,
		PendingChanges:     c.waits,
	}
	// Absent means that no refund needs a second member, and zero that each one does.
	if c.RefundApproval.Currency != "" {
		p.RefundApproval = wire.Money(c.RefundApproval)
	}
	if c.BankAccount != (BankAccount{}) {
		p.BankAccount = &collectivesv1.BankAccount{Holder: c.BankAccount.Holder, Iban: c.BankAccount.IBAN, Bic: c.BankAccount.BIC}
	}
	return p
}
