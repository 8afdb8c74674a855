package campaigns

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// normaliseOrigin returns an origin as browsers send it: lower case, punycode, without the scheme's default port
// (https://html.spec.whatwg.org/multipage/browsers.html#ascii-serialisation-of-an-origin). For an origin that cannot be
// allowed, problem says what it must be:
//
//   - https, since anybody on the way can change a page sent in the clear; http is allowed for loopback, for trials;
//   - a host with or without a port, and no path, user or wildcard;
//   - a name and not an address, loopback aside. Addresses have many spellings, and certificates for them are rare.
func normaliseOrigin(origin string) (normal, problem string) {
	scheme, authority, ok := strings.Cut(origin, "://")
	scheme = strings.ToLower(scheme)
	if !ok || scheme != "https" && scheme != "http" {
		return "", `must look like "https://vallon.example"`
	}
	if strings.ContainsAny(authority, `/\?#@`) {
		return "", "must end after the host and port, without a slash or path"
	}
	host, port, problem := splitHostPort(authority, scheme)
	if problem != "" {
		return "", problem
	}
	if host, problem = normaliseHost(host); problem != "" {
		return "", problem
	}
	if scheme != "https" && !isLoopback(host) {
		return "", "must begin with https://, unless it is localhost"
	}
	return scheme + "://" + host + port, ""
}

// splitHostPort returns the port with its colon, or empty for the scheme's own.
func splitHostPort(authority, scheme string) (host, port, problem string) {
	end := strings.LastIndexByte(authority, ':')
	// An IPv6 address has its colons in brackets.
	if end < strings.LastIndexByte(authority, ']') {
		end = -1
	}
	if end < 0 {
		return authority, "", ""
	}
	host, port = authority[:end], authority[end+1:]
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return "", "", "must have a port between 1 and 65535, or none"
	}
	if scheme == "https" && n == 443 || scheme == "http" && n == 80 {
		return host, "", ""
	}
	return host, ":" + port, ""
}

var (
	// RFC 1123, section 2.1: labels of letters, digits and inner dashes.
	hostPattern = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	// Browsers take a host whose last label is a number for an IPv4 address
	// (https://url.spec.whatwg.org/#ends-in-a-number-checker).
	addressPattern = regexp.MustCompile(`(^|\.)([0-9]+|0x[0-9a-f]*)$`)
)

const maxHostBytes = 253

func normaliseHost(host string) (normal, problem string) {
	if host == "[::1]" {
		return host, ""
	}
	// Maps capitals and look-alikes of dots and digits as browsers do. The checks below are of the result.
	ascii, err := idna.Lookup.ToASCII(host)
	// Invalid UTF-8 would become the replacement character, as an xn-- label.
	if err != nil || !utf8.ValidString(host) || len(ascii) > maxHostBytes || !hostPattern.MatchString(ascii) {
		return "", "must name a host, without wildcards"
	}
	if addressPattern.MatchString(ascii) && !isLoopback(ascii) {
		return "", "must name a host, not an address"
	}
	return ascii, ""
}

func isLoopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "[::1]"
}
