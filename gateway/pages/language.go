package pages

import (
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	"github.com/cagnotte/cagnotte/services/money"
)

//go:embed strings.*.json
var catalogueFiles embed.FS

// languages are the catalogues; the first is for everybody whose language is not among them.
var languages = []string{"fr", "en"}

// words are the sentences, amounts and dates of one language.
type words struct {
	Lang      string
	sentences map[string]string
}

// loadCatalogues reads every language's sentences.
func loadCatalogues() (map[string]*words, error) {
	all := map[string]*words{}
	for _, lang := range languages {
		raw, err := catalogueFiles.ReadFile("strings." + lang + ".json")
		if err != nil {
			return nil, err
		}
		w := &words{Lang: lang}
		if err := json.Unmarshal(raw, &w.sentences); err != nil {
			return nil, fmt.Errorf("pages: strings.%s.json: %w", lang, err)
		}
		all[lang] = w
	}
	return all, nil
}

// T says a sentence. Values follow as name, value, name, value. A sentence that is
// missing shows its key; a test keeps the catalogues and the templates in step.
func (w *words) T(key string, values ...string) string {
	sentence, ok := w.sentences[key]
	if !ok {
		return key
	}
	// Values are put in as they are. The templates escape the whole sentence.
	for i := 0; i+1 < len(values); i += 2 {
		sentence = strings.ReplaceAll(sentence, "{"+values[i]+"}", values[i+1])
	}
	return sentence
}

// money writes an amount, with cents only where there are some: "20 €", "12,50 €".
func (w *words) money(m *moneyv1.Money) string {
	amount := money.Amount{Minor: m.GetAmountMinor(), Currency: money.Currency(m.GetCurrencyCode())}
	text := amount.Format(money.Language(w.Lang))
	exponent := amount.Currency.Exponent()
	point := ","
	if w.Lang == "en" {
		point = "."
	}
	// The point stands before the decimals and nowhere else when exactly zeros follow it there.
	if zeros := point + strings.Repeat("0", exponent); exponent > 0 && strings.HasSuffix(amount.Decimal(), "."+zeros[1:]) {
		at := strings.LastIndex(text, zeros)
		text = text[:at] + text[at+len(zeros):]
	}
	return text
}

var (
	beforeHigh  = regexp.MustCompile(` ([;:!?»])`)
	afterQuote  = regexp.MustCompile(`« `)
	inThousands = regexp.MustCompile(`\b\d{1,3}( \d{3})+\b`)
)

// typeset makes the spaces of a French text no-break where its writer typed plain
// ones: before high punctuation, inside of « », between thousands.
func typeset(lang, text string) string {
	if lang != "fr" {
		return text
	}
	text = beforeHigh.ReplaceAllString(text, "\u00a0$1")
	text = afterQuote.ReplaceAllString(text, "«\u00a0")
	return inThousands.ReplaceAllStringFunc(text, func(number string) string {
		return strings.ReplaceAll(number, " ", "\u202f")
	})
}

// percent writes what share of the whole a part is.
func (w *words) percent(part, whole int64) string {
	share := strconv.FormatInt(hundredths(part, whole), 10)
	if w.Lang == "en" {
		return share + "%"
	}
	return share + "\u00a0%"
}

// share writes hundredths of a percent, with decimals only where there are some: "1,5 %".
func (w *words) share(basisPoints int32) string {
	text := strings.TrimRight(strings.TrimRight(fmt.Sprintf("%d.%02d", basisPoints/100, basisPoints%100), "0"), ".")
	if w.Lang == "en" {
		return text + "%"
	}
	return strings.Replace(text, ".", ",", 1) + "\u00a0%"
}

// hundredths rounds down: 99.6 % is not all of it. Zero of nothing.
// The parts of the sum are computed one by one, so that a product of large amounts does not overflow.
func hundredths(part, whole int64) int64 {
	if whole <= 0 {
		return 0
	}
	return part/whole*100 + part%whole*100/whole
}

// months are French; English ones are Go's.
var months = [...]string{"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"}

// date writes a day. Both languages read "7 May 2026" this way; the first of a month is "1er" in French.
func (w *words) date(t time.Time) string {
	if w.Lang == "en" {
		return t.Format("2\u00a0January 2006")
	}
	day := strconv.Itoa(t.Day())
	if day == "1" {
		day = "1er"
	}
	return day + "\u00a0" + months[t.Month()-1] + " " + strconv.Itoa(t.Year())
}

// wait writes how long to wait, never "1 seconds": two at least.
func (w *words) wait(d time.Duration) string {
	if d > 90*time.Second {
		return w.T("waitMinutes", "n", strconv.Itoa(int((d+time.Minute-1)/time.Minute)))
	}
	return w.T("waitSeconds", "n", strconv.Itoa(max(2, int((d+time.Second-1)/time.Second))))
}

// explicitLanguage returns the ?lang= that the visitor chose, or "".
func explicitLanguage(r *http.Request) string {
	if lang := r.URL.Query().Get("lang"); slices.Contains(languages, lang) {
		return lang
	}
	return ""
}

// preferredLanguage returns the language of ours that Accept-Language likes best.
func preferredLanguage(header string) string {
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
