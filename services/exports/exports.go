package exports

import (
	"context"
	"io"
	"sort"
	"time"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// FormatCSV is comma-separated values after RFC 4180, in UTF-8, with a header line.
const FormatCSV = "CSV"

// chunkBytes is how much is written at a time: few calls, and little to hold.
const chunkBytes = 64 << 10

// Config of [New].
type Config struct {
	Ledger      *ledger.Service
	Collectives *collectives.Service
}

// Service writes exports. It is safe for concurrent use.
type Service struct {
	ledger      *ledger.Service
	collectives *collectives.Service
}

// New returns a service.
func New(cfg Config) *Service {
	return &Service{ledger: cfg.Ledger, collectives: cfg.Collectives}
}

// Request asks for a file.
type Request struct {
	// Collective is a slug.
	Collective string
	// Format is FormatCSV, or empty for the same.
	Format string
	// From and To are days, YYYY-MM-DD in the collective's time zone, both included. Empty: no bound.
	From, To string
}

// Write writes the file to w, in chunks of about 64 KiB. What was written before an error is
// not a whole file: the caller must not pass it on as one.
//
// Errors: NOT_FOUND for the collective; INVALID_ARGUMENT naming format, from or to, before
// anything is written; those of the database; those of w as they are.
func (s *Service) Write(ctx context.Context, w io.Writer, req Request) error {
	x, err := s.prepare(ctx, req)
	if err != nil {
		return err
	}
	return x.write(ctx, w)
}

// export is a request that was found right.
type export struct {
	ledger   *ledger.Service
	filter   ledger.Filter
	zone     *time.Location
	fileName string
}

func (s *Service) prepare(ctx context.Context, req Request) (*export, error) {
	if req.Format != "" && req.Format != FormatCSV {
		return nil, errs.Invalid("format", "must be %s", FormatCSV)
	}
	collective, err := s.collectives.Get(ctx, req.Collective)
	if err != nil {
		return nil, err
	}
	zone, err := collective.Location()
	if err != nil {
		return nil, err
	}
	x := &export{ledger: s.ledger, zone: zone, filter: ledger.Filter{Collective: collective.ID}}
	x.fileName = collective.ID + "-ledger"
	if req.From != "" {
		first, err := parseDay("from", req.From)
		if err != nil {
			return nil, err
		}
		x.filter.Start = startOfDay(first, zone)
		x.fileName += "-from-" + req.From
	}
	if req.To != "" {
		last, err := parseDay("to", req.To)
		if err != nil {
			return nil, err
		}
		x.filter.End = startOfDay(last.AddDate(0, 0, 1), zone)
		x.fileName += "-to-" + req.To
	}
	// Written so, days sort as text.
	if req.From != "" && req.To != "" && req.From > req.To {
		return nil, errs.Invalid("to", "must not be before from")
	}
	x.fileName += ".csv"
	return x, nil
}

// parseDay returns the day in UTC. It refuses days that no calendar has, such as 2026-02-30.
func parseDay(field, day string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil || t.Year() < 1 {
		return time.Time{}, errs.Invalid(field, "must be a day of the calendar, written YYYY-MM-DD")
	}
	return t, nil
}

// startOfDay returns the first second of a calendar day in a zone. It searches, because there
// are zones whose clocks skip midnight or have it twice, where time.Date does not say which
// of two instants it gives.
func startOfDay(day time.Time, zone *time.Location) time.Time {
	// Every zone is within a day and a half of UTC, whatever its clocks do.
	const reach = 36 * time.Hour
	earliest := day.Add(-reach)
	wanted := day.Format(time.DateOnly)
	seconds := sort.Search(int(2*reach/time.Second), func(s int) bool {
		return earliest.Add(time.Duration(s)*time.Second).In(zone).Format(time.DateOnly) >= wanted
	})
	return earliest.Add(time.Duration(seconds) * time.Second)
}
