package money

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

var currencies = rapid.SampledFrom([]Currency{"EUR", "USD", "GBP", "CHF", "JPY", "XPF", "KWD", "TND"})

// amounts come from the whole range, its ends included.
var amounts = rapid.Custom(func(t *rapid.T) Amount {
	return Amount{rapid.Int64().Draw(t, "minor"), currencies.Draw(t, "currency")}
})

func TestCurrency(t *testing.T) {
	for code, exponent := range map[string]int{
		"EUR": 2, "CHF": 2, "ISK": 2, "AED": 2, "ZWG": 2,
		"JPY": 0, "XPF": 0, "MGA": 0, "BIF": 0,
		"KWD": 3, "BHD": 3, "TND": 3,
	} {
		currency := Currency(code)
		if got := currency.Exponent(); !currency.Valid() || got != exponent {
			t.Errorf("%s is valid: %v, and has exponent %d, want %d", code, currency.Valid(), got, exponent)
		}
	}
	for _, code := range []string{"", "eur", "EURO", "XXX", "E R", " EU", "R G", "AFN ALL", "€"} {
		if Currency(code).Valid() {
			t.Errorf("%q is valid", code)
		}
	}
}

// Arithmetic agrees with that of unlimited integers, or else says ErrOverflow.
func TestArithmetic(t *testing.T) {
	check := func(t *rapid.T, operation string, got Amount, err error, want *big.Int) {
		switch {
		case !want.IsInt64():
			if !errors.Is(err, ErrOverflow) {
				t.Fatalf("%s: %v, %v, want ErrOverflow for %v", operation, got, err, want)
			}
		case err != nil || got.Minor != want.Int64():
			t.Fatalf("%s: %v, %v, want %v", operation, got, err, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a := amounts.Draw(t, "a")
		b := Amount{rapid.Int64().Draw(t, "b"), a.Currency}
		bigA, bigB := big.NewInt(a.Minor), big.NewInt(b.Minor)

		sum, err := a.Add(b)
		check(t, "a+b", sum, err, new(big.Int).Add(bigA, bigB))
		reverse, reverseErr := b.Add(a)
		if reverse != sum || reverseErr != err {
			t.Fatalf("b+a = %v, %v, but a+b = %v, %v", reverse, reverseErr, sum, err)
		}
		difference, err := a.Sub(b)
		check(t, "a-b", difference, err, new(big.Int).Sub(bigA, bigB))
		negated, err := a.Neg()
		check(t, "-a", negated, err, new(big.Int).Neg(bigA))
	})
}

func TestArithmeticAtTheEnds(t *testing.T) {
	least, most, one := Amount{math.MinInt64, EUR}, Amount{math.MaxInt64, EUR}, Amount{1, EUR}
	for name, operation := range map[string]func() (Amount, error){
		"most + 1":  func() (Amount, error) { return most.Add(one) },
		"least - 1": func() (Amount, error) { return least.Sub(one) },
		"0 - least": func() (Amount, error) { return Amount{0, EUR}.Sub(least) },
		"-least":    least.Neg,
	} {
		if got, err := operation(); !errors.Is(err, ErrOverflow) {
			t.Errorf("%s = %v, %v, want ErrOverflow", name, got, err)
		}
	}
}

// A part agrees with that of unlimited integers, away from zero.
func TestPart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, part, whole := amounts.Draw(t, "a"), rapid.Int64().Draw(t, "part"), rapid.Int64Min(1).Draw(t, "whole")
		product := new(big.Int).Mul(big.NewInt(a.Minor), big.NewInt(part))
		want, rest := new(big.Int).QuoRem(product, big.NewInt(whole), new(big.Int))
		want.Add(want, big.NewInt(int64(rest.Sign())))
		got, err := a.Part(part, whole)
		if new(big.Int).Abs(want).Cmp(big.NewInt(math.MaxInt64)) >= 0 {
			if err == nil && big.NewInt(got.Minor).Cmp(want) != 0 {
				t.Fatalf("%v, want %v", got, want)
			}
			return
		}
		if err != nil || big.NewInt(got.Minor).Cmp(want) != 0 || got.Currency != a.Currency {
			t.Fatalf("%v, %v; want %v", got, err, want)
		}
	})
	for _, c := range []struct{ amount, part, whole, want int64 }{
		{20_00, 18_00, 18_00, 20_00},
		{20_00, 1, 18_00, 2},
		{20_00, -1, 18_00, -2},
		{20_00, 0, 18_00, 0},
		// A float has no room for these: the product is one above 2^53, or far above it.
		{9_007_199_254_740_993, 1, 1, 9_007_199_254_740_993},
		{94_906_267, 94_906_267, 94_906_267, 94_906_267},
		{99_999_999_999, 99_999_999_998, 99_999_999_999, 99_999_999_998},
	} {
		if got, err := (Amount{c.amount, EUR}).Part(c.part, c.whole); err != nil || got.Minor != c.want {
			t.Errorf("%d/%d of %d is %v, %v; want %d", c.part, c.whole, c.amount, got, err, c.want)
		}
	}
	if _, err := (Amount{1, EUR}).Part(1, 0); !errors.Is(err, ErrWhole) {
		t.Errorf("of nothing: %v", err)
	}
}

func TestCurrenciesDoNotMix(t *testing.T) {
	euros, yen := Amount{1, EUR}, Amount{1, "JPY"}
	if _, err := euros.Add(yen); !errors.Is(err, ErrCurrencyMismatch) {
		t.Errorf("Add: %v", err)
	}
	if _, err := euros.Sub(yen); !errors.Is(err, ErrCurrencyMismatch) {
		t.Errorf("Sub: %v", err)
	}
}
