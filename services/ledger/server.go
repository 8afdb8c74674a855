package ledger

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

// BookOf returns the book that a collective's money is in; NOT_FOUND when there is no such collective. The program
// gives it, because this package knows no collectives.
type BookOf func(ctx context.Context, collective string) (book string, err error)

// ServerConfig is what the calls need from other services. All fields are required.
type ServerConfig struct {
	BookOf BookOf
	// PublicBookOf is the same for public calls: NOT_FOUND also for a collective that the caller may not know of.
	PublicBookOf BookOf
	// MayAddAccount returns an error when the caller may not add accounts to the book of a collective.
	MayAddAccount func(ctx context.Context, collective string) error
	// HoldCampaignTx keeps a campaign from being renamed or deleted until tx ends; NOT_FOUND when the collective has none of
	// that id.
	HoldCampaignTx func(ctx context.Context, tx pgx.Tx, collective, campaign string) error
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

// find returns what the name of a ledger says: the parent that begins the names of what is in it, the collective, which
// is empty for a book, and the book. The name is `collectives/{collective}/ledger` or `instance/books/{book}/ledger`.
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
	// Whether the caller may read the collective's book is for BookOf to say.
	book, err = s.cfg.BookOf(ctx, collective)
	return parent, collective, book, err
}

// findPublic finds a collective for anybody. It answers NOT_FOUND under the name that was asked for when there is no
// such collective and when the caller may not know of it.
func (s *server) findPublic(ctx context.Context, parent, name string) (collective, book string, err error) {
	collective, ok := strings.CutPrefix(parent, "collectives/")
	if !ok {
		return "", "", errs.NotFound(name)
	}
	if book, err = s.cfg.PublicBookOf(ctx, collective); errs.Code(err) == codes.NotFound {
		return "", "", errs.NotFound(name)
	}
	return collective, book, err
}

func (s *server) ClosePeriod(ctx context.Context, req *ledgerv1.ClosePeriodRequest) (*ledgerv1.ClosePeriodResponse, error) {
	_, collective, book, err := s.find(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	end, err := wire.Instant("end_time", req.GetEndTime())
	if err != nil {
		return nil, err
	}
	// The database has microseconds, and a repeat must name the same end.
	closed, err := s.service.ClosePeriod(ctx, book, collective, end.Truncate(time.Microsecond))
	if err != nil {
		return nil, err
	}
	return &ledgerv1.ClosePeriodResponse{ClosedEndTime: wire.Time(closed)}, nil
}

// campaignOf returns the slug of one of the parent's campaigns; empty for an empty name.
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

// dimensionNames returns the names of a campaign and a donation, empty for what an entry does not belong to.
func dimensionNames(parent, slug string, id uuid.UUID) (campaign, donation string) {
	if slug != "" {
		campaign = parent + "/campaigns/" + slug
	}
	if id != uuid.Nil {
		donation = campaign + "/donations/" + id.String()
	}
	return campaign, donation
}
