package money

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

var (
	// ErrOverflow is the error for a result that does not fit into int64 minor units.
	ErrOverflow = errors.New("the amount is too large")
	// ErrCurrencyMismatch is the error for two amounts of different currencies.
	ErrCurrencyMismatch = errors.New("the amounts have different currencies")
	// ErrWhole is the error for a part of something that is not positive.
	ErrWhole = errors.New("the whole must be positive")
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

// Part returns a times part divided by whole, rounded away from zero, so that a part of a positive amount is never zero.
// A negative part gives the negative amount. Errors: ErrWhole unless whole is positive, ErrOverflow.
func (a Amount) Part(part, whole int64) (Amount, error) {
	if whole <= 0 {
		return Amount{}, ErrWhole
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
