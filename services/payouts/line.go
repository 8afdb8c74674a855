package payouts

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// LineQuery asks for a page of a payout's lines.
type LineQuery struct {
	// Collective is whose lines; [Everybody] for all.
	Collective string
	// Share is the sum of all lines, in minor units: the collective's share, or the whole payout.
	Share int64
	// At leaves out what was booked or read at Stripe later. Empty: nothing.
	At ledger.Watermark
	// From is where to continue. The zero value begins.
	From LinePosition
	// Count is how many balance transactions to look at. Some have no line, such as those of other collectives.
	Count int
}

// LinePosition is how far a payout's lines were read.
type LinePosition struct {
	// After is the last balance transaction, and Sum the sum of the lines up to it.
	After string
	Sum   int64
}

// Lines returns a payout's lines by balance transaction id. next is where to continue; nil at the end. All lines sum to
// the share exactly: what the known ones leave is a last line of its own.
func (s *Service) Lines(ctx context.Context, p Payout, q LineQuery) (lines []Line, next *LinePosition, err error) {
	page, err := s.contents(ctx, p.Account, p.ID, q.From.After, q.At, q.Count)
	if err != nil {
		return nil, nil, err
	}
	lines, err = s.linesOf(ctx, p, page, q)
	if err != nil {
		return nil, nil, err
	}
	sum := q.From.Sum
	for _, l := range lines {
		sum += l.Net
	}
	if len(page) == q.Count {
		return lines, &LinePosition{After: page[len(page)-1].transaction, Sum: sum}, nil
	}
	if rest := q.Share - sum; rest != 0 {
		kind := LineUnclassified
		if len(page) == 0 && q.From.After == "" {
			kind = LineUndetailed
		}
		lines = append(lines, Line{Kind: kind, Gross: rest, Net: rest})
	}
	return lines, nil, nil
}

// linesOf returns the lines of contents.
func (s *Service) linesOf(ctx context.Context, p Payout, page []content, q LineQuery) (lines []Line, err error) {
	pairs, err := s.booked(ctx, p, page, q.At)
	if err != nil {
		return nil, err
	}
	for _, b := range pairs {
		if len(b.moves) == 0 && !b.empty() && q.Collective == Everybody {
			lines = append(lines, Line{Kind: LineUnclassified, Transaction: b.transaction, Gross: b.net + b.fee, Fee: b.fee, Net: b.net})
		}
		for _, m := range b.moves {
			if m.Currency == p.Amount.Currency && (q.Collective == Everybody || q.Collective == m.Collective) {
				lines = append(lines, lineOf(m))
			}
		}
	}
	return lines, nil
}

// remainder is the id of the line without a transaction.
const remainder = "remainder"

// ID identifies a line among those of its payout that a collective sees: its transaction, under [Everybody] with the
// collective that the line belongs to, since a returned payout has a line for each collective.
func (l Line) ID(seenBy string) string {
	switch {
	case l.Transaction == "":
		return remainder
	case seenBy == Everybody && l.Collective != "":
		return l.Transaction + "." + l.Collective
	}
	return l.Transaction
}

// Line returns one line of those that [Service.Lines] returns. NOT_FOUND when there is none of that id.
func (s *Service) Line(ctx context.Context, p Payout, q LineQuery, id string) (Line, error) {
	if id == remainder {
		return s.remainder(ctx, p, q)
	}
	transaction, _, _ := strings.Cut(id, ".")
	inside, err := s.content(ctx, p, transaction)
	if err != nil {
		return Line{}, err
	}
	lines, err := s.linesOf(ctx, p, inside, q)
	if err != nil {
		return Line{}, err
	}
	for _, l := range lines {
		if l.ID(q.Collective) == id {
			return l, nil
		}
	}
	return Line{}, errs.NotFound(nameOf(q.Collective, p.ID) + "/lines/" + id)
}

// remainder returns what the other lines leave, which needs all of them.
func (s *Service) remainder(ctx context.Context, p Payout, q LineQuery) (Line, error) {
	for q.Count = contentsCount; ; {
		lines, next, err := s.Lines(ctx, p, q)
		if err != nil {
			return Line{}, err
		}
		if next != nil {
			q.From = *next
			continue
		}
		if n := len(lines); n > 0 && lines[n-1].Transaction == "" {
			return lines[n-1], nil
		}
		return Line{}, errs.NotFound(nameOf(q.Collective, p.ID) + "/lines/" + remainder)
	}
}

func lineOf(m ledger.MoneyMovement) Line {
	l := Line{
		Kind: LineKind(m.Kind), Transaction: m.Reference, Time: m.Effective.UTC(), Collective: m.Collective, Campaign: m.Campaign,
		Gross: m.Balance + m.Fees, Fee: m.Fees, Net: m.Balance,
	}
	if m.Donation != uuid.Nil {
		l.Donation = m.Donation.String()
	}
	return l
}

// LineKind is the kind of a line of a payout.
type LineKind string

// The kinds of lines. The first ones are kinds of ledger transactions.
const (
	LineDonation = LineKind(ledger.KindDonation)
	LineRefund   = LineKind(ledger.KindRefund)
	LineDispute  = LineKind(ledger.KindDispute)
	LineFee      = LineKind(ledger.KindFee)
	LineOther    = LineKind(ledger.KindOther)
	// LinePayout is an earlier payout that was returned.
	LinePayout = LineKind(ledger.KindPayout)
	// LineUndetailed is the whole payout while its contents are unknown.
	LineUndetailed LineKind = "undetailed"
	// LineUnclassified is a transaction that is not booked, or what the other lines leave of the payout.
	LineUnclassified LineKind = "unclassified"
)

// Line is a part of a payout. Net is Gross less Fee, in minor units of the payout's currency. The nets of all lines sum
// to the payout, or to a collective's share.
type Line struct {
	Kind LineKind
	// Transaction is the reference in the ledger, which is the balance transaction's id; empty when there is none.
	Transaction string
	// Time is when it happened; zero for a line without transaction.
	Time time.Time
	// Collective, Campaign and Donation are those of the donation; empty when it belongs to none.
	Collective, Campaign, Donation string
	Gross, Fee, Net                int64
}
