package collectives

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

const maxSuspendReasonChars = 1000

// Suspend suspends a collective: it takes no donation and no pledge, and its monthly donations are not charged, until
// [Service.Resume]. Packages campaigns and donations read the suspension and do what it says; see there. A suspended
// collective keeps its first reason. Errors: NOT_FOUND; INVALID_ARGUMENT for a reason that is empty or too long.
func (s *Service) Suspend(ctx context.Context, id, reason string) (Collective, error) {
	reason = strings.TrimSpace(reason)
	if reason == "" || utf8.RuneCountInString(reason) > maxSuspendReasonChars {
		return Collective{}, errs.Invalid("reason", "must have 1 to %d characters", maxSuspendReasonChars)
	}
	return s.update(ctx, id, func(stored Collective) (Collective, error) {
		if !stored.SuspendTime.IsZero() {
			return stored, nil
		}
		stored.SuspendTime, stored.SuspendReason = s.nowMicros(), reason
		return stored, nil
	})
}

// Resume ends a suspension. A collective that is not suspended stays as it is. Errors: NOT_FOUND.
func (s *Service) Resume(ctx context.Context, id string) (Collective, error) {
	return s.update(ctx, id, func(stored Collective) (Collective, error) {
		stored.SuspendTime, stored.SuspendReason = time.Time{}, ""
		return stored, nil
	})
}

// Suspended is the FAILED_PRECONDITION (COLLECTIVE_SUSPENDED) of a collective that the operator suspended.
func Suspended(id string) error {
	return errs.New(errorsv1.ErrorReason_COLLECTIVE_SUSPENDED, "%s is suspended and takes no donations.", namePrefix+id)
}
