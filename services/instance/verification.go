package instance

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

// VerificationState is the state of a verification; doc.go has the table.
type VerificationState string

// The states.
const (
	Waiting VerificationState = "waiting"
	Running VerificationState = "running"
	Sound   VerificationState = "sound"
	Differs VerificationState = "differs"
	// Aborted: a book could not be read.
	Aborted VerificationState = "failed"
)

// Verification is a verification of all books.
type Verification struct {
	ID        uuid.UUID
	State     VerificationState
	Requester string
	// CreateTime is when it was started, and EndTime when it ended; zero until then.
	CreateTime, EndTime time.Time
	// BookCount is how many books there are; Books are the results so far.
	BookCount int
	Books     []BookResult
}

// Name returns the resource name, `instance/ledgerVerifications/{verification}`.
func (v Verification) Name() string { return name + verificationsPart + v.ID.String() }

const verificationsPart = "/ledgerVerifications/"

// BookResult is the result of one book.
type BookResult struct {
	// Book is its Stripe account; empty for the platform's own.
	Book        string    `json:"book"`
	Sealed      int64     `json:"sealed"`
	Unsealed    int64     `json:"unsealed"`
	Checkpoints int64     `json:"checkpoints"`
	SignTime    time.Time `json:"sign_time,omitzero"`
	VerifierKey string    `json:"verifier_key,omitempty"`
	// DifferenceCount is how many differ, 1,000 at most; Differences are the first of them.
	DifferenceCount int      `json:"difference_count"`
	Differences     []string `json:"differences,omitempty"`
}

const (
	// shownDifferences is how many differences of a book are stored.
	shownDifferences = 20
	// verifyTimeout is how long all books may take.
	verifyTimeout = time.Hour
	// verifyAttempts are for a program that is stopped or killed while it verifies.
	verifyAttempts = 3
	// abandonedAfter is when a verification whose job is gone counts as failed, so that another one can begin.
	abandonedAfter = 6 * time.Hour
)

// verifyArgs are the arguments of the job that verifies the books.
type verifyArgs struct {
	Verification uuid.UUID `json:"verification"`
}

// Kind names the job in River.
func (verifyArgs) Kind() string { return "instance_verify_ledger" }

// InsertOpts allows the job to be taken up again.
func (verifyArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: verifyAttempts} }

type verifyWorker struct {
	river.WorkerDefaults[verifyArgs]
	service *Service
}

// Timeout implements river.Worker. A job of a program that was killed is taken up again after it.
func (*verifyWorker) Timeout(*river.Job[verifyArgs]) time.Duration { return verifyTimeout }

// Work implements river.Worker.
func (w *verifyWorker) Work(ctx context.Context, job *river.Job[verifyArgs]) error {
	return w.service.verify(ctx, job.Args.Verification, job.Attempt >= job.MaxAttempts)
}

// Workers adds the workers of this service's jobs.
func (s *Service) Workers(w *river.Workers) {
	river.AddWorker(w, &verifyWorker{service: s})
}

const verificationColumns = `
	v.id,
	v.state,
	v.requester,
	v.created_at,
	v.ended_at,
	v.book_count,
	v.books`

// startSQL inserts no second one while one waits or runs, and none for a request that was sent before.
const startSQL = `
INSERT INTO instance.ledger_verifications (id, request_id, requester, created_at)
VALUES (@id, @request_id, @requester, @now)
ON CONFLICT DO NOTHING`

// abandonSQL ends one whose job cannot run any more.
const abandonSQL = `
UPDATE instance.ledger_verifications AS v
SET
	state = 'failed',
	ended_at = @now
WHERE v.state IN ('waiting', 'running')
	AND v.created_at <= @before`

// presentSQL returns the one of the request, or the one that waits or runs.
const presentSQL = `
SELECT` + verificationColumns + `
FROM instance.ledger_verifications AS v
WHERE v.request_id = @request_id
	OR v.state IN ('waiting', 'running')
ORDER BY
	v.request_id = @request_id DESC,
	v.created_at DESC,
	v.id
LIMIT 1`

// StartVerification starts a verification of all books, and returns it. While one waits or runs it returns that one, and
// for a request that was sent before the one that it started.
func (s *Service) StartVerification(ctx context.Context, request uuid.UUID) (v Verification, err error) {
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		now := s.now()
		if _, err := tx.Exec(ctx, abandonSQL, pgx.NamedArgs{"now": now, "before": now.Add(-abandonedAfter)}); err != nil {
			return postgres.Error(err)
		}
		id := uuid.Must(uuid.NewV7())
		started, err := tx.Exec(ctx, startSQL, pgx.NamedArgs{
			"id": id, "request_id": request, "requester": access.PrincipalFrom(ctx).Name, "now": now,
		})
		if err != nil {
			return postgres.Error(err)
		}
		rows, err := tx.Query(ctx, presentSQL, pgx.NamedArgs{"request_id": request})
		if v, err = oneVerification(rows, err, "new"); err != nil || started.RowsAffected() == 0 {
			return err
		}
		if _, err := s.cfg.Jobs.InsertTx(ctx, tx, verifyArgs{Verification: id}, nil); err != nil {
			return postgres.Error(err)
		}
		return audit.WriteTx(ctx, tx, audit.Change{Resource: v.Name()})
	})
	if err != nil {
		return Verification{}, err
	}
	return v, nil
}

// beginSQL begins a verification, or begins it again after a program that was stopped.
const beginSQL = `
UPDATE instance.ledger_verifications AS v
SET
	state = 'running',
	book_count = @count,
	books = '[]'
WHERE v.id = @id
	AND v.state IN ('waiting', 'running')`

// progressSQL stores the results so far, and the end with the last of them.
const progressSQL = `
UPDATE instance.ledger_verifications AS v
SET
	state = @state,
	ended_at = @ended_at,
	books = @books
WHERE v.id = @id
	AND v.state = 'running'`

// verify verifies all books one by one, and then the audit log, which counts as one of them. With last there is no other attempt, so that a failure ends it.
func (s *Service) verify(ctx context.Context, id uuid.UUID, last bool) error {
	books, err := s.cfg.Ledger.Books(ctx)
	if err != nil {
		return err
	}
	begun, err := s.cfg.Pool.Exec(ctx, beginSQL, pgx.NamedArgs{"id": id, "count": len(books) + 1})
	if err != nil || begun.RowsAffected() == 0 {
		return postgres.Error(err)
	}
	results, state := []BookResult{}, Sound
	verifyNext := func(i int) (*proof.Report, error) {
		if i == len(books) {
			return s.cfg.Audit.Verify(ctx)
		}
		return s.cfg.Ledger.Verify(ctx, books[i])
	}
	for i := range len(books) + 1 {
		report, err := verifyNext(i)
		if err != nil {
			// A program that stops leaves the job to the next one.
			if last || ctx.Err() == nil {
				return errors.Join(err, s.progress(context.WithoutCancel(ctx), id, Aborted, results))
			}
			return err
		}
		r := BookResult{
			Book: report.Book, Sealed: report.Sealed, Unsealed: report.Unsealed, Checkpoints: report.Checkpoints,
			SignTime: report.SignedAt, VerifierKey: report.VerifierKey, DifferenceCount: len(report.Differences),
		}
		for _, d := range report.Differences[:min(len(report.Differences), shownDifferences)] {
			r.Differences = append(r.Differences, d.String())
		}
		if r.DifferenceCount > 0 {
			state = Differs
		}
		results = append(results, r)
		if err := s.progress(ctx, id, Running, results); err != nil {
			return err
		}
	}
	return s.progress(ctx, id, state, results)
}

func (s *Service) progress(ctx context.Context, id uuid.UUID, state VerificationState, results []BookResult) error {
	raw, err := json.Marshal(results)
	if err != nil {
		return err
	}
	named := pgx.NamedArgs{"id": id, "state": string(state), "ended_at": nil, "books": raw}
	if state != Running {
		named["ended_at"] = s.now()
	}
	_, err = s.cfg.Pool.Exec(ctx, progressSQL, named)
	return postgres.Error(err)
}

const getVerificationSQL = `
SELECT` + verificationColumns + `
FROM instance.ledger_verifications AS v
WHERE v.id = @id`

// GetVerification returns one verification. Errors: NOT_FOUND.
func (s *Service) GetVerification(ctx context.Context, id uuid.UUID) (Verification, error) {
	rows, err := s.cfg.Pool.Query(ctx, getVerificationSQL, pgx.NamedArgs{"id": id})
	return oneVerification(rows, err, id.String())
}

// listVerificationsSQL has the order of ledger_verifications_list_idx.
const listVerificationsSQL = `
SELECT` + verificationColumns + `
FROM instance.ledger_verifications AS v
WHERE (v.created_at, v.id) < (@before_time, @before_id)
ORDER BY
	v.created_at DESC,
	v.id DESC
LIMIT @count`

// Position is the place of a verification in a list.
type Position struct {
	CreateTime time.Time
	ID         uuid.UUID
}

// newest is before all verifications.
var newest = Position{CreateTime: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}

// ListVerifications returns up to count verifications before a position, newest first.
func (s *Service) ListVerifications(ctx context.Context, before Position, count int) ([]Verification, error) {
	rows, err := s.cfg.Pool.Query(ctx, listVerificationsSQL, pgx.NamedArgs{
		"before_time": before.CreateTime, "before_id": before.ID, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scanVerification)
	return found, postgres.Error(err)
}

func oneVerification(rows pgx.Rows, err error, id string) (Verification, error) {
	if err != nil {
		return Verification{}, postgres.Error(err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, scanVerification)
	if errors.Is(err, pgx.ErrNoRows) {
		return Verification{}, errs.NotFound(name + verificationsPart + id)
	}
	return v, postgres.Error(err)
}

func scanVerification(r pgx.CollectableRow) (v Verification, err error) {
	var ended *time.Time
	var raw []byte
	if err := r.Scan(&v.ID, &v.State, &v.Requester, &v.CreateTime, &ended, &v.BookCount, &raw); err != nil {
		return v, err
	}
	v.CreateTime = v.CreateTime.UTC()
	if ended != nil {
		v.EndTime = ended.UTC()
	}
	return v, json.Unmarshal(raw, &v.Books)
}
