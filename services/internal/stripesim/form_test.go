package stripesim

import (
	"net/url"
	"strings"
	"testing"
)

func TestParseForm(t *testing.T) {
	t.Run("nests, counts empty brackets and forgets the order", func(t *testing.T) {
		a, err := parseForm("mode=payment&line_items[0][price_data][currency]=eur&expand[]=a&expand[]=b")
		if err != nil {
			t.Fatal(err)
		}
		if got := a.fields["line_items"].fields["0"].fields["price_data"].fields["currency"].value; got != "eur" {
			t.Errorf("got %q", got)
		}
		if got := a.fields["expand"].fields["1"].value; got != "b" {
			t.Errorf("got %q", got)
		}
		b, err := parseForm("expand%5B0%5D=a&expand%5B1%5D=b&line_items%5B0%5D%5Bprice_data%5D%5Bcurrency%5D=eur&mode=payment")
		if err != nil || a.canonical() != b.canonical() {
			t.Errorf("%s is not %s, %v", a.canonical(), b.canonical(), err)
		}
	})
	t.Run("refuses a nesting that no parameter has", func(t *testing.T) {
		if _, err := parseForm("a" + strings.Repeat("[b]", 50) + "=c"); err == nil {
			t.Error("accepted")
		}
	})
	t.Run("keeps different parameters apart", func(t *testing.T) {
		seen := map[string]string{}
		for _, s := range []string{"a=b", "a[b]=", "a=b&c=", "a=b%26c%3D", "a[b][c]=d", "a[b]=c%5Bd", ""} {
			f, err := parseForm(s)
			if err != nil {
				t.Fatal(err)
			}
			if other, ok := seen[f.canonical()]; ok {
				t.Errorf("%q and %q are the same", s, other)
			}
			seen[f.canonical()] = s
		}
	})
}

func FuzzParseForm(f *testing.F) {
	f.Add("a[b][0][c]=v&a[b][1]=w&x[]=1")
	f.Add("a[=]&[]=&%zz=1&a]b[=c")
	f.Fuzz(func(t *testing.T, encoded string) {
		form, err := parseForm(encoded)
		if err != nil {
			return
		}
		// Whatever the tree, a schema answers in Stripe's form and never panics; a body that url.ParseQuery
		// takes is taken here as well, so nothing that the client sends can be cut off silently.
		if _, err := sessionCreateParams.parse("", form); err == nil {
			if _, err := url.ParseQuery(encoded); err != nil {
				t.Errorf("%q passed the schema and is no query: %v", encoded, err)
			}
		}
		if again, err := parseForm(encoded); err != nil || again.canonical() != form.canonical() {
			t.Errorf("%q is not read the same twice", encoded)
		}
	})
}
