package treasury

import (
	"context"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// Day is a day of the calendar, written 2025-03-31, so that days compare as texts do.
type Day string

// calendar tells when days begin for a collective, and which is today.
type calendar struct {
	zone  *time.Location
	today Day
	// book is what the collective's money stands in, for who only reads: until there is some, it may become another.
	book string
	// open is the first moment that may be booked, for what is booked late; else zero, and closed periods refuse.
	open time.Time
}

func (s *Service) calendar(ctx context.Context, collective string) (calendar, error) {
	c, err := s.cfg.Collectives.Get(ctx, collective)
	if err != nil {
		return calendar{}, err
	}
	zone, err := c.Location()
	if err != nil {
		return calendar{}, err
	}
	return calendar{zone: zone, today: Day(s.now().In(zone).Format(time.DateOnly)), book: c.StripeAccount}, nil
}

// check is INVALID_ARGUMENT on the field for what is no day, or a day to come.
func (c calendar) check(field string, d Day) error {
	if _, err := time.Parse(time.DateOnly, string(d)); err != nil || d < "1900" {
		return errs.Invalid(field, "must be a day of the calendar, such as 2025-03-31")
	}
	if d > c.today {
		return errs.Invalid(field, "must not be after today, %s", c.today)
	}
	return nil
}

// start is when a day that was checked begins, or when the books are open again.
func (c calendar) start(d Day) time.Time {
	t, _ := time.ParseInLocation(time.DateOnly, string(d), c.zone)
	if t.Before(c.open) {
		return c.open
	}
	return t.UTC()
}

// of is the day that a moment is in.
func (c calendar) of(t time.Time) Day { return Day(t.In(c.zone).Format(time.DateOnly)) }

// age is how many days have gone by since.
func (c calendar) age(since Day) int { return daysBetween(since, c.today) }

// daysBetween is how many days after one day another is.
func daysBetween(from, to Day) int {
	a, _ := time.Parse(time.DateOnly, string(from))
	b, _ := time.Parse(time.DateOnly, string(to))
	return int(b.Sub(a).Hours() / 24)
}
