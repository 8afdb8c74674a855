package campaigns

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// getSQL reads one campaign by campaigns_pkey, with the name of its collective, whatever its state.
const getSQL = `
SELECT
	c.collective,
	c.id,
	c.texts,
	c.currency,
	c.goal_minor,
	c.presets_minor,
	c.minimum_minor,
	c.maximum_minor,
	c.deadline,
	c.stages,
	c.allowed_origins,
	c.image,
	c.listed,
	c.expenses_shown,
	c.donations_shown,
	coalesce(to_char(c.event_date, 'YYYY-MM-DD'), ''),
	c.event_time,
	c.event_place,
	c.state,
	c.published_at,
	c.closed_at,
	c.created_at,
	c.updated_at,
	c.version,
	g.display_name,
	g.time_zone,
	g.suspended_at IS NOT NULL,
	g.discreet
FROM campaigns.campaigns AS c
JOIN collectives.collectives AS g ON g.id = c.collective
WHERE c.collective = @collective
	AND c.id = @id`

// publishedSQL looks for a campaign that was ever published. Its state does not matter: a closed one was public too.
const publishedSQL = `
SELECT EXISTS (
	SELECT
	FROM campaigns.campaigns AS c
	WHERE c.collective = @collective
		AND c.published_at IS NOT NULL
)`

// Published reports whether a collective has ever published a campaign, and so is public.
func (s *Service) Published(ctx context.Context, collective string) (published bool, err error) {
	err = s.pool.QueryRow(ctx, publishedSQL, pgx.NamedArgs{"collective": collective}).Scan(&published)
	return published, postgres.Error(err)
}

// Get returns one campaign, whatever its state. Errors: NOT_FOUND.
func (s *Service) Get(ctx context.Context, name Name) (Campaign, error) {
	rows, err := s.pool.Query(ctx, getSQL, key(name))
	return one(rows, err, name)
}

// key is the arguments that name a campaign, for any statement about one.
func key(name Name) pgx.NamedArgs {
	return pgx.NamedArgs{"collective": name.Collective, "id": name.Campaign}
}

// listSQL returns a page of a collective's campaigns in the order of campaigns_list_idx, with drafts only if @drafts.
const listSQL = `
SELECT
	c.collective,
	c.id,
	c.texts,
	c.currency,
	c.goal_minor,
	c.presets_minor,
	c.minimum_minor,
	c.maximum_minor,
	c.deadline,
	c.stages,
	c.allowed_origins,
	c.image,
	c.listed,
	c.expenses_shown,
	c.donations_shown,
	coalesce(to_char(c.event_date, 'YYYY-MM-DD'), ''),
	c.event_time,
	c.event_place,
	c.state,
	c.published_at,
	c.closed_at,
	c.created_at,
	c.updated_at,
	c.version,
	g.display_name,
	g.time_zone,
	g.suspended_at IS NOT NULL,
	g.discreet
FROM campaigns.campaigns AS c
JOIN collectives.collectives AS g ON g.id = c.collective
WHERE c.collective = @collective
	AND (c.state <> 'draft' OR @drafts)
	AND (c.created_at, c.id) < (@before_time, @before_id)
ORDER BY
	c.created_at DESC,
	c.id DESC
LIMIT @count`

// query asks for a page of one collective's campaigns, newest first.
type query struct {
	collective string
	// drafts: drafts are listed too.
	drafts bool
	// before is the position after which the page begins, and count the most campaigns that it has.
	before position
	count  int
}

// position is a campaign's place in a list.
type position struct {
	CreateTime time.Time
	Campaign   string
}

// newest is before every campaign.
var newest = position{CreateTime: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}

// list returns a page. It is empty for a missing collective.
func (s *Service) list(ctx context.Context, q query) ([]Campaign, error) {
	rows, err := s.pool.Query(ctx, listSQL, pgx.NamedArgs{
		"collective":  q.collective,
		"drafts":      q.drafts,
		"before_time": q.before.CreateTime,
		"before_id":   q.before.Campaign,
		"count":       q.count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scan)
	return found, postgres.Error(err)
}

// insertSQL adds a draft. It changes nothing if the name is taken, so a repeat is harmless; the caller compares the
// contents. The version has its default in the table.
const insertSQL = `
INSERT INTO campaigns.campaigns (
	collective,
	id,
	texts,
	currency,
	goal_minor,
	presets_minor,
	minimum_minor,
	maximum_minor,
	deadline,
	stages,
	allowed_origins,
	image,
	listed,
	expenses_shown,
	donations_shown,
	event_date,
	event_time,
	event_place,
	state,
	created_at,
	updated_at
)
VALUES (
	@collective,
	@id,
	@texts,
	@currency,
	@goal_minor,
	@presets_minor,
	@minimum_minor,
	@maximum_minor,
	@deadline,
	@stages,
	@allowed_origins,
	@image,
	@listed,
	@expenses_shown,
	@donations_shown,
	@event_date,
	@event_time,
	@event_place,
	'draft',
	@now,
	@now
)
ON CONFLICT (collective, id) DO NOTHING`

// insert reports false when the name is taken.
func (s *Service) insert(ctx context.Context, name Name, content Content, now time.Time) (inserted bool, err error) {
	args, err := contentArgs(name, content)
	if err != nil {
		return false, err
	}
	args["now"] = now
	err = postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, insertSQL, args)
		if err != nil {
			// The foreign key tells that the collective does not exist.
			return postgres.ErrorFor(err, map[string]*errs.Error{
				"campaigns_collective_fkey": errs.NotFound("collectives/" + name.Collective),
				"campaigns_image_fkey":      errImage,
			})
		}
		if inserted = tag.RowsAffected() == 1; !inserted {
			return nil
		}
		made := Campaign{Content: content, State: StateDraft}
		return audit.WriteTx(ctx, tx, audit.Change{Collective: name.Collective, Resource: name.String(), After: made.auditFields()})
	})
	return inserted, err
}

// lockSQL locks the row against other updates. Donations can still be inserted, since their foreign key is not blocked.
const lockSQL = getSQL + `
FOR NO KEY UPDATE OF c`

// updateSQL writes the whole row, which the caller has locked by lockSQL. The trigger campaigns_keep_promises refuses a
// change of a closed campaign other than of what is shown, and, once published, a step back to a draft and another currency.
const updateSQL = `
UPDATE campaigns.campaigns
SET
	texts = @texts,
	currency = @currency,
	goal_minor = @goal_minor,
	presets_minor = @presets_minor,
	minimum_minor = @minimum_minor,
	maximum_minor = @maximum_minor,
	deadline = @deadline,
	stages = @stages,
	allowed_origins = @allowed_origins,
	image = @image,
	listed = @listed,
	expenses_shown = @expenses_shown,
	donations_shown = @donations_shown,
	event_date = @event_date,
	event_time = @event_time,
	event_place = @event_place,
	state = @state,
	published_at = @published_at,
	closed_at = @closed_at,
	updated_at = @updated_at,
	version = @version
WHERE collective = @collective
	AND id = @id`

// update runs change on the locked campaign, and writes it if it differs.
func (s *Service) update(ctx context.Context, name Name, change verb) (Campaign, error) {
	var result Campaign
	err := postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		// Query's error is passed to one, which checks it.
		rows, err := tx.Query(ctx, lockSQL, key(name))
		stored, err := one(rows, err, name)
		if err != nil {
			return err
		}
		now := s.nowMicros()
		result = stored
		// change gets a copy. The stored campaign stays for the comparison.
		if err := change(&result, now); err != nil {
			return err
		}
		// A repeated request keeps version and update time, and so the etag.
		if result.State == stored.State && result.equal(stored.Content) {
			result = stored
			return nil
		}
		result.UpdateTime = now
		result.version++
		args, err := contentArgs(name, result.Content)
		if err != nil {
			return err
		}
		// What follows is not content: the service sets it, and insertSQL has defaults for it.
		args["state"] = string(result.State)
		args["published_at"] = orNull(result.PublishTime)
		args["closed_at"] = orNull(result.CloseTime)
		args["updated_at"] = result.UpdateTime
		args["version"] = result.version
		if _, err = tx.Exec(ctx, updateSQL, args); err != nil {
			return postgres.ErrorFor(err, map[string]*errs.Error{"campaigns_image_fkey": errImage})
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: name.Collective, Resource: name.String(), Before: stored.auditFields(), After: result.auditFields(),
		})
	})
	if err != nil {
		return Campaign{}, err
	}
	return result, nil
}

// stageRow is a stage in JSON; its currency is the campaign's.
type stageRow struct {
	// ID is absent in rows from before stages had one; it is the stage's place then, from 1.
	ID          string            `json:"id,omitempty"`
	Titles      map[string]string `json:"titles"`
	AmountMinor int64             `json:"amount_minor"`
}

// contentArgs are the columns that members write, and the name. Amounts are stored in the smallest unit without a
// currency, since all of them are in the campaign's. An error is the program's own.
func contentArgs(name Name, c Content) (pgx.NamedArgs, error) {
	texts, err := json.Marshal(c.Texts)
	if err != nil {
		return nil, errs.Internal(err)
	}
	stages := make([]stageRow, len(c.Stages))
	for i, stage := range c.Stages {
		stages[i] = stageRow{ID: stage.ID, Titles: stage.Titles, AmountMinor: stage.Amount.Minor}
	}
	stagesJSON, err := json.Marshal(stages)
	if err != nil {
		return nil, errs.Internal(err)
	}
	// Empty and not nil, because the column takes no NULL.
	presets := make([]int64, len(c.Presets))
	for i, preset := range c.Presets {
		presets[i] = preset.Minor
	}
	args := key(name)
	args["texts"] = texts
	args["currency"] = string(c.Currency)
	args["goal_minor"] = c.Goal.Minor
	args["presets_minor"] = presets
	args["minimum_minor"] = c.Minimum.Minor
	args["maximum_minor"] = c.Maximum.Minor
	args["deadline"] = orNull(c.Deadline)
	args["stages"] = stagesJSON
	args["allowed_origins"] = c.AllowedOrigins
	args["listed"], args["expenses_shown"], args["donations_shown"] = c.Listed, c.ExpensesShown, c.DonationsShown
	args["event_date"], args["event_time"], args["event_place"] = orEmpty(c.Event.Date), c.Event.Time, c.Event.Place
	// NULL refers to no image.
	args["image"] = nil
	if c.Image != "" {
		args["image"] = c.Image
	}
	return args, nil
}

// errImage is for an image that is not stored, or is another collective's.
var errImage = errs.Invalid("campaign.image", "must be an image of the collective")

// orNull is NULL for the zero time.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// orEmpty is NULL for the empty text.
func orEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// one returns the single row of a query for one campaign, or NOT_FOUND.
func one(rows pgx.Rows, err error, name Name) (Campaign, error) {
	if err != nil {
		return Campaign{}, postgres.Error(err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Campaign{}, errs.NotFound(name.String())
	}
	return c, postgres.Error(err)
}

// scan reads the columns of getSQL and listSQL.
func scan(r pgx.CollectableRow) (Campaign, error) {
	var (
		c                           Campaign
		texts, stages               []byte
		presets                     []int64
		deadline, published, closed *time.Time
		image                       *string
	)
	if err := r.Scan(&c.Name.Collective, &c.Name.Campaign, &texts, &c.Currency, &c.Goal.Minor, &presets,
		&c.Minimum.Minor, &c.Maximum.Minor, &deadline, &stages, &c.AllowedOrigins, &image, &c.Listed, &c.ExpensesShown, &c.DonationsShown,
		&c.Event.Date, &c.Event.Time, &c.Event.Place, &c.State, &published, &closed, &c.CreateTime, &c.UpdateTime, &c.version, &c.CollectiveDisplayName, &c.timeZone, &c.CollectiveSuspended, &c.CollectiveDiscreet); err != nil {
		return Campaign{}, err
	}
	if image != nil {
		c.Image = *image
	}
	c.Goal.Currency, c.Minimum.Currency, c.Maximum.Currency = c.Currency, c.Currency, c.Currency
	for _, minor := range presets {
		c.Presets = append(c.Presets, money.Amount{Minor: minor, Currency: c.Currency})
	}
	if err := json.Unmarshal(texts, &c.Texts); err != nil {
		return Campaign{}, err
	}
	var stageRows []stageRow
	if err := json.Unmarshal(stages, &stageRows); err != nil {
		return Campaign{}, err
	}
	for _, row := range stageRows {
		c.Stages = append(c.Stages, Stage{ID: row.ID, Titles: row.Titles, Amount: money.Amount{Minor: row.AmountMinor, Currency: c.Currency}})
	}
	// Stages from before they had ids get their places as ids, the same at each reading.
	c.nameStages(nil, nil)
	c.Deadline, c.PublishTime, c.CloseTime = fromNull(deadline), fromNull(published), fromNull(closed)
	c.CreateTime, c.UpdateTime = c.CreateTime.UTC(), c.UpdateTime.UTC()
	return c, nil
}

// fromNull is the time in UTC; zero for NULL.
func fromNull(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
