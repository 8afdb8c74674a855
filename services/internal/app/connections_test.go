package app

import (
	"net"
	"net/netip"
	"testing"

	"github.com/cagnotte/cagnotte/services/internal/places"
)

// Whoever has an IPv6 network has 65,536 of /64.
func TestOneIPv6NetworkHasOneShareOfTheConnections(t *testing.T) {
	l := limitConnections(nil, places.Config{All: 4, Each: 2}, nil).(*limited)
	take := func(addr string) bool {
		_, ok := l.take(net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), 4000)))
		return ok
	}
	for i, c := range []struct {
		addr string
		ok   bool
	}{
		{"2001:db8:1:1::1", true},
		{"2001:db8:1:2::1", true},
		{"2001:db8:1:3::1", false},
		{"2001:db8:2::1", true},
		{"::ffff:192.0.2.1", true},
		{"198.51.100.1", false},
	} {
		if got := take(c.addr); got != c.ok {
			t.Errorf("connection %d, of %s: %v", i+1, c.addr, got)
		}
	}
}
