// Package mailtest is a mail server for tests: it speaks SMTP on the loopback interface and keeps the mails it receives.
package mailtest

import (
	"bufio"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
)

// Mail is a mail that the server accepted.
type Mail struct {
	// From and To are the addresses of the envelope.
	From, To string
	// Header and Text are decoded. Raw is the data as it was sent, without the doubled dots.
	Header mail.Header
	Text   string
	Raw    string
}

// Subject returns the decoded subject.
func (m Mail) Subject() string {
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return m.Header.Get("Subject")
	}
	return subject
}

// Server is a running mail server. All methods are safe for concurrent use.
type Server struct {
	t       testing.TB
	address string

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]bool
	mails    []Mail
	commands []string
	replies  map[string]string
	running  sync.WaitGroup
}

// Start starts a server that accepts everything. It stops when the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, address: "127.0.0.1:0", open: map[net.Conn]bool{}, replies: map[string]string{}}
	s.Resume()
	t.Cleanup(s.Stop)
	return s
}

// URL returns the value of SMTP_URL with which the program sends to this server, from dons@example.org.
func (s *Server) URL() string { return "smtp://" + s.address + "?from=dons@example.org" }

// Mails returns the mails that the server accepted, in their order.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Commands returns the first word of each command that the server got.
func (s *Server) Commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.commands...)
}

// Answer makes the server answer commands with this beginning, such as "RCPT TO:<a@example.org>", with a reply such as
// "550 5.1.1 no such user". An empty reply restores the usual answer.
func (s *Server) Answer(prefix, reply string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replies[prefix] = reply
	if reply == "" {
		delete(s.replies, prefix)
	}
}

// Stop closes all connections and refuses new ones.
func (s *Server) Stop() {
	s.mu.Lock()
	if s.listener != nil {
		s.listener.Close()
		s.listener = nil
	}
	for conn := range s.open {
		conn.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// Resume starts the server again at its address.
func (s *Server) Resume() {
	s.t.Helper()
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		s.t.Fatalf("mailtest: %v", err)
	}
	s.mu.Lock()
	s.listener, s.address = listener, listener.Addr().String()
	s.mu.Unlock()
	s.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.open[conn] = true
			s.mu.Unlock()
			s.running.Go(func() {
				defer func() {
					conn.Close()
					s.mu.Lock()
					delete(s.open, conn)
					s.mu.Unlock()
				}()
				s.serve(conn)
			})
		}
	})
}

// serve handles the connection of one client: https://www.rfc-editor.org/rfc/rfc5321#section-4.1.
func (s *Server) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	say := func(reply string) { fmt.Fprintf(conn, "%s\r\n", reply) }
	var m Mail
	say("220 mailtest")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		word, _, _ := strings.Cut(line, " ")
		if reply := s.record(word, line); reply != "" {
			say(reply)
			continue
		}
		switch strings.ToUpper(word) {
		case "EHLO":
			say("250-mailtest\r\n250 8BITMIME")
		case "MAIL":
			m = Mail{From: between(line)}
			say("250 ok")
		case "RCPT":
			m.To = between(line)
			say("250 ok")
		case "DATA":
			say("354 go on")
			if m.Raw, err = readData(in); err != nil {
				return
			}
			if reply := s.record("", "END"); reply != "" {
				say(reply)
				continue
			}
			s.keep(m)
			say("250 taken")
		case "RSET", "NOOP":
			say("250 ok")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("502 not here")
		}
	}
}

// record notes a command and returns the reply that a test set for it. "END" is the end of a mail's data.
func (s *Server) record(word, line string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if word != "" {
		s.commands = append(s.commands, strings.ToUpper(word))
	}
	for prefix, reply := range s.replies {
		if strings.HasPrefix(line, prefix) {
			return reply
		}
	}
	return ""
}

func (s *Server) keep(m Mail) {
	parsed, err := mail.ReadMessage(strings.NewReader(m.Raw))
	if err != nil {
		s.t.Errorf("mailtest: the mail cannot be parsed: %v", err)
		return
	}
	m.Header = parsed.Header
	body := parsed.Body
	if strings.EqualFold(m.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		s.t.Errorf("mailtest: the mail's text cannot be decoded: %v", err)
	}
	m.Text = strings.ReplaceAll(string(text), "\r\n", "\n")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
}

func between(line string) string {
	_, rest, _ := strings.Cut(line, "<")
	address, _, _ := strings.Cut(rest, ">")
	return address
}

func readData(in *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		if line == ".\r\n" {
			return b.String(), nil
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
}
