package webhooks

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// The list of one account's events costs the same, however many events the account and others have.
func TestAPageOfAnAccountsEventsReadsFewRows(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.wantStored([]*delivery{ignoredOf("acct_like", "evt_like")}, true)
	owner := pgtest.Owner(t, e.pool)
	for _, statement := range []string{
		// acct_busy had many events after those of acct_quiet, and some of each failed.
		`INSERT INTO webhooks.events
		SELECT r.*
		FROM webhooks.events AS e
		CROSS JOIN (VALUES ('acct_quiet', 0), ('acct_busy', 1)) AS a (account, later)
		CROSS JOIN generate_series(1, 10000) AS n
		CROSS JOIN LATERAL jsonb_populate_record(e, jsonb_build_object('account', a.account, 'id', 'evt_' || lpad(n::text, 5, '0'),
			'received_at', '2026-01-01'::timestamptz + a.later * interval '100 days' + n / 2 * interval '1 second')) AS r
		WHERE e.id = 'evt_like'`,
		`UPDATE webhooks.events
		SET state = 'failed', finished_at = NULL, failure_reason = 'INTERNAL', attempts = 1
		WHERE id <> 'evt_like' AND right(id, 1) = '0'`,
		`INSERT INTO collectives.collectives (id, display_name, stripe_account, time_zone, created_at, updated_at)
		VALUES ('quiet', 'Quiet', 'acct_quiet', 'Europe/Paris', now(), now())`,
		"VACUUM ANALYZE webhooks.events",
	} {
		if _, err := owner.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	member := postgres.WithScope(t.Context(), postgres.ScopeOf("quiet"))
	late := Position{Received: time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC), Account: "acct_quiet", ID: "evt_00120"}
	for _, c := range []struct {
		name, statement string
		state           State
		before          Position
		first           string
	}{
		{"the first page", listAccountEventsSQL, "", newest, "evt_10000"},
		{"a late page", listAccountEventsSQL, "", late, "evt_00119"},
		{"the first page of failed events", listAccountFailedSQL, StateFailed, newest, "evt_10000"},
		{"a late page of failed events", listAccountFailedSQL, StateFailed, late, "evt_00110"},
	} {
		t.Run(c.name, func(t *testing.T) {
			page, err := e.webhooks.List(member, Scope{Account: "acct_quiet"}, c.state, c.before, 11)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) != 11 {
				t.Fatalf("%d events", len(page))
			}
			if page[0].ID != c.first || !slices.IsSortedFunc(page, func(a, b Event) int { return b.Received.Compare(a.Received) }) {
				t.Errorf("the page begins with %+v", page[0])
			}
			// The first plan of a connection reads the catalogue too.
			blocks := 0
			var text []byte
			err = pgx.BeginFunc(member, e.pool, func(tx pgx.Tx) error {
				for range 2 {
					if err := tx.QueryRow(member, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+c.statement, pgx.NamedArgs{
						"state": string(c.state), "in_account": "acct_quiet", "received_at": c.before.Received, "id": c.before.ID, "count": 11,
					}).Scan(&text); err != nil {
						return err
					}
					var plans []struct {
						Plan struct {
							Hit  int `json:"Shared Hit Blocks"`
							Read int `json:"Shared Read Blocks"`
						}
					}
					if err := json.Unmarshal(text, &plans); err != nil {
						return err
					}
					blocks = plans[0].Plan.Hit + plans[0].Plan.Read
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if t.Logf("%d blocks", blocks); blocks > 60 {
				t.Errorf("it touched %d blocks\n%s", blocks, text)
			}
		})
	}
}
