package donations

import (
	"context"
	"net/netip"

	"github.com/jackc/pgx/v5"
)

// LimitTx counts one start of a donation by a network, in the transaction of what the donor starts: pledges share the
// limit of payments, so that neither is the way round it. RESOURCE_EXHAUSTED (TOO_MANY_DONATIONS) says when to come
// again. The network's row is locked until the commit, so it comes last.
func (s *Service) LimitTx(ctx context.Context, tx pgx.Tx, network netip.Prefix) error {
	return s.takeTx(ctx, tx, network, s.now())
}
