package apptest

import (
	"bufio"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
)

// Mail is a mail that a Mailbox got.
type Mail struct{ To, Subject, Text string }

// Mailbox is a mail server on loopback that takes everything and delivers nothing.
type Mailbox struct {
	// URL is its SMTP_URL.
	URL string

	mu    sync.Mutex
	mails []Mail
}

// StartMailbox starts one that ends with the test.
func StartMailbox(t testing.TB) *Mailbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("apptest: listen for mails: %v", err)
	}
	b := &Mailbox{URL: "smtp://" + l.Addr().String() + "?from=dons@example.org"}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			running.Go(func() { b.talk(conn) })
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return b
}

// Mails returns what came so far.
func (b *Mailbox) Mails() []Mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Mail(nil), b.mails...)
}

// talk speaks as much of SMTP (RFC 5321) as a client that sends plain text needs.
func (b *Mailbox) talk(conn net.Conn) {
	defer conn.Close()
	lines := bufio.NewReader(conn)
	say := func(line string) { _, _ = io.WriteString(conn, line+"\r\n") } // a client that went away is noticed when reading
	say("220 mailbox")
	var to string
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(strings.TrimSpace(line)); {
		case strings.HasPrefix(verb, "RCPT TO:"):
			_, to, _ = strings.Cut(strings.TrimSpace(line), "<")
			to, _, _ = strings.Cut(to, ">")
			say("250 ok")
		case verb == "DATA":
			say("354 go on")
			b.take(to, lines)
			say("250 ok")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// take reads a mail up to the line with a single dot.
func (b *Mailbox) take(to string, lines *bufio.Reader) {
	var raw strings.Builder
	for {
		line, err := lines.ReadString('\n')
		if err != nil || line == ".\r\n" {
			break
		}
		raw.WriteString(strings.TrimPrefix(line, "."))
	}
	m, err := mail.ReadMessage(strings.NewReader(raw.String()))
	if err != nil {
		return
	}
	var body io.Reader = m.Body
	if strings.EqualFold(m.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mails = append(b.mails, Mail{To: to, Subject: subject, Text: strings.ReplaceAll(string(text), "\r\n", "\n")})
}
