package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/gateway/console"
	"github.com/cagnotte/cagnotte/gateway/e2e"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// TestConsole has people at work in the console. Each file of specs has a program of its own, since they move its clock and
// count its money.
func TestConsole(t *testing.T) {
	for _, spec := range e2e.Specs(t, e2e.Members) {
		t.Run(spec, func(t *testing.T) { work(t, spec) })
	}
}

func work(t *testing.T, spec string) {
	site := e2e.NewSite(t)
	mailbox := mailtest.Start(t)
	program := apptest.Start(t, apptest.Config{SMTPURL: mailbox.URL(), Localhost: true})
	campaign, _ := program.Campaign("vallon-contre-cameras", site.URL)
	texts := func() []string {
		all := []string{}
		for _, m := range mailbox.Mails() {
			all = append(all, m.Text)
		}
		return all
	}
	members := map[string]string{}
	for role, value := range map[string]accessv1.Role{
		"owner": accessv1.Role_ROLE_OWNER, "editor": accessv1.Role_ROLE_EDITOR, "treasurer": accessv1.Role_ROLE_TREASURER,
		"auditor": accessv1.Role_ROLE_AUDITOR, "operator": accessv1.Role_ROLE_OPERATOR,
	} {
		members[role] = role + "@example.org"
		parent := "collectives/vallon-contre-cameras"
		if role == "operator" {
			parent = "instance"
		}
		join(t, program, texts, parent, members[role], value)
	}
	db, err := pgx.Connect(t.Context(), program.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(context.Background()) })
	run := func(statement string) func(url.Values) (any, error) {
		return func(url.Values) (any, error) {
			tag, err := db.Exec(t.Context(), statement)
			return tag.RowsAffected(), err
		}
	}
	e2e.Run(t, e2e.Members, e2e.Program{
		URL: program.URL, StripeURL: program.SimURL, Campaign: campaign, Mails: texts, Members: members, Spec: spec,
		Do: map[string]func(url.Values) (any, error){
			// Specs come from one network, and sign in more often than people do.
			"forget-attempts": run("DELETE FROM access.attempts"),
			// The collective's bank account, which statements must be about.
			"bank-account": run(`UPDATE collectives.collectives
				SET bank_holder = 'Vallon contre caméras', bank_iban = 'FR7630006000011234567890189'
				WHERE id = 'vallon-contre-cameras'`),
			// Has the collective's account take no cards, and take them again: it must have one of its own, and has not.
			"no-cards": run(`UPDATE collectives.collectives SET own_account_required = true, account_in_use = true
				WHERE id = 'vallon-contre-cameras'`),
			"cards": run(`UPDATE collectives.collectives SET own_account_required = false WHERE id = 'vallon-contre-cameras'`),
			// Moves the clock of the program and of the simulated Stripe: {"minutes": 15}.
			"advance": func(values url.Values) (any, error) {
				minutes, err := strconv.Atoi(values.Get("minutes"))
				if err == nil {
					program.Clock.Advance(time.Duration(minutes) * time.Minute)
				}
				return minutes, err
			},
			// Makes somebody a member of the collective: {"email": "…", "role": "ROLE_EDITOR"}.
			"join": func(values url.Values) (any, error) {
				role := accessv1.Role(accessv1.Role_value[values.Get("role")])
				join(t, program, texts, "collectives/vallon-contre-cameras", values.Get("email"), role)
				return nil, nil
			},
			// Ends somebody's membership: {"email": "…"}.
			"remove": func(values url.Values) (any, error) { return nil, remove(t.Context(), program, values.Get("email")) },
			// Makes a collective with something of everything: the addresses of all pages, each with a session that finds it.
			"pages": func(url.Values) (any, error) { return allPages(program.Furnish("zinzolins")) },
			// Gives up an event, and takes that back by applying it: it was applied before.
			"fail-event": run(`UPDATE webhooks.events SET state = 'failed', attempts = 20, failure_reason = 'STRIPE_UNAVAILABLE', next_attempt_at = NULL, finished_at = NULL
				WHERE (account, id) IN (SELECT account, id FROM webhooks.events WHERE state = 'applied' ORDER BY received_at DESC LIMIT 1)`),
			// Parks a movement that Stripe does not have, and removes it again.
			"park": run(`INSERT INTO webhooks.parked (account, id, reason, attempts, parked_at, next_attempt_at)
				VALUES ('', 'txn_parked', 'PAYMENT_UNREAD', 3, now(), now() + interval '1 day') ON CONFLICT DO NOTHING`),
			"unpark": run(`DELETE FROM webhooks.parked WHERE id = 'txn_parked'`),
			// Tells the operator 120 things.
			"notices": run(`INSERT INTO notices.notices (id, collective, kind, key, subject, created_at, acknowledged_by)
				SELECT gen_random_uuid(), '', 'application_received', 'test ' || n, 'instance/applications/' || gen_random_uuid(), now(), ''
				FROM generate_series(1, 120) AS n`),
			// Has somebody pay at Stripe for what is no donation: 5 €.
			"unknown-receipt": func(url.Values) (any, error) { return nil, payForPoster(t.Context(), program) },
			// Makes batches of donations, whose days are long over, and has the collective ask for discretion, and no longer.
			"batches": run(`INSERT INTO donations.batches (collective, campaign, first_day, last_day, donation_count, currency, more_than, up_to, step_counts)
				SELECT c.collective, c.id, b.first_day, b.last_day, b.donation_count, 'EUR', b.more_than, b.up_to, b.step_counts
				FROM campaigns.campaigns AS c, (VALUES
					('2026-05-01'::date, '2026-05-03'::date, 17, '{0,1500,7000}'::bigint[], '{1500,7000,0}'::bigint[], '{9,5,3}'::bigint[]),
					('2026-05-04', '2026-05-04', 6, '{}', '{}', '{}')
				) AS b (first_day, last_day, donation_count, more_than, up_to, step_counts)
				WHERE c.collective = 'vallon-contre-cameras' AND c.state = 'published'`),
			"discreet":     run("UPDATE collectives.collectives SET discreet = true WHERE id = 'vallon-contre-cameras'"),
			"not-discreet": run("UPDATE collectives.collectives SET discreet = false WHERE id = 'vallon-contre-cameras'"),
			// Has a second person approve refunds of more than 10 €.
			"refund-limit": run("UPDATE collectives.collectives SET refund_approval_minor = 1000, refund_approval_currency = 'EUR'"),
			// Has a bank dispute the newest payment, or warn of fraud about it.
			"dispute": func(url.Values) (any, error) {
				return program.Sim.Dispute(newestCharge(program), stripesim.Disputed{})
			},
			"fraud-warning": func(url.Values) (any, error) { return program.Sim.WarnOfFraud(newestCharge(program), "") },
			// Has Stripe pay out an amount: {"amount": 5000}. It arrives at the bank after some days of the clock.
			"payout": func(values url.Values) (any, error) {
				amount, err := strconv.ParseInt(values.Get("amount"), 10, 64)
				if err != nil {
					return nil, err
				}
				return program.Sim.CreatePayout("", amount, "eur")
			},
		},
	}, site)
}

// page is the address of one, its section, and a session that finds it; none for the pages before the sign-in.
type page struct {
	Path    string `json:"path"`
	Section string `json:"section"`
	Session string `json:"session"`
}

// allPages are the pages of the console, about a furnished collective.
func allPages(h *apptest.Furnished) (all []page, err error) {
	for _, p := range console.Pages() {
		path, ok := h.Address(p.Pattern)
		if !ok {
			return nil, fmt.Errorf("nothing is known for a variable of %s", p.Pattern)
		}
		if !strings.HasPrefix(p.Pattern, "GET ") {
			continue
		}
		at := page{Path: path, Section: p.Section}
		switch {
		case p.Public:
		case strings.HasPrefix(path, "/console/me"):
			at.Session = h.Second
		case strings.HasPrefix(path, "/console/instance"):
			at.Session = h.Sessions[accessv1.Role_ROLE_OPERATOR]
		default:
			at.Session = h.Sessions[accessv1.Role_ROLE_OWNER]
		}
		all = append(all, at)
	}
	return all, nil
}

// newestCharge is the charge of the newest session of Checkout that was paid.
func newestCharge(program *apptest.Env) (charge string) {
	for _, s := range program.Sim.Sessions("") {
		if s.ChargeID != "" {
			charge = s.ChargeID
		}
	}
	return charge
}

// payForPoster pays a session of Checkout that the service did not make.
func payForPoster(ctx context.Context, program *apptest.Env) error {
	form := url.Values{
		"mode": {"payment"}, "success_url": {"https://shop.example"},
		"line_items[0][quantity]":                       {"1"},
		"line_items[0][price_data][currency]":           {"eur"},
		"line_items[0][price_data][unit_amount]":        {"500"},
		"line_items[0][price_data][product_data][name]": {"A poster"},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, program.SimURL+"/v1/checkout/sessions", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+apptest.APIKey)
	req.Header.Set("Stripe-Version", stripesim.Version)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var session struct{ ID string }
	if err := json.NewDecoder(resp.Body).Decode(&session); err != nil {
		return err
	}
	return program.Sim.Pay(session.ID, stripesim.CardOK)
}

// remove ends the membership of the member with an address, as the operator may.
func remove(ctx context.Context, program *apptest.Env, email string) error {
	ctx = apptest.WithKey(ctx, program.OperatorKey)
	client := accessv1.NewMembersServiceClient(program.Conn)
	list, err := client.ListMemberships(ctx, &accessv1.ListMembershipsRequest{Parent: "collectives/vallon-contre-cameras", PageSize: 200})
	if err != nil {
		return err
	}
	for _, m := range list.GetMemberships() {
		if m.GetEmail() == email {
			_, err = client.DeleteMembership(ctx, &accessv1.DeleteMembershipRequest{Name: m.GetName()})
			return err
		}
	}
	return fmt.Errorf("%s is no member", email)
}

var invitationToken = regexp.MustCompile(`/invitation\?token=(\S+)`)

// join makes a member: invites an address and accepts the invitation.
func join(t *testing.T, program *apptest.Env, mails func() []string, parent, email string, role accessv1.Role) {
	t.Helper()
	before := len(mails())
	ctx := apptest.WithKey(t.Context(), program.OperatorKey)
	_, err := accessv1.NewMembersServiceClient(program.Conn).CreateInvitation(ctx, &accessv1.CreateInvitationRequest{
		Parent: parent, Invitation: &accessv1.Invitation{Email: email, Role: role, Language: "fr"}, RequestId: uuid.NewString(),
	})
	if err != nil {
		t.Fatalf("invite %s: %v", email, err)
	}
	token := ""
	program.Eventually(fmt.Sprintf("%s has the invitation", email), func() bool {
		for _, text := range mails()[before:] {
			if m := invitationToken.FindStringSubmatch(text); m != nil {
				token = m[1]
			}
		}
		return token != ""
	})
	_, err = accessv1.NewSignInServiceClient(program.Conn).AcceptInvitation(t.Context(), &accessv1.AcceptInvitationRequest{
		Token: token, DisplayName: "Camille (" + email + ")", Language: "fr",
	})
	if err != nil {
		t.Fatalf("accept the invitation of %s: %v", email, err)
	}
}
