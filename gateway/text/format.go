package text

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	"github.com/cagnotte/cagnotte/services/money"
)

// Money writes an amount, with cents only where there are some: "20 €", "12,50 €".
func (w *Words) Money(m *moneyv1.Money) string {
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

// Percent writes what share of the whole a part is.
func (w *Words) Percent(part, whole int64) string {
	share := strconv.FormatInt(Hundredths(part, whole), 10)
	if w.Lang == "en" {
		return share + "%"
	}
	return share + "\u00a0%"
}

// Share writes Hundredths of a percent, with decimals only where there are some: "1,5 %".
func (w *Words) Share(basisPoints int32) string {
	text := strings.TrimRight(strings.TrimRight(fmt.Sprintf("%d.%02d", basisPoints/100, basisPoints%100), "0"), ".")
	if w.Lang == "en" {
		return text + "%"
	}
	return strings.Replace(text, ".", ",", 1) + "\u00a0%"
}

// Hundredths rounds down: 99.6 % is not all of it. Zero of nothing.
// The parts of the sum are computed one by one, so that a product of large amounts does not overflow.
func Hundredths(part, whole int64) int64 {
	if whole <= 0 {
		return 0
	}
	return part/whole*100 + part%whole*100/whole
}

// months are French; English ones are Go's.
var months = [...]string{"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"}

// Date writes a day. Both languages read "7 May 2026" this way; the first of a month is "1er" in French.
func (w *Words) Date(t time.Time) string {
	if w.Lang == "en" {
		return t.Format("2\u00a0January 2006")
	}
	day := strconv.Itoa(t.Day())
	if day == "1" {
		day = "1er"
	}
	return day + "\u00a0" + months[t.Month()-1] + " " + strconv.Itoa(t.Year())
}

// DateTime writes a day and the time of day in a zone: "7 mai 2026 à 14:05", "7 May 2026, 14:05".
func (w *Words) DateTime(t time.Time, zone *time.Location) string {
	t = t.In(zone)
	if w.Lang == "en" {
		return w.Date(t) + ", " + t.Format("15:04")
	}
	return w.Date(t) + " à\u00a0" + t.Format("15:04")
}

// Day writes a day of the form YYYY-MM-DD as Date does; a text that is no day as it is.
func (w *Words) Day(day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return w.Date(t)
}

// ShortDay writes a day in figures, for tables: "07/05/2026", in both languages.
func (w *Words) ShortDay(t time.Time) string { return t.Format("02/01/2006") }

// Month writes a month: "mai 2026".
func (w *Words) Month(t time.Time) string {
	if w.Lang == "en" {
		return t.Format("January 2006")
	}
	return months[t.Month()-1] + " " + strconv.Itoa(t.Year())
}

// Wait writes how long to wait, never "1 seconds": two at least.
func (w *Words) Wait(d time.Duration) string {
	if d > 90*time.Second {
		return w.T("waitMinutes", "n", strconv.Itoa(int((d+time.Minute-1)/time.Minute)))
	}
	return w.T("waitSeconds", "n", strconv.Itoa(max(2, int((d+time.Second-1)/time.Second))))
}

// CurrencySymbol is what stands beside a field in which an amount is typed: "€".
func (w *Words) CurrencySymbol(code string) string {
	// The amount of zero is printed as its symbol and a zero, without decimals.
	text := w.Money(&moneyv1.Money{CurrencyCode: code})
	return strings.Trim(text, "0\u00a0\u202f")
}

// FieldMoney writes an amount as it stands in a field in which it can be changed: "1234,50", "20".
func (w *Words) FieldMoney(m *moneyv1.Money) string {
	amount := money.Amount{Minor: m.GetAmountMinor(), Currency: money.Currency(m.GetCurrencyCode())}
	text := amount.Decimal()
	if exponent := amount.Currency.Exponent(); exponent > 0 {
		text = strings.TrimSuffix(text, "."+strings.Repeat("0", exponent))
	}
	if w.Lang == "en" {
		return text
	}
	return strings.Replace(text, ".", ",", 1)
}
