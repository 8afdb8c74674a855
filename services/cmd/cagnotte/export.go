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
	flags.StringVar(&req.Collective, "collective", "", "whose share of the ledger, by its slug (required, or -book)")
	flags.StringVar(&req.Book, "book", "", "what of a book belongs to no collective: instance/books/platform, or instance/books/acct_…")
	flags.StringVar(&req.Format, "format", "CSV", "the format: "+strings.Join(app.ExportFormats(), ", "))
	flags.StringVar(&req.StartDate, "start-date", "", "the first day, YYYY-MM-DD; from the beginning when empty, for the FEC twelve months before the closing")
	flags.StringVar(&req.EndDate, "end-date", "", "the last day, included; to the end when empty; for the FEC the closing day, required")
	flags.StringVar(&req.SIREN, "siren", "", "the body's SIREN, for the FEC; empty when it has none")
	flags.StringVar(&req.Version, "version", "", "pin the content to that of an earlier export, by the version that it was answered with")
	path := flags.String("o", "", "the file to write, or a folder for a file of the format's own name; standard output when empty")
	if err := parse(flags, args, stderr); err != nil {
		return ignoreHelp(err)
	}
	if (req.Collective == "") == (req.Book == "") {
		return errors.New("export: needs -collective, or -book")
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

// exportFile makes the file when it can be written, and removes it when it could not be to its end: half
// an export must not be taken for a whole one.
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
