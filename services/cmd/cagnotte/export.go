package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/app"
)

func export(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("export", flag.ContinueOnError)
	var req app.ExportRequest
	flags.StringVar(&req.Collective, "collective", "", "the slug of the collective whose share of the ledger to export (this or -book is required)")
	flags.StringVar(&req.Book, "book", "", "the book of which to export what belongs to no collective: instance/books/platform, or instance/books/acct_…")
	flags.StringVar(&req.Format, "format", "CSV", "one of "+strings.Join(app.ExportFormats(), ", "))
	flags.StringVar(&req.StartDate, "start-date", "", "the first day, YYYY-MM-DD (default: the first of the ledger; for the FEC, twelve months before the closing day)")
	flags.StringVar(&req.EndDate, "end-date", "", "the last day, included, YYYY-MM-DD (default: the last of the ledger; for the FEC, the closing day, required)")
	flags.StringVar(&req.SIREN, "siren", "", "the SIREN of the legal body, for the FEC (default: none)")
	flags.StringVar(&req.Version, "version", "", "the version of an earlier export, to get the same content again (default: the newest content)")
	path := flags.String("o", "", "the file to create, or a folder for a file with the format's own name (default: standard output)")
	if err := parse(flags, args, stderr); err != nil {
		return ignoreHelp(err)
	}
	if (req.Collective == "") == (req.Book == "") {
		return errors.New("export: -collective or -book is required, and not both")
	}
	url, err := app.DatabaseFromEnv(getenv)
	if err != nil {
		return err
	}
	if isTerminal(stderr) {
		progress := &bar{out: stderr, now: time.Now}
		defer progress.end()
		req.Progress = progress.show
	}
	if *path == "" {
		return app.Export(ctx, url, req, stdout)
	}
	return exportFile(ctx, url, req, *path)
}

// exportFile creates the file once the export begins, and removes it after an error: nobody must take a part of an export
// for the whole.
func exportFile(ctx context.Context, url string, req app.ExportRequest, path string) (err error) {
	var file *os.File
	defer func() {
		if file == nil {
			return
		}
		if err = errors.Join(err, file.Close()); err != nil {
			os.Remove(file.Name())
		}
	}()
	return app.ExportTo(ctx, url, req, func(h app.ExportHeader) (io.Writer, error) {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			path = filepath.Join(path, h.FileName)
		}
		var err error
		if file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return nil, fmt.Errorf("export: %w", err)
		}
		return file, nil
	})
}
