package app

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/places"
)

// What strangers can hold open: so many connections to a port in all, and so many of one address. The addresses of an IPv6
// network of /48 count as one, since anybody may have one; package rpc counts calls so too. A trusted proxy brings the connections of many, so it has no
// share; but it cannot have all.
var (
	httpConnections = places.Config{All: 4096, Each: 256}
	grpcConnections = places.Config{All: 1024, Each: 64}
)

// publicReads is how many pages and answers for everybody are rendered at once, and by one network. Each is for a second or
// more the answer to all who ask, so a network that reads what is there needs few.
var publicReads = places.Config{All: 32, Each: 4, Wait: time.Second, Line: 256}

// limited refuses connections beyond a listener's number: it closes them at once, so that nobody waits behind one who
// keeps what it has.
type limited struct {
	net.Listener
	all     *places.Set
	proxied *places.Set
	proxies []netip.Prefix
}

// limitConnections bounds a listener. Trusted proxies together leave two shares of the places to other clients.
func limitConnections(l net.Listener, cfg places.Config, proxies []netip.Prefix) net.Listener {
	return &limited{
		Listener: l, all: places.New(cfg), proxied: places.New(places.Config{All: cfg.All - 2*cfg.Each}), proxies: proxies,
	}
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if release, ok := l.take(conn.RemoteAddr()); ok {
			// Close may be called more than once, and a place must be released once.
			return &counted{Conn: conn, release: sync.OnceFunc(release)}, nil
		}
		conn.Close()
	}
}

// take takes a place for a peer, or two for one behind a trusted proxy: among the proxied ones and among all.
func (l *limited) take(peer net.Addr) (release func(), ok bool) {
	addr := netip.Addr{}
	if tcp, ok := peer.(*net.TCPAddr); ok {
		// An IPv4 address that arrives on an IPv6 socket counts as IPv4, so that it matches the networks of the
		// proxies.
		addr = tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	for _, proxy := range l.proxies {
		if !proxy.Contains(addr) {
			continue
		}
		leave, ok := l.proxied.Take(context.Background(), "", 1)
		if !ok {
			return nil, false
		}
		leaveAll, ok := l.all.Take(context.Background(), "", 1)
		if !ok {
			leave()
			return nil, false
		}
		return func() { leaveAll(); leave() }, true
	}
	whom := addr.String()
	if addr.Is6() {
		whom = netip.PrefixFrom(addr, 48).Masked().String()
	}
	return l.all.Take(context.Background(), whom, 1)
}

// counted gives its place back when it is closed.
type counted struct {
	net.Conn
	release func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.release()
	return c.Conn.Close()
}
