package console

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
)

// listOf is a list of pages 1 to last, whose tokens are "t2", "t3" and so on. It returns the number of the page that an
// address shows, and its links.
func listOf(t *testing.T, address string, last int) (int, pager) {
	t.Helper()
	v := &visit{r: httptest.NewRequest("GET", "/console/c/vallon/donations"+address, nil)}
	at := 1
	if token := v.pageToken(); token != "" {
		if _, err := fmt.Sscanf(token, "t%d", &at); err != nil {
			t.Fatalf("%s has the token %q", address, token)
		}
	}
	next := ""
	if at < last {
		next = fmt.Sprintf("t%d", at+1)
	}
	return at, v.pager(next)
}

func TestAListLeadsBack(t *testing.T) {
	const last = 30
	address := "?state=paid&page="
	for want := 1; ; want++ {
		at, links := listOf(t, address, last)
		if at != want {
			t.Fatalf("page %d: the link leads to page %d", want, at)
		}
		if query, _ := url.ParseQuery(address[1:]); query.Get("state") != "paid" || len(query["page"]) > maxTrail {
			t.Errorf("page %d: %s", at, address)
		}
		if links.Next == "" {
			break
		}
		address = links.Next
	}
	// As many pages as an address carries lead back one by one; then only the first is in reach.
	passed := []int{}
	for {
		at, links := listOf(t, address, last)
		passed = append(passed, at)
		if links.Previous == "" {
			if at, first := listOf(t, links.First, last); at != 1 || first.First != "" || first.Previous != "" {
				t.Errorf("the first page: %d, %+v", at, first)
			}
			break
		}
		address = links.Previous
	}
	if want := []int{30, 29, 28, 27, 26, 25, 24, 23, 22}; !slices.Equal(passed, want) {
		t.Errorf("the way back: %v, want %v", passed, want)
	}
	for address, want := range map[string]pager{
		"":                   {Next: "?page=t2"},
		"?page=t2":           {Previous: "?", Next: "?page=t2&page=t3"},
		"?page=t2&page=t3":   {First: "?", Previous: "?page=t2"},
		"?page=&page=t3":     {First: "?"},
		"?a=1&page=t2&done=": {Previous: "?a=1", Next: "?a=1&page=t2&page=t3"},
	} {
		if _, got := listOf(t, address, 3); got != want {
			t.Errorf("%q: %+v, want %+v", address, got, want)
		}
	}
}
