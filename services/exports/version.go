package exports

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// formatVersion returns a version, which is "watermark-digest". The watermark pins which entries there are; the digest
// tells whether they would be written with the same bytes. Only a part of a file needs the digest.
func formatVersion(w ledger.Watermark, digest string) string { return string(w) + "-" + digest }

// parseVersion returns the two parts of the version that was asked for, both empty without one. Whether the watermark
// is one that the database has come to is for [ledger.Service.View] to check.
func parseVersion(req Request) (w ledger.Watermark, digest string, err error) {
	if req.Offset < 0 {
		return "", "", errs.Invalid("offset", "must not be negative")
	}
	if req.Version == "" {
		if req.Offset > 0 {
			return "", "", errs.Invalid("version", "is required with an offset: only then are the bytes before it the ones that you have")
		}
		return "", "", nil
	}
	watermark, digest, ok := strings.Cut(req.Version, "-")
	if !ok || watermark == "" {
		return "", "", errs.Invalid("version", "must be the version of an earlier export")
	}
	return ledger.Watermark(watermark), digest, nil
}

// digest is a hash of everything that the bytes depend on beside the entries; the file's name stands for the request.
// The accounts' names stand in the file, and may change without a change of the entries. Eight bytes are enough to tell
// versions apart.
func (x *export) digest(ctx context.Context) (string, error) {
	accounts, err := x.view.Chart(ctx, x.book)
	if err != nil {
		return "", err
	}
	if err := x.loadDocuments(ctx); err != nil {
		return "", err
	}
	h := sha256.New()
	x.hashDocuments(h)
	// The Go release and the revision stand for the code that writes the file.
	fmt.Fprintf(h, "%s %s %q %q %q\n", runtime.Version(), revision(), x.fileName, x.zone, x.title)
	for _, a := range accounts {
		fmt.Fprintf(h, "%q %q %q\n", a.Code, a.DisplayName, a.Type)
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// revision returns that of the program; empty when it was built outside version control.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
