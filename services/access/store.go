package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// tokenRow is a key with the hash of its secret, and what its person may do.
type tokenRow struct {
	key  Key
	hash [sha256.Size]byte
	// personRole is the person's role in the key's collective, or that of an operator; empty when there is none.
	personRole Role
	language   string
}

// works reports whether the key opens anything: a person's does only while the person has a role that covers it.
func (r tokenRow) works(now time.Time) bool {
	k := r.key
	if !k.RevokeTime.IsZero() || k.Pending || !k.EndTime.IsZero() && !now.Before(k.EndTime) {
		return false
	}
	return k.Person == uuid.Nil || r.personRole == RoleOperator || r.personRole.covers(k.Role)
}

// keyColumns is what scanKey reads first.
const keyColumns = `
	k.collective,
	k.id,
	k.display_name,
	k.role,
	k.created_at,
	k.last_used_at,
	k.revoked_at,
	k.ends_at,
	k.pending,
	k.maker,
	k.member,
	k.person,
	(SELECT p.display_name FROM access.members AS p WHERE p.id = k.person)`

// keyScope, membershipScope and invitationScope are the collective of a row in a condition; ” for the instance. The indexes
// of 00044 have the same text. It is CASE, since under row-level security a condition with coalesce is none of an index.
const (
	keyScope        = `CASE WHEN k.collective IS NULL THEN '' ELSE k.collective END`
	membershipScope = `CASE WHEN m.collective IS NULL THEN '' ELSE m.collective END`
	invitationScope = `CASE WHEN i.collective IS NULL THEN '' ELSE i.collective END`
)

const findTokenSQL = `
SELECT` + keyColumns + `,
	k.secret_hash,
	coalesce((SELECT p.language FROM access.members AS p WHERE p.id = k.person), ''),
	coalesce((
		SELECT m.role
		FROM access.memberships AS m
		WHERE m.member = k.person
			AND ` + membershipScope + ` IN (` + keyScope + `, '')
			AND m.ended_at IS NULL
		ORDER BY m.collective IS NOT NULL
		LIMIT 1
	), '')
FROM access.api_keys AS k
WHERE k.token = @token`

// findToken returns the key with this token. When there is none, found is false and the row is empty.
func (s *Service) findToken(ctx context.Context, token string) (row tokenRow, found bool, err error) {
	rows, err := s.cfg.Pool.Query(ctx, findTokenSQL, pgx.NamedArgs{"token": token})
	if err != nil {
		return tokenRow{}, false, postgres.Error(err)
	}
	row, err = pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) (tokenRow, error) {
		var hash []byte
		var found tokenRow
		var err error
		found.key, err = scanKey(r, &hash, &found.language, &found.personRole)
		copy(found.hash[:], hash)
		return found, err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return tokenRow{}, false, nil
	}
	return row, err == nil, postgres.Error(err)
}

// touchTimeout bounds what a slow database can cost a call for this.
const touchTimeout = time.Second

// touch writes the time of last use, which helps people to find unused keys. Its failure is ignored: without a database
// the call itself fails.
func (s *Service) touch(ctx context.Context, sql, token string, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, touchTimeout)
	defer cancel()
	_, _ = s.cfg.Pool.Exec(ctx, sql, pgx.NamedArgs{
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
	created_at,
	ends_at,
	pending,
	maker,
	member,
	person
)
VALUES (
	@token,
	@secret_hash,
	nullif(@collective, ''),
	@id,
	@display_name,
	@role,
	@created_at,
	@ends_at,
	@pending,
	@maker,
	@member,
	@person
)`

func insertTx(ctx context.Context, tx pgx.Tx, k Key, token string, hash [sha256.Size]byte) error {
	_, err := tx.Exec(ctx, insertKeySQL, pgx.NamedArgs{
		"token":        token,
		"secret_hash":  hash[:],
		"collective":   k.Collective,
		"id":           k.ID,
		"display_name": k.DisplayName,
		"role":         string(k.Role),
		"created_at":   k.CreateTime,
		"ends_at":      orNull(k.EndTime),
		"pending":      k.Pending,
		"maker":        k.Maker,
		"member":       k.Root,
		"person":       uuid.NullUUID{UUID: k.Person, Valid: k.Person != uuid.Nil},
	})
	return postgres.ErrorFor(err, map[string]*errs.Error{
		"api_keys_name_key":        errs.New(errorsv1.ErrorReason_API_KEY_EXISTS, "%s exists; its secret is not shown again.", k.Name()),
		"api_keys_collective_fkey": errs.NotFound("collectives/" + k.Collective),
	})
}

const setPendingSQL = `
UPDATE access.api_keys AS k
SET pending = @pending
WHERE ` + keyScope + ` = @collective
	AND k.id = @id`

func setPendingTx(ctx context.Context, tx pgx.Tx, k Key) error {
	_, err := tx.Exec(ctx, setPendingSQL, pgx.NamedArgs{"collective": k.Collective, "id": k.ID, "pending": k.Pending})
	return postgres.Error(err)
}

// ApproveKeyTx makes a key work that waited for a second member. FAILED_PRECONDITION (CHANGE_OUTDATED) when it was revoked or
// has ended meanwhile; NOT_FOUND when there is no key with this resource name.
func (s *Service) ApproveKeyTx(ctx context.Context, tx pgx.Tx, name string) error {
	k, err := keyTx(ctx, tx, lockKeySQL, name)
	if err != nil {
		return err
	}
	if !k.Pending || !k.RevokeTime.IsZero() || !k.EndTime.IsZero() && !s.now().Before(k.EndTime) {
		return outdated()
	}
	k.Pending = false
	return setPendingTx(ctx, tx, k)
}

// DropKeyTx revokes a key that waits and that a second member did not agree to. Any other stays as it is.
func (s *Service) DropKeyTx(ctx context.Context, tx pgx.Tx, name string) error {
	k, err := keyTx(ctx, tx, lockKeySQL, name)
	if err != nil || !k.Pending {
		return err
	}
	_, _, err = revokeTx(ctx, tx, k.Collective, k.ID, s.nowMicros())
	return err
}

const lockKeySQL = keyByNameSQL + `
FOR NO KEY UPDATE OF k`

const keyByNameSQL = `
SELECT` + keyColumns + `
FROM access.api_keys AS k
WHERE ` + keyScope + ` = @collective
	AND k.id = @id`

// get returns the key with this resource name, working or revoked; NOT_FOUND when there is none.
func (s *Service) get(ctx context.Context, name string) (k Key, err error) {
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		k, err = KeyTx(ctx, tx, name)
		return err
	})
	return k, err
}

// KeyTx returns the key with this resource name, working or revoked; NOT_FOUND when there is none.
func KeyTx(ctx context.Context, tx pgx.Tx, name string) (Key, error) {
	return keyTx(ctx, tx, keyByNameSQL, name)
}

// holdSQL makes a revocation wait. Writing the last use does not wait: it skips locked rows.
const holdSQL = keyByNameSQL + `
FOR SHARE OF k`

// holdKeyTx returns the key with this resource name and locks it until the transaction ends, so that nobody revokes it
// before.
//
// Errors: UNAUTHENTICATED (INVALID_KEY) when the key was revoked since the call began; NOT_FOUND when there is none.
func holdKeyTx(ctx context.Context, tx pgx.Tx, name string) (Key, error) {
	k, err := keyTx(ctx, tx, holdSQL, name)
	if err == nil && !k.RevokeTime.IsZero() {
		err = invalidKey()
	}
	return k, err
}

func keyTx(ctx context.Context, tx pgx.Tx, sql, name string) (Key, error) {
	collective, id, ok := parseKeyName(name)
	if !ok {
		return Key{}, errs.NotFound(name)
	}
	rows, err := tx.Query(ctx, sql, pgx.NamedArgs{"collective": collective, "id": id})
	if err != nil {
		return Key{}, postgres.Error(err)
	}
	k, err := pgx.CollectExactlyOneRow(rows, rowToKey)
	if errors.Is(err, pgx.ErrNoRows) {
		return Key{}, errs.NotFound(name)
	}
	return k, postgres.Error(err)
}

const lockRevocationsSQL = `
SELECT pg_advisory_xact_lock(hashtextextended('cagnotte access revoke ' || @collective::text, 0))`

// lockRevocationsTx makes the revocations of one collective wait for each other. Otherwise two keys that revoke each other
// would deadlock on their rows.
func lockRevocationsTx(ctx context.Context, tx pgx.Tx, collective string) error {
	_, err := tx.Exec(ctx, lockRevocationsSQL, pgx.NamedArgs{"collective": collective})
	return postgres.Error(err)
}

const revokeSQL = `
UPDATE access.api_keys AS k
SET revoked_at = @now
WHERE ` + keyScope + ` = @collective
	AND k.id = @id
	AND k.revoked_at IS NULL
RETURNING` + keyColumns

// revokeTx reports false for a key that was revoked before, whose time stays.
func revokeTx(ctx context.Context, tx pgx.Tx, collective, id string, now time.Time) (k Key, revoked bool, err error) {
	rows, err := tx.Query(ctx, revokeSQL, pgx.NamedArgs{"collective": collective, "id": id, "now": now})
	if err != nil {
		return Key{}, false, postgres.Error(err)
	}
	k, err = pgx.CollectExactlyOneRow(rows, rowToKey)
	if errors.Is(err, pgx.ErrNoRows) {
		k, err = KeyTx(ctx, tx, keyName(collective, id))
		return k, false, err
	}
	return k, err == nil, postgres.Error(err)
}

// otherMembersSQL counts persons by their memberships, and keys of no person by their chains.
const otherMembersSQL = `
SELECT EXISTS (
	SELECT
	FROM access.api_keys AS k
	WHERE ` + keyScope + ` = @collective
		AND coalesce(nullif(k.member, ''), k.id) <> @root
		AND k.role = ANY(@roles::text[])
		AND k.person IS NULL
		AND k.revoked_at IS NULL
		AND NOT k.pending
		AND coalesce(k.ends_at, 'infinity') > now()
) OR EXISTS (
	SELECT
	FROM access.memberships AS m
	WHERE ` + membershipScope + ` = @collective
		AND m.member IS DISTINCT FROM @person
		AND m.role = ANY(@roles::text[])
		AND m.ended_at IS NULL
)`

// OtherMemberTx reports whether another member than this one has one of the roles, in the collective or, when that is empty,
// in the instance. The member is [Principal]'s Member.
func OtherMemberTx(ctx context.Context, tx pgx.Tx, collective, member string, roles ...Role) (other bool, err error) {
	named := pgx.NamedArgs{"collective": collective, "root": "", "person": nil, "roles": roles}
	if of, id, ok := parseKeyName(member); ok && of == collective {
		named["root"] = id
	}
	if id, ok := parseMemberName(member); ok {
		named["person"] = id
	}
	err = tx.QueryRow(ctx, otherMembersSQL, named).Scan(&other)
	return other, postgres.Error(err)
}

const listKeysSQL = `
SELECT` + keyColumns + `
FROM access.api_keys AS k
WHERE ` + keyScope + ` = @collective
	AND (k.created_at, k.id) < (@before_time, @before_id)
	AND (@own = '' OR k.person = @person)
ORDER BY
	k.created_at DESC,
	k.id DESC
LIMIT @count`

// position is a key's place in a list.
type position struct {
	CreateTime time.Time
	ID         string
}

// newest is before every key.
var newest = position{CreateTime: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}

// list returns up to count keys, newest first: all, or those of the member with the name own.
func (s *Service) list(ctx context.Context, collective, own string, before position, count int) ([]Key, error) {
	person, _ := parseMemberName(own)
	rows, err := s.cfg.Pool.Query(ctx, listKeysSQL, pgx.NamedArgs{
		"collective":  collective,
		"before_time": before.CreateTime,
		"before_id":   before.ID,
		"own":         own,
		"person":      person,
		"count":       count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	keys, err := pgx.CollectRows(rows, rowToKey)
	return keys, postgres.Error(err)
}

func rowToKey(r pgx.CollectableRow) (Key, error) { return scanKey(r) }

// scanKey reads keyColumns, then the rest.
func scanKey(r pgx.CollectableRow, rest ...any) (Key, error) {
	var (
		k                 Key
		collective        *string
		lastUsed, revoked *time.Time
		ends              *time.Time
		person            uuid.NullUUID
		personName        *string
	)
	columns := []any{
		&collective, &k.ID, &k.DisplayName, &k.Role, &k.CreateTime, &lastUsed, &revoked, &ends, &k.Pending, &k.Maker, &k.Root,
		&person, &personName,
	}
	if err := r.Scan(append(columns, rest...)...); err != nil {
		return Key{}, err
	}
	if collective != nil {
		k.Collective = *collective
	}
	k.LastUseTime, k.RevokeTime, k.EndTime = orZero(lastUsed), orZero(revoked), orZero(ends)
	k.Person = person.UUID
	if personName != nil {
		k.PersonName = *personName
	}
	return k, nil
}

// orNull writes the zero time as NULL.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// orZero reads NULL as the zero time.
func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
