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
	// Queue is River's queue of mails: a slow server must not keep other jobs waiting.
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

// NextRetry is when a mail that failed that often is tried again: seconds later at first, hours in the end.
func NextRetry(attempt int) time.Time {
	pause := firstRetry
	for range attempt - 1 {
		pause = min(pause*3, longestRetry)
	}
	return time.Now().Add(pause)
}

// Deliver is [Sender.Send] for the worker of a job. What can be tried again is returned as it is; what cannot
// ends the job. A mail that is given up, now or with the last attempt, is counted.
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
