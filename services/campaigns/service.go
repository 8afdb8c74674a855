package campaigns

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// Config is what a Service needs.
type Config struct {
	// Pool is the database.
	Pool *pgxpool.Pool
	// FeeEstimate is what donors may add to cover the fee; nobody may when zero.
	FeeEstimate FeeEstimate
	// Now tells the time; time.Now when nil.
	Now func() time.Time
}

// Service keeps the campaigns. It is safe for concurrent use.
type Service struct {
	pool *pgxpool.Pool
	fee  FeeEstimate
	now  func() time.Time
}

// New returns a Service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{pool: c.Pool, fee: c.FeeEstimate, now: c.Now}
}

// FeeEstimate is what a donor who covers the fee adds, by estimate.
func (s *Service) FeeEstimate() FeeEstimate { return s.fee }

// Create makes a draft. When the campaign exists with the same content, in whatever
// state, the existing one is returned; with other content it is ALREADY_EXISTS
// (CAMPAIGN_EXISTS). Bad content is INVALID_ARGUMENT by field, a missing collective
// NOT_FOUND.
func (s *Service) Create(ctx context.Context, name Name, content Content) (Campaign, error) {
	if !slugPattern.MatchString(name.Campaign) {
		return Campaign{}, errs.Invalid("campaign_id", "must be 3 to 40 lower-case letters, digits and dashes, beginning with a letter")
	}
	content.nameStages(nil)
	if err := content.normalise(); err != nil {
		return Campaign{}, err
	}
	inserted, err := s.insert(ctx, name, content, s.nowMicros())
	if err != nil {
		return Campaign{}, err
	}
	c, err := s.Get(ctx, name)
	if err != nil {
		return Campaign{}, err
	}
	if !inserted && !c.equal(content) {
		return Campaign{}, errs.New(errorsv1.ErrorReason_CAMPAIGN_EXISTS, "%s exists with other content.", name)
	}
	return c, nil
}

// Update changes the content of a campaign in one transaction: change gets the
// stored content, and what it leaves is checked and written. A change that changes
// nothing writes nothing. An etag that is not empty must be the stored one's, else
// it is ABORTED (ETAG_MISMATCH). FAILED_PRECONDITION: CAMPAIGN_CLOSED, and
// CURRENCY_FIXED once published. A missing campaign is NOT_FOUND.
func (s *Service) Update(ctx context.Context, name Name, etag string, change func(*Content) error) (Campaign, error) {
	return s.update(ctx, name, func(c *Campaign, now time.Time) error {
		if c.State == StateClosed {
			return errClosed(name)
		}
		if etag != "" && etag != c.etag() {
			return errs.New(errorsv1.ErrorReason_ETAG_MISMATCH, "%s was changed by somebody else; read it again.", name)
		}
		before := c.Content
		if err := change(&c.Content); err != nil {
			return err
		}
		c.nameStages(before.Stages)
		if err := c.normalise(); err != nil {
			return err
		}
		if c.State == StateDraft {
			return nil
		}
		if c.Currency != before.Currency {
			return errs.New(errorsv1.ErrorReason_CURRENCY_FIXED, "%s was published in %s; its currency cannot change any more.", name, before.Currency)
		}
		// Who wants to stop donations pauses or closes. A deadline that has passed on its own
		// does not stand in the way of other changes.
		if !c.Deadline.Equal(before.Deadline) && c.deadlinePassed(now) {
			return errs.Invalid("campaign.deadline", "must be in the future, or absent")
		}
		return nil
	})
}

// Publish opens a draft to the public and to donations. Safe to send twice, like all
// verbs; doc.go lists their errors. A missing campaign is NOT_FOUND.
func (s *Service) Publish(ctx context.Context, name Name) (Campaign, error) {
	return s.update(ctx, name, publish)
}

// Pause stops new donations for a while.
func (s *Service) Pause(ctx context.Context, name Name) (Campaign, error) {
	return s.update(ctx, name, pause)
}

// Resume opens a paused campaign again.
func (s *Service) Resume(ctx context.Context, name Name) (Campaign, error) {
	return s.update(ctx, name, resume)
}

// Close ends a campaign for ever.
func (s *Service) Close(ctx context.Context, name Name) (Campaign, error) {
	return s.update(ctx, name, closeForEver)
}

// nowMicros is the time as Postgres keeps it, so that what is answered after a write
// is what is read later.
func (s *Service) nowMicros() time.Time { return s.now().UTC().Truncate(time.Microsecond) }
