package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/limit"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// emailChange is another address that a member asked for.
type emailChange struct {
	ID     uuid.UUID
	Member uuid.UUID
	// Session is the token of the session that asked, and that must redeem the link.
	Session string
	// Email is the new address, PreviousEmail the one that the member had.
	Email, PreviousEmail string
	ExpireTime           time.Time
	// EndTime is when it was redeemed or replaced; zero while it waits.
	EndTime time.Time
}

const emailChangeColumns = `
	c.id,
	c.member,
	c.session,
	c.email,
	c.previous_email,
	c.expires_at,
	c.ended_at`

func rowToEmailChange(r pgx.CollectableRow) (c emailChange, err error) {
	var ended *time.Time
	err = r.Scan(&c.ID, &c.Member, &c.Session, &c.Email, &c.PreviousEmail, &c.ExpireTime, &ended)
	if ended != nil {
		c.EndTime = *ended
	}
	return c, err
}

// replaceEmailChangesSQL ends the change that the member waits for.
const replaceEmailChangesSQL = `
UPDATE access.email_changes AS c
SET ended_at = @now
WHERE c.member = @member
	AND c.ended_at IS NULL`

const insertEmailChangeSQL = `
INSERT INTO access.email_changes (
	id,
	member,
	session,
	email,
	previous_email,
	created_at,
	expires_at
)
VALUES (
	@id,
	@member,
	@session,
	@email,
	@previous_email,
	@now,
	@expires_at
)`

// RequestEmailChange queues a mail with a link to the new address of the member of the caller's session, and one that tells
// the present address. It does the same whether or not somebody has the new address: only the job looks. One that was asked
// for before is replaced.
//
// Errors: FAILED_PRECONDITION (MAIL_NOT_CONFIGURED); RESOURCE_EXHAUSTED (TOO_MANY_LINKS) for the network or the member;
// INVALID_ARGUMENT.
func (s *Service) RequestEmailChange(ctx context.Context, email string, network netip.Prefix) error {
	if !s.cfg.Mail.Enabled() {
		return errs.New(errorsv1.ErrorReason_MAIL_NOT_CONFIGURED, "This service sends no mail.")
	}
	email, err := normalEmail("email", email)
	if err != nil {
		return err
	}
	p, now := PrincipalFrom(ctx), s.nowMicros()
	_, session, _ := parseSessionName(p.Session)
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		m, err := lockMemberTx(ctx, tx, p.memberID())
		if err != nil {
			return err
		}
		if m.Email == email {
			return errs.Invalid("email", "is your address already")
		}
		// The member's own limit is that of an address: each request sends the present one a mail.
		for _, counted := range []struct {
			what, whom string
			limit      limit.Rate
		}{{"links", network.String(), networkLinks}, {"email changes", m.Name(), addressLinks}} {
			wait, err := s.attempts().TakeTx(ctx, tx, counted.what, counted.whom, counted.limit, now)
			if err != nil {
				return err
			}
			if wait > 0 {
				return tooMany(errorsv1.ErrorReason_TOO_MANY_LINKS, wait, "Too many links were requested; wait before the next one.")
			}
		}
		c := emailChange{ID: uuid.New(), Member: m.ID, Session: session, Email: email, PreviousEmail: m.Email, ExpireTime: now.Add(linkLife)}
		if _, err := tx.Exec(ctx, replaceEmailChangesSQL, pgx.NamedArgs{"member": m.ID, "now": now}); err != nil {
			return postgres.Error(err)
		}
		if _, err := tx.Exec(ctx, insertEmailChangeSQL, pgx.NamedArgs{
			"id": c.ID, "member": c.Member, "session": c.Session, "email": c.Email, "previous_email": c.PreviousEmail, "now": now, "expires_at": c.ExpireTime,
		}); err != nil {
			return postgres.Error(err)
		}
		if _, err := s.cfg.Jobs.InsertTx(ctx, tx, emailNoticeArgs{Change: c.ID, Text: "email_change"}, nil); err != nil {
			return postgres.Error(err)
		}
		if err := s.auditTx(ctx, tx, "", m.Name(), fields{"email": shortEmail(m.Email)}, fields{"email": shortEmail(email)}); err != nil {
			return err
		}
		// The limits of an address are those of sign-in links, and give no error either: see RequestLink.
		if wait, err := s.attempts().TakeTx(ctx, tx, "address links", network.String()+" "+email, addressLinks, now); err != nil || wait > 0 {
			return err
		}
		if wait, err := s.attempts().TakeTx(ctx, tx, "all address links", email, allAddressLinks, now); err != nil || wait > 0 {
			return err
		}
		_, err = s.cfg.Jobs.InsertTx(ctx, tx, emailChangeArgs{Change: c.ID}, nil)
		return postgres.Error(err)
	})
}

// emailChangeSQL finds the change of a link, whose row stays locked.
const emailChangeSQL = `
SELECT` + emailChangeColumns + `
FROM access.email_changes AS c
WHERE c.token_hash = @hash
	AND c.member = @member
FOR NO KEY UPDATE`

const endEmailChangeSQL = `
UPDATE access.email_changes AS c
SET ended_at = @now
WHERE c.id = @id`

// sessionHoldsSQL reports whether the session that asked goes on.
const sessionHoldsSQL = `
SELECT EXISTS (
	SELECT
	FROM access.sessions AS s
	WHERE s.token = @session
		AND s.member = @member
		AND s.revoked_at IS NULL
)`

const setEmailSQL = `
UPDATE access.members AS m
SET
	email = @email,
	email_hash = @email_hash
WHERE m.id = @id`

// endOtherSessionsSQL ends all sessions of a member but one.
const endOtherSessionsSQL = `
UPDATE access.sessions AS s
SET revoked_at = @now
WHERE s.member = @member
	AND s.token <> @session
	AND s.revoked_at IS NULL`

const dropLinksSQL = `
DELETE FROM access.sign_in_links AS l
WHERE l.member = @member
	AND l.used_at IS NULL`

// RedeemEmailChange takes the token of a link to a new address, once, in the session that asked for it.
//
// Errors: FAILED_PRECONDITION (SIGN_IN_LINK_INVALID; SIGN_IN_LINK_OTHER_BROWSER, after which the link still works);
// RESOURCE_EXHAUSTED (TOO_MANY_ATTEMPTS).
func (s *Service) RedeemEmailChange(ctx context.Context, token string, network netip.Prefix) (m Member, err error) {
	if err := s.countAttempt(ctx, network); err != nil {
		return Member{}, err
	}
	p, now, hash := PrincipalFrom(ctx), s.nowMicros(), sha256.Sum256([]byte(token))
	_, session, _ := parseSessionName(p.Session)
	invalid := errs.New(errorsv1.ErrorReason_SIGN_IN_LINK_INVALID, "The link has been used or has expired; request another one.")
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		// The member comes first, as in RequestEmailChange.
		if m, err = lockMemberTx(ctx, tx, p.memberID()); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, emailChangeSQL, pgx.NamedArgs{"hash": hash[:], "member": m.ID})
		if err != nil {
			return postgres.Error(err)
		}
		c, err := pgx.CollectExactlyOneRow(rows, rowToEmailChange)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return invalid
		case err != nil:
			return postgres.Error(err)
		case !c.EndTime.IsZero() || !now.Before(c.ExpireTime):
			return invalid
		}
		if c.Session != session {
			var holds bool
			if err := tx.QueryRow(ctx, sessionHoldsSQL, pgx.NamedArgs{"session": c.Session, "member": m.ID}).Scan(&holds); err != nil {
				return postgres.Error(err)
			}
			if !holds {
				return invalid
			}
			return errs.New(errorsv1.ErrorReason_SIGN_IN_LINK_OTHER_BROWSER, "The link was requested in another browser.")
		}
		_, err = tx.Exec(ctx, setEmailSQL, pgx.NamedArgs{"id": m.ID, "email": c.Email, "email_hash": emailHash(c.Email)})
		if err != nil {
			// Somebody joined with the address since the mail was sent.
			return postgres.ErrorFor(err, map[string]*errs.Error{"members_email_key": invalid})
		}
		m.Email = c.Email
		if _, err := tx.Exec(ctx, endEmailChangeSQL, pgx.NamedArgs{"id": c.ID, "now": now}); err != nil {
			return postgres.Error(err)
		}
		if _, err := tx.Exec(ctx, endOtherSessionsSQL, pgx.NamedArgs{"member": m.ID, "session": session, "now": now}); err != nil {
			return postgres.Error(err)
		}
		// A link that a job is making waits for the member's row, and then finds nobody with the old address.
		if _, err := tx.Exec(ctx, dropLinksSQL, pgx.NamedArgs{"member": m.ID}); err != nil {
			return postgres.Error(err)
		}
		if _, err := s.cfg.Jobs.InsertTx(ctx, tx, emailNoticeArgs{Change: c.ID, Text: "email_changed"}, nil); err != nil {
			return postgres.Error(err)
		}
		if err := s.tellEmailChangeTx(ctx, tx, c, p); err != nil {
			return err
		}
		return s.auditTx(ctx, tx, "", m.Name(), fields{"email": shortEmail(c.PreviousEmail)}, fields{"email": shortEmail(c.Email)})
	})
	return m, err
}

// tellEmailChangeTx tells the other members where the member is an owner or the operator: whoever reads an owner's mail
// can act as the owner.
func (s *Service) tellEmailChangeTx(ctx context.Context, tx pgx.Tx, c emailChange, by Principal) error {
	rows, err := tx.Query(ctx, membershipsOfSQL, pgx.NamedArgs{"member": c.Member})
	if err != nil {
		return postgres.Error(err)
	}
	held, err := pgx.CollectRows(rows, rowToMembership)
	if err != nil {
		return postgres.Error(err)
	}
	for _, m := range held {
		if m.Role != RoleOwner && m.Role != RoleOperator {
			continue
		}
		if err := s.cfg.TellPeopleTx(ctx, tx, PeopleChange{Kind: EmailChanged, Membership: m, EmailChange: c.ID, By: by}); err != nil {
			return err
		}
	}
	return nil
}

// emailChangeArgs is the job that mails the link to a new address. It makes the token.
type emailChangeArgs struct {
	Change uuid.UUID `json:"change"`
}

// Kind names the job in River.
func (emailChangeArgs) Kind() string { return "access_email_change" }

// InsertOpts: mails have a queue of their own.
func (emailChangeArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: mail.Queue, MaxAttempts: mail.MaxAttempts}
}

// emailNoticeArgs is the job that tells the address that a member had. Text is the mail's name in the catalogues.
type emailNoticeArgs struct {
	Change uuid.UUID `json:"change"`
	Text   string    `json:"text"`
}

// Kind names the job in River.
func (emailNoticeArgs) Kind() string { return "access_email_notice" }

// InsertOpts: mails have a queue of their own.
func (emailNoticeArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: mail.Queue, MaxAttempts: mail.MaxAttempts}
}

const getEmailChangeSQL = `
SELECT` + emailChangeColumns + `
FROM access.email_changes AS c
WHERE c.id = @id`

// getEmailChangeTx reports false for one that was deleted.
func getEmailChangeTx(ctx context.Context, tx pgx.Tx, id uuid.UUID) (c emailChange, found bool, err error) {
	rows, err := tx.Query(ctx, getEmailChangeSQL, pgx.NamedArgs{"id": id})
	if err != nil {
		return emailChange{}, false, postgres.Error(err)
	}
	c, err = pgx.CollectExactlyOneRow(rows, rowToEmailChange)
	if errors.Is(err, pgx.ErrNoRows) {
		return emailChange{}, false, nil
	}
	return c, err == nil, postgres.Error(err)
}

type emailChangeWorker struct {
	river.WorkerDefaults[emailChangeArgs]
	service *Service
}

// NextRetry implements river.Worker.
func (w *emailChangeWorker) NextRetry(job *river.Job[emailChangeArgs]) time.Time {
	return mail.NextRetry(job.Attempt)
}

const setEmailTokenSQL = `
UPDATE access.email_changes AS c
SET token_hash = @hash
WHERE c.id = @id
	AND c.ended_at IS NULL`

// Work implements river.Worker. The owner of an address that is a member's already gets a mail that says so, and no link.
func (w *emailChangeWorker) Work(ctx context.Context, job *river.Job[emailChangeArgs]) error {
	s := w.service
	var subject, text, to string
	token := randomSecret()
	err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		to = ""
		c, found, err := getEmailChangeTx(ctx, tx, job.Args.Change)
		if err != nil || !found || !c.EndTime.IsZero() || !s.now().Before(c.ExpireTime) {
			return err
		}
		owner, taken, err := memberByEmailTx(ctx, tx, emailHash(c.Email))
		if err != nil {
			return err
		}
		if taken {
			to = c.Email
			subject, text = say(owner.Language, "email_taken", "{name}", owner.DisplayName, "{link}", s.cfg.PublicURL+"/console/sign-in")
			return nil
		}
		m, err := lockMemberTx(ctx, tx, c.Member)
		if err != nil {
			return err
		}
		// An earlier attempt's token, of which only the hash was stored, works no more.
		hash := sha256.Sum256([]byte(token))
		set, err := tx.Exec(ctx, setEmailTokenSQL, pgx.NamedArgs{"id": c.ID, "hash": hash[:]})
		if err != nil || set.RowsAffected() == 0 {
			return postgres.Error(err)
		}
		to = c.Email
		subject, text = say(m.Language, "email_confirm", "{name}", m.DisplayName, "{link}", s.cfg.PublicURL+"/console/me/email/confirm?token="+token)
		return nil
	})
	if err != nil || to == "" {
		return err
	}
	return s.cfg.Mail.Deliver(ctx, job.JobRow, mail.Message{To: to, Subject: subject, Text: text, ID: uuid.NewSHA1(job.Args.Change, []byte(token)).String()})
}

type emailNoticeWorker struct {
	river.WorkerDefaults[emailNoticeArgs]
	service *Service
}

// NextRetry implements river.Worker.
func (w *emailNoticeWorker) NextRetry(job *river.Job[emailNoticeArgs]) time.Time {
	return mail.NextRetry(job.Attempt)
}

// Work implements river.Worker.
func (w *emailNoticeWorker) Work(ctx context.Context, job *river.Job[emailNoticeArgs]) error {
	s := w.service
	var (
		c     emailChange
		m     Member
		found bool
	)
	err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) (err error) {
		if c, found, err = getEmailChangeTx(ctx, tx, job.Args.Change); err != nil || !found {
			return err
		}
		m, err = lockMemberTx(ctx, tx, c.Member)
		return err
	})
	if err != nil || !found {
		return err
	}
	subject, text := say(m.Language, job.Args.Text, "{name}", m.DisplayName, "{email}", shortEmail(c.Email), "{link}", s.cfg.PublicURL+"/console/me")
	return s.cfg.Mail.Deliver(ctx, job.JobRow, mail.Message{
		To: c.PreviousEmail, Subject: subject, Text: text, ID: uuid.NewSHA1(c.ID, []byte(job.Args.Text)).String(),
	})
}
