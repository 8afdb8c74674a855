package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	auditv1 "github.com/cagnotte/cagnotte/proto/cagnotte/audit/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

var secret = bytes.Repeat([]byte{7}, 32)

func sealing(pool *pgxpool.Pool) *audit.Service {
	return audit.New(audit.Config{Pool: pool, SecretKey: secret})
}

// writeSome writes entries, each in a transaction of its own.
func writeSome(t *testing.T, pool *pgxpool.Pool, n int) {
	t.Helper()
	for i := range n {
		mustWrite(calling(t.Context(), camille, "/a"), t, pool, audit.Change{
			Collective: "vallon", Resource: fmt.Sprintf("r%d", i), Before: audit.Fields{"title": "old"}, After: audit.Fields{"title": fmt.Sprint(i)},
		})
	}
}

func mustSeal(t *testing.T, s *audit.Service, want int) {
	t.Helper()
	n, err := s.Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n != want {
		t.Errorf("sealed %d, want %d", n, want)
	}
}

// differences are what a verification says, in one text.
func differences(t *testing.T, s *audit.Service) string {
	t.Helper()
	report, err := s.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, d := range report.Differences {
		all = append(all, d.String())
	}
	return strings.Join(all, "\n")
}

func TestSeal(t *testing.T) {
	pool := pgtest.New(t)
	s := sealing(pool)
	mustSeal(t, s, 0)
	// Sizes of all kinds, so that each proof of consistency is another one.
	total := 0
	for _, n := range []int{1, 1, 1, 2, 3, 1, 7, 4, 1} {
		writeSome(t, pool, n)
		mustSeal(t, s, n)
		mustSeal(t, s, 0)
		total += n
	}
	writeSome(t, pool, 2)
	report, err := s.Verify(t.Context())
	if err != nil || len(report.Differences) > 0 || report.Sealed != int64(total) || report.Unsealed != 2 || report.Checkpoints != 9 {
		t.Errorf("report: %+v, %v", report, err)
	}
	t.Run("numbers the entries in the order of writing", func(t *testing.T) {
		all := list(t, audit.NewServer(s), camille, &auditv1.ListAuditEntriesRequest{Parent: "collectives/vallon"})
		for i, e := range all {
			want := int64(len(all) - i)
			if i < 2 {
				want = 0
			}
			if e.GetNumber() != want {
				t.Errorf("entry %d has the number %d, want %d", i, e.GetNumber(), want)
			}
		}
	})
	t.Run("needs a key", func(t *testing.T) {
		_, err := audit.New(audit.Config{Pool: pool}).Seal(t.Context())
		if e := errs.As(err); e == nil || e.Reason != errorsv1.ErrorReason_SEAL_KEY_MISSING {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("is the program's own", func(t *testing.T) {
		other := audit.New(audit.Config{Pool: pool, SecretKey: bytes.Repeat([]byte{8}, 32)})
		if got := differences(t, other); !strings.Contains(got, "not signed by the program's key") {
			t.Errorf("another key: %q", got)
		}
	})
}

// An entry of a transaction that is still running comes before those that were written later.
func TestSealWaitsForTheRunning(t *testing.T) {
	pool := pgtest.New(t)
	s := sealing(pool)
	held, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Rollback(context.WithoutCancel(t.Context()))
	if err := audit.WriteTx(calling(t.Context(), camille, "/a"), held, audit.Change{Collective: "vallon", Resource: "held"}); err != nil {
		t.Fatal(err)
	}
	writeSome(t, pool, 3)
	mustSeal(t, s, 0)
	if err := held.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustSeal(t, s, 4)
	if got := differences(t, s); got != "" {
		t.Error(got)
	}
}

// tamper writes what only a superuser can, with the triggers off.
func tamper(t *testing.T, pool *pgxpool.Pool, statements ...string) {
	t.Helper()
	if err := postgres.InTx(t.Context(), pgtest.Owner(t, pool), func(ctx context.Context, tx pgx.Tx) error {
		for _, statement := range append([]string{"SET LOCAL session_replication_role = replica"}, statements...) {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// What an owner of the database changes behind the triggers is found, whatever it is.
func TestVerifyFindsWhatWasChanged(t *testing.T) {
	const third = `(SELECT entry_id FROM audit.seals WHERE number = 3)`
	for name, c := range map[string]struct {
		statements []string
		want       string
	}{
		"the actor":       {[]string{`UPDATE audit.entries SET actor = 'members/x' WHERE id = ` + third}, "number 3"},
		"the value":       {[]string{`UPDATE audit.entries SET after = '{"title": "9"}' WHERE id = ` + third}, "number 3"},
		"the time":        {[]string{`UPDATE audit.entries SET created_at = created_at - interval '1 day' WHERE id = ` + third}, "number 3"},
		"a removed entry": {[]string{`DELETE FROM audit.entries WHERE id = ` + third}, "number 3: its transaction"},
		"a removed entry with its seal": {
			[]string{`DELETE FROM audit.entries WHERE id = ` + third, `DELETE FROM audit.seals WHERE number = 3`}, "number 3: is missing",
		},
		"an entry inserted in the past": {
			[]string{`INSERT INTO audit.entries SELECT gen_random_uuid(), created_at, xid, collective, actor, actor_display_name, member, credential,
				role, method, 'forged', before, after, request_id FROM audit.entries WHERE id = ` + third}, "inserted in the past",
		},
		"a seal with another hash": {[]string{`UPDATE audit.seals SET leaf_hash = sha256('x') WHERE number = 3`}, "number 3"},
		"two that changed places": {
			[]string{
				`UPDATE audit.seals SET number = 300 WHERE number = 3`, `UPDATE audit.seals SET number = 3 WHERE number = 4`,
				`UPDATE audit.seals SET number = 4 WHERE number = 300`,
			}, "was written before",
		},
		"a removed end": {
			[]string{`DELETE FROM audit.seals WHERE number > 4`, `DELETE FROM audit.entries WHERE id NOT IN (SELECT entry_id FROM audit.seals)`},
			"is larger than the book",
		},
		"a removed checkpoint": {[]string{`DELETE FROM audit.checkpoints WHERE size = 4`}, "checkpoint 6"},
		"a checkpoint":         {[]string{`UPDATE audit.checkpoints SET root = sha256('x') WHERE size = 4`}, "checkpoint 4"},
	} {
		t.Run(name, func(t *testing.T) {
			pool := pgtest.New(t)
			s := sealing(pool)
			for range 3 {
				writeSome(t, pool, 2)
				mustSeal(t, s, 2)
			}
			if got := differences(t, s); got != "" {
				t.Fatal(got)
			}
			tamper(t, pool, c.statements...)
			if got := differences(t, s); !strings.Contains(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

// The database refuses wrong seals, whoever writes them.
func TestDatabaseRefusesWrongSeals(t *testing.T) {
	pool := pgtest.New(t)
	s := sealing(pool)
	writeSome(t, pool, 2)
	mustSeal(t, s, 2)
	writeSome(t, pool, 2)
	const rest = ` FROM audit.entries AS e WHERE NOT EXISTS (SELECT FROM audit.seals AS s WHERE s.entry_id = e.id)`
	for name, c := range map[string]struct{ statement, constraint string }{
		"a gap":         {`INSERT INTO audit.seals (number, entry_id, leaf_hash) SELECT 4, e.id, sha256('x')` + rest + ` ORDER BY e.xid LIMIT 1`, "seals_gapless"},
		"one left out":  {`INSERT INTO audit.seals (number, entry_id, leaf_hash) SELECT 3, e.id, sha256('x')` + rest + ` ORDER BY e.xid DESC LIMIT 1`, "seals_complete"},
		"a change":      {`UPDATE audit.seals SET number = 9`, "seals_append_only"},
		"a removal":     {`DELETE FROM audit.checkpoints`, "checkpoints_append_only"},
		"a second fork": {`INSERT INTO audit.checkpoints SELECT 1, 0, signed_at, root, consistency, edge, note, verifier_key FROM audit.checkpoints`, "checkpoints_chained"},
	} {
		if _, err := pgtest.Owner(t, pool).Exec(t.Context(), c.statement); !postgres.Constraint(err, c.constraint) {
			t.Errorf("%s: %v, want %s", name, err, c.constraint)
		}
	}
}
