package webhooks

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// oldMoney is the age from which what is booked is told of once for its type, such as the history of a new account.
const oldMoney = 32 * 24 * time.Hour

// tellMoneyTx tells those who must clear it of money that was booked and waits for somebody: a top-up for its line of the
// bank, and what no rule explains for a treasurer. That is told once a type and day, since some types come by hundreds;
// of a type that nobody knows the operator is told too.
func (s *Service) tellMoneyTx(ctx context.Context, tx pgx.Tx, posted []posting) error {
	told := map[string]bool{}
	for _, p := range posted {
		m, documented := meaningOf(p.of)
		n := collectives.Notice{
			Amount: money.Amount{Minor: p.of.Amount, Currency: money.Currency(p.of.Currency)}, Transactions: []string{p.of.ID},
		}
		when := "before"
		if s.now().Sub(p.of.Created) < oldMoney {
			when = p.of.Created.Format(time.DateOnly)
		}
		switch {
		case m.kind == ledger.KindTopUp:
			n.Kind, n.Key = collectives.NoticeStripeTopUp, p.of.ID
			if when == "before" {
				n.Key = p.of.Type + " " + when
			}
		case m.role == ledger.RoleUnknownReceipts:
			n.Kind, n.Key = collectives.NoticeStripeMoneyUnexplained, p.of.Type+" "+when
		default:
			continue
		}
		readers := []string{}
		if !documented {
			readers = append(readers, "")
		}
		for _, e := range p.transaction.Entries {
			readers = append(readers, e.Collective)
		}
		once := n.Key + " " + readers[len(readers)-1]
		if told[once] {
			continue
		}
		told[once] = true
		if err := s.tellTx(ctx, tx, n, readers...); err != nil {
			return err
		}
	}
	return nil
}

// tellTx tells each reader once: a collective, or the operator, who is "".
func (s *Service) tellTx(ctx context.Context, tx pgx.Tx, n collectives.Notice, readers ...string) error {
	slices.Sort(readers)
	for _, n.Collective = range slices.Compact(readers) {
		if err := s.cfg.Collectives.TellTx(ctx, tx, n); err != nil {
			return err
		}
	}
	return nil
}

// tellUnexpectedShapesTx tells the operator, and the collective that has the account alone, of what is parked for its shape: no try
// will book it before the program knows the shape.
func (s *Service) tellUnexpectedShapesTx(ctx context.Context, tx pgx.Tx, owners collectives.Owners, parked []parking) error {
	for _, p := range parked {
		if p.reason != reasonUnexpectedShape {
			continue
		}
		n := collectives.Notice{Kind: collectives.NoticeStripeMoneyParked, Key: p.id, Transactions: []string{p.id}}
		if p.moved != nil {
			n.Amount = *p.moved
		}
		if err := s.tellTx(ctx, tx, n, owners.At(s.now()), ""); err != nil {
			return err
		}
	}
	return nil
}
