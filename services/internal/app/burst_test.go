package app_test

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/pgembed"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

var burstDonations = flag.Int("donations", 20_000, "how many donations a burst is")

const (
	// burstSenders is how many connections the events come by.
	burstSenders = 32
	// burstRate is what Stripe allows of requests in a second in its test mode, and less than in live mode.
	burstRate = 25
)

// BenchmarkBurst has everybody pay at once: so many donations to one campaign are paid, and then all their events come
// over HTTP, each signed, by 32 connections. One iteration is one burst:
//
//	go test ./services/internal/app -run '^$' -bench Burst -benchtime 1x -args -donations 20000
//
// booked/s are donations from the first delivery until the campaign's total has them all. calls/donation counts requests to Stripe
// in that time (at most 0.1), and refused those beyond 25 in a second, of which there are none. Making the
// payment pages takes one call for each donation, before, and is not in it.
//
// accepted/s are deliveries that were answered 2xx, which means stored, while the job applies and books them beside. Then
// the same events come again, forgotten, and the job is held: alone/s is what acceptance by itself takes.
// limit/s is pgbench inserting the same row, one a commit, by as many connections into the same Postgres, which is durable;
// ratio is what was accepted alone to that (the bar is 0.6).
// It means little on a machine that others use, where one program gets less of the cores than thirty-two backends do.
func BenchmarkBurst(b *testing.B) {
	for b.Loop() {
		e := apptest.Start(b, apptest.Config{DatabaseURL: durable(b), NoContract: true, LogTo: io.Discard})
		e.Sim.SetEndpoints(nil)
		campaign, _ := e.Campaign("vallon")
		giveBurst(b, e, campaign)
		e.StopApp()
		e.SetStripeRate(burstRate)
		// Its catch-up ends before the payments, or it would find them by itself, as after any time away.
		e.StartApp()
		waitQuiet(b, e)
		payBurst(b, e)
		e.Sim.SetLimit(burstRate)
		before, refused := len(e.Sim.Requests()), e.Sim.Limited()

		start := time.Now()
		accepted := deliverAll(b, e)
		for {
			if settled, _ := progress(b, e.Conn, campaign); settled == int64(*burstDonations)*20_00 {
				break
			}
			if time.Since(start) > 10*time.Minute {
				b.Fatal("the donations are not booked")
			}
			time.Sleep(100 * time.Millisecond)
		}
		booked := float64(*burstDonations) / time.Since(start).Seconds()
		calls := float64(len(e.Sim.Requests()) - before)
		refused = e.Sim.Limited() - refused
		db, err := pgx.Connect(b.Context(), e.DatabaseURL)
		if err != nil {
			b.Fatal(err)
		}
		holdJob(b, db)
		// The limit is measured before and after, for machines are not as fast from one minute to the next.
		limit := eventLimit(b, db)
		forgetEvents(b, db)
		alone := deliverAll(b, e)
		limit = (limit + eventLimit(b, db)) / 2
		if err := db.Close(b.Context()); err != nil {
			b.Error(err)
		}

		b.ReportMetric(0, "ns/op")
		b.ReportMetric(accepted, "accepted/s")
		b.ReportMetric(alone, "alone/s")
		b.ReportMetric(limit, "limit/s")
		b.ReportMetric(alone/limit, "ratio")
		b.ReportMetric(booked, "booked/s")
		b.ReportMetric(calls/float64(*burstDonations), "calls/donation")
		b.ReportMetric(float64(refused), "refused")
	}
}

// durable starts a private Postgres that loses nothing, and returns its database's address.
func durable(b *testing.B) string {
	b.Helper()
	server, err := pgembed.Start(b.Context(), pgembed.Config{Durable: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := server.Stop(context.WithoutCancel(b.Context())); err != nil {
			b.Error(err)
		}
	})
	if err := app.Migrate(b.Context(), server.URL("postgres"), nil); err != nil {
		b.Fatal(err)
	}
	return server.URL("postgres")
}

// deliverAll sends all events there are, each once, and returns how many were accepted in a second. The requests are
// rendered and signed before, and written as they are, so that the senders cost about what pgbench does for the limit.
func deliverAll(b *testing.B, e *apptest.Env) float64 {
	b.Helper()
	events := e.Sim.Events("")
	requests := make([][]byte, len(events))
	for i, event := range events {
		requests[i] = webhookRequest(b, e, event.Payload)
	}
	start := time.Now()
	inParallel(func(sender int) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(e.URL, "http://"))
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		answers := bufio.NewReader(conn)
		for i := sender; i < len(requests); i += burstSenders {
			if err := exchange(conn, answers, requests[i]); err != nil {
				b.Error(err)
				return
			}
		}
	})
	return float64(len(events)) / time.Since(start).Seconds()
}

// webhookRequest is a delivery as it goes over the wire.
func webhookRequest(b *testing.B, e *apptest.Env, payload []byte) []byte {
	b.Helper()
	req, err := http.NewRequest(http.MethodPost, e.URL+"/v1/webhooks/stripe", bytes.NewReader(payload))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Stripe-Signature", sign(payload, apptest.WebhookSecret, e.Clock.Now()))
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	var wire bytes.Buffer
	if err := req.Write(&wire); err != nil {
		b.Fatal(err)
	}
	return wire.Bytes()
}

func exchange(conn io.Writer, answers *bufio.Reader, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// holdJob makes the account's job one that is snoozed: it is live, so no other is made, and
// rests.
func holdJob(b *testing.B, conn *pgx.Conn) {
	b.Helper()
	for start := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		held, err := conn.Exec(b.Context(), `
			UPDATE river.river_job AS j
			SET
				state = 'scheduled',
				scheduled_at = now() + interval '1 hour',
				finalized_at = NULL
			FROM webhooks.accounts AS a
			WHERE j.id = a.job_id
				AND j.state = 'completed'`)
		if err != nil {
			b.Fatal(err)
		}
		if held.RowsAffected() > 0 {
			break
		}
		if time.Since(start) > time.Minute {
			b.Fatal("the job does not end")
		}
	}
}

func forgetEvents(b *testing.B, conn *pgx.Conn) {
	b.Helper()
	if _, err := conn.Exec(b.Context(), `TRUNCATE webhooks.events`); err != nil {
		b.Fatal(err)
	}
}

// inParallel calls do for each sender.
func inParallel(do func(sender int)) {
	var group sync.WaitGroup
	for sender := range burstSenders {
		group.Go(func() { do(sender) })
	}
	group.Wait()
}

// giveBurst starts the donations.
func giveBurst(b *testing.B, e *apptest.Env, campaign string) {
	b.Helper()
	client := donationsv1.NewDonationsServiceClient(e.Conn)
	inParallel(func(sender int) {
		for i := sender; i < *burstDonations; i += burstSenders {
			if _, err := client.CreateDonation(b.Context(), donationTo(campaign)); err != nil {
				b.Error(err)
			}
		}
	})
	if b.Failed() {
		b.FailNow()
	}
}

// waitQuiet waits until Stripe has not been asked anything for a while.
func waitQuiet(b *testing.B, e *apptest.Env) {
	b.Helper()
	const quiet = 3 * time.Second
	asked, since := len(e.Sim.Requests()), time.Now()
	for start := time.Now(); time.Since(since) < quiet; time.Sleep(quiet / 10) {
		if now := len(e.Sim.Requests()); now != asked {
			asked, since = now, time.Now()
		}
		if time.Since(start) > time.Minute {
			b.Fatal("the program does not come to rest")
		}
	}
}

// payBurst pays them, and nothing of it is told yet.
func payBurst(b *testing.B, e *apptest.Env) {
	b.Helper()
	for _, s := range e.Sim.Sessions("") {
		if err := e.Sim.Pay(s.ID, stripesim.CardOK); err != nil {
			b.Fatal(err)
		}
	}
}

// eventLimitScript is one event in one commit, with the columns that a delivery stores; what is in them is one
// stored event's, but for its id.
const eventLimitScript = `
\set a random(1, 1000000000)
\set b random(1, 1000000000)
INSERT INTO limit_events (id, %[1]s) SELECT 'evt_' || :a || '-' || :b, %[1]s FROM limit_event;
`

var eventLimitRate = regexp.MustCompile(`tps = ([0-9.]+) `)

// eventLimit returns how many of the events that were stored pgbench inserts in a second, into a table with the same
// columns and indexes.
func eventLimit(b *testing.B, conn *pgx.Conn) float64 {
	b.Helper()
	if _, err := conn.Exec(b.Context(), `
		DROP TABLE IF EXISTS
			limit_events,
			limit_event;
		CREATE TABLE limit_events (LIKE webhooks.events INCLUDING ALL);
		CREATE TABLE limit_event AS SELECT * FROM webhooks.events LIMIT 1`); err != nil {
		b.Fatal(err)
	}
	var bin, columns string
	if err := conn.QueryRow(b.Context(), `
		SELECT
			(SELECT setting FROM pg_config WHERE name = 'BINDIR'),
			(
				SELECT string_agg(quote_ident(attname), ', ')
				FROM pg_attribute
				WHERE attrelid = 'limit_event'::regclass
					AND attnum > 0
					AND attname <> 'id'
			)`).Scan(&bin, &columns); err != nil {
		b.Fatal(err)
	}
	server := conn.Config()
	cmd := exec.CommandContext(b.Context(), filepath.Join(bin, "pgbench"), "--no-vacuum", "--protocol=prepared", "--file=-",
		fmt.Sprintf("--client=%d", burstSenders), "--jobs=2", "--time=3",
		"--host="+server.Host, fmt.Sprintf("--port=%d", server.Port), "--username="+server.User, server.Database)
	cmd.Env = []string{"PGPASSWORD=" + server.Password}
	cmd.Stdin = strings.NewReader(fmt.Sprintf(eventLimitScript, columns))
	output, err := cmd.CombinedOutput()
	match := eventLimitRate.FindSubmatch(output)
	if err != nil || match == nil {
		b.Fatalf("pgbench: %v: %s", err, output)
	}
	rate, err := strconv.ParseFloat(string(match[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return rate
}
