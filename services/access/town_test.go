package access_test

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const (
	firefox = "Mozilla/5.0 (Android 14; Mobile; rv:131.0) Gecko/131.0 Firefox/131.0"
	origin  = "https://dons.example.org"
)

var network = netip.MustParsePrefix("192.0.2.0/24")

// town is the service with mails, jobs that run, and what was told and audited.
type town struct {
	*access.Service
	t       *testing.T
	pool    *pgxpool.Pool
	clock   *clock
	mails   *mailtest.Server
	mu      sync.Mutex
	told    []access.PeopleChange
	audited []access.AuditChange
}

func newTown(t *testing.T) *town {
	t.Helper()
	_, pool, clock := fresh(t)
	w := &town{t: t, pool: pool, clock: clock, mails: mailtest.Start(t)}
	sender, err := mail.New(mail.Config{URL: w.mails.URL(), Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	insert, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Schema: postgres.RiverSchema})
	if err != nil {
		t.Fatal(err)
	}
	w.Service = access.New(access.Config{
		Pool: pool, Now: clock.now, Jobs: insert, Mail: sender, PublicURL: origin, SecretKey: []byte("0123456789abcdef0123456789abcdef"),
		TellPeopleTx: func(_ context.Context, _ pgx.Tx, c access.PeopleChange) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.told = append(w.told, c)
			return nil
		},
		AuditTx: func(_ context.Context, _ pgx.Tx, c access.AuditChange) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.audited = append(w.audited, c)
			return nil
		},
	})
	workers := river.NewWorkers()
	w.Workers(workers)
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Schema: postgres.RiverSchema, Queues: mail.Queues(), Workers: workers, FetchPollInterval: 50 * time.Millisecond,
		FetchCooldown: 10 * time.Millisecond, ReindexerIndexNames: []string{},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = client.StopAndCancel(ctx)
	})
	return w
}

// settled waits until every job of mails has ended.
func (w *town) settled() {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		var open int
		err := w.pool.QueryRow(w.t.Context(), "SELECT count(*) FROM river.river_job WHERE queue = 'mail' AND finalized_at IS NULL").Scan(&open)
		if err != nil {
			w.t.Fatal(err)
		}
		if open == 0 {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%d jobs are left", open)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

var tokenIn = regexp.MustCompile(`\?token=([A-Za-z0-9_-]+)`)

// lastToken returns the token in the newest mail to an address.
func (w *town) lastToken(to string) string {
	w.t.Helper()
	w.settled()
	for _, m := range slices.Backward(w.mails.Mails()) {
		if m.To == to {
			return tokenIn.FindStringSubmatch(m.Text)[1]
		}
	}
	w.t.Fatalf("no mail to %s", to)
	return ""
}

// CreateOperator makes an operator as the command line does.
func (w *town) CreateOperator(ctx context.Context, email, name, language string) (link string, err error) {
	return w.CreateMember(ctx, access.Grant{Role: access.RoleOperator}, email, name, language)
}

// operator makes an operator and signs them in.
func (w *town) operator(email string) context.Context {
	w.t.Helper()
	link, err := w.CreateOperator(w.t.Context(), email, email, "en")
	if err != nil {
		w.t.Fatal(err)
	}
	return w.signIn(w.redeem(link))
}

func (w *town) redeem(link string) string {
	w.t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		w.t.Fatal(err)
	}
	_, token, err := w.RedeemLink(w.t.Context(), u.Query().Get("token"), "", firefox, network)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// askFrom asks for a link from a network.
func (w *town) askFrom(from netip.Prefix, email string) {
	w.t.Helper()
	if _, err := w.RequestLink(w.t.Context(), email, "", from); err != nil {
		w.t.Fatal(err)
	}
}

// signIn is the context of a call with the session.
func (w *town) signIn(token string) context.Context {
	w.t.Helper()
	return holding(w.t, w.Service, token)
}

// join invites an address as the caller of by, and accepts.
func (w *town) join(by context.Context, collective, email string, role access.Role) context.Context {
	w.t.Helper()
	if _, err := w.Invite(by, access.Invitation{Collective: collective, Email: email, Role: role}, uuid.New()); err != nil {
		w.t.Fatal(err)
	}
	_, token, err := w.AcceptInvitation(w.t.Context(), w.lastToken(email), "Person "+email, "fr", firefox, network)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.signIn(token)
}

// membership returns the one of the caller in a collective.
func (w *town) membership(of context.Context, collective string) access.Membership {
	w.t.Helper()
	all, err := w.Memberships(w.t.Context(), collective, access.FirstPlace, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range all {
		if "members/"+m.Member.String() == access.PrincipalFrom(of).Member {
			return m
		}
	}
	w.t.Fatal("no membership")
	return access.Membership{}
}

// grants are the roles of the caller as they are now.
func (w *town) grants(of context.Context) []access.Grant {
	w.t.Helper()
	member := access.PrincipalFrom(of).Member
	id := uuid.MustParse(strings.TrimPrefix(member, "members/"))
	all, err := w.MembershipsOf(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	var grants []access.Grant
	for _, m := range all {
		grants = append(grants, access.Grant{Collective: m.Collective, Role: m.Role})
	}
	return grants
}

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

func TestInvitations(t *testing.T) {
	w := newTown(t)
	operator := w.operator("olga@example.org")
	owner := w.join(operator, "vallon", "marie@example.org", access.RoleOwner)
	invite := func(by context.Context, collective, email string, role access.Role) (access.Invitation, error) {
		return w.Invite(by, access.Invitation{Collective: collective, Email: email, Role: role}, uuid.New())
	}
	accept := func(token string) error {
		_, _, err := w.AcceptInvitation(t.Context(), token, "Somebody", "", firefox, network)
		return err
	}
	t.Run("make the member, and work once", func(t *testing.T) {
		treasurer := w.join(owner, "vallon", "karim@example.org", access.RoleTreasurer)
		if diff := cmp.Diff([]access.Grant{{Collective: "vallon", Role: access.RoleTreasurer}}, access.PrincipalFrom(treasurer).Grants); diff != "" {
			t.Error(diff)
		}
		errstest.Want(t, accept(w.lastToken("karim@example.org")), codes.FailedPrecondition, errorsv1.ErrorReason_INVITATION_INVALID)
	})
	t.Run("add a role to a member who is one elsewhere", func(t *testing.T) {
		w.join(operator, "marseille", "karim@example.org", access.RoleAuditor)
		all := w.grants(w.join(operator, "marseille", "other@example.org", access.RoleOwner))
		if len(all) != 1 {
			t.Errorf("%v", all)
		}
	})
	t.Run("say what they invite to, and change nothing by that", func(t *testing.T) {
		made, err := invite(owner, "vallon", "lea@example.org", access.RoleEditor)
		if err != nil {
			t.Fatal(err)
		}
		token := w.lastToken("lea@example.org")
		for range 2 {
			i, known, err := w.LookUpInvitation(t.Context(), token, network)
			if err != nil || known || i.ID != made.ID || i.CollectiveName != "vallon" {
				t.Fatalf("%+v, %v, %v", i, known, err)
			}
		}
		if _, err := w.RevokeInvitation(owner, "vallon", made.ID); err != nil {
			t.Fatal(err)
		}
		errstest.Want(t, accept(token), codes.FailedPrecondition, errorsv1.ErrorReason_INVITATION_INVALID)
	})
	t.Run("expire after 7 days", func(t *testing.T) {
		if _, err := invite(owner, "vallon", "late@example.org", access.RoleEditor); err != nil {
			t.Fatal(err)
		}
		token := w.lastToken("late@example.org")
		w.clock.forward(7 * 24 * time.Hour)
		errstest.Want(t, accept(token), codes.FailedPrecondition, errorsv1.ErrorReason_INVITATION_INVALID)
	})
	owner = w.signInAgain("marie@example.org")
	t.Run("replace the one before", func(t *testing.T) {
		if _, err := invite(owner, "vallon", "twice@example.org", access.RoleEditor); err != nil {
			t.Fatal(err)
		}
		first := w.lastToken("twice@example.org")
		if _, err := invite(owner, "vallon", "Twice@example.org", access.RoleAuditor); err != nil {
			t.Fatal(err)
		}
		errstest.Want(t, accept(first), codes.FailedPrecondition, errorsv1.ErrorReason_INVITATION_INVALID)
		if err := accept(w.lastToken("twice@example.org")); err != nil {
			t.Error(err)
		}
	})
	t.Run("sent twice are one", func(t *testing.T) {
		id := uuid.New()
		i := access.Invitation{Collective: "vallon", Email: "repeat@example.org", Role: access.RoleEditor}
		one, err := w.Invite(owner, i, id)
		if err != nil {
			t.Fatal(err)
		}
		two, err := w.Invite(owner, i, id)
		if err != nil || one.ID != two.ID {
			t.Errorf("%v and %v, %v", one.ID, two.ID, err)
		}
		i.Role = access.RoleOwner
		_, err = w.Invite(owner, i, id)
		errstest.Want(t, err, codes.AlreadyExists, errorsv1.ErrorReason_REQUEST_ID_REUSED)
	})
	t.Run("are refused for a member, for the other kind of role, and for no address", func(t *testing.T) {
		_, err := invite(owner, "vallon", "karim@example.org", access.RoleOwner)
		errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_MEMBERSHIP_EXISTS)
		_, err = invite(owner, "vallon", "x@example.org", access.RoleOperator)
		errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "invitation.role")
		_, err = invite(operator, "", "x@example.org", access.RoleOwner)
		errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "invitation.role")
		_, err = invite(owner, "vallon", "X <x@example.org>", access.RoleEditor)
		errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "invitation.email")
	})
	t.Run("of somebody who was removed work no more", func(t *testing.T) {
		second := w.join(owner, "vallon", "second@example.org", access.RoleOwner)
		if _, err := invite(second, "vallon", "alter-ego@example.org", access.RoleOwner); err != nil {
			t.Fatal(err)
		}
		token := w.lastToken("alter-ego@example.org")
		if err := w.EndMembership(owner, "vallon", w.membership(second, "vallon").ID); err != nil {
			t.Fatal(err)
		}
		errstest.Want(t, accept(token), codes.FailedPrecondition, errorsv1.ErrorReason_INVITATION_INVALID)
	})
	t.Run("leave no address behind when nobody came", func(t *testing.T) {
		w.clock.forward(40 * 24 * time.Hour)
		if err := w.Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		var left int
		err := w.pool.QueryRow(t.Context(), "SELECT count(*) FROM access.invitations WHERE accepted_at IS NULL").Scan(&left)
		if err != nil || left != 0 {
			t.Errorf("%d are left, %v", left, err)
		}
	})
}

// signInAgain signs the member in by a mailed link.
func (w *town) signInAgain(email string) context.Context {
	w.t.Helper()
	browser, err := w.RequestLink(w.t.Context(), email, "", network)
	if err != nil {
		w.t.Fatal(err)
	}
	_, token, err := w.RedeemLink(w.t.Context(), w.lastToken(email), browser, firefox, network)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.signIn(token)
}

func TestTheLastOwnerStays(t *testing.T) {
	w := newTown(t)
	operator := w.operator("olga@example.org")
	marie := w.join(operator, "vallon", "marie@example.org", access.RoleOwner)
	w.join(operator, "marseille", "other@example.org", access.RoleOwner)
	last := w.membership(marie, "vallon")
	t.Run("cannot leave, be removed, or get another role", func(t *testing.T) {
		for _, by := range []context.Context{marie, operator} {
			errstest.Want(t, w.EndMembership(by, "vallon", last.ID), codes.FailedPrecondition, errorsv1.ErrorReason_LAST_OWNER)
			_, err := w.ChangeRole(by, "vallon", last.ID, access.RoleEditor)
			errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_LAST_OWNER)
		}
		errstest.Want(t, w.EndMembership(operator, "", w.membership(operator, "").ID), codes.FailedPrecondition, errorsv1.ErrorReason_LAST_OPERATOR)
	})
	t.Run("of two who leave, or remove each other, at once, one stays", func(t *testing.T) {
		for i := range 6 {
			second := w.join(operator, "vallon", fmt.Sprintf("second-%d@example.org", i), access.RoleOwner)
			one, two := w.membership(marie, "vallon"), w.membership(second, "vallon")
			if i%2 == 1 {
				one, two = two, one
			}
			var calls sync.WaitGroup
			calls.Go(func() { _ = w.EndMembership(marie, "vallon", one.ID) })
			calls.Go(func() { _ = w.EndMembership(second, "vallon", two.ID) })
			calls.Wait()
			left, err := w.Memberships(t.Context(), "vallon", access.FirstPlace, 10)
			if err != nil || len(left) != 1 || left[0].Role != access.RoleOwner {
				t.Fatalf("left: %+v, %v", left, err)
			}
			if left[0].ID != one.ID && left[0].ID != two.ID {
				t.Fatal("another one is left")
			}
			if left[0].Email != "marie@example.org" {
				// The other one stayed, and takes her place.
				marie = w.signInAgain(left[0].Email)
			}
			w.clock.forward(time.Hour)
		}
	})
}

func TestChangeOfRole(t *testing.T) {
	w := newTown(t)
	operator := w.operator("olga@example.org")
	owner := w.join(operator, "vallon", "marie@example.org", access.RoleOwner)
	karim := w.join(owner, "vallon", "karim@example.org", access.RoleTreasurer)
	before := w.membership(karim, "vallon")
	w.clock.forward(time.Minute)
	w.told, w.audited = nil, nil
	for range 2 {
		changed, err := w.ChangeRole(owner, "vallon", w.membership(karim, "vallon").ID, access.RoleEditor)
		if err != nil || changed.ID == before.ID || changed.Role != access.RoleEditor || !changed.CreateTime.After(before.CreateTime) {
			t.Fatalf("%+v, %v", changed, err)
		}
	}
	if len(w.told) != 1 || w.told[0].Kind != access.RoleChanged || w.told[0].Before != access.RoleTreasurer || len(w.audited) != 1 {
		t.Errorf("told %+v, audited %+v", w.told, w.audited)
	}
	ended, err := w.GetMembership(t.Context(), "vallon", before.ID)
	if err != nil || ended.EndTime.IsZero() || ended.Role != access.RoleTreasurer {
		t.Errorf("%+v, %v", ended, err)
	}
	_, err = w.ChangeRole(owner, "vallon", before.ID, access.RoleAuditor)
	errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_MEMBERSHIP_ENDED)
	_, err = w.ChangeRole(owner, "vallon", ended.ID, access.RoleOperator)
	errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "membership.role")
	t.Run("the database ends a row once, and changes none", func(t *testing.T) {
		for _, statement := range []string{
			"UPDATE access.memberships SET ended_at = now() WHERE ended_at IS NOT NULL",
			"UPDATE access.memberships SET role = 'owner'",
			"DELETE FROM access.memberships",
		} {
			if _, err := w.pool.Exec(t.Context(), statement); err == nil {
				t.Errorf("%s works", statement)
			}
		}
	})
}

func TestWhoIsRemovedIsOut(t *testing.T) {
	w := newTown(t)
	operator := w.operator("olga@example.org")
	owner := w.join(operator, "vallon", "marie@example.org", access.RoleOwner)
	_, err := w.Invite(owner, access.Invitation{Collective: "vallon", Email: "karim@example.org", Role: access.RoleTreasurer}, uuid.New())
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := w.AcceptInvitation(t.Context(), w.lastToken("karim@example.org"), "Karim", "fr", firefox, network)
	if err != nil {
		t.Fatal(err)
	}
	karim := w.signIn(token)
	_, key, err := w.Create(karim, access.Key{Collective: "vallon", DisplayName: "Script", Role: access.RoleAuditor})
	if err != nil {
		t.Fatal(err)
	}
	m := w.membership(karim, "vallon")
	for range 2 {
		if err := w.EndMembership(owner, "vallon", m.ID); err != nil {
			t.Fatal(err)
		}
	}
	for what, credential := range map[string]string{"session": token, "key": key} {
		_, err := w.Authenticate(t.Context(), credential)
		if err == nil {
			t.Errorf("the %s works", what)
		}
	}
	// What was under way when he was removed decides nothing.
	_, _, err = w.Create(karim, access.Key{Collective: "vallon", DisplayName: "Late", Role: access.RoleAuditor})
	errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
}

func TestWhoMayInviteNoMoreHasInvitedNobody(t *testing.T) {
	for _, test := range []struct {
		rule   string
		unmake func(w *town, owner context.Context, of access.Membership) error
	}{
		{"removed", func(w *town, owner context.Context, of access.Membership) error {
			return w.EndMembership(owner, "vallon", of.ID)
		}},
		{"another role", func(w *town, owner context.Context, of access.Membership) error {
			_, err := w.ChangeRole(owner, "vallon", of.ID, access.RoleAuditor)
			return err
		}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			w := newTown(t)
			owner := w.join(w.operator("olga@example.org"), "vallon", "marie@example.org", access.RoleOwner)
			karim := w.join(owner, "vallon", "karim@example.org", access.RoleOwner)
			_, secret, err := w.Create(karim, access.Key{Collective: "vallon", DisplayName: "Script", Role: access.RoleOwner})
			if err != nil {
				t.Fatal(err)
			}
			var tokens []string
			for by, email := range map[string]string{"session": "karim+1@example.org", "key": "karim+2@example.org"} {
				ctx := karim
				if by == "key" {
					ctx = w.signIn(secret)
				}
				if _, err := w.Invite(ctx, access.Invitation{Collective: "vallon", Email: email, Role: access.RoleOwner}, uuid.New()); err != nil {
					t.Fatal(err)
				}
				tokens = append(tokens, w.lastToken(email))
			}
			if err := test.unmake(w, owner, w.membership(karim, "vallon")); err != nil {
				t.Fatal(err)
			}
			for _, token := range tokens {
				_, _, err := w.AcceptInvitation(t.Context(), token, "Karim", "fr", firefox, network)
				errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_INVITATION_INVALID)
			}
		})
	}
}

func TestWhoIsOwnerNoMoreChangesNoPeople(t *testing.T) {
	w := newTown(t)
	owner := w.join(w.operator("olga@example.org"), "vallon", "marie@example.org", access.RoleOwner)
	// His calls were let in while he was an owner.
	karim := w.join(owner, "vallon", "karim@example.org", access.RoleOwner)
	other := w.membership(w.join(owner, "vallon", "ines@example.org", access.RoleTreasurer), "vallon")
	his, err := w.ChangeRole(owner, "vallon", w.membership(karim, "vallon").ID, access.RoleAuditor)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.ChangeRole(karim, "vallon", his.ID, access.RoleOwner)
	errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	_, err = w.ChangeRole(karim, "vallon", other.ID, access.RoleAuditor)
	errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	_, err = w.Invite(karim, access.Invitation{Collective: "vallon", Email: "karim+1@example.org", Role: access.RoleOwner}, uuid.New())
	errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	errstest.Want(t, w.EndMembership(karim, "vallon", other.ID), codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	if err := w.EndMembership(karim, "vallon", his.ID); err != nil {
		t.Errorf("he leaves: %v", err)
	}
}

func TestTheAuditLogHasNoWholeAddress(t *testing.T) {
	w := newTown(t)
	operator := w.operator("olga@example.org")
	made, err := w.Invite(operator, access.Invitation{Collective: "vallon", Email: "marie@example.org", Role: access.RoleOwner}, uuid.New())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.RevokeInvitation(operator, "vallon", made.ID); err != nil {
		t.Fatal(err)
	}
	for _, c := range w.audited {
		if strings.Contains(fmt.Sprint(c), "marie@example.org") {
			t.Errorf("%+v", c)
		}
	}
}
