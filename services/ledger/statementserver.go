package ledger

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
)

// statementFilter is what a page token belongs to.
type statementFilter struct {
	Parent     string
	Start, End time.Time
	AtNumber   int64
}

func (s *server) ListStatementLines(ctx context.Context, req *ledgerv1.ListStatementLinesRequest) (*ledgerv1.ListStatementLinesResponse, error) {
	parent, code, ok := strings.Cut(req.GetParent(), "/ledger/accounts/")
	if !ok {
		return nil, errs.NotFound(req.GetParent())
	}
	collective, book, err := s.find(ctx, parent)
	if err != nil {
		return nil, err
	}
	filter := StatementFilter{Book: book, Collective: collective, Account: code, Number: req.GetAtNumber()}
	if filter.Start, err = timeFromProto("start_time", req.GetStartTime()); err != nil {
		return nil, err
	}
	if filter.End, err = timeFromProto("end_time", req.GetEndTime()); err != nil {
		return nil, err
	}
	tokenFilter := statementFilter{req.GetParent(), filter.Start, filter.End, filter.Number}
	var after LinePosition
	if token := req.GetPageToken(); token != "" {
		// The first page's number is the later ones' too.
		if err := page.Decode(token, tokenFilter, &after.Effective, &after.TransactionID, &after.Line, &filter.Number); err != nil {
			return nil, err
		}
	}
	size := page.Size(req.GetPageSize())
	// One more than asked tells whether there is another page.
	st, err := s.service.Statement(ctx, filter, after, size+1)
	if err != nil {
		return nil, err
	}
	resp := &ledgerv1.ListStatementLinesResponse{Account: accountToProto(parent, st.Account), AtNumber: st.Number}
	if len(st.Lines) > size {
		st.Lines = st.Lines[:size]
		last := st.Lines[size-1]
		resp.NextPageToken = page.Encode(tokenFilter, last.Effective, last.TransactionID, last.Line, st.Number)
	}
	for _, l := range st.Lines {
		line := &ledgerv1.StatementLine{
			Transaction:   transactionName(parent, l.TransactionID),
			Number:        l.Number,
			Reference:     l.Reference,
			Kind:          l.Kind,
			EffectiveTime: timestamppb.New(l.Effective),
			Amount:        moneyToProto(l.Amount),
			Balance:       moneyToProto(l.Balance),
		}
		line.Campaign, line.Donation = dimensionNames(parent, l.Campaign, l.Donation)
		resp.Lines = append(resp.Lines, line)
	}
	return resp, nil
}
