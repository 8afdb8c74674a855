package webhooks

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/notices"
)

// oldMoney is the age from which transactions of one type are reported together, such as the history of a new account.
const oldMoney = 32 * 24 * time.Hour

// tellMoneyTx notifies those who must act on booked money: a top-up has to be matched with a bank line, and
// unclassified money has to be classified by a treasurer. The latter is sent once a type and day, because some types
// come by hundreds. The operator is notified too when the type is unknown.
func (s *Service) tellMoneyTx(ctx context.Context, tx pgx.Tx, posted []posting) error {
	// told saves repeated calls within a batch. TellTx itself stores a notice once for each collective, kind and key.
	told := map[string]bool{}
	for _, p := range posted {
		m, documented := meaningOf(p.of)
		n := notices.Notice{
			Amount: money.Amount{Minor: p.of.Amount, Currency: money.Currency(p.of.Currency)}, Transactions: []string{p.of.ID},
		}
		// Old transactions have no day in their key, which makes one notice of them for each type.
		when := "before"
		if s.now().Sub(p.of.Created) < oldMoney {
			when = p.of.Created.Format(time.DateOnly)
		}
		switch {
		case m.kind == ledger.KindTopUp:
			n.Kind, n.Key = notices.StripeTopUp, p.of.ID
			if when == "before" {
				n.Key = p.of.Type + " " + when
			}
		case m.role == ledger.RoleUnknownReceipts:
			n.Kind, n.Key = notices.StripeMoneyUnclassified, p.of.Type+" "+when
		default:
			continue
		}
		readers := []string{}
		// The empty reader is the operator.
		if !documented {
			readers = append(readers, "")
		}
		// Each collective with an entry is concerned; the empty one, for none, is the operator.
		for _, e := range p.transaction.Entries {
			readers = append(readers, e.Collective)
		}
		once := n.Key + " " + readers[len(readers)-1]
		// A notice of the same key and collective is in this batch already.
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

// tellTx notifies each reader once: a collective, or the operator when empty.
func (s *Service) tellTx(ctx context.Context, tx pgx.Tx, n notices.Notice, readers ...string) error {
	slices.Sort(readers)
	for _, n.Collective = range slices.Compact(readers) {
		if err := s.cfg.Notices.TellTx(ctx, tx, n); err != nil {
			return err
		}
	}
	return nil
}

// tellUnexpectedShapesTx notifies the operator, and the collective that has the account alone, of transactions parked
// for their shape. They stay parked until the program knows the shape.
func (s *Service) tellUnexpectedShapesTx(ctx context.Context, tx pgx.Tx, owners collectives.Owners, parked []parking) error {
	for _, p := range parked {
		if p.reason != reasonUnexpectedShape {
			continue
		}
		n := notices.Notice{Kind: notices.StripeMoneyParked, Key: p.id, Transactions: []string{p.id}}
		if p.moved != nil {
			n.Amount = *p.moved
		}
		if err := s.tellTx(ctx, tx, n, owners.At(s.now()), ""); err != nil {
			return err
		}
	}
	return nil
}
