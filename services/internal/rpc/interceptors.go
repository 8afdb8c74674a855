package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// chain is the order of doc.go. A unary call runs it around its handler; a
// stream runs the last two steps when its request arrives.
type chain struct {
	authenticate func(ctx context.Context, key string) (access.Principal, error)
	validator    protovalidate.Validator
	logger       *slog.Logger
	metrics      *metrics
	timeout      time.Duration
}

func (c *chain) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, call := c.begin(ctx, info.FullMethod)
	defer func() {
		if err = call.end(recover(), err); err != nil {
			resp = nil
		}
	}()
	if ctx, err = call.identify(ctx); err != nil {
		return nil, err
	}
	if err = c.admit(ctx, info.FullMethod, req); err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

func (c *chain) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	ctx, call := c.begin(ss.Context(), info.FullMethod)
	defer func() { err = call.end(recover(), err) }()
	if ctx, err = call.identify(ctx); err != nil {
		return err
	}
	return handler(srv, &admittedStream{ServerStream: ss, ctx: ctx, admit: func(req any) error {
		return c.admit(ctx, info.FullMethod, req)
	}})
}

// admittedStream lets no request reach the handler unadmitted.
type admittedStream struct {
	grpc.ServerStream
	ctx   context.Context
	admit func(req any) error
}

func (s *admittedStream) Context() context.Context { return s.ctx }

func (s *admittedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return s.admit(m)
}

// call is one call on its way through the chain.
type call struct {
	chain  *chain
	ctx    context.Context
	method string
	start  time.Time
	caller Caller
}

// begin is steps 2 and 5; end, deferred, is steps 1, 3 and 4.
func (c *chain) begin(ctx context.Context, method string) (context.Context, *call) {
	caller := newCaller(ctx)
	ctx = WithCaller(ctx, caller)
	// Fails only when the stream is already broken, and then nobody reads it.
	_ = grpc.SetHeader(ctx, metadata.Pairs("x-request-id", caller.RequestID))
	return ctx, &call{chain: c, ctx: ctx, method: method, start: time.Now(), caller: caller}
}

// end turns a panic and an error into a status, logs and measures.
func (c *call) end(panicked any, err error) error {
	if panicked != nil {
		err = errs.Internal(fmt.Errorf("panic: %v\n%s", panicked, debug.Stack()))
	}
	if err == nil {
		c.observe(nil)
		return nil
	}
	classified := classify(c.ctx, err)
	c.observe(classified)
	return toStatus(classified, c.caller.RequestID).Err()
}

// identify is step 6. Without a key the caller is nobody, and public methods stay open.
func (c *call) identify(ctx context.Context) (context.Context, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get("authorization")
	if len(values) == 0 {
		return ctx, nil
	}
	scheme, key, ok := strings.Cut(values[0], " ")
	if len(values) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") {
		return ctx, errs.New(codes.Unauthenticated, "INVALID_KEY", "Send one header \"Authorization: Bearer KEY\".")
	}
	var err error
	if c.caller.Principal, err = c.chain.authenticate(ctx, strings.TrimSpace(key)); err != nil {
		return ctx, err
	}
	return WithCaller(ctx, c.caller), nil
}

// admit is steps 7 and 8.
func (c *chain) admit(ctx context.Context, method string, req any) error {
	msg, ok := req.(proto.Message)
	if !ok {
		return errs.Internal(fmt.Errorf("%s: request is a %T", method, req))
	}
	if err := access.Authorize(CallerFrom(ctx).Principal, method, msg); err != nil {
		return err
	}
	return c.validate(msg)
}

// observe logs who called what and how it ended: never what was said.
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
	if key := c.caller.Principal.Key; key != "" {
		attrs = append(attrs, slog.String("key", key))
	}
	if e != nil {
		code = e.Code
		attrs = append(attrs, slog.String("reason", e.Reason))
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
