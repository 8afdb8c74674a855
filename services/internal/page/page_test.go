package page_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
)

type filter struct {
	Parent string
	State  int
}

func TestTokenContinuesItsOwnQuestionOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := filter{rapid.String().Draw(t, "parent"), rapid.Int().Draw(t, "state")}
		at := time.Unix(0, rapid.Int64Range(0, 1<<60).Draw(t, "at")).UTC()
		id := rapid.StringMatching(`[a-z0-9-]{1,40}`).Draw(t, "id")
		token := page.Encode(f, at, id)

		var gotAt time.Time
		var gotID string
		if err := page.Decode(token, f, &gotAt, &gotID); err != nil {
			t.Fatalf("own token: %v", err)
		}
		if !gotAt.Equal(at) || gotID != id {
			t.Fatalf("got %v %q, want %v %q", gotAt, gotID, at, id)
		}
		other := filter{f.Parent + "x", f.State}
		if err := page.Decode(token, other, &gotAt, &gotID); errs.Code(err) != codes.InvalidArgument {
			t.Fatalf("token of another filter: %v", err)
		}
		if err := page.Decode(token, f, &gotAt); errs.Code(err) != codes.InvalidArgument {
			t.Fatalf("token with another key: %v", err)
		}
	})
}

func TestSize(t *testing.T) {
	for asked, want := range map[int32]int{-1: 50, 0: 50, 1: 1, 200: 200, 201: 200} {
		if got := page.Size(asked); got != want {
			t.Errorf("Size(%d) = %d, want %d", asked, got, want)
		}
	}
}

// FuzzDecode shows that no token panics, and that what decodes is what Encode makes.
func FuzzDecode(f *testing.F) {
	f.Add(page.Encode(filter{"collectives/vallon", 1}, "2026-01-02T03:04:05Z", "x"))
	f.Add("")
	f.Add("AAAAAAAAAAAA")
	f.Add(page.Encode(filter{}, "a\x00b", "c"))
	f.Fuzz(func(t *testing.T, token string) {
		var a, b string
		if err := page.Decode(token, filter{}, &a, &b); err != nil {
			if errs.Code(err) != codes.InvalidArgument || len(errs.As(err).Fields) != 1 {
				t.Fatalf("unclear error: %v", err)
			}
			return
		}
		if strings.ContainsRune(a+b, 0) {
			t.Fatalf("decoded a NUL: %q %q", a, b)
		}
		var c, d string
		if err := page.Decode(page.Encode(filter{}, a, b), filter{}, &c, &d); err != nil || a != c || b != d {
			t.Fatalf("decoded %q %q, which does not survive encoding: %v", a, b, err)
		}
	})
}
