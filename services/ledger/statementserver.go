package ledger

import (
	"context"
	"strings"
	"time"

	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

// statementFilter is what a page token belongs to.
type statementFilter struct {
	Parent     string
	Start, End time.Time
	AtNumber   int64
}

// statementKey is where a page of a statement begins. The first page's number is the later ones' too.
type statementKey struct {
	LinePosition
	Number int64
}

// ListStatementLines names its account by `…/ledger/accounts/{account}`. The page token keeps the position and the
// number of the first page, so that entries which arrive meanwhile shift no page.
func (s *server) ListStatementLines(ctx context.Context, req *ledgerv1.ListStatementLinesRequest) (*ledgerv1.ListStatementLinesResponse, error) {
	ledger, code, ok := strings.Cut(req.GetParent(), "/accounts/")
	if !ok {
		return nil, errs.NotFound(req.GetParent())
	}
	parent, collective, book, err := s.find(ctx, ledger)
	if err != nil {
		return nil, err
	}
	filter := StatementFilter{Book: book, Collective: collective, Account: code, Number: req.GetAtNumber()}
	if filter.Start, err = wire.Instant("start_time", req.GetStartTime()); err != nil {
		return nil, err
	}
	if filter.End, err = wire.Instant("end_time", req.GetEndTime()); err != nil {
		return nil, err
	}
	// A token of another account, span or number is refused.
	tokenFilter := statementFilter{req.GetParent(), filter.Start, filter.End, filter.Number}
	// The pages are made by a callback; the statement of the call is needed afterwards, for the account's balances and the
	// number.
	var st *Statement
	lines, next, err := page.List(req, tokenFilter, statementKey{Number: filter.Number}, func(after statementKey, count int) ([]StatementLine, error) {
		// Without a token it is what the request asks for, 0 for the last number. A token has the number of the first page.
		filter.Number = after.Number
		var err error
		if st, err = s.service.Statement(ctx, filter, after.LinePosition, count); err != nil {
			return nil, err
		}
		return st.Lines, nil
	}, func(l StatementLine) statementKey {
		return statementKey{LinePosition{l.Effective, l.TransactionID, l.Line}, st.Number}
	})
	if err != nil {
		return nil, err
	}
	// The account has the balances before the first line of this page.
	resp := &ledgerv1.ListStatementLinesResponse{Account: accountToProto(parent, st.Account), AtNumber: st.Number, NextPageToken: next}
	for _, l := range lines {
		line := &ledgerv1.StatementLine{
			Transaction:   transactionName(parent, l.TransactionID),
			Number:        l.Number,
			Reference:     l.Reference,
			Kind:          l.Kind,
			EffectiveTime: wire.Time(l.Effective),
			Amount:        wire.Money(l.Amount),
			Balance:       wire.Money(l.Balance),
		}
		// A line that belongs to no campaign or donation leaves the names empty.
		line.Campaign, line.Donation = dimensionNames(parent, l.Campaign, l.Donation)
		resp.Lines = append(resp.Lines, line)
	}
	return resp, nil
}
