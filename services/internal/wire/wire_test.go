package wire_test

import (
	"math"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/wire"
	"github.com/cagnotte/cagnotte/services/money"
)

func TestMoneyGoesThereAndBack(t *testing.T) {
	for _, want := range []money.Amount{{}, {Minor: 12_50, Currency: money.EUR}, {Minor: -1, Currency: "JPY"}, {Minor: math.MaxInt64, Currency: money.EUR}} {
		if got := wire.Amount(wire.Money(want)); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	if got := wire.Amount(nil); got != (money.Amount{}) {
		t.Errorf("no message is %v", got)
	}
	if wire.AmountOrNil(nil) != nil || *wire.AmountOrNil(wire.Money(money.Amount{})) != (money.Amount{}) {
		t.Error("only a message that is absent has no amount")
	}
	if wire.MoneyOrNil(nil) != nil || wire.MoneyOrNil(&money.Amount{Minor: 1, Currency: money.EUR}).GetAmountMinor() != 1 {
		t.Error("only an unknown amount has no message")
	}
}

func TestTimesGoThereAndBack(t *testing.T) {
	at := time.Date(2025, 3, 31, 12, 0, 0, 1000, time.UTC)
	if got, err := wire.Instant("start_time", wire.Time(at)); err != nil || !got.Equal(at) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := wire.Instant("start_time", wire.Time(time.Time{})); err != nil || !got.IsZero() {
		t.Errorf("no time is %v, %v", got, err)
	}
	first := &timestamppb.Timestamp{Seconds: time.Time{}.Unix()}
	if got, err := wire.Instant("start_time", first); err != nil || got.IsZero() || got.Sub(time.Time{}) > time.Second {
		t.Errorf("the first instant of all is %v, %v; it must not look like no time", got, err)
	}
	late := &timestamppb.Timestamp{Seconds: math.MaxInt64}
	if _, err := wire.Instant("start_time", late); errs.Code(err) != codes.InvalidArgument || errs.As(err).Fields[0].Field != "start_time" {
		t.Errorf("a time that is none: %v", err)
	}
}
