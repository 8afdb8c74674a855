package ledger

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

// BookOf tells the book that a collective's money is in; a collective that does not exist is
// NOT_FOUND. It comes from outside because this package knows no collectives.
type BookOf func(ctx context.Context, collective string) (book string, err error)

// ServerConfig is what the calls need to know of others, which this package does not know. All of it is required.
type ServerConfig struct {
	BookOf BookOf
	// PublicBookOf is the same for calls that anybody may make: NOT_FOUND too for a collective that the caller may not know of.
	PublicBookOf BookOf
	// MayAddAccount returns an error when the caller may not add to the chart that a collective's book has.
	MayAddAccount func(ctx context.Context, collective string) error
	// KnowsCampaign returns NOT_FOUND when the collective has no such campaign.
	KnowsCampaign func(ctx context.Context, collective, campaign string) error
}

type server struct {
	ledgerv1.UnimplementedLedgerServiceServer
	service *Service
	cfg     ServerConfig
}

// NewServer returns the service as gRPC.
func NewServer(s *Service, cfg ServerConfig) ledgerv1.LedgerServiceServer {
	return &server{service: s, cfg: cfg}
}

func (s *server) ListAccounts(ctx context.Context, req *ledgerv1.ListAccountsRequest) (*ledgerv1.ListAccountsResponse, error) {
	parent, collective, book, err := s.find(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	asOf, err := wire.Instant("as_of", req.GetAsOf())
	if err != nil {
		return nil, err
	}
	campaign, err := campaignOf("campaign", parent, req.GetCampaign())
	if err != nil {
		return nil, err
	}
	accounts, err := s.service.AccountsAt(ctx, AccountsFilter{
		Book: book, Collective: collective, Campaign: campaign, AsOf: asOf, Number: req.GetAtNumber(),
	})
	if err != nil {
		return nil, err
	}
	resp := &ledgerv1.ListAccountsResponse{}
	for _, a := range accounts {
		resp.Accounts = append(resp.Accounts, accountToProto(parent, a))
	}
	return resp, nil
}

// campaignOf returns the slug of one of the parent's campaigns; empty when none is asked for.
func campaignOf(field, parent, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	campaign, own := strings.CutPrefix(name, parent+"/campaigns/")
	if !own {
		return "", errs.Invalid(field, "must be a campaign of %s", parent)
	}
	return campaign, nil
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

// find returns what a ledger's name says: the parent that begins the names of what is in it, the collective, which is
// empty for a book, and the book. The name is `collectives/{collective}/ledger` or `instance/books/{book}/ledger`.
func (s *server) find(ctx context.Context, ledger string) (parent, collective, book string, err error) {
	parent, ok := strings.CutSuffix(ledger, "/ledger")
	if !ok {
		return "", "", "", errs.NotFound(ledger)
	}
	if strings.HasPrefix(parent, booksPrefix) {
		book, err = s.service.FindBook(ctx, parent)
		return parent, "", book, err
	}
	collective, ok = strings.CutPrefix(parent, "collectives/")
	if !ok {
		return "", "", "", errs.NotFound(ledger)
	}
	book, err = s.cfg.BookOf(ctx, collective)
	return parent, collective, book, err
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

// dimensionNames are empty for what an entry does not belong to.
func dimensionNames(parent, slug string, id uuid.UUID) (campaign, donation string) {
	if slug != "" {
		campaign = parent + "/campaigns/" + slug
	}
	if id != uuid.Nil {
		donation = campaign + "/donations/" + id.String()
	}
	return campaign, donation
}

func accountToProto(parent string, a Account) *ledgerv1.Account {
	account := &ledgerv1.Account{
		Name: accountName(parent, a.Code), Code: a.Code, DisplayName: a.DisplayName, Type: typeToProto(a.Type),
	}
	for _, role := range a.Roles {
		account.Roles = append(account.Roles, string(role))
	}
	for _, balance := range a.Balances {
		account.Balances = append(account.Balances, wire.Money(balance))
	}
	return account
}

func accountName(parent, code string) string { return parent + "/ledger/accounts/" + code }

func transactionName(parent string, id int64) string {
	return parent + "/ledger/transactions/" + strconv.FormatInt(id, 10)
}

func typeToProto(t AccountType) ledgerv1.AccountType {
	switch t {
	case TypeAsset:
		return ledgerv1.AccountType_ACCOUNT_TYPE_ASSET
	case TypeLiability:
		return ledgerv1.AccountType_ACCOUNT_TYPE_LIABILITY
	case TypeEquity:
		return ledgerv1.AccountType_ACCOUNT_TYPE_EQUITY
	case TypeIncome:
		return ledgerv1.AccountType_ACCOUNT_TYPE_INCOME
	case TypeExpense:
		return ledgerv1.AccountType_ACCOUNT_TYPE_EXPENSE
	}
	return ledgerv1.AccountType_ACCOUNT_TYPE_UNSPECIFIED
}
