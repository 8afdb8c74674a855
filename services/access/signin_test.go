package access_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
)

func TestSignInByLink(t *testing.T) {
	w := newTown(t)
	w.operator("olga@example.org")
	ask := func(email string) string {
		t.Helper()
		browser, err := w.RequestLink(t.Context(), email, "fr", network)
		if err != nil {
			t.Fatal(err)
		}
		return browser
	}
	redeem := func(token, browser string) (string, error) {
		_, secret, err := w.RedeemLink(t.Context(), token, browser, firefox, network)
		return secret, err
	}
	t.Run("signs in once, in the browser that asked, whatever the case of the address", func(t *testing.T) {
		browser := ask(" Olga@Example.ORG ")
		token := w.lastToken("olga@example.org")
		_, err := redeem(token, "another browser")
		errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_SIGN_IN_LINK_OTHER_BROWSER)
		_, err = redeem(token, "")
		errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_SIGN_IN_LINK_OTHER_BROWSER)
		secret, err := redeem(token, browser)
		if err != nil {
			t.Fatal(err)
		}
		p := access.PrincipalFrom(w.signIn(secret))
		want := []access.Grant{{Role: access.RoleOperator}}
		if !p.Fresh || p.Name != p.Member || p.Key != "" || p.Language != "en" || !cmp.Equal(p.Grants, want) {
			t.Errorf("%+v", p)
		}
		_, err = redeem(token, browser)
		errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_SIGN_IN_LINK_INVALID)
	})
	t.Run("is over after 15 minutes", func(t *testing.T) {
		browser := ask("olga@example.org")
		token := w.lastToken("olga@example.org")
		w.clock.forward(15 * time.Minute)
		_, err := redeem(token, browser)
		errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_SIGN_IN_LINK_INVALID)
	})
	t.Run("of two who use it at once, one signs in", func(t *testing.T) {
		w.clock.forward(time.Hour)
		browser := ask("olga@example.org")
		token := w.lastToken("olga@example.org")
		var in, out int
		var calls sync.WaitGroup
		var mu sync.Mutex
		for range 8 {
			calls.Go(func() {
				_, err := redeem(token, browser)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					in++
				} else {
					errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_SIGN_IN_LINK_INVALID)
					out++
				}
			})
		}
		calls.Wait()
		if in != 1 || out != 7 {
			t.Errorf("%d signed in, %d did not", in, out)
		}
	})
	t.Run("does the same for an address that nobody has", func(t *testing.T) {
		w.clock.forward(time.Hour)
		work := func(email string) string {
			t.Helper()
			before := len(w.mails.Mails())
			browser := ask(email)
			var rows string
			err := w.pool.QueryRow(t.Context(), `SELECT format('%s jobs, %s keys of attempts, %s chars',
				(SELECT count(*) FROM river.river_job WHERE kind = 'access_sign_in_link' AND created_at > now() - interval '5 s' AND id = (SELECT max(id) FROM river.river_job)),
				(SELECT count(*) > 0 FROM access.attempts), $1::int)`, len(browser)).Scan(&rows)
			if err != nil {
				t.Fatal(err)
			}
			w.settled()
			var args string
			if err := w.pool.QueryRow(t.Context(), "SELECT args::text FROM river.river_job ORDER BY id DESC LIMIT 1").Scan(&args); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(args, "example.org") {
				t.Errorf("the job has the address: %s", args)
			}
			t.Logf("%s: %d mails", email, len(w.mails.Mails())-before)
			return rows
		}
		known, unknown := work("olga@example.org"), work("nobody@example.org")
		if known != unknown {
			t.Errorf("known: %s; unknown: %s", known, unknown)
		}
		for _, m := range w.mails.Mails() {
			if m.To == "nobody@example.org" {
				t.Error("somebody unknown got a mail")
			}
		}
	})
	t.Run("keeps no token", func(t *testing.T) {
		for _, table := range []string{"access.sign_in_links", "access.sessions", "river.river_job"} {
			var rows string
			if err := w.pool.QueryRow(t.Context(), "SELECT coalesce(string_agg(x::text, ' '), '') FROM "+table+" AS x").Scan(&rows); err != nil {
				t.Fatal(err)
			}
			for _, m := range w.mails.Mails() {
				if strings.Contains(rows, tokenIn.FindStringSubmatch(m.Text)[1]) {
					t.Errorf("%s has the token of a link", table)
				}
			}
		}
	})
	t.Run("mails no flood to one address, and says nothing of it", func(t *testing.T) {
		w.clock.forward(24 * time.Hour)
		before := len(w.mails.Mails())
		for range 9 {
			ask("olga@example.org")
		}
		w.settled()
		if got := len(w.mails.Mails()) - before; got != 4 {
			t.Errorf("%d mails", got)
		}
		// A stranger who does that keeps nobody out, and even many of them make no flood.
		for i := range 30 {
			w.askFrom(netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, byte(i), 0}), 24), "olga@example.org")
			if i == 0 {
				w.settled()
				if got := len(w.mails.Mails()) - before; got != 5 {
					t.Errorf("%d mails once another network asked", got)
				}
			}
		}
		w.settled()
		if got := len(w.mails.Mails()) - before; got != 20 {
			t.Errorf("%d mails of many networks", got)
		}
	})
	t.Run("stops a network that asks for many addresses", func(t *testing.T) {
		w.clock.forward(24 * time.Hour)
		var err error
		for i := range 11 {
			_, err = w.RequestLink(t.Context(), fmt.Sprintf("n%d@example.org", i), "", network)
		}
		errstest.Want(t, err, codes.ResourceExhausted, errorsv1.ErrorReason_TOO_MANY_LINKS)
		if _, err := w.RequestLink(t.Context(), "olga@example.org", "", netip.MustParsePrefix("198.51.100.0/24")); err != nil {
			t.Errorf("another network: %v", err)
		}
	})
	t.Run("stops a network that tries many tokens, also when each of them fails", func(t *testing.T) {
		w.clock.forward(24 * time.Hour)
		var err error
		for range 31 {
			_, err = redeem("guess", "guess")
		}
		errstest.Want(t, err, codes.ResourceExhausted, errorsv1.ErrorReason_TOO_MANY_ATTEMPTS)
	})
}
