package access

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const (
	// ceremonyLife is how long a browser may take to answer.
	ceremonyLife = 5 * time.Minute
	maxPasskeys  = 20
)

// Passkey is a key on a member's device, which signs the member in.
type Passkey struct {
	ID     uuid.UUID
	Member uuid.UUID
	// DisplayName is what it is, for its member.
	DisplayName string
	CreateTime  time.Time
	// LastUseTime is when it last signed in; zero when never.
	LastUseTime time.Time
	// CloneWarningTime is when its counter went back, as that of a copy does; zero when never. It signs in no more then.
	CloneWarningTime time.Time
	credential       webauthn.Credential
}

// Name returns the passkey's resource name.
func (p Passkey) Name() string { return memberName(p.Member) + "/passkeys/" + p.ID.String() }

// newWebAuthn returns the library's part, nil where browsers allow no passkeys: a relying party is a domain, not an IP
// address (https://www.w3.org/TR/webauthn-3/#rp-id).
func newWebAuthn(publicURL string) *webauthn.WebAuthn {
	u, err := url.Parse(publicURL)
	if err != nil || u.Hostname() == "" {
		return nil
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return nil
	}
	w, err := webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: u.Hostname(), RPOrigins: []string{publicURL},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
	})
	if err != nil {
		return nil
	}
	return w
}

// webauthnUser is a member as the library sees it.
type webauthnUser struct {
	Member
	passkeys []Passkey
}

func (u webauthnUser) WebAuthnID() []byte          { return u.ID[:] }
func (u webauthnUser) WebAuthnName() string        { return u.Email }
func (u webauthnUser) WebAuthnDisplayName() string { return u.DisplayName }
func (u webauthnUser) WebAuthnCredentials() []webauthn.Credential {
	credentials := make([]webauthn.Credential, len(u.passkeys))
	for i, p := range u.passkeys {
		credentials[i] = p.credential
	}
	return credentials
}

func passkeyInvalid() error {
	return errs.New(errorsv1.ErrorReason_PASSKEY_INVALID, "The passkey does not fit, or took too long; begin again.")
}

// BeginRegistration begins adding a passkey to a member. It returns the ceremony's token, and the options for the browser as
// JSON. FAILED_PRECONDITION: TOO_MANY_PASSKEYS; PASSKEY_INVALID where the public address allows none.
func (s *Service) BeginRegistration(ctx context.Context, member uuid.UUID) (ceremony, options string, err error) {
	if s.webauthn == nil {
		return "", "", passkeyInvalid()
	}
	m, err := s.member(ctx, member)
	if err != nil {
		return "", "", err
	}
	has, err := s.Passkeys(ctx, member, newestPlace, maxPasskeys+1)
	if err != nil {
		return "", "", err
	}
	if len(has) >= maxPasskeys {
		return "", "", tooManyPasskeys()
	}
	h := webauthnUser{m, has}
	creation, session, err := s.webauthn.BeginRegistration(h, webauthn.WithExclusions(webauthn.Credentials(h.WebAuthnCredentials()).CredentialDescriptors()))
	if err != nil {
		return "", "", errs.Internal(err)
	}
	return s.newCeremony(ctx, &member, session, creation.Response)
}

func tooManyPasskeys() error {
	return errs.New(errorsv1.ErrorReason_TOO_MANY_PASSKEYS, "A member has %d passkeys at most. Delete one first.", maxPasskeys)
}

const insertCeremonySQL = `
INSERT INTO access.passkey_ceremonies (
	hash,
	member,
	data,
	expires_at
)
VALUES (
	@hash,
	@member,
	@data,
	@expires_at
)`

// newCeremony stores what the browser's answer is checked against, and returns the token that finds it.
func (s *Service) newCeremony(ctx context.Context, member *uuid.UUID, session *webauthn.SessionData, options any) (token, asked string, err error) {
	data, err := json.Marshal(session)
	if err != nil {
		return "", "", errs.Internal(err)
	}
	written, err := json.Marshal(options)
	if err != nil {
		return "", "", errs.Internal(err)
	}
	token = randomSecret()
	hash := sha256.Sum256([]byte(token))
	_, err = s.cfg.Pool.Exec(ctx, insertCeremonySQL, pgx.NamedArgs{
		"hash": hash[:], "member": member, "data": data, "expires_at": s.now().Add(ceremonyLife),
	})
	return token, string(written), postgres.Error(err)
}

// takeCeremonySQL uses a ceremony up: of two answers the second finds nothing.
const takeCeremonySQL = `
DELETE FROM access.passkey_ceremonies AS c
WHERE c.hash = @hash
	AND c.member IS NOT DISTINCT FROM @member
RETURNING
	c.data,
	c.expires_at > @now`

// takeCeremony uses a ceremony up, whatever comes of it. It has a transaction of its own, since that of an answer that does
// not fit is rolled back.
func (s *Service) takeCeremony(ctx context.Context, token string, member *uuid.UUID) (session webauthn.SessionData, err error) {
	hash := sha256.Sum256([]byte(token))
	var data []byte
	var holds bool
	err = s.cfg.Pool.QueryRow(ctx, takeCeremonySQL, pgx.NamedArgs{"hash": hash[:], "member": member, "now": s.now()}).Scan(&data, &holds)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !holds {
		return session, passkeyInvalid()
	}
	if err != nil {
		return session, postgres.Error(err)
	}
	if err := json.Unmarshal(data, &session); err != nil {
		return session, errs.Internal(err)
	}
	return session, nil
}

const insertPasskeySQL = `
INSERT INTO access.passkeys (
	id,
	member,
	credential_id,
	public_key,
	aaguid,
	flags,
	sign_count,
	display_name,
	created_at
)
VALUES (
	@id,
	@member,
	@credential_id,
	@public_key,
	@aaguid,
	@flags,
	@sign_count,
	@display_name,
	@created_at
)`

// FinishRegistration adds a passkey, from what the browser returned. Without a name it is called by the browser's.
// FAILED_PRECONDITION: PASSKEY_INVALID, TOO_MANY_PASSKEYS.
func (s *Service) FinishRegistration(ctx context.Context, member uuid.UUID, ceremony, credentialJSON, displayName, userAgent string) (made Passkey, err error) {
	if displayName == "" {
		displayName = device(userAgent)
	}
	if displayName == "" {
		displayName = "Passkey"
	}
	if err := checkPersonName(displayName); err != nil {
		return Passkey{}, err
	}
	if s.webauthn == nil {
		return Passkey{}, passkeyInvalid()
	}
	session, err := s.takeCeremony(ctx, ceremony, &member)
	if err != nil {
		return Passkey{}, err
	}
	m, err := s.member(ctx, member)
	if err != nil {
		return Passkey{}, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(credentialJSON))
	if err != nil {
		return Passkey{}, passkeyInvalid()
	}
	credential, err := s.webauthn.CreateCredential(webauthnUser{Member: m}, session, parsed)
	if err != nil {
		return Passkey{}, passkeyInvalid()
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Passkey{}, errs.Internal(err)
	}
	made = Passkey{ID: id, Member: member, DisplayName: displayName, CreateTime: s.nowMicros(), credential: *credential}
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		// Of two at once the second counts the first.
		if _, err := tx.Exec(ctx, holdMemberSQL, pgx.NamedArgs{"id": member}); err != nil {
			return postgres.Error(err)
		}
		var has int
		if err := tx.QueryRow(ctx, countPasskeysSQL, pgx.NamedArgs{"member": member}).Scan(&has); err != nil {
			return postgres.Error(err)
		}
		if has >= maxPasskeys {
			return tooManyPasskeys()
		}
		_, err := tx.Exec(ctx, insertPasskeySQL, pgx.NamedArgs{
			"id": id, "member": member, "credential_id": credential.ID, "public_key": credential.PublicKey, "aaguid": credential.Authenticator.AAGUID,
			"flags": int16(credential.Flags.ProtocolValue()), "sign_count": int64(credential.Authenticator.SignCount),
			"display_name": displayName, "created_at": made.CreateTime,
		})
		if err := postgres.ErrorFor(err, map[string]*errs.Error{"passkeys_credential_key": errs.As(passkeyInvalid())}); err != nil {
			return err
		}
		return s.auditTx(ctx, tx, "", made.Name(), nil, fields{"display_name": displayName})
	})
	return made, err
}

const holdMemberSQL = memberSQL + `
FOR NO KEY UPDATE`

const countPasskeysSQL = `
SELECT count(*)
FROM access.passkeys AS p
WHERE p.member = @member`

// BeginPasskeySignIn begins signing in with a passkey of whoever has one. RESOURCE_EXHAUSTED: TOO_MANY_ATTEMPTS.
func (s *Service) BeginPasskeySignIn(ctx context.Context, network netip.Prefix) (ceremony, options string, err error) {
	if s.webauthn == nil {
		return "", "", passkeyInvalid()
	}
	if err := s.countAttempt(ctx, network); err != nil {
		return "", "", err
	}
	assertion, session, err := s.webauthn.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return "", "", errs.Internal(err)
	}
	return s.newCeremony(ctx, nil, session, assertion.Response)
}

const usePasskeySQL = `
UPDATE access.passkeys AS p
SET
	flags = @flags,
	sign_count = @sign_count,
	last_used_at = CASE WHEN @cloned::boolean THEN p.last_used_at ELSE @now END,
	clone_warned_at = CASE WHEN @cloned::boolean THEN @now ELSE p.clone_warned_at END
WHERE p.id = @id`

const lockPasskeySQL = `
SELECT` + passkeyColumns + `
FROM access.passkeys AS p
WHERE p.credential_id = @credential_id
	AND p.member = @member
FOR NO KEY UPDATE`

// FinishPasskeySignIn returns a session of the member whose passkey signed what it was asked to, once. A passkey whose counter
// went back is somebody's copy: it is marked, and signs in no more.
//
// FAILED_PRECONDITION: PASSKEY_INVALID.
func (s *Service) FinishPasskeySignIn(ctx context.Context, ceremony, credentialJSON, userAgent string) (made Session, secret string, err error) {
	if s.webauthn == nil {
		return Session{}, "", passkeyInvalid()
	}
	session, err := s.takeCeremony(ctx, ceremony, nil)
	if err != nil {
		return Session{}, "", err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(credentialJSON))
	if err != nil {
		return Session{}, "", passkeyInvalid()
	}
	cloned := false
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		var found Passkey
		find := func(rawID, userHandle []byte) (webauthn.User, error) {
			member, err := uuid.FromBytes(userHandle)
			if err != nil {
				return nil, err
			}
			rows, err := tx.Query(ctx, lockPasskeySQL, pgx.NamedArgs{"credential_id": rawID, "member": member})
			if err != nil {
				return nil, err
			}
			found, err = pgx.CollectExactlyOneRow(rows, rowToPasskey)
			return webauthnUser{Member{ID: member}, []Passkey{found}}, err
		}
		credential, err := s.webauthn.ValidateDiscoverableLogin(find, session, parsed)
		if err != nil || !found.CloneWarningTime.IsZero() {
			return passkeyInvalid()
		}
		cloned = credential.Authenticator.CloneWarning
		_, err = tx.Exec(ctx, usePasskeySQL, pgx.NamedArgs{
			"id": found.ID, "flags": int16(credential.Flags.ProtocolValue()), "sign_count": int64(credential.Authenticator.SignCount),
			"cloned": cloned, "now": s.nowMicros(),
		})
		if err != nil || cloned {
			return postgres.Error(err)
		}
		made, secret, err = s.signInTx(ctx, tx, found.Member, userAgent, "passkey")
		return err
	})
	if err == nil && cloned {
		err = passkeyInvalid()
	}
	if err != nil {
		return Session{}, "", err
	}
	return made, secret, nil
}

const passkeyColumns = `
	p.id,
	p.member,
	p.credential_id,
	p.public_key,
	p.aaguid,
	p.flags,
	p.sign_count,
	p.display_name,
	p.created_at,
	p.last_used_at,
	p.clone_warned_at`

const listPasskeysSQL = `
SELECT` + passkeyColumns + `
FROM access.passkeys AS p
WHERE p.member = @member
	AND (p.created_at, p.id) < (@before_time, @before_id)
ORDER BY
	p.created_at DESC,
	p.id DESC
LIMIT @count`

// Passkeys returns up to count passkeys of a member, newest first.
func (s *Service) Passkeys(ctx context.Context, member uuid.UUID, before place, count int) ([]Passkey, error) {
	rows, err := s.cfg.Pool.Query(ctx, listPasskeysSQL, pgx.NamedArgs{
		"member": member, "before_time": before.Time, "before_id": before.ID, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, rowToPasskey)
	return found, postgres.Error(err)
}

const deletePasskeySQL = `
DELETE FROM access.passkeys AS p
WHERE p.id = @id
	AND p.member = @member
RETURNING p.display_name`

// DeletePasskey deletes a passkey of a member. One that is not there is NOT_FOUND.
func (s *Service) DeletePasskey(ctx context.Context, member, id uuid.UUID) error {
	gone := Passkey{ID: id, Member: member}
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		err := tx.QueryRow(ctx, deletePasskeySQL, pgx.NamedArgs{"id": id, "member": member}).Scan(&gone.DisplayName)
		if errors.Is(err, pgx.ErrNoRows) {
			return errs.NotFound(gone.Name())
		}
		if err != nil {
			return postgres.Error(err)
		}
		return s.auditTx(ctx, tx, "", gone.Name(), fields{"display_name": gone.DisplayName}, nil)
	})
}

func rowToPasskey(r pgx.CollectableRow) (p Passkey, err error) {
	var (
		flags         int16
		count         int64
		used, warned  *time.Time
		authenticator webauthn.Authenticator
	)
	c := &p.credential
	err = r.Scan(&p.ID, &p.Member, &c.ID, &c.PublicKey, &authenticator.AAGUID, &flags, &count, &p.DisplayName, &p.CreateTime, &used, &warned)
	authenticator.SignCount = uint32(count)
	c.Authenticator, c.Flags = authenticator, webauthn.NewCredentialFlags(protocol.AuthenticatorFlags(flags))
	p.LastUseTime, p.CloneWarningTime = orZero(used), orZero(warned)
	return p, err
}
