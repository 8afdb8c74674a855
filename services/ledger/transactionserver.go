package ledger

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

func (s *server) GetTransaction(ctx context.Context, req *ledgerv1.GetTransactionRequest) (*ledgerv1.Transaction, error) {
	parent, collective, book, reference, err := s.findTransaction(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return s.transaction(ctx, parent, collective, book, reference)
}

// findTransaction returns what a transaction's name says, and its reference. NOT_FOUND when the collective has no entry in it.
func (s *server) findTransaction(ctx context.Context, name string) (parent, collective, book, reference string, err error) {
	// An id of another collective or book is not told apart from one that does not exist.
	ledger, last, ok := strings.Cut(name, "/transactions/")
	id, err := strconv.ParseInt(last, 10, 64)
	if !ok || err != nil {
		return "", "", "", "", errs.NotFound(name)
	}
	if parent, collective, book, err = s.find(ctx, ledger); err != nil {
		return "", "", "", "", err
	}
	// The services know a transaction by its reference, the API by its id.
	reference, err = s.service.referenceOf(ctx, book, collective, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", "", "", "", errs.NotFound(name)
	}
	return parent, collective, book, reference, postgres.Error(err)
}

// transaction reads the transaction that stands under a reference. The corrections use it too: they answer with the
// transaction that they posted.
func (s *server) transaction(ctx context.Context, parent, collective, book, reference string) (*ledgerv1.Transaction, error) {
	found, err := s.service.Transactions(ctx, TransactionFilter{Book: book, Collective: collective, Reference: reference}, Position{}, 1)
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, errs.NotFound(parent + "/ledger/transactions")
	}
	return transactionToProto(parent, found[0]), nil
}

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
	// A token is for the same filter only, so the filter is a part of it.
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

// transactionToProto names everything under the parent, which is a collective or a book.
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
	// Stripe reports a rate without the original amount for some transactions.
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
