package access_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
)

func TestSessionsEnd(t *testing.T) {
	w := newTown(t)
	const email = "olga@example.org"
	in := func() string {
		t.Helper()
		link, err := w.CreateOperator(t.Context(), email, "Olga", "fr")
		if err != nil {
			t.Fatal(err)
		}
		return w.redeem(link)
	}
	works := func(token string) bool {
		_, err := w.Authenticate(t.Context(), token)
		return err == nil
	}
	t.Run("after 14 days without use", func(t *testing.T) {
		token := in()
		w.clock.forward(14*24*time.Hour - time.Minute)
		if !works(token) {
			t.Error("ended too early")
		}
		w.clock.forward(14 * 24 * time.Hour)
		if works(token) {
			t.Error("still works")
		}
	})
	t.Run("after 90 days however often it is used", func(t *testing.T) {
		token := in()
		for range 89 {
			w.clock.forward(24 * time.Hour)
			if !works(token) {
				t.Fatal("ended too early")
			}
		}
		w.clock.forward(24 * time.Hour)
		if works(token) {
			t.Error("still works")
		}
	})
	t.Run("when its member says so, one or all", func(t *testing.T) {
		one, two, three := in(), in(), in()
		p := access.PrincipalFrom(w.signIn(one))
		id := uuid.MustParse(strings.TrimPrefix(p.Member, "members/"))
		_, session, _ := strings.Cut(access.PrincipalFrom(w.signIn(two)).Session, "/sessions/")
		for range 2 {
			if err := w.EndSessions(w.signIn(one), id, session); err != nil {
				t.Fatal(err)
			}
		}
		if works(two) || !works(one) || !works(three) {
			t.Error("another one ended")
		}
		if err := w.EndSessions(w.signIn(one), id, ""); err != nil {
			t.Fatal(err)
		}
		if works(one) || works(three) {
			t.Error("one is left")
		}
	})
	t.Run("when its browser signs in again", func(t *testing.T) {
		old := in()
		link, err := w.CreateOperator(t.Context(), email, "Olga", "fr")
		if err != nil {
			t.Fatal(err)
		}
		u, _ := url.Parse(link)
		w.clock.forward(time.Hour)
		if p := access.PrincipalFrom(w.signIn(old)); p.Fresh {
			t.Error("a proof of an hour ago is fresh")
		}
		if _, _, err := w.RedeemLink(w.signIn(old), u.Query().Get("token"), "", firefox, network); err == nil {
			t.Fatal("a link of an hour ago works")
		}
		link, _ = w.CreateOperator(t.Context(), email, "Olga", "fr")
		u, _ = url.Parse(link)
		made, token, err := w.RedeemLink(w.signIn(old), u.Query().Get("token"), "", firefox, network)
		if err != nil {
			t.Fatal(err)
		}
		if works(old) || !works(token) || made.Device != "Firefox, Android" {
			t.Errorf("old works: %v, new works: %v, device %q", works(old), works(token), made.Device)
		}
	})
	t.Run("a wrong secret opens none", func(t *testing.T) {
		token, other := in(), in()
		for _, bad := range []string{token[:len(token)-1], token[:20] + other[20:], strings.Replace(token, "cas_", "cag_", 1), strings.ToUpper(token)} {
			_, err := w.Authenticate(t.Context(), bad)
			errstest.Want(t, err, codes.Unauthenticated, errorsv1.ErrorReason_INVALID_KEY)
		}
	})
}
