package money

import (
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFormat(t *testing.T) {
	for _, test := range []struct {
		amount                   Amount
		french, english, decimal string // with plain spaces
	}{
		{Amount{123450, "EUR"}, "1 234,50 €", "€1,234.50", "1234.50"},
		{Amount{5, "EUR"}, "0,05 €", "€0.05", "0.05"},
		{Amount{0, "EUR"}, "0,00 €", "€0.00", "0.00"},
		{Amount{-123450, "EUR"}, "−1 234,50 €", "−€1,234.50", "-1234.50"},
		{Amount{-5, "EUR"}, "−0,05 €", "−€0.05", "-0.05"},
		{Amount{100000000, "USD"}, "1 000 000,00 $US", "$1,000,000.00", "1000000.00"},
		{Amount{100, "GBP"}, "1,00 £GB", "£1.00", "1.00"},
		{Amount{99999, "CHF"}, "999,99 CHF", "CHF 999.99", "999.99"},
		{Amount{1234, "JPY"}, "1 234 JPY", "¥1,234", "1234"},
		{Amount{1234, "KWD"}, "1,234 KWD", "KWD 1.234", "1.234"},
		{Amount{math.MinInt64, "JPY"}, "−9 223 372 036 854 775 808 JPY", "−¥9,223,372,036,854,775,808", "-9223372036854775808"},
	} {
		plain := strings.NewReplacer(noBreakSpace, " ", narrowNoBreakSpace, " ")
		if got := plain.Replace(test.amount.Format(French)); got != test.french {
			t.Errorf("%v in French: %q, want %q", test.amount, got, test.french)
		}
		if got := plain.Replace(test.amount.Format(English)); got != test.english {
			t.Errorf("%v in English: %q, want %q", test.amount, got, test.english)
		}
		if got := test.amount.Decimal(); got != test.decimal {
			t.Errorf("%v as a decimal: %q, want %q", test.amount, got, test.decimal)
		}
	}
	if got := (Amount{123450, EUR}).Format(French); got != "1\u202f234,50\u00a0€" {
		t.Errorf("a line may break within %q", got)
	}
}

func TestParse(t *testing.T) {
	for _, test := range []struct {
		text     string
		currency Currency
		want     int64
	}{
		{"12", EUR, 1200},
		{"12,50", EUR, 1250},
		{"12.50", EUR, 1250},
		{"12,5", EUR, 1250},
		{" 12,50 € ", EUR, 1250},
		{"€12.50", EUR, 1250},
		{"12.50 eur", EUR, 1250},
		{"EUR 12.50", EUR, 1250},
		{"20$", "USD", 2000},
		{"20 $US", "USD", 2000},
		{"1 234,5", EUR, 123450},
		{"1\u202f234,50\u00a0€", EUR, 123450},
		{"1,234.50", EUR, 123450},
		{"1.234,50", EUR, 123450},
		{"1'234.50", EUR, 123450},
		{"1’234.50", EUR, 123450},
		{"1.234.567", EUR, 123456700},
		{"1234567,89", EUR, 123456789},
		{"-5", EUR, -500},
		{"−5", EUR, -500},
		{"-€5", EUR, -500},
		{"€-5", EUR, -500},
		{"0,05", EUR, 5},
		{"007", EUR, 700},
		{"1,234", "JPY", 1234},
		{"1.234.567", "JPY", 1234567},
		{"1,234", "KWD", 1234},
		{"1.2", "KWD", 1200},
		{"92233720368547758.07", EUR, math.MaxInt64},
		{"-92233720368547758.08", EUR, math.MinInt64},
	} {
		got, err := Parse(test.text, test.currency)
		if err != nil || got != (Amount{test.want, test.currency}) {
			t.Errorf("Parse(%q, %s) = %v, %v, want %d", test.text, test.currency, got, err, test.want)
		}
	}
	for _, test := range []struct {
		text     string
		currency Currency
		want     error
	}{
		{"", EUR, ErrEmpty},
		{" € ", EUR, ErrEmpty},
		{"-", EUR, ErrEmpty},
		{"1,234", EUR, ErrAmbiguous},
		{"12.345", EUR, ErrAmbiguous},
		{"0,123", EUR, ErrTooPrecise},
		{"1234,567", EUR, ErrTooPrecise},
		{"1 234,567", EUR, ErrTooPrecise},
		{"12,5", "JPY", ErrTooPrecise},
		{"12,3456", "KWD", ErrTooPrecise},
		{"twenty", EUR, ErrSyntax},
		{"12,", EUR, ErrSyntax},
		{",50", EUR, ErrSyntax},
		{"1 23", EUR, ErrSyntax},
		{"1,23,456", EUR, ErrSyntax},
		{"1,234.567,89", EUR, ErrSyntax},
		{"1 234'567", EUR, ErrSyntax},
		{"1e3", EUR, ErrSyntax},
		{"0x10", EUR, ErrSyntax},
		{"١٢", EUR, ErrSyntax},
		{"--5", EUR, ErrSyntax},
		{"12 $", EUR, ErrSyntax},
		{"€€5", EUR, ErrSyntax},
		{"92233720368547758.08", EUR, ErrOverflow},
		{strings.Repeat("9", 1000), EUR, ErrOverflow},
		{"12", "eur", ErrUnknownCurrency},
	} {
		if got, err := Parse(test.text, test.currency); !errors.Is(err, test.want) {
			t.Errorf("Parse(%q, %s) = %v, %v, want %v", test.text, test.currency, got, err, test.want)
		}
	}
}

// In these texts ~ is a thin no-break space, and _ is a no-break space.
func TestFormatInEachLanguage(t *testing.T) {
	plain := strings.NewReplacer(narrowNoBreakSpace, "~", noBreakSpace, "_").Replace
	for _, amount := range []struct {
		Amount
		written map[Language]string
	}{
		{Amount{1234567, EUR}, map[Language]string{Occitan: "12~345,67_€", Breton: "12~345,67_€", Spanish: "12.345,67_€", German: "12.345,67_€"}},
		{Amount{123450, EUR}, map[Language]string{Occitan: "1~234,50_€", Breton: "1~234,50_€", Spanish: "1234,50_€", German: "1.234,50_€"}},
		{Amount{-500, "USD"}, map[Language]string{Occitan: "−5,00_$US", Breton: "−5,00_$US", Spanish: "−5,00_US$", German: "−5,00_$"}},
		{Amount{500, "GBP"}, map[Language]string{Occitan: "5,00_£GB", Spanish: "5,00_GBP", German: "5,00_£"}},
		{Amount{50000, "JPY"}, map[Language]string{Spanish: "50.000_JPY", German: "50.000_¥"}},
	} {
		for lang, want := range amount.written {
			if got := plain(amount.Format(lang)); got != want {
				t.Errorf("%v in %s: %q, want %q", amount.Amount, lang, got, want)
			}
		}
	}
}

func TestParseReadsWhatFormatWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := amounts.Draw(t, "amount")
		for _, lang := range []Language{French, English, Occitan, Breton, Spanish, German} {
			text := amount.Format(lang)
			if got, err := Parse(text, amount.Currency); err != nil || got != amount {
				t.Fatalf("%v is written %q and read %v, %v", amount, text, got, err)
			}
		}
	})
}

// Whatever parses has one meaning: written again and read again, it is the same.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"12,50", "1 234,5", "1,234", "-€1,234.50", "1.234.567", "", "−5", "12\u00a0€", "€"} {
		f.Add(text, "EUR")
		f.Add(text, "JPY")
		f.Add(text, "KWD")
	}
	f.Fuzz(func(t *testing.T, text, code string) {
		amount, err := Parse(text, Currency(code))
		if err != nil {
			if amount != (Amount{}) {
				t.Errorf("an error, and yet %v", amount)
			}
			return
		}
		for _, lang := range Languages() {
			if again, err := Parse(amount.Format(lang), amount.Currency); err != nil || again != amount {
				t.Errorf("%q is %v, written %q, read %v, %v", text, amount, amount.Format(lang), again, err)
			}
		}
	})
}
