package money

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"
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
		product, err := a.Mul(b.Minor)
		check(t, "a*b", product, err, new(big.Int).Mul(bigA, bigB))
		small := rapid.Int64Range(-1000, 1000).Draw(t, "small")
		product, err = a.Mul(small)
		check(t, "a*small", product, err, new(big.Int).Mul(bigA, big.NewInt(small)))
	})
}

func TestArithmeticAtTheEnds(t *testing.T) {
	least, most, one := Amount{math.MinInt64, EUR}, Amount{math.MaxInt64, EUR}, Amount{1, EUR}
	for name, operation := range map[string]func() (Amount, error){
		"most + 1":   func() (Amount, error) { return most.Add(one) },
		"least - 1":  func() (Amount, error) { return least.Sub(one) },
		"0 - least":  func() (Amount, error) { return Amount{0, EUR}.Sub(least) },
		"-least":     least.Neg,
		"least * -1": func() (Amount, error) { return least.Mul(-1) },
		"most * 2":   func() (Amount, error) { return most.Mul(2) },
	} {
		if got, err := operation(); !errors.Is(err, ErrOverflow) {
			t.Errorf("%s = %v, %v, want ErrOverflow", name, got, err)
		}
	}
	if got, err := least.Mul(1); err != nil || got != least {
		t.Errorf("least * 1 = %v, %v", got, err)
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
	if _, err := (Amount{1, EUR}).Part(1, 0); !errors.Is(err, ErrWeights) {
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

func TestSplit(t *testing.T) {
	for _, test := range []struct {
		rule    string
		minor   int64
		weights []int64
		want    []int64
	}{
		{"gives the remainder to the earlier of equals", 100, []int64{1, 1, 1}, []int64{34, 33, 33}},
		{"gives the remainder to the largest remainder", 10, []int64{1, 2, 4}, []int64{1, 3, 6}},
		{"gives nothing to weight zero", 5, []int64{0, 1, 0, 1}, []int64{0, 3, 0, 2}},
		{"mirrors negative amounts", -100, []int64{1, 1, 1}, []int64{-34, -33, -33}},
		{"splits the smallest amount", math.MinInt64, []int64{1}, []int64{math.MinInt64}},
		{"splits nothing", 0, []int64{1, 2}, []int64{0, 0}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			parts, err := Amount{test.minor, EUR}.Split(test.weights...)
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, part := range parts {
				got = append(got, part.Minor)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, test := range []struct {
		rule    string
		weights []int64
		want    error
	}{
		{"refuses no weights", nil, ErrWeights},
		{"refuses weights of zero", []int64{0, 0}, ErrWeights},
		{"refuses a negative weight", []int64{2, -1}, ErrWeights},
		{"refuses weights whose sum overflows", []int64{math.MaxInt64, 1}, ErrOverflow},
	} {
		t.Run(test.rule, func(t *testing.T) {
			if _, err := (Amount{100, EUR}).Split(test.weights...); !errors.Is(err, test.want) {
				t.Errorf("err = %v, want %v", err, test.want)
			}
		})
	}
}

func TestSplitSumsExactlyAndFairly(t *testing.T) {
	weight := rapid.OneOf(rapid.Int64Range(0, 10), rapid.Int64Range(0, math.MaxInt64/20))
	rapid.Check(t, func(t *rapid.T) {
		amount := amounts.Draw(t, "amount")
		weights := rapid.SliceOfN(weight, 1, 20).Draw(t, "weights")
		weights[0]++ // one at least is positive
		parts, err := amount.Split(weights...)
		if err != nil {
			t.Fatal(err)
		}
		total, weightSum := new(big.Int), new(big.Int)
		for i := range parts {
			total.Add(total, big.NewInt(parts[i].Minor))
			weightSum.Add(weightSum, big.NewInt(weights[i]))
		}
		if total.Cmp(big.NewInt(amount.Minor)) != 0 {
			t.Fatalf("the parts of %v sum to %v", amount, total)
		}
		for i, part := range parts {
			// |part * sum - amount * weight| < sum: less than one unit from the exact share.
			exact := new(big.Int).Mul(big.NewInt(amount.Minor), big.NewInt(weights[i]))
			off := new(big.Int).Mul(big.NewInt(part.Minor), weightSum)
			if off.Sub(off, exact).CmpAbs(weightSum) >= 0 {
				t.Fatalf("part %d of %v by %v is %v", i, amount, weights, part)
			}
		}
	})
}
