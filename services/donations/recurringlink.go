package donations

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/netip"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const (
	// linkLife is how long a mailed link is valid, and pageLife how long the page is that it opens.
	linkLife, pageLife = 24 * time.Hour, 30 * time.Minute
	kindLink, kindPage = "link", "page"
)

// linkLimit is for the links that one network asks for, donationLinkLimit for those of one donation: anybody who knows its
// name may ask, and its donor must not be flooded with mail. pageLimit is for the calls to Stripe of one donation's page.
var (
	linkLimit         = Limit{Burst: 10, Interval: time.Minute}
	donationLinkLimit = Limit{Burst: 3, Interval: 4 * time.Hour}
	pageLimit         = Limit{Burst: 10, Interval: time.Minute}
)

// linkArgs is the job that mails a link. It holds neither the token nor the address: the job makes the one and reads the
// other.
type linkArgs struct {
	Recurring uuid.UUID `json:"recurring"`
}

// Kind names the job in River.
func (linkArgs) Kind() string { return "donations_manage_link" }

// InsertOpts: mails have a queue of their own.
func (linkArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: mail.Queue, MaxAttempts: mail.MaxAttempts}
}

type linkWorker struct {
	river.WorkerDefaults[linkArgs]
	service *Service
}

// NextRetry implements river.Worker.
func (w *linkWorker) NextRetry(job *river.Job[linkArgs]) time.Time {
	return mail.NextRetry(job.Attempt)
}

// Work implements river.Worker.
func (w *linkWorker) Work(ctx context.Context, job *river.Job[linkArgs]) error {
	return w.service.mailLink(ctx, job)
}

// RequestLink queues a mail with a link to the donor of a running monthly donation. It returns nil as well where there is
// none, so that nobody learns who gives. Errors, which do not depend on the donation either: FAILED_PRECONDITION
// (MAIL_NOT_CONFIGURED; STRIPE_ACCOUNT_DISCONNECTED, since only Stripe knows the address), RESOURCE_EXHAUSTED
// (TOO_MANY_LINKS).
func (s *Service) RequestLink(ctx context.Context, campaign campaigns.Name, id uuid.UUID, network netip.Prefix) error {
	if !s.cfg.Mail.Enabled() {
		return errs.New(errorsv1.ErrorReason_MAIL_NOT_CONFIGURED, "This service sends no mail.")
	}
	if err := s.checkPublished(ctx, campaign); err != nil {
		return err
	}
	now := s.now()
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		// Each request counts here, whether or not the donation exists.
		wait, err := s.limits().TakeTx(ctx, tx, "links", network.String(), linkLimit, now)
		if err != nil {
			return err
		}
		if wait > 0 {
			e := errs.New(errorsv1.ErrorReason_TOO_MANY_LINKS, "Too many links were requested from this network; wait before the next one.")
			e.RetryAfter = wait
			return e
		}
		r, err := oneRecurring(tx.Query(ctx, recurringByIDSQL, pgx.NamedArgs{"id": id}))
		if errors.Is(err, pgx.ErrNoRows) || (err == nil && (r.Campaign != campaign || !r.running() || r.Customer == "")) {
			return nil
		}
		if err != nil {
			return postgres.Error(err)
		}
		// The donation's own limit gives no error: it would tell that there is such a donation.
		if wait, err := s.limits().TakeTx(ctx, tx, "donation links", id.String(), donationLinkLimit, now); err != nil || wait > 0 {
			return err
		}
		_, err = s.cfg.Jobs.InsertTx(ctx, tx, linkArgs{Recurring: id}, nil)
		return postgres.Error(err)
	})
}

// checkPublished is CheckConnected for a public campaign. It is nil for drafts and missing campaigns, so that nobody
// learns which there are.
func (s *Service) checkPublished(ctx context.Context, name campaigns.Name) error {
	campaign, err := s.cfg.Campaigns.Get(ctx, name)
	switch {
	case err != nil && errs.As(err).Code == codes.NotFound, err == nil && campaign.State == campaigns.StateDraft:
		return nil
	case err != nil:
		return err
	}
	return s.cfg.Connect.CheckConnected(ctx, name.Collective)
}

// mailLink makes a token, reads the donor's address at Stripe and mails the link. The address is not stored.
func (s *Service) mailLink(ctx context.Context, job *river.Job[linkArgs]) error {
	r, err := oneRecurring(s.cfg.Pool.Query(ctx, recurringByIDSQL, pgx.NamedArgs{"id": job.Args.Recurring}))
	if err != nil {
		return postgres.Error(err)
	}
	if err := r.started(); err != nil {
		// A donation that has ended since needs no link.
		return river.JobCancel(err)
	}
	if err := s.cfg.Connect.CheckConnected(ctx, r.Campaign.Collective); err != nil {
		return err // the account may be connected again before the job's last attempt
	}
	// Only Stripe has the address.
	to, err := s.cfg.Stripe.CustomerEmail(ctx, r.StripeAccount, r.Customer)
	if err != nil {
		return err
	}
	if to == "" {
		// Another attempt would find no address either.
		return river.JobCancel(errors.New("no e-mail address of this donor at Stripe"))
	}
	// Each attempt of the job makes another token, since only the hash of an earlier one is stored.
	var token string
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		token, _, err = s.newTokenTx(ctx, tx, r.ID, kindLink, linkLife)
		return err
	})
	if err != nil {
		return err
	}
	// The page is in the language of the donation, which is also that of the mail.
	link := s.cfg.PublicURL + "/c/" + r.Campaign.Collective + "/" + r.Campaign.Campaign + "/monthly/" + r.ID.String() +
		"?" + url.Values{"token": {token}, "lang": {r.Locale}}.Encode()
	subject, text := linkMail(r.Locale, link)
	return s.cfg.Mail.Deliver(ctx, job.JobRow, mail.Message{
		To: to, Subject: subject, Text: text, ID: uuid.NewSHA1(r.ID, []byte(token)).String(),
	})
}

// insertTokenSQL stores a token by its hash. Whoever reads the database cannot open a page with that.
const insertTokenSQL = `
INSERT INTO donations.manage_tokens (
	hash,
	recurring,
	kind,
	expires_at
)
VALUES (
	@hash,
	@recurring,
	@kind,
	@expires_at
)`

// newTokenTx makes a token of 256 random bits and stores its hash.
func (s *Service) newTokenTx(ctx context.Context, tx pgx.Tx, recurring uuid.UUID, kind string, life time.Duration) (token string, expires time.Time, err error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails: https://pkg.go.dev/crypto/rand#Read
	token, expires = base64.RawURLEncoding.EncodeToString(secret), s.now().Add(life)
	_, err = tx.Exec(ctx, insertTokenSQL, pgx.NamedArgs{
		"hash": tokenHash(token), "recurring": recurring, "kind": kind, "expires_at": expires,
	})
	return token, expires, postgres.Error(err)
}

// tokenHash is a hash without a salt, which is enough for 256 random bits.
func tokenHash(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

// linkHolds are the conditions for a link's token. The token is found by its primary key. The last condition makes the
// campaign in the link's address count: it must be the donation's.
const linkHolds = `
WHERE t.hash = @hash
	AND t.recurring = @recurring
	AND t.kind = 'link'
	AND t.used_at IS NULL
	AND t.expires_at > @now
	AND EXISTS (
		SELECT
		FROM donations.recurring AS r
		WHERE r.id = t.recurring
			AND r.collective = @collective
			AND r.campaign = @campaign
	)`

// linkHoldsSQL returns an empty row if the link can be used, and changes nothing.
const linkHoldsSQL = `
SELECT
FROM donations.manage_tokens AS t` + linkHolds

// useLinkSQL uses the link up, under the same conditions. The row stays until it expires.
const useLinkSQL = `
UPDATE donations.manage_tokens AS t
SET used_at = @now` + linkHolds

// Opened is the monthly donation that a link opened, with the token for its page.
type Opened struct {
	Recurring Recurring
	// Disconnected: the collective's Stripe account is disconnected, so a pending change waits until it is connected again.
	Disconnected bool
	// Token is the page's, valid until ExpireTime.
	Token      string
	ExpireTime time.Time
}

// RedeemLink takes a link's token, once, and returns the monthly donation with a token for its page. It reads all that the
// answer needs before it uses up the link, so that a link survives a failing read. Errors: FAILED_PRECONDITION
// (LINK_INVALID), also for a donation that does not exist.
func (s *Service) RedeemLink(ctx context.Context, campaign campaigns.Name, id uuid.UUID, token string) (Opened, error) {
	invalid := errs.New(errorsv1.ErrorReason_LINK_INVALID, "The link has been used or has expired; request another one.")
	named := pgx.NamedArgs{
		"hash": tokenHash(token), "recurring": id, "collective": campaign.Collective, "campaign": campaign.Campaign, "now": s.now(),
	}
	tag, err := s.cfg.Pool.Exec(ctx, linkHoldsSQL, named)
	if err != nil {
		return Opened{}, postgres.Error(err)
	}
	if tag.RowsAffected() == 0 {
		return Opened{}, invalid
	}
	var o Opened
	if o.Recurring, err = s.GetRecurring(ctx, campaign, id); err != nil {
		return Opened{}, err
	}
	if o.Disconnected, err = s.disconnected(ctx, campaign.Collective); err != nil {
		return Opened{}, err
	}
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		// Of two calls at once the second waits here for the first, and finds the link used.
		tag, err := tx.Exec(ctx, useLinkSQL, named)
		if err != nil {
			return postgres.Error(err)
		}
		if tag.RowsAffected() == 0 {
			return invalid
		}
		o.Token, o.ExpireTime, err = s.newTokenTx(ctx, tx, id, kindPage, pageLife)
		return err
	})
	if err != nil {
		return Opened{}, err
	}
	return o, nil
}

// pageTokenSQL returns an empty row if the token is valid. A page's token can be used many times.
const pageTokenSQL = `
SELECT
FROM donations.manage_tokens AS t
WHERE t.hash = @hash
	AND t.recurring = @recurring
	AND t.kind = 'page'
	AND t.expires_at > @now`

// checkPageToken is FAILED_PRECONDITION (MANAGE_TOKEN_INVALID) unless the token was issued for this donation's page within
// the last 30 minutes.
func (s *Service) checkPageToken(ctx context.Context, id uuid.UUID, token string) error {
	tag, err := s.cfg.Pool.Exec(ctx, pageTokenSQL, pgx.NamedArgs{"hash": tokenHash(token), "recurring": id, "now": s.now()})
	if err != nil {
		return postgres.Error(err)
	}
	if tag.RowsAffected() == 0 {
		return errs.New(errorsv1.ErrorReason_MANAGE_TOKEN_INVALID, "The page has expired; request another link.")
	}
	return nil
}

// limitPage counts one call of a page that leads to calls to Stripe. Above the limit it is RESOURCE_EXHAUSTED
// (TOO_MANY_CHANGES) with the time to wait.
func (s *Service) limitPage(ctx context.Context, id uuid.UUID) error {
	now := s.now()
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		// The limit counts by donation, not by token: another link does not give more calls.
		wait, err := s.limits().TakeTx(ctx, tx, "donation pages", id.String(), pageLimit, now)
		if err != nil || wait == 0 {
			return err
		}
		e := errs.New(errorsv1.ErrorReason_TOO_MANY_CHANGES, "Too many changes were requested for this donation; wait before the next one.")
		e.RetryAfter = wait
		return e
	})
}

// PortalURL returns the address of a page at Stripe where the donor of a monthly donation changes the card. The page leads
// back to the first donation's page here. Errors: NOT_FOUND; FAILED_PRECONDITION: RECURRING_NOT_STARTED, RECURRING_ENDED,
// STRIPE_ACCOUNT_DISCONNECTED; UNAVAILABLE: STRIPE_UNAVAILABLE.
func (s *Service) PortalURL(ctx context.Context, campaign campaigns.Name, id uuid.UUID) (string, error) {
	r, err := s.GetRecurring(ctx, campaign, id)
	if err != nil {
		return "", err
	}
	if r.State == RecurringCanceled {
		return "", errs.New(errorsv1.ErrorReason_RECURRING_ENDED, "%s has ended.", r.Name())
	}
	if err := s.changeable(ctx, r); err != nil {
		return "", err
	}
	return s.cfg.Stripe.CreatePortalSession(ctx, r.StripeAccount, r.Customer, s.donationPage(r.Campaign, r.ID, r.Locale), r.Locale)
}
