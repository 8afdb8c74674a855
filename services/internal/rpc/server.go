package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"buf.build/go/protovalidate"
	"github.com/fullstorydev/grpchan/inprocgrpc"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"github.com/cagnotte/cagnotte/services/access"
)

const (
	// maxMessageBytes holds the largest bank statement that may be imported, 4 MiB, and what is around it.
	maxMessageBytes = 4<<20 + 64<<10
	// Nobody keeps a connection for ever, and with it the streams of health and reflection that it has
	// open; what is under way on one that has grown old gets the grace to end.
	maxConnectionAge, connectionGrace = 30 * time.Minute, 15 * time.Minute
	maxStreams                        = 100
	defaultTimeout                    = 30 * time.Second
)

// Config is what the door needs. Authenticate, Logger and Metrics are required.
type Config struct {
	// Authenticate tells whose key it is; access.Service has it.
	Authenticate func(ctx context.Context, key string) (access.Principal, error)
	Logger       *slog.Logger
	Metrics      prometheus.Registerer
	// Timeout bounds each unary call; 30 s when zero.
	Timeout time.Duration
}

// Server is a gRPC server with the chain and reflection, whose services can be called in process as well.
type Server struct {
	*grpc.Server
	metrics   *metrics
	inProcess channel
}

// channel lets who asked hear why a stream was refused, as a connection does: grpchan answers io.EOF to who sends the
// one request of a call that has ended, and generated code gives up with it.
type channel struct {
	inprocgrpc.Channel
	// calls bounds how many are under way, as a connection's streams are bounded: the rest waits, and leaves the
	// database to those, and to the jobs.
	calls *semaphore.Weighted
}

func (c *channel) unary(next grpc.UnaryServerInterceptor) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if err := c.calls.Acquire(ctx, 1); err != nil {
			return nil, status.FromContextError(err).Err()
		}
		defer c.calls.Release(1)
		return next(ctx, req, info, handler)
	}
}

func (c *channel) stream(next grpc.StreamServerInterceptor) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		if err := c.calls.Acquire(ss.Context(), 1); err != nil {
			return status.FromContextError(err).Err()
		}
		defer c.calls.Release(1)
		return next(srv, ss, info, handler)
	}
}

func (c *channel) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := c.Channel.NewStream(ctx, desc, method, opts...)
	if err != nil || desc.ClientStreams {
		return stream, err
	}
	return oneRequest{stream}, nil
}

type oneRequest struct{ grpc.ClientStream }

func (s oneRequest) SendMsg(m any) error {
	if err := s.ClientStream.SendMsg(m); !errors.Is(err, io.EOF) {
		return err
	}
	return nil // RecvMsg says how the call ended
}

// RegisterService implements grpc.ServiceRegistrar.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	s.metrics.expect(desc)
	s.Server.RegisterService(desc, impl)
	s.inProcess.RegisterService(desc, impl)
}

// Conn calls the services through the chain and no socket. What its metadata says of the caller is believed, so it is
// the gateway's alone. Calls end with the context that they were made with.
func (s *Server) Conn() grpc.ClientConnInterface { return &s.inProcess }

// Wait returns when no call in process is under way any more, also none whose caller has left, or with ctx's error.
// No other begins after it.
func (s *Server) Wait(ctx context.Context) error { return s.inProcess.calls.Acquire(ctx, maxStreams) }

// NewServer returns a server. The caller registers the services, serves, and stops it.
func NewServer(cfg Config) (*Server, error) {
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("rpc: make the validator: %w", err)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	c := &chain{
		authenticate: cfg.Authenticate,
		validator:    validator,
		logger:       cfg.Logger,
		metrics:      newMetrics(cfg.Metrics),
		timeout:      cfg.Timeout,
	}
	server := &Server{metrics: c.metrics, Server: grpc.NewServer(
		grpc.UnaryInterceptor(c.unary),
		grpc.StreamInterceptor(c.stream),
		grpc.MaxRecvMsgSize(maxMessageBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle:     5 * time.Minute,
			MaxConnectionAge:      maxConnectionAge,
			MaxConnectionAgeGrace: connectionGrace,
			Time:                  time.Minute,
		}),
	)}
	inside := &server.inProcess
	inside.calls = semaphore.NewWeighted(maxStreams)
	inside.WithServerUnaryInterceptor(inside.unary(c.unary)).WithServerStreamInterceptor(inside.stream(c.stream))
	reflection.Register(server.Server)
	return server, nil
}

type metrics struct {
	calls *prometheus.CounterVec
	took  *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cagnotte_rpc_calls_total",
			Help: "Calls answered, by method and code.",
		}, []string{"method", "code"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "cagnotte_rpc_seconds",
			Help:    "How long calls took, by method.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12),
		}, []string{"method"}),
	}
	r.MustRegister(m.calls, m.took)
	return m
}

// ours are the codes of failures that are the server's and not the caller's.
var ours = []codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.Internal, codes.Unknown, codes.DataLoss}

// expect tells the failures of a service's methods from 0 on: Prometheus sees no increase in what begins with the first,
// and that may be the donation on which an alert has to come.
func (m *metrics) expect(desc *grpc.ServiceDesc) {
	expect := func(method string) {
		for _, code := range slices.Concat(ours, []codes.Code{codes.OK}) {
			m.calls.WithLabelValues("/"+desc.ServiceName+"/"+method, code.String())
		}
	}
	for _, method := range desc.Methods {
		expect(method.MethodName)
	}
	for _, stream := range desc.Streams {
		expect(stream.StreamName)
	}
}

func (m *metrics) observe(method string, code codes.Code, took time.Duration) {
	m.calls.WithLabelValues(method, code.String()).Inc()
	m.took.WithLabelValues(method).Observe(took.Seconds())
}
