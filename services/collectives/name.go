package collectives

import (
	"regexp"

	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// linkPattern finds what a mail program makes a link of: an address with a scheme, of mail, or a name with a dot inside.
var linkPattern = regexp.MustCompile(`(?i)://|\bwww\.|@|[\pL\pN-]{2,}\.\pL{2,}`)

// checkName refuses a name of a collective or a person that has a line break, marks that nobody sees, or a link: it stands in
// mails and on pages, beside what they tell of it. The field is where it stands in the request. The name of a collective is
// checked when it is given, not whenever something else changes: older ones may have a dot.
func checkName(field, name string, maxChars int) error {
	switch {
	case !access.PrintableLine(name, maxChars):
		return errs.Invalid(field, "must be one line of 1 to %d visible characters", maxChars)
	case linkPattern.MatchString(name):
		return errs.Invalid(field, "must have no address of a site or of mail")
	}
	return nil
}
