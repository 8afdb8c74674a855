package app_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
)

// newKey makes a key of a collective by another key.
func newKey(t *testing.T, conn grpc.ClientConnInterface, by, collective, label string, role accessv1.Role) *accessv1.ApiKey {
	t.Helper()
	k, err := accessv1.NewAccessServiceClient(conn).CreateApiKey(apptest.WithKey(t.Context(), by), &accessv1.CreateApiKeyRequest{
		Parent: collective, ApiKey: &accessv1.ApiKey{DisplayName: label, Role: role},
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// What somebody can do who has one owner's key, and no other.
func TestOneOwnersKeyIsOneMember(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		k := newDesk(t, e, "vallon-"+strings.ToLower(strings.TrimPrefix(t.Name(), "TestOneOwnersKeyIsOneMember/")))
		k.setApproval(t, 10_00)
		refunds, keys := refundsv1.NewRefundsServiceClient(conn), accessv1.NewAccessServiceClient(conn)
		as := func(key string) context.Context { return apptest.WithKey(t.Context(), key) }
		approve := func(key string, r *refundsv1.Refund) error {
			_, err := refunds.ApproveRefund(as(key), &refundsv1.ApproveRefundRequest{Name: r.GetName()})
			return err
		}
		owner, treasurer := accessv1.Role_ROLE_OWNER, accessv1.Role_ROLE_TREASURER

		before := newKey(t, conn, k.owner, k.collective, "Made before", owner).GetSecret()
		d, charge := k.paid(t, 50_00)
		r := k.create(t, k.owner, ask(d, 20_00))
		made := newKey(t, conn, k.owner, k.collective, "Made after", owner)
		through := newKey(t, conn, made.GetSecret(), k.collective, "Made by that", treasurer)
		t.Run("no key that it made, before or after, itself or through another, approves its refund", func(t *testing.T) {
			for _, key := range []string{k.owner, before, made.GetSecret(), through.GetSecret()} {
				wantError(t, approve(key, r), codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
				_, err := refunds.RejectRefund(as(key), &refundsv1.RejectRefundRequest{Name: r.GetName()})
				wantError(t, err, codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
			}
		})
		t.Run("nor does one that asked by a key of its own, and approves by the first", func(t *testing.T) {
			other := k.create(t, through.GetSecret(), ask(d, 15_00))
			wantError(t, approve(k.owner, other), codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
			// One member calls off what it asked for, by any of its keys.
			off, err := refunds.CancelRefund(as(before), &refundsv1.CancelRefundRequest{Name: other.GetName()})
			if err != nil || off.GetState() != refundsv1.RefundState_REFUND_STATE_CANCELED {
				t.Errorf("%v, %v", off, err)
			}
			_, err = refunds.CancelRefund(as(k.second), &refundsv1.CancelRefundRequest{Name: r.GetName()})
			wantError(t, err, codes.FailedPrecondition, "ANOTHER_MEMBERS_REFUND", "")
		})
		t.Run("a key that the operator makes after the request is too young, and may refuse", func(t *testing.T) {
			e.Clock.Advance(time.Minute)
			young := e.Key(k.collective, treasurer)
			wantError(t, approve(young, r), codes.FailedPrecondition, "KEY_TOO_YOUNG", "")
			other := k.create(t, k.owner, ask(d, 15_00))
			if _, err := refunds.RejectRefund(as(young), &refundsv1.RejectRefundRequest{Name: other.GetName()}); err != nil {
				t.Error(err)
			}
		})
		t.Run("that the key which asked was revoked makes its others no second member", func(t *testing.T) {
			name := r.GetRequester()
			if _, err := keys.RevokeApiKey(as(through.GetSecret()), &accessv1.RevokeApiKeyRequest{Name: name}); err == nil {
				t.Error("a treasurer revokes keys")
			}
			if _, err := keys.RevokeApiKey(as(made.GetSecret()), &accessv1.RevokeApiKeyRequest{Name: name}); err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{before, made.GetSecret(), through.GetSecret()} {
				wantError(t, approve(key, r), codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
			}
			wantError(t, approve(k.owner, r), codes.Unauthenticated, "INVALID_KEY", "")
			// In place of the revoked key its holder makes another: that is the same member.
			rotated := newKey(t, conn, made.GetSecret(), k.collective, "In its place", owner)
			wantError(t, approve(rotated.GetSecret(), r), codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
		})
		t.Run("an id of a revoked key is not taken again", func(t *testing.T) {
			_, id, _ := strings.Cut(r.GetRequester(), "/apiKeys/")
			_, err := keys.CreateApiKey(as(made.GetSecret()), &accessv1.CreateApiKeyRequest{
				Parent: k.collective, ApiKeyId: id, ApiKey: &accessv1.ApiKey{DisplayName: "Again", Role: owner},
			})
			wantError(t, err, codes.AlreadyExists, "API_KEY_EXISTS", "")
		})
		if n, _ := k.atStripe(charge); n != 0 {
			t.Errorf("%d refunds at Stripe before a second member approved", n)
		}
		t.Run("a second member's older key approves, twice sent once", func(t *testing.T) {
			for range 2 {
				if err := approve(k.second, r); err != nil {
					t.Fatal(err)
				}
			}
			k.becomes(t, r, succeeded)
			if n, minor := k.atStripe(charge); n != 1 || minor != 20_00 {
				t.Errorf("%d refunds of %d at Stripe", n, minor)
			}
		})
	})
}

// What a thief would change is told to all others: by whom, and from what to what.
func TestChangesAreToldWithWhoAndFromWhatToWhat(t *testing.T) {
	box := mailtest.Start(t)
	e := apptest.Start(t, apptest.Config{SMTPURL: box.URL(), AlertEmails: []string{"operator@example.org"}})
	const collective = "collectives/vallon"
	_, owner := e.Campaign("vallon")
	set := func(c *collectivesv1.Collective, field string) {
		t.Helper()
		c.Name = collective
		for range 2 {
			_, err := collectivesv1.NewCollectivesServiceClient(e.Conn).UpdateCollective(apptest.WithKey(t.Context(), owner),
				&collectivesv1.UpdateCollectiveRequest{Collective: c, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{field}}})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	set(&collectivesv1.Collective{Language: "en"}, "language")
	set(&collectivesv1.Collective{AlertEmails: []string{"marie@vallon.example", "karim@vallon.example"}}, "alert_emails")
	set(&collectivesv1.Collective{RefundApproval: &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 50_00}}, "refund_approval")
	set(&collectivesv1.Collective{RefundApproval: &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 9000_00}}, "refund_approval")
	set(&collectivesv1.Collective{BankAccount: bankAccounts[0]}, "bank_account")
	set(&collectivesv1.Collective{BankAccount: bankAccounts[1]}, "bank_account")
	set(&collectivesv1.Collective{AlertEmails: []string{"thief@example.net"}}, "alert_emails")
	set(&collectivesv1.Collective{}, "alert_emails")
	made := newKey(t, e.Conn, owner, collective, "A spare one", accessv1.Role_ROLE_TREASURER)
	for range 2 {
		if _, err := accessv1.NewAccessServiceClient(e.Conn).RevokeApiKey(apptest.WithKey(t.Context(), owner), &accessv1.RevokeApiKeyRequest{Name: made.GetName()}); err != nil {
			t.Fatal(err)
		}
	}
	requestID := uuid.NewString()
	for range 2 {
		if _, err := onboard(t, e.Conn, owner, collective, requestID); err != nil {
			t.Fatal(err)
		}
	}

	who, err := accessv1.NewAccessServiceClient(e.Conn).GetPrincipal(apptest.WithKey(t.Context(), owner), &accessv1.GetPrincipalRequest{})
	if err != nil {
		t.Fatal(err)
	}
	list := func(key, parent string) []*noticesv1.Notice {
		t.Helper()
		resp, err := noticesv1.NewNoticesServiceClient(e.Conn).ListNotices(apptest.WithKey(t.Context(), key), &noticesv1.ListNoticesRequest{Parent: parent})
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(resp.GetNotices(), func(n *noticesv1.Notice) bool {
			// The keys that the operator made for the test, and the first account, of which the onboarding tells.
			return n.GetActor() == "" || strings.HasPrefix(n.GetActor(), "instance/apiKeys/")
		})
	}
	fromTo := func(notices []*noticesv1.Notice) (all []string) {
		for _, n := range notices {
			if n.GetActor() != who.GetApiKey() || n.GetActorDisplayName() != who.GetDisplayName() {
				t.Errorf("%s was done by %q %q", n.GetKind(), n.GetActor(), n.GetActorDisplayName())
			}
			before, after := n.GetBefore(), n.GetAfter()
			if n.GetKind() == "stripe_account_changed" {
				after = after[:len("acct_")]
			}
			all = append(all, n.GetKind()+": "+before+" -> "+after)
		}
		return all
	}
	want := []string{
		"onboarding_started:  -> ",
		"stripe_account_changed:  -> acct_",
		"key_revoked: treasurer A spare one -> ",
		"key_created:  -> treasurer A spare one",
		"alert_emails_changed: t…@example.net -> ",
		"alert_emails_changed: m…@vallon.example, k…@vallon.example -> t…@example.net",
		"bank_account_changed: Vallon contre caméras, FR76…0189, AGRIFRPP -> Vallon contre caméras, DE89…3000",
		"bank_account_changed:  -> Vallon contre caméras, FR76…0189, AGRIFRPP",
		"refund_approval_changed: 50.00 EUR -> 9000.00 EUR",
		"refund_approval_changed:  -> 50.00 EUR",
		"alert_emails_changed:  -> m…@vallon.example, k…@vallon.example",
	}
	if diff := cmp.Diff(want, fromTo(list(owner, collective))); diff != "" {
		t.Errorf("told (-want +got)\n%s", diff)
	}
	treasurer, editor := e.Key(collective, accessv1.Role_ROLE_TREASURER), e.Key(collective, accessv1.Role_ROLE_EDITOR)

	t.Run("members' addresses, shortened too, are for owners", func(t *testing.T) {
		for _, n := range list(treasurer, collective) {
			if n.GetKind() == "alert_emails_changed" && n.GetBefore()+n.GetAfter() != "" {
				t.Errorf("a treasurer reads %q, %q", n.GetBefore(), n.GetAfter())
			}
		}
		_, err := noticesv1.NewNoticesServiceClient(e.Conn).ListNotices(apptest.WithKey(t.Context(), editor), &noticesv1.ListNoticesRequest{Parent: collective})
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
	})
	t.Run("the instance's keys are for the operator", func(t *testing.T) {
		for _, key := range []string{owner, treasurer} {
			resp, err := noticesv1.NewNoticesServiceClient(e.Conn).ListNotices(apptest.WithKey(t.Context(), key), &noticesv1.ListNoticesRequest{Parent: collective})
			if err != nil || strings.Contains(resp.String(), "\"instance/apiKeys/") {
				t.Errorf("%v, %v", resp, err)
			}
		}
	})
	t.Run("old and new addresses and the operator are mailed, each once", func(t *testing.T) {
		const en = "Vallon contre caméras: "
		expect := map[string][]string{
			// Until their addresses were replaced, and of that.
			"marie@vallon.example": {
				"the alert addresses were changed", "the refund limit was changed", "the refund limit was changed",
				"the collective’s bank account was changed", "the collective’s bank account was changed", "the alert addresses were changed",
			},
			"thief@example.net": {"the alert addresses were changed", "the alert addresses were changed"},
			// The two keys that the operator made since are told to it as well.
			"operator@example.org": {
				"the alert addresses were changed", "the refund limit was changed", "the refund limit was changed",
				"the collective’s bank account was changed", "the collective’s bank account was changed",
				"the alert addresses were changed", "the alert addresses were changed", "a new access key was created", "an access key was revoked",
				"donations now go to another Stripe account", "somebody opened the settings of the Stripe account",
				"a new access key was created", "a new access key was created",
			},
		}
		subjects := func() map[string][]string {
			got := map[string][]string{}
			for _, m := range box.Mails() {
				got[m.To] = append(got[m.To], strings.TrimPrefix(m.Subject(), en))
			}
			delete(got, "karim@vallon.example")
			for _, all := range got {
				slices.Sort(all)
			}
			return got
		}
		for _, all := range expect {
			slices.Sort(all)
		}
		e.Eventually("all mails came", func() bool { return cmp.Equal(expect, subjects()) || len(box.Mails()) > 27 })
		if diff := cmp.Diff(expect, subjects()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		for _, m := range box.Mails() {
			for _, secret := range []string{"FR7630006000011234567890189", "DE89370400440532013000", "marie@", "karim@", "thief@", owner, made.GetSecret()} {
				if strings.Contains(m.Text, secret) {
					t.Errorf("the mail to %s holds %q:\n%s", m.To, secret, m.Text)
				}
			}
			switch subject := strings.TrimPrefix(m.Subject(), en); {
			case subject == "the refund limit was changed" && strings.Contains(m.Text, "9,000"):
				for _, line := range []string{"Changed by: the access key “ROLE_OWNER”\n", "Before: €50.00\n", "Now: €9,000.00\n"} {
					if !strings.Contains(m.Text, line) {
						t.Errorf("%q is not in\n%s", line, m.Text)
					}
				}
			case subject == "an access key was revoked":
				if !strings.Contains(m.Text, "Before: “A spare one”, treasurer\n") {
					t.Errorf("%s", m.Text)
				}
			}
		}
	})
	t.Run("who did it does not put the notice away while another can", func(t *testing.T) {
		client := noticesv1.NewNoticesServiceClient(e.Conn)
		notice := list(owner, collective)[0]
		_, err := client.AcknowledgeNotice(apptest.WithKey(t.Context(), owner), &noticesv1.AcknowledgeNoticeRequest{Name: notice.GetName()})
		wantError(t, err, codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
		spare := newKey(t, e.Conn, owner, collective, "Another spare one", accessv1.Role_ROLE_TREASURER)
		_, err = client.AcknowledgeNotice(apptest.WithKey(t.Context(), spare.GetSecret()), &noticesv1.AcknowledgeNoticeRequest{Name: notice.GetName()})
		wantError(t, err, codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
		seen, err := client.AcknowledgeNotice(apptest.WithKey(t.Context(), treasurer), &noticesv1.AcknowledgeNoticeRequest{Name: notice.GetName()})
		if err != nil || seen.GetAcknowledgeTime() == nil {
			t.Errorf("%v, %v", seen, err)
		}
	})
}
