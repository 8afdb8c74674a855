package console

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// sessionCookie has the session's token. Its prefix makes browsers refuse it without Secure, with a domain, or for a
	// part of the site (https://www.rfc-editor.org/rfc/rfc6265bis, section 4.1.3.2).
	sessionCookie = "__Host-cagnotte"
	// browserCookie binds a mailed link to the browser that asked for it, and says where to go on.
	browserCookie = "__Host-cagnotte-link"
	// sessionAge is how long a browser keeps the cookie; the service ends a session earlier, 14 days after its last use.
	sessionAge = 90 * 24 * time.Hour
	// linkAge is how long a mailed link works.
	linkAge = 15 * time.Minute
)

// freshFor is how long after the proof a page that needs one shows its form. The service allows ten minutes; the rest is
// for filling it in.
const freshFor = 8 * time.Minute

// sessionToken is the token in the cookie; empty for none. What is no session's token is none: no other key signs in here.
func sessionToken(r *http.Request) string {
	c, err := r.Cookie(sessionCookie)
	if err != nil || !strings.HasPrefix(c.Value, "cas_") || len(c.Value) > 200 {
		return ""
	}
	return c.Value
}

func setCookie(w http.ResponseWriter, name, value string, age time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(age / time.Second),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func setSession(w http.ResponseWriter, token string) { setCookie(w, sessionCookie, token, sessionAge) }

func clearSession(w http.ResponseWriter) { setCookie(w, sessionCookie, "", -time.Second) }

// setBrowser remembers which browser asked for a link, and where its reader wants to go.
func setBrowser(w http.ResponseWriter, token, next string) {
	setCookie(w, browserCookie, token+"."+base64.RawURLEncoding.EncodeToString([]byte(next)), linkAge)
}

func clearBrowser(w http.ResponseWriter) { setCookie(w, browserCookie, "", -time.Second) }

// browserOf is the reverse of setBrowser; next is always an address that may be led to.
func browserOf(r *http.Request) (token, next string) {
	c, err := r.Cookie(browserCookie)
	if err != nil {
		return "", "/console"
	}
	token, encoded, _ := strings.Cut(c.Value, ".")
	raw, _ := base64.RawURLEncoding.DecodeString(encoded)
	return token, ownPath(string(raw))
}

// fresh reports whether the member proved lately to be here. Where not, it leads to the page that asks for it, and from
// there back to this one: return nil then. Call it before a form is shown whose call needs a fresh proof.
func (v *visit) fresh() bool {
	if v.Now().Sub(v.me.GetProveTime().AsTime()) < freshFor {
		return true
	}
	_ = v.redirect(confirmPath(v.comeBack()))
	return false
}

// confirmPath asks for a proof, and leads on.
func confirmPath(next string) string {
	return "/console/confirm?" + url.Values{"next": {next}}.Encode()
}
