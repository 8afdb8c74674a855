package console

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/cagnotte/cagnotte/gateway/text"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
)

// bankers match lines, bank cheques and enter expenses.
var bankers = []accessv1.Role{owner, treasurer}

// bankSection has the bank: lines and what they show, statements, cheques and their deposits, what is to be cleared, and the
// position against the books.
func bankSection() section {
	const bank = "/console/c/{collective}/bank"
	return section{
		name: "bank",
		nav:  []navEntry{{label: "bank.nav", icon: "bank", path: "/bank", roles: bookkeepers}},
		routes: []route{
			{pattern: "GET " + bank, serve: bankLines, roles: bookkeepers},
			{pattern: "GET " + bank + "/lines/{line}", serve: bankLine, roles: bookkeepers},
			{pattern: "POST " + bank + "/lines/{line}/match", serve: bankMatch, roles: bankers},
			{pattern: "GET " + bank + "/lines/{line}/split", serve: bankSplitForm, roles: bankers},
			{pattern: "POST " + bank + "/lines/{line}/split", serve: bankSplit, roles: bankers},
			{pattern: "GET " + bank + "/lines/{line}/ignore", serve: bankIgnoreForm, roles: bankers},
			{pattern: "POST " + bank + "/lines/{line}/ignore", serve: bankIgnore, roles: bankers},
			{pattern: "GET " + bank + "/lines/{line}/undo", serve: bankUndoForm, roles: bankers},
			{pattern: "POST " + bank + "/lines/{line}/undo", serve: bankUndo, roles: bankers},
			{pattern: "GET " + bank + "/statements", serve: bankStatements, roles: bookkeepers},
			{pattern: "GET " + bank + "/statements/{statement}", serve: bankStatement, roles: bookkeepers},
			{pattern: "GET " + bank + "/import", serve: bankImportForm, roles: bankers},
			{pattern: "POST " + bank + "/import", serve: bankPreview, roles: bankers, body: maxStatementForm},
			{pattern: "POST " + bank + "/import/confirmed", serve: bankImport, roles: bankers, body: maxStatementForm},
			{pattern: "GET " + bank + "/cheques", serve: bankCheques, roles: bookkeepers},
			{pattern: "POST " + bank + "/cheques", serve: bankDeposit, roles: bankers},
			{pattern: "GET " + bank + "/deposits", serve: bankDeposits, roles: bookkeepers},
			{pattern: "GET " + bank + "/deposits/{deposit}", serve: bankSlip, roles: bookkeepers},
			{pattern: "GET " + bank + "/cheques/{campaign}/{cheque}/bounce", serve: bankBounceForm, roles: bankers},
			{pattern: "POST " + bank + "/cheques/{campaign}/{cheque}/bounce", serve: bankBounce, roles: bankers},
			{pattern: "GET " + bank + "/clearing", serve: bankClearing, roles: bookkeepers},
			{pattern: "GET " + bank + "/position", serve: bankPosition, roles: bookkeepers},
		},
	}
}

// bankPage is what all pages of the section have.
type bankPage struct {
	Tabs []tab
	// Base is the address of the section.
	Base string
	// Banker tells that the member may change something.
	Banker bool
}

// bankTabs are the section's pages; current is the path of one below the section's.
func bankTabs(v *visit, current string) bankPage {
	p := bankPage{Base: v.path("/bank"), Banker: v.can(bankers...)}
	for _, t := range []struct{ label, path string }{
		{"bank.lines", ""},
		{"bank.statements", "/statements"},
		{"bank.cheques", "/cheques"},
		{"bank.deposits", "/deposits"},
		{"bank.clearing", "/clearing"},
		{"bank.position", "/position"},
	} {
		p.Tabs = append(p.Tabs, tab{v.T(t.label), p.Base + t.path, t.path == current})
	}
	return p
}

func (v *visit) bank() bankv1.BankServiceClient { return bankv1.NewBankServiceClient(v.Conn) }

// bankCampaign is the name of the campaign that a resource belongs to; empty for none.
func bankCampaign(name string) string {
	segments := strings.Split(name, "/")
	if len(segments) < 4 || segments[2] != "campaigns" {
		return ""
	}
	return strings.Join(segments[:4], "/")
}

// bankLineStates are those that the list can be narrowed to, by the word in its address. The empty one has both open states.
var bankLineStates = []struct {
	word  string
	state bankv1.BankLineState
}{
	{"", bankv1.BankLineState_BANK_LINE_STATE_UNMATCHED},
	{"matched", bankv1.BankLineState_BANK_LINE_STATE_MATCHED},
	{"ignored", bankv1.BankLineState_BANK_LINE_STATE_IGNORED},
	{"split", bankv1.BankLineState_BANK_LINE_STATE_SPLIT},
	{"all", bankv1.BankLineState_BANK_LINE_STATE_UNSPECIFIED},
}

// bankLineRow is a line of the bank in a list.
type bankLineRow struct {
	Path, Day, Amount, Reference string
	// State is a word with the tone of its badge, and Shows what it shows or may show.
	State, Tone, Shows string
	// Part tells that it is a part of a split line.
	Part bool
}

// bankLineTones colour the badges of states.
var bankLineTones = map[bankv1.BankLineState]string{
	bankv1.BankLineState_BANK_LINE_STATE_UNMATCHED: "warn",
	bankv1.BankLineState_BANK_LINE_STATE_SUGGESTED: "warn",
	bankv1.BankLineState_BANK_LINE_STATE_MATCHED:   "good",
}

// signed writes an amount with its direction, so that it is not told by a colour.
func signed(v *visit, m *moneyv1.Money) string {
	if m.GetAmountMinor() > 0 {
		return "+" + v.Money(m)
	}
	return v.Money(m)
}

func bankLineView(v *visit, l *bankv1.BankLine) bankLineRow {
	return bankLineRow{
		Path: v.path("/bank/lines/") + lastOf(l.GetName()), Day: v.Day(l.GetBookDate()), Amount: signed(v, l.GetAmount()),
		Reference: l.GetBankReference(), State: v.T("bank." + l.GetState().String()), Tone: bankLineTones[l.GetState()],
		Shows: bankTargetWords(v, l), Part: l.GetSplitFrom() != "",
	}
}

// bankTargetWords says what a line shows, or may show; empty when that is not known.
func bankTargetWords(v *visit, l *bankv1.BankLine) string {
	if l.GetState() == bankv1.BankLineState_BANK_LINE_STATE_IGNORED {
		return l.GetIgnoreReason()
	}
	switch t := l.GetTarget().GetTarget().(type) {
	case *bankv1.BankLineTarget_Pledge:
		return v.T("bank.showsPledge")
	case *bankv1.BankLineTarget_Campaign:
		return v.T("bank.showsDonation")
	case *bankv1.BankLineTarget_Expense:
		return v.T("bank.showsExpense")
	case *bankv1.BankLineTarget_UnknownReceipt:
		return v.T("bank.showsUnknown")
	case *bankv1.BankLineTarget_Transaction:
		if l.GetTarget().GetOfflineDonation() != "" {
			return v.T("bank.showsDonation")
		}
		return v.T("bank.showsTransaction", "number", lastOf(t.Transaction))
	}
	return ""
}

// bankTable is a list of lines for the template "banklines".
type bankTable struct {
	*text.Words
	Lines []bankLineRow
}

// bankLinesPage lists the lines of the bank.
type bankLinesPage struct {
	bankPage
	States []tab
	Filter *form
	// Open and Suggested are how many lines are open, in words.
	Open, Suggested string
	// Suggestions are the open lines that have one; Lines are the rest, or all of another state.
	Suggestions, Lines bankTable
	Empty              string
	Pager              pager
}

var bankLineFilters = []field{
	{Name: "start_date", Label: "bank.from", Kind: "day"},
	{Name: "end_date", Label: "bank.until", Kind: "day"},
	{Name: "state", Kind: "hidden"},
}

func bankLines(v *visit) error {
	word := v.r.URL.Query().Get("state")
	at := slices.IndexFunc(bankLineStates, func(s struct {
		word  string
		state bankv1.BankLineState
	},
	) bool {
		return s.word == word
	})
	if at < 0 {
		return errNoPage
	}
	p := bankLinesPage{
		bankPage: bankTabs(v, ""), Filter: v.queryForm(bankLineFilters), Suggestions: bankTable{Words: v.Words}, Lines: bankTable{Words: v.Words},
	}
	for i, s := range bankLineStates {
		key := cmp.Or(s.word, "open")
		p.States = append(p.States, tab{v.T("bank.lines-" + key), "?" + withQuery(url.Values{}, "state", s.word), i == at})
	}
	request := &bankv1.ListBankLinesRequest{
		Parent: v.collective, State: bankLineStates[at].state, PageToken: v.pageToken(),
		StartDate: p.Filter.day("start_date"), EndDate: p.Filter.day("end_date"),
	}
	list, err := v.bank().ListBankLines(v.ctx(), request)
	if err != nil {
		return err
	}
	for _, l := range list.GetBankLines() {
		p.Lines.Lines = append(p.Lines.Lines, bankLineView(v, l))
	}
	p.Pager = v.pager(list.GetNextPageToken())
	if word == "" {
		n, err := v.bank().CountOpenBankLines(v.ctx(), &bankv1.CountOpenBankLinesRequest{Parent: v.collective})
		if err != nil {
			return err
		}
		p.Open = bankOpenWords(v, n)
		// Lines with a suggestion take one tap each, so they come first, once.
		if v.pageToken() == "" {
			request.State, request.PageSize = bankv1.BankLineState_BANK_LINE_STATE_SUGGESTED, 100
			suggested, err := v.bank().ListBankLines(v.ctx(), request)
			if err != nil {
				return err
			}
			for _, l := range suggested.GetBankLines() {
				p.Suggestions.Lines = append(p.Suggestions.Lines, bankLineView(v, l))
			}
			if suggested.GetNextPageToken() != "" {
				p.Suggested = v.T("bank.suggestedMore")
			}
		}
	}
	if len(p.Lines.Lines)+len(p.Suggestions.Lines) == 0 {
		p.Empty = v.T("bank.linesEmpty")
		if word == "" && !p.Filter.Filled() {
			p.Empty = v.T("bank.openEmpty")
		}
	}
	return v.show("bank/lines", v.T("bank.linesTitle"), p)
}

// bankOpenWords says how many lines are open.
func bankOpenWords(v *visit, n *bankv1.CountOpenBankLinesResponse) string {
	if n.GetMore() {
		return v.T("bank.openMany", "n", v.Number(int64(n.GetOpenLineCount())))
	}
	return v.N("bank.openCount", int64(n.GetOpenLineCount()))
}

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
	// Suggestions are each a form of one button.
	Suggestions []bankSuggestionRow
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
	// Whole tells that the whole line can be matched with it. Otherwise it is a part.
	Whole     bool
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
		bankPage: bankTabs(v, "-"), bankLineRow: bankLineView(v, l), Line: l, Account: l.GetAccount(), Parts: bankTable{Words: v.Words}, RequestID: v.newForm(nil).RequestID,
		NewExpense: v.path("/expenses/new"),
		IsOpen:     l.GetState() == bankv1.BankLineState_BANK_LINE_STATE_UNMATCHED || l.GetState() == bankv1.BankLineState_BANK_LINE_STATE_SUGGESTED,
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
		if p.Suggestions, err = bankSuggestions(v, l, titles); err != nil {
			return err
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
			Target: bankTargetValue(s.GetTarget()), Whole: s.GetWholeLine(), RequestID: v.newForm(nil).RequestID, Best: i == 0,
			amount: s.GetAmount(),
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
func bankSplitFields(v *visit, rows []bankSuggestionRow) []field {
	options := []option{{Value: "", Label: v.T("bank.partOpen")}}
	for _, s := range rows {
		options = append(options, option{Value: s.Target, Label: s.What + " (" + s.Amount + ")"})
	}
	options = append(options, option{Value: "unknown:", Label: v.T("bank.showsUnknown")})
	var fields []field
	for i := range bankMaxParts {
		n := strconv.Itoa(i)
		fields = append(fields,
			field{Name: "amount" + n, Label: "bank.partAmount", Kind: "money", Suffix: "€", Path: "parts[" + n + "].amount"},
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

// bankParts fills in what may be right: the suggestions that are less than the line, the best first, as long as they fit in
// it.
func bankParts(v *visit, l *bankv1.BankLine, rows []bankSuggestionRow) (values []string) {
	left, n := positive(l.GetAmount()).GetAmountMinor(), 0
	for _, s := range rows {
		need := positive(s.amount).GetAmountMinor()
		if s.Whole || need > left || n == bankMaxParts {
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
	fields := bankSplitFields(v, rows)
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

var (
	bankIgnoreFields = []field{{Name: "reason", Label: "bank.ignoreReason", Hint: "bank.noNames", Required: true, Spellcheck: true}}
	bankUndoFields   = []field{{Name: "reason", Label: "bank.undoReason", Hint: "bank.noNames", Required: true, Spellcheck: true}}
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

func bankUndoConfirmation(v *visit, l *bankv1.BankLine, f *form) error {
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
	if !f.failed() {
		_, err = v.bank().UnmatchBankLine(v.ctx(), &bankv1.UnmatchBankLineRequest{Name: l.GetName(), RequestId: f.RequestID, Reason: f.Value("reason")})
		if err == nil {
			return v.done("bank.undone", bankLineView(v, l).Path)
		}
		if !f.refused(v, err) {
			return err
		}
	}
	return bankUndoConfirmation(v, l, f)
}

// bankPositionPage compares the books with the bank.
type bankPositionPage struct {
	bankPage
	Book, Statement, Difference, Open, Ignored, Day, OpenWords string
	// Known tells that there is a balance of the bank, and Equal that it is that of the books.
	Known, Equal bool
}

func bankPosition(v *visit) error {
	b, err := v.bank().GetBankPosition(v.ctx(), &bankv1.GetBankPositionRequest{Name: v.collective + "/bankPosition"})
	if err != nil {
		return err
	}
	p := bankPositionPage{
		bankPage: bankTabs(v, "/position"), Book: v.Money(b.GetBookBalance()), Open: signed(v, b.GetOpenLines()), Ignored: signed(v, b.GetIgnoredLines()),
		OpenWords: v.N("bank.openCount", int64(b.GetOpenLineCount())), Known: b.GetStatementBalance() != nil,
	}
	if p.Known {
		p.Statement, p.Difference, p.Day = v.Money(b.GetStatementBalance()), signed(v, b.GetDifference()), v.Day(b.GetStatementDate())
		p.Equal = b.GetDifference().GetAmountMinor() == 0
	}
	return v.show("bank/position", v.T("bank.positionTitle"), p)
}
