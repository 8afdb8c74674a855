package treasury

import (
	"context"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// localDays tells which day it is where a collective is, and when its days begin.
type localDays struct {
	zone  *time.Location
	today calendar.Day
	// book is the collective's book, for reading alone: it may change until money is in it.
	// A write takes the book from [Service.openBookTx], which fixes it.
	book string
}

// localDays reads the collective's settings anew, so another time zone holds from the next request on.
func (s *Service) localDays(ctx context.Context, collective string) (localDays, error) {
	c, err := s.cfg.Collectives.Get(ctx, collective)
	if err != nil {
		return localDays{}, err
	}
	zone, err := c.Location()
	if err != nil {
		return localDays{}, err
	}
	return localDays{zone: zone, today: calendar.DayOf(s.now(), zone), book: c.StripeAccount}, nil
}

// check is INVALID_ARGUMENT on the field for a text that is no day, and for a day that is still to come.
func (d localDays) check(field string, day calendar.Day) error {
	if !day.Valid() || day < "1900" {
		return errs.Invalid(field, "must be a day of the calendar, such as 2025-03-31")
	}
	if day > d.today {
		return errs.Invalid(field, "must not be after today, %s", d.today)
	}
	return nil
}
