package connect

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// bindPlatformSQL inserts the only row of connect.platform, or fills in an account that was not known. It never
// replaces an account or the mode, so of two programs that start at once with different keys one is refused by
// CheckPlatform.
const bindPlatformSQL = `
INSERT INTO connect.platform AS p (
	stripe_account,
	livemode
)
VALUES (
	@account,
	@livemode
)
ON CONFLICT (sole) DO UPDATE
SET stripe_account = excluded.stripe_account
WHERE p.stripe_account = ''
	AND p.livemode = excluded.livemode`

// platformSQL reads the row; there is none before the first start.
const platformSQL = `
SELECT
	p.stripe_account,
	p.livemode
FROM connect.platform AS p`

// BindPlatform makes the books those of the Stripe account of a key, the first time; later it is
// FAILED_PRECONDITION (OTHER_STRIPE) when the key is of another account or of the other mode: its movements
// would be mixed with what is there. account is empty when it is not known; then only the mode is compared,
// until it is. Doing it twice is safe.
func (s *Service) BindPlatform(ctx context.Context, account string, livemode bool) error {
	if _, err := s.cfg.Pool.Exec(ctx, bindPlatformSQL, pgx.NamedArgs{"account": account, "livemode": livemode}); err != nil {
		return postgres.Error(err)
	}
	return s.CheckPlatform(ctx, account, livemode)
}

// CheckPlatform fails as BindPlatform does, and changes nothing. Books that are not bound yet fit every key.
func (s *Service) CheckPlatform(ctx context.Context, account string, livemode bool) error {
	var boundAccount string
	var boundLivemode bool
	err := s.cfg.Pool.QueryRow(ctx, platformSQL).Scan(&boundAccount, &boundLivemode)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return postgres.Error(err)
	}
	if livemode != boundLivemode {
		return errs.New(errorsv1.ErrorReason_OTHER_STRIPE, "The key is for %s, and the books in this database are of %s.",
			modeName(livemode), modeName(boundLivemode))
	}
	// An account that is not known, because the key may not read its own, fits every other.
	if account != "" && boundAccount != "" && account != boundAccount {
		return errs.New(errorsv1.ErrorReason_OTHER_STRIPE, "The key is of Stripe account %s, and the books in this database are of %s.",
			account, boundAccount)
	}
	return nil
}

// modeName is the mode in words, for errors.
func modeName(livemode bool) string {
	if livemode {
		return "live mode"
	}
	return "test mode"
}

// PlatformAccount returns the account that the books are bound to; empty while it is not known.
func (s *Service) PlatformAccount(ctx context.Context) (account string, err error) {
	var livemode bool
	err = s.cfg.Pool.QueryRow(ctx, platformSQL).Scan(&account, &livemode)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return account, postgres.Error(err)
}
