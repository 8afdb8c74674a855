package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// linkLife is how long a sign-in link is valid.
const linkLife = 15 * time.Minute

// RequestLink queues a mail with a sign-in link and returns the token that binds it to the browser. It does the same
// whether or not somebody has the address: only the job that it queues looks for a member.
//
// Errors: FAILED_PRECONDITION (MAIL_NOT_CONFIGURED); RESOURCE_EXHAUSTED (TOO_MANY_LINKS) for the network; INVALID_ARGUMENT.
func (s *Service) RequestLink(ctx context.Context, email, language string, network netip.Prefix) (browserToken string, err error) {
	if !s.cfg.Mail.Enabled() {
		return "", errs.New(errorsv1.ErrorReason_MAIL_NOT_CONFIGURED, "This service sends no mail.")
	}
	if email, err = normalEmail("email", email); err != nil {
		return "", err
	}
	browserToken = randomSecret()
	browserHash := sha256.Sum256([]byte(browserToken))
	now := s.now()
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		wait, err := s.attempts().TakeTx(ctx, tx, "links", network.String(), networkLinks, now)
		if err != nil {
			return err
		}
		if wait > 0 {
			return tooMany(errorsv1.ErrorReason_TOO_MANY_LINKS, wait, "Too many links were requested from this network; wait before the next one.")
		}
		// The limits of an address give no error: its mails would tell that there is such a member. That of the network comes
		// first, so that what it refuses counts against nobody else.
		if wait, err := s.attempts().TakeTx(ctx, tx, "address links", network.String()+" "+email, addressLinks, now); err != nil || wait > 0 {
			return err
		}
		if wait, err := s.attempts().TakeTx(ctx, tx, "all address links", email, allAddressLinks, now); err != nil || wait > 0 {
			return err
		}
		_, err = s.cfg.Jobs.InsertTx(ctx, tx, linkArgs{EmailHash: emailHash(email), BrowserHash: browserHash[:], Language: language, Requested: now}, nil)
		return postgres.Error(err)
	})
	return browserToken, err
}

const insertLinkSQL = `
INSERT INTO access.sign_in_links (
	hash,
	member,
	browser_hash,
	expires_at
)
VALUES (
	@hash,
	@member,
	@browser_hash,
	@expires_at
)`

// newLinkTx makes a link and returns its address. BrowserHash is nil for a link that works in any browser.
func (s *Service) newLinkTx(ctx context.Context, tx pgx.Tx, member uuid.UUID, browserHash []byte, expires time.Time) (string, error) {
	token := randomSecret()
	hash := sha256.Sum256([]byte(token))
	_, err := tx.Exec(ctx, insertLinkSQL, pgx.NamedArgs{"hash": hash[:], "member": member, "browser_hash": browserHash, "expires_at": expires})
	return s.cfg.PublicURL + "/console/sign-in/link?token=" + token, postgres.Error(err)
}

// linkHolds are the conditions under which a link signs in.
const linkHolds = `
WHERE l.hash = @hash
	AND l.used_at IS NULL
	AND l.expires_at > @now`

const useLinkSQL = `
UPDATE access.sign_in_links AS l
SET used_at = @now` + linkHolds + `
	AND (l.browser_hash IS NULL OR l.browser_hash = @browser_hash)
RETURNING l.member`

const linkHoldsSQL = `
SELECT EXISTS (SELECT FROM access.sign_in_links AS l` + linkHolds + `)`

// RedeemLink takes a link's token, once, in the browser that asked for it, and returns a session with its token.
//
// Errors: FAILED_PRECONDITION (SIGN_IN_LINK_INVALID; SIGN_IN_LINK_OTHER_BROWSER, after which the link still works);
// RESOURCE_EXHAUSTED (TOO_MANY_ATTEMPTS).
func (s *Service) RedeemLink(ctx context.Context, token, browserToken, userAgent string, network netip.Prefix) (made Session, secret string, err error) {
	if err := s.countAttempt(ctx, network); err != nil {
		return Session{}, "", err
	}
	hash, browserHash := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(browserToken))
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		named := pgx.NamedArgs{"hash": hash[:], "browser_hash": browserHash[:], "now": s.now()}
		var member uuid.UUID
		err := tx.QueryRow(ctx, useLinkSQL, named).Scan(&member)
		if errors.Is(err, pgx.ErrNoRows) {
			var elsewhere bool
			if err := tx.QueryRow(ctx, linkHoldsSQL, named).Scan(&elsewhere); err != nil {
				return postgres.Error(err)
			}
			if elsewhere {
				return errs.New(errorsv1.ErrorReason_SIGN_IN_LINK_OTHER_BROWSER, "The link was requested in another browser.")
			}
			return errs.New(errorsv1.ErrorReason_SIGN_IN_LINK_INVALID, "The link has been used or has expired; request another one.")
		}
		if err != nil {
			return postgres.Error(err)
		}
		made, secret, err = s.signInTx(ctx, tx, member, userAgent, "link")
		return err
	})
	return made, secret, err
}

// signInTx makes a session for a member who proved to be there, and notes it.
func (s *Service) signInTx(ctx context.Context, tx pgx.Tx, member uuid.UUID, userAgent, how string) (Session, string, error) {
	made, secret, err := s.newSessionTx(ctx, tx, member, userAgent)
	if err != nil {
		return Session{}, "", err
	}
	m, err := memberTx(ctx, tx, member)
	if err != nil {
		return Session{}, "", err
	}
	// From here on it is the member who acts.
	ctx = WithPrincipal(ctx, Principal{Name: m.Name(), Member: m.Name(), Session: made.Name(), DisplayName: m.DisplayName})
	return made, secret, s.auditTx(ctx, tx, "", made.Name(), nil, fields{"signed_in_by": how, "device": made.Device})
}

// CreateMember gives the person with this address a role, without an invitation, and returns a link that signs in once,
// within 15 minutes, in any browser. The person is created with this name when there is none; who has a role there keeps it.
// Doing it again makes another link. It is for commands: it checks no rights.
func (s *Service) CreateMember(ctx context.Context, g Grant, email, displayName, language string) (link string, err error) {
	if email, err = normalEmail("email", email); err != nil {
		return "", err
	}
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := LockPeopleTx(ctx, tx, g.Collective); err != nil {
			return err
		}
		m, err := s.memberWithTx(ctx, tx, Member{Email: email, DisplayName: displayName, Language: language})
		if err != nil {
			return err
		}
		_, has, err := currentMembershipTx(ctx, tx, g.Collective, m.ID)
		if err != nil {
			return err
		}
		if !has {
			made, err := s.addMembershipTx(ctx, tx, Membership{Member: m.ID, Collective: g.Collective, Role: g.Role}, "")
			if err != nil {
				return err
			}
			if err := s.auditTx(ctx, tx, g.Collective, made.Name(), nil, fields{"role": string(g.Role), "member": m.DisplayName}); err != nil {
				return err
			}
			if err := s.cfg.TellPeopleTx(ctx, tx, PeopleChange{Kind: MemberJoined, Membership: made}); err != nil {
				return err
			}
		}
		link, err = s.newLinkTx(ctx, tx, m.ID, nil, s.now().Add(linkLife))
		return err
	})
	return link, err
}
