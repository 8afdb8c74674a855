package instance

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// testMailTimeout is shorter than a call may take, so that the outcome is stored.
const testMailTimeout = 20 * time.Second

// SendTestMail sends a mail to the caller's own address, and returns that address. The outcome is stored. id makes the
// Message-ID. Errors: FAILED_PRECONDITION (MAIL_NOT_CONFIGURED, CALLER_WITHOUT_ADDRESS), and those of [mail.Sender.Send].
func (s *Service) SendTestMail(ctx context.Context, id uuid.UUID) (email string, err error) {
	if !s.cfg.Mail.Enabled() {
		return "", errs.New(errorsv1.ErrorReason_MAIL_NOT_CONFIGURED, "No mail server is set (SMTP_URL).")
	}
	email, language, err := s.cfg.CallerAddress(ctx)
	if err != nil {
		return "", err
	}
	if email == "" {
		return "", errs.New(errorsv1.ErrorReason_CALLER_WITHOUT_ADDRESS, "The caller's key belongs to no member: sign in to send a test mail.")
	}
	subject, text := testMail(language, s.cfg.PublicURL)
	sending, cancel := context.WithTimeout(ctx, testMailTimeout)
	defer cancel()
	sent := s.cfg.Mail.Send(sending, mail.Message{To: email, Subject: subject, Text: text, ID: id.String()})
	result := outcome{time: s.now()}
	if sent != nil {
		result.failure = errs.As(sent).Reason.String()
	}
	err = postgres.InTx(context.WithoutCancel(ctx), s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := s.storeCheckTx(ctx, tx, checkMail, result, nil); err != nil {
			return err
		}
		// A mail that was not taken is a refused call, which leaves no entry.
		if sent != nil {
			return nil
		}
		return audit.WriteTx(ctx, tx, audit.Change{Resource: name, After: audit.Fields{"test_mail": "sent"}})
	})
	if sent != nil {
		return "", sent
	}
	return email, err
}
