package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	gomail "github.com/wneessen/go-mail"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

const (
	// sendTimeout bounds one message, from the dial to the server's last word.
	sendTimeout     = 30 * time.Second
	maxSubjectChars = 200
	maxTextBytes    = 256 << 10
	maxFileBytes    = 4 << 20
)

// Message is one mail to one reader.
type Message struct {
	// To is a bare address.
	To string
	// Subject is one line.
	Subject string
	// Text is plain text in UTF-8, lines ending in \n.
	Text string
	// Attachment is a file that goes with it; nil for none.
	Attachment *Attachment
	// ID makes the Message-ID. A mail that is sent again under the same ID is recognised as the same mail. Letters,
	// digits, dashes and dots, such as a UUID.
	ID string
}

// Attachment is a file of a mail.
type Attachment struct {
	// Name is letters, digits, dashes and dots.
	Name string
	// Type is its media type, such as application/pdf.
	Type string
	Body []byte
}

// Config is what a Sender needs.
type Config struct {
	// URL is SMTP_URL; see [Check]. Empty: there is no sender.
	URL string
	// Now tells the time of the mails; time.Now when nil.
	Now func() time.Time
	// Metrics is where the collectors are registered; nowhere when nil.
	Metrics prometheus.Registerer
}

// Sender sends mails. It is safe for concurrent use. A nil Sender has no server and sends nothing.
type Sender struct {
	server   server
	now      func() time.Time
	messages *prometheus.CounterVec
}

// New returns a Sender, nil for an empty URL. The server is not called.
func New(cfg Config) (*Sender, error) {
	messages := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "cagnotte", Subsystem: "mail", Name: "messages_total",
		Help: "Mails by outcome: sent, failed and tried again, or given_up. Somebody must look when one is given up.",
	}, []string{"outcome"})
	for _, outcome := range []string{outcomeSent, outcomeFailed, outcomeGivenUp} {
		messages.WithLabelValues(outcome)
	}
	// Without a server too: an alert must not watch what is not there.
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(messages)
	}
	if cfg.URL == "" {
		return nil, nil
	}
	server, err := parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("SMTP_URL: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Sender{server: server, now: cfg.Now, messages: messages}, nil
}

// Enabled reports whether there is a server.
func (s *Sender) Enabled() bool { return s != nil }

// Send sends one message and waits until the server has taken it, 30 seconds at most. It is not idempotent: sent twice,
// these are two mails of one Message-ID.
//
// Errors: INVALID_ARGUMENT for an invalid message; FAILED_PRECONDITION (MAIL_REFUSED) when the server refuses the address
// for good; UNAVAILABLE (MAIL_UNAVAILABLE) for all else, which can be tried again. No error has an address or a text.
func (s *Sender) Send(ctx context.Context, m Message) error {
	if s == nil {
		return errs.Unavailable(errorsv1.ErrorReason_MAIL_UNAVAILABLE, time.Hour, nil, "No mail server is set (SMTP_URL).")
	}
	if err := check(m); err != nil {
		return err
	}
	message, err := s.compose(m)
	if err != nil {
		return err
	}
	client, err := s.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	err = client.DialAndSendWithContext(ctx, message)
	// Whatever goes wrong after the server took it must not send it again.
	if message.IsDelivered() {
		return nil
	}
	return classify(err)
}

// CheckAddress reports an error unless the text is one bare address that a mail can be sent to.
func CheckAddress(address string) error {
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || parsed.Name != "" || len(address) > 254 ||
		strings.ContainsFunc(address, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return errors.New("must be a bare mail address, such as name@example.org")
	}
	return nil
}

// check refuses what could become another header or another reader.
func check(m Message) error {
	if err := CheckAddress(m.To); err != nil {
		return errs.Invalid("to", "%v", err)
	}
	if m.Subject == "" || len([]rune(m.Subject)) > maxSubjectChars || strings.ContainsFunc(m.Subject, unicode.IsControl) {
		return errs.Invalid("subject", "must be one line of 1 to %d characters", maxSubjectChars)
	}
	if m.Text == "" || len(m.Text) > maxTextBytes {
		return errs.Invalid("text", "must have 1 to %d bytes", maxTextBytes)
	}
	if !plain(m.ID) {
		return errs.Invalid("id", "must be letters, digits, dashes and dots")
	}
	if a := m.Attachment; a != nil && (!plain(a.Name) || a.Type == "" || len(a.Body) == 0 || len(a.Body) > maxFileBytes) {
		return errs.Invalid("attachment", "must have a plain name, a type and 1 to %d bytes", maxFileBytes)
	}
	return nil
}

// plain reports whether a text can stand in a header as it is.
func plain(text string) bool {
	return text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == ""
}

func (s *Sender) compose(m Message) (*gomail.Msg, error) {
	message := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	message.FromMailAddress(&s.server.from)
	if err := message.To(m.To); err != nil {
		return nil, errs.Invalid("to", "must be a bare mail address, such as name@example.org")
	}
	_, domain, _ := strings.Cut(s.server.from.Address, "@")
	message.SetMessageIDWithValue(m.ID + "@" + domain)
	message.SetDateWithValue(s.now())
	message.Subject(m.Subject)
	// So that no out-of-office answers it: https://www.rfc-editor.org/rfc/rfc3834#section-5
	message.SetGenHeader("Auto-Submitted", "auto-generated")
	message.SetBodyString(gomail.TypeTextPlain, m.Text)
	if a := m.Attachment; a != nil {
		message.AttachReadSeeker(a.Name, bytes.NewReader(a.Body), gomail.WithFileContentType(gomail.ContentType(a.Type)))
	}
	return message, nil
}

func (s *Sender) client() (*gomail.Client, error) {
	options := []gomail.Option{gomail.WithPort(s.server.port), gomail.WithTimeout(sendTimeout), gomail.WithoutNoop()}
	switch {
	case s.server.implicitTLS:
		options = append(options, gomail.WithSSL())
	// A mail server on this machine offers a certificate that nobody signed.
	case s.server.loopback:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.server.username != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
			gomail.WithUsername(s.server.username), gomail.WithPassword(s.server.password))
	}
	client, err := gomail.NewClient(s.server.host, options...)
	if err != nil {
		return nil, errs.Internal(errors.New("mail: the server of SMTP_URL is refused"))
	}
	return client, nil
}

// classify drops the server's words, which may repeat an address, and keeps its code.
func classify(err error) error {
	if err == nil {
		return nil
	}
	var refused *gomail.SendError
	if errors.As(err, &refused) && refused.ErrorCode() != 0 {
		if refused.Reason == gomail.ErrSMTPRcptTo && !refused.IsTemp() {
			return errs.New(errorsv1.ErrorReason_MAIL_REFUSED, "The mail server refuses the address (%d).", refused.ErrorCode())
		}
		return errs.Unavailable(errorsv1.ErrorReason_MAIL_UNAVAILABLE, firstRetry, nil, "The mail server did not take the mail (%d).", refused.ErrorCode())
	}
	return errs.Unavailable(errorsv1.ErrorReason_MAIL_UNAVAILABLE, firstRetry, nil, "The mail server does not answer.")
}

// CheckAddresses is an error about the first text that is no mail address, or is there twice.
func CheckAddresses(addresses []string) error {
	seen := map[string]bool{}
	for _, a := range addresses {
		if err := CheckAddress(a); err != nil {
			return err
		}
		if seen[a] {
			return errors.New("must name each address once")
		}
		seen[a] = true
	}
	return nil
}
