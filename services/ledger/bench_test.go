package ledger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/internal/pgembed"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// round is long enough for some thousand commits, and short enough to alternate with the limit.
const round = 2 * time.Second

// spread is how many campaigns donations go to when they are not all for one.
const spread = 1000

// BenchmarkPost posts donations of four entries, as the service's role, on a Postgres with full durability, in
// rounds that alternate in random order with their limits. One iteration is one round of each:
//
//	go test ./services/ledger -run '^$' -bench Post -benchtime 3x
//
// The limit of one transaction a commit is pgbench with prepared statements: begin, one row, four rows,
// commit. That of batches is raw pgx, the same through unnest. Both write rows of the same columns and
// sizes, and neither resolves, compares or checks anything. They are written twice:
//
//   - of-limit is the ratio to tables with the primary keys and the unique reference alone, which the
//     posting itself needs (the bars are 0.9, and 0.8 for batches);
//   - of-indexed to tables with the ledger's other indexes too, so that the rows can be found again. What
//     remains of it is the price of the checks and of idempotency.
//
// of-unscoped is the ratio to posting with the policies of row-level security switched off. hot/spread is posting to one
// campaign against a thousand (0.95). WAL-B/tx and syncs/tx are bytes of
// WAL, spread (3,000), and syncs of it, hot (0.3 with 32 callers); B/tx is what is stored (2,000).
func BenchmarkPost(b *testing.B) {
	d := durable(b)
	s := ledger.New(ledger.Config{Pool: d.pool})
	ensure(b, s, d.pool, book)
	send := func(ctx context.Context, txs []ledger.Transaction) error {
		_, err := post(ctx, s, d.pool, txs...)
		return err
	}
	for _, c := range []struct{ callers, batch int }{{8, 1}, {32, 1}, {1, 100}, {8, 100}} {
		b.Run(fmt.Sprintf("callers=%d/batch=%d", c.callers, c.batch), func(b *testing.B) {
			var ours, hot, bare, indexed, unscoped, wal, syncs []float64
			limit := func(schema string) float64 {
				if c.batch == 1 {
					return d.pgbench(b, schema, c.callers)
				}
				return throughput(b, c.callers, c.batch, spread, func(ctx context.Context, txs []ledger.Transaction) error {
					return postRaw(ctx, d.pool, schema, txs)
				})
			}
			measured := func(campaigns int) (rate float64, used walCounters) {
				before := walOf(b, d.pool)
				rate = throughput(b, c.callers, c.batch, campaigns, send)
				after := walOf(b, d.pool)
				count := rate * round.Seconds()
				return rate, walCounters{(after.bytes - before.bytes) / count, (after.syncs - before.syncs) / count}
			}
			rounds := []func(){
				func() { bare = append(bare, limit("bare")) },
				func() { indexed = append(indexed, limit("indexed")) },
				func() {
					rate, used := measured(spread)
					ours, wal = append(ours, rate), append(wal, used.bytes)
				},
				func() {
					rate, used := measured(1)
					hot, syncs = append(hot, rate), append(syncs, used.syncs)
				},
				func() {
					d.policies(b, false)
					defer d.policies(b, true)
					unscoped = append(unscoped, throughput(b, c.callers, c.batch, spread, send))
				},
			}
			for b.Loop() {
				for _, i := range rand.Perm(len(rounds)) {
					rounds[i]()
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(ours), "tx/s")
			b.ReportMetric(median(bare), "limit-tx/s")
			b.ReportMetric(median(ours)/median(bare), "of-limit")
			b.ReportMetric(median(ours)/median(indexed), "of-indexed")
			b.ReportMetric(median(ours)/median(unscoped), "of-unscoped")
			b.ReportMetric(median(hot)/median(ours), "hot/spread")
			b.ReportMetric(median(wal), "WAL-B/tx")
			b.ReportMetric(median(syncs), "syncs/tx")
		})
	}
	b.Run("stored", func(b *testing.B) {
		var count, stored float64
		for b.Loop() {
			if err := d.pool.QueryRow(b.Context(), `
				SELECT
					(SELECT count(*) FROM ledger.transactions),
					pg_total_relation_size('ledger.transactions') + pg_total_relation_size('ledger.entries')`,
			).Scan(&count, &stored); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(stored/count, "B/tx")
	})
}

// limitTables take the rows that the ledger writes, and know nothing of their meaning.
const limitTables = `
	CREATE SCHEMA %[1]s;
	CREATE TABLE %[1]s.transactions (
		id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		effective_at timestamptz      NOT NULL,
		recorded_at  timestamptz      NOT NULL DEFAULT clock_timestamp(),
		xid          xid8             NOT NULL DEFAULT pg_current_xact_id(),
		entry_count  smallint         NOT NULL,
		book         text COLLATE "C" NOT NULL,
		reference    text COLLATE "C" NOT NULL,
		kind         text COLLATE "C" NOT NULL,
		fingerprint  bytea            NOT NULL,
		UNIQUE (book, reference)
	);
	CREATE TABLE %[1]s.entries (
		transaction_id bigint           NOT NULL,
		amount         bigint           NOT NULL,
		effective_at   timestamptz      NOT NULL,
		account_id     integer          NOT NULL,
		line           smallint         NOT NULL,
		nominal        boolean          NOT NULL,
		donation       uuid,
		currency       text COLLATE "C" NOT NULL,
		collective     text COLLATE "C" NOT NULL,
		campaign       text COLLATE "C" NOT NULL,
		xid            xid8             NOT NULL DEFAULT pg_current_xact_id(),
		PRIMARY KEY (transaction_id, line)
	);
	GRANT USAGE ON SCHEMA %[1]s TO cagnotte_service;
	GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA %[1]s TO cagnotte_service`

// likeIndexes gives the limit's tables the indexes of the ledger's, as they are at this migration, but for keys.
const likeIndexes = `
	SELECT replace(replace(pg_get_indexdef(i.indexrelid), ' ON ledger.', ' ON indexed.'), 'CREATE INDEX ', 'CREATE INDEX limit_')
	FROM pg_index AS i
	WHERE i.indrelid IN ('ledger.transactions'::regclass, 'ledger.entries'::regclass)
		AND NOT i.indisunique`

// durableServer is a private Postgres that loses nothing, with the ledger and the limit's tables.
type durableServer struct {
	pool *pgxpool.Pool
	url  string
	// bin is where its programs are.
	bin string
}

func durable(b *testing.B) durableServer {
	b.Helper()
	ctx := b.Context()
	server, err := pgembed.Start(ctx, pgembed.Config{Durable: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := server.Stop(context.WithoutCancel(ctx)); err != nil {
			b.Error(err)
		}
	})
	d := durableServer{url: server.URL("postgres")}
	if err := postgres.Migrate(ctx, d.url, nil); err != nil {
		b.Fatal(err)
	}
	owner, err := pgx.Connect(ctx, d.url)
	if err != nil {
		b.Fatal(err)
	}
	defer owner.Close(ctx)
	for _, schema := range []string{"bare", "indexed"} {
		if _, err := owner.Exec(ctx, fmt.Sprintf(limitTables, schema)); err != nil {
			b.Fatal(err)
		}
	}
	rows, err := owner.Query(ctx, likeIndexes)
	if err != nil {
		b.Fatal(err)
	}
	indexes, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(indexes) == 0 {
		b.Fatalf("the ledger's indexes: %q, %v", indexes, err)
	}
	if _, err := owner.Exec(ctx, strings.Join(indexes, ";")); err != nil {
		b.Fatal(err)
	}
	if err := owner.QueryRow(ctx, `SELECT setting FROM pg_config WHERE name = 'BINDIR'`).Scan(&d.bin); err != nil {
		b.Fatal(err)
	}
	if d.pool, err = postgres.Open(ctx, postgres.Config{URL: d.url, MaxConns: 34, DefaultScope: postgres.AllScope()}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(d.pool.Close)
	return d
}

// policies switches row-level security of all tables on or off.
func (d durableServer) policies(b *testing.B, on bool) {
	b.Helper()
	const statement = `
DO $$
DECLARE
	scoped regclass;
BEGIN
	FOR scoped IN
		SELECT p.polrelid::regclass
		FROM pg_policy AS p
	LOOP
		EXECUTE format('ALTER TABLE %%s %s ROW LEVEL SECURITY', scoped);
	END LOOP;
END
$$`
	command := "DISABLE"
	if on {
		command = "ENABLE"
	}
	owner, err := pgx.Connect(b.Context(), d.url)
	if err != nil {
		b.Fatal(err)
	}
	defer owner.Close(b.Context())
	if _, err := owner.Exec(b.Context(), fmt.Sprintf(statement, command)); err != nil {
		b.Fatal(err)
	}
}

// pgbenchScript is one donation in one commit.
const pgbenchScript = `
\set a random(1, 1000000000)
\set b random(1, 1000000000)
\set c random(1, %[2]d)
BEGIN;
INSERT INTO %[1]s.transactions (effective_at, entry_count, book, reference, kind, fingerprint) VALUES (now(), 4, 'acct_vallon', 'txn_' || :a::text || '-' || :b::text, 'donation', '\x00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff') RETURNING id \gset
INSERT INTO %[1]s.entries (transaction_id, amount, effective_at, account_id, line, nominal, donation, currency, collective, campaign) VALUES %[3]s;
END;
`

var pgbenchRate = regexp.MustCompile(`tps = ([0-9.]+) `)

// pgbench returns the transactions a second of one round.
func (d durableServer) pgbench(b *testing.B, schema string, callers int) float64 {
	b.Helper()
	var entries []string
	for line, amount := range []int{2000, -2000, 30, -30} {
		entries = append(entries, fmt.Sprintf("(:id, %d, now(), %d, %d, %t, gen_random_uuid(), 'EUR', '%s', 'campaign-' || :c::text)",
			amount, line+1, line+1, line == 1 || line == 2, vallon))
	}
	server, err := url.Parse(d.url)
	if err != nil {
		b.Fatal(err)
	}
	password, _ := server.User.Password()
	cmd := exec.CommandContext(b.Context(), filepath.Join(d.bin, "pgbench"), "--no-vacuum", "--protocol=prepared", "--file=-",
		"--client="+strconv.Itoa(callers), "--jobs=2", fmt.Sprintf("--time=%d", int(round.Seconds())),
		"--host="+server.Hostname(), "--port="+server.Port(), "--username="+server.User.Username(), "postgres")
	cmd.Env = []string{"PGPASSWORD=" + password}
	cmd.Stdin = strings.NewReader(fmt.Sprintf(pgbenchScript, schema, spread, strings.Join(entries, ", ")))
	output, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("pgbench, which comes with the server (%s): %v: %s", pgembed.InstallHint, err, output)
	}
	match := pgbenchRate.FindSubmatch(output)
	if match == nil {
		b.Fatalf("pgbench does not tell its rate: %s", output)
	}
	rate, err := strconv.ParseFloat(string(match[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return rate
}

// throughput has callers post batches for one round, and returns transactions a second.
func throughput(b *testing.B, callers, batch, campaigns int, send func(context.Context, []ledger.Transaction) error) float64 {
	b.Helper()
	var (
		count atomic.Int64
		group sync.WaitGroup
	)
	for range callers {
		group.Go(func() {
			for deadline := time.Now().Add(round); time.Now().Before(deadline); {
				txs := make([]ledger.Transaction, batch)
				for i := range txs {
					txs[i] = donation("txn_"+uuid.NewString()[:24], time.Now(), 2000)
					campaign := fmt.Sprintf("campaign-%d", rand.IntN(campaigns))
					for j := range txs[i].Entries {
						txs[i].Entries[j].Campaign = campaign
					}
				}
				if err := send(b.Context(), txs); err != nil {
					b.Error(err)
					return
				}
				count.Add(int64(batch))
			}
		})
	}
	group.Wait()
	return float64(count.Load()) / round.Seconds()
}

// postRaw writes the rows that PostTx writes, with the simplest statements.
func postRaw(ctx context.Context, pool *pgxpool.Pool, schema string, txs []ledger.Transaction) error {
	return postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
		n := len(txs)
		references, effectives := make([]string, n), make([]time.Time, n)
		var campaigns []string
		var amounts []int64
		var lines []int16
		var donations [][16]byte
		for i, t := range txs {
			references[i], effectives[i] = t.Reference, t.Effective
			for line, e := range t.Entries {
				lines = append(lines, int16(line+1))
				amounts = append(amounts, e.Amount.Minor)
				campaigns = append(campaigns, e.Campaign)
				donations = append(donations, e.Donation)
			}
		}
		rows, err := tx.Query(ctx, `
			INSERT INTO `+schema+`.transactions (effective_at, entry_count, book, reference, kind, fingerprint)
			SELECT t.at, 4, $1, t.reference, 'donation', decode(repeat('ab', 32), 'hex')
			FROM unnest($2::text[], $3::timestamptz[]) AS t (reference, at)
			RETURNING id`, book, references, effectives)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		entryIDs := make([]int64, 0, 4*n)
		for _, id := range ids {
			entryIDs = append(entryIDs, id, id, id, id)
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO `+schema+`.entries (transaction_id, amount, effective_at, account_id, line, nominal, donation, currency, collective, campaign)
			SELECT e.id, e.amount, now(), e.line, e.line, e.line IN (2, 3), e.donation, 'EUR', $1, e.campaign
			FROM unnest($2::bigint[], $3::bigint[], $4::smallint[], $5::uuid[], $6::text[]) AS e (id, amount, line, donation, campaign)`,
			vallon, entryIDs, amounts, lines, donations, campaigns)
		return err
	})
}

type walCounters struct{ bytes, syncs float64 }

func walOf(b *testing.B, pool *pgxpool.Pool) (w walCounters) {
	b.Helper()
	// A session keeps its counters to itself for a while, unless it is told to pass them on.
	for _, conn := range pool.AcquireAllIdle(b.Context()) {
		_, err := conn.Exec(b.Context(), `SELECT pg_stat_force_next_flush()`)
		conn.Release()
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := pool.QueryRow(b.Context(), `
		SELECT pg_current_wal_insert_lsn() - '0/0', wal_sync
		FROM pg_stat_wal`).Scan(&w.bytes, &w.syncs); err != nil {
		b.Fatal(err)
	}
	return w
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
