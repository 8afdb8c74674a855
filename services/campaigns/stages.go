package campaigns

import (
	"context"
	"regexp"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

var stageIDPattern = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

// nameStages sets the id of every stage that has none: that of the stored stage with the same French title, or the smallest
// number that no stage has, that none had before this change, and that is not among the spent, the ids to which money refers.
// So what was spent on a stage stays with it.
func (c *Content) nameStages(before []Stage, spent []string) {
	// Ids that the request gives count as used before any other is chosen, so none is given twice.
	used := map[string]bool{}
	for _, stage := range c.Stages {
		used[stage.ID] = true
	}
	for i := range c.Stages {
		for _, old := range before {
			if c.Stages[i].ID == "" && !used[old.ID] && old.Titles[French] == c.Stages[i].Titles[French] {
				c.Stages[i].ID, used[old.ID] = old.ID, true
			}
		}
	}
	for _, old := range before {
		used[old.ID] = true
	}
	for _, id := range spent {
		used[id] = true
	}
	// The id of a stage that this change removes is not given to another one either: expenses may come to refer to it.
	next := 1
	for i := range c.Stages {
		for ; c.Stages[i].ID == ""; next++ {
			if id := strconv.Itoa(next); !used[id] {
				c.Stages[i].ID, used[id] = id, true
			}
		}
	}
}

// checkStageID refuses a malformed id, and that of an earlier stage.
func (c *Content) checkStageID(k *check, field string, i int) {
	if !stageIDPattern.MatchString(c.Stages[i].ID) {
		k.wrong(field+".id", "must be up to 40 lower-case letters, digits and dashes")
	}
	for _, other := range c.Stages[:i] {
		if other.ID == c.Stages[i].ID {
			k.wrong(field+".id", "must differ from the ids of other stages")
		}
	}
}

// spentStagesSQL reads the ids of stages to which expenses, or cheques to the lawyer, refer, those of stages that are gone
// included. expenses_campaign_idx and offline_donations_spent_idx serve the two parts.
const spentStagesSQL = `
SELECT e.stage
FROM treasury.expenses AS e
WHERE e.collective = @collective
	AND e.campaign <> ''
	AND e.campaign = @id
	AND e.stage <> ''
UNION
SELECT d.stage
FROM treasury.offline_donations AS d
WHERE d.collective = @collective
	AND d.campaign = @id
	AND d.method = 'payee_cheque'
	AND NOT d.outside_books
	AND d.stage <> ''`

// spentStages returns the ids of stages, past and present, on which something was spent.
func (s *Service) spentStages(ctx context.Context, name Name) ([]string, error) {
	rows, err := s.pool.Query(ctx, spentStagesSQL, key(name))
	if err != nil {
		return nil, postgres.Error(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return ids, postgres.Error(err)
}
