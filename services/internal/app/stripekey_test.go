package app_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// Test mode and live mode, or two accounts, must not meet in one book.
func TestTheProgramStopsWithAnotherStripeKey(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	owner, err := pgx.Connect(t.Context(), e.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.WithoutCancel(t.Context()))
	// Readiness does not wait for Stripe, so this may come a moment after it.
	var account string
	e.Eventually("the books are bound to an account", func() bool {
		err := owner.QueryRow(t.Context(), "SELECT stripe_account FROM connect.platform").Scan(&account)
		return err == nil && strings.HasPrefix(account, "acct_")
	})
	e.StopApp()
	env := map[string]string{}
	for _, variable := range e.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}
	run := func(key string) error {
		t.Helper()
		env["STRIPE_API_KEY"] = key
		cfg, err := app.FromEnv(func(name string) string { return env[name] })
		if err != nil {
			t.Fatal(err)
		}
		cfg.Logger = slog.New(slog.DiscardHandler)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		return app.Run(ctx, cfg, func(*app.App) {})
	}
	// The simulator does not know the key: the mode is told by its name.
	if err := run("sk_live_other"); err == nil || !strings.Contains(err.Error(), "STRIPE_API_KEY: The key is for live mode") {
		t.Errorf("a live key on the books of test mode: %v", err)
	}
	bindTo := func(account string) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), "UPDATE connect.platform SET stripe_account = $1", account); err != nil {
			t.Fatal(err)
		}
	}
	bindTo("acct_another")
	err = run(apptest.APIKey)
	if err == nil || !strings.Contains(err.Error(), account) || !strings.Contains(err.Error(), "acct_another") {
		t.Errorf("a key of another account: %v", err)
	}
	bindTo(account)
	e.StartApp()
}

// Nobody could tell whose it is when the program began.
func TestAKeyThatComesIntoForceLaterIsLookedAtBeforeItIsUsed(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	owner, err := pgx.Connect(t.Context(), e.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.WithoutCancel(t.Context()))
	const other = "sk_test_other"
	e.StopApp()
	e.SetAPIKey(apptest.APIKey + "," + other)
	e.StartApp()
	usedOther := func(r stripesim.Request) bool { return strings.HasSuffix(r.Header.Get("Authorization"), other) }
	e.Eventually("both keys are looked at", func() bool { return slices.ContainsFunc(e.Sim.Requests(), usedOther) })
	give(t, e.Conn, donationTo(campaign))
	// From here on they are of two accounts.
	if _, err := owner.Exec(t.Context(), "UPDATE connect.platform SET stripe_account = 'acct_another'"); err != nil {
		t.Fatal(err)
	}
	e.Sim.SetAPIKeys(other)
	_, err = donationsv1.NewDonationsServiceClient(e.Conn).CreateDonation(t.Context(), donationTo(campaign))
	if status.Code(err) != codes.Unavailable || strings.Contains(err.Error(), "acct_") {
		t.Errorf("a donation: %v", err)
	}
	select {
	case <-e.App.Done():
	case <-t.Context().Done():
	case <-time.After(20 * time.Second):
		t.Error("the program goes on")
	}
	err, e.App = e.App.Stop(context.WithoutCancel(t.Context())), nil
	if err == nil || !strings.Contains(err.Error(), "STRIPE_API_KEY: The key is of Stripe account") {
		t.Errorf("the program ended with %v", err)
	}
	for _, r := range e.Sim.Requests() {
		if usedOther(r) && r.Path != "/v1/account" {
			t.Errorf("with the other account's key: %s %s", r.Method, r.Path)
		}
	}
}
