package mail

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river/rivertype"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newSender(t *testing.T, url string) *Sender {
	t.Helper()
	s, err := New(Config{URL: url, Now: func() time.Time { return noon }, Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func message() Message {
	return Message{To: "owner@example.org", Subject: "Vallon : un litige", Text: "Réponds avant mardi.\n.\nfin\n", ID: "0197-a.b"}
}

func TestSend(t *testing.T) {
	server := mailtest.Start(t)
	s := newSender(t, server.URL())
	if err := s.Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	got := server.Mails()
	if len(got) != 1 {
		t.Fatalf("%d mails", len(got))
	}
	m := got[0]
	if m.From != "dons@example.org" || m.To != "owner@example.org" || m.Subject() != message().Subject || m.Text != message().Text {
		t.Errorf("got %+v", m)
	}
	for name, want := range map[string]string{
		"Message-Id": "<0197-a.b@example.org>", "From": "<dons@example.org>", "To": "<owner@example.org>",
		"Auto-Submitted": "auto-generated", "Date": "Sun, 01 Mar 2026 12:00:00 +0000", "User-Agent": "", "X-Mailer": "",
	} {
		if v := m.Header.Get(name); v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
}

func TestNoOtherHeaderAndNoOtherReader(t *testing.T) {
	server := mailtest.Start(t)
	s := newSender(t, server.URL())
	for name, spoil := range map[string]func(*Message){
		"a second header in the subject": func(m *Message) { m.Subject = "x\r\nBcc: other@example.org" },
		"a bare line feed":               func(m *Message) { m.Subject = "x\nBcc: other@example.org" },
		"no subject":                     func(m *Message) { m.Subject = "" },
		"a long subject":                 func(m *Message) { m.Subject = strings.Repeat("é", 201) },
		"a header in the address":        func(m *Message) { m.To = "a@example.org\r\nRCPT TO:<b@example.org>" },
		"two addresses":                  func(m *Message) { m.To = "a@example.org, b@example.org" },
		"an address with a name":         func(m *Message) { m.To = "A <a@example.org>" },
		"no address":                     func(m *Message) { m.To = "" },
		"a header in the id":             func(m *Message) { m.ID = "x>\r\nBcc: <b@example.org" },
		"no id":                          func(m *Message) { m.ID = "" },
		"no text":                        func(m *Message) { m.Text = "" },
		"a book":                         func(m *Message) { m.Text = strings.Repeat("x", maxTextBytes+1) },
	} {
		m := message()
		spoil(&m)
		if err := s.Send(t.Context(), m); errs.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := server.Commands(); got != nil {
		t.Errorf("the server got %v", got)
	}
}

func TestAMailStaysOnTheMachineOrGoesOverTLS(t *testing.T) {
	server := mailtest.Start(t)
	s := newSender(t, strings.Replace(server.URL(), "smtp://", "smtp://user:hush@", 1))
	// The same server, as if it stood elsewhere: it offers no STARTTLS.
	s.server.loopback = false
	err := s.Send(t.Context(), message())
	if errs.As(err).Reason != errorsv1.ErrorReason_MAIL_UNAVAILABLE {
		t.Errorf("got %v", err)
	}
	if got := server.Commands(); slices.Contains(got, "MAIL") || slices.Contains(got, "AUTH") {
		t.Errorf("in clear text it was sent %v", got)
	}
}

func TestWhatTheServerSays(t *testing.T) {
	server := mailtest.Start(t)
	for _, test := range []struct {
		name, line, reply string
		reason            errs.Reason
	}{
		{"no such address is final", "RCPT", "550 5.1.1 <owner@example.org> unknown", errorsv1.ErrorReason_MAIL_REFUSED},
		{"a full mailbox is not", "RCPT", "452 4.2.2 <owner@example.org> is full", errorsv1.ErrorReason_MAIL_UNAVAILABLE},
		{"greylisting is not", "RCPT", "451 4.7.1 later, owner@example.org", errorsv1.ErrorReason_MAIL_UNAVAILABLE},
		{"a sender that is refused can be put right", "MAIL", "550 5.7.1 not you, owner@example.org", errorsv1.ErrorReason_MAIL_UNAVAILABLE},
		{"a text that is refused", "END", "554 5.7.1 spam for owner@example.org", errorsv1.ErrorReason_MAIL_UNAVAILABLE},
		{"a server that is not well", "EHLO", "421 4.3.2 closing", errorsv1.ErrorReason_MAIL_UNAVAILABLE},
	} {
		t.Run(test.name, func(t *testing.T) {
			server.Answer(test.line, test.reply)
			defer server.Answer(test.line, "")
			s := newSender(t, server.URL())
			err := s.Send(t.Context(), message())
			if err == nil || errs.As(err).Reason != test.reason {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), "owner") || strings.Contains(err.Error(), "Vallon") {
				t.Errorf("the error tells too much: %v", err)
			}
		})
	}
	if got := server.Mails(); got != nil {
		t.Errorf("took %v", got)
	}
	t.Run("what it took is sent, whatever comes after", func(t *testing.T) {
		server.Answer("QUIT", "500 what")
		server.Answer("RSET", "500 what")
		s := newSender(t, server.URL())
		if err := s.Send(t.Context(), message()); err != nil {
			t.Errorf("got %v", err)
		}
		if got := len(server.Mails()); got != 1 {
			t.Errorf("took %d mails", got)
		}
	})
}

func TestDeliver(t *testing.T) {
	server := mailtest.Start(t)
	registry := prometheus.NewRegistry()
	s, err := New(Config{URL: server.URL(), Metrics: registry})
	if err != nil {
		t.Fatal(err)
	}
	counts := func() map[string]float64 {
		families, err := registry.Gather()
		if err != nil || len(families) != 1 {
			t.Fatalf("%v, %v", families, err)
		}
		got := map[string]float64{}
		for _, m := range families[0].GetMetric() {
			got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
		return got
	}
	job := func(attempt int) *rivertype.JobRow {
		return &rivertype.JobRow{Attempt: attempt, MaxAttempts: MaxAttempts}
	}
	ctx := context.Background()
	server.Stop()
	if err := s.Deliver(ctx, job(1), message()); err == nil {
		t.Error("sent to nobody")
	}
	if err := s.Deliver(ctx, job(MaxAttempts), message()); err == nil {
		t.Error("sent to nobody")
	}
	server.Resume()
	server.Answer("RCPT", "550 no")
	if err := s.Deliver(ctx, job(1), message()); err == nil || !strings.Contains(err.Error(), "JobCancelError") {
		t.Errorf("got %v", err)
	}
	server.Answer("RCPT", "")
	if err := s.Deliver(ctx, job(2), message()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]float64{outcomeSent: 1, outcomeFailed: 1, outcomeGivenUp: 2}, counts()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	t.Run("without a server", func(t *testing.T) {
		none, err := New(Config{})
		if err != nil || none.Enabled() {
			t.Fatalf("%v, %v", none, err)
		}
		if err := none.Deliver(ctx, job(1), message()); errs.As(err).Reason != errorsv1.ErrorReason_MAIL_UNAVAILABLE {
			t.Errorf("got %v", err)
		}
	})
}

func TestNextRetry(t *testing.T) {
	var total, before time.Duration
	for attempt := 1; attempt < MaxAttempts; attempt++ {
		pause := time.Until(NextRetry(attempt)).Round(time.Second)
		if pause < before || pause > longestRetry {
			t.Errorf("after attempt %d: %v after %v", attempt, pause, before)
		}
		before = pause
		total += pause
	}
	if total < 24*time.Hour || total > 48*time.Hour {
		t.Errorf("given up after %v", total)
	}
}

func TestCheck(t *testing.T) {
	for _, good := range []string{
		"smtp://mail.example.org?from=dons@example.org",
		"smtp://user:p%40ss@mail.example.org:2525?from=dons@example.org",
		"smtps://user:pass@mail.example.org?from=Cagnotte%20%3Cdons@example.org%3E",
		"smtp://[::1]:25/?from=dons@example.org",
	} {
		if err := Check(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, want := range map[string]string{
		"http://mail.example.org?from=dons@example.org":              "smtp://",
		"smtp://mail.example.org":                                    "?from=",
		"smtp://mail.example.org?from=nobody":                        "?from=",
		"smtp://mail.example.org?from=dons@example.org&tls=no":       "?tls=",
		"smtp://user@mail.example.org?from=dons@example.org":         "password",
		"smtp://mail.example.org:99999?from=dons@example.org":        "port",
		"smtp://?from=dons@example.org":                              "must be like",
		"smtp://mail.example.org/inbox?from=dons@example.org":        "must be like",
		"smtp://user:hush%zz@mail.example.org?from=dons@example.org": "not a URL",
	} {
		err := Check(bad)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", bad, err, want)
		}
	}
	t.Run("TLS by the scheme", func(t *testing.T) {
		for url, want := range map[string]server{
			"smtp://mail.example.org?from=a@b.org":     {port: 587},
			"smtps://mail.example.org?from=a@b.org":    {port: 465, implicitTLS: true},
			"smtp://127.0.0.1:25?from=a@b.org":         {port: 25, loopback: true},
			"smtp://localhost?from=a@b.org":            {port: 587, loopback: true},
			"smtp://10.0.0.1:25?from=a@b.org":          {port: 25},
			"smtp://localhost.example?from=a@b.org":    {port: 587},
			"smtps://[2001:db8::1]:4650?from=a@b.org":  {port: 4650, implicitTLS: true},
			"smtp://127.example.org:2500?from=a@b.org": {port: 2500},
		} {
			got, err := parse(url)
			if err != nil || got.port != want.port || got.implicitTLS != want.implicitTLS || got.loopback != want.loopback {
				t.Errorf("%s: %+v, %v", url, got, err)
			}
		}
	})
}
