package app_test

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
)

// change updates fields of a collective by its owner.
func change(t *testing.T, conn grpc.ClientConnInterface, key string, c *collectivesv1.Collective, fields ...string) *collectivesv1.Collective {
	t.Helper()
	changed, err := collectivesv1.NewCollectivesServiceClient(conn).UpdateCollective(apptest.WithKey(t.Context(), key),
		&collectivesv1.UpdateCollectiveRequest{Collective: c, UpdateMask: &fieldmaskpb.FieldMask{Paths: fields}})
	if err != nil {
		t.Fatalf("change %s: %v", c.GetName(), err)
	}
	return changed
}

// bankAccounts are two that a collective may have.
var bankAccounts = []*collectivesv1.BankAccount{
	{Holder: "Vallon contre caméras", Iban: "fr76 3000 6000 0112 3456 7890 189", Bic: "agrifrpp"},
	{Holder: "Vallon contre caméras", Iban: "DE89 3704 0044 0532 0130 00"},
}

// besidesKeys are the notices but those of the keys that a test makes, which are told as well.
func besidesKeys(resp *noticesv1.ListNoticesResponse) []*noticesv1.Notice {
	return slices.DeleteFunc(resp.GetNotices(), func(n *noticesv1.Notice) bool { return n.GetKind() == "key_created" })
}

func metrics(t *testing.T, e *apptest.Env) string {
	t.Helper()
	resp, err := http.Get("http://" + e.App.AdminAddr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("metrics: %d, %v", resp.StatusCode, err)
	}
	return string(text)
}

// log keeps what the program wrote.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestNoticesAreMailed(t *testing.T) {
	box, written := mailtest.Start(t), &log{}
	e := apptest.Start(t, apptest.Config{SMTPURL: box.URL(), LogTo: written})
	tell := func(collective, owner string, account int) {
		t.Helper()
		change(t, e.Conn, owner, &collectivesv1.Collective{Name: collective, BankAccount: bankAccounts[account]}, "bank_account")
	}
	_, owner := e.Campaign("vallon")
	tell("collectives/vallon", owner, 0)
	change(t, e.Conn, owner, &collectivesv1.Collective{
		Name: "collectives/vallon", AlertEmails: []string{"une@example.org", "deux@example.org"},
	}, "alert_emails")
	_, english := e.Campaign("village")
	change(t, e.Conn, english, &collectivesv1.Collective{
		Name: "collectives/village", AlertEmails: []string{"three@example.org"}, Language: "en",
	}, "alert_emails", "language")

	e.Eventually("the readers are told that they are", func() bool { return len(box.Mails()) == 3 })
	t.Run("once to each reader, in the collective's language", func(t *testing.T) {
		for range 2 {
			tell("collectives/vallon", owner, 1)
			tell("collectives/village", english, 1)
		}
		e.Eventually("three mails more", func() bool { return len(box.Mails()) >= 6 })
		got := map[string]string{}
		ids := map[string]bool{}
		for _, m := range box.Mails()[3:] {
			got[m.To] = m.Subject()
			ids[m.Header.Get("Message-Id")] = true
			if !strings.Contains(m.Text, "/notices/") || strings.Contains(m.Text, "DE89370400440532013000") {
				t.Errorf("to %s: %q", m.To, m.Text)
			}
		}
		want := map[string]string{
			"une@example.org":   "Vallon contre caméras\u00a0: les coordonnées bancaires du collectif ont changé",
			"deux@example.org":  "Vallon contre caméras\u00a0: les coordonnées bancaires du collectif ont changé",
			"three@example.org": "Vallon contre caméras: the collective’s bank account was changed",
		}
		if diff := cmp.Diff(want, got); diff != "" || len(ids) != 3 {
			t.Errorf("%v (-want +got)\n%s", ids, diff)
		}
	})
	t.Run("later, when the server is away", func(t *testing.T) {
		box.Stop()
		tell("collectives/village", english, 0)
		e.Eventually("a try failed", func() bool {
			return strings.Contains(metrics(t, e), `cagnotte_mail_messages_total{outcome="failed"} 1`)
		})
		box.Resume()
		e.Eventually("the mail came", func() bool { return len(box.Mails()) == 7 })
	})
	t.Run("given up, visibly, where there is no such address, and for no other reader", func(t *testing.T) {
		box.Answer("RCPT TO:<une@", "550 5.1.1 <une@example.org> does not exist")
		tell("collectives/vallon", owner, 0)
		e.Eventually("the other mail came", func() bool { return len(box.Mails()) == 8 })
		e.Eventually("one is given up", func() bool {
			return strings.Contains(metrics(t, e), `cagnotte_mail_messages_total{outcome="given_up"} 1`)
		})
	})
	t.Run("no address and no text is in the log", func(t *testing.T) {
		for _, secret := range []string{"une@", "deux@", "three@", "coordonnées", "FR76"} {
			if strings.Contains(written.String(), secret) {
				t.Errorf("the log holds %q", secret)
			}
		}
		if strings.Contains(written.String(), "SMTP_URL is not set") {
			t.Error("the log says that there is no server")
		}
	})
	t.Run("all are told once, whatever became of the mail", func(t *testing.T) {
		if n := len(box.Mails()); n != 8 {
			t.Errorf("%d mails", n)
		}
	})
}

func TestNoticesAreSeenTo(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		slug := "vallon-" + strings.ToLower(strings.TrimPrefix(t.Name(), "TestNoticesAreSeenTo/"))
		collective := "collectives/" + slug
		_, owner := e.Campaign(slug)
		client := noticesv1.NewNoticesServiceClient(conn)
		for _, account := range bankAccounts {
			change(t, conn, owner, &collectivesv1.Collective{Name: collective, BankAccount: account}, "bank_account")
		}
		key := func(role accessv1.Role) string { return e.Key(collective, role) }
		treasurer, auditor, editor := key(accessv1.Role_ROLE_TREASURER), key(accessv1.Role_ROLE_AUDITOR), key(accessv1.Role_ROLE_EDITOR)
		list := func(key, parent string, open bool) ([]*noticesv1.Notice, error) {
			resp, err := client.ListNotices(apptest.WithKey(t.Context(), key), &noticesv1.ListNoticesRequest{
				Parent: parent, Unacknowledged: open, IncludeCollectives: parent == "instance",
			})
			return besidesKeys(resp), err
		}
		for _, reader := range []string{owner, treasurer, auditor, e.OperatorKey} {
			if got, err := list(reader, collective, true); err != nil || len(got) != 2 || got[0].GetSubject() != collective {
				t.Fatalf("listed %v, %v", got, err)
			}
		}
		for _, refused := range []struct{ key, parent string }{{editor, collective}, {owner, "instance"}} {
			_, err := list(refused.key, refused.parent, false)
			wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		}
		all, err := list(e.OperatorKey, "instance", true)
		if err != nil || len(all) < 2 {
			t.Errorf("all: %v, %v", all, err)
		}

		notice := all[0].GetName()
		get := func(key, name string) (*noticesv1.Notice, error) {
			return client.GetNotice(apptest.WithKey(t.Context(), key), &noticesv1.GetNoticeRequest{Name: name})
		}
		for _, reader := range []string{owner, treasurer, auditor, e.OperatorKey} {
			if got, err := get(reader, notice); err != nil || got.GetName() != notice || got.GetSubject() != all[0].GetSubject() {
				t.Errorf("got %v, %v", got, err)
			}
		}
		_, id, _ := strings.Cut(notice, "/notices/")
		for _, refused := range []struct{ key, name string }{
			{editor, notice},
			{owner, "instance/notices/" + id},
			{e.OperatorKey, "instance/notices/" + id},
			{owner, collective + "/notices/" + uuid.NewString()},
		} {
			_, err := get(refused.key, refused.name)
			wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		}
		_, err = client.AcknowledgeNotice(apptest.WithKey(t.Context(), auditor), &noticesv1.AcknowledgeNoticeRequest{Name: notice})
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		first, err := client.AcknowledgeNotice(apptest.WithKey(t.Context(), treasurer), &noticesv1.AcknowledgeNoticeRequest{Name: notice})
		if err != nil || first.GetAcknowledgeTime() == nil || !strings.HasPrefix(first.GetAcknowledgedBy(), collective+"/apiKeys/") {
			t.Fatalf("%v, %v", first, err)
		}
		again, err := client.AcknowledgeNotice(apptest.WithKey(t.Context(), owner), &noticesv1.AcknowledgeNoticeRequest{Name: notice})
		if err != nil || !proto.Equal(first, again) {
			t.Errorf("a second time: %v, %v", again, err)
		}
		if got, err := list(owner, collective, true); err != nil || len(got) != 1 {
			t.Errorf("left: %v, %v", got, err)
		}
	})
	if text := metrics(t, e); !strings.Contains(text, `cagnotte_notices_open{kind="bank_account_changed"} 2`) {
		t.Error("the metrics do not count what is open")
	}
}
