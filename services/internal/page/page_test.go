package page_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
)

type filter struct {
	Parent string
	State  int
}

type key struct {
	Time time.Time
	ID   string
}

type request struct {
	size  int32
	token string
}

func (r request) GetPageSize() int32   { return r.size }
func (r request) GetPageToken() string { return r.token }

func TestPagesGiveEachRowOnce(t *testing.T) {
	self := func(n int) int { return n }
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(0, 450).Draw(t, "count")
		want := make([]int, count)
		for i := range want {
			want[i] = i + 1
		}
		read := func(after, limit int) ([]int, error) { return want[after:min(after+limit, count)], nil }
		var got []int
		req := request{size: int32(rapid.IntRange(0, 250).Draw(t, "size"))}
		for {
			rows, next, err := page.List(req, "numbers", 0, read, self)
			if err != nil || len(rows) > page.Size(req) {
				t.Fatalf("a page of %d has %d rows: %v", page.Size(req), len(rows), err)
			}
			got = append(got, rows...)
			if req.token = next; next == "" {
				break
			}
			if len(rows) != page.Size(req) {
				t.Fatalf("a page of %d has %d rows, and another follows", page.Size(req), len(rows))
			}
		}
		if diff := cmp.Diff(want, append([]int{}, got...)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestTokenContinuesItsOwnListOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := filter{rapid.String().Draw(t, "parent"), rapid.Int().Draw(t, "state")}
		want := key{time.Unix(0, rapid.Int64Range(0, 1<<60).Draw(t, "at")).UTC(), rapid.StringMatching(`[a-z0-9-]{1,40}`).Draw(t, "id")}
		token := page.Encode(f, want)

		var got key
		if err := page.Decode(token, f, &got); err != nil {
			t.Fatalf("own token: %v", err)
		}
		if !got.Time.Equal(want.Time) || got.ID != want.ID {
			t.Fatalf("got %v, want %v", got, want)
		}
		other := filter{f.Parent + "x", f.State}
		if err := page.Decode(token, other, &got); errs.Code(err) != codes.InvalidArgument {
			t.Fatalf("token of another filter: %v", err)
		}
		var text string
		if err := page.Decode(token, f, &text); errs.Code(err) != codes.InvalidArgument {
			t.Fatalf("token with another key: %v", err)
		}
		var part struct{ Time time.Time }
		if err := page.Decode(token, f, &part); errs.Code(err) != codes.InvalidArgument {
			t.Fatalf("token with a larger key: %v", err)
		}
	})
}

func TestSize(t *testing.T) {
	for asked, want := range map[int32]int{-1: 50, 0: 50, 1: 1, 200: 200, 201: 200} {
		if got := page.Size(request{size: asked}); got != want {
			t.Errorf("a page of %d has %d rows, want %d", asked, got, want)
		}
	}
}

// FuzzDecode shows that no token panics, and that what decodes is what Encode makes.
func FuzzDecode(f *testing.F) {
	f.Add(page.Encode(filter{"collectives/vallon", 1}, key{time.Unix(0, 0), "x"}))
	f.Add("")
	f.Add("AAAAAAAAAAAA")
	f.Add(page.Encode(filter{}, key{time.Unix(0, 0), "a\x00b"}))
	f.Add(page.Encode(filter{}, nil))
	f.Fuzz(func(t *testing.T, token string) {
		var a, b key
		if err := page.Decode(token, filter{}, &a); err != nil {
			if errs.Code(err) != codes.InvalidArgument || len(errs.As(err).Fields) != 1 {
				t.Fatalf("unclear error: %v", err)
			}
			return
		}
		if strings.ContainsRune(a.ID, 0) {
			t.Fatalf("decoded a NUL: %q", a.ID)
		}
		if err := page.Decode(page.Encode(filter{}, a), filter{}, &b); err != nil || a.ID != b.ID || !a.Time.Equal(b.Time) {
			t.Fatalf("decoded %v, which does not survive encoding: %v", a, err)
		}
	})
}
