package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// tokenRow is a key with the hash of its secret.
type tokenRow struct {
	key  Key
	hash [sha256.Size]byte
}

const findTokenSQL = `
SELECT
	k.collective,
	k.id,
	k.display_name,
	k.role,
	k.created_at,
	k.last_used_at,
	k.revoked_at,
	k.secret_hash
FROM access.api_keys AS k
WHERE k.token = @token`

// findToken reads the key of a token. When there is none, found is false and the row
// is empty: its hash is the hash of nothing.
func (s *Service) findToken(ctx context.Context, token string) (row tokenRow, found bool, err error) {
	rows, err := s.pool.Query(ctx, findTokenSQL, pgx.NamedArgs{"token": token})
	if err != nil {
		return tokenRow{}, false, postgres.Error(err)
	}
	row, err = pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) (tokenRow, error) {
		var hash []byte
		key, err := scanKey(r, &hash)
		if err != nil {
			return tokenRow{}, err
		}
		found := tokenRow{key: key}
		copy(found.hash[:], hash)
		return found, nil
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return tokenRow{}, false, nil
	}
	return row, err == nil, postgres.Error(err)
}

// touchSQL skips a row that another call holds: that one is writing the same minute.
const touchSQL = `
UPDATE access.api_keys
SET last_used_at = @now
WHERE token = (
	SELECT k.token
	FROM access.api_keys AS k
	WHERE k.token = @token
		AND (k.last_used_at IS NULL OR k.last_used_at <= @before)
	FOR NO KEY UPDATE SKIP LOCKED
)`

// touchTimeout bounds what a slow database can cost a call for this.
const touchTimeout = time.Second

// touch notes that the key was used. The time of last use is a help for people who
// tidy up keys, so its failure is nobody's failure: were the database away, the
// call itself would say so.
func (s *Service) touch(ctx context.Context, token string, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, touchTimeout)
	defer cancel()
	_, _ = s.pool.Exec(ctx, touchSQL, pgx.NamedArgs{
		"token":  token,
		"now":    now,
		"before": now.Add(-useInterval),
	})
}

const insertKeySQL = `
INSERT INTO access.api_keys (
	token,
	secret_hash,
	collective,
	id,
	display_name,
	role,
	created_at
)
VALUES (
	@token,
	@secret_hash,
	NULLIF(@collective, ''),
	@id,
	@display_name,
	@role,
	@created_at
)`

func (s *Service) insert(ctx context.Context, k Key, token string, hash [sha256.Size]byte) error {
	_, err := s.pool.Exec(ctx, insertKeySQL, pgx.NamedArgs{
		"token":        token,
		"secret_hash":  hash[:],
		"collective":   k.Collective,
		"id":           k.ID,
		"display_name": k.DisplayName,
		"role":         string(k.Role),
		"created_at":   k.CreateTime,
	})
	return postgres.ErrorFor(err, map[string]*errs.Error{
		"api_keys_name_key":        errs.Exists("API_KEY_EXISTS", "%s exists; its secret is not shown again.", k.Name()),
		"api_keys_collective_fkey": errs.NotFound("collectives/" + k.Collective),
	})
}

// revokeSQL keeps the time of the first revocation.
const revokeSQL = `
UPDATE access.api_keys AS k
SET revoked_at = COALESCE(k.revoked_at, @now)
WHERE COALESCE(k.collective, '') = @collective
	AND k.id = @id
RETURNING
	k.collective,
	k.id,
	k.display_name,
	k.role,
	k.created_at,
	k.last_used_at,
	k.revoked_at`

func (s *Service) revoke(ctx context.Context, collective, id string, now time.Time) (Key, error) {
	rows, err := s.pool.Query(ctx, revokeSQL, pgx.NamedArgs{"collective": collective, "id": id, "now": now})
	if err != nil {
		return Key{}, postgres.Error(err)
	}
	k, err := pgx.CollectExactlyOneRow(rows, rowToKey)
	if errors.Is(err, pgx.ErrNoRows) {
		return Key{}, errs.NotFound(keyName(collective, id))
	}
	return k, postgres.Error(err)
}

// listKeysSQL is a keyset page; without a key the page starts at infinity.
const listKeysSQL = `
SELECT
	k.collective,
	k.id,
	k.display_name,
	k.role,
	k.created_at,
	k.last_used_at,
	k.revoked_at
FROM access.api_keys AS k
WHERE COALESCE(k.collective, '') = @collective
	AND (k.created_at, k.id) < (COALESCE(@before_time::timestamptz, 'infinity'), @before_id)
ORDER BY
	k.created_at DESC,
	k.id DESC
LIMIT @count`

// position is where a page continues: after the key created then, of this id.
type position struct {
	createTime *time.Time
	id         string
}

// list returns up to count keys, newest first.
func (s *Service) list(ctx context.Context, collective string, after position, count int) ([]Key, error) {
	rows, err := s.pool.Query(ctx, listKeysSQL, pgx.NamedArgs{
		"collective":  collective,
		"before_time": after.createTime,
		"before_id":   after.id,
		"count":       count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	keys, err := pgx.CollectRows(rows, rowToKey)
	return keys, postgres.Error(err)
}

func rowToKey(r pgx.CollectableRow) (Key, error) { return scanKey(r) }

// scanKey reads the columns that all statements here begin with, then the rest.
func scanKey(r pgx.CollectableRow, rest ...any) (Key, error) {
	var (
		k                 Key
		collective        *string
		lastUsed, revoked *time.Time
	)
	columns := []any{&collective, &k.ID, &k.DisplayName, &k.Role, &k.CreateTime, &lastUsed, &revoked}
	if err := r.Scan(append(columns, rest...)...); err != nil {
		return Key{}, err
	}
	if collective != nil {
		k.Collective = *collective
	}
	if lastUsed != nil {
		k.LastUseTime = *lastUsed
	}
	if revoked != nil {
		k.RevokeTime = *revoked
	}
	return k, nil
}
