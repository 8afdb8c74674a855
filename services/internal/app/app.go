package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/riverqueue/river"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/health"

	"github.com/cagnotte/cagnotte/gateway"
	"github.com/cagnotte/cagnotte/services/internal/places"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
)

// healthName is the service name under which readiness is told over gRPC.
const healthName = "cagnotte"

// stopGrace is how long calls and jobs may take to end when the program stops.
const stopGrace = 20 * time.Second

// App is a running program.
type App struct {
	logger   *slog.Logger
	pool     *pgxpool.Pool
	services *services
	health   *health.Server
	rpc      *rpc.Server
	// bodies is the budget of bytes that requests may hold, of both ports together.
	bodies *places.Set
	http   *http.Server
	admin  *http.Server

	httpAddr, grpcAddr, adminAddr net.Addr

	// serving is done when a server failed or the app was stopped.
	serving   *errgroup.Group
	servingCx context.Context
	// minding ends the readiness loop and the jobs.
	stopMinding context.CancelFunc
	minded      chan struct{}
}

// Start listens on every address and serves. The context bounds starting only; the caller
// ends the app with Stop.
func Start(ctx context.Context, cfg Config) (_ *App, err error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	a := &App{logger: cfg.Logger, health: health.NewServer(), bodies: rpc.NewBodies()}
	// Whatever was opened is closed when a later step fails.
	defer func() {
		if err != nil {
			a.close()
		}
	}()

	// First, so that a taken port is noticed before anything is opened. Listeners queue connections until serve accepts
	// them.
	listeners, err := a.listen(ctx, cfg)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := a.wire(ctx, cfg, registry); err != nil {
		return nil, err
	}
	handler, err := gateway.New(a.rpc.Conn(), gateway.Options{
		PublicURL:       cfg.PublicURL,
		OnionURL:        cfg.OnionURL,
		Host:            cfg.Host,
		TrustedProxies:  cfg.TrustedProxies,
		CheckoutOrigins: checkoutOrigins(cfg),
		PortalOrigins:   portalOrigins(cfg),
		Bodies:          a.bodies,
		Reads:           places.New(publicReads),
		Now:             cfg.Now,
		Logger:          cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("app: make the gateway: %w", err)
	}
	a.http = newHTTPServer(handler, cfg.Logger)
	a.admin = newHTTPServer(adminHandler(registry), cfg.Logger)

	a.serve(listeners)
	a.mind(cfg)
	return a, nil
}

// HTTPAddr is where REST, widget and pages are served.
func (a *App) HTTPAddr() net.Addr { return a.httpAddr }

// GRPCAddr is where gRPC is served.
func (a *App) GRPCAddr() net.Addr { return a.grpcAddr }

// AdminAddr is where metrics and profiles are served.
func (a *App) AdminAddr() net.Addr { return a.adminAddr }

// Done is closed when the app no longer serves, by Stop or because a server failed.
func (a *App) Done() <-chan struct{} { return a.servingCx.Done() }

// Stop takes the app down: first it says that it is not ready, then it stops to accept and
// lets calls and jobs end within a grace, or until ctx is done. It answers the error that
// ended serving, if one did. Called once.
func (a *App) Stop(ctx context.Context) error {
	// Readiness ends first. Jobs are told to stop and end beside the servers. The pool is closed last, because all of
	// them use it.
	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	a.health.Shutdown()
	a.stopMinding()

	err := errors.Join(a.shutDown(ctx, a.http), a.shutDown(ctx, a.admin))
	// The gateway has no call open any more that anybody waits for; those who speak gRPC themselves get the same grace.
	graceful := make(chan struct{})
	go func() { a.rpc.GracefulStop(); close(graceful) }()
	select {
	case <-graceful:
	case <-ctx.Done():
		a.rpc.Stop()
		<-graceful
	}
	if a.rpc.Wait(ctx) != nil {
		a.logger.Warn("calls were cut off by the stop", "grace", stopGrace)
	}
	<-a.minded
	err = errors.Join(err, a.serving.Wait())
	a.close()
	return err
}

// shutDown lets requests end, and cuts off those that outlast the grace: an export whose reader is
// slow is no failure of the program's.
func (a *App) shutDown(ctx context.Context, server *http.Server) error {
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		a.logger.Warn("requests were cut off by the stop", "grace", stopGrace)
		return server.Close()
	}
	return err
}

// drain says that the app is not ready, and serves on for a while: a load balancer must look before it sends
// nobody here any more.
func (a *App) drain(delay time.Duration) {
	a.health.Shutdown()
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.Done():
	}
}

// Run starts the app, tells ready about it, and stops it when ctx is done or a server fails.
func Run(ctx context.Context, cfg Config, ready func(*App)) error {
	a, err := Start(ctx, cfg)
	if err != nil {
		return err
	}
	ready(a)
	select {
	case <-ctx.Done():
		a.drain(cfg.DrainDelay)
	case <-a.Done():
	}
	cfg.Logger.Info("stopping")
	return a.Stop(context.WithoutCancel(ctx))
}

// listeners are what the servers accept on.
type listeners struct{ http, grpc, admin net.Listener }

// listen opens every address before anything else, so that a taken port is one clear line.
func (a *App) listen(ctx context.Context, cfg Config) (l listeners, err error) {
	var lc net.ListenConfig
	var opened []net.Listener
	defer func() {
		if err != nil {
			for _, o := range opened {
				o.Close()
			}
		}
	}()
	// The name of the variable is in the error, so that an operator sees which setting to change.
	for _, want := range []struct {
		name, addr string
		at         *net.Listener
	}{
		{"CAGNOTTE_HTTP_ADDR", cfg.HTTPAddr, &l.http},
		{"CAGNOTTE_GRPC_ADDR", cfg.GRPCAddr, &l.grpc},
		{"CAGNOTTE_ADMIN_ADDR", cfg.AdminAddr, &l.admin},
	} {
		listener, err := lc.Listen(ctx, "tcp", want.addr)
		if err != nil {
			return l, fmt.Errorf("%s: cannot listen on %s: %w", want.name, want.addr, cause(err))
		}
		*want.at = listener
		opened = append(opened, listener)
	}
	// The port for operators has no limit, as it is not public.
	l.http = limitConnections(l.http, httpConnections, cfg.TrustedProxies)
	l.grpc = limitConnections(l.grpc, grpcConnections, cfg.TrustedProxies)
	a.httpAddr, a.grpcAddr, a.adminAddr = l.http.Addr(), l.grpc.Addr(), l.admin.Addr()
	return l, nil
}

// cause is the innermost error: "address already in use" without the address twice.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// serve starts the servers. When one fails, the errgroup's context ends, and with it Done.
func (a *App) serve(l listeners) {
	// Not the context of Start, which bounds starting only.
	a.serving, a.servingCx = errgroup.WithContext(context.Background())
	for _, s := range []struct {
		server   *http.Server
		listener net.Listener
	}{{a.http, l.http}, {a.admin, l.admin}} {
		a.serving.Go(func() error {
			if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	a.serving.Go(func() error { return a.rpc.Serve(l.grpc) })
}

// mind keeps readiness true to the database, and starts the jobs once it is there.
func (a *App) mind(cfg Config) {
	ctx, cancel := context.WithCancel(postgres.WithScope(context.Background(), postgres.AllScope()))
	a.stopMinding, a.minded = cancel, make(chan struct{})
	go func() {
		defer close(a.minded)
		a.watch(ctx, cfg)
	}()
}

// close releases what wire opened. The pool is nil if starting failed before.
func (a *App) close() {
	if a.pool != nil {
		a.pool.Close()
	}
}

// checkoutOrigins is where a form of ours may lead a browser to: Stripe's payment page, or
// the simulator's.
func checkoutOrigins(cfg Config) []string {
	if cfg.StripeAPIBase != "" {
		return []string{cfg.StripeAPIBase}
	}
	return []string{"https://checkout.stripe.com"}
}

// portalOrigins are where Stripe's billing portal is.
func portalOrigins(cfg Config) []string {
	if cfg.StripeAPIBase != "" {
		return []string{cfg.StripeAPIBase}
	}
	return []string{"https://billing.stripe.com"}
}

// jobClient inserts jobs; the one that works them is made from the same parts in watch.
type jobClient = river.Client[pgx.Tx]
