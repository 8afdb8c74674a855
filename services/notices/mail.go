package notices

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// mailArgs asks to mail a notice to one reader. River forgets them, and the address with them, some
// days after the job has ended.
type mailArgs struct {
	Collective string    `json:"collective"`
	Notice     uuid.UUID `json:"notice"`
	To         string    `json:"to"`
	// Operator: it goes to the operator, who is told of a collective's change too.
	Operator bool `json:"operator,omitempty"`
}

// Kind names the job in River.
func (mailArgs) Kind() string { return "notice_mail" }

// InsertOpts keeps mails out of other jobs' way.
func (mailArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: mail.Queue, MaxAttempts: mail.MaxAttempts}
}

// readersSQL reads of a collective what a mail to its members needs.
const readersSQL = `
SELECT
	c.display_name,
	c.language,
	c.time_zone,
	c.alert_emails
FROM collectives.collectives AS c
WHERE c.id = @id`

// readers are the members that a collective's notices are mailed to.
type readers struct {
	name     string
	language money.Language
	zone     string
	emails   []string
}

// readers returns whom a collective's notices are mailed to. A missing collective is NOT_FOUND.
func (s *Service) readers(ctx context.Context, db queryer, collective string) (r readers, err error) {
	err = db.QueryRow(ctx, readersSQL, pgx.NamedArgs{"id": collective}).Scan(&r.name, &r.language, &r.zone, &r.emails)
	if errors.Is(err, pgx.ErrNoRows) {
		return readers{}, errs.NotFound(namePrefix + collective)
	}
	return r, postgres.Error(err)
}

// queryer is a pool or a transaction.
type queryer interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// mailTx makes a job for each reader. Without a mail server there is none: the notice is read by RPC. Of a change the
// operator is told as well, and so are the addresses that come in addition; each address once.
func (s *Service) mailTx(ctx context.Context, tx pgx.Tx, n Notice, alsoTo ...string) error {
	if !s.cfg.Mail.Enabled() || s.cfg.Jobs == nil {
		return nil
	}
	var members readers
	if n.Collective != "" {
		var err error
		if members, err = s.readers(ctx, tx, n.Collective); err != nil {
			return err
		}
	}
	var jobs []river.InsertManyParams
	seen := map[string]bool{}
	add := func(operator bool, all ...string) {
		for _, to := range all {
			if !seen[to] {
				jobs = append(jobs, river.InsertManyParams{Args: mailArgs{Collective: n.Collective, Notice: n.ID, To: to, Operator: operator}})
			}
			seen[to] = true
		}
	}
	add(false, members.emails...)
	add(false, alsoTo...)
	if n.Collective == "" || n.Change != nil {
		add(true, s.cfg.OperatorEmails...)
	}
	if len(jobs) == 0 {
		return nil
	}
	_, err := s.cfg.Jobs.InsertManyFastTx(ctx, tx, jobs)
	return postgres.Error(err)
}

// Workers adds the workers of this service's jobs.
func (s *Service) Workers(w *river.Workers) {
	river.AddWorker(w, &mailWorker{service: s})
}

type mailWorker struct {
	river.WorkerDefaults[mailArgs]
	service *Service
}

// NextRetry implements river.Worker.
func (w *mailWorker) NextRetry(job *river.Job[mailArgs]) time.Time {
	return mail.NextRetry(job.Attempt)
}

// Work implements river.Worker.
func (w *mailWorker) Work(ctx context.Context, job *river.Job[mailArgs]) error {
	s := w.service
	n, err := s.get(ctx, job.Args.Collective, job.Args.Notice)
	if err != nil {
		return err
	}
	to, err := s.readerOf(ctx, n, job.Args.Operator)
	if err != nil {
		return err
	}
	subject, text := n.write(to)
	// One notice has one mail for each reader, and each its own Message-ID, which must not tell the address.
	sum := sha256.Sum256([]byte(job.Args.To))
	return s.cfg.Mail.Deliver(ctx, job.JobRow, mail.Message{
		To: job.Args.To, Subject: subject, Text: text, ID: n.ID.String() + "." + hex.EncodeToString(sum[:4]),
	})
}

func (s *Service) readerOf(ctx context.Context, n Notice, operator bool) (reader, error) {
	if n.Collective == "" {
		return reader{language: money.English, location: time.UTC, operator: true, publicURL: s.cfg.PublicURL}, nil
	}
	members, err := s.readers(ctx, s.cfg.Pool, n.Collective)
	if err != nil {
		return reader{}, err
	}
	if operator {
		return reader{name: members.name, language: money.English, location: time.UTC, operator: true, publicURL: s.cfg.PublicURL}, nil
	}
	location, err := time.LoadLocation(members.zone)
	return reader{name: members.name, language: members.language, location: location, publicURL: s.cfg.PublicURL}, err
}

// maxOperatorEmails is as many as a collective may have.
const maxOperatorEmails = 20

// CheckOperatorEmails says what is wrong with the addresses that the operator's notices are mailed to.
func CheckOperatorEmails(addresses []string) error {
	if len(addresses) > maxOperatorEmails {
		return fmt.Errorf("must be at most %d", maxOperatorEmails)
	}
	return mail.CheckAddresses(addresses)
}
