package campaigns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fingerprint"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// NewsState is a news item's state.
type NewsState string

// The states of news: draft -> published <-> withdrawn.
const (
	// NewsDraft was never public.
	NewsDraft NewsState = "draft"
	// NewsPublished is public, while its campaign is.
	NewsPublished NewsState = "published"
	// NewsWithdrawn was public before.
	NewsWithdrawn NewsState = "withdrawn"
)

const (
	// maxNews is how many items a campaign may have.
	maxNews = 500
	// maxNewsChars is how long the text of one may be.
	maxNewsChars = 10_000
)

// NewsText is a news item in one language.
type NewsText struct {
	// Title is one line.
	Title string `json:"title"`
	// Text is Markdown, not sanitised.
	Text string `json:"text"`
}

// NewsItem is what happened since a campaign began.
type NewsItem struct {
	// Campaign is whose it is.
	Campaign Name
	// ID identifies it.
	ID uuid.UUID
	// Texts are by language, French always.
	Texts map[string]NewsText
	// State is its state.
	State NewsState
	// PublishTime is when it was first published; zero for a draft.
	PublishTime time.Time
	// CreateTime is when it was created.
	CreateTime time.Time
	// UpdateTime is when it was last changed.
	UpdateTime time.Time

	version     int64
	fingerprint []byte
}

// Name returns the resource name, `collectives/{collective}/campaigns/{campaign}/news/{news_item}`.
func (n NewsItem) Name() string { return newsName(n.Campaign, n.ID) }

func newsName(campaign Name, id uuid.UUID) string { return campaign.String() + "/news/" + id.String() }

// etag is opaque to callers, and another after each change.
func (n NewsItem) etag() string { return strconv.FormatInt(n.version, 10) }

// time is by which it is listed.
func (n NewsItem) time() time.Time {
	if n.PublishTime.IsZero() {
		return n.CreateTime
	}
	return n.PublishTime
}

// fields are what the audit log tells.
func (n NewsItem) fields() audit.Fields {
	f := audit.Fields{"state": string(n.State)}
	for lang, text := range n.Texts {
		f["title."+lang], f["text."+lang] = text.Title, text.Text
	}
	return f
}

// checkNews checks texts. Errors: INVALID_ARGUMENT with all wrong fields.
func checkNews(texts map[string]NewsText) error {
	var k check
	if _, ok := texts[French]; !ok {
		k.wrong(`news_item.texts["fr"]`, "is required: French is the language that all others fall back to")
	}
	for _, lang := range slices.Sorted(maps.Keys(texts)) {
		if !isLine(texts[lang].Title, maxTitleChars) {
			k.wrong(fmt.Sprintf("news_item.texts[%q].title", lang), "must be one line of 1 to %d characters", maxTitleChars)
		}
		if text := texts[lang].Text; utf8.RuneCountInString(text) > maxNewsChars || strings.ContainsFunc(text, isStrayControl) {
			k.wrong(fmt.Sprintf("news_item.texts[%q].text", lang), "must be text of at most %d characters", maxNewsChars)
		}
	}
	return k.err()
}

// newsColumns are what a NewsItem is read from.
const newsColumns = `
	n.collective,
	n.campaign,
	n.id,
	n.texts,
	n.state,
	n.published_at,
	n.created_at,
	n.updated_at,
	n.version,
	n.fingerprint`

// getNewsSQL reads one item; without @member only one that is public.
const getNewsSQL = `
SELECT` + newsColumns + `
FROM campaigns.news AS n
JOIN campaigns.campaigns AS c ON c.collective = n.collective AND c.id = n.campaign
WHERE n.collective = @collective
	AND n.campaign = @campaign
	AND n.id = @id
	AND (@member OR n.state = 'published' AND c.state <> 'draft')`

// NewsItem returns one item. Without member it is NOT_FOUND unless it is public.
func (s *Service) NewsItem(ctx context.Context, campaign Name, id uuid.UUID, member bool) (NewsItem, error) {
	rows, err := s.pool.Query(ctx, getNewsSQL, pgx.NamedArgs{
		"collective": campaign.Collective, "campaign": campaign.Campaign, "id": id, "member": member,
	})
	return oneNewsItem(rows, err, newsName(campaign, id))
}

// newsTime is when an item was published, or made while it is a draft. news_time_idx has the same text. It is CASE, since under
// row-level security a condition with coalesce is none of an index.
const newsTime = `CASE WHEN n.published_at IS NULL THEN n.created_at ELSE n.published_at END`

// listNewsSQL returns a page in the order of news_time_idx; without @member only what is public.
const listNewsSQL = `
SELECT` + newsColumns + `
FROM campaigns.news AS n
JOIN campaigns.campaigns AS c ON c.collective = n.collective AND c.id = n.campaign
WHERE n.collective = @collective
	AND n.campaign = @campaign
	AND (@member OR n.state = 'published' AND c.state <> 'draft')
	AND (` + newsTime + `, n.id) < (@before_time, @before_id)
ORDER BY
	` + newsTime + ` DESC,
	n.id DESC
LIMIT @count`

// newsPosition is an item's place in a list.
type newsPosition struct {
	Time time.Time
	ID   uuid.UUID
}

// listNews returns up to count items, those after the position.
func (s *Service) listNews(ctx context.Context, campaign Name, member bool, before newsPosition, count int) ([]NewsItem, error) {
	rows, err := s.pool.Query(ctx, listNewsSQL, pgx.NamedArgs{
		"collective": campaign.Collective, "campaign": campaign.Campaign, "member": member,
		"before_time": before.Time, "before_id": before.ID, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scanNewsItem)
	return found, postgres.Error(err)
}

const (
	countNewsSQL = `
SELECT count(*)
FROM campaigns.news AS n
WHERE n.collective = @collective
	AND n.campaign = @campaign`

	insertNewsSQL = `
INSERT INTO campaigns.news (
	collective,
	campaign,
	id,
	request_id,
	fingerprint,
	texts,
	state,
	created_at,
	updated_at
)
VALUES (
	@collective,
	@campaign,
	@id,
	@request_id,
	@fingerprint,
	@texts,
	'draft',
	@now,
	@now
)`

	newsByRequestSQL = `
SELECT` + newsColumns + `
FROM campaigns.news AS n
WHERE n.collective = @collective
	AND n.campaign = @campaign
	AND n.request_id = @request_id`
)

// CreateNewsItem adds a draft. The same request id with the same texts is the item that exists. Errors: ALREADY_EXISTS
// (REQUEST_ID_REUSED); FAILED_PRECONDITION (TOO_MANY_NEWS_ITEMS); INVALID_ARGUMENT; NOT_FOUND for a missing campaign.
func (s *Service) CreateNewsItem(ctx context.Context, campaign Name, texts map[string]NewsText, requestID uuid.UUID) (NewsItem, error) {
	if err := checkNews(texts); err != nil {
		return NewsItem{}, err
	}
	textsJSON, err := json.Marshal(texts)
	if err != nil {
		return NewsItem{}, errs.Internal(err)
	}
	// Keys of maps are sorted in JSON, so equal texts have equal fingerprints.
	print := fingerprint.Of(fingerprint.Fields{"texts": string(textsJSON)})
	args := pgx.NamedArgs{
		"collective": campaign.Collective, "campaign": campaign.Campaign, "request_id": requestID,
		"id": uuid.Must(uuid.NewV7()), "fingerprint": print, "texts": textsJSON, "now": s.nowMicros(),
	}
	var item NewsItem
	err = postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		// With the campaign locked one item is added at a time: the count holds, and an equal request is found.
		rows, err := tx.Query(ctx, lockSQL, key(campaign))
		if _, err := one(rows, err, campaign); err != nil {
			return err
		}
		rows, err = tx.Query(ctx, newsByRequestSQL, args)
		if item, err = oneNewsItem(rows, err, ""); errs.Code(err) != codes.NotFound {
			return err
		}
		var count int
		if err := tx.QueryRow(ctx, countNewsSQL, args).Scan(&count); err != nil {
			return postgres.Error(err)
		}
		if count >= maxNews {
			return errs.New(errorsv1.ErrorReason_TOO_MANY_NEWS_ITEMS, "%s has %d news items, the most that it may have.", campaign, maxNews)
		}
		if _, err := tx.Exec(ctx, insertNewsSQL, args); err != nil {
			return postgres.Error(err)
		}
		rows, err = tx.Query(ctx, newsByRequestSQL, args)
		if item, err = oneNewsItem(rows, err, ""); err != nil {
			return err
		}
		return audit.WriteTx(ctx, tx, audit.Change{Collective: campaign.Collective, Resource: item.Name(), After: item.fields()})
	})
	if err != nil {
		return NewsItem{}, err
	}
	if !slices.Equal(item.fingerprint, print) {
		return NewsItem{}, errs.New(errorsv1.ErrorReason_REQUEST_ID_REUSED, "The request id belongs to another news item.")
	}
	return item, nil
}

const (
	lockNewsSQL = `
SELECT` + newsColumns + `
FROM campaigns.news AS n
WHERE n.collective = @collective
	AND n.campaign = @campaign
	AND n.id = @id
FOR UPDATE`

	updateNewsSQL = `
UPDATE campaigns.news
SET
	texts = @texts,
	state = @state,
	published_at = @published_at,
	updated_at = @now,
	version = @version
WHERE id = @id`

	deleteNewsSQL = `
DELETE FROM campaigns.news
WHERE id = @id`
)

// changeNewsItem runs change on the locked item, and writes it if it differs.
func (s *Service) changeNewsItem(ctx context.Context, campaign Name, id uuid.UUID, change func(n *NewsItem, now time.Time) error) (NewsItem, error) {
	var result NewsItem
	err := postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		stored, err := lockNewsTx(ctx, tx, campaign, id)
		if err != nil {
			return err
		}
		now := s.nowMicros()
		result = stored
		if err := change(&result, now); err != nil {
			return err
		}
		if result.State == stored.State && maps.Equal(result.Texts, stored.Texts) {
			result = stored
			return nil
		}
		texts, err := json.Marshal(result.Texts)
		if err != nil {
			return errs.Internal(err)
		}
		result.UpdateTime = now
		result.version++
		if _, err := tx.Exec(ctx, updateNewsSQL, pgx.NamedArgs{
			"id": id, "texts": texts, "state": string(result.State), "published_at": orNull(result.PublishTime),
			"now": now, "version": result.version,
		}); err != nil {
			return postgres.Error(err)
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: campaign.Collective, Resource: result.Name(), Before: stored.fields(), After: result.fields(),
		})
	})
	if err != nil {
		return NewsItem{}, err
	}
	return result, nil
}

// UpdateNewsItem changes the texts. An etag that is not empty must be the stored one's, else it is ABORTED (ETAG_MISMATCH).
// Other errors: INVALID_ARGUMENT, NOT_FOUND.
func (s *Service) UpdateNewsItem(ctx context.Context, campaign Name, id uuid.UUID, etag string, change func(texts map[string]NewsText) (map[string]NewsText, error)) (NewsItem, error) {
	return s.changeNewsItem(ctx, campaign, id, func(n *NewsItem, _ time.Time) (err error) {
		if etag != "" && etag != n.etag() {
			return errNewsEtag(*n)
		}
		if n.Texts, err = change(n.Texts); err != nil {
			return err
		}
		return checkNews(n.Texts)
	})
}

// PublishNewsItem shows a draft or a withdrawn item. An etag that is not empty must be the stored one's, unless the item is
// published. It is idempotent. Errors: ABORTED (ETAG_MISMATCH); NOT_FOUND.
func (s *Service) PublishNewsItem(ctx context.Context, campaign Name, id uuid.UUID, etag string) (NewsItem, error) {
	return s.changeNewsItem(ctx, campaign, id, func(n *NewsItem, now time.Time) error {
		if etag != "" && n.State != NewsPublished && etag != n.etag() {
			return errNewsEtag(*n)
		}
		if n.State == NewsDraft {
			n.PublishTime = now
		}
		n.State = NewsPublished
		return nil
	})
}

// WithdrawNewsItem hides a published item. It is idempotent. Errors: FAILED_PRECONDITION (NEWS_ITEM_NOT_PUBLISHED) for a
// draft; NOT_FOUND.
func (s *Service) WithdrawNewsItem(ctx context.Context, campaign Name, id uuid.UUID) (NewsItem, error) {
	return s.changeNewsItem(ctx, campaign, id, func(n *NewsItem, _ time.Time) error {
		if n.State == NewsDraft {
			return errs.New(errorsv1.ErrorReason_NEWS_ITEM_NOT_PUBLISHED, "%s is a draft.", n.Name())
		}
		n.State = NewsWithdrawn
		return nil
	})
}

// DeleteNewsItem removes an item that is not public. Errors: FAILED_PRECONDITION (NEWS_ITEM_PUBLISHED); ABORTED
// (ETAG_MISMATCH); NOT_FOUND, also when it was deleted before.
func (s *Service) DeleteNewsItem(ctx context.Context, campaign Name, id uuid.UUID, etag string) error {
	return postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		stored, err := lockNewsTx(ctx, tx, campaign, id)
		if err != nil {
			return err
		}
		switch {
		case stored.State == NewsPublished:
			return errs.New(errorsv1.ErrorReason_NEWS_ITEM_PUBLISHED, "%s is published; withdraw it first.", stored.Name())
		case etag != "" && etag != stored.etag():
			return errNewsEtag(stored)
		}
		if _, err := tx.Exec(ctx, deleteNewsSQL, pgx.NamedArgs{"id": id}); err != nil {
			return postgres.Error(err)
		}
		return audit.WriteTx(ctx, tx, audit.Change{Collective: campaign.Collective, Resource: stored.Name(), Before: stored.fields()})
	})
}

// lockNewsTx reads an item and locks its row.
func lockNewsTx(ctx context.Context, tx pgx.Tx, campaign Name, id uuid.UUID) (NewsItem, error) {
	rows, err := tx.Query(ctx, lockNewsSQL, pgx.NamedArgs{"collective": campaign.Collective, "campaign": campaign.Campaign, "id": id})
	return oneNewsItem(rows, err, newsName(campaign, id))
}

func errNewsEtag(n NewsItem) error {
	return errs.New(errorsv1.ErrorReason_ETAG_MISMATCH, "%s was changed since it was read; read it again.", n.Name())
}

// oneNewsItem returns the single row of a query for one item, or NOT_FOUND.
func oneNewsItem(rows pgx.Rows, err error, name string) (NewsItem, error) {
	if err != nil {
		return NewsItem{}, postgres.Error(err)
	}
	n, err := pgx.CollectExactlyOneRow(rows, scanNewsItem)
	if errors.Is(err, pgx.ErrNoRows) {
		return NewsItem{}, errs.NotFound(name)
	}
	return n, postgres.Error(err)
}

// scanNewsItem reads newsColumns.
func scanNewsItem(r pgx.CollectableRow) (NewsItem, error) {
	var (
		n         NewsItem
		texts     []byte
		published *time.Time
	)
	if err := r.Scan(&n.Campaign.Collective, &n.Campaign.Campaign, &n.ID, &texts, &n.State, &published,
		&n.CreateTime, &n.UpdateTime, &n.version, &n.fingerprint); err != nil {
		return NewsItem{}, err
	}
	n.PublishTime, n.CreateTime, n.UpdateTime = fromNull(published), n.CreateTime.UTC(), n.UpdateTime.UTC()
	return n, json.Unmarshal(texts, &n.Texts)
}
