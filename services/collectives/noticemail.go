package collectives

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// noticeMailArgs asks to mail a notice to one reader. River forgets them, and the address with them, some
// days after the job has ended.
type noticeMailArgs struct {
	Collective string    `json:"collective"`
	Notice     uuid.UUID `json:"notice"`
	To         string    `json:"to"`
	// Operator: it goes to the operator, who is told of a collective's change too.
	Operator bool `json:"operator,omitempty"`
}

// Kind names the job in River.
func (noticeMailArgs) Kind() string { return "notice_mail" }

// InsertOpts keeps mails out of other jobs' way.
func (noticeMailArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: mail.Queue, MaxAttempts: mail.MaxAttempts}
}

const alertEmailsSQL = `
SELECT c.alert_emails
FROM collectives.collectives AS c
WHERE c.id = @id`

// mailTx makes a job for each reader. Without a mail server there is none: the notice is read by RPC. Of a change the
// operator is told as well, and so are the addresses that come in addition; each address once.
func (s *Service) mailTx(ctx context.Context, tx pgx.Tx, n Notice, alsoTo ...string) error {
	if !s.mail.Enabled() || s.jobs == nil {
		return nil
	}
	var addresses []string
	if n.Collective != "" {
		if err := tx.QueryRow(ctx, alertEmailsSQL, pgx.NamedArgs{"id": n.Collective}).Scan(&addresses); err != nil {
			return postgres.Error(err)
		}
	}
	var jobs []river.InsertManyParams
	seen := map[string]bool{}
	add := func(operator bool, all ...string) {
		for _, to := range all {
			if !seen[to] {
				jobs = append(jobs, river.InsertManyParams{Args: noticeMailArgs{Collective: n.Collective, Notice: n.ID, To: to, Operator: operator}})
			}
			seen[to] = true
		}
	}
	add(false, addresses...)
	add(false, alsoTo...)
	if n.Collective == "" || n.Change != nil {
		add(true, s.operatorEmails...)
	}
	if len(jobs) == 0 {
		return nil
	}
	_, err := s.jobs.InsertManyFastTx(ctx, tx, jobs)
	return postgres.Error(err)
}

// Workers adds the workers of this service's jobs.
func (s *Service) Workers(w *river.Workers) {
	river.AddWorker(w, &noticeMailWorker{service: s})
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, job *river.Job[accountReadArgs]) error {
		_, err := s.ReadAccount(ctx, job.Args.Account)
		return err
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[accountTickArgs]) error {
		return s.readDue(ctx)
	}))
}

type noticeMailWorker struct {
	river.WorkerDefaults[noticeMailArgs]
	service *Service
}

// NextRetry implements river.Worker.
func (w *noticeMailWorker) NextRetry(job *river.Job[noticeMailArgs]) time.Time {
	return mail.NextRetry(job.Attempt)
}

// Work implements river.Worker.
func (w *noticeMailWorker) Work(ctx context.Context, job *river.Job[noticeMailArgs]) error {
	s := w.service
	n, err := s.notice(ctx, job.Args.Collective, job.Args.Notice)
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
	return s.mail.Deliver(ctx, job.JobRow, mail.Message{
		To: job.Args.To, Subject: subject, Text: text, ID: n.ID.String() + "." + hex.EncodeToString(sum[:4]),
	})
}

func (s *Service) readerOf(ctx context.Context, n Notice, operator bool) (reader, error) {
	if n.Collective == "" {
		return reader{language: English, location: time.UTC, operator: true}, nil
	}
	c, err := s.Get(ctx, n.Collective)
	if err != nil {
		return reader{}, err
	}
	if operator {
		return reader{name: c.DisplayName, language: English, location: time.UTC, operator: true}, nil
	}
	location, err := c.Location()
	return reader{name: c.DisplayName, language: c.Language, location: location}, err
}

// noticeMetrics counts the open notices when it is asked, so that every copy of the program tells the same.
type noticeMetrics struct {
	service *Service
	open    *prometheus.Desc
}

func newNoticeMetrics(s *Service) *noticeMetrics {
	return &noticeMetrics{service: s, open: prometheus.NewDesc("cagnotte_collectives_open_notices",
		"Notices that nobody has acknowledged, by kind. Those of the operator are among them.", []string{"kind"}, nil)}
}

// Describe implements prometheus.Collector.
func (m *noticeMetrics) Describe(ch chan<- *prometheus.Desc) { ch <- m.open }

// measureTimeout keeps a slow database from keeping all other figures.
const measureTimeout = 2 * time.Second

// Collect implements prometheus.Collector. When the database does not answer it says nothing.
func (m *noticeMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), measureTimeout)
	defer cancel()
	open, err := m.service.openNotices(ctx)
	if err != nil {
		return
	}
	for _, kind := range noticeKinds() {
		open[kind] += 0 // that there is none is told too
	}
	for kind, count := range open {
		ch <- prometheus.MustNewConstMetric(m.open, prometheus.GaugeValue, float64(count), string(kind))
	}
}

// checkEmails is an error about the first text that is no mail address, or is there twice.
func checkEmails(addresses []string) error {
	seen := map[string]bool{}
	for _, a := range addresses {
		if err := mail.CheckAddress(a); err != nil {
			return err
		}
		if seen[a] {
			return errors.New("must name each address once")
		}
		seen[a] = true
	}
	return nil
}

// CheckOperatorEmails says what is wrong with the addresses that the operator's notices are mailed to.
func CheckOperatorEmails(addresses []string) error {
	if len(addresses) > maxAlertEmails {
		return fmt.Errorf("must be at most %d", maxAlertEmails)
	}
	return checkEmails(addresses)
}
