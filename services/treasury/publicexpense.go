package treasury

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// publicExpense is what everybody may see of an expense: neither payee nor document.
type publicExpense struct {
	id           uuid.UUID
	kind         ExpenseKind
	stage        string
	amount       money.Amount
	documentDate calendar.Day
	paid         bool
}

// publicExpensesSQL returns a page of a campaign's expenses, the latest document first. The index expenses_campaign_idx finds
// them; a campaign has few enough to be sorted.
const publicExpensesSQL = `
SELECT
	e.id,
	e.kind,
	e.stage,
	e.amount_minor,
	e.currency,
	to_char(e.documented_on, 'YYYY-MM-DD'),
	e.state = 'paid'
FROM treasury.expenses AS e
WHERE e.collective = @collective
	AND e.campaign <> ''
	AND e.campaign = @campaign
	AND e.state <> 'reversed'
	AND (e.documented_on, e.id) < (@before_day::date, @before_id)
ORDER BY
	e.documented_on DESC,
	e.id DESC
LIMIT @count`

// publicPosition is an expense's place in the public list.
type publicPosition struct {
	Day calendar.Day
	ID  uuid.UUID
}

// publicExpenses returns a page of the public list of a campaign.
func (s *Service) publicExpenses(ctx context.Context, name campaigns.Name, before publicPosition, count int) ([]publicExpense, error) {
	return postgres.All(ctx, s.cfg.Pool, func(r pgx.CollectableRow) (e publicExpense, err error) {
		err = r.Scan(&e.id, &e.kind, &e.stage, &e.amount.Minor, &e.amount.Currency, &e.documentDate, &e.paid)
		return e, err
	}, publicExpensesSQL, pgx.NamedArgs{
		"collective": name.Collective, "campaign": name.Campaign, "before_day": string(before.Day), "before_id": before.ID, "count": count,
	})
}
