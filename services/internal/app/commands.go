package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/exports"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/payouts"
	"github.com/cagnotte/cagnotte/services/treasury"
)

// ExportRequest asks for a file of a collective's ledger.
type ExportRequest = exports.Request

// ExportHeader is what is known of the file before its first byte.
type ExportHeader = exports.Header

// ExportFormats returns the names of the formats, sorted.
func ExportFormats() []string { return exports.Formats() }

// DatabaseFromEnv answers DATABASE_URL, all that the commands beside serve need.
func DatabaseFromEnv(getenv func(string) string) (string, error) {
	url := getenv("DATABASE_URL")
	if url == "" {
		return "", missing("DATABASE_URL", "postgres://user:password@host/database")
	}
	return url, nil
}

// Migrate brings the schema up to this program. Doing it twice, or from two places at once,
// is safe.
func Migrate(ctx context.Context, databaseURL string, logger *slog.Logger) error {
	return postgres.Migrate(ctx, databaseURL, logger)
}

// CreateOperatorKey creates a key of the instance and answers it, this once.
func CreateOperatorKey(ctx context.Context, databaseURL, name string) (key string, err error) {
	err = withPool(ctx, databaseURL, func(ctx context.Context, pool *pgxpool.Pool) error {
		ctx = rpc.WithCaller(ctx, rpc.Caller{Method: "cagnotte operator create-key"})
		key, err = access.New(access.Config{Pool: pool, Now: time.Now, AuditTx: auditAccessTx}).CreateOperatorKey(ctx, name)
		return err
	})
	return key, err
}

// Person is somebody to make a member of.
type Person struct {
	Email, Name string
	// Language is fr or en.
	Language string
	// Role is the one in the collective, such as owner, or operator; an operator has no collective.
	Role, Collective string
}

// CreateMember gives a person a role, and returns a link that signs in once, within 15 minutes. PublicURL is the value of
// CAGNOTTE_PUBLIC_URL. Doing it again makes another link. Now is the service's clock; time.Now when nil.
func CreateMember(ctx context.Context, databaseURL, publicURL string, p Person, now func() time.Time) (link string, err error) {
	if publicURL, err = baseURL("CAGNOTTE_PUBLIC_URL", publicURL); err != nil {
		return "", err
	}
	err = withPool(ctx, databaseURL, func(ctx context.Context, pool *pgxpool.Pool) error {
		ctx = rpc.WithCaller(ctx, rpc.Caller{Method: "cagnotte operator"})
		link, err = access.New(access.Config{Pool: pool, Now: now, PublicURL: publicURL, AuditTx: auditAccessTx}).
			CreateMember(ctx, access.Grant{Collective: p.Collective, Role: access.Role(p.Role)}, p.Email, p.Name, p.Language)
		return err
	})
	return link, err
}

// Export writes the same bytes as the ExportLedger call.
func Export(ctx context.Context, databaseURL string, req ExportRequest, w io.Writer) error {
	return ExportTo(ctx, databaseURL, req, func(ExportHeader) (io.Writer, error) { return w, nil })
}

// ExportTo writes them to where begin says, which is not called when there is nothing to write.
func ExportTo(ctx context.Context, databaseURL string, req ExportRequest, begin func(ExportHeader) (io.Writer, error)) error {
	return withPool(ctx, databaseURL, func(ctx context.Context, pool *pgxpool.Pool) error {
		books := ledger.New(ledger.Config{Pool: pool})
		groups := collectives.New(collectives.Config{Pool: pool})
		exporter := exports.New(exports.Config{
			Ledger:      books,
			Collectives: groups,
			Payouts:     payouts.New(payouts.Config{Pool: pool, Ledger: books, Collectives: groups}),
			Documents:   documentsOf(pool),
		})
		return exporter.Export(ctx, req, begin)
	})
}

// documentsOf reads the papers that the treasury knows, for exports, which do not know the treasury.
func documentsOf(pool *pgxpool.Pool) exports.ReadDocuments {
	return func(ctx context.Context, collective string) (map[uuid.UUID]exports.Document, error) {
		known, err := treasury.Documents(ctx, pool, collective)
		if err != nil {
			return nil, err
		}
		documents := make(map[uuid.UUID]exports.Document, len(known))
		for id, d := range known {
			documents[id] = exports.Document{Number: d.Number, Day: string(d.On)}
		}
		return documents, nil
	}
}

// withPool runs a command against a database whose schema this program knows.
func withPool(ctx context.Context, databaseURL string, run func(ctx context.Context, pool *pgxpool.Pool) error) error {
	ctx = postgres.WithScope(ctx, postgres.AllScope())
	pool, err := postgres.Open(ctx, postgres.Config{URL: databaseURL})
	if err != nil {
		return err
	}
	defer pool.Close()
	// Migrations of a newer program are not counted, so that its schema is accepted.
	current, wanted, err := postgres.SchemaState(ctx, pool)
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	if current < wanted {
		return fmt.Errorf("%d of %d migrations are applied: run `cagnotte migrate`", current, wanted)
	}
	return run(ctx, pool)
}
