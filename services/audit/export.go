package audit

import (
	"bytes"
	"context"
	"io"
	"time"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/csvcell"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const (
	// maxExports may run at once in one process, at most maxOfOne for one parent. They hold no connection while their
	// reader reads.
	maxExports, maxOfOne = 6, 2
	// longestExport is the default of [Config.LongestExport].
	longestExport = 5 * time.Minute
	// retryFull is when a caller that was refused may try again.
	retryFull = 10 * time.Second
	// maxExported is how many entries one file has, and exportPage how many of them are read at a time.
	maxExported, exportPage = 100_000, 500
)

// csvHeader names the columns. The time is UTC. An entry without fields has one line, with the last three columns empty.
const csvHeader = "create_time,name,collective,actor,actor_display_name,by_operator,method,resource,request_id," +
	"field,before,after\r\n"

// export writes the entries of a filter, newest first, page by page: first head, then line of each entry. Each page is one
// write.
//
// Errors: RESOURCE_EXHAUSTED TOO_MANY_EXPORTS; DEADLINE_EXCEEDED when it takes too long; those of the database; those of w as
// they are. The last write may still be under way when export returns with an error.
func (s *Service) export(ctx context.Context, f filter, w io.Writer, head string, line func([]byte, Entry) ([]byte, error)) error {
	leave, ok := s.exports.Take(ctx, parentName(f.Collective), 1)
	if !ok {
		full := errs.New(errorsv1.ErrorReason_TOO_MANY_EXPORTS, "Other exports are under way; try again in a moment.")
		full.RetryAfter = retryFull
		return full
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, s.longest)
	defer cancel()

	b := []byte(head)
	after := newest
	for left := maxExported; left > 0; {
		page, err := s.list(ctx, f, after, min(exportPage, left))
		if err != nil {
			return err
		}
		for _, e := range page {
			if b, err = line(b, e); err != nil {
				return err
			}
		}
		if len(b) > 0 {
			if err := writeUntil(ctx, w, b); err != nil {
				return err
			}
		}
		if len(page) < exportPage {
			return nil
		}
		last := page[len(page)-1]
		b, left, after = b[:0], left-len(page), position{last.CreateTime, last.ID}
	}
	return nil
}

// writeUntil writes a copy of b, and leaves the write behind when ctx ends: a reader that has stopped reading would hold its
// place as long as its connection.
func writeUntil(ctx context.Context, w io.Writer, b []byte) error {
	b = bytes.Clone(b)
	// The channel has room for the result, so the goroutine ends also when nobody waits for it any more.
	done := make(chan error, 1)
	go func() {
		_, err := w.Write(b)
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return postgres.Error(ctx.Err())
	}
}

// csvLine is what a line of the CSV begins with, and the fields that follow it in lines of their own.
type csvLine struct {
	columns []string
	fields  [][3]string
}

func appendCSV(b []byte, l csvLine) []byte {
	fields := l.fields
	if len(fields) == 0 {
		fields = [][3]string{{}}
	}
	for _, f := range fields {
		for _, text := range l.columns {
			b = append(csvcell.Append(b, text), ',')
		}
		b = append(csvcell.Append(b, f[0]), ',')
		b = append(csvcell.Append(b, f[1]), ',')
		b = append(csvcell.Append(b, f[2]), "\r\n"...)
	}
	return b
}
