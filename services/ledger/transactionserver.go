package ledger

import (
	"context"
	"strconv"
	"time"

	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

// listFilter is what a page token belongs to.
type listFilter struct {
	Parent, Campaign, Account, Kind, Reference string
	Start, End                                 time.Time
}

func (s *server) ListTransactions(ctx context.Context, req *ledgerv1.ListTransactionsRequest) (*ledgerv1.ListTransactionsResponse, error) {
	parent, collective, book, err := s.find(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	filter := TransactionFilter{
		Book: book, Collective: collective, Account: req.GetAccount(), Kind: req.GetKind(), Reference: req.GetReference(),
	}
	if filter.Start, err = wire.Instant("start_time", req.GetStartTime()); err != nil {
		return nil, err
	}
	if filter.End, err = wire.Instant("end_time", req.GetEndTime()); err != nil {
		return nil, err
	}
	if filter.Campaign, err = campaignOf("campaign", parent, req.GetCampaign()); err != nil {
		return nil, err
	}
	tokenFilter := listFilter{
		req.GetParent(), filter.Campaign, filter.Account, filter.Kind, filter.Reference, filter.Start, filter.End,
	}
	found, next, err := page.List(req, tokenFilter, Position{}, func(after Position, count int) ([]Posted, error) {
		return s.service.Transactions(ctx, filter, after, count)
	}, func(t Posted) Position { return Position{t.Effective, t.ID} })
	if err != nil {
		return nil, err
	}
	resp := &ledgerv1.ListTransactionsResponse{NextPageToken: next}
	for _, t := range found {
		resp.Transactions = append(resp.Transactions, transactionToProto(parent, t))
	}
	return resp, nil
}

func transactionToProto(parent string, t Posted) *ledgerv1.Transaction {
	transaction := &ledgerv1.Transaction{
		Name:          transactionName(parent, t.ID),
		Reference:     t.Reference,
		Kind:          t.Kind,
		EffectiveTime: wire.Time(t.Effective),
		RecordTime:    wire.Time(t.Recorded),
	}
	if t.Reverses != 0 {
		transaction.Reverses = transactionName(parent, t.Reverses)
	}
	if t.Reclassifies != 0 {
		transaction.Reclassifies = transactionName(parent, t.Reclassifies)
	}
	if c := t.Conversion; c != nil {
		transaction.ExchangeRate = c.Rate
		if c.Original.Currency != "" {
			transaction.OriginalAmount = wire.Money(c.Original)
		}
	}
	for _, e := range t.Entries {
		entry := &ledgerv1.Entry{
			Account:            e.Code,
			AccountDisplayName: e.DisplayName,
			Amount:             wire.Money(e.Amount),
		}
		entry.Campaign, entry.Donation = dimensionNames(parent, e.Campaign, e.Donation)
		transaction.Entries = append(transaction.Entries, entry)
	}
	return transaction
}

func transactionName(parent string, id int64) string {
	return parent + "/ledger/transactions/" + strconv.FormatInt(id, 10)
}
