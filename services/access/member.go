package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Member is a person.
type Member struct {
	ID uuid.UUID
	// Email is in small letters.
	Email       string
	DisplayName string
	// Language is `fr` or `en`.
	Language   string
	CreateTime time.Time
}

// Name returns the member's resource name.
func (m Member) Name() string { return memberName(m.ID) }

const defaultLanguage = "fr"

// normalEmail is the one form of an address: letters of another case are the same mailbox.
func normalEmail(field, email string) (string, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	if err := mail.CheckAddress(email); err != nil {
		return "", errs.Invalid(field, "%v", err)
	}
	return email, nil
}

// ShortEmail is the address of an invitation as notices and the audit log keep it: its first character and its domain.
func (i Invitation) ShortEmail() string { return shortEmail(i.Email) }

// shortEmail leaves of an address its first character and its domain: the audit log keeps it for good, and more people read
// that than may see addresses.
func shortEmail(email string) string {
	name, domain, _ := strings.Cut(email, "@")
	for _, first := range name {
		return string(first) + "…@" + domain
	}
	return "…@" + domain
}

func emailHash(email string) []byte {
	h := sha256.Sum256([]byte(email))
	return h[:]
}

const memberColumns = `
	m.id,
	m.email,
	m.display_name,
	m.language,
	m.created_at`

const memberSQL = `
SELECT` + memberColumns + `
FROM access.members AS m
WHERE m.id = @id`

const memberByEmailSQL = `
SELECT` + memberColumns + `
FROM access.members AS m
WHERE m.email_hash = @email_hash
FOR KEY SHARE`

func (s *Service) member(ctx context.Context, id uuid.UUID) (Member, error) {
	rows, err := s.cfg.Pool.Query(ctx, memberSQL, pgx.NamedArgs{"id": id})
	if err != nil {
		return Member{}, postgres.Error(err)
	}
	m, err := pgx.CollectExactlyOneRow(rows, rowToMember)
	if errors.Is(err, pgx.ErrNoRows) {
		return Member{}, errs.NotFound(memberName(id))
	}
	return m, postgres.Error(err)
}

// memberByEmailTx reports false when nobody has the address. It waits for a change of the member's address, which ends the
// links to the old one, and keeps another one from beginning until the transaction ends.
func memberByEmailTx(ctx context.Context, tx pgx.Tx, hash []byte) (m Member, found bool, err error) {
	rows, err := tx.Query(ctx, memberByEmailSQL, pgx.NamedArgs{"email_hash": hash})
	if err != nil {
		return Member{}, false, postgres.Error(err)
	}
	m, err = pgx.CollectExactlyOneRow(rows, rowToMember)
	if errors.Is(err, pgx.ErrNoRows) {
		return Member{}, false, nil
	}
	return m, err == nil, postgres.Error(err)
}

const insertMemberSQL = `
INSERT INTO access.members (
	id,
	email,
	email_hash,
	display_name,
	language,
	created_at
)
VALUES (
	@id,
	@email,
	@email_hash,
	@display_name,
	@language,
	@created_at
)
ON CONFLICT (email_hash) DO NOTHING`

// memberWithTx returns the member with the address of m, which is created as m when there is none.
func (s *Service) memberWithTx(ctx context.Context, tx pgx.Tx, m Member) (Member, error) {
	found, ok, err := memberByEmailTx(ctx, tx, emailHash(m.Email))
	if err != nil || ok {
		return found, err
	}
	if err := checkPersonName(m.DisplayName); err != nil {
		return Member{}, err
	}
	if m.Language == "" {
		m.Language = defaultLanguage
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Member{}, errs.Internal(err)
	}
	m.ID, m.CreateTime = id, s.nowMicros()
	made, err := tx.Exec(ctx, insertMemberSQL, pgx.NamedArgs{
		"id": m.ID, "email": m.Email, "email_hash": emailHash(m.Email), "display_name": m.DisplayName, "language": m.Language,
		"created_at": m.CreateTime,
	})
	if err != nil || made.RowsAffected() == 1 {
		return m, postgres.Error(err)
	}
	// Another transaction was faster.
	found, _, err = memberByEmailTx(ctx, tx, emailHash(m.Email))
	return found, err
}

const updateMemberSQL = `
UPDATE access.members AS m
SET
	display_name = @display_name,
	language = @language
WHERE m.id = @id`

// UpdateMember applies change to a member under its lock, and stores its name and language.
func (s *Service) UpdateMember(ctx context.Context, id uuid.UUID, change func(*Member) error) (m Member, err error) {
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if m, err = lockMemberTx(ctx, tx, id); err != nil {
			return err
		}
		before := m
		if err := change(&m); err != nil {
			return err
		}
		if err := checkPersonName(m.DisplayName); err != nil {
			return err
		}
		if m.Language != "fr" && m.Language != "en" {
			return errs.Invalid("member.language", "must be fr or en")
		}
		if m == before {
			return nil
		}
		if _, err := tx.Exec(ctx, updateMemberSQL, pgx.NamedArgs{"id": id, "display_name": m.DisplayName, "language": m.Language}); err != nil {
			return postgres.Error(err)
		}
		return s.auditTx(ctx, tx, "", m.Name(), fields{"display_name": before.DisplayName, "language": before.Language},
			fields{"display_name": m.DisplayName, "language": m.Language})
	})
	return m, err
}

const lockMemberSQL = memberSQL + `
FOR NO KEY UPDATE`

// lockMemberTx returns a member, who does not change until the transaction ends.
func lockMemberTx(ctx context.Context, tx pgx.Tx, id uuid.UUID) (Member, error) {
	return oneMemberTx(ctx, tx, lockMemberSQL, id)
}

func memberTx(ctx context.Context, tx pgx.Tx, id uuid.UUID) (Member, error) {
	return oneMemberTx(ctx, tx, memberSQL, id)
}

func oneMemberTx(ctx context.Context, tx pgx.Tx, sql string, id uuid.UUID) (Member, error) {
	rows, err := tx.Query(ctx, sql, pgx.NamedArgs{"id": id})
	if err != nil {
		return Member{}, postgres.Error(err)
	}
	m, err := pgx.CollectExactlyOneRow(rows, rowToMember)
	return m, postgres.Error(err)
}

func checkPersonName(name string) error {
	if !PrintableLine(name, maxDisplayNameChars) {
		return errs.Invalid("display_name", "must be one line of 1 to %d characters", maxDisplayNameChars)
	}
	return nil
}

func rowToMember(r pgx.CollectableRow) (m Member, err error) {
	return m, r.Scan(&m.ID, &m.Email, &m.DisplayName, &m.Language, &m.CreateTime)
}

// CallerAddress returns the mail address and the language of the member whose session or key the context's call came with;
// empty for a key of no person.
func (s *Service) CallerAddress(ctx context.Context) (email, language string, err error) {
	id, ok := parseMemberName(PrincipalFrom(ctx).Member)
	if !ok {
		return "", "", nil
	}
	m, err := s.member(ctx, id)
	return m.Email, m.Language, err
}
