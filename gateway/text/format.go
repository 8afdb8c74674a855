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
	point := money.Language(w.Lang).Point()
	// The point stands before the decimals and nowhere else when exactly zeros follow it there.
	if zeros := point + strings.Repeat("0", exponent); exponent > 0 && strings.HasSuffix(amount.Decimal(), "."+zeros[1:]) {
		at := strings.LastIndex(text, zeros)
		text = text[:at] + text[at+len(zeros):]
	}
	return text
}

// Percent writes what share of the whole a part is.
func (w *Words) Percent(part, whole int64) string {
	return w.inPercent(strconv.FormatInt(Hundredths(part, whole), 10))
}

// inPercent puts the sign behind a number; English sets none apart.
func (w *Words) inPercent(number string) string {
	if w.Lang == "en" {
		return number + "%"
	}
	return number + "\u00a0%"
}

// Share writes Hundredths of a percent, with decimals only where there are some: "1,5 %".
func (w *Words) Share(basisPoints int32) string {
	text := strings.TrimRight(strings.TrimRight(fmt.Sprintf("%d.%02d", basisPoints/100, basisPoints%100), "0"), ".")
	return w.inPercent(strings.Replace(text, ".", money.Language(w.Lang).Point(), 1))
}

// Hundredths rounds down: 99.6 % is not all of it. Zero of nothing.
// The parts of the sum are computed one by one, so that a product of large amounts does not overflow.
func Hundredths(part, whole int64) int64 {
	if whole <= 0 {
		return 0
	}
	return part/whole*100 + part%whole*100/whole
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
	return strings.Replace(text, ".", money.Language(w.Lang).Point(), 1)
}
