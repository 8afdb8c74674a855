package money

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

var (
	// ErrOverflow is the error for a result that does not fit into int64 minor units.
	ErrOverflow = errors.New("the amount is too large")
	// ErrCurrencyMismatch is the error for two amounts of different currencies.
	ErrCurrencyMismatch = errors.New("the amounts have different currencies")
	// ErrWeights is the error for weights that nothing can be split by.
	ErrWeights = errors.New("weights must not be negative, and one must be positive")
)

// Amount is a number of minor units of a currency, such as 1250 for 12.50 €. It may be negative.
type Amount struct {
	Minor    int64
	Currency Currency
}

// Add returns a + b. Errors: ErrCurrencyMismatch, ErrOverflow.
func (a Amount) Add(b Amount) (Amount, error) {
	if a.Currency != b.Currency {
		return Amount{}, mismatch(a, b)
	}
	sum := a.Minor + b.Minor
	// Only two numbers of one sign can overflow, and the wrapped sum then has the other.
	if (a.Minor < 0) == (b.Minor < 0) && (sum < 0) != (a.Minor < 0) {
		return Amount{}, ErrOverflow
	}
	return Amount{sum, a.Currency}, nil
}

// Sub returns a - b. Errors: ErrCurrencyMismatch, ErrOverflow.
func (a Amount) Sub(b Amount) (Amount, error) {
	if a.Currency != b.Currency {
		return Amount{}, mismatch(a, b)
	}
	difference := a.Minor - b.Minor
	// Only two numbers of different signs can overflow here. Not Add(Neg(b)): -b may not exist.
	if (a.Minor < 0) != (b.Minor < 0) && (difference < 0) != (a.Minor < 0) {
		return Amount{}, ErrOverflow
	}
	return Amount{difference, a.Currency}, nil
}

// Neg returns -a. Error: ErrOverflow, for the one number that has no counterpart.
func (a Amount) Neg() (Amount, error) {
	if a.Minor == math.MinInt64 {
		return Amount{}, ErrOverflow
	}
	return Amount{-a.Minor, a.Currency}, nil
}

// Mul returns n times a. Error: ErrOverflow.
func (a Amount) Mul(n int64) (Amount, error) {
	high, low := bits.Mul64(magnitude(a.Minor), magnitude(n))
	negative := (a.Minor < 0) != (n < 0)
	limit := uint64(math.MaxInt64)
	if negative {
		limit++
	}
	if high != 0 || low > limit {
		return Amount{}, ErrOverflow
	}
	return Amount{signed(low, negative), a.Currency}, nil
}

// Part returns a times part divided by whole, rounded away from zero, so that a part of a positive amount is never zero.
// A negative part gives the negative amount. Errors: ErrWeights unless whole is positive, ErrOverflow.
func (a Amount) Part(part, whole int64) (Amount, error) {
	if whole <= 0 {
		return Amount{}, ErrWeights
	}
	// 128 bits in between.
	high, low := bits.Mul64(magnitude(a.Minor), magnitude(part))
	if high >= uint64(whole) {
		return Amount{}, ErrOverflow
	}
	quotient, remainder := bits.Div64(high, low, uint64(whole))
	if quotient >= math.MaxInt64 {
		return Amount{}, ErrOverflow
	}
	if remainder > 0 {
		quotient++
	}
	return Amount{signed(quotient, (a.Minor < 0) != (part < 0)), a.Currency}, nil
}

// Split divides a in proportion to the weights, by largest remainder: the parts sum to a exactly,
// each is within one minor unit of its exact share, and a part of weight zero is zero. Of equal
// remainders the earlier part gets the unit, so equal input gives equal output. A negative
// amount, such as a refund, splits as its counterpart does.
//
// Errors: ErrWeights, ErrOverflow when the weights do not sum within int64.
func (a Amount) Split(weights ...int64) ([]Amount, error) {
	var sum int64
	for _, weight := range weights {
		if weight < 0 {
			return nil, ErrWeights
		}
		if sum > math.MaxInt64-weight {
			return nil, ErrOverflow
		}
		sum += weight
	}
	if sum == 0 {
		return nil, ErrWeights
	}

	type share struct {
		index     int
		whole     uint64
		remainder uint64
	}
	shares := make([]share, len(weights))
	left := magnitude(a.Minor)
	for i, weight := range weights {
		// 128 bits in between; the quotient fits, because no weight is above their sum.
		high, low := bits.Mul64(magnitude(a.Minor), uint64(weight))
		whole, remainder := bits.Div64(high, low, uint64(sum))
		shares[i] = share{i, whole, remainder}
		left -= whole
	}
	slices.SortStableFunc(shares, func(x, y share) int { return cmp.Compare(y.remainder, x.remainder) })

	parts := make([]Amount, len(weights))
	for _, s := range shares {
		if left > 0 {
			s.whole++
			left--
		}
		parts[s.index] = Amount{signed(s.whole, a.Minor < 0), a.Currency}
	}
	return parts, nil
}

// magnitude is the absolute value, which for the smallest int64 only uint64 can hold.
func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// signed is the reverse of magnitude. The caller knows that the result fits.
func signed(magnitude uint64, negative bool) int64 {
	if negative {
		return int64(-magnitude)
	}
	return int64(magnitude)
}

func mismatch(a, b Amount) error {
	return fmt.Errorf("%w: %s and %s", ErrCurrencyMismatch, a.Currency, b.Currency)
}
