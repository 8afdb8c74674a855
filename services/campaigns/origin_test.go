package campaigns

import (
	"net/url"
	"strings"
	"testing"
)

func TestNormaliseOrigin(t *testing.T) {
	for origin, want := range map[string]string{
		"https://vallon.example":                 "https://vallon.example",
		"HTTPS://Vallon.EXAMPLE":                 "https://vallon.example",
		"https://vallon.example:443":             "https://vallon.example",
		"https://vallon.example:8443":            "https://vallon.example:8443",
		"https://vallon.example:80":              "https://vallon.example:80",
		"https://vallée.example":                 "https://xn--valle-esa.example",
		"https://VALLÉE.example":                 "https://xn--valle-esa.example",
		"https://xn--valle-esa.example":          "https://xn--valle-esa.example",
		"https://sub.do-main.example":            "https://sub.do-main.example",
		"https://1stop.example":                  "https://1stop.example",
		"https://intranet":                       "https://intranet",
		"https://localhost":                      "https://localhost",
		"http://localhost":                       "http://localhost",
		"http://localhost:80":                    "http://localhost",
		"http://LOCALHOST:8000":                  "http://localhost:8000",
		"http://127.0.0.1:8000":                  "http://127.0.0.1:8000",
		"http://[::1]:8000":                      "http://[::1]:8000",
		"https://[::1]":                          "https://[::1]",
		"":                                       "",
		"null":                                   "",
		"*":                                      "",
		"vallon.example":                         "",
		"//vallon.example":                       "",
		"https:vallon.example":                   "",
		"https:///vallon.example":                "",
		"https://":                               "",
		"https://:443":                           "",
		"http://vallon.example":                  "",
		"ftp://vallon.example":                   "",
		"javascript://vallon.example":            "",
		"https://vallon.example/":                "",
		"https://vallon.example/give":            "",
		"https://vallon.example?x":               "",
		"https://vallon.example#x":               "",
		`https://vallon.example\x`:               "",
		"https://*.vallon.example":               "",
		"https://*":                              "",
		"https://user@vallon.example":            "",
		"https://user:pass@vallon.example":       "",
		"https://vallon.example:":                "",
		"https://vallon.example:0":               "",
		"https://vallon.example:0443":            "",
		"https://vallon.example:+443":            "",
		"https://vallon.example:65536":           "",
		"https://vallon.example:https":           "",
		"https://vallon.example.":                "",
		"https://.vallon.example":                "",
		"https://vallon..example":                "",
		"https://-vallon.example":                "",
		"https://val_lon.example":                "",
		"https://val lon.example":                "",
		" https://vallon.example":                "",
		"https://vallon.example\n":               "",
		"https://vallon.example\x00":             "",
		"https://192.0.2.1":                      "",
		"https://3221225985":                     "",
		"https://0xc0000201":                     "",
		"https://0x":                             "",
		"https://a.0x7f":                         "",
		"https://127.1":                          "",
		"http://127.0.0.2":                       "",
		"http://[::2]":                           "",
		"http://[0:0:0:0:0:0:0:1]":               "",
		"http://[::1":                            "",
		"http://::1":                             "",
		"http://localhost.evil.example":          "",
		"https://" + strings.Repeat("a", 64):     "",
		"https://" + strings.Repeat("a.", 130):   "",
		"https://a.example,https://b.example":    "",
		"https://xn--a.example":                  "",
		"https://vallon.example:8443:443":        "",
		"https://１２７.0.0.1":                      "https://127.0.0.1",
		"http://vallon。example":                  "",
		"https://vallon。example":                 "https://vallon.example",
		"data:text/html,https://vallon.example":  "",
		"blob:https://vallon.example":            "",
		"https://vallon.example%2f.evil.example": "",
	} {
		got, problem := normaliseOrigin(origin)
		if got != want || (problem == "") != (want != "") {
			t.Errorf("%q: %q (%s), want %q", origin, got, problem, want)
		}
	}
}

// FuzzNormaliseOrigin shows that what is accepted is an origin to net/url as well,
// is already normal, and that nothing but host and port is in it.
func FuzzNormaliseOrigin(f *testing.F) {
	for _, seed := range []string{"https://vallon.example", "http://[::1]:8000", "https://VALLÉE.example:443", "http://localhost:80", "https://a@b", "https://1.2.3.4", "https://xn--valle-esa.example", "https://0\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		normal, problem := normaliseOrigin(origin)
		if (normal == "") != (problem != "") {
			t.Fatalf("%q: %q and %q", origin, normal, problem)
		}
		if normal == "" {
			return
		}
		if again, problem := normaliseOrigin(normal); again != normal {
			t.Fatalf("%q became %q, and that %q (%s)", origin, normal, again, problem)
		}
		u, err := url.Parse(normal)
		if err != nil || u.Scheme+"://"+u.Host != normal || u.Scheme != "https" && !isLoopback(hostOf(u)) {
			t.Fatalf("%q became %q: %+v, %v", origin, normal, u, err)
		}
	})
}

func hostOf(u *url.URL) string {
	if strings.HasPrefix(u.Host, "[") {
		return "[" + u.Hostname() + "]"
	}
	return u.Hostname()
}
