// Package wire turns money and times into the messages of the API and back.
package wire

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/money"
)

// Money returns the message of an amount.
func Money(a money.Amount) *moneyv1.Money {
	return &moneyv1.Money{CurrencyCode: string(a.Currency), AmountMinor: a.Minor}
}

// MoneyOrNil returns the message of an amount that may be unknown.
func MoneyOrNil(a *money.Amount) *moneyv1.Money {
	if a == nil {
		return nil
	}
	return Money(*a)
}

// Amount returns the amount of a message, and the zero amount, which has no currency, for none. Whether there is such
// a currency has been checked by protovalidate.
func Amount(m *moneyv1.Money) money.Amount {
	return money.Amount{Minor: m.GetAmountMinor(), Currency: money.Currency(m.GetCurrencyCode())}
}

// AmountOrNil returns the amount of a message, and nil for none.
func AmountOrNil(m *moneyv1.Money) *money.Amount {
	if m == nil {
		return nil
	}
	a := Amount(m)
	return &a
}

// Time returns the message of a time, and none for the zero time.
func Time(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// Instant returns the time of a message, and the zero time for none. It is never the zero time for a message: the
// first instant of the year 1 becomes one microsecond later.
//
// Errors: INVALID_ARGUMENT on the field for a time outside the years 1 to 9999.
func Instant(field string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if t.CheckValid() != nil {
		return time.Time{}, errs.Invalid(field, "must be a time between the years 1 and 9999")
	}
	if at := t.AsTime(); !at.IsZero() {
		return at, nil
	}
	return time.Time{}.Add(time.Microsecond), nil
}
