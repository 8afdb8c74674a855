package campaigns

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/limit"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
)

const (
	// refusedEvery is the shortest time between two writes of refused origins.
	refusedEvery = 2 * time.Second
	// maxRefusedHeld, maxRefusedHeldEach and maxRefusedHeldNetwork bound the memory that invented origins take until they are
	// written: in all, of one campaign, and from one network.
	maxRefusedHeld        = 1000
	maxRefusedHeldEach    = 50
	maxRefusedHeldNetwork = 10
	// writeRefusedTimeout bounds a write.
	writeRefusedTimeout = 5 * time.Second
	// refusedFor is how long an origin is listed after its last request.
	refusedFor = 30 * 24 * time.Hour
)

// newOrigins is how many origins that are not listed yet a network can add, to the lists of all campaigns. Anybody can ask with an
// invented origin; a real site is asked for from the networks of all who read it.
var newOrigins = limit.Rate{Burst: 5, Interval: 4 * time.Hour}

// RefusedOrigin is an origin whose pages asked for a campaign and are not allowed to.
type RefusedOrigin struct {
	// Origin is as the browser sent it.
	Origin string
	// Count is about how often its pages asked.
	Count int64
	// FirstTime and LastTime are when they asked first and last.
	FirstTime, LastTime time.Time
}

// Allowable reports whether the campaign's origins can have it.
func (o RefusedOrigin) Allowable() bool {
	_, problem := normaliseOrigin(o.Origin)
	return problem == ""
}

// originPattern is what browsers send, but for "null" and schemes of their own.
var originPattern = regexp.MustCompile(`^https?://[a-z0-9.:\[\]_-]{1,240}$`)

// refusals holds refused origins until they are written, so that no request is a write. What it holds is lost when the
// process ends.
type refusals struct {
	mu       sync.Mutex
	held     map[refusal]*RefusedOrigin
	each     map[Name]int
	networks map[netip.Prefix]int
	written  time.Time
}

// refusal is what was asked for, and from which network.
type refusal struct {
	campaign Name
	origin   string
	network  netip.Prefix
}

// note adds a request, and returns what is to be written now; usually nothing.
func (r *refusals) note(campaign Name, origin string, network netip.Prefix, now time.Time) map[refusal]*RefusedOrigin {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := refusal{campaign, origin, network}
	switch known := r.held[k]; {
	case known != nil:
		known.Count++
		known.LastTime = now
	case len(r.held) < maxRefusedHeld && r.each[campaign] < maxRefusedHeldEach && r.networks[network] < maxRefusedHeldNetwork:
		if r.held == nil {
			r.held, r.each, r.networks = map[refusal]*RefusedOrigin{}, map[Name]int{}, map[netip.Prefix]int{}
		}
		r.held[k] = &RefusedOrigin{Origin: origin, Count: 1, FirstTime: now, LastTime: now}
		r.each[campaign]++
		r.networks[network]++
	}
	if now.Sub(r.written) < refusedEvery {
		return nil
	}
	r.written = now
	return r.take()
}

// take returns what is held, and holds it no longer. The lock is the caller's.
func (r *refusals) take() map[refusal]*RefusedOrigin {
	held := r.held
	r.held, r.each, r.networks = nil, nil, nil
	return held
}

const (
	// writeRefusedSQL adds to what is stored, for campaigns that exist.
	writeRefusedSQL = `
INSERT INTO campaigns.refused_origins AS r (
	collective,
	campaign,
	origin,
	count,
	first_at,
	last_at
)
SELECT
	u.collective,
	u.campaign,
	u.origin,
	u.count,
	u.first_at,
	u.last_at
FROM unnest(
	@collectives::text[],
	@campaigns::text[],
	@origins::text[],
	@counts::bigint[],
	@first::timestamptz[],
	@last::timestamptz[]
) AS u (collective, campaign, origin, count, first_at, last_at)
JOIN campaigns.campaigns AS c ON c.collective = u.collective AND c.id = u.campaign
ORDER BY
	u.collective,
	u.campaign,
	u.origin
ON CONFLICT (collective, campaign, origin) DO UPDATE
SET
	count = r.count + excluded.count,
	last_at = greatest(r.last_at, excluded.last_at)`

	// trimRefusedSQL keeps 20 origins of each campaign that was written. Fifteen places are for those that asked more than once,
	// and in the last day, by when they asked first: nothing that comes later pushes one of them out. Five are for those that
	// asked last, through which a new one comes in. A flood from one network does not even fill these: see newOrigins.
	trimRefusedSQL = `
DELETE FROM campaigns.refused_origins AS r
USING (
	SELECT
		o.collective,
		o.campaign,
		o.origin,
		o.last_at,
		o.count > 1 AND o.last_at >= @today AS standing,
		row_number() OVER (
			PARTITION BY o.collective, o.campaign
			ORDER BY o.count > 1 AND o.last_at >= @today DESC, o.first_at, o.origin
		) AS by_standing,
		row_number() OVER (PARTITION BY o.collective, o.campaign ORDER BY o.last_at DESC, o.origin) AS by_time
	FROM campaigns.refused_origins AS o
	WHERE (o.collective, o.campaign) IN (
		SELECT
			u.collective,
			u.campaign
		FROM unnest(@collectives::text[], @campaigns::text[]) AS u (collective, campaign)
	)
) AS k
WHERE r.collective = k.collective
	AND r.campaign = k.campaign
	AND r.origin = k.origin
	AND ((NOT k.standing OR k.by_standing > 15) AND k.by_time > 5 OR k.last_at < @since)`

	// knownRefusedSQL finds which of the origins are listed already.
	knownRefusedSQL = `
SELECT
	r.collective,
	r.campaign,
	r.origin
FROM campaigns.refused_origins AS r
WHERE (r.collective, r.campaign, r.origin) IN (
	SELECT
		u.collective,
		u.campaign,
		u.origin
	FROM unnest(@collectives::text[], @campaigns::text[], @origins::text[]) AS u (collective, campaign, origin)
)`
)

// refuse remembers that a page of an origin asked for the campaign. It writes at most once in two seconds, for all campaigns.
func (s *Service) refuse(ctx context.Context, campaign Name, origin string) error {
	// An origin that could be allowed is kept in the form in which it would be.
	if normal, problem := normaliseOrigin(origin); problem == "" {
		origin = normal
	}
	if !originPattern.MatchString(origin) {
		return nil
	}
	return s.writeRefused(ctx, s.refused.note(campaign, origin, rpc.CallerFrom(ctx).Network, s.nowMicros()))
}

// writeRefused stores what was held, but for new origins of networks that have added too many.
func (s *Service) writeRefused(ctx context.Context, held map[refusal]*RefusedOrigin) error {
	if len(held) == 0 {
		return nil
	}
	// What is held is of all collectives, whoever asked last, and is written even if that caller leaves.
	ctx, cancel := context.WithTimeout(postgres.WithScope(context.WithoutCancel(ctx), postgres.AllScope()), writeRefusedTimeout)
	defer cancel()
	// One order for all processes, so that none waits for another that waits for it.
	asked := slices.SortedFunc(maps.Keys(held), func(a, b refusal) int {
		return cmp.Or(a.network.Compare(b.network), cmp.Compare(a.campaign.String(), b.campaign.String()), cmp.Compare(a.origin, b.origin))
	})
	return postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		now := s.nowMicros()
		known, err := knownRefusedTx(ctx, tx, asked)
		if err != nil {
			return err
		}
		limiter := limit.Limiter{Table: "campaigns.limits", Secret: s.secretKey, Daily: true}
		written := map[refusal]*RefusedOrigin{}
		for _, k := range asked {
			listed := refusal{campaign: k.campaign, origin: k.origin}
			if !known[listed] && written[listed] == nil {
				wait, err := limiter.TakeTx(ctx, tx, "refused-origins", k.network.String(), newOrigins, now)
				if err != nil {
					return err
				}
				if wait > 0 {
					continue
				}
			}
			written[listed] = written[listed].with(*held[k])
		}
		if err := limiter.Forget(ctx, tx, now); err != nil {
			return err
		}
		return writeRefusedTx(ctx, tx, written, now)
	})
}

// with adds what was held of an origin from another network; of none it is that.
func (o *RefusedOrigin) with(other RefusedOrigin) *RefusedOrigin {
	if o == nil {
		return &other
	}
	o.Count += other.Count
	if other.FirstTime.Before(o.FirstTime) {
		o.FirstTime = other.FirstTime
	}
	if other.LastTime.After(o.LastTime) {
		o.LastTime = other.LastTime
	}
	return o
}

func knownRefusedTx(ctx context.Context, tx pgx.Tx, asked []refusal) (map[refusal]bool, error) {
	var collectives, campaigns, origins []string
	for _, k := range asked {
		collectives, campaigns, origins = append(collectives, k.campaign.Collective), append(campaigns, k.campaign.Campaign), append(origins, k.origin)
	}
	found, err := postgres.All(ctx, tx, func(r pgx.CollectableRow) (k refusal, err error) {
		return k, r.Scan(&k.campaign.Collective, &k.campaign.Campaign, &k.origin)
	}, knownRefusedSQL, pgx.NamedArgs{"collectives": collectives, "campaigns": campaigns, "origins": origins})
	known := map[refusal]bool{}
	for _, k := range found {
		known[k] = true
	}
	return known, err
}

func writeRefusedTx(ctx context.Context, tx pgx.Tx, written map[refusal]*RefusedOrigin, now time.Time) error {
	var collectives, campaigns, origins []string
	var counts []int64
	var first, last []time.Time
	for k, o := range written {
		collectives, campaigns, origins = append(collectives, k.campaign.Collective), append(campaigns, k.campaign.Campaign), append(origins, k.origin)
		counts, first, last = append(counts, o.Count), append(first, o.FirstTime), append(last, o.LastTime)
	}
	args := pgx.NamedArgs{
		"collectives": collectives, "campaigns": campaigns, "origins": origins, "counts": counts, "first": first, "last": last,
		"since": now.Add(-refusedFor), "today": now.Add(-24 * time.Hour),
	}
	for _, statement := range []string{writeRefusedSQL, trimRefusedSQL} {
		if _, err := tx.Exec(ctx, statement, args); err != nil {
			return postgres.Error(err)
		}
	}
	return nil
}

// listRefusedSQL lists those that are still not allowed.
const listRefusedSQL = `
SELECT
	r.origin,
	r.count,
	r.first_at,
	r.last_at
FROM campaigns.refused_origins AS r
JOIN campaigns.campaigns AS c ON c.collective = r.collective AND c.id = r.campaign
WHERE r.collective = @collective
	AND r.campaign = @campaign
	AND r.origin <> ALL (c.allowed_origins)
	AND r.last_at >= @since
	AND (r.last_at, r.origin) < (@before_time, @before_origin)
ORDER BY
	r.last_at DESC,
	r.origin DESC
LIMIT @count`

// refusedPosition is an origin's place in the list.
type refusedPosition struct {
	LastTime time.Time
	Origin   string
}

// listRefused returns up to count origins, those after the position. What this process holds is written first; what another
// one holds comes within two seconds of its next request. Errors: NOT_FOUND for a missing campaign.
func (s *Service) listRefused(ctx context.Context, campaign Name, before refusedPosition, count int) ([]RefusedOrigin, error) {
	if _, err := s.Get(ctx, campaign); err != nil {
		return nil, err
	}
	s.refused.mu.Lock()
	held := s.refused.take()
	s.refused.mu.Unlock()
	if err := s.writeRefused(ctx, held); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, listRefusedSQL, pgx.NamedArgs{
		"collective": campaign.Collective, "campaign": campaign.Campaign, "since": s.nowMicros().Add(-refusedFor),
		"before_time": before.LastTime, "before_origin": before.Origin, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (o RefusedOrigin, err error) {
		err = r.Scan(&o.Origin, &o.Count, &o.FirstTime, &o.LastTime)
		o.FirstTime, o.LastTime = o.FirstTime.UTC(), o.LastTime.UTC()
		return o, err
	})
	return found, postgres.Error(err)
}
