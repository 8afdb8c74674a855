package mail

import (
	"context"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

const (
	// Queue is River's queue of mails, so that a slow mail server does not delay other jobs.
	Queue = "mail"
	// MaxAttempts are about a day and a half by [NextRetry].
	MaxAttempts = 16

	queueWorkers = 2
	firstRetry   = 2 * time.Second
	longestRetry = 4 * time.Hour
)

const (
	outcomeSent    = "sent"
	outcomeFailed  = "failed"
	outcomeGivenUp = "given_up"
)

// Queues returns the queue of mails, for the client that works jobs.
func Queues() map[string]river.QueueConfig {
	return map[string]river.QueueConfig{Queue: {MaxWorkers: queueWorkers}}
}

// NextRetry returns when a mail is tried again after so many attempts: after 2 seconds at first, then after three times as
// long, 4 hours at most.
func NextRetry(attempt int) time.Time {
	pause := firstRetry
	for range attempt - 1 {
		pause = min(pause*3, longestRetry)
	}
	return time.Now().Add(pause)
}

// Deliver is [Sender.Send] for the worker of a job. An error that can be tried again is returned as it is; any other
// cancels the job. The metric counts the mail as sent, failed or given up.
func (s *Sender) Deliver(ctx context.Context, job *rivertype.JobRow, m Message) error {
	err := s.Send(ctx, m)
	if s == nil {
		return err
	}
	if err == nil {
		s.messages.WithLabelValues(outcomeSent).Inc()
		return nil
	}
	final := errs.As(err).Reason != errorsv1.ErrorReason_MAIL_UNAVAILABLE
	if final || job.Attempt >= job.MaxAttempts {
		s.messages.WithLabelValues(outcomeGivenUp).Inc()
	} else {
		s.messages.WithLabelValues(outcomeFailed).Inc()
	}
	if final {
		return river.JobCancel(err)
	}
	return err
}
