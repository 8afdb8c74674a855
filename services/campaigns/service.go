package campaigns

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// Config is what a Service needs. Fields without a default are required.
type Config struct {
	// Pool is the database.
	Pool *pgxpool.Pool
	// FeeEstimate is what donors may add to cover the fee. When zero, no donor may.
	FeeEstimate FeeEstimate
	// TakingDonations returns those of the collectives whose Stripe account takes payments. It is asked before a campaign is
	// published, and for accepting_cards, once for a list; when nil, all accounts do.
	TakingDonations func(ctx context.Context, collectives []string) (map[string]bool, error)
	// CardsPaused returns for which of the campaigns no payment page is opened for a while; when nil, for none.
	CardsPaused func(ctx context.Context, campaigns []Name) (map[Name]bool, error)
	// SecretKey keys the hashes of networks, which limit how many refused origins one adds.
	SecretKey []byte
	// Logger gets what callers are not told; slog.Default when nil.
	Logger *slog.Logger
	// Now tells the time; time.Now when nil.
	Now func() time.Time
}

// Service owns the campaigns. It is safe for concurrent use.
type Service struct {
	pool *pgxpool.Pool
	fee  FeeEstimate
	now  func() time.Time

	takingDonations func(ctx context.Context, collectives []string) (map[string]bool, error)
	cardsPaused     func(ctx context.Context, campaigns []Name) (map[Name]bool, error)
	logger          *slog.Logger
	secretKey       []byte
	refused         refusals
}

// New returns a Service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return &Service{pool: c.Pool, fee: c.FeeEstimate, now: c.Now, takingDonations: c.TakingDonations, cardsPaused: c.CardsPaused, logger: c.Logger, secretKey: c.SecretKey}
}

// FeeEstimate returns the estimate by which donors cover the fee.
func (s *Service) FeeEstimate() FeeEstimate { return s.fee }

// Create creates a draft. It is idempotent: a campaign that exists with the same content is returned, whatever its state.
// Errors: ALREADY_EXISTS (CAMPAIGN_EXISTS) when it has other content; INVALID_ARGUMENT with all wrong fields; NOT_FOUND
// for a missing collective.
func (s *Service) Create(ctx context.Context, name Name, content Content) (Campaign, error) {
	if err := checkSlug(name.Campaign); err != nil {
		return Campaign{}, err
	}
	content.nameStages(nil, nil)
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

// Update changes the content of a campaign in one transaction, with its row locked: change edits the stored content, which
// is then checked and written. Nothing is written when nothing differs. Errors: ABORTED (ETAG_MISMATCH) when etag is
// neither empty nor the stored one; FAILED_PRECONDITION: CAMPAIGN_CLOSED for anything but [Shown], and CURRENCY_FIXED once published;
// INVALID_ARGUMENT with all wrong fields; NOT_FOUND.
func (s *Service) Update(ctx context.Context, name Name, etag string, change func(*Content) error) (Campaign, error) {
	spent, err := s.spentStages(ctx, name)
	if err != nil {
		return Campaign{}, err
	}
	return s.update(ctx, name, func(c *Campaign, now time.Time) error {
		stale := etag != "" && etag != c.etag()
		if stale && c.State != StateClosed {
			return errEtag(name)
		}
		before := c.Content
		if err := change(&c.Content); err != nil {
			return err
		}
		switch {
		case c.State == StateClosed && !c.equalButShown(before):
			return errClosed(name)
		case stale:
			return errEtag(name)
		case c.State == StateClosed:
			return nil
		}
		c.nameStages(before.Stages, spent)
		if err := c.normalise(); err != nil {
			return err
		}
		if c.State == StateDraft {
			return nil
		}
		if c.Currency != before.Currency {
			return errs.New(errorsv1.ErrorReason_CURRENCY_FIXED, "%s was published in %s; its currency is fixed.", name, before.Currency)
		}
		// Donations are stopped by pausing or closing, not by a deadline in the past. A stored deadline that has passed
		// allows other changes.
		if !c.Deadline.Equal(before.Deadline) && c.deadlinePassed(now) {
			return errs.Invalid("campaign.deadline", "must be in the future, or absent")
		}
		return nil
	})
}

// Publish opens a draft to the public and to donations. An etag that is not empty must be the draft's, so that nothing is
// published that was not looked at. It is idempotent, like all verbs. Errors: ABORTED (ETAG_MISMATCH), NOT_FOUND, and those
// of the package's table.
func (s *Service) Publish(ctx context.Context, name Name, etag string) (Campaign, error) {
	r, err := s.readiness(ctx, name.Collective)
	if err != nil {
		return Campaign{}, err
	}
	return s.update(ctx, name, func(c *Campaign, now time.Time) error {
		draft := c.State == StateDraft
		// Publishing changed the etag, so a repeat has the one from before.
		if draft && etag != "" && etag != c.etag() {
			return errEtag(name)
		}
		if err := publish(c, now); err != nil {
			return err
		}
		// A campaign that was published stays so, whatever becomes of the account.
		if draft && !r.payable() {
			return errNoWayToPay(name)
		}
		return nil
	})
}

// Pause stops new donations until Resume. Errors as of [Service.Publish].
func (s *Service) Pause(ctx context.Context, name Name) (Campaign, error) {
	return s.update(ctx, name, pause)
}

// Resume opens a paused campaign to donations again. Errors as of [Service.Publish].
func (s *Service) Resume(ctx context.Context, name Name) (Campaign, error) {
	r, err := s.readiness(ctx, name.Collective)
	if err != nil {
		return Campaign{}, err
	}
	return s.update(ctx, name, func(c *Campaign, now time.Time) error {
		paused := c.State == StatePaused
		if err := resume(c, now); err != nil {
			return err
		}
		if paused && !r.payable() {
			return errNoWayToPay(name)
		}
		return nil
	})
}

// Close ends a campaign. A closed campaign cannot be opened again. Errors as of [Service.Publish].
func (s *Service) Close(ctx context.Context, name Name) (Campaign, error) {
	return s.update(ctx, name, closeCampaign)
}

// nowMicros is the time at Postgres' precision, so that a write answers what is read later.
func (s *Service) nowMicros() time.Time { return s.now().UTC().Truncate(time.Microsecond) }
