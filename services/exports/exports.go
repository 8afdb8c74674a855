package exports

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/places"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/payouts"
)

// Config of [New].
type Config struct {
	Ledger      *ledger.Service
	Collectives *collectives.Service
	// Payouts is for [FormatPayouts]; it needs no client of Stripe's. Nil: that format must not be asked for.
	Payouts *payouts.Service
	// Pace is the slowest that a reader may be. Zero: no limit. See [DefaultPace].
	Pace Pace
	// Documents reads the documents of what a treasurer entered, by the ids in the references of the book. Nil: none.
	Documents ReadDocuments
}

// Service writes exports. It is safe for concurrent use.
type Service struct {
	ledger      *ledger.Service
	collectives *collectives.Service
	payouts     *payouts.Service
	documents   ReadDocuments
	// places has one place for each export under way.
	places *places.Set
	pace   Pace
}

const (
	// Each export holds a connection to the database for as long as its reader reads. At most maxExports run at once, which
	// leaves the other connections to donations, at most maxOfOne of them for one collective or book, and none lasts longer
	// than longestExport. A download that was cut off continues with its version and an offset.
	maxExports, maxOfOne = 6, 2
	longestExport        = 15 * time.Minute
	// retryFull is when a caller that was refused may try again.
	retryFull = 10 * time.Second
)

// New returns a service.
func New(cfg Config) *Service {
	return &Service{
		ledger: cfg.Ledger, collectives: cfg.Collectives, payouts: cfg.Payouts, documents: cfg.Documents, pace: cfg.Pace,
		places: places.New(places.Config{All: maxExports, Each: maxOfOne}),
	}
}

// Request asks for a file.
type Request struct {
	// Collective is a slug. Empty: what belongs to no collective in Book.
	Collective string
	// Book, without a collective, is a name such as `instance/books/platform`.
	Book string
	// Format is one of the Format constants. Empty: [FormatCSV].
	Format string
	// StartDate and EndDate are days, YYYY-MM-DD in the collective's time zone, both included. Empty: no bound. For
	// [FormatFEC] they are those of the financial year.
	StartDate, EndDate string
	// SIREN is the nine digits of the organisation, for [FormatFEC] only. Empty: it has none.
	SIREN string
	// Version pins the content to that of an earlier [Header]. Empty: as it is now.
	Version string
	// Offset is how many bytes to leave out at the beginning; it requires a version.
	Offset int64
	// Progress is called now and then with the number of entries written and about how many there are in all, and once at
	// the end. Nil: never.
	Progress func(done, total int64)
}

// Header is what is known of a file before its first byte.
type Header struct {
	FileName    string
	ContentType string
	// Version names the content: the same request with it gives the same bytes as long as the program, the collective's
	// time zone and the accounts' names are the same.
	Version string
	// Size is the size of the whole file in bytes when there is an offset, else -1.
	Size int64
}

// Write writes the file to w, in chunks of about 64 KiB. What was written before an error is not a whole file: the
// caller must not pass it on as one.
//
// Errors: those of [Service.Export], and those of w as they are.
func (s *Service) Write(ctx context.Context, w io.Writer, req Request) error {
	return s.Export(ctx, req, func(Header) (io.Writer, error) { return w, nil })
}

// Export writes a file to the writer that begin returns. With an offset it makes the file twice, once to learn its
// size.
//
// Errors before begin is called: NOT_FOUND for the collective or book; INVALID_ARGUMENT on format, start_date,
// end_date, siren, version or offset; OUT_OF_RANGE OFFSET_BEYOND_END; FAILED_PRECONDITION EXPORT_CHANGED when the bytes
// of the version cannot be made again; RESOURCE_EXHAUSTED TOO_MANY_EXPORTS when two of the same collective or book, or
// six in all, are under way; those of the format, which its constant tells; those of the database.
//
// Errors afterwards: those of the database; DEADLINE_EXCEEDED after a quarter of an hour; DEADLINE_EXCEEDED
// EXPORT_READ_TOO_SLOWLY when the reader is slower than [Pace]; those of begin and its writer as they are. The last
// write may still be under way when Export returns with an error.
func (s *Service) Export(ctx context.Context, req Request, begin func(Header) (io.Writer, error)) error {
	x, err := s.prepare(ctx, req)
	if err != nil {
		return err
	}
	watermark, digest, err := parseVersion(req)
	if err != nil {
		return err
	}
	leave, ok := s.places.Take(ctx, req.Collective+" "+req.Book, 1)
	if !ok {
		full := errs.New(errorsv1.ErrorReason_TOO_MANY_EXPORTS, "Other exports are under way; try again in a moment.")
		full.RetryAfter = retryFull
		return full
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, longestExport)
	defer cancel()
	return s.ledger.View(ctx, watermark, func(v *ledger.View) error {
		x.view = v
		current, err := x.digest(ctx)
		if err != nil {
			return err
		}
		header := Header{
			FileName: x.fileName, ContentType: x.format.contentType, Version: formatVersion(v.Watermark(), current), Size: -1,
		}
		if req.Offset > 0 {
			if digest != current {
				return errs.New(errorsv1.ErrorReason_EXPORT_CHANGED,
					"The program, the time zone or the name of an account has changed since; ask for the file from its beginning.")
			}
			size := counter(0)
			if err := x.write(ctx, &chunks{out: &size}, nil); err != nil {
				return err
			}
			if header.Size = int64(size); req.Offset >= header.Size {
				return errs.New(errorsv1.ErrorReason_OFFSET_BEYOND_END, "The file has %d bytes.", header.Size)
			}
		}
		return x.write(ctx, &chunks{skip: req.Offset}, func(c *chunks) error {
			out, err := begin(header)
			if c.out = out; s.pace.Window > 0 {
				c.out = &paced{ctx: ctx, out: out, pace: s.pace}
			}
			return err
		})
	})
}

// export is a request that has been checked.
type export struct {
	format format
	filter ledger.Filter
	book   string
	title  string
	// name begins the file's name: a slug, or the id of a Stripe account.
	name     string
	siren    string
	zone     *time.Location
	fileName string
	// first and last are the days asked for; empty when there is no bound.
	first, last calendar.Day
	progress    func(done, total int64)
	view        *ledger.View
	payouts     *payouts.Service
	// documents are read when the format names them.
	readDocuments ReadDocuments
	documents     map[uuid.UUID]Document
}

func (s *Service) prepare(ctx context.Context, req Request) (*export, error) {
	format, err := formatOf(req.Format)
	if err != nil {
		return nil, err
	}
	x, err := s.prepareShare(ctx, req)
	if err != nil {
		return nil, err
	}
	x.format, x.filter.InSealOrder, x.progress, x.payouts = format, format.inSealOrder, req.Progress, s.payouts
	x.readDocuments = s.documents
	if err := x.setDays(req.StartDate, req.EndDate); err != nil {
		return nil, err
	}
	if err := x.setSIREN(req.SIREN); err != nil {
		return nil, err
	}
	x.fileName = format.fileName(x)
	return x, nil
}

// prepareShare finds what is exported: the book, its title and its time zone.
func (s *Service) prepareShare(ctx context.Context, req Request) (*export, error) {
	if req.Collective == "" && req.Book != "" {
		book, err := s.ledger.FindBook(ctx, req.Book)
		if err != nil {
			return nil, err
		}
		zone, err := collectives.Collective{TimeZone: collectives.DefaultTimeZone}.Location()
		if err != nil {
			return nil, err
		}
		name := req.Book[strings.LastIndexByte(req.Book, '/')+1:]
		return &export{zone: zone, book: book, title: name, name: name, filter: ledger.Filter{Book: book}}, nil
	}
	collective, err := s.collectives.Get(ctx, req.Collective)
	if err != nil {
		return nil, err
	}
	zone, err := collective.Location()
	if err != nil {
		return nil, err
	}
	return &export{
		zone: zone, book: collective.StripeAccount, title: collective.DisplayName, name: collective.ID,
		filter: ledger.Filter{Collective: collective.ID},
	}, nil
}

// setDays sets the days, and the bounds of the filter.
func (x *export) setDays(start, end string) (err error) {
	if x.last, err = calendar.ParseDay("end_date", end); err != nil {
		return err
	}
	if x.first, err = calendar.ParseDay("start_date", start); err != nil {
		return err
	}
	if x.format.whole && (x.first != "" || x.last != "") {
		field := "start_date"
		if x.first == "" {
			field = "end_date"
		}
		return errs.Invalid(field, "must be empty: this format always has the whole share")
	}
	if x.format.needsYear {
		if x.last == "" {
			return errs.Invalid("end_date", "must be the closing day of the financial year")
		}
		if x.first == "" {
			// The day after the previous closing; for the last of February too.
			x.first = x.last.Add(0, 0, 1).Add(-1, 0, 0)
		}
	}
	if x.last != "" && x.first > x.last {
		return errs.Invalid("end_date", "must not be before start_date")
	}
	if x.first != "" {
		x.filter.Start = x.first.Start(x.zone)
	}
	if x.last != "" {
		x.filter.End = x.last.End(x.zone)
	}
	return nil
}
