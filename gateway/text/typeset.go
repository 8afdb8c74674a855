package text

import (
	"regexp"
	"strings"
)

// Break stands in a text that [Typeset] reads between two pieces that are set apart, such as a word in bold and what follows
// it. It counts as nothing there and comes back where it was. It is a code point that no text has.
const Break = "\ufdd0"

// thin is the space that French sets before high punctuation and inside of its quotes: narrow, and no line ends at it.
const thin = "\u202f"

// breaks are any number of them.
const breaks = `(?:` + Break + `)*`

var (
	// An entity of Markdown ends with a semicolon that is none.
	entity = `&#?\w+;`
	// spacedHigh has a plain or no-break space before its sign, and bareHigh has none; a figure behind it is a time or a ratio,
	// and a letter an address.
	spacedHigh = regexp.MustCompile(`[ \x{a0}]+(` + breaks + `[;:!?]+(?:[^\w/\\]|$))`)
	bareHigh   = regexp.MustCompile(entity + `|([\p{L}\p{N})»%€]` + breaks + `)([;:!?]+)([\s\x{a0})»"]|` + Break + `|$)`)

	// quoted is a pair of straight quotes that open behind a space and close at a word.
	quoted      = regexp.MustCompile(`(^|[\s\x{a0}(\['’–—]|` + Break + `)"([^\s"](?:[^"]*[^\s"])?)"`)
	afterQuote  = regexp.MustCompile(`«[ \x{a0}\x{202f}]*`)
	beforeQuote = regexp.MustCompile(`[ \x{a0}\x{202f}]*»`)
	apostrophe  = regexp.MustCompile(`(\p{L}` + breaks + `)'(` + breaks + `[\p{L}\p{N}«])`)
	dash        = regexp.MustCompile(`([\s\x{a0}])--?([\s\x{a0}])`)
	inThousands = regexp.MustCompile(`\b\d{1,3}( \d{3})+\b`)
	beforeUnit  = regexp.MustCompile(`(\d) ([€%])`)
)

// Typeset sets a text as its language is printed; others than French stay as they are. A French one gets thin no-break spaces
// before high punctuation, inside of guillemets and between thousands, guillemets for straight quotes, and printed
// apostrophes, dashes and ellipses for those of a typewriter. To set a text again changes nothing.
func Typeset(lang, text string) string {
	if lang != "fr" {
		return text
	}
	text = strings.ReplaceAll(text, "...", "…")
	// An expression is asked only where one of its signs stands: most texts have few of them, and some are long.
	set := func(signs string, pattern *regexp.Regexp, by string) {
		if strings.ContainsAny(text, signs) {
			text = pattern.ReplaceAllString(text, by)
		}
	}
	set("-", dash, "$1–$2")
	set("'", apostrophe, "$1’$2")
	set(`"`, quoted, "$1«$2»")
	set("«", afterQuote, "«"+thin)
	set("»", beforeQuote, thin+"»")
	set(";:!?", spacedHigh, thin+"$1")
	if strings.ContainsAny(text, ";:!?") {
		text = bareHigh.ReplaceAllStringFunc(text, func(found string) string {
			m := bareHigh.FindStringSubmatch(found)
			if m[2] == "" {
				return found // an entity
			}
			return m[1] + thin + m[2] + m[3]
		})
	}
	set("€%", beforeUnit, "$1\u00a0$2")
	if !strings.ContainsAny(text, "0123456789") {
		return text
	}
	return inThousands.ReplaceAllStringFunc(text, func(number string) string {
		return strings.ReplaceAll(number, " ", thin)
	})
}

// Apostrophes sets the apostrophes within words of a name as they are printed, in any language. It is for names that were
// stored with those of a typewriter and stay so in exports: the character sets of the FEC lack the printed one.
func Apostrophes(name string) string { return apostrophe.ReplaceAllString(name, "$1’$2") }
