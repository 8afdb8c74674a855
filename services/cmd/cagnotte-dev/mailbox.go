package main

import (
	"bytes"
	_ "embed"
	"html/template"
	"io"
	"mime"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/emersion/go-smtp"
	gomail "github.com/wneessen/go-mail"
)

// keptMails is how many mails the demo's mailbox shows.
const keptMails = 200

//go:embed mailbox.html
var mailboxTemplate string

// mailbox takes all mails that the demo sends, and shows them on a page. It sends none on.
type mailbox struct {
	page *template.Template

	mu    sync.Mutex
	mails []letter
}

// letter is a mail as the page shows it.
type letter struct {
	To, Subject, Date string
	Lines             [][]piece
}

// piece is text, or an address to follow.
type piece struct{ Text, Link string }

func newMailbox() (*mailbox, error) {
	page, err := template.New("mailbox").Parse(mailboxTemplate)
	return &mailbox{page: page}, err
}

// serveMail receives mails until stop is called.
func (m *mailbox) serveMail(l net.Listener) (stop func() error) {
	server := smtp.NewServer(m)
	server.Domain = "localhost"
	server.MaxMessageBytes = 1 << 20
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	return func() error {
		err := server.Close()
		<-done
		return err
	}
}

// NewSession implements smtp.Backend.
func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &delivery{box: m}, nil }

// delivery is one mail on its way.
type delivery struct {
	box *mailbox
	to  []string
}

func (d *delivery) Mail(string, *smtp.MailOptions) error { return nil }

func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error {
	d.to = append(d.to, to)
	return nil
}

func (d *delivery) Reset() { d.to = nil }

func (d *delivery) Logout() error { return nil }

func (d *delivery) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	read, err := gomail.EMLToMsgFromReader(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	l := letter{To: strings.Join(d.to, ", "), Date: strings.Join(read.GetGenHeader(gomail.HeaderDate), "")}
	l.Subject = strings.Join(read.GetGenHeader(gomail.HeaderSubject), "")
	if decoded, err := new(mime.WordDecoder).DecodeHeader(l.Subject); err == nil {
		l.Subject = decoded
	}
	for _, part := range read.GetParts() {
		text, err := part.GetContent()
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			l.Lines = append(l.Lines, pieces(strings.TrimRight(line, "\r\n")))
		}
	}
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	d.box.mails = append(d.box.mails, l)
	if over := len(d.box.mails) - keptMails; over > 0 {
		d.box.mails = slices.Delete(d.box.mails, 0, over)
	}
	return nil
}

var address = regexp.MustCompile(`https?://\S+`)

// pieces takes the addresses in a line out of its text.
func pieces(line string) (all []piece) {
	for line != "" {
		found := address.FindStringIndex(line)
		if found == nil {
			return append(all, piece{Text: line})
		}
		all = append(all, piece{Text: line[:found[0]]}, piece{Text: line[found[0]:found[1]], Link: line[found[0]:found[1]]})
		line = line[found[1]:]
	}
	return all
}

// ServeHTTP shows the mails, the newest first.
func (m *mailbox) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	m.mu.Lock()
	mails := slices.Clone(m.mails)
	m.mu.Unlock()
	slices.Reverse(mails)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = m.page.Execute(w, mails)
}
