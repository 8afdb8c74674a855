package receipts

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Mail is what became of the mail with a receipt; empty where none was asked for.
type Mail string

// What can become of a mail.
const (
	MailSent Mail = "sent"
	// MailRefused: the mail server refuses the address.
	MailRefused Mail = "refused"
	// MailFailed: the server does not answer, or too many mails were sent with this receipt.
	MailFailed Mail = "failed"
)

// mailPatience is how long the donor waits for the mail server.
const mailPatience = 20 * time.Second

func (s *Service) checkEmail(email string) error {
	switch {
	case email == "":
		return nil
	case mail.CheckAddress(email) != nil:
		return errs.Invalid("email", "must be a bare mail address, such as name@example.org")
	case !s.cfg.Mail.Enabled():
		return errs.New(errorsv1.ErrorReason_MAIL_NOT_CONFIGURED, "This service sends no mail.")
	}
	return nil
}

// mail sends the PDF while its donor waits. It goes through no queue, since whatever a queue has is written down. A failure is
// told in the answer, and the same request sends it again: the receipt is the same.
func (s *Service) mail(ctx context.Context, r Receipt, c collectives.Collective, pdf []byte, email string) Mail {
	if email == "" {
		return ""
	}
	allowed := false
	if err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) (err error) {
		allowed, err = s.cfg.Donations.LimitReceiptMailTx(ctx, tx, r.Subject.Name())
		return err
	}); err != nil || !allowed {
		return MailFailed
	}
	ctx, cancel := context.WithTimeout(ctx, mailPatience)
	defer cancel()
	subject, text := receiptMail(r, c)
	err := s.cfg.Mail.Send(ctx, mail.Message{
		To: email, Subject: subject, Text: text, ID: uuid.NewSHA1(r.ID, []byte("receipt")).String(),
		Attachment: &mail.Attachment{Name: "recu-" + r.Number() + ".pdf", Type: "application/pdf", Body: pdf},
	})
	switch {
	case err == nil:
		return MailSent
	case errs.As(err).Reason == errorsv1.ErrorReason_MAIL_REFUSED:
		return MailRefused
	}
	return MailFailed
}

// receiptMail is in French, as the receipt is. A discreet collective is named in the PDF alone.
func receiptMail(r Receipt, c collectives.Collective) (subject, text string) {
	text = "Bonjour,\n\nVoici votre reçu n° " + r.Number() + ", en pièce jointe.\n\n" +
		"Gardez-le : votre adresse e-mail a servi à cet envoi et n’est pas conservée, et le reçu ne peut pas être envoyé une autre fois.\n"
	if c.Discreet {
		return "Votre reçu n° " + r.Number(), text
	}
	return "Votre reçu fiscal n° " + r.Number(), text + "\n" + c.DisplayName + "\n"
}
