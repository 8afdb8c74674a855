package gateway_test

import (
	"net/netip"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cagnotte/cagnotte/gateway"
)

func TestCallerMetadata(t *testing.T) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		rule    string
		proxies []netip.Prefix
		header  []string
		key     string
		want    []string
	}{
		{"the peer is the client", nil, nil, "cagnotte-client-address", []string{"127.0.0.1"}},
		{"an untrusted peer's X-Forwarded-For is nothing", nil, []string{"X-Forwarded-For", "203.0.113.9"}, "cagnotte-client-address", []string{"127.0.0.1"}},
		{"a trusted proxy tells the client", loopback, []string{"X-Forwarded-For", "203.0.113.9"}, "cagnotte-client-address", []string{"203.0.113.9"}},
		{"what stands left of the first untrusted address is the client's invention", loopback, []string{"X-Forwarded-For", "198.51.100.1, 203.0.113.9, 10.1.2.3"}, "cagnotte-client-address", []string{"203.0.113.9"}},
		{"several headers are one list", loopback, []string{"X-Forwarded-For", "198.51.100.1", "X-Forwarded-For", "203.0.113.9"}, "cagnotte-client-address", []string{"203.0.113.9"}},
		{"ports are cut off", loopback, []string{"X-Forwarded-For", "[2001:db8::7]:443"}, "cagnotte-client-address", []string{"2001:db8::7"}},
		{"an address inside of an address is the inner one", loopback, []string{"X-Forwarded-For", "::ffff:203.0.113.9"}, "cagnotte-client-address", []string{"203.0.113.9"}},
		{"nonsense ends the list", loopback, []string{"X-Forwarded-For", "203.0.113.9, unknown"}, "cagnotte-client-address", []string{"127.0.0.1"}},
		{"the origin goes on", nil, []string{"Origin", "https://vallon.example"}, "cagnotte-origin", []string{"https://vallon.example"}},
		{"no origin is none", nil, nil, "cagnotte-origin", nil},
		{"two keys go on, for the services to refuse", nil, []string{"Authorization", "Bearer a", "Authorization", "Bearer b"}, "authorization", []string{"Bearer a", "Bearer b"}},
		{"a client cannot write our metadata", nil, []string{
			"Cagnotte-Client-Address", "203.0.113.9",
			"Grpc-Metadata-Cagnotte-Client-Address", "203.0.113.9",
			"Grpc-Metadata-X-Forwarded-For", "203.0.113.9",
		}, "cagnotte-client-address", []string{"127.0.0.1"}},
		{"nor invent any", nil, []string{"Grpc-Metadata-Anything", "x", "Cookie", "a=b"}, "anything", nil},
		{"not even a cookie goes on", nil, []string{"Cookie", "a=b"}, "grpcgateway-cookie", nil},
		{"a client cannot shorten the time", nil, []string{"Grpc-Timeout", "1n"}, "cagnotte-client-address", []string{"127.0.0.1"}},
		{"a well-formed request id is kept", nil, []string{"X-Request-Id", "abc-12345"}, "cagnotte-request-id", []string{"abc-12345"}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			b := &backend{}
			front := serve(t, b, gateway.Options{TrustedProxies: c.proxies, Uncached: true})
			if got := send(t, "GET", front.URL+"/v1/"+campaignName, "", c.header...); got.StatusCode != 200 {
				t.Fatalf("got %d: %s", got.StatusCode, got.body)
			}
			if diff := cmp.Diff(c.want, b.lastMetadata(t).Get(c.key)); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("an ill-formed request id is replaced", func(t *testing.T) {
		b := &backend{}
		front := serve(t, b, gateway.Options{Uncached: true})
		for _, id := range []string{"short", "with space 123", "line\tfeed-1234", "é-12345678"} {
			got := send(t, "GET", front.URL+"/v1/"+campaignName, "", "X-Request-Id", id)
			made := got.Header.Get("X-Request-Id")
			if made == id || !regexp.MustCompile(`^[0-9a-f-]{36}$`).MatchString(made) {
				t.Errorf("%q became %q", id, made)
			}
			if diff := cmp.Diff([]string{made}, b.lastMetadata(t).Get("cagnotte-request-id")); diff != "" {
				t.Error(diff)
			}
		}
	})
}
