package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/places"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// chain runs the steps of doc.go. A unary call in process has them around its handler. Over the network every call is run
// as a stream, so that no request is read before its caller is known; steps 7 to 10 come when the request arrives.
type chain struct {
	authenticate func(ctx context.Context, key string) (access.Principal, error)
	authorize    func(p access.Principal, method string, req proto.Message) error
	validator    protovalidate.Validator
	logger       *slog.Logger
	metrics      *metrics
	bounds       bounds
	writers      *writers
	// bodies is the budget of bytes that requests may hold, and healthBodies the one of health alone.
	bodies, healthBodies *places.Set
}

func (c *chain) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	ctx, call := c.begin(ctx, info.FullMethod)
	defer func() {
		if err = call.end(recover(), err); err != nil {
			resp = nil
		}
	}()
	if ctx, err = call.identify(ctx); err != nil {
		return nil, err
	}
	ctx = call.limitTime(ctx)
	leave, err := call.admit(ctx, req)
	if err != nil {
		return nil, err
	}
	defer leave()
	return handler(c.scope(ctx, info.FullMethod, req), req)
}

// stream runs a stream in process.
func (c *chain) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return c.run(srv, ss, info, handler, func(_ context.Context, _ *call, m any) error { return ss.RecvMsg(m) })
}

// network runs a call that came over the network. It takes from the budget what the caller may send before it is read.
func (c *chain) network(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return c.run(srv, ss, info, handler, func(ctx context.Context, call *call, m any) error {
		if call.received {
			return c.readMessage(ctx, call.bound.maxBytes, m)
		}
		return c.inTime(ctx, call.bound.maxBytes, m)
	})
}

func (c *chain) run(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler,
	receive func(ctx context.Context, call *call, m any) error,
) (err error) {
	ctx, call := c.begin(ss.Context(), info.FullMethod)
	leave := func() {}
	// The place is held until the call has ended, and given back after a panic too.
	defer func() { leave() }()
	defer func() { err = call.end(recover(), err) }()
	if !call.inProcess {
		budget := c.bodies
		if call.bound == c.bounds[ClassHealth] {
			budget = c.healthBodies
		}
		release, ok := budget.Take(ctx, call.caller.Network.String(), streamWindow)
		if !ok {
			return errBusy
		}
		defer release()
	}
	if ctx, err = call.identify(ctx); err != nil {
		return err
	}
	if !info.IsClientStream && !info.IsServerStream {
		ctx = call.limitTime(ctx)
	}
	admitted := &admittedStream{ServerStream: ss, ctx: ctx}
	admitted.receive = func(m any) error {
		if err := receive(ctx, call, m); errors.Is(err, io.EOF) && !info.IsClientStream {
			return errs.New(errorsv1.ErrorReason_NO_MESSAGE, "The call came without its message.")
		} else if err != nil {
			return err
		}
		if call.received {
			return c.check(ctx, info.FullMethod, m)
		}
		call.received = true
		left, err := call.admit(ctx, m)
		if err == nil {
			leave = left
			admitted.ctx = c.scope(ctx, info.FullMethod, m)
		}
		return err
	}
	return handler(srv, admitted)
}

// admittedStream admits each request before the handler gets it. Its context has the scope of the first request.
type admittedStream struct {
	grpc.ServerStream
	ctx     context.Context
	receive func(m any) error
}

func (s *admittedStream) Context() context.Context { return s.ctx }

func (s *admittedStream) RecvMsg(m any) error { return s.receive(m) }

// call is one call on its way through the chain.
type call struct {
	chain  *chain
	ctx    context.Context
	cancel context.CancelFunc
	method string
	start  time.Time
	caller Caller
	// bound is what its class may use: the class of a call without a key until the key is known.
	bound *bound
	// inProcess: it came by [Server.Conn]. received: its first message is there.
	inProcess, received bool
}

// begin is steps 2 and 5; end, deferred, is steps 1, 3 and 4.
func (c *chain) begin(ctx context.Context, method string) (context.Context, *call) {
	caller := newCaller(ctx)
	caller.Method = method
	ctx = WithCaller(ctx, caller)
	// Fails only when the stream is already broken, and then nobody reads it.
	_ = grpc.SetHeader(ctx, metadata.Pairs("x-request-id", caller.RequestID))
	return ctx, &call{
		chain: c, ctx: ctx, cancel: func() {}, method: method, start: time.Now(), caller: caller,
		bound: c.bounds.of(method, false), inProcess: isInProcess(ctx),
	}
}

// limitTime bounds a call that is no stream, until its end.
func (c *call) limitTime(ctx context.Context) context.Context {
	c.ctx, c.cancel = context.WithTimeout(ctx, c.bound.timeout)
	return c.ctx
}

// end turns a panic and an error into a status, logs and measures.
func (c *call) end(panicked any, err error) error {
	defer c.cancel()
	if panicked != nil {
		err = errs.Internal(fmt.Errorf("panic: %v\n%s", panicked, debug.Stack()))
	}
	if err == nil {
		c.observe(nil)
		return nil
	}
	classified := classify(c.ctx, err)
	c.observe(classified)
	return toStatus(classified, c.caller).Err()
}

// identify is step 6. Whose key it is, is looked for among all. Without a key the caller is the zero Principal, who may call public methods.
func (c *call) identify(ctx context.Context) (context.Context, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if values := md.Get("authorization"); len(values) > 0 {
		scheme, key, ok := strings.Cut(values[0], " ")
		if len(values) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") {
			return ctx, errs.New(errorsv1.ErrorReason_INVALID_KEY, "Send one header \"Authorization: Bearer KEY\".")
		}
		var err error
		if c.caller.Principal, err = c.lookUp(ctx, strings.TrimSpace(key)); err != nil {
			return ctx, err
		}
		c.bound = c.chain.bounds.of(c.method, true)
		ctx = WithCaller(ctx, c.caller)
	}
	return ctx, access.AuthorizeUnread(c.caller.Principal, c.method)
}

// lookUp returns the holder of a key. Look-ups have places of their own, so that invalid keys take none of the calls'.
func (c *call) lookUp(ctx context.Context, key string) (access.Principal, error) {
	keys := c.chain.bounds[classKeys]
	ctx, cancel := context.WithTimeout(ctx, keys.timeout)
	defer cancel()
	leave, err := keys.enter(ctx, nil)
	if err != nil {
		return access.Principal{}, err
	}
	defer leave()
	return c.chain.authenticate(postgres.WithScope(ctx, postgres.AllScope()), key)
}

// admit is steps 7 to 10. The returned function gives the call's place back.
func (c *call) admit(ctx context.Context, req any) (leave func(), err error) {
	if err := c.chain.check(ctx, c.method, req); err != nil {
		return nil, err
	}
	if p := c.caller.Principal; !p.IsZero() && kinds[c.method].writes() {
		if err := c.chain.writers.count(p, time.Now()); err != nil {
			return nil, err
		}
	}
	msg, _ := req.(proto.Message)
	return c.bound.enter(ctx, msg)
}

// check is steps 7 and 8.
func (c *chain) check(ctx context.Context, method string, req any) error {
	msg, ok := req.(proto.Message)
	if !ok {
		return errs.Internal(fmt.Errorf("%s: request is a %T", method, req))
	}
	if err := c.authorize(CallerFrom(ctx).Principal, method, msg); err != nil {
		return err
	}
	return c.validate(msg)
}

// observe logs and measures who called what, and how it ended. It logs nothing of the request or the answer.
func (c *call) observe(e *errs.Error) {
	took := time.Since(c.start)
	code, level := codes.OK, slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("method", c.method),
		slog.String("request_id", c.caller.RequestID),
		slog.Duration("took", took),
	}
	if strings.HasPrefix(c.method, "/grpc.") {
		level = slog.LevelDebug
	}
	if name := c.caller.Principal.Name; name != "" {
		attrs = append(attrs, slog.String("caller", name))
	}
	if e != nil {
		code = e.Code
		attrs = append(attrs, slog.String("reason", e.Reason.String()))
		if e.Cause != nil {
			attrs = append(attrs, slog.String("cause", e.Cause.Error()))
		}
		switch code {
		case codes.Internal, codes.Unknown, codes.DataLoss:
			level = slog.LevelError
		case codes.Unavailable, codes.DeadlineExceeded, codes.Aborted:
			level = slog.LevelWarn
		}
	}
	c.chain.metrics.observe(c.method, code, took)
	c.chain.logger.LogAttrs(c.ctx, level, "rpc", append(attrs, slog.String("code", code.String()))...)
}
