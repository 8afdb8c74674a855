package rpc

import (
	"context"
	"net"
	"net/netip"
	"regexp"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/cagnotte/cagnotte/services/access"
)

// metadataAcceptLanguage is the header of HTTP, in metadata.
const metadataAcceptLanguage = "accept-language"

// The metadata that the gateway sends. It counts in process only: a client on the network cannot choose its own address.
const (
	metadataClientAddress = "cagnotte-client-address"
	metadataOrigin        = "cagnotte-origin"
	metadataRequestID     = "cagnotte-request-id"
)

// Caller is what is known of the caller.
type Caller struct {
	// Principal is the holder of the key; the zero Principal without one.
	Principal access.Principal
	// Address is where the call comes from. It is neither stored nor logged: keyed hashes of it and of its networks limit how many
	// payments are started. Invalid when unknown.
	Address netip.Addr
	// Network is the caller's network, /24 for IPv4 and /48 for IPv6: enough to limit
	// abuse, and less than an address. Invalid when unknown.
	Network netip.Prefix
	// Origin is the browser's Origin header; empty when there was none.
	Origin string
	// Method is what is called, "/package.Service/Method", or the name of a command; empty for what the program does by
	// itself.
	Method string
	// RequestID stands in the log and in the answer.
	RequestID string
	// AcceptLanguage is the Accept-Language header or metadata, for the texts of errors; empty when there was none.
	AcceptLanguage string
}

// inProcess is the network of a peer that calls by [Server.Conn].
const inProcess = "inproc"

type callerKey struct{}

// WithCaller returns a context that carries the caller, for calls in process.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return access.WithPrincipal(context.WithValue(ctx, callerKey{}, c), c.Principal)
}

// CallerFrom returns the context's caller; the zero Caller when there is none.
func CallerFrom(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9-]{8,64}$`)

// newCaller reads what the connection and, from the gateway, the metadata tell.
func newCaller(ctx context.Context) Caller {
	var c Caller
	md, _ := metadata.FromIncomingContext(ctx)
	c.AcceptLanguage = first(md, metadataAcceptLanguage)
	p, ok := peer.FromContext(ctx)
	switch {
	case !ok:
	case isInProcess(ctx):
		if addr, err := netip.ParseAddr(first(md, metadataClientAddress)); err == nil {
			c.Address, c.Network = addr.Unmap().WithZone(""), network(addr)
		}
		c.Origin = first(md, metadataOrigin)
		if id := first(md, metadataRequestID); requestIDPattern.MatchString(id) {
			c.RequestID = id
		}
	default:
		if tcp, ok := p.Addr.(*net.TCPAddr); ok {
			addr := tcp.AddrPort().Addr()
			c.Address, c.Network = addr.Unmap().WithZone(""), network(addr)
		}
	}
	if c.RequestID == "" {
		c.RequestID = uuid.NewString()
	}
	return c
}

// isInProcess reports whether the peer called by [Server.Conn].
func isInProcess(ctx context.Context) bool {
	p, ok := peer.FromContext(ctx)
	return ok && p.Addr.Network() == inProcess
}

// network cuts an address down to what one household or office has in common.
func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

func first(md metadata.MD, key string) string {
	if values := md.Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}
