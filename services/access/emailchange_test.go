package access_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
)

// mailsTo are the subjects of all mails to an address.
func (w *town) mailsTo(to string) (subjects []string) {
	w.t.Helper()
	w.settled()
	for _, m := range w.mails.Mails() {
		if m.To == to {
			subjects = append(subjects, m.Subject())
		}
	}
	return subjects
}

// askEmail asks for another address.
func (w *town) askEmail(ctx context.Context, email string) {
	w.t.Helper()
	if err := w.RequestEmailChange(ctx, email, network); err != nil {
		w.t.Fatal(err)
	}
}

// works reports whether the session of a context still authenticates.
func (w *town) works(token string) bool {
	w.t.Helper()
	_, err := w.Authenticate(context.Background(), token)
	return err == nil
}

// session signs an address in by a mailed link, and returns the context of its calls and its token.
func (w *town) session(email string) (context.Context, string) {
	w.t.Helper()
	browser, err := w.RequestLink(w.t.Context(), email, "", network)
	if err != nil {
		w.t.Fatal(err)
	}
	_, token, err := w.RedeemLink(w.t.Context(), w.lastToken(email), browser, firefox, network)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.signIn(token), token
}

func TestAMemberChangesTheAddress(t *testing.T) {
	w := newTown(t)
	w.operator("olga@example.org")
	w.clock.forward(24 * time.Hour)
	ctx, token := w.session("olga@example.org")
	_, other := w.session("olga@example.org")
	member := access.PrincipalFrom(ctx).Member
	browser, err := w.RequestLink(t.Context(), "olga@example.org", "", network)
	if err != nil {
		t.Fatal(err)
	}
	pending := w.lastToken("olga@example.org")

	w.askEmail(ctx, " Olga@Mairie.Example ")
	link := w.lastToken("olga@mairie.example")
	if got := w.mailsTo("olga@example.org"); got[len(got)-1] != "A new address was requested for your account" {
		t.Errorf("the old address was told: %q", got)
	}
	if email, _, _ := w.CallerAddress(ctx); email != "olga@example.org" {
		t.Errorf("the address changed before the link was opened: %s", email)
	}
	redeem := func(ctx context.Context, token string) error {
		_, err := w.RedeemEmailChange(ctx, token, network)
		return err
	}
	t.Run("only in the session that asked, which leaves the link as it is", func(t *testing.T) {
		errstest.Want(t, redeem(w.signIn(other), link), codes.FailedPrecondition, errorsv1.ErrorReason_SIGN_IN_LINK_OTHER_BROWSER)
		stranger := w.operator("oscar@example.org")
		errstest.Want(t, redeem(stranger, link), codes.FailedPrecondition, errorsv1.ErrorReason_SIGN_IN_LINK_INVALID)
		errstest.Want(t, redeem(ctx, "another"), codes.FailedPrecondition, errorsv1.ErrorReason_SIGN_IN_LINK_INVALID)
	})
	own := newPhone(t)
	id := uuid.MustParse(strings.TrimPrefix(member, "members/"))
	ceremony, options, err := w.BeginRegistration(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.FinishRegistration(ctx, id, ceremony, own.create(options), "Phone", firefox); err != nil {
		t.Fatal(err)
	}
	audited, told := len(w.audited), len(w.told)
	t.Run("once, of many at once", func(t *testing.T) {
		var done int
		var mu sync.Mutex
		var calls sync.WaitGroup
		for range 6 {
			calls.Go(func() {
				err := redeem(ctx, link)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					done++
				} else {
					errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_SIGN_IN_LINK_INVALID)
				}
			})
		}
		calls.Wait()
		if done != 1 {
			t.Errorf("%d of 6 redeemed the link", done)
		}
	})
	t.Run("leaves one row in the audit log, with no whole address", func(t *testing.T) {
		made := w.audited[audited:]
		if len(made) != 1 || made[0].Resource != member || made[0].Before["email"] != "o…@example.org" || made[0].After["email"] != "o…@mairie.example" {
			t.Errorf("%+v", made)
		}
	})
	t.Run("is told once to the others who administer with them", func(t *testing.T) {
		made := w.told[told:]
		if len(made) != 1 || made[0].Kind != access.EmailChanged || made[0].Membership.Role != access.RoleOperator || made[0].Membership.Member != id || made[0].By.Member != member {
			t.Errorf("%+v", made)
		}
	})
	t.Run("leaves the passkeys as they are", func(t *testing.T) {
		ceremony, options, err := w.BeginPasskeySignIn(t.Context(), network)
		if err != nil {
			t.Fatal(err)
		}
		_, token, err := w.FinishPasskeySignIn(t.Context(), ceremony, own.get(options), firefox)
		if err != nil {
			t.Fatal(err)
		}
		if got := access.PrincipalFrom(w.signIn(token)).Member; got != member {
			t.Errorf("the passkey signs %s in, want %s", got, member)
		}
	})
	t.Run("ends the other sessions, and not the one that asked", func(t *testing.T) {
		if w.works(other) || !w.works(token) {
			t.Errorf("the other session works: %t; the one that asked: %t", w.works(other), w.works(token))
		}
	})
	t.Run("ends the links to the old address, and those that are asked for after", func(t *testing.T) {
		_, _, err := w.RedeemLink(t.Context(), pending, browser, firefox, network)
		errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_SIGN_IN_LINK_INVALID)
		before := len(w.mailsTo("olga@example.org"))
		w.askFrom(network, "olga@example.org")
		if got := len(w.mailsTo("olga@example.org")); got != before {
			t.Errorf("the old address got %d mails more", got-before)
		}
	})
	if got := w.mailsTo("olga@example.org"); got[len(got)-1] != "The address of your account has changed" {
		t.Errorf("the old address was told: %q", got)
	}
	again, _ := w.session("olga@mairie.example")
	if got := access.PrincipalFrom(again).Member; got != member {
		t.Errorf("the new address signs %s in, want %s", got, member)
	}
}

func TestAnAddressThatSomebodyHas(t *testing.T) {
	w := newTown(t)
	ctx := w.operator("olga@example.org")
	w.operator("oscar@example.org")
	w.askEmail(ctx, "oscar@example.org")
	w.settled()
	w.askEmail(ctx, "nobody@example.org")
	if got := w.mailsTo("oscar@example.org"); len(got) != 1 || got[0] != "Your address already has an account" {
		t.Errorf("who has the address got %q", got)
	}
	for _, m := range w.mails.Mails() {
		if m.To == "oscar@example.org" && (tokenIn.MatchString(m.Text) || strings.Contains(m.Text, "olga")) {
			t.Errorf("the mail has a link, or names who asked:\n%s", m.Text)
		}
	}
	// Somebody joins with the address before the link is opened.
	link := w.lastToken("nobody@example.org")
	w.operator("nobody@example.org")
	_, err := w.RedeemEmailChange(ctx, link, network)
	errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_SIGN_IN_LINK_INVALID)
	if email, _, _ := w.CallerAddress(ctx); email != "olga@example.org" {
		t.Errorf("the address is %s", email)
	}
	errstest.Want(t, w.RequestEmailChange(ctx, "OLGA@example.org", network), codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "email")
}

func TestALinkToANewAddressEnds(t *testing.T) {
	for name, end := range map[string]func(w *town, ctx context.Context, id uuid.UUID){
		"after 15 minutes":                  func(w *town, _ context.Context, _ uuid.UUID) { w.clock.forward(15 * time.Minute) },
		"when another one is asked for":     func(w *town, ctx context.Context, _ uuid.UUID) { w.askEmail(ctx, "olga@other.example") },
		"when the member signs out":         func(w *town, ctx context.Context, id uuid.UUID) { w.endSessions(id) },
		"and its address is forgotten then": func(w *town, _ context.Context, _ uuid.UUID) { w.clock.forward(8 * 24 * time.Hour); w.forget() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newTown(t)
			ctx := w.operator("olga@example.org")
			id := uuid.MustParse(strings.TrimPrefix(access.PrincipalFrom(ctx).Member, "members/"))
			w.askEmail(ctx, "olga@mairie.example")
			link := w.lastToken("olga@mairie.example")
			end(w, ctx, id)
			later, _ := w.session("olga@example.org")
			if name != "when the member signs out" && name != "and its address is forgotten then" {
				later = ctx
			}
			_, err := w.RedeemEmailChange(later, link, network)
			errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_SIGN_IN_LINK_INVALID)
			var kept int
			if err := w.pool.QueryRow(t.Context(), "SELECT count(*) FROM access.email_changes WHERE email = 'olga@mairie.example'").Scan(&kept); err != nil {
				t.Fatal(err)
			}
			if forgotten := strings.Contains(name, "forgotten"); forgotten != (kept == 0) {
				t.Errorf("%d rows with the address are left", kept)
			}
		})
	}
}

func (w *town) endSessions(member uuid.UUID) {
	w.t.Helper()
	if err := w.EndSessions(w.t.Context(), member, ""); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) forget() {
	w.t.Helper()
	if err := w.Forget(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func TestChangesOfAddressAreLimited(t *testing.T) {
	w := newTown(t)
	ctx := w.operator("olga@example.org")
	for i := range 4 {
		w.askEmail(ctx, "olga"+string(rune('a'+i))+"@mairie.example")
	}
	errstest.Want(t, w.RequestEmailChange(ctx, "olga@mairie.example", network), codes.ResourceExhausted, errorsv1.ErrorReason_TOO_MANY_LINKS)
	if got := w.mailsTo("olga@example.org"); len(got) != 4 {
		t.Errorf("the present address got %d mails, want 4", len(got))
	}
	// The limit of an address is that of its sign-in links, whoever asks, and says nothing.
	for range 4 {
		w.askFrom(network, "paul@example.org")
	}
	paul := w.operator("petra@example.org")
	w.askEmail(paul, "paul@example.org")
	if got := w.mailsTo("paul@example.org"); len(got) != 0 {
		t.Errorf("an address beyond its limit got %q", got)
	}
}

// A link that a job makes while its member's address changes is not sent to the old one.
func TestALinkIsNotMailedToAnAddressThatChanges(t *testing.T) {
	w := newTown(t)
	w.operator("olga@example.org")
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	// The change holds the member's row, and is about to commit.
	set, err := tx.Exec(t.Context(), "UPDATE access.members SET email = 'olga@mairie.example', email_hash = sha256('olga@mairie.example')")
	if err != nil || set.RowsAffected() != 1 {
		t.Fatalf("%d members, %v", set.RowsAffected(), err)
	}
	w.askFrom(network, "olga@example.org")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var waiting int
		if err := w.pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		if waiting > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the job does not wait for the change")
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.settled()
	var links int
	if err := w.pool.QueryRow(t.Context(), "SELECT count(*) FROM access.sign_in_links WHERE used_at IS NULL").Scan(&links); err != nil || links != 0 {
		t.Errorf("%d links were made, %v", links, err)
	}
}
