package text

import (
	"errors"
	"testing"
	"testing/fstest"
	"time"

	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
)

func TestLoad(t *testing.T) {
	for rule, files := range map[string]map[string]string{
		"refuses a key twice":              {"strings.fr.json": `{"a.b": "x"}`, "a.fr.json": `{"b": "x"}`, "strings.en.json": `{"a": "x"}`},
		"refuses a language that is lost":  {"strings.fr.json": `{"a": "x"}`},
		"refuses a name without language":  {"strings.json": `{"a": "x"}`},
		"refuses a plural of one form":     {"strings.fr.json": `{"a": {"one": "x"}}`, "strings.en.json": `{"a": "x"}`},
		"refuses a form of another tongue": {"strings.fr.json": `{"a": {"one": "x", "other": "y", "few": "z"}}`, "strings.en.json": `{"a": "x"}`},
		"refuses an unknown form":          {"strings.fr.json": `{"a": {"one": "x", "other": "y", "lots": "z"}}`, "strings.en.json": `{"a": "x"}`},
	} {
		t.Run(rule, func(t *testing.T) {
			fs := fstest.MapFS{}
			for name, body := range files {
				fs[name] = &fstest.MapFile{Data: []byte(body)}
			}
			if _, err := Load(fs, "*.json", MemberLanguages); err == nil {
				t.Error("it loads")
			}
		})
	}
	all, err := Load(fstest.MapFS{"books.fr.json": {Data: []byte(`{"title": "Comptes"}`)}, "books.en.json": {Data: []byte(`{"title": "Books"}`)}}, "*.json", MemberLanguages)
	if err != nil {
		t.Fatal(err)
	}
	if got := all["fr"].T("books.title"); got != "Comptes" {
		t.Errorf("the key of a section has no prefix: %q", got)
	}
}

func TestParseMoney(t *testing.T) {
	for typed, want := range map[string]int64{
		"12,50": 1250, "12.50": 1250, "1 250,00 €": 125000, "1\u202f250,00\u00a0€": 125000, "€1,250.00": 125000, "20": 2000, " 7 ": 700,
		"20 euros": 2000, "20EUR": 2000, "20 €": 2000, "20,00": 2000, "20\u00a0Euros": 2000, "1 euro": 100, "EUR 20": 2000, "1 250,50 euros": 125050,
	} {
		if got, err := ParseMoney(typed, "EUR"); err != nil || got.GetAmountMinor() != want || got.GetCurrencyCode() != "EUR" {
			t.Errorf("%q: %v, %v, want %d", typed, got, err, want)
		}
	}
	for typed, want := range map[string]error{"": ErrMoney, "douze": ErrMoney, "1,234": ErrAmbiguous, "12,505": ErrAmbiguous, "12,5055": ErrMoney, "=1+1": ErrMoney, "euros": ErrMoney, "20 dollars": ErrMoney, "20 eurosx": ErrMoney} {
		if got, err := ParseMoney(typed, "EUR"); !errors.Is(err, want) {
			t.Errorf("%q: %v, %v, want %v", typed, got, err, want)
		}
	}
}

func TestParseDay(t *testing.T) {
	for typed, want := range map[string]string{
		"31/12/2026": "2026-12-31", "2026-12-31": "2026-12-31", "1.2.2026": "2026-02-01", " 01-02-2026 ": "2026-02-01", "29/02/2028": "2028-02-29",
	} {
		if got, err := ParseDay(typed); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", typed, got, err, want)
		}
	}
	for _, typed := range []string{"", "31/02/2026", "12/31/2026", "2026-13-01", "31/12/26", "demain"} {
		if got, err := ParseDay(typed); !errors.Is(err, ErrDay) {
			t.Errorf("%q: %q, %v", typed, got, err)
		}
	}
}

func TestWords(t *testing.T) {
	all, err := Load(fstest.MapFS{
		"strings.fr.json": {Data: []byte(`{"waitSeconds": "{n} secondes", "waitMinutes": "{n} minutes", "dons": {"one": "{n} don", "other": "{n} dons"}}`)},
		"strings.en.json": {Data: []byte(`{"dons": {"one": "{n} gift", "other": "{n} gifts"}}`)},
	}, "*.json", MemberLanguages)
	if err != nil {
		t.Fatal(err)
	}
	fr, en := all["fr"], all["en"]
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ got, want string }{
		{fr.Money(&moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 2000}), "20\u00a0€"},
		{fr.Money(&moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 123450}), "1\u202f234,50\u00a0€"},
		{fr.Money(&moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 100000000}), "1\u202f000\u202f000\u00a0€"},
		{en.Money(&moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 100000}), "€1,000"},
		{en.Money(&moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 5}), "€0.05"},
		{en.Money(&moneyv1.Money{CurrencyCode: "JPY", AmountMinor: 1000}), "¥1,000"},
		{en.Money(&moneyv1.Money{CurrencyCode: "KWD", AmountMinor: 1500}), "KWD\u00a01.500"},
		{fr.Percent(79999, 80000), "99\u00a0%"},
		{fr.Percent(101250, 80000), "126\u00a0%"},
		{en.Percent(1, 0), "0%"},
		{fr.Date(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)), "1er\u00a0mai 2026"},
		{fr.Date(time.Date(2026, 8, 31, 12, 0, 0, 0, time.UTC)), "31\u00a0août 2026"},
		{en.Date(time.Date(2026, 8, 31, 12, 0, 0, 0, time.UTC)), "31\u00a0August 2026"},
		{fr.Wait(time.Second), "2 secondes"},
		{fr.Wait(91 * time.Second), "2 minutes"},
		{fr.CurrencySymbol("EUR"), "€"},
		{en.CurrencySymbol("JPY"), "¥"},
		{fr.DateTime(time.Date(2026, 8, 31, 22, 5, 0, 0, time.UTC), paris), "1er\u00a0septembre 2026 à\u00a000:05"},
		{en.DateTime(time.Date(2026, 8, 31, 22, 5, 0, 0, time.UTC), time.UTC), "31\u00a0August 2026, 22:05"},
		{fr.Day("2026-12-31"), "31\u00a0décembre 2026"},
		{fr.Day("demain"), "demain"},
		{fr.Month(time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)), "février 2026"},
		{fr.Number(1234567), "1\u202f234\u202f567"},
		{en.Number(-1234), "−1,234"},
		{en.Number(123), "123"},
		{fr.N("dons", 0), "0 don"},
		{en.N("dons", 0), "0 gifts"},
		{en.N("dons", 1), "1 gift"},
		{fr.N("dons", 1700), "1\u202f700 dons"},
		{fr.FieldMoney(&moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 123450}), "1234,50"},
		{en.FieldMoney(&moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 123450}), "1234.50"},
		{fr.FieldMoney(&moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 2000}), "20"},
		{fr.T("missing"), "missing"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
