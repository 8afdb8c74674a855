package notices

import (
	"context"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/money"
)

// Notice is what members of a collective, or the operator, must be told.
type Notice struct {
	// Collective is the collective's id; empty for the operator.
	Collective string
	// Kind is what it says.
	Kind Kind
	// Key is what happened, unique in collective and kind, 1 to 200 characters: a dispute's id, say. Telling
	// it twice is telling it once.
	Key string
	// Subject is the resource that it is about, by a name that says nothing of anybody; may be empty.
	Subject string
	// Amount is the money in question; zero for none.
	Amount money.Amount
	// Transactions are the balance transactions in question, by Stripe's ids: the first maxTransactions
	// are stored.
	Transactions []string
	// Counts are the figures that the kind's texts name, in their order; nil for none.
	Counts []int64
	// Deadline is until when something can be done; zero for none.
	Deadline time.Time
	// Since is when what it is about began; zero where that does not matter.
	Since time.Time
	// Change is what somebody changed; nil when the notice is about no change of theirs.
	Change *Change

	// The rest is filled in by the service.

	// ID is the last segment of its name.
	ID uuid.UUID
	// CreateTime is when it was told.
	CreateTime time.Time
	// AcknowledgeTime is when somebody said that they saw to it; zero until then.
	AcknowledgeTime time.Time
	// AcknowledgedBy is the resource name of the API key that did.
	AcknowledgedBy string
}

// Name returns the resource name, `collectives/{collective}/notices/{notice}` or `instance/notices/{notice}`.
func (n Notice) Name() string {
	if n.Collective == "" {
		return instance + "/" + noticesPrefix + n.ID.String()
	}
	return namePrefix + n.Collective + "/" + noticesPrefix + n.ID.String()
}

const (
	// instance is the parent of what belongs to no collective.
	instance        = "instance"
	namePrefix      = "collectives/"
	noticesPrefix   = "notices/"
	maxKeyChars     = 200
	maxSubjectChars = 300
	// maxTransactions are as many as somebody looks up at Stripe.
	maxTransactions = 20
)

var (
	slugPattern    = regexp.MustCompile(`^[a-z][a-z0-9-]{1,38}[a-z0-9]$`)
	kindPattern    = regexp.MustCompile(`^[a-z][a-z_]{1,39}$`)
	subjectPattern = regexp.MustCompile(`^[A-Za-z0-9/_:.-]*$`)
)

// parseName splits a notice's resource name; ok is false when it is not one.
func parseName(name string) (collective string, id uuid.UUID, ok bool) {
	parent, last, _ := strings.Cut(name, "/"+noticesPrefix)
	collective, ok = parseParent(parent)
	id, err := uuid.Parse(last)
	return collective, id, ok && err == nil && id.String() == last
}

// parseParent returns the collective of `collectives/{collective}`, and none for `instance`; ok is false for all else.
func parseParent(parent string) (collective string, ok bool) {
	if parent == instance {
		return "", true
	}
	collective, ok = strings.CutPrefix(parent, namePrefix)
	return collective, ok && slugPattern.MatchString(collective)
}

// Config is what a Service needs.
type Config struct {
	// Pool is the database. It is required.
	Pool *pgxpool.Pool
	// Jobs inserts the jobs that mail notices; it need not work them. Without it, or without Mail, notices are stored and
	// not mailed.
	Jobs *river.Client[pgx.Tx]
	// Mail sends the mails. Nil sends none.
	Mail *mail.Sender
	// OperatorEmails are where the operator's own notices are mailed to. Empty: nowhere.
	OperatorEmails []string
	// PublicURL is the address of the pages that mails lead to, such as "https://dons.example". Mails name the notice when it
	// is empty.
	PublicURL string
	// Now tells the time; time.Now when nil.
	Now func() time.Time
	// Metrics is where the collectors are registered; nowhere when nil.
	Metrics prometheus.Registerer
}

// Service stores, lists and mails notices. It is safe for concurrent use.
type Service struct {
	cfg Config
}

// New returns a Service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Service{cfg: c}
	if c.Metrics != nil {
		c.Metrics.MustRegister(newMetrics(s))
	}
	return s
}

// nowMicros is the time as Postgres keeps it, so that what is answered after a write is what is read later.
func (s *Service) nowMicros() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// TellTx tells the members of a collective, or the operator, in the caller's transaction: the notice is
// stored, and a job for each reader's mail with it, so that both happen when the caller commits and neither
// when it does not. Told again under the same collective, kind and key it changes nothing. No network is used.
//
// A notice that cannot be one is INTERNAL: what stands in it is the program's own. A collective that is not
// there is NOT_FOUND.
func (s *Service) TellTx(ctx context.Context, tx pgx.Tx, n Notice) error {
	_, err := s.tellTx(ctx, tx, n)
	return err
}

// tellTx is TellTx that mails to some more addresses as well. told is false for what was told before.
func (s *Service) tellTx(ctx context.Context, tx pgx.Tx, n Notice, alsoTo ...string) (told bool, err error) {
	if err := n.check(); err != nil {
		return false, errs.Internal(err)
	}
	n.ID, n.CreateTime = uuid.Must(uuid.NewV7()), s.nowMicros()
	n.Transactions = n.Transactions[:min(len(n.Transactions), maxTransactions)]
	if told, err = insertTx(ctx, tx, n); err != nil || !told {
		return false, err
	}
	return true, s.mailTx(ctx, tx, n, alsoTo...)
}

func (n Notice) check() error {
	switch {
	case !kindPattern.MatchString(string(n.Kind)):
		return errs.Invalid("kind", "must be a word of %s", kindPattern)
	case n.Key == "" || utf8.RuneCountInString(n.Key) > maxKeyChars:
		return errs.Invalid("key", "must have 1 to %d characters", maxKeyChars)
	case utf8.RuneCountInString(n.Subject) > maxSubjectChars || !subjectPattern.MatchString(n.Subject):
		return errs.Invalid("subject", "must be a resource name")
	case n.Amount.Currency == "" && n.Amount.Minor != 0:
		return errs.Invalid("amount", "must have a currency")
	}
	return nil
}
