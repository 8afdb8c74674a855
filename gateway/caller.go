package gateway

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"
)

// The metadata keys that tell the services who called.
const (
	authorizationKey = "authorization"
	addressKey       = "cagnotte-client-address"
	originKey        = "cagnotte-origin"
	requestIDKey     = "cagnotte-request-id"
	languageKey      = "accept-language"
)

// requestIDPattern is the shape of an incoming id that is used: it cannot forge a line of the log.
// An id of another form is replaced and not refused.
var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9-]{8,64}$`)

// callerMetadata returns the metadata that tells the services who sent the request.
// Headers in which a client sends these keys itself become no metadata (withCaller), so the services can rely on
// them.
func callerMetadata(r *http.Request, requestID string, proxies []netip.Prefix) metadata.MD {
	md := metadata.Pairs(requestIDKey, requestID)
	if address := clientAddress(r, proxies); address.IsValid() {
		md.Set(addressKey, address.String())
	}
	if origin := r.Header.Get("Origin"); printable(origin) {
		md.Set(originKey, origin)
	}
	if languages := r.Header.Get("Accept-Language"); printable(languages) {
		md.Set(languageKey, languages)
	}
	// The services refuse a request with two of them.
	for _, authorization := range r.Header.Values("Authorization") {
		if printable(authorization) {
			md.Append(authorizationKey, authorization)
		}
	}
	return md
}

// requestID returns the caller's own id when it is well-formed, else a new one.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); requestIDPattern.MatchString(id) {
		return id
	}
	// The caller finds this id in the answer's X-Request-Id.
	return uuid.NewString()
}

// requestIDFrom returns the id that the gateway gave the request.
func requestIDFrom(ctx context.Context) string { return outgoing(ctx, requestIDKey) }

// outgoing returns what the gateway tells the services of the request under this key; empty for nothing.
func outgoing(ctx context.Context, key string) string {
	md, _ := metadata.FromOutgoingContext(ctx)
	if values := md.Get(key); len(values) == 1 {
		return values[0]
	}
	return ""
}

// clientAddress returns the address of the peer. When the peer is a trusted proxy, it is the last address in
// X-Forwarded-For that is not a trusted proxy's: the client can write everything before it. It is invalid when the peer
// has no IP address.
func clientAddress(r *http.Request, proxies []netip.Prefix) netip.Addr {
	// The addresses are read from the last to the first, for as long as the one before was a trusted proxy's.
	address := parseAddress(r.RemoteAddr)
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(forwarded) - 1; i >= 0 && trusted(address, proxies); i-- {
		next := parseAddress(strings.TrimSpace(forwarded[i]))
		// A text that is no address ends the search, and the address before it counts.
		if !next.IsValid() {
			break
		}
		address = next
	}
	return address
}

// networkFrom returns the network of the client, /24 for IPv4 and /48 for IPv6, which has one share of the budget. Empty
// when the address is unknown.
func networkFrom(ctx context.Context) string {
	address, _ := netip.ParseAddr(outgoing(ctx, addressKey))
	return networkOf(address)
}

// networkOf is the network of an address; empty for none.
func networkOf(address netip.Addr) string {
	if !address.IsValid() {
		return ""
	}
	bits := 48
	if address.Is4() {
		bits = 24
	}
	return netip.PrefixFrom(address, bits).Masked().String()
}

func trusted(address netip.Addr, proxies []netip.Prefix) bool {
	for _, p := range proxies {
		if p.Contains(address) {
			return true
		}
	}
	return false
}

// parseAddress reads "address", "address:port" and "[address]:port".
func parseAddress(s string) netip.Addr {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	address, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	// An IPv4 address that is written as IPv6 is the same client.
	return address.Unmap().WithZone("")
}

// printable reports whether gRPC can carry the value: non-empty printable ASCII.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return s != ""
}
