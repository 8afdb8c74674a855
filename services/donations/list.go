package donations

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

// Filter says which donations, or which monthly donations, a list has.
type Filter struct {
	Collective string
	// Campaign is empty for all campaigns of the collective.
	Campaign string
	// States are without repeats, and empty for all.
	States []string
	// Start and End bound when they were started: Start is included, End is not, and the zero time is no bound.
	Start, End time.Time
}

// filteredRequest is what the requests of both lists have.
type filteredRequest interface {
	GetParent() string
	GetStartTime() *timestamppb.Timestamp
	GetEndTime() *timestamppb.Timestamp
}

// newFilter reads a request's filter. Errors: NOT_FOUND for a parent that names nothing, INVALID_ARGUMENT on start_time
// and end_time.
func newFilter(req filteredRequest, states []string) (Filter, error) {
	// A filter is part of the page token, so equal requests must give equal filters: names sorts the states.
	f := Filter{States: states}
	// A parent is a collective, or one of its campaigns.
	collective, ok := strings.CutPrefix(req.GetParent(), "collectives/")
	if ok && !strings.Contains(collective, "/") {
		f.Collective = collective
	} else {
		name, err := campaigns.ParseName(req.GetParent())
		if err != nil {
			return Filter{}, err
		}
		f.Collective, f.Campaign = name.Collective, name.Campaign
	}
	var err error
	if f.Start, err = wire.Instant("start_time", req.GetStartTime()); err != nil {
		return Filter{}, err
	}
	if f.End, err = wire.Instant("end_time", req.GetEndTime()); err != nil {
		return Filter{}, err
	}
	if !f.End.IsZero() && f.End.Before(f.Start) {
		return Filter{}, errs.Invalid("end_time", "must not be before start_time")
	}
	return f, nil
}

// names returns the names here of states of the contract, or of all states for none.
func names[S ~string, P comparable](contract map[S]P, asked []P) []string {
	var found []string
	for name, state := range contract {
		if len(asked) == 0 || slices.Contains(asked, state) {
			found = append(found, string(name))
		}
	}
	slices.Sort(found)
	return found
}

// args are the arguments of a list's statements. The end is a position: it is before the first donation of its instant.
func (f Filter) args(all []string, before Position, count int) pgx.NamedArgs {
	// A later page begins below the end already.
	if !f.End.IsZero() && f.End.Before(before.CreateTime) {
		before = Position{CreateTime: f.End}
	}
	// The statements read state by state, so that "any state" is the list of all of them.
	states := f.States
	if len(states) == 0 {
		states = all
	}
	return pgx.NamedArgs{
		"collective": f.Collective, "campaign": f.Campaign, "states": states, "start_time": f.Start,
		"before_time": before.CreateTime, "before_id": before.ID, "count": count,
	}
}

// Both lists read, of each state by itself, the first rows of an index that ends in (state, created_at DESC, id DESC),
// and merge them. So a page costs the same however rare its states are. listBefore is the part that the four statements
// share. It needs an opening that names the table o, and one of listedDonations and listedRecurring after it.
const listBefore = `
			AND o.state = s.state
			AND o.created_at >= @start_time
			AND (o.created_at, o.id) < (@before_time, @before_id)
		ORDER BY
			o.created_at DESC,
			o.id DESC
		LIMIT @count
	) AS f
	ORDER BY
		f.created_at DESC,
		f.id DESC
	LIMIT @count
)`

// listCampaignSQL returns a page of one campaign's donations. Each state is read from donations_campaign_idx.
const listCampaignSQL = `
WITH found AS (
	SELECT f.id
	FROM unnest(@states::text[]) AS s (state)
	CROSS JOIN LATERAL (
		SELECT
			o.id,
			o.created_at
		FROM donations.donations AS o
		WHERE o.collective = @collective
			AND o.campaign = @campaign` + listBefore + listedDonations

// listCollectiveSQL returns a page of all donations of a collective. Each state is read from donations_collective_idx.
const listCollectiveSQL = `
WITH found AS (
	SELECT f.id
	FROM unnest(@states::text[]) AS s (state)
	CROSS JOIN LATERAL (
		SELECT
			o.id,
			o.created_at
		FROM donations.donations AS o
		WHERE o.collective = @collective` + listBefore + listedDonations

// listedDonations reads the whole rows of the page. The page is sorted again, because a join keeps no order.
const listedDonations = `
SELECT` + columns + `
FROM found
JOIN donations.donations AS d ON d.id = found.id
ORDER BY
	d.created_at DESC,
	d.id DESC`

// List returns up to count donations of the filter, newest first, those before the given one.
func (s *Service) List(ctx context.Context, f Filter, before Position, count int) ([]Donation, error) {
	// Two statements, because each has an index of its own.
	statement := listCollectiveSQL
	if f.Campaign != "" {
		statement = listCampaignSQL
	}
	rows, err := s.cfg.Pool.Query(ctx, statement, f.args(names(states, nil), before, count))
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scan)
	return found, postgres.Error(err)
}

// Position is a donation's place in a list.
type Position struct {
	CreateTime time.Time
	ID         uuid.UUID
}

// newest is before every donation.
var newest = Position{CreateTime: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), ID: uuid.Max}
