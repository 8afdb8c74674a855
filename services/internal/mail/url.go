package mail

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"strconv"
)

// server is what SMTP_URL says.
type server struct {
	host               string
	port               int
	username, password string
	from               mail.Address
	// implicitTLS speaks TLS from the first byte; otherwise STARTTLS is demanded, but on this machine.
	implicitTLS, loopback bool
}

// Check says what is wrong with an SMTP_URL, in one line without its password. Nothing is sent.
//
//	smtp://user:password@host:587?from=dons@example.org   STARTTLS; port 587 unless it says another
//	smtps://user:password@host:465?from=dons@example.org  TLS from the start; port 465 unless it says another
//
// A host on this machine may be spoken to without TLS, as a local mail server expects.
func Check(rawURL string) error {
	_, err := parse(rawURL)
	return err
}

func parse(rawURL string) (server, error) {
	// url.Parse's own error repeats the address, and the password with it.
	u, err := url.Parse(rawURL)
	if err != nil {
		return server{}, errors.New("is not a URL; escape special characters in the password (%40 for @)")
	}
	s := server{host: u.Hostname(), username: u.User.Username()}
	s.password, _ = u.User.Password()
	switch u.Scheme {
	case "smtp":
		s.port = 587
	case "smtps":
		s.port, s.implicitTLS = 465, true
	default:
		return server{}, errors.New("must begin with smtp:// or smtps://")
	}
	if s.host == "" || u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return server{}, errors.New("must be like smtp://user:password@mail.example.org:587?from=dons@example.org")
	}
	if port := u.Port(); port != "" {
		if s.port, err = strconv.Atoi(port); err != nil || s.port < 1 || s.port > 65535 {
			return server{}, errors.New("its port must be from 1 to 65535")
		}
	}
	if (s.username == "") != (s.password == "") {
		return server{}, errors.New("must have both a user and a password, or neither")
	}
	for name := range u.Query() {
		if name != "from" {
			return server{}, fmt.Errorf("does not know ?%s=; only ?from=", name)
		}
	}
	from, err := mail.ParseAddress(u.Query().Get("from"))
	if err != nil {
		return server{}, errors.New("must say whom mails come from: ?from=dons@example.org")
	}
	s.from = *from
	ip, err := netip.ParseAddr(s.host)
	s.loopback = s.host == "localhost" || err == nil && ip.IsLoopback()
	return s, nil
}
