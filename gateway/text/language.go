package text

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// ExplicitLanguage returns the ?lang= that the visitor chose among the languages, or "".
func ExplicitLanguage(r *http.Request, languages []string) string {
	if lang := r.URL.Query().Get("lang"); slices.Contains(languages, lang) {
		return lang
	}
	return ""
}

// PreferredLanguage returns which of the languages Accept-Language likes best, and the first where it names none of them.
func PreferredLanguage(header string, languages []string) string {
	best, bestQuality := languages[0], 0.0
	// Of two languages of one quality the first counts. A region is not compared: fr-BE is French.
	for item := range strings.SplitSeq(header, ",") {
		tag, parameter, _ := strings.Cut(strings.TrimSpace(item), ";")
		lang, _, _ := strings.Cut(strings.ToLower(tag), "-")
		quality := 1.0
		if q, ok := strings.CutPrefix(strings.ReplaceAll(parameter, " ", ""), "q="); ok {
			quality, _ = strconv.ParseFloat(q, 64)
		}
		if slices.Contains(languages, lang) && quality > bestQuality {
			best, bestQuality = lang, quality
		}
	}
	return best
}
