package stripe

import (
	"io"
	"net/http"
	"net/url"
	"testing"
)

func TestStatementSuffix(t *testing.T) {
	for slug, want := range map[string]string{
		"vallon":                "VALLON",
		"vallon-contre-cameras": "VALLON",
		"les-amis-du-vallon":    "LES AMIS",
		"abcdefghij-k":          "ABCDEFGHIJ",
		"anticonstitutionnelle": "ANTICONSTI",
		"a-2026-abcd":           "A 2026",
		"aaaa-bbbbb":            "AAAA BBBBB",
	} {
		if got := StatementSuffix(slug); got != want {
			t.Errorf("%s: %q, want %q", slug, got, want)
		}
	}
}

// An account that takes no suffix takes the donation all the same.
func TestASessionIsMadeWithoutTheSuffixThatStripeRefuses(t *testing.T) {
	var suffixes, keys []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		suffixes, keys = append(suffixes, form.Get(suffixParam)), append(keys, r.Header.Get("Idempotency-Key"))
		if form.Has(suffixParam) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":{"type":"invalid_request_error","param":"`+suffixParam+`","message":"no prefix"}}`)
			return
		}
		_, _ = io.WriteString(w, `{"id":"cs_1"}`)
	})
	p := params
	p.StatementSuffix = "VALLON"
	session, err := c.CreateSession(t.Context(), p)
	if err != nil || session.ID != "cs_1" {
		t.Fatalf("session = %+v, %v", session, err)
	}
	if len(suffixes) != 2 || suffixes[0] != "VALLON" || suffixes[1] != "" || keys[0] == keys[1] {
		t.Errorf("asked with %q under %q", suffixes, keys)
	}
}

// Stripe takes what the page says of a single donation in payment mode only.
func TestASessionSaysWhoseItIs(t *testing.T) {
	var form url.Values
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ = url.ParseQuery(string(body))
		_, _ = io.WriteString(w, `{"id":"cs_1"}`)
	})
	p := params
	p.StatementSuffix, p.Description, p.Note = "VALLON", "Vallon", "Une fois."
	for _, monthly := range []bool{false, true} {
		p.Monthly = monthly
		if _, err := c.CreateSession(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if form.Get("line_items[0][price_data][product_data][description]") != "Vallon" || form.Get("custom_text[submit][message]") != "Une fois." ||
			form.Has(suffixParam) == monthly || form.Has("submit_type") == monthly {
			t.Errorf("monthly %v: %v", monthly, form)
		}
	}
}
