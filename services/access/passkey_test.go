package access_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
)

// phone is an authenticator with one discoverable passkey: https://www.w3.org/TR/webauthn-3/#sctn-authenticator-data
type phone struct {
	t       *testing.T
	key     *ecdsa.PrivateKey
	id      []byte
	user    string
	count   uint32
	rpID    string
	origin  string
	noVerif bool
}

func newPhone(t *testing.T) *phone {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	return &phone{t: t, key: key, id: id, rpID: strings.TrimPrefix(origin, "https://"), origin: origin}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// authData is what the authenticator says of itself, with the new credential when it is made.
func (p *phone) authData(made bool) []byte {
	rp := sha256.Sum256([]byte(p.rpID))
	flags := byte(0x01) // the user was present
	if !p.noVerif {
		flags |= 0x04
	}
	if made {
		flags |= 0x40
	}
	data := append(rp[:], flags)
	data = binary.BigEndian.AppendUint32(data, p.count)
	if !made {
		return data
	}
	data = append(data, make([]byte, 16)...) // no model
	data = binary.BigEndian.AppendUint16(data, uint16(len(p.id)))
	data = append(data, p.id...)
	point, err := p.key.PublicKey.Bytes()
	if err != nil {
		p.t.Fatal(err)
	}
	// COSE: {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y}
	data = append(data, 0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20)
	data = append(data, point[1:33]...)
	data = append(data, 0x22, 0x58, 0x20)
	return append(data, point[33:]...)
}

func (p *phone) clientData(kind, options string) []byte {
	var asked struct {
		Challenge string
		User      struct{ ID string }
	}
	if err := json.Unmarshal([]byte(options), &asked); err != nil || asked.Challenge == "" {
		p.t.Fatalf("%s: %v", options, err)
	}
	if asked.User.ID != "" {
		p.user = asked.User.ID
	}
	raw, _ := json.Marshal(map[string]any{"type": kind, "challenge": asked.Challenge, "origin": p.origin, "crossOrigin": false})
	return raw
}

func (p *phone) answer(response map[string]any) string {
	raw, _ := json.Marshal(map[string]any{
		"id": b64(p.id), "rawId": b64(p.id), "type": "public-key", "clientExtensionResults": map[string]any{}, "response": response,
	})
	return string(raw)
}

// create answers navigator.credentials.create.
func (p *phone) create(options string) string {
	client, data := p.clientData("webauthn.create", options), p.authData(true)
	// CBOR: {"fmt": "none", "attStmt": {}, "authData": data}
	object := append([]byte{0xa3, 0x63}, "fmt"...)
	object = append(append(object, 0x64), "none"...)
	object = append(append(object, 0x67), "attStmt"...)
	object = append(append(object, 0xa0, 0x68), "authData"...)
	object = binary.BigEndian.AppendUint16(append(object, 0x59), uint16(len(data)))
	object = append(object, data...)
	return p.answer(map[string]any{"clientDataJSON": b64(client), "attestationObject": b64(object), "transports": []string{"internal"}})
}

// get answers navigator.credentials.get.
func (p *phone) get(options string) string {
	p.count++
	client, data := p.clientData("webauthn.get", options), p.authData(false)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte(nil), data...), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, p.key, digest[:])
	if err != nil {
		p.t.Fatal(err)
	}
	return p.answer(map[string]any{
		"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature), "userHandle": p.user,
	})
}

func TestPasskeys(t *testing.T) {
	w := newTown(t)
	olga := w.operator("olga@example.org")
	member := uuid.MustParse(strings.TrimPrefix(access.PrincipalFrom(olga).Member, "members/"))
	invalid := func(err error) {
		t.Helper()
		errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_PASSKEY_INVALID)
	}
	add := func(p *phone, ceremony, options string) (access.Passkey, error) {
		return w.FinishRegistration(olga, member, ceremony, p.create(options), "My phone", firefox)
	}
	begin := func() (string, string) {
		t.Helper()
		ceremony, options, err := w.BeginRegistration(olga, member)
		if err != nil {
			t.Fatal(err)
		}
		return ceremony, options
	}
	ask := func() (string, string) {
		t.Helper()
		w.clock.forward(time.Minute)
		ceremony, options, err := w.BeginPasskeySignIn(t.Context(), network)
		if err != nil {
			t.Fatal(err)
		}
		return ceremony, options
	}
	enter := func(p *phone) (string, error) {
		ceremony, options := ask()
		_, token, err := w.FinishPasskeySignIn(t.Context(), ceremony, p.get(options), firefox)
		return token, err
	}
	mine := newPhone(t)
	ceremony, options := begin()
	made, err := add(mine, ceremony, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("is added once", func(t *testing.T) {
		_, err := add(mine, ceremony, options)
		invalid(err)
		again, more := begin()
		if !strings.Contains(more, b64(mine.id)) {
			t.Error("the browser is not told which passkeys there are")
		}
		_, err = add(mine, again, more)
		invalid(err)
	})
	t.Run("is added for this site, by whoever unlocked the device, in time, and by the member who asked", func(t *testing.T) {
		foreign, locked := newPhone(t), newPhone(t)
		foreign.origin, locked.noVerif = "https://dons.example.com", true
		for _, p := range []*phone{foreign, locked} {
			ceremony, options := begin()
			_, err := add(p, ceremony, options)
			invalid(err)
		}
		ceremony, options := begin()
		_, err := w.FinishRegistration(olga, uuid.New(), ceremony, newPhone(t).create(options), "", firefox)
		invalid(err)
		w.clock.forward(5 * time.Minute)
		_, err = add(newPhone(t), ceremony, options)
		invalid(err)
		_, err = w.FinishRegistration(olga, member, ceremony, "{}", "", firefox)
		invalid(err)
	})
	t.Run("signs in, with a fresh proof", func(t *testing.T) {
		for range 2 {
			token, err := enter(mine)
			if err != nil {
				t.Fatal(err)
			}
			if p := access.PrincipalFrom(w.signIn(token)); p.Member != "members/"+member.String() || !p.Fresh {
				t.Errorf("%+v", p)
			}
		}
	})
	t.Run("an answer is taken once, of many at once too", func(t *testing.T) {
		ceremony, options := ask()
		answer := mine.get(options)
		var in int
		var mu sync.Mutex
		var calls sync.WaitGroup
		for range 6 {
			calls.Go(func() {
				if _, _, err := w.FinishPasskeySignIn(context.Background(), ceremony, answer, firefox); err == nil {
					mu.Lock()
					in++
					mu.Unlock()
				}
			})
		}
		calls.Wait()
		if in != 1 {
			t.Errorf("%d signed in", in)
		}
	})
	t.Run("signs in nobody else, from no other site, and not unlocked by nobody", func(t *testing.T) {
		for rule, change := range map[string]func(*phone){
			"another member": func(p *phone) { id := uuid.New(); p.user = b64(id[:]) },
			"another site":   func(p *phone) { p.origin = "https://dons.example.com" },
			"another domain": func(p *phone) { p.rpID = "example.com" },
			"a locked phone": func(p *phone) { p.noVerif = true },
			"another key":    func(p *phone) { p.key = newPhone(t).key },
			"unknown":        func(p *phone) { p.id = newPhone(t).id },
		} {
			other := *mine
			change(&other)
			if _, err := enter(&other); err == nil {
				t.Errorf("%s signs in", rule)
			} else {
				invalid(err)
			}
			mine.count = other.count
		}
		// A ceremony to add one does not sign in.
		ceremony, options := begin()
		_, _, err := w.FinishPasskeySignIn(t.Context(), ceremony, mine.get(options), firefox)
		invalid(err)
	})
	t.Run("a copy is found by its counter, and neither signs in any more", func(t *testing.T) {
		thief := *mine
		thief.count = 0
		_, err := enter(&thief)
		invalid(err)
		_, err = enter(mine)
		invalid(err)
		all, err := w.Passkeys(t.Context(), member, access.NewestPlace, 10)
		if err != nil || len(all) != 1 || all[0].CloneWarningTime.IsZero() {
			t.Errorf("%+v, %v", all, err)
		}
	})
	t.Run("is deleted by its member alone", func(t *testing.T) {
		errstest.Want(t, w.DeletePasskey(t.Context(), uuid.New(), made.ID), codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
		if err := w.DeletePasskey(olga, member, made.ID); err != nil {
			t.Fatal(err)
		}
		errstest.Want(t, w.DeletePasskey(olga, member, made.ID), codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	})
	t.Run("there are 20 at most", func(t *testing.T) {
		for range 20 {
			ceremony, options := begin()
			if _, err := add(newPhone(t), ceremony, options); err != nil {
				t.Fatal(err)
			}
		}
		_, _, err := w.BeginRegistration(olga, member)
		errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_TOO_MANY_PASSKEYS)
	})
}
