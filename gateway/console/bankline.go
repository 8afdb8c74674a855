package console

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
)

// bankLinePage is one line with what it may show.
type bankLinePage struct {
	bankPage
	bankLineRow
	Line      *bankv1.BankLine
	IsOpen    bool
	Account   string
	Created   string
	Shown     *link
	Whole     string
	Parts     bankTable
	CanUndo   bool
	Statement link
	// Suggestions are each a form of one button, or a part of a split that adds up. Lesser are movements that leave a rest.
	Suggestions, Lesser []bankSuggestionRow
	// Arrived has the choices for money that arrived: a donation to a campaign, and a receipt of unknown origin.
	Arrived   bool
	Donation  *form
	RequestID string
	// NewExpense is where an expense is entered that is not there yet.
	NewExpense string
}

// bankSuggestionRow is something that a line may show, with why.
type bankSuggestionRow struct {
	What, Why, Amount, Day, Link string
	// Target is what is sent, as "kind:name".
	Target string
	// Whole tells that the whole line can be matched with it. Otherwise it is a part, which AddsUp with others that say so.
	Whole, AddsUp bool
	// Named tells that the text of the line names it.
	Named     bool
	RequestID string
	Best      bool
	amount    *moneyv1.Money
}

// bankLineOf reads the line that a page is about.
func bankLineOf(v *visit) (*bankv1.BankLine, error) {
	return v.bank().GetBankLine(v.ctx(), &bankv1.GetBankLineRequest{Name: v.collective + "/bankLines/" + v.r.PathValue("line")})
}

func bankLine(v *visit) error {
	l, err := bankLineOf(v)
	if err != nil {
		return err
	}
	return bankShowLine(v, l, nil)
}

// bankShowLine renders a line. donation is the form of a donation that was refused; nil for a new one.
func bankShowLine(v *visit, l *bankv1.BankLine, donation *form) error {
	p := bankLinePage{
		bankPage: bankTabs(v, "-"), bankLineRow: bankLineView(v, l), Line: l, Account: spacedAccount(l.GetAccount()), Parts: bankTable{Words: v.Words}, RequestID: v.newForm(nil).RequestID,
		IsOpen: l.GetState() == bankv1.BankLineState_BANK_LINE_STATE_UNMATCHED || l.GetState() == bankv1.BankLineState_BANK_LINE_STATE_SUGGESTED,
	}
	if l.GetAmount().GetAmountMinor() < 0 {
		p.NewExpense = newExpensePath(v, l)
	}
	p.CanUndo = p.Banker && !p.IsOpen && l.GetState() != bankv1.BankLineState_BANK_LINE_STATE_WITHDRAWN
	p.Statement = link{v.path("/bank/statements/") + lastOf(l.GetBankStatement()), v.T("bank.statement")}
	if l.GetSplitFrom() != "" {
		p.Whole = v.path("/bank/lines/") + lastOf(l.GetSplitFrom())
	}
	p.Shown = bankShownLink(v, l)
	for _, name := range l.GetParts() {
		part, err := v.bank().GetBankLine(v.ctx(), &bankv1.GetBankLineRequest{Name: name})
		if err != nil {
			return err
		}
		p.Parts.Lines = append(p.Parts.Lines, bankLineView(v, part))
	}
	if p.IsOpen && p.Banker {
		titles, err := campaignTitles(v)
		if err != nil {
			return err
		}
		rows, err := bankSuggestions(v, l, titles)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.Whole || row.AddsUp || row.Named {
				p.Suggestions = append(p.Suggestions, row)
			} else {
				p.Lesser = append(p.Lesser, row)
			}
		}
		if p.Arrived = l.GetAmount().GetAmountMinor() > 0; p.Arrived {
			if donation == nil {
				donation = v.newForm(bankDonationFields(v, titles))
			}
			p.Donation = donation
		}
	}
	title := v.T("bank.lineTitle", "amount", p.Amount, "day", p.Day)
	if donation != nil && donation.failed() {
		return v.refuse("bank/line", title, p)
	}
	return v.show("bank/line", title, p)
}

// newExpensePath leads to the form of an expense that a line paid, which is filled in with what the line tells.
func newExpensePath(v *visit, l *bankv1.BankLine) string {
	return v.path("/expenses/new?") + url.Values{"line": {lastOf(l.GetName())}}.Encode()
}

// bankDonationFields ask for the campaign of a donation that a line shows.
func bankDonationFields(v *visit, titles map[string]string) []field {
	var options []option
	for _, name := range slices.Sorted(maps.Keys(titles)) {
		options = append(options, option{Value: "campaign:" + name, Label: titles[name]})
	}
	return []field{{Name: "target", Label: "bank.donationFor", Kind: "select", Required: true, Options: options, Path: "target"}}
}

// bankShownLink leads to what a line shows; nil where there is no page of it.
func bankShownLink(v *visit, l *bankv1.BankLine) *link {
	switch t := l.GetTarget().GetTarget().(type) {
	case *bankv1.BankLineTarget_Expense:
		return &link{v.path("/expenses/") + lastOf(t.Expense), v.T("bank.toExpense")}
	case *bankv1.BankLineTarget_Transaction:
		return &link{v.path("/books/journal/") + lastOf(t.Transaction), v.T("bank.toTransaction")}
	}
	return nil
}

// bankSuggestions asks what a line may show, and says it with its reasons.
func bankSuggestions(v *visit, l *bankv1.BankLine, titles map[string]string) ([]bankSuggestionRow, error) {
	found, err := v.bank().SuggestBankLineMatches(v.ctx(), &bankv1.SuggestBankLineMatchesRequest{Name: l.GetName()})
	if err != nil {
		return nil, err
	}
	var rows []bankSuggestionRow
	for i, s := range found.GetSuggestions() {
		row := bankSuggestionRow{
			What: bankSuggestionWords(v, s, titles), Why: bankReasonWords(v, s), Amount: signed(v, s.GetAmount()), Day: v.Day(s.GetDate()),
			Target: bankTargetValue(s.GetTarget()), Whole: s.GetWholeLine(), RequestID: v.newForm(nil).RequestID,
			// Another amount is a guess, such as a part of a large invoice for the bank's own fee.
			Best:   i == 0 && s.GetAmount().GetAmountMinor() == l.GetAmount().GetAmountMinor(),
			amount: s.GetAmount(),
		}
		for _, r := range s.GetReasons() {
			switch r {
			case bankv1.BankLineSuggestionReason_BANK_LINE_SUGGESTION_REASON_ADDS_UP:
				row.AddsUp = true
			case bankv1.BankLineSuggestionReason_BANK_LINE_SUGGESTION_REASON_REFERENCE, bankv1.BankLineSuggestionReason_BANK_LINE_SUGGESTION_REASON_DOCUMENT,
				bankv1.BankLineSuggestionReason_BANK_LINE_SUGGESTION_REASON_PAYEE:
				row.Named = true
			}
		}
		switch t := s.GetTarget().GetTarget().(type) {
		case *bankv1.BankLineTarget_Expense:
			row.Link = v.path("/expenses/") + lastOf(t.Expense)
		case *bankv1.BankLineTarget_Transaction:
			row.Link = v.path("/books/journal/") + lastOf(t.Transaction)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// bankSuggestionWords says what a suggestion is: "La facture 2026-071 de Cabinet Martin".
func bankSuggestionWords(v *visit, s *bankv1.BankLineSuggestion, titles map[string]string) string {
	switch s.GetKind() {
	case bankv1.BankLineSuggestionKind_BANK_LINE_SUGGESTION_KIND_PLEDGE:
		return v.T("bank.suggestPledge", "reference", s.GetDocument(), "campaign", cmp.Or(titles[s.GetCampaign()], lastOf(s.GetCampaign())))
	case bankv1.BankLineSuggestionKind_BANK_LINE_SUGGESTION_KIND_EXPENSE:
		return v.T("bank.suggestExpense", "document", s.GetDocument(), "payee", s.GetPayee())
	}
	return v.T("bank." + s.GetKind().String())
}

// bankReasonWords says why: "même montant, 2 jours après".
func bankReasonWords(v *visit, s *bankv1.BankLineSuggestion) string {
	var words []string
	for _, r := range s.GetReasons() {
		switch r {
		case bankv1.BankLineSuggestionReason_BANK_LINE_SUGGESTION_REASON_MORE_THAN_AMOUNT:
			// That it adds up says this too.
			if !slices.Contains(s.GetReasons(), bankv1.BankLineSuggestionReason_BANK_LINE_SUGGESTION_REASON_ADDS_UP) {
				words = append(words, v.T("bank."+r.String()))
			}
		case bankv1.BankLineSuggestionReason_BANK_LINE_SUGGESTION_REASON_DAY:
			switch days := int64(s.GetDaysLater()); {
			case days == 0:
				words = append(words, v.T("bank.sameDay"))
			case days > 0:
				words = append(words, v.N("bank.daysLater", days))
			default:
				words = append(words, v.N("bank.daysEarlier", -days))
			}
		default:
			words = append(words, v.T("bank."+r.String()))
		}
	}
	return strings.Join(words, ", ")
}

// bankTargetValue writes a target for a field: "expense:collectives/vallon/expenses/…".
func bankTargetValue(t *bankv1.BankLineTarget) string {
	switch t := t.GetTarget().(type) {
	case *bankv1.BankLineTarget_Pledge:
		return "pledge:" + t.Pledge
	case *bankv1.BankLineTarget_Campaign:
		return "campaign:" + t.Campaign
	case *bankv1.BankLineTarget_Expense:
		return "expense:" + t.Expense
	case *bankv1.BankLineTarget_Transaction:
		return "transaction:" + t.Transaction
	}
	return "unknown:"
}

// bankReadTarget is the inverse of bankTargetValue; nil for what is none.
func bankReadTarget(value string) *bankv1.BankLineTarget {
	kind, name, _ := strings.Cut(value, ":")
	switch kind {
	case "pledge":
		return &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Pledge{Pledge: name}}
	case "campaign":
		return &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Campaign{Campaign: name}}
	case "expense":
		return &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Expense{Expense: name}}
	case "transaction":
		return &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Transaction{Transaction: name}}
	case "unknown":
		return &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_UnknownReceipt{UnknownReceipt: true}}
	}
	return nil
}

func bankMatch(v *visit) error {
	l, err := bankLineOf(v)
	if err != nil {
		return err
	}
	titles, err := campaignTitles(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(bankDonationFields(v, titles))
	if err != nil {
		return err
	}
	target := bankReadTarget(f.Value("target"))
	if target == nil {
		f.fail("target", v.T("shell.required"))
		return bankShowLine(v, l, f)
	}
	_, err = v.bank().MatchBankLine(v.ctx(), &bankv1.MatchBankLineRequest{Name: l.GetName(), RequestId: f.RequestID, Target: target})
	if err == nil {
		return v.done("bank.matched", bankNextLine(v, l))
	}
	if !f.refused(v, err) {
		return err
	}
	// The line as it is now says more than the form: somebody else may have matched it.
	if l, err = bankLineOf(v); err != nil {
		return err
	}
	return bankShowLine(v, l, f)
}

// bankNextLine is where to go on after a line was dealt with: the list, or the line that it is a part of.
func bankNextLine(v *visit, l *bankv1.BankLine) string {
	if l.GetSplitFrom() != "" {
		return v.path("/bank/lines/") + lastOf(l.GetSplitFrom())
	}
	return v.path("/bank")
}

var (
	bankIgnoreFields = []field{{Name: "reason", Label: "bank.ignoreReason", Hint: "bank.noNames", Required: true, Spellcheck: true}}
	bankUndoFields   = []field{
		{Name: "reason", Label: "bank.undoReason", Hint: "bank.noNames", Required: true, Spellcheck: true}, {Name: "update_time", Kind: "hidden"},
	}
)

func bankIgnoreConfirmation(v *visit, l *bankv1.BankLine, f *form) error {
	row := bankLineView(v, l)
	return v.confirm(v.T("bank.ignoreTitle"), confirmation{
		Lead:   v.T("bank.ignoreLead", "amount", row.Amount, "day", row.Day),
		Points: []string{v.T("bank.ignorePoint1"), v.T("bank.ignorePoint2")},
		Form:   f, Button: v.T("bank.ignore"), Back: row.Path,
	})
}

func bankIgnoreForm(v *visit) error {
	l, err := bankLineOf(v)
	if err != nil {
		return err
	}
	return bankIgnoreConfirmation(v, l, v.newForm(bankIgnoreFields))
}

func bankIgnore(v *visit) error {
	l, err := bankLineOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(bankIgnoreFields)
	if err != nil {
		return err
	}
	if !f.failed() {
		_, err = v.bank().IgnoreBankLine(v.ctx(), &bankv1.IgnoreBankLineRequest{Name: l.GetName(), RequestId: f.RequestID, Reason: f.Value("reason")})
		if err == nil {
			return v.done("bank.ignored", bankNextLine(v, l))
		}
		if !f.refused(v, err) {
			return err
		}
	}
	return bankIgnoreConfirmation(v, l, f)
}

// bankUndoConfirmation says what is undone, and has the form say so too: see bankUndo.
func bankUndoConfirmation(v *visit, l *bankv1.BankLine, f *form) error {
	f.set("update_time", l.GetUpdateTime().AsTime().Format(time.RFC3339Nano))
	row := bankLineView(v, l)
	points := []string{v.T("bank.undoPoint")}
	switch t := l.GetTarget().GetTarget().(type) {
	case *bankv1.BankLineTarget_Pledge, *bankv1.BankLineTarget_Campaign:
		points = append(points, v.T("bank.undoDonation"))
	case *bankv1.BankLineTarget_Expense:
		points = append(points, v.T("bank.undoExpense"))
	case *bankv1.BankLineTarget_UnknownReceipt:
		points = append(points, v.T("bank.undoUnknown"))
	case *bankv1.BankLineTarget_Transaction:
		points = append(points, v.T("bank.undoTransaction", "number", lastOf(t.Transaction)))
	}
	if l.GetState() == bankv1.BankLineState_BANK_LINE_STATE_SPLIT {
		points = append(points, v.T("bank.undoSplit"))
	}
	return v.confirm(v.T("bank.undoTitle"), confirmation{
		Lead: v.T("bank.undoLead", "amount", row.Amount, "day", row.Day), Points: points, Form: f, Button: v.T("bank.undo"), Back: row.Path,
	})
}

func bankUndoForm(v *visit) error {
	l, err := bankLineOf(v)
	if err != nil {
		return err
	}
	return bankUndoConfirmation(v, l, v.newForm(bankUndoFields))
}

func bankUndo(v *visit) error {
	l, err := bankLineOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(bankUndoFields)
	if err != nil {
		return err
	}
	// Somebody else may have undone it since, and matched the line with something else.
	read, err := time.Parse(time.RFC3339Nano, f.Value("update_time"))
	if err != nil {
		f.Message = v.T("bank.undoChanged")
	}
	if !f.failed() {
		_, err = v.bank().UnmatchBankLine(v.ctx(), &bankv1.UnmatchBankLineRequest{
			Name: l.GetName(), RequestId: f.RequestID, Reason: f.Value("reason"), ExpectedUpdateTime: timestamppb.New(read),
		})
		if err == nil {
			return v.done("bank.undone", bankLineView(v, l).Path)
		}
		if !f.refused(v, err) {
			return err
		}
		if changed(err) {
			f.Message = v.T("bank.undoChanged")
			if l, err = bankLineOf(v); err != nil {
				return err
			}
		}
	}
	return bankUndoConfirmation(v, l, f)
}
