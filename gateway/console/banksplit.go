package console

import (
	"slices"
	"strconv"

	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
)

// bankMaxParts is how many parts the page of a split asks for.
const bankMaxParts = 6

// bankSplitPage asks for the parts of a line.
type bankSplitPage struct {
	bankPage
	bankLineRow
	Form *form
	// Rows are the first parts. More are the others, which are Open when something is in them.
	Rows, More []bankSplitRow
	Open       bool
	Left       string
}

type bankSplitRow struct {
	Number         int
	Amount, Target *fieldView
}

// bankSplitFields ask for the amount of each part and what it shows, which may stay open.
func bankSplitFields(v *visit, currency string, rows []bankSuggestionRow) []field {
	options := []option{{Value: "", Label: v.T("bank.partOpen")}}
	for _, s := range rows {
		options = append(options, option{Value: s.Target, Label: s.What + " (" + s.Amount + ")"})
	}
	options = append(options, option{Value: "unknown:", Label: v.T("bank.showsUnknown")})
	var fields []field
	for i := range bankMaxParts {
		n := strconv.Itoa(i)
		fields = append(fields,
			field{Name: "amount" + n, Label: "bank.partAmount", Kind: "money", Suffix: v.CurrencySymbol(currency), Path: "parts[" + n + "].amount"},
			field{Name: "target" + n, Label: "bank.partTarget", Kind: "select", Options: options, Path: "parts[" + n + "]"},
		)
	}
	return fields
}

func bankSplitForm(v *visit) error { return bankWithSplit(v, nil) }

func bankSplit(v *visit) error {
	return bankWithSplit(v, func(l *bankv1.BankLine, f *form) (bool, error) {
		var parts []*bankv1.BankLinePart
		sign := int64(1)
		if l.GetAmount().GetAmountMinor() < 0 {
			sign = -1
		}
		for i := range bankMaxParts {
			n := strconv.Itoa(i)
			amount := f.money("amount"+n, l.GetAmount().GetCurrencyCode())
			if amount == nil {
				if f.Value("target"+n) != "" {
					f.fail("amount"+n, v.T("shell.required"))
				}
				continue
			}
			// People type what is on the paper, without a sign.
			amount.AmountMinor *= sign
			part := &bankv1.BankLinePart{Amount: amount}
			if chosen := f.Value("target" + n); chosen != "" {
				part.Target = bankReadTarget(chosen)
			}
			parts = append(parts, part)
		}
		if f.failed() {
			return false, nil
		}
		if len(parts) < 2 {
			f.fail("amount0", v.T("bank.partsTwo"))
			return false, nil
		}
		_, err := v.bank().SplitBankLine(v.ctx(), &bankv1.SplitBankLineRequest{Name: l.GetName(), RequestId: f.RequestID, Parts: parts})
		if err == nil {
			return true, nil
		}
		if reasonOf(err) == "INVALID_FIELD" {
			f.Message = v.T("bank.partsSum", "amount", v.Money(positive(l.GetAmount())))
			return false, nil
		}
		if !f.refused(v, err) {
			return false, err
		}
		return false, nil
	})
}

// bankParts fills in what may be right: the suggestions that add up to the line. Without any, those that its text names, as
// long as they fit in it, and the rest; a guess that leaves a rest is not filled in.
func bankParts(v *visit, l *bankv1.BankLine, rows []bankSuggestionRow) (values []string) {
	left, n := positive(l.GetAmount()).GetAmountMinor(), 0
	addUp := slices.ContainsFunc(rows, func(s bankSuggestionRow) bool { return s.AddsUp })
	for _, s := range rows {
		need := positive(s.amount).GetAmountMinor()
		likely := s.AddsUp || !addUp && s.Named
		if s.Whole || !likely || need > left || n == bankMaxParts {
			continue
		}
		values = append(values, "amount"+strconv.Itoa(n), v.FieldMoney(positive(s.amount)), "target"+strconv.Itoa(n), s.Target)
		left, n = left-need, n+1
	}
	if left > 0 && n > 0 && n < bankMaxParts {
		rest := &moneyv1.Money{CurrencyCode: l.GetAmount().GetCurrencyCode(), AmountMinor: left}
		values = append(values, "amount"+strconv.Itoa(n), v.FieldMoney(rest))
	}
	return values
}

// positive is an amount without its sign.
func positive(m *moneyv1.Money) *moneyv1.Money {
	return &moneyv1.Money{CurrencyCode: m.GetCurrencyCode(), AmountMinor: max(m.GetAmountMinor(), -m.GetAmountMinor())}
}

// bankWithSplit shows the form of a split, and has it sent when send is there. A form that was refused is shown again.
func bankWithSplit(v *visit, send func(*bankv1.BankLine, *form) (done bool, err error)) error {
	l, err := bankLineOf(v)
	if err != nil {
		return err
	}
	titles, err := campaignTitles(v)
	if err != nil {
		return err
	}
	rows, err := bankSuggestions(v, l, titles)
	if err != nil {
		return err
	}
	fields := bankSplitFields(v, l.GetAmount().GetCurrencyCode(), rows)
	f := v.newForm(fields, bankParts(v, l, rows)...)
	if send != nil {
		if f, err = v.readForm(fields); err != nil {
			return err
		}
		done, err := send(l, f)
		if err != nil {
			return err
		}
		if done {
			return v.done("bank.split", v.path("/bank/lines/")+lastOf(l.GetName()))
		}
	}
	p := bankSplitPage{bankPage: bankTabs(v, "-"), bankLineRow: bankLineView(v, l), Form: f, Left: v.Money(positive(l.GetAmount()))}
	for i := range bankMaxParts {
		n := strconv.Itoa(i)
		amount, err := f.Field("amount" + n)
		if err != nil {
			return err
		}
		target, err := f.Field("target" + n)
		if err != nil {
			return err
		}
		row := bankSplitRow{i + 1, amount, target}
		if i < 3 {
			p.Rows = append(p.Rows, row)
			continue
		}
		p.More, p.Open = append(p.More, row), p.Open || amount.Value != "" || amount.Error != "" || target.Error != ""
	}
	if f.failed() {
		return v.refuse("bank/split", v.T("bank.splitTitle"), p)
	}
	return v.show("bank/split", v.T("bank.splitTitle"), p)
}
