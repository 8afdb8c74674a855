package markdown

import (
	"html"
	"html/template"
	"regexp"
	"strings"
	"unicode/utf8"
)

var (
	firstParagraph = regexp.MustCompile(`(?s)<p>(.*?)</p>`)
	tag            = regexp.MustCompile(`<[^>]*>`)
	blanks         = regexp.MustCompile(`[ \t\r\n]+`)
	sentenceEnd    = regexp.MustCompile(`[.!?…]["»”)]*(?: |$)`)
)

// Summary is the beginning of a rendered text as plain text: its first paragraph, cut to so many characters at the end of a
// sentence, or else of a word. Empty for a text without a paragraph.
func Summary(rendered template.HTML, length int) string {
	// What was rendered is sanitised: a tag has no > inside.
	found := firstParagraph.FindStringSubmatch(string(rendered))
	if found == nil {
		return ""
	}
	text := html.UnescapeString(tag.ReplaceAllString(found[1], ""))
	// Fields would also join at no-break spaces, which stay.
	text = strings.TrimSpace(blanks.ReplaceAllString(text, " "))
	if utf8.RuneCountInString(text) <= length {
		return text
	}
	runes := []rune(text)
	cut := string(runes[:length])
	if ends := sentenceEnd.FindAllStringIndex(string(runes[:length+1]), -1); len(ends) > 0 {
		if at := ends[len(ends)-1][1]; at > len(cut)/3 {
			return strings.TrimSpace(cut[:min(at, len(cut))])
		}
	}
	if at := strings.LastIndex(cut, " "); at > 0 {
		cut = cut[:at]
	}
	return strings.TrimRight(cut, " ,;:–—-\u00a0\u202f") + "…"
}
