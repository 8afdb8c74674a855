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
	"google.golang.org/protobuf/proto"

	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/places"
)

const (
	// Nobody keeps a connection for ever, and with it the streams of health and reflection that it has
	// open; what is under way on one that has grown old gets the grace to end. One on which nothing happens is closed.
	maxConnectionAge, connectionGrace, maxIdle = 30 * time.Minute, 15 * time.Minute, 2 * time.Minute
	// A client may ask as often whether we are there.
	minPing = 30 * time.Second
	// maxStreams is how many calls one connection may have under way, maxHeaderBytes what their headers may hold.
	maxStreams, maxHeaderBytes = 100, 16 * kilobyte
	// BodyBytes is what the bodies of all requests may hold at once, and BodyShare the part of it of one network, which is
	// that of the largest upload by REST: 12 MiB in a buffer of 16, and two copies of it while it is decoded.
	BodyBytes, BodyShare = 128 * megabyte, 40 * megabyte
	healthBytes          = 8 * megabyte
	// allCalls is more calls than are ever under way in process.
	allCalls = 1 << 30
)

// Config configures a Server. Authenticate, Logger and Metrics are required.
type Config struct {
	// Authenticate tells whose key it is; access.Service has it.
	Authenticate func(ctx context.Context, key string) (access.Principal, error)
	// Authorize decides whether a call is allowed; access.Authorize when nil. Only tests have another.
	Authorize func(p access.Principal, method string, req proto.Message) error
	Logger    *slog.Logger
	Metrics   prometheus.Registerer
	// Timeout bounds each unary call, where its class does not bound it more.
	Timeout time.Duration
	// Bodies is the budget of bytes that requests may hold, which the gateway shares; NewBodies when nil.
	Bodies *places.Set
	// WriteLimit is how often one key may write; DefaultWriteLimit when zero.
	WriteLimit WriteLimit
}

// Server is a gRPC server with the chain and reflection. Its services can also be called in process, by Conn.
type Server struct {
	*grpc.Server
	chain     *chain
	inProcess channel
}

// NewBodies returns the budget of memory for the bodies of requests, with a share for each network.
func NewBodies() *places.Set {
	return places.New(places.Config{All: BodyBytes, Each: BodyShare, Wait: 2 * time.Second, Line: BodyBytes})
}

// channel tells the caller why a stream was refused, as a connection does: grpchan answers io.EOF to who sends the
// one request of a call that has ended, and generated code gives up with it.
type channel struct {
	inprocgrpc.Channel
	// calls are those under way, to be waited for.
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
	s.chain.metrics.expect(desc)
	s.Server.RegisterService(s.chain.streaming(desc), impl)
	s.inProcess.RegisterService(desc, impl)
}

// streaming makes a stream of each method. On the wire nothing changes; but grpc reads a method's request before it asks
// the chain, and a stream's when its handler does.
func (c *chain) streaming(desc *grpc.ServiceDesc) *grpc.ServiceDesc {
	all := *desc
	all.Methods, all.Streams = nil, slices.Clone(desc.Streams)
	for _, method := range desc.Methods {
		info := &grpc.StreamServerInfo{FullMethod: "/" + desc.ServiceName + "/" + method.MethodName}
		handle := func(srv any, ss grpc.ServerStream) error {
			// The stream's context has its scope once the request is read, after Handler was called.
			resp, err := method.Handler(srv, ss.Context(), ss.RecvMsg,
				func(_ context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
					return handler(ss.Context(), req)
				})
			if err != nil {
				return err
			}
			return ss.SendMsg(resp)
		}
		all.Streams = append(all.Streams, grpc.StreamDesc{
			StreamName: method.MethodName,
			// grpc has no stream interceptor for a stream that goes neither way.
			Handler: func(srv any, ss grpc.ServerStream) error { return c.network(srv, ss, info, handle) },
		})
	}
	return &all
}

// Conn returns a connection that calls the services through the chain, without a socket. Its metadata says who calls, and
// is believed: only the gateway may have it. A call ends with its context.
func (s *Server) Conn() grpc.ClientConnInterface { return &s.inProcess }

// Wait lets no new call in process begin, and returns when all have ended, also those whose caller has left. It returns
// ctx's error when that ends first.
func (s *Server) Wait(ctx context.Context) error { return s.inProcess.calls.Acquire(ctx, allCalls) }

// NewServer returns a server. The caller registers the services, serves, and stops it.
func NewServer(cfg Config) (*Server, error) {
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("rpc: make the validator: %w", err)
	}
	if cfg.Authorize == nil {
		cfg.Authorize = access.Authorize
	}
	if cfg.Bodies == nil {
		cfg.Bodies = NewBodies()
	}
	c := &chain{
		authenticate: cfg.Authenticate,
		validator:    validator,
		logger:       cfg.Logger,
		metrics:      newMetrics(cfg.Metrics),
		bounds:       newBounds(cfg.Timeout),
		authorize:    cfg.Authorize,
		writers:      newWriters(cfg.WriteLimit),
		bodies:       cfg.Bodies,
		healthBodies: places.New(places.Config{All: healthBytes, Each: healthBytes / 8}),
	}
	server := &Server{chain: c, Server: grpc.NewServer(
		grpc.StreamInterceptor(c.network),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle:     maxIdle,
			MaxConnectionAge:      maxConnectionAge,
			MaxConnectionAgeGrace: connectionGrace,
			Time:                  time.Minute,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
	)}
	inside := &server.inProcess
	inside.calls = semaphore.NewWeighted(allCalls)
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
