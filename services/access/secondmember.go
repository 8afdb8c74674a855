package access

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// CheckSecondMemberTx is an error unless the key of one name may agree to what the key of another asked for, and returns
// the members of both. The agreeing key cannot be revoked before the transaction ends.
//
//   - FAILED_PRECONDITION: SECOND_MEMBER_NEEDED, both keys are one member's; KEY_TOO_YOUNG, the key was made after the time
//     at which it was asked, unless that is zero
//   - UNAUTHENTICATED: INVALID_KEY, the agreeing key was revoked meanwhile
func CheckSecondMemberTx(ctx context.Context, tx pgx.Tx, asked, agrees string, since time.Time) (asker, second string, err error) {
	by, err := HoldTx(ctx, tx, agrees)
	if err != nil {
		return "", "", err
	}
	first, err := KeyTx(ctx, tx, asked)
	if err != nil {
		return "", "", err
	}
	switch {
	case by.Member() == first.Member():
		return "", "", errs.New(errorsv1.ErrorReason_SECOND_MEMBER_NEEDED,
			"Another member than the one who asked must decide. Keys of which one made the other are one member's.")
	case !since.IsZero() && by.CreateTime.After(since):
		return "", "", errs.New(errorsv1.ErrorReason_KEY_TOO_YOUNG, "This API key was made after the request. A member whose key is older must approve it.")
	}
	return first.Member(), by.Member(), nil
}

// SameMemberTx reports whether two keys are one member's.
func SameMemberTx(ctx context.Context, tx pgx.Tx, one, other string) (same bool, err error) {
	if one == other {
		return true, nil
	}
	a, err := KeyTx(ctx, tx, one)
	if err != nil {
		return false, err
	}
	b, err := KeyTx(ctx, tx, other)
	return err == nil && a.Member() == b.Member(), err
}
