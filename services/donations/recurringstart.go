package donations

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// startArgs is the job that mails the donor of a monthly donation that has begun how to manage it. It does not hold the
// address, which it reads at Stripe.
type startArgs struct {
	Recurring uuid.UUID `json:"recurring"`
}

// Kind names the job in River.
func (startArgs) Kind() string { return "donations_monthly_start" }

// InsertOpts: mails have a queue of their own.
func (startArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: mail.Queue, MaxAttempts: mail.MaxAttempts}
}

type startWorker struct {
	river.WorkerDefaults[startArgs]
	service *Service
}

// NextRetry implements river.Worker.
func (w *startWorker) NextRetry(job *river.Job[startArgs]) time.Time {
	return mail.NextRetry(job.Attempt)
}

// Work implements river.Worker.
func (w *startWorker) Work(ctx context.Context, job *river.Job[startArgs]) error {
	return w.service.mailStart(ctx, job)
}

// mailStartTx queues the mail of a monthly donation that goes on to state, if it begins with that. Each begins once: no
// state leads back to one before its begin, and r was read under the lock of its row.
func (s *Service) mailStartTx(ctx context.Context, tx pgx.Tx, r Recurring, state RecurringState) error {
	if r.State != RecurringCreated && r.State != RecurringExpired || state != RecurringActive && state != RecurringPastDue ||
		!s.cfg.Mail.Enabled() {
		return nil
	}
	_, err := s.cfg.Jobs.InsertTx(ctx, tx, startArgs{Recurring: r.ID}, nil)
	return postgres.Error(err)
}

// mailStart mails the address of the donation's page, where a link can be asked for at any time. There is no token in it:
// the mail is kept for years, and a repeated attempt sends the same mail under the same Message-ID.
func (s *Service) mailStart(ctx context.Context, job *river.Job[startArgs]) error {
	r, err := oneRecurring(s.cfg.Pool.Query(ctx, recurringByIDSQL, pgx.NamedArgs{"id": job.Args.Recurring}))
	if err != nil {
		return postgres.Error(err)
	}
	if err := r.started(); err != nil {
		// There is nothing to manage any more.
		return river.JobCancel(err)
	}
	if r.Customer == "" {
		// Its session or subscription, which are read soon, tell the customer.
		return errors.New("the customer of the monthly donation is not known yet")
	}
	to, names, err := s.readerOf(ctx, r)
	if err != nil {
		return err
	}
	subject, text := startMail(r, names, s.managePage(r, names)+"?lang="+r.Locale)
	return s.cfg.Mail.Deliver(ctx, job.JobRow, mail.Message{
		To: to, Subject: subject, Text: text, ID: uuid.NewSHA1(r.ID, []byte("start")).String(),
	})
}
