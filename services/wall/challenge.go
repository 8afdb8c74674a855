package wall

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/limit"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// A challenge is version, time of issue in seconds, difficulty, wait in seconds, nonce, and a signature over these and over what
// it is bound to, in base64url. It holds no address and names nothing: the binding is in the signature alone.

const (
	// challengeLife is how long a challenge is good.
	challengeLife = 10 * time.Minute
	// Each doubling of the pressure doubles the work. That of a campaign, which all its donors share, does so once; that of a
	// network up to maxInner times.
	maxOuter, maxInner = 1, 6
	// toleratedBits is by how much the difficulty of a solution may be less than what would be asked for now, since the pressure
	// moves while it is solved.
	toleratedBits = 2
	// ticketWait is how long the shortest ticket waits; the longest waits longestWait.
	ticketWait, longestWait = time.Minute, 3 * time.Minute

	challengeVersion = 1
	headerBytes      = 1 + 8 + 1 + 2 + 16
	signatureBytes   = 32
)

// encoding has one text for each value, so that a challenge that was used cannot be written in another way.
var encoding = base64.RawURLEncoding.Strict()

// signingKey is for challenges alone.
func signingKey(secret []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("cagnotte wall challenge"))
	return mac.Sum(nil)
}

// difficulty is how many zero bits are asked for under a pressure.
func (s *Service) difficulty(p pressure) int {
	return s.cfg.Limits.Bits + max(steps(p.outer, maxOuter), steps(p.inner, maxInner))
}

// steps is how often a ratio doubles above 1.
func steps(ratio float64, most int) int {
	if ratio <= 1 {
		return 0
	}
	return min(int(math.Log2(ratio)), most)
}

// waitFor is how long a ticket of a difficulty waits: by pressure, as the work.
func (s *Service) waitFor(difficulty int) time.Duration {
	return min(ticketWait*time.Duration(1+difficulty-s.cfg.Limits.Bits), longestWait)
}

// challenge is the error that asks for a proof.
func (s *Service) challenge(a Attempt, p pressure, now time.Time) error {
	difficulty := s.difficulty(p)
	wait := s.waitFor(difficulty)
	header := make([]byte, headerBytes)
	header[0], header[9] = challengeVersion, byte(difficulty)
	binary.BigEndian.PutUint64(header[1:], uint64(now.Unix()))
	binary.BigEndian.PutUint16(header[10:], uint16(wait/time.Second))
	_, _ = rand.Read(header[12:]) // never fails: https://pkg.go.dev/crypto/rand#Read
	s.metrics.challenges.Inc()
	e := errs.New(errorsv1.ErrorReason_CHALLENGE_REQUIRED, "More payments are started than usual. Solve the challenge, and send the same request again.")
	e.Metadata = map[string]string{
		"challenge":           encoding.EncodeToString(append(header, s.sign(header, a)...)),
		"difficulty":          strconv.Itoa(difficulty),
		"ticket_wait_seconds": strconv.Itoa(int(wait / time.Second)),
	}
	return e
}

// sign binds the header to what the attempt is. No part holds a line feed.
func (s *Service) sign(header []byte, a Attempt) []byte {
	mac := hmac.New(sha256.New, s.signing)
	mac.Write(header)
	mac.Write([]byte(string(a.Kind) + "\n" + a.Campaign + "\n" + string(a.Amount.Currency) + "\n" + strconv.FormatInt(a.Amount.Minor, 10)))
	return mac.Sum(nil)
}

// solution is what a caller sent.
type solution struct {
	// valid: it is of a challenge for this attempt, is solved or old enough, has not lapsed, and was not used.
	valid bool
	// ticket: it is solved by its age.
	ticket     bool
	difficulty int
	// key is what the used challenge is stored by.
	key     []byte
	expires time.Time
}

const usedSQL = `
SELECT EXISTS (
	SELECT
	FROM wall.solutions AS u
	WHERE u.key = @key
)`

// readSolution reads a solution. One that is wrong is as none: the caller gets a new challenge, and learns no more.
func (s *Service) readSolution(ctx context.Context, db postgres.Querier, a Attempt, now time.Time) (solution, error) {
	if a.Solution == "" {
		return solution{}, nil
	}
	challenge, number, worked := strings.Cut(a.Solution, ".")
	raw, err := encoding.DecodeString(challenge)
	if err != nil || len(raw) != headerBytes+signatureBytes || raw[0] != challengeVersion {
		return solution{}, nil
	}
	header := raw[:headerBytes]
	if !hmac.Equal(raw[headerBytes:], s.sign(header, a)) {
		return solution{}, nil
	}
	issued := time.Unix(int64(binary.BigEndian.Uint64(header[1:])), 0).UTC()
	found := solution{
		ticket: !worked, difficulty: int(header[9]), expires: issued.Add(challengeLife),
		key: limit.Limiter{Table: "wall.solutions", Secret: s.cfg.SecretKey}.Key("solution", challenge, time.Time{}),
	}
	switch {
	case now.After(found.expires), worked && !solves(challenge, number, found.difficulty),
		!worked && now.Before(issued.Add(time.Duration(binary.BigEndian.Uint16(header[10:]))*time.Second)):
		return solution{}, nil
	}
	used, err := postgres.One(ctx, db, pgx.RowTo[bool], usedSQL, pgx.NamedArgs{"key": found.key})
	found.valid = err == nil && !used
	return found, postgres.Error(err)
}

// solves reports whether the SHA-256 of challenge, dot and number begins with so many zero bits.
func solves(challenge, number string, difficulty int) bool {
	if _, err := strconv.ParseUint(number, 10, 53); err != nil {
		return false
	}
	hash := sha256.Sum256([]byte(challenge + "." + number))
	return bits.LeadingZeros64(binary.BigEndian.Uint64(hash[:])) >= difficulty
}

const useSolutionSQL = `
INSERT INTO wall.solutions (key, expires_at)
VALUES (@key, @expires_at)
ON CONFLICT (key) DO NOTHING`

// useSolutionTx stores that a solution is used. fresh is false if it was before.
func (s *Service) useSolutionTx(ctx context.Context, tx pgx.Tx, used solution) (fresh bool, err error) {
	tag, err := tx.Exec(ctx, useSolutionSQL, pgx.NamedArgs{"key": used.key, "expires_at": used.expires})
	return err == nil && tag.RowsAffected() == 1, postgres.Error(err)
}
