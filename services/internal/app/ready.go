package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

const (
	readyEvery   = time.Second
	readyTimeout = 2 * time.Second
	// bindTimeout is for one call to Stripe and a look at the database; readiness is not told meanwhile.
	bindTimeout = 3 * time.Second
	// A job is cut off after jobTimeout. One that a killed program left running is taken up
	// again after rescueAfter, which must be longer.
	jobTimeout  = 3 * time.Minute
	rescueAfter = 4 * time.Minute
	jobWorkers  = 8
	// sealEvery is the pause between two looks for postings to seal.
	sealEvery = 3 * time.Second
)

// watch looks at the database every second until ctx is done and tells health. The first time that it is ready
// and the books are known to be of Stripe's key, it starts the jobs and the sealer. Before it returns, jobs under
// way have ended or been cut off, and so has the sealer, which loses nothing by it.
func (a *App) watch(ctx context.Context, cfg Config) {
	var jobs *jobClient
	var looked bool
	var sealer sync.WaitGroup
	defer sealer.Wait()
	// said is the reason that health has, empty when ready. waits is the last error of the start of jobs. Both make a
	// log line appear once for each change.
	said, waits := "starting", ""
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	for {
		reason := a.unready(ctx)
		if reason == "" && jobs == nil {
			reason = a.behind(ctx)
		}
		if ctx.Err() == nil && reason != said {
			said = reason
			a.tellHealth(reason)
		}
		// Once is enough, but the database has to answer first.
		if reason == "" && !looked {
			looked = a.lookAtLogin(ctx)
		}
		// After health was told: pages and answers do without Stripe, only what writes to the books does not.
		if reason == "" && jobs == nil && ctx.Err() == nil {
			var err error
			if jobs, err = a.startJobs(ctx, cfg); err == nil {
				sealer.Go(func() { a.seal(ctx) })
			} else if why := err.Error(); why != waits && ctx.Err() == nil {
				waits = why
				a.logger.Warn("jobs wait", "why", err)
			}
		}
		select {
		case <-ctx.Done():
			if jobs != nil {
				stopJobs(jobs, cfg)
			}
			return
		case <-tick.C:
		}
	}
}

// tellHealth sets the status of the gRPC health service, and logs the change.
func (a *App) tellHealth(reason string) {
	if reason == "" {
		a.health.SetServingStatus(healthName, healthv1.HealthCheckResponse_SERVING)
		a.logger.Info("ready")
		return
	}
	a.health.SetServingStatus(healthName, healthv1.HealthCheckResponse_NOT_SERVING)
	a.logger.Warn("not ready", "why", reason)
}

// lookAtLogin warns when DATABASE_URL is the owner's: whoever got hold of the program could change the books. It
// reports whether the database answered.
func (a *App) lookAtLogin(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	owns, err := postgres.LoginOwns(ctx, a.pool)
	if owns {
		a.logger.Warn("DATABASE_URL logs in as a role that can change the tables of the books, as their owner or a superuser can: " +
			"give `serve` one that is a member of " + postgres.ServiceRole + " and owns nothing")
	}
	return err == nil
}

func (a *App) seal(ctx context.Context) {
	failed := func(err error) { a.logger.Warn("sealing failed, and is tried again", "error", err) }
	var log sync.WaitGroup
	log.Go(func() { a.services.audit.KeepSealing(ctx, sealEvery, failed) })
	a.services.ledger.KeepSealing(ctx, sealEvery, failed)
	log.Wait()
}

// unready says why the program cannot work, or nothing.
func (a *App) unready(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	current, wanted, err := postgres.SchemaState(ctx, a.pool)
	switch {
	case err != nil:
		return "the database does not answer: " + err.Error()
	case current < wanted:
		return fmt.Sprintf("%d of %d migrations are applied: run `cagnotte migrate`", current, wanted)
	}
	return ""
}

// behind stops the program on a cluster that counts its transactions from less than the books know, and says so: what
// it posted there could never be sealed.
func (a *App) behind(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	err := a.services.ledger.CheckCounter(ctx)
	if err == nil {
		return ""
	}
	if e := errs.As(err); e.Reason == errorsv1.ErrorReason_SEAL_POSITION_AHEAD {
		// An error in this group ends serving, and with it the program.
		a.serving.Go(func() error { return errors.New("DATABASE_URL: " + e.Message) })
	}
	return "the books: " + err.Error()
}

// bind makes sure that the books are of the account and the mode of Stripe's keys, before a job writes to them.
// Of one that Stripe does not know only the mode is compared: it was rolled, or is not in force yet, and is looked at
// again before it is used. What needs no Stripe goes on.
func (a *App) bind(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bindTimeout)
	defer cancel()
	for _, key := range a.services.stripe.EachKey() {
		err := a.bindKey(ctx, key)
		if stripe.Unknown(err) {
			a.logger.Warn("Stripe does not know a key in STRIPE_API_KEY, so only its mode is compared with the books'")
			err = a.bindTo(ctx, "")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bindKey is bind for one key, which is an error that [stripe.Unknown] knows if Stripe does not know it.
func (a *App) bindKey(ctx context.Context, key *stripe.Client) error {
	account, err := key.OwnAccount(ctx)
	// A restricted key may lack the permission. An empty account makes bindTo compare the mode alone.
	if stripe.KindOf(err) == stripe.Refused {
		a.logger.Warn("STRIPE_API_KEY may not read its own account, so only its mode is compared with the books'")
		err = nil
	}
	if err != nil {
		return err
	}
	return a.bindTo(ctx, account)
}

// bindTo binds the books to a key's account. With another's the program stops.
func (a *App) bindTo(ctx context.Context, account string) error {
	err := a.services.connect.BindPlatform(ctx, account, a.services.stripe.Livemode())
	if e := errs.As(err); e != nil && e.Reason == errorsv1.ErrorReason_OTHER_STRIPE {
		a.serving.Go(func() error { return errors.New("STRIPE_API_KEY: " + e.Message) })
	}
	return err
}

// startJobs starts the one client that works jobs, and gives it what the program before may have left.
func (a *App) startJobs(ctx context.Context, cfg Config) (*jobClient, error) {
	if err := a.bind(ctx); err != nil {
		return nil, err
	}
	workers := river.NewWorkers()
	a.services.access.Workers(workers)
	a.services.notices.Workers(workers)
	a.services.approvals.Workers(workers)
	a.services.collectives.Workers(workers)
	a.services.connect.Workers(workers)
	a.services.wall.Workers(workers)
	a.services.donations.Workers(workers)
	a.services.refunds.Workers(workers)
	a.services.receipts.Workers(workers)
	a.services.webhooks.Workers(workers)
	a.services.bank.Workers(workers)
	a.services.instance.Workers(workers)
	// Some jobs of donations, refunds and mail have queues with limits of their own.
	queues := a.services.donations.Queues()
	queues[river.QueueDefault] = river.QueueConfig{MaxWorkers: jobWorkers}
	maps.Copy(queues, a.services.refunds.Queues())
	maps.Copy(queues, mail.Queues())
	client, err := river.NewClient(riverpgxv5.New(a.pool), &river.Config{
		Schema:  postgres.RiverSchema,
		Queues:  queues,
		Workers: workers,
		PeriodicJobs: slices.Concat(
			a.services.access.PeriodicJobs(), a.services.connect.PeriodicJobs(), a.services.approvals.PeriodicJobs(), a.services.wall.PeriodicJobs(), a.services.donations.PeriodicJobs(), a.services.refunds.PeriodicJobs(), a.services.receipts.PeriodicJobs(), a.services.webhooks.PeriodicJobs(), a.services.bank.PeriodicJobs(),
		),
		JobTimeout:           jobTimeout,
		RescueStuckJobsAfter: rescueAfter,
		// Rebuilding indexes is their owner's right, not the service's.
		ReindexerIndexNames: []string{},
		Logger:              cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	// Before the start, so that a failure of it leaves no client behind that nobody stops.
	if err := a.services.webhooks.CatchUp(ctx); err != nil {
		return nil, err
	}
	// Jobs outlive the context that starts them: Stop ends them. They have its scope: a job works for all collectives.
	if err := client.Start(postgres.WithScope(context.Background(), postgres.AllScope())); err != nil {
		return nil, err
	}
	return client, nil
}

// stopJobs lets jobs end for half of the grace, then cancels them and waits for another quarter.
func stopJobs(jobs *jobClient, cfg Config) {
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace/2)
	defer cancel()
	if err := jobs.Stop(ctx); err == nil {
		return
	}
	ctx, cancel = context.WithTimeout(context.Background(), stopGrace/4)
	defer cancel()
	if err := jobs.StopAndCancel(ctx); err != nil {
		cfg.Logger.Warn("jobs did not stop in time", "error", err)
	}
}
