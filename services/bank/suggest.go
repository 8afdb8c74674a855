package bank

import (
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/treasury"
)

// SuggestionKind is what a suggestion is in the books.
type SuggestionKind string

// The kinds. The first two are booked by the match, the others are in the books.
const (
	SuggestPledge   SuggestionKind = "pledge"
	SuggestExpense  SuggestionKind = "expense"
	SuggestPayout   SuggestionKind = "payout"
	SuggestDeposit  SuggestionKind = "deposit"
	SuggestDonation SuggestionKind = "donation"
	SuggestPayment  SuggestionKind = "payment"
	SuggestBounce   SuggestionKind = "bounce"
	SuggestTopUp    SuggestionKind = "top_up"
	SuggestOther    SuggestionKind = "other"
)

// Reason is why a line may show something.
type Reason string

// The reasons.
const (
	ReasonReference Reason = "reference"
	ReasonDocument  Reason = "document"
	ReasonPayee     Reason = "payee"
	ReasonAmount    Reason = "amount"
	ReasonPart      Reason = "part_of_amount"
	ReasonMore      Reason = "more_than_amount"
	ReasonDay       Reason = "day"
	ReasonAddsUp    Reason = "adds_up"
)

// weights order suggestions that fit the line equally well: by the sum of the weights of their reasons. A name outweighs an amount, since amounts are alike
// by chance, and both together outweigh either.
var weights = map[Reason]int{
	ReasonReference: 100, ReasonDocument: 80, ReasonPayee: 30, ReasonAmount: 60, ReasonPart: 10, ReasonMore: 5, ReasonDay: 10,
}

const (
	// maxSuggestions is how many suggestions an answer has at most.
	maxSuggestions = 20
	// A suggestion may be farther from the line than what is matched by itself: a member decides. suggestEarlier is how many
	// days a line may lie before the movement.
	suggestEarlier, suggestLater = 5, 20
	// pledgeDays is how many days before the line a pledge of its amount may have been made: those for which a slip is good.
	pledgeDays = 90
	// maxAdded is how many parts are added up at most, and maxAddends among how many.
	maxAdded, maxAddends = 4, 24
	// maxPledges is how many pledges of the amount are read.
	maxPledges = 50
)

// Suggestion is something that a line may show.
type Suggestion struct {
	Kind    SuggestionKind
	Target  Target
	Reasons []Reason
	// Amount is what is pledged, remains to pay, or moved in the books, with the sign that the line has.
	Amount money.Amount
	On     calendar.Day
	// DaysLater is how many days the line is later than On; negative when it is earlier.
	DaysLater int
	// Document is the reference of a pledge or the number of a document.
	Document string
	Payee    string
	Campaign campaigns.Name
	// WholeLine reports that the whole line can be matched with it. Otherwise the line is more.
	WholeLine bool
}

func (s Suggestion) weight() (sum int) {
	for _, r := range s.Reasons {
		sum += weights[r]
	}
	return sum
}

// fit orders suggestions before their weight: what the line can be as a whole, then parts that add up to it, then an
// instalment, and at last what leaves a rest of the line.
func (s Suggestion) fit() int {
	named := slices.Contains(s.Reasons, ReasonReference) || slices.Contains(s.Reasons, ReasonDocument)
	switch {
	case s.WholeLine && (named || slices.Contains(s.Reasons, ReasonAmount)):
		return 0
	case slices.Contains(s.Reasons, ReasonAddsUp):
		return 1
	case s.WholeLine:
		return 2
	}
	return 3
}

// better compares suggestions: the more likely first.
func better(a, b Suggestion) int {
	return cmp.Or(
		cmp.Compare(a.fit(), b.fit()),
		cmp.Compare(b.weight(), a.weight()),
		cmp.Compare(max(a.DaysLater, -a.DaysLater), max(b.DaysLater, -b.DaysLater)),
		cmp.Compare(a.On, b.On),
	)
}

// Suggestions returns what an open line may show, what fits it best first and at most 20; nothing for a line that is not
// open. Errors: NOT_FOUND.
func (s *Service) Suggestions(ctx context.Context, collective string, id uuid.UUID) (found []Suggestion, err error) {
	at, err := s.place(ctx, collective)
	if err != nil {
		return nil, err
	}
	l, err := s.Line(ctx, collective, id)
	if err != nil || !l.open() {
		return nil, err
	}
	if err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		g := &suggester{Service: s, tx: tx, at: at, line: l}
		for _, read := range []func(context.Context) error{g.pledges, g.expenses, g.movements, g.topUps} {
			if err := read(ctx); err != nil {
				return err
			}
		}
		found = g.found
		return nil
	}); err != nil {
		return nil, err
	}
	slices.SortStableFunc(found, better)
	if markAddsUp(found, abs(l.Amount.Minor)) {
		slices.SortStableFunc(found, better)
	}
	return found[:min(len(found), maxSuggestions)], nil
}

// markAddsUp gives ReasonAddsUp to the fewest parts that make an amount together, and the likelier ones where several do. It
// reports false when none do. Only the first parts are tried: 24 have about 12,000 sums of up to four.
func markAddsUp(found []Suggestion, amount int64) bool {
	var parts []int
	for i, s := range found {
		if !s.WholeLine && len(parts) < maxAddends {
			parts = append(parts, i)
		}
	}
	var chosen []int
	var add func(from, count int, rest int64) bool
	add = func(from, count int, rest int64) bool {
		if count == 0 {
			return rest == 0
		}
		for at := from; at < len(parts); at++ {
			its := abs(found[parts[at]].Amount.Minor)
			if its > rest {
				continue
			}
			if chosen = append(chosen, parts[at]); add(at+1, count-1, rest-its) {
				return true
			}
			chosen = chosen[:len(chosen)-1]
		}
		return false
	}
	for count := 2; count <= maxAdded; count++ {
		if add(0, count, amount) {
			for _, i := range chosen {
				found[i].Reasons = append(found[i].Reasons, ReasonAddsUp)
			}
			return true
		}
	}
	return false
}

// suggester collects what one open line may show.
type suggester struct {
	*Service
	tx    pgx.Tx
	at    place
	line  Line
	found []Suggestion
}

// add stores a suggestion with the reasons that follow from its amount and day.
func (g *suggester) add(s Suggestion, named ...Reason) {
	s.Reasons, s.WholeLine = named, true
	mine, its := abs(g.line.Amount.Minor), abs(s.Amount.Minor)
	switch {
	case mine == its:
		s.Reasons = append(s.Reasons, ReasonAmount)
	// Any amount can fulfil a pledge.
	case s.Kind == SuggestPledge:
	case mine < its:
		s.Reasons = append(s.Reasons, ReasonPart)
	default:
		s.Reasons, s.WholeLine = append(s.Reasons, ReasonMore), false
	}
	s.DaysLater = s.On.DaysUntil(g.line.BookedOn)
	if s.DaysLater >= -daysEarlier && s.DaysLater <= daysLater {
		s.Reasons = append(s.Reasons, ReasonDay)
	}
	g.found = append(g.found, s)
}

func abs(n int64) int64 { return max(n, -n) }

// pledges finds the pledge that the text names, and others of the line's amount: a donor may have left out the reference.
func (g *suggester) pledges(ctx context.Context) error {
	if g.line.Amount.Minor < 0 {
		return nil
	}
	add := func(p treasury.Pledge, named ...Reason) {
		if p.Fulfilled() || p.Amount.Currency != g.line.Amount.Currency {
			return
		}
		g.add(Suggestion{
			Kind: SuggestPledge, Target: Target{Kind: TargetPledge, Campaign: p.Campaign, ID: p.ID}, Amount: p.Amount,
			On: g.at.day(p.CreateTime), Document: p.Reference, Campaign: p.Campaign,
		}, named...)
	}
	if g.line.Pledge != uuid.Nil {
		p, err := g.cfg.Treasury.PledgeTx(ctx, g.tx, g.line.Collective, g.line.Pledge)
		if err != nil {
			return err
		}
		add(p, ReasonReference)
	}
	end := g.line.BookedOn.Start(g.at.zone).AddDate(0, 0, 2)
	alike, err := g.cfg.Treasury.PledgesOfAmountTx(ctx, g.tx, g.line.Collective, g.line.Amount, end.AddDate(0, 0, -pledgeDays-2), end, maxPledges)
	for _, p := range alike {
		if p.ID != g.line.Pledge {
			add(p)
		}
	}
	return err
}

// expenses finds what is owed: an expense can be paid in part, so every one may be what the line pays.
func (g *suggester) expenses(ctx context.Context) error {
	if g.line.Amount.Minor > 0 {
		return nil
	}
	owed, err := g.cfg.Treasury.OwedExpensesTx(ctx, g.tx, g.line.Collective)
	for _, e := range owed {
		if e.Amount.Currency != g.line.Amount.Currency {
			continue
		}
		var named []Reason
		if slices.Contains(g.line.Named.ByDocument, e.ID) {
			named = append(named, ReasonDocument)
		}
		if slices.Contains(g.line.Named.ByPayee, e.ID) {
			named = append(named, ReasonPayee)
		}
		suggestion := Suggestion{
			Kind: SuggestExpense, Target: Target{Kind: TargetExpense, ID: e.ID},
			Amount: money.Amount{Minor: -e.Remaining.Minor, Currency: e.Remaining.Currency},
			On:     e.DocumentDate, Document: e.Document, Payee: e.Payee,
		}
		if e.Campaign != "" {
			suggestion.Campaign = campaigns.Name{Collective: e.Collective, Campaign: e.Campaign}
		}
		g.add(suggestion, named...)
	}
	return err
}

// suggestedKinds are the kinds of movements in the books; others are SuggestOther.
var suggestedKinds = map[string]SuggestionKind{
	ledger.KindPayout: SuggestPayout, ledger.KindDeposit: SuggestDeposit, ledger.KindDonation: SuggestDonation,
	ledger.KindExpense: SuggestPayment, ledger.KindExpensePayment: SuggestPayment, ledger.KindTopUp: SuggestTopUp,
	ledger.KindReversal: SuggestBounce,
}

// movements finds what moved the bank account in the books and no line shows. One of less than the line's amount may be a
// part of it; one of more cannot be.
func (g *suggester) movements(ctx context.Context) error {
	start := g.line.BookedOn.Start(g.at.zone)
	moved, err := g.cfg.Treasury.BankMovementsTx(ctx, g.tx, g.at.book, g.line.Collective,
		start.AddDate(0, 0, -suggestLater), start.AddDate(0, 0, suggestEarlier+1))
	for _, m := range moved {
		sameSide := m.Amount.Currency == g.line.Amount.Currency && (m.Amount.Minor > 0) == (g.line.Amount.Minor > 0)
		if !sameSide || m.Undone || m.Shown || abs(m.Amount.Minor) > abs(g.line.Amount.Minor) {
			continue
		}
		// What is less than the line may be a part of it, when it is of about its day.
		if later := g.at.day(m.Effective).DaysUntil(g.line.BookedOn); m.Amount != g.line.Amount && (later < -daysEarlier || later > daysLater) {
			continue
		}
		kind := cmp.Or(suggestedKinds[m.Kind], SuggestOther)
		g.add(Suggestion{
			Kind: kind, Target: Target{Kind: TargetTransaction, Transaction: m.TransactionID}, Amount: m.Amount, On: g.at.day(m.Effective),
		})
	}
	return err
}

// topUps finds top-ups of the Stripe balance of the line's amount whose side at the bank is not booked.
func (g *suggester) topUps(ctx context.Context) error {
	m := &matcher{Service: g.Service, tx: g.tx, at: g.at, rest: []Line{g.line}}
	if err := m.readTopUps(ctx, m.rest); err != nil {
		return err
	}
	for _, t := range m.topUps {
		if t.Amount == g.line.Amount {
			g.add(Suggestion{
				Kind: SuggestTopUp, Target: Target{Kind: TargetTransaction, Transaction: t.TransactionID}, Amount: t.Amount, On: g.at.day(t.Effective),
			})
		}
	}
	return nil
}
