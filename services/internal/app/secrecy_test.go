package app_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	payoutsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/payouts/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
)

// browse sends a form, or asks for a page when form is nil, and answers the page and where it leads.
func browse(t *testing.T, address string, form url.Values) (page, location string) {
	t.Helper()
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 400 {
		t.Fatalf("%s: %d, %v", req.URL.Path, resp.StatusCode, err)
	}
	return string(text), resp.Header.Get("Location")
}

// TestNobodyIsNamedAndNoSecretIsKept looks through the log, the metrics and every row of the database, after donors
// and payers were all over the place.
func TestNobodyIsNamedAndNoSecretIsKept(t *testing.T) {
	box, written := mailtest.Start(t), &log{}
	e := apptest.Start(t, apptest.Config{SMTPURL: box.URL(), LogTo: written})
	m := payMonthly(t, e, "monthly")
	m.wantBooked(1, 20_00)
	m.becomes("its next debit is known", func(r *recurringv1.RecurringDonation) bool { return r.GetNextDebitTime() != nil })
	token := openLink(t, m, box)
	page := e.URL + "/c/monthly/avocate/monthly/" + m.name()[len(m.name())-36:]
	browse(t, page+"?token="+token, nil)
	manage := url.Values{"token": {token}}
	_, to := browse(t, page+"/open", manage)
	if opened, _ := browse(t, e.URL+to, nil); !strings.Contains(opened, "/change") {
		t.Fatalf("the link opens %s", opened)
	}
	browse(t, e.URL+"/c/monthly/monthly/link", url.Values{"email": {"donor@example.org"}})
	_, portal := browse(t, page+"/portal", manage)
	browse(t, page+"/stop", manage)

	y := newTreasury(t, e, "vallon")
	const payer, iban = "JEANNE DUPONT", "FR1420041010050500013M02606"
	banking := bankv1.NewBankServiceClient(e.Conn)
	for _, lines := range [][]string{
		{y.line(2, "VIR SEPA "+payer+" "+iban, "25,00"), y.line(1, "VIREMENT RECU "+payer, "33,00")},
		{y.line(1, "VIREMENT RECU "+payer, "douze")},
	} {
		_, err := banking.ImportBankStatement(y.ctx(t), y.csv(lines...))
		if err != nil {
			wantError(t, err, codes.InvalidArgument, "STATEMENT_UNREADABLE", "content")
			if strings.Contains(err.Error(), payer) {
				t.Errorf("the error names the payer: %v", err)
			}
		}
	}
	line := y.lines(t, e.Conn)[33_00]
	if _, err := banking.MatchBankLine(y.ctx(t), &bankv1.MatchBankLineRequest{
		Name: line.GetName(), RequestId: uuid.NewString(),
		Target: &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Campaign{Campaign: y.campaign}},
	}); err != nil {
		t.Fatal(err)
	}

	places := map[string]string{"the log": written.String(), "the metrics": metricsOf(t, e), "the database": everyRow(t, e)}
	portalID := portal[strings.LastIndex(portal, "/")+1:]
	if len(portalID) < 10 || len(token) < 40 {
		t.Fatalf("there is nothing to look for: %q, %q", portal, token)
	}
	for what, secret := range map[string]string{
		"a donor's address": "donor@example.org", "a donor's name": "Simulated Donor", "a payer's name": payer, "a payer's account": iban, "a link's token": token,
		"a portal session": portalID, "the key of Stripe": apptest.APIKey,
		"a webhook secret": apptest.WebhookSecret, "a member's key": y.owner, "the operator's key": e.OperatorKey,
	} {
		for where, text := range places {
			if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
				t.Errorf("%s holds %s", where, what)
			}
		}
	}
	if found := inDatabaseFiles(t, e, "donor@example.org", "Simulated Donor", payer, iban, token, portalID, apptest.APIKey, y.owner, e.OperatorKey); found != nil {
		t.Errorf("on disk: %v", found)
	}
	if inDatabaseFiles(t, e, "RedeemManageLink", "VIR SEPA", m.customer) == nil {
		t.Error("the files of the database were not read")
	}
	for where, sign := range map[string]string{
		"the log": "RedeemManageLink", "the metrics": "cagnotte_rpc_calls_total", "the database": line.GetName()[len(line.GetName())-36:],
	} {
		if !strings.Contains(places[where], sign) {
			t.Errorf("%s was not read", where)
		}
	}
}

// inDatabaseFiles returns which of the words stand in the files of the database and in the write-ahead log, as they are on disk.
func inDatabaseFiles(t *testing.T, e *apptest.Env, words ...string) (found []string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), e.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	// What is in memory alone goes to the files.
	if _, err := conn.Exec(t.Context(), "CHECKPOINT"); err != nil {
		t.Fatal(err)
	}
	var directory, oid string
	if err := conn.QueryRow(t.Context(), `
		SELECT current_setting('data_directory'), d.oid::text
		FROM pg_catalog.pg_database AS d
		WHERE d.datname = current_database()`).Scan(&directory, &oid); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"base/" + oid, "pg_wal"} {
		err := filepath.WalkDir(filepath.Join(directory, part), func(path string, d fs.DirEntry, err error) error {
			// A segment of the log may be recycled meanwhile.
			if errors.Is(err, fs.ErrNotExist) || err == nil && d.IsDir() {
				return nil
			}
			if err != nil {
				return err
			}
			content, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			for _, word := range words {
				if bytes.Contains(content, []byte(word)) {
					found = append(found, word+" in "+part+"/"+filepath.Base(path))
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func metricsOf(t *testing.T, e *apptest.Env) string {
	t.Helper()
	text, _ := browse(t, "http://"+e.App.AdminAddr().String()+"/metrics", nil)
	return text
}

// everyRow is all that all tables of the program hold, those of its jobs too.
func everyRow(t *testing.T, e *apptest.Env) string {
	t.Helper()
	return strings.Join(slices.Collect(maps.Values(everyTable(t, e))), "\n")
}

// everyTable is what each table of the program holds, those of its jobs too.
func everyTable(t *testing.T, e *apptest.Env) map[string]string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), e.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), `
		SELECT format('%I.%I', t.schemaname, t.tablename)
		FROM pg_catalog.pg_tables AS t
		WHERE t.schemaname NOT IN ('pg_catalog', 'information_schema')
		ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 20 {
		t.Fatalf("tables %v, %v", tables, err)
	}
	all := map[string]string{}
	for _, table := range tables {
		rows, err := conn.Query(t.Context(), "SELECT t::text FROM "+table+" AS t")
		if err != nil {
			t.Fatal(err)
		}
		texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		all[table] = strings.Join(texts, "\n")
	}
	return all
}

// TestNamesThatLieAboutTheirCollective asks for what is another collective's by a name that says it is one's own: the
// permission table lets it pass, and the stored row has the last word. Both have a campaign of the same slug.
func TestNamesThatLieAboutTheirCollective(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	m := payMonthly(t, e, "other")
	m.wantBooked(1, 20_00)
	_, owner := e.Campaign("vallon")
	theirs := &treasury{
		e: e, collective: "collectives/other", campaign: m.campaign, owner: m.owner,
		key: e.Key("collectives/other", accessv1.Role_ROLE_TREASURER), reader: e.Key("collectives/other", accessv1.Role_ROLE_AUDITOR),
	}
	hand, banking := treasuryv1.NewTreasuryServiceClient(e.Conn), bankv1.NewBankServiceClient(e.Conn)
	must := func(name string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Replace(name, "collectives/other", "collectives/vallon", 1)
	}
	cheque, err := hand.CreateOfflineDonation(theirs.ctx(t), theirs.cheque(70_00))
	offline := must(cheque.GetName(), err)
	owed, err := hand.CreateExpense(theirs.ctx(t), theirs.invoice("F-9", 90_00))
	expense := must(owed.GetName(), err)
	promised, err := hand.CreatePledge(t.Context(), &treasuryv1.CreatePledgeRequest{
		Parent: theirs.campaign, RequestId: uuid.NewString(), Pledge: &treasuryv1.Pledge{Amount: apptest.Euros(25_00), Method: treasuryv1.OfflineMethod_OFFLINE_METHOD_CASH},
	})
	pledge := must(promised.GetName(), err)
	statement := theirs.csv(theirs.line(1, "VIREMENT", "33,00"))
	statement.Account = treasuryIBAN
	_, err = banking.ImportBankStatement(theirs.ctx(t), statement)
	must("", err)
	line := must(theirs.lines(t, e.Conn)[33_00].GetName(), nil)
	donation := must(m.donations()[0].GetName(), nil)
	refunds := refundsv1.NewRefundsServiceClient(e.Conn)
	back, err := refunds.CreateRefund(apptest.WithKey(t.Context(), theirs.key), &refundsv1.CreateRefundRequest{
		Parent: m.donations()[0].GetName(), RequestId: uuid.NewString(),
		Refund: &refundsv1.Refund{Reason: refundsv1.RefundReason_REFUND_REASON_REQUESTED_BY_DONOR, Amount: apptest.Euros(5_00)},
	})
	refund := must(back.GetName(), err)
	recurring := must(m.name(), nil)

	ctx := apptest.WithKey(t.Context(), owner)
	monthly, notices := recurringv1.NewRecurringServiceClient(e.Conn), noticesv1.NewNoticesServiceClient(e.Conn)
	for what, ask := range map[string]func() error{
		"a donation": func() error {
			_, err := donationsv1.NewDonationsServiceClient(e.Conn).GetDonation(ctx, &donationsv1.GetDonationRequest{Name: donation})
			return err
		},
		"to give a donation back": func() error {
			_, err := refunds.CreateRefund(ctx, &refundsv1.CreateRefundRequest{
				Parent: donation, RequestId: uuid.NewString(), Refund: &refundsv1.Refund{Reason: refundsv1.RefundReason_REFUND_REASON_OTHER},
			})
			return err
		},
		"the refunds of a donation": func() error {
			_, err := refunds.ListRefunds(ctx, &refundsv1.ListRefundsRequest{Parent: donation})
			return err
		},
		"a refund": func() error { _, err := refunds.GetRefund(ctx, &refundsv1.GetRefundRequest{Name: refund}); return err },
		"to approve a refund": func() error {
			_, err := refunds.ApproveRefund(ctx, &refundsv1.ApproveRefundRequest{Name: refund})
			return err
		},
		"to reject a refund": func() error {
			_, err := refunds.RejectRefund(ctx, &refundsv1.RejectRefundRequest{Name: refund})
			return err
		},
		"to cancel a refund": func() error {
			_, err := refunds.CancelRefund(ctx, &refundsv1.CancelRefundRequest{Name: refund})
			return err
		},
		"a monthly donation": func() error {
			_, err := monthly.GetRecurringDonation(ctx, &recurringv1.GetRecurringDonationRequest{Name: recurring})
			return err
		},
		"to end a monthly donation": func() error {
			_, err := monthly.CancelRecurringDonation(ctx, &recurringv1.CancelRecurringDonationRequest{Name: recurring})
			return err
		},
		"an offline donation": func() error {
			_, err := hand.GetOfflineDonation(ctx, &treasuryv1.GetOfflineDonationRequest{Name: offline})
			return err
		},
		"to reverse an offline donation": func() error {
			_, err := hand.ReverseOfflineDonation(ctx, &treasuryv1.ReverseOfflineDonationRequest{Name: offline, RequestId: uuid.NewString(), Reason: "x"})
			return err
		},
		"a pledge":   func() error { _, err := hand.GetPledge(ctx, &treasuryv1.GetPledgeRequest{Name: pledge}); return err },
		"an expense": func() error { _, err := hand.GetExpense(ctx, &treasuryv1.GetExpenseRequest{Name: expense}); return err },
		"to pay an expense": func() error {
			_, err := hand.PayExpense(ctx, &treasuryv1.PayExpenseRequest{Name: expense, RequestId: uuid.NewString(), PayDate: theirs.day(1)})
			return err
		},
		"to reverse an expense": func() error {
			_, err := hand.ReverseExpense(ctx, &treasuryv1.ReverseExpenseRequest{Name: expense, RequestId: uuid.NewString(), Reason: "x"})
			return err
		},
		"to match a bank line": func() error {
			_, err := banking.MatchBankLine(ctx, &bankv1.MatchBankLineRequest{
				Name: line, RequestId: uuid.NewString(),
				Target: &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_UnknownReceipt{UnknownReceipt: true}},
			})
			return err
		},
		"to ignore a bank line": func() error {
			_, err := banking.IgnoreBankLine(ctx, &bankv1.IgnoreBankLineRequest{Name: line, RequestId: uuid.NewString(), Reason: "x"})
			return err
		},
		"all notices": func() error {
			_, err := notices.ListNotices(ctx, &noticesv1.ListNoticesRequest{Parent: "instance", IncludeCollectives: true})
			return err
		},
		"the operator's notices": func() error {
			_, err := notices.ListNotices(ctx, &noticesv1.ListNoticesRequest{Parent: "instance"})
			return err
		},
		"all payouts": func() error {
			_, err := payoutsv1.NewPayoutsServiceClient(e.Conn).ListPayouts(ctx, &payoutsv1.ListPayoutsRequest{Parent: "instance"})
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			if code := status.Code(ask()); code != codes.NotFound {
				t.Errorf("got %v", code)
			}
		})
	}
	// Of an account that collectives share, neither may have anything done again.
	_, err = webhooksv1.NewWebhooksServiceClient(e.Conn).ReplayWebhookEvent(ctx, &webhooksv1.ReplayWebhookEventRequest{
		Name: "collectives/vallon/webhookEvents/" + e.Sim.Events("")[0].ID,
	})
	if code := status.Code(err); code == codes.OK {
		t.Error("an event of others was applied anew")
	}
	for what, target := range map[string]*bankv1.BankLineTarget{
		"a pledge of theirs":    {Target: &bankv1.BankLineTarget_Pledge{Pledge: pledge}},
		"an expense of theirs":  {Target: &bankv1.BankLineTarget_Expense{Expense: expense}},
		"a pledge under theirs": {Target: &bankv1.BankLineTarget_Pledge{Pledge: promised.GetName()}},
		"their campaign":        {Target: &bankv1.BankLineTarget_Campaign{Campaign: theirs.campaign}},
	} {
		t.Run("a line of one's own is not "+what, func(t *testing.T) {
			ours := newTreasury(t, e, "own-"+strings.ReplaceAll(what, " ", "-"))
			if _, err := banking.ImportBankStatement(ours.ctx(t), ours.csv(ours.line(1, "VIREMENT", "25,00"))); err != nil {
				t.Fatal(err)
			}
			_, err := banking.MatchBankLine(ours.ctx(t), &bankv1.MatchBankLineRequest{
				Name: ours.lines(t, e.Conn)[25_00].GetName(), RequestId: uuid.NewString(), Target: target,
			})
			wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "")
		})
	}
}
