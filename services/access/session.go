package access

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const (
	// sessionIdle ends a session that is not used, and sessionLife any.
	sessionIdle = 14 * 24 * time.Hour
	sessionLife = 90 * 24 * time.Hour
	// sessionsKept is how long the row of an ended session stays, and that of a change of address, whose mails may be late.
	sessionsKept = 7 * 24 * time.Hour
)

// Session is a sign-in of a member on one device.
type Session struct {
	// ID is the last segment of its name, and the part of its token that finds it.
	ID     string
	Member uuid.UUID
	// Device is the browser and system in words; empty when unknown.
	Device     string
	CreateTime time.Time
	// ProveTime is when the member proved to be there.
	ProveTime time.Time
	// LastUseTime is exact to the minute.
	LastUseTime time.Time
	// EndTime is when it ends, however often it is used.
	EndTime time.Time
}

// Name returns the session's resource name.
func (s Session) Name() string { return memberName(s.Member) + "/sessions/" + s.ID }

// ExpireTime is when it ends if it is not used again.
func (s Session) ExpireTime() time.Time {
	if idle := s.LastUseTime.Add(sessionIdle); idle.Before(s.EndTime) {
		return idle
	}
	return s.EndTime
}

const insertSessionSQL = `
INSERT INTO access.sessions (
	token,
	secret_hash,
	member,
	device,
	created_at,
	proved_at,
	last_used_at,
	ends_at
)
VALUES (
	@token,
	@secret_hash,
	@member,
	@device,
	@now,
	@now,
	@now,
	@ends_at
)`

// newSessionTx makes a session and returns it with its token. The session that the call came with ends: a browser has one,
// and whoever planted that one has nothing of the new one.
func (s *Service) newSessionTx(ctx context.Context, tx pgx.Tx, member uuid.UUID, userAgent string) (Session, string, error) {
	now := s.nowMicros()
	if _, old, ok := parseSessionName(PrincipalFrom(ctx).Session); ok {
		if _, err := endSessionsTx(ctx, tx, PrincipalFrom(ctx).memberID(), old, now); err != nil {
			return Session{}, "", err
		}
	}
	token, secret := randomID(), randomSecret()
	hash := hashSecret(secret)
	made := Session{
		ID: token, Member: member, Device: device(userAgent), CreateTime: now, ProveTime: now, LastUseTime: now, EndTime: now.Add(sessionLife),
	}
	_, err := tx.Exec(ctx, insertSessionSQL, pgx.NamedArgs{
		"token": token, "secret_hash": hash[:], "member": member, "device": made.Device, "now": now, "ends_at": made.EndTime,
	})
	return made, sessionPrefix + token + "_" + secret, postgres.Error(err)
}

const findSessionSQL = `
SELECT
	s.token,
	s.member,
	s.device,
	s.created_at,
	s.proved_at,
	s.last_used_at,
	s.ends_at,
	s.revoked_at,
	s.secret_hash,
	m.display_name,
	m.language,
	ARRAY(SELECT coalesce(g.collective, '') FROM access.memberships AS g
		WHERE g.member = s.member AND g.ended_at IS NULL ORDER BY g.id),
	ARRAY(SELECT g.role FROM access.memberships AS g
		WHERE g.member = s.member AND g.ended_at IS NULL ORDER BY g.id)
FROM access.sessions AS s
JOIN access.members AS m ON m.id = s.member
WHERE s.token = @token`

// authenticateSession is [Service.Authenticate] for the token of a session.
func (s *Service) authenticateSession(ctx context.Context, token, secret string) (Principal, error) {
	var (
		found              Session
		revoked            *time.Time
		hash               []byte
		name, language     string
		collectives, roles []string
	)
	err := s.cfg.Pool.QueryRow(ctx, findSessionSQL, pgx.NamedArgs{"token": token}).Scan(
		&found.ID, &found.Member, &found.Device, &found.CreateTime, &found.ProveTime, &found.LastUseTime, &found.EndTime,
		&revoked, &hash, &name, &language, &collectives, &roles)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return Principal{}, postgres.Error(err)
	}
	var stored [32]byte
	copy(stored[:], hash)
	now := s.now()
	// An unknown session is compared too, so that the answer takes the same time.
	if matches := secretMatches(secret, stored); err != nil || !matches || revoked != nil || !now.Before(found.ExpireTime()) {
		return Principal{}, invalidKey()
	}
	if now.Sub(found.LastUseTime) >= useInterval {
		s.touch(ctx, touchSessionSQL, token, now)
	}
	p := Principal{
		Name: memberName(found.Member), Member: memberName(found.Member), Session: found.Name(), DisplayName: name,
		Language: language, ProveTime: found.ProveTime, Fresh: now.Sub(found.ProveTime) <= FreshFor,
	}
	for i := range collectives {
		p.Grants = append(p.Grants, Grant{collectives[i], Role(roles[i])})
	}
	return p, nil
}

// touchSessionSQL is touchKeySQL for sessions.
const touchSessionSQL = `
UPDATE access.sessions
SET last_used_at = @now
WHERE token = (
	SELECT s.token
	FROM access.sessions AS s
	WHERE s.token = @token
		AND s.last_used_at <= @before
	FOR NO KEY UPDATE SKIP LOCKED
)`

const listSessionsSQL = `
SELECT
	s.token,
	s.member,
	s.device,
	s.created_at,
	s.proved_at,
	s.last_used_at,
	s.ends_at
FROM access.sessions AS s
WHERE s.member = @member
	AND s.revoked_at IS NULL
	AND s.ends_at > @now
	AND s.last_used_at > @idle
	AND (s.last_used_at, s.token) < (@before_time, @before_id)
ORDER BY
	s.last_used_at DESC,
	s.token DESC
LIMIT @count`

// sessions returns up to count sessions of a member that have not ended, used last first.
func (s *Service) sessions(ctx context.Context, member uuid.UUID, before position, count int) ([]Session, error) {
	now := s.now()
	rows, err := s.cfg.Pool.Query(ctx, listSessionsSQL, pgx.NamedArgs{
		"member": member, "now": now, "idle": now.Add(-sessionIdle), "before_time": before.CreateTime, "before_id": before.ID, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (x Session, err error) {
		return x, r.Scan(&x.ID, &x.Member, &x.Device, &x.CreateTime, &x.ProveTime, &x.LastUseTime, &x.EndTime)
	})
	return found, postgres.Error(err)
}

const endSessionsSQL = `
UPDATE access.sessions AS s
SET revoked_at = @now
WHERE s.member = @member
	AND (@token = '' OR s.token = @token)
	AND s.revoked_at IS NULL`

// endSessionsTx ends one session of a member, or all when token is empty, and returns how many it ended.
func endSessionsTx(ctx context.Context, tx pgx.Tx, member uuid.UUID, token string, now time.Time) (int64, error) {
	ended, err := tx.Exec(ctx, endSessionsSQL, pgx.NamedArgs{"member": member, "token": token, "now": now})
	return ended.RowsAffected(), postgres.Error(err)
}

// EndSessions ends one session of a member, or all when id is empty. What has ended stays as it is.
func (s *Service) EndSessions(ctx context.Context, member uuid.UUID, id string) error {
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		ended, err := endSessionsTx(ctx, tx, member, id, s.nowMicros())
		if err != nil || ended == 0 {
			return err
		}
		resource := memberName(member) + "/sessions"
		if id != "" {
			resource += "/" + id
		}
		return s.auditTx(ctx, tx, "", resource, nil, fields{"ended": strconv.FormatInt(ended, 10)})
	})
}

const sessionPrefix = "cas_"

// parseSessionName takes `members/{member}/sessions/{session}` apart.
func parseSessionName(name string) (member, id string, ok bool) {
	member, id, ok = strings.Cut(name, "/sessions/")
	return member, id, ok && id != "" && strings.HasPrefix(member, membersPrefix)
}

// memberID is the caller's, uuid.Nil for a key of no person.
func (p Principal) memberID() uuid.UUID {
	id, _ := parseMemberName(p.Member)
	return id
}

// own returns the id of the caller, who must be the member with this name; `members/me` is the caller. NOT_FOUND for any
// other member.
func own(ctx context.Context, name string) (uuid.UUID, error) {
	p := PrincipalFrom(ctx)
	if id := p.memberID(); id != uuid.Nil && p.Session != "" && (name == membersPrefix+"me" || name == p.Member) {
		return id, nil
	}
	return uuid.Nil, errs.NotFound(name)
}

const forgetSQL = `
WITH sessions AS (
	DELETE FROM access.sessions WHERE ends_at < @sessions
), links AS (
	DELETE FROM access.sign_in_links WHERE expires_at < @now
), email_changes AS (
	DELETE FROM access.email_changes WHERE expires_at < @sessions
), ceremonies AS (
	DELETE FROM access.passkey_ceremonies WHERE expires_at < @now
)
DELETE FROM access.invitations
WHERE accepted_at IS NULL
	AND expires_at < @invitations`

// Forget deletes rows that have no use any more, and the addresses of people who were invited and did not come.
func (s *Service) Forget(ctx context.Context) error {
	now := s.now()
	if _, err := s.cfg.Pool.Exec(ctx, forgetSQL, pgx.NamedArgs{
		"now": now, "sessions": now.Add(-sessionsKept), "invitations": now.Add(-invitationsKept),
	}); err != nil {
		return postgres.Error(err)
	}
	return errors.Join(s.attempts().Forget(ctx, s.cfg.Pool, now), s.cfg.AlsoForget(ctx))
}
