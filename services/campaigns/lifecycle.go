package campaigns

import (
	"time"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// A verb changes a campaign's state, or nothing when the campaign has that state already. doc.go has the table, with the
// errors.
type verb func(c *Campaign, now time.Time) error

// publish opens a draft. A paused campaign is not a draft, and resume is its verb. After its deadline it would accept
// nothing, so the deadline must be moved first.
func publish(c *Campaign, now time.Time) error {
	switch {
	case c.State == StatePublished:
		return nil
	case c.State == StateClosed:
		return errClosed(c.Name)
	case c.State == StatePaused:
		return errs.New(errorsv1.ErrorReason_CAMPAIGN_NOT_DRAFT, "%s is paused, not a draft; resume it.", c.Name)
	case c.deadlinePassed(now):
		return errDeadline(c.Name)
	}
	// Only here: a published campaign does not become a draft again, so the time is written once.
	c.State, c.PublishTime = StatePublished, now
	return nil
}

// pause stops new donations. It does not end monthly donations, as the end of a campaign does.
func pause(c *Campaign, _ time.Time) error {
	switch c.State {
	case StatePaused:
		return nil
	case StateClosed:
		return errClosed(c.Name)
	case StateDraft:
		return errDraft(c.Name)
	}
	c.State = StatePaused
	return nil
}

// resume opens a paused campaign. PublishTime stays that of the first publication.
func resume(c *Campaign, now time.Time) error {
	switch {
	case c.State == StatePublished:
		return nil
	case c.State == StateClosed:
		return errClosed(c.Name)
	case c.State == StateDraft:
		return errDraft(c.Name)
	case c.deadlinePassed(now):
		return errDeadline(c.Name)
	}
	c.State = StatePublished
	return nil
}

// closeCampaign ends a campaign for good, whether it is published or paused. A draft was never public, so there is
// nothing to close.
func closeCampaign(c *Campaign, now time.Time) error {
	switch c.State {
	case StateClosed:
		return nil
	case StateDraft:
		return errDraft(c.Name)
	}
	c.State, c.CloseTime = StateClosed, now
	return nil
}

func errClosed(n Name) error {
	return errs.New(errorsv1.ErrorReason_CAMPAIGN_CLOSED, "%s is closed and cannot be changed.", n)
}

func errDraft(n Name) error {
	return errs.New(errorsv1.ErrorReason_CAMPAIGN_NOT_PUBLISHED, "%s is a draft; publish it first.", n)
}

func errNoWayToPay(n Name) error {
	return errs.New(errorsv1.ErrorReason_NO_WAY_TO_PAY, "Nobody could pay for %s: its collective has no Stripe account that takes payments, and no other way.", n)
}

func errDeadline(n Name) error {
	return errs.New(errorsv1.ErrorReason_DEADLINE_PASSED, "The deadline of %s has passed; move it first.", n)
}
