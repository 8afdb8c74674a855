package console

import (
	"cmp"
	"slices"
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
		// The days stay, the page of the other list does not.
		days := v.r.URL.Query()
		days.Del("page")
		p.States = append(p.States, tab{v.T("bank.lines-" + key), "?" + withQuery(days, "state", s.word), i == at})
	}
	request := &bankv1.ListBankLinesRequest{
		Parent: v.collective, State: bankLineStates[at].state, PageToken: v.pageToken(),
		StartDate: p.Filter.day("start_date"), EndDate: p.Filter.day("end_date"),
	}
	if p.Filter.failed() {
		return v.refuse("bank/lines", v.T("bank.linesTitle"), p)
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
		if n.GetOpenLineCount() > 0 {
			p.Open = bankOpenWords(v, n)
		}
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
			statements, err := v.bank().ListBankStatements(v.ctx(), &bankv1.ListBankStatementsRequest{Parent: v.collective, PageSize: 1})
			if err != nil {
				return err
			}
			p.Empty = v.T("bank.openEmpty")
			if len(statements.GetBankStatements()) == 0 {
				p.Empty = v.T("bank.neverImported")
			}
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
