package bank

import (
	"context"
	"strings"

	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

func (s *server) GetBankPosition(ctx context.Context, req *bankv1.GetBankPositionRequest) (*bankv1.BankPosition, error) {
	collective, err := collectiveID(strings.TrimSuffix(req.GetName(), "/bankPosition"))
	if err != nil {
		return nil, err
	}
	p, err := s.service.BankPosition(ctx, collective)
	if err != nil {
		return nil, err
	}
	answer := &bankv1.BankPosition{
		Name: req.GetName(), BookBalance: wire.Money(p.Book), StatementBalance: wire.MoneyOrNil(p.Statement), StatementDate: string(p.StatementOn),
		OpenLines: wire.Money(p.Open), OpenLineCount: int32(p.OpenCount), IgnoredLines: wire.Money(p.Ignored),
	}
	// Without a closing balance there is nothing to compare with. Both amounts are in one currency here.
	if p.Statement != nil {
		difference, err := p.Book.Sub(*p.Statement)
		if err != nil {
			return nil, errs.Internal(err)
		}
		answer.Difference = wire.Money(difference)
	}
	return answer, nil
}
