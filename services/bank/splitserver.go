package bank

import (
	"context"
	"slices"
	"strconv"

	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

func (s *server) SplitBankLine(ctx context.Context, req *bankv1.SplitBankLineRequest) (*bankv1.BankLine, error) {
	collective, id, r, err := lineChanged(ctx, req)
	if err != nil {
		return nil, err
	}
	var parts []Part
	for i, sent := range req.GetParts() {
		part := Part{Amount: wire.Amount(sent.GetAmount())}
		if sent.GetTarget() != nil {
			target, err := targetFromProto(collective, sent.GetTarget())
			if err != nil {
				return nil, partError(err, i)
			}
			part.Target = &target
		}
		parts = append(parts, part)
	}
	return lineAnswer(s.service.SplitLine(ctx, r, collective, id, parts))
}

// partError names the fields of an error about a part as they are in the request.
func partError(err error, part int) error {
	e := *errs.As(err)
	e.Fields = slices.Clone(e.Fields)
	for i := range e.Fields {
		e.Fields[i].Field = "parts[" + strconv.Itoa(part) + "]." + e.Fields[i].Field
	}
	return &e
}
