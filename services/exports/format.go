package exports

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// The formats.
const (
	// FormatCSV is comma-separated values after RFC 4180, in UTF-8, with a header line.
	FormatCSV = "CSV"
	// FormatJSONL has one JSON object for each entry, one a line. https://jsonlines.org
	FormatJSONL = "JSONL"
)

// format is a way to write books.
type format struct {
	contentType string
	// fileName has slugs, digits and days only, so it needs no escaping.
	fileName func(*export) string
	// needsYear is true when the file is of a financial year, whose closing day must be given.
	needsYear bool
	// whole is true when the file is always of all time, and days are refused.
	whole bool
	// inSealOrder is true when the file has only what is sealed, in that order.
	inSealOrder bool
	// documents is true when the file names the documents behind the entries.
	documents bool
	// open returns the writer of the entries; nil when the file has none and is in the chunks already. It refuses what it
	// cannot write before the first byte is sent.
	open func(context.Context, *export, *chunks) (writer, error)
	// all is set instead of open when the file is not made of entries. It refuses nothing.
	all func(context.Context, *export, *chunks) error
}

// writer takes the entries of a file in their order, then its end. A writer that is an io.Closer too is closed
// afterwards, whether the file came to its end or not.
type writer interface {
	entry(*ledger.EntryRow) error
	end() error
}

// A new format is a line here and a file that defines its open or its all.
var formats = map[string]format{
	FormatCSV:   {contentType: "text/csv; charset=utf-8; header=present", fileName: spanName(".csv"), open: openCSV},
	FormatJSONL: {contentType: "application/jsonl; charset=utf-8", fileName: spanName(".jsonl"), open: openJSONL},

	FormatPayouts: {contentType: "text/csv; charset=utf-8; header=present", fileName: spanName(".payouts.csv"), all: writePayouts},

	FormatProof: {contentType: "application/jsonl; charset=utf-8", fileName: spanName(".proof.jsonl"), all: writeProof, whole: true},

	FormatXLSX: {
		contentType: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", fileName: spanName(".xlsx"), open: openXLSX,
	},

	FormatHledger:   {contentType: "text/plain; charset=utf-8", fileName: spanName(".journal"), open: openHledger},
	FormatBeancount: {contentType: "text/plain; charset=utf-8", fileName: spanName(".beancount"), open: openBeancount},

	FormatFEC: {
		contentType: "text/plain; charset=utf-8", fileName: fecName, open: openFEC,
		needsYear: true, inSealOrder: true, documents: true,
	},
	FormatFECNotice: {contentType: "text/plain; charset=utf-8", fileName: fecNoticeName, open: openFECNotice, needsYear: true},
}

func formatOf(name string) (format, error) {
	if name == "" {
		name = FormatCSV
	}
	f, ok := formats[name]
	if !ok {
		return format{}, errs.Invalid("format", "must be one of %s", strings.Join(Formats(), ", "))
	}
	return f, nil
}

// Formats returns the names of all formats, sorted.
func Formats() []string { return slices.Sorted(maps.Keys(formats)) }

// spanName returns a file name with the name of the share and its days.
func spanName(extension string) func(*export) string {
	return func(x *export) string {
		name := x.name + "-ledger"
		if x.first != "" {
			name += "-from-" + string(x.first)
		}
		if x.last != "" {
			name += "-to-" + string(x.last)
		}
		return name + extension
	}
}

// progressEvery is how many entries pass between two calls of Progress.
const progressEvery = 4096

// write makes the file. It calls ready before any byte leaves the chunks, and does not call it when the file cannot be
// made. ready is nil when the file is only counted. The order matters: open first, so that a refusal comes before
// ready; then ready, which sets the header; then the entries.
func (x *export) write(ctx context.Context, c *chunks, ready func(*chunks) error) (err error) {
	if x.format.all != nil {
		if ready != nil {
			if err := ready(c); err != nil {
				return err
			}
		}
		if err := x.format.all(ctx, x, c); err != nil {
			return err
		}
		return c.flush()
	}
	w, err := x.format.open(ctx, x, c)
	if err != nil {
		return err
	}
	// A writer with temporary files removes them, whether the file came to its end or not.
	if closer, ok := w.(io.Closer); ok {
		defer func() {
			if closeErr := closer.Close(); closeErr != nil {
				err = errors.Join(err, errs.Internal(closeErr))
			}
		}()
	}
	// A file that is only counted reports no progress.
	counting := ready == nil
	if !counting {
		if err := ready(c); err != nil {
			return err
		}
	}
	// The format has no entries, and everything is in the chunks already.
	if w == nil {
		return c.flush()
	}
	entry := w.entry
	if x.progress != nil && !counting {
		// The total is an estimate, so progress never says less than what was written.
		total, err := x.view.CountEntries(ctx, x.filter)
		if err != nil {
			return err
		}
		var done int64
		entry = func(row *ledger.EntryRow) error {
			if done++; done%progressEvery == 0 {
				x.progress(done, max(done, total))
			}
			return w.entry(row)
		}
		defer func() { x.progress(done, done) }()
	}
	if err := x.view.StreamEntries(ctx, x.filter, entry); err != nil {
		return err
	}
	if err := w.end(); err != nil {
		return err
	}
	return c.flush()
}

const (
	// chunkBytes is how much is written at a time: few calls, and little memory.
	chunkBytes = 64 << 10
	// rowBytes is more than a row takes whose texts have the usual length.
	rowBytes = 1 << 10
)

// chunks buffers the file. Writers append to b and then spill.
type chunks struct {
	b   []byte
	out io.Writer
	// skip is how many bytes are still to be left out.
	skip int64
}

// spill writes the buffer when it is large enough.
func (c *chunks) spill() error {
	if len(c.b) < chunkBytes {
		return nil
	}
	return c.flush()
}

// flush writes the buffer, whatever its size. After an error the buffer is empty too: the file is broken off then.
func (c *chunks) flush() error {
	_, err := c.pass(c.b)
	// A buffer that has grown too large is released.
	if cap(c.b) > 2*chunkBytes {
		c.b = nil
	}
	c.b = slices.Grow(c.b[:0], chunkBytes+rowBytes)
	return err
}

// pass writes all but the bytes that are still to be skipped.
func (c *chunks) pass(b []byte) (int, error) {
	left := int64(len(b))
	skipped := min(c.skip, left)
	// Nothing of this buffer was asked for. The writer behind is not called: a continued download begins with its offset.
	if c.skip -= skipped; skipped == left {
		return len(b), nil
	}
	if _, err := c.out.Write(b[skipped:]); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Write is for writers that do not append.
func (c *chunks) Write(b []byte) (int, error) {
	c.b = append(c.b, b...)
	return len(b), c.spill()
}

// counter counts the bytes that it is given.
type counter int64

func (n *counter) Write(b []byte) (int, error) {
	*n += counter(len(b))
	return len(b), nil
}
