package app

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

// SecretKeyFromEnv answers CAGNOTTE_SECRET_KEY for a command that can do without: nil when it is not set.
func SecretKeyFromEnv(getenv func(string) string) ([]byte, error) {
	if getenv("CAGNOTTE_SECRET_KEY") == "" {
		return nil, nil
	}
	return secretKey(getenv("CAGNOTTE_SECRET_KEY"))
}

// VerifyLedger recomputes the books named, or all and the audit log when there are none, and writes what it
// finds, a line each. The error counts the differences. With a secret key the newest checkpoint
// must be signed by it.
func VerifyLedger(ctx context.Context, databaseURL string, secret []byte, books []string, w io.Writer) error {
	return withPool(ctx, databaseURL, func(ctx context.Context, pool *pgxpool.Pool) error {
		service := ledger.New(ledger.Config{Pool: pool, SecretKey: secret})
		known, err := service.Books(ctx)
		if err != nil {
			return err
		}
		whole := len(books) == 0
		if whole {
			books = known
		}
		differences := 0
		// The audit log is verified with the whole, not with single books.
		if whole {
			report, err := audit.New(audit.Config{Pool: pool, SecretKey: secret}).Verify(ctx)
			if err != nil {
				return fmt.Errorf("audit log: %w", err)
			}
			tell(w, report)
			differences += len(report.Differences)
		}
		for _, book := range books {
			if !slices.Contains(known, book) {
				return fmt.Errorf("there is no book %q", book)
			}
			report, err := service.Verify(ctx, book)
			if err != nil {
				return fmt.Errorf("book %q: %w", book, err)
			}
			tell(w, report)
			differences += len(report.Differences)
		}
		return soundness(differences)
	})
}

// tell writes a report. A share is proven only if nothing differs.
func tell(w io.Writer, report *proof.Report) {
	name := fmt.Sprintf("book %q", report.Book)
	if report.Book == audit.Book {
		name = "audit log"
	}
	fmt.Fprintf(w, "%s: %d sealed, %d waiting, %d checkpoints, %d differences\n",
		name, report.Sealed, report.Unsealed, report.Checkpoints, len(report.Differences))
	switch {
	case report.Share && len(report.Differences) > 0:
		fmt.Fprintf(w, "  share of the collective %q: %d transactions, and nothing of it is proven\n", report.Collective, report.Own)
	case report.Share:
		fmt.Fprintf(w, "  share of the collective %q: %d transactions proven with all their entries; it has no others among the %d\n",
			report.Collective, report.Own, report.Sealed)
	}
	if report.VerifierKey != "" {
		fmt.Fprintf(w, "  verifier key %s\n", report.VerifierKey)
	}
	if !report.SignedAt.IsZero() {
		fmt.Fprintf(w, "  newest checkpoint signed on %s\n", report.SignedAt.UTC().Format(time.RFC3339))
	}
	for _, d := range report.Differences {
		fmt.Fprintf(w, "  %s\n", d)
	}
}

// soundness makes an error of differences, so that the command ends with a failure.
func soundness(differences int) error {
	if differences > 0 {
		return fmt.Errorf("the books are not sound: %d differences", differences)
	}
	return nil
}

// ArchiveLedger writes all that is sealed of one book, for VerifyArchive.
func ArchiveLedger(ctx context.Context, databaseURL, book string, w io.Writer) error {
	return withPool(ctx, databaseURL, func(ctx context.Context, pool *pgxpool.Pool) error {
		service := ledger.New(ledger.Config{Pool: pool})
		known, err := service.Books(ctx)
		if err != nil {
			return err
		}
		if !slices.Contains(known, book) {
			return fmt.Errorf("there is no book %q", book)
		}
		return service.WriteArchive(ctx, book, w)
	})
}

// VerifyArchive recomputes a book from such a file, or a collective's share from its export as PROOF, without a
// database, and writes what it finds as VerifyLedger does. The newest checkpoint must be signed by the verifier key.
// Without one it writes the same, and ends with an error: who makes a key of their own can sign any file with it.
func VerifyArchive(r io.Reader, verifierKey string, w io.Writer) error {
	report, err := proof.VerifyArchive(r, verifierKey)
	if err != nil {
		return err
	}
	tell(w, report)
	if err := soundness(len(report.Differences)); err != nil {
		return err
	}
	// The differences come first: a file that is not sound is reported as such also without a key.
	if verifierKey == "" {
		return fmt.Errorf("nothing is proven yet: the file is sound if the book's verifier key is %s. Compare it with the one you know, and give it with -key",
			report.VerifierKey)
	}
	return nil
}

// VerifyProof checks a donor's proof code against a verifier key, without a database, and writes
// what it proves.
func VerifyProof(code, verifierKey string, w io.Writer) error {
	leaf, checkpoint, err := proof.VerifyCode(code, verifierKey)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "number %d of %d in the book signed on %s\n", leaf.Number, checkpoint.Size, checkpoint.SignedAt.UTC().Format(time.RFC3339))
	fmt.Fprintf(w, "%s of %s, reference %s\n", leaf.Kind, leaf.Effective.UTC().Format(time.RFC3339), leaf.Reference)
	for _, e := range leaf.Entries {
		fmt.Fprintf(w, "  account %s: %s, collectives/%s/campaigns/%s/donations/%s\n", e.Code, e.Amount, e.Collective, e.Campaign, e.Donation)
	}
	return nil
}
