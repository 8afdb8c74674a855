package app_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// The books are safe from the program itself only if it does not log in as their owner.
func TestAStartAsTheOwnerWarns(t *testing.T) {
	const warning = `level=WARN msg="DATABASE_URL logs in as a role that can change the tables`
	written := &log{}
	e := apptest.Start(t, apptest.Config{LogTo: written})
	warnings := func() int { return strings.Count(written.String(), warning) }
	e.Eventually("a start as the owner is warned of", func() bool { return warnings() == 1 })
	campaign, _ := e.Campaign("vallon")
	e.StopApp()

	database := ownerOf(t, e)
	name, password := "service_"+strings.ReplaceAll(uuid.NewString(), "-", ""), uuid.NewString()
	if _, err := database.Exec(t.Context(), "CREATE ROLE "+name+" LOGIN IN ROLE cagnotte_service PASSWORD '"+password+"'"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if e.App != nil {
			e.StopApp()
		}
		if _, err := database.Exec(context.WithoutCancel(t.Context()), "DROP ROLE "+name); err != nil {
			t.Error(err)
		}
	})
	address, err := url.Parse(e.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.UserPassword(name, password)
	e.SetDatabaseURL(address.String())
	e.StartApp()
	// All that a donation needs, from its page to the signed books, works with what this role may.
	pay(t, e, give(t, e.Conn, donationTo(campaign)))
	e.Eventually("the donation is booked", func() bool { settled, _ := progress(t, e.Conn, campaign); return settled > 0 })
	unsealed := `SELECT count(*) FROM ledger.transactions AS t WHERE NOT EXISTS (SELECT FROM ledger.seals AS s WHERE s.transaction_id = t.id)`
	e.Eventually("and sealed", func() bool {
		var count int
		if err := database.QueryRow(t.Context(), unsealed).Scan(&count); err != nil {
			t.Fatal(err)
		}
		return count == 0
	})
	if got := warnings(); got != 1 {
		t.Errorf("%d warnings, want that of the owner's start alone", got)
	}
}
