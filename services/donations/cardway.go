package donations

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/notices"
	"github.com/cagnotte/cagnotte/services/wall"
)

// cardWay is what closes when most cards of the campaign and account are declined; see package wall.
func cardWay(c campaigns.Name, account string) wall.CardWay {
	return wall.CardWay{Collective: c.Collective, Campaign: c.Campaign, Account: account}
}

// tellCardWayTx tells members and the operator, once, that a card way closed or is open again, with its figures: how many
// payments were declined, how many were made meanwhile, and for how many minutes it is closed.
func (s *Service) tellCardWayTx(ctx context.Context, tx pgx.Tx, kind notices.Kind, c wall.Closing) error {
	minutes := int64(c.Until.Sub(c.From).Round(time.Minute) / time.Minute)
	name := campaigns.Name{Collective: c.Collective, Campaign: c.Campaign}.String()
	for _, collective := range []string{c.Collective, ""} {
		if err := s.cfg.Notices.TellTx(ctx, tx, notices.Notice{
			Collective: collective, Kind: kind, Key: name + " " + c.Account + " " + c.From.Format(time.RFC3339Nano),
			Subject: name, Since: c.From, Counts: []int64{c.Declined, c.Paid, minutes},
		}); err != nil {
			return err
		}
	}
	return nil
}

// tellReopened tells of the card ways that are open again, and deletes what counts no more.
func (s *Service) tellReopened(ctx context.Context) error {
	err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		reopened, err := s.cfg.CardWays.ReopenedTx(ctx, tx)
		if err != nil {
			return err
		}
		for _, c := range reopened {
			if err := s.tellCardWayTx(ctx, tx, notices.CardWayReopened, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.cfg.CardWays.Forget(ctx)
}
