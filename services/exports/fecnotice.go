package exports

import (
	"context"
	_ "embed"
	"slices"
	"strings"
	"text/template"

	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// FormatFECNotice is the description of the FEC's fields, in French, which the same article requires beside the file.
// It has no entries.
const FormatFECNotice = "FEC_NOTICE"

//go:embed fec_notice.txt
var fecNoticeText string

func fecNoticeName(x *export) string { return strings.TrimSuffix(fecName(x), ".txt") + "-notice.txt" }

// openFECNotice writes the whole notice into the chunks and returns no writer, since no entry follows. Lines end with
// CRLF, as in the FEC.
func openFECNotice(_ context.Context, x *export, c *chunks) (writer, error) {
	notice, err := template.New("notice").Parse(strings.ReplaceAll(fecNoticeText, "\n", "\r\n"))
	if err != nil {
		return nil, errs.Internal(err)
	}
	type journal struct{ Code, Name string }
	byKind, inOrder, err := fecJournals()
	if err != nil {
		return nil, errs.Internal(err)
	}
	var journals []journal
	for _, j := range inOrder {
		// A journal may be that of several kinds.
		if named := (journal{j.code, j.name}); !slices.Contains(journals, named) {
			journals = append(journals, named)
		}
	}
	// A notice is read by people, so days are written as in France.
	const day = "02/01/2006"
	if err := notice.Execute(c, map[string]any{
		"Title": x.title, "SIREN": x.siren, "FileName": fecName(x), "First": x.first.Format(day), "Last": x.last.Format(day),
		"Opening": journal{Code: byKind[openingKind].code}, "Journals": journals,
	}); err != nil {
		return nil, errs.Internal(err)
	}
	return nil, nil
}
