package collectives

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// applicants is a service that can invite, and what it invited.
type applicants struct {
	*Service
	now     time.Time
	invited []Invitation
	server  *mailtest.Server
}

func newApplicants(t *testing.T, mode Mode) *applicants {
	t.Helper()
	a := &applicants{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), server: mailtest.Start(t)}
	pool := pgtest.New(t)
	sender, err := mail.New(mail.Config{URL: a.server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Schema: postgres.RiverSchema})
	if err != nil {
		t.Fatal(err)
	}
	a.Service = New(Config{
		Pool: pool, Jobs: jobs, Mail: sender, SecretKey: []byte("secret"), Now: func() time.Time { return a.now },
		InviteTx: func(_ context.Context, _ pgx.Tx, i Invitation) error {
			a.invited = append(a.invited, i)
			return nil
		},
	})
	if _, err := a.SetOpening(t.Context(), mode); err != nil {
		t.Fatal(err)
	}
	return a
}

var home = netip.MustParsePrefix("192.0.2.0/24")

func wish(slug string) Application {
	return Application{DisplayName: "Vallon contre caméras", Slug: slug, Purpose: "Un procès.", Applicant: "Marie", Email: slug + "@example.org"}
}

func wantReason(t *testing.T, err error, want errorsv1.ErrorReason) {
	t.Helper()
	if err == nil || errs.As(err).Reason != want {
		t.Errorf("err = %v, want %v", err, want)
	}
}

func TestAnApplicationOnRequest(t *testing.T) {
	s := newApplicants(t, OnRequest)
	request := uuid.New()
	var first Application
	for range 2 {
		got, err := s.Apply(t.Context(), request, wish("vallon"), home)
		if err != nil || got.State != ApplicationWaiting || first.ID != uuid.Nil && got.ID != first.ID {
			t.Fatalf("%+v, %v", got, err)
		}
		first = got
	}
	if n, err := s.WaitingApplications(t.Context()); err != nil || n != 1 {
		t.Errorf("%d wait, %v", n, err)
	}
	if n, err := s.notices.OpenCount(t.Context(), ""); err != nil || n != 1 {
		t.Errorf("the operator was told %d times, %v", n, err)
	}
	_, err := s.Apply(t.Context(), request, wish("other"), home)
	wantReason(t, err, errorsv1.ErrorReason_REQUEST_ID_REUSED)

	t.Run("is approved once, under another id when the wished one is taken", func(t *testing.T) {
		if _, err := s.Create(t.Context(), Collective{ID: "vallon", DisplayName: "Vallon contre caméras", Settings: Settings{OwnAccountRequired: true}}); err != nil {
			t.Fatal(err)
		}
		_, err := s.Approve(t.Context(), first.ID, "")
		wantReason(t, err, errorsv1.ErrorReason_COLLECTIVE_EXISTS)
		for range 2 {
			got, err := s.Approve(t.Context(), first.ID, "vallon-contre-cameras")
			if err != nil || got.State != ApplicationApproved || got.Collective != "vallon-contre-cameras" {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		if len(s.invited) != 1 || s.invited[0] != (Invitation{"vallon-contre-cameras", "vallon@example.org", "fr"}) {
			t.Errorf("invited %v", s.invited)
		}
		c, err := s.Get(t.Context(), "vallon-contre-cameras")
		if err != nil || !c.OwnAccountRequired {
			t.Errorf("%+v, %v", c, err)
		}
		_, err = s.Reject(t.Context(), first.ID, "Non.")
		wantReason(t, err, errorsv1.ErrorReason_APPLICATION_DECIDED)
	})
	t.Run("is rejected once, with a mail that says why", func(t *testing.T) {
		second, err := s.Apply(t.Context(), uuid.New(), wish("festival"), home)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got, err := s.Reject(t.Context(), second.ID, " Nous ne connaissons pas ce festival. ")
			if err != nil || got.State != ApplicationRejected || got.RejectReason != "Nous ne connaissons pas ce festival." {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		_, err = s.Approve(t.Context(), second.ID, "")
		wantReason(t, err, errorsv1.ErrorReason_APPLICATION_DECIDED)
		var jobs int
		if err := s.pool.QueryRow(t.Context(), `SELECT count(*) FROM river.river_job WHERE kind = 'collective_application_rejected'`).Scan(&jobs); err != nil || jobs != 1 {
			t.Errorf("%d jobs, %v", jobs, err)
		}
		worker := &rejectionWorker{service: s.Service}
		if err := worker.Work(t.Context(), &river.Job[rejectionArgs]{JobRow: &rivertype.JobRow{Attempt: 1, MaxAttempts: 2}, Args: rejectionArgs{second.ID}}); err != nil {
			t.Fatal(err)
		}
		mails := s.server.Mails()
		if len(mails) != 1 || mails[0].To != "festival@example.org" || !strings.Contains(mails[0].Text, "Nous ne connaissons pas ce festival.") || strings.Contains(mails[0].Text, "{") {
			t.Errorf("%+v", mails)
		}
	})
}

func TestAnApplicationWhereAllMayOpenOne(t *testing.T) {
	s := newApplicants(t, OpenToAll)
	request := uuid.New()
	for range 2 {
		got, err := s.Apply(t.Context(), request, wish("vallon"), home)
		if err != nil || got.State != ApplicationApproved || got.Collective != "vallon" || got.Decider != "" {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if len(s.invited) != 1 {
		t.Errorf("invited %v", s.invited)
	}
	_, err := s.Apply(t.Context(), uuid.New(), wish("vallon"), home)
	wantReason(t, err, errorsv1.ErrorReason_COLLECTIVE_EXISTS)
}

// Ids of collectives that are not published are not to be found out by trying.
func TestTakenIdsAreToldWithinTheLimit(t *testing.T) {
	s := newApplicants(t, OpenToAll)
	if _, err := s.Create(t.Context(), Collective{ID: "vallon", DisplayName: "Vallon"}); err != nil {
		t.Fatal(err)
	}
	probe := func(i int) error {
		a := wish("vallon")
		a.Email = fmt.Sprintf("probe%d@example.org", i)
		_, err := s.Apply(t.Context(), uuid.New(), a, home)
		return err
	}
	for i := range networkRate.Burst {
		wantReason(t, probe(i), errorsv1.ErrorReason_COLLECTIVE_EXISTS)
	}
	for i := range 3 {
		wantReason(t, probe(100+i), errorsv1.ErrorReason_TOO_MANY_APPLICATIONS)
	}
	// Neither does the answer for an id that is free differ then.
	a := wish("libre")
	_, err := s.Apply(t.Context(), uuid.New(), a, home)
	wantReason(t, err, errorsv1.ErrorReason_TOO_MANY_APPLICATIONS)
	if _, err := s.Get(t.Context(), "libre"); err == nil {
		t.Error("it was created")
	}
}

func TestRejectedApplicantsAreForgotten(t *testing.T) {
	s := newApplicants(t, OnRequest)
	request := uuid.New()
	rejected, err := s.Apply(t.Context(), request, wish("vallon"), home)
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := s.Apply(t.Context(), uuid.New(), wish("festival"), home)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reject(t.Context(), rejected.ID, "Non."); err != nil {
		t.Fatal(err)
	}
	see := func(id uuid.UUID) Application {
		t.Helper()
		if err := s.ForgetApplicants(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, err := s.GetApplication(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	s.now = s.now.Add(applicantsKept - time.Minute)
	if got := see(rejected.ID); got.Email == "" || got.Applicant == "" {
		t.Errorf("too early: %+v", got)
	}
	s.now = s.now.Add(time.Hour)
	if got := see(rejected.ID); got.Email != "" || got.Applicant != "" || len(got.fingerprint) != 0 || got.RejectReason != "Non." || got.State != ApplicationRejected {
		t.Errorf("it is %+v", got)
	}
	if got := see(waiting.ID); got.Email == "" {
		t.Errorf("one that waits: %+v", got)
	}
	// A mail that could not be sent for so long has nobody to go to.
	worker := &rejectionWorker{service: s.Service}
	if err := worker.Work(t.Context(), &river.Job[rejectionArgs]{JobRow: &rivertype.JobRow{Attempt: 1, MaxAttempts: 2}, Args: rejectionArgs{rejected.ID}}); err != nil {
		t.Error(err)
	}
	if mails := s.server.Mails(); len(mails) != 0 {
		t.Errorf("%+v", mails)
	}
	_, err = s.Apply(t.Context(), request, wish("vallon"), home)
	wantReason(t, err, errorsv1.ErrorReason_REQUEST_ID_REUSED)
}

// The rows of two days cannot be connected.
func TestTheKeysOfTheLimitsChangeEachDay(t *testing.T) {
	s := newApplicants(t, OnRequest)
	keys := func() map[string]bool {
		t.Helper()
		if _, err := s.Apply(t.Context(), uuid.New(), wish("vallon"), home); err != nil {
			t.Fatal(err)
		}
		rows, err := s.pool.Query(t.Context(), `SELECT l.key FROM collectives.application_limits AS l WHERE l.tat > $1`, s.now)
		if err != nil {
			t.Fatal(err)
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, key := range all {
			found[string(key)] = true
		}
		return found
	}
	first := keys()
	s.now = s.now.Add(24 * time.Hour)
	for key := range keys() {
		if first[key] {
			t.Errorf("the key %x is the same on the next day", key)
		}
	}
}

func TestApplicationsAreLimited(t *testing.T) {
	s := newApplicants(t, OnRequest)
	apply := func(slug, email string, network netip.Prefix) error {
		a := wish(slug)
		a.Email = email
		_, err := s.Apply(t.Context(), uuid.New(), a, network)
		return err
	}
	for i := range addressRate.Burst {
		if err := apply("one", "marie@example.org", netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 24)); err != nil {
			t.Fatal(err)
		}
	}
	err := apply("one", "Marie@example.org", home)
	wantReason(t, err, errorsv1.ErrorReason_TOO_MANY_APPLICATIONS)
	if errs.As(err).RetryAfter == 0 {
		t.Error("it does not say how long to wait")
	}
	for i := range networkRate.Burst {
		if err := apply("two", string(rune('a'+i))+"@example.org", home); err != nil {
			t.Fatal(err)
		}
	}
	wantReason(t, apply("two", "z@example.org", home), errorsv1.ErrorReason_TOO_MANY_APPLICATIONS)
	if n, err := s.WaitingApplications(t.Context()); err != nil || n != int64(addressRate.Burst+networkRate.Burst) {
		t.Errorf("%d applications, %v", n, err)
	}
	s.now = s.now.Add(networkRate.Interval)
	if err := apply("two", "z@example.org", home); err != nil {
		t.Error(err)
	}
}

func TestWhatAnApplicationMustSay(t *testing.T) {
	s := newApplicants(t, OnRequest)
	for field, spoil := range map[string]func(*Application){
		"application.display_name":  func(a *Application) { a.DisplayName = "a\nb" },
		"application.collective_id": func(a *Application) { a.Slug = "A" },
		"application.purpose":       func(a *Application) { a.Purpose = " " },
		"application.applicant":     func(a *Application) { a.Applicant = "" },
		"application.email":         func(a *Application) { a.Email = "Marie <marie@example.org>" },
		"application.language":      func(a *Application) { a.Language = "de" },
	} {
		a := wish("vallon")
		spoil(&a)
		_, err := s.Apply(t.Context(), uuid.New(), a, home)
		var e *errs.Error
		if !errors.As(err, &e) || len(e.Fields) != 1 || e.Fields[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, text := range []string{
		"Vallon\u202eevil", "Val\u200blon", "\ufeffVallon", strings.Repeat("a", maxAppliedNameChars+1),
		"Gagnez sur https://evil.example", "Voir www.evil", "Voir evil.example/x", "Écrire à a@evil", "a\r\nBcc: b",
	} {
		for field, spoil := range map[string]func(*Application){
			"application.display_name": func(a *Application) { a.DisplayName = text },
			"application.applicant":    func(a *Application) { a.Applicant = text },
		} {
			a := wish("vallon")
			spoil(&a)
			_, err := s.Apply(t.Context(), uuid.New(), a, home)
			var e *errs.Error
			if !errors.As(err, &e) || len(e.Fields) != 1 || e.Fields[0].Field != field {
				t.Errorf("%s %q: %v", field, text, err)
			}
		}
	}
	for _, text := range []string{"S.O.S. Forêt", "Attac 75 — n° 2", "L’été, c.-à-d. août", "M. Martin & fils"} {
		a := wish("vallon")
		a.DisplayName, a.Purpose = text, "Un procès.\nEt https://vallon.example."
		if err := a.normalise(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	s.mail = nil
	_, err := s.Apply(t.Context(), uuid.New(), wish("vallon"), home)
	wantReason(t, err, errorsv1.ErrorReason_MAIL_NOT_CONFIGURED)
	if _, err := s.SetOpening(t.Context(), "nobody"); err == nil {
		t.Error("an unknown mode passes")
	}
}
