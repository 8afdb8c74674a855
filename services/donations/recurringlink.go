package donations

import (
	"context"
	"crypto/hmac"
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
	// linkLife is how long a mailed link is good, pageLife how long the page that it opened is.
	linkLife, pageLife = 24 * time.Hour, 30 * time.Minute
	kindLink, kindPage = "link", "page"
)

// How often links are asked for, by one network and for one donation: whoever knows its address may ask, and its donor
// must not be flooded with mail. And how often the page of one donation asks something of Stripe, whose calls all share.
var (
	linkLimit         = Limit{Burst: 10, Interval: time.Minute}
	donationLinkLimit = Limit{Burst: 3, Interval: 4 * time.Hour}
	pageLimit         = Limit{Burst: 10, Interval: time.Minute}
)

// linkArgs asks to mail a link. Neither the token nor the address is in it: both are made and read by the job.
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

// limitKeyOf is limitKey for what is no network's donations.
func (s *Service) limitKeyOf(what, whom string, now time.Time) []byte {
	mac := hmac.New(sha256.New, s.cfg.SecretKey)
	mac.Write([]byte("donations." + what + "\n" + now.UTC().Format(time.DateOnly) + "\n" + whom))
	return mac.Sum(nil)[:16]
}

// RequestLink has a link mailed to the donor of a monthly donation that goes on, and says nothing of whether there is
// one. Errors: FAILED_PRECONDITION (MAIL_NOT_CONFIGURED, and STRIPE_ACCOUNT_DISCONNECTED, whatever donation is asked for,
// since only Stripe knows the address), RESOURCE_EXHAUSTED (TOO_MANY_LINKS).
func (s *Service) RequestLink(ctx context.Context, campaign campaigns.Name, id uuid.UUID, network netip.Prefix) error {
	if !s.cfg.Mail.Enabled() {
		return errs.New(errorsv1.ErrorReason_MAIL_NOT_CONFIGURED, "This service sends no mail.")
	}
	if err := s.checkPublished(ctx, campaign); err != nil {
		return err
	}
	now := s.now()
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		wait, err := takeKeyTx(ctx, tx, s.limitKeyOf("links", network.String(), now), linkLimit, now)
		if err != nil {
			return err
		}
		if wait > 0 {
			e := errs.New(errorsv1.ErrorReason_TOO_MANY_LINKS, "Many links were asked for from here; wait a little.")
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
		// Who waits for a mail is told nothing else than who has no donation.
		if wait, err := takeKeyTx(ctx, tx, s.limitKeyOf("donation links", id.String(), now), donationLinkLimit, now); err != nil || wait > 0 {
			return err
		}
		_, err = s.cfg.Jobs.InsertTx(ctx, tx, linkArgs{Recurring: id}, nil)
		return postgres.Error(err)
	})
}

// checkPublished is CheckConnected for a campaign that everybody can see. Of others it says nothing, not even that they
// are there.
func (s *Service) checkPublished(ctx context.Context, name campaigns.Name) error {
	campaign, err := s.cfg.Campaigns.Get(ctx, name)
	switch {
	case err != nil && errs.As(err).Code == codes.NotFound, err == nil && campaign.State == campaigns.StateDraft:
		return nil
	case err != nil:
		return err
	}
	return s.cfg.Collectives.CheckConnected(ctx, name.Collective)
}

// mailLink makes a token, reads the donor's address at Stripe and mails the link. The address is kept nowhere.
func (s *Service) mailLink(ctx context.Context, job *river.Job[linkArgs]) error {
	r, err := oneRecurring(s.cfg.Pool.Query(ctx, recurringByIDSQL, pgx.NamedArgs{"id": job.Args.Recurring}))
	if err != nil {
		return postgres.Error(err)
	}
	if err := r.started(); err != nil {
		return river.JobCancel(err)
	}
	if err := s.cfg.Collectives.CheckConnected(ctx, r.Campaign.Collective); err != nil {
		return err // it may be back before the mail is given up
	}
	to, err := s.cfg.Stripe.CustomerEmail(ctx, r.StripeAccount, r.Customer)
	if err != nil {
		return err
	}
	if to == "" {
		return river.JobCancel(errors.New("no address of this donor is known at Stripe"))
	}
	var token string
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		token, _, err = s.newTokenTx(ctx, tx, r.ID, kindLink, linkLife)
		return err
	})
	if err != nil {
		return err
	}
	link := s.cfg.PublicURL + "/c/" + r.Campaign.Collective + "/" + r.Campaign.Campaign + "/monthly/" + r.ID.String() +
		"?" + url.Values{"token": {token}, "lang": {r.Locale}}.Encode()
	subject, text := linkMail(r.Locale, link)
	return s.cfg.Mail.Deliver(ctx, job.JobRow, mail.Message{
		To: to, Subject: subject, Text: text, ID: uuid.NewSHA1(r.ID, []byte(token)).String(),
	})
}

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

// newTokenTx makes a token of 256 random bits and keeps its hash.
func (s *Service) newTokenTx(ctx context.Context, tx pgx.Tx, recurring uuid.UUID, kind string, life time.Duration) (token string, expires time.Time, err error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails: https://pkg.go.dev/crypto/rand#Read
	token, expires = base64.RawURLEncoding.EncodeToString(secret), s.now().Add(life)
	_, err = tx.Exec(ctx, insertTokenSQL, pgx.NamedArgs{
		"hash": tokenHash(token), "recurring": recurring, "kind": kind, "expires_at": expires,
	})
	return token, expires, postgres.Error(err)
}

func tokenHash(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

// linkHolds is what a link's token must fulfil.
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

const linkHoldsSQL = `
SELECT
FROM donations.manage_tokens AS t` + linkHolds

const useLinkSQL = `
UPDATE donations.manage_tokens AS t
SET used_at = @now` + linkHolds

// Opened is what a link opens.
type Opened struct {
	Recurring Recurring
	// Disconnected: the collective's Stripe account is disconnected, so a pending change waits until it is connected again.
	Disconnected bool
	// Token is the open page's, until ExpireTime.
	Token      string
	ExpireTime time.Time
}

// RedeemLink takes a link's token, once, and returns the monthly donation with a token for its page. All that the answer
// needs is read before the link is used up, so that a failing read leaves it good. Errors: FAILED_PRECONDITION
// (LINK_INVALID), for a donation that is not there too.
func (s *Service) RedeemLink(ctx context.Context, campaign campaigns.Name, id uuid.UUID, token string) (Opened, error) {
	invalid := errs.New(errorsv1.ErrorReason_LINK_INVALID, "The link was used, or is too old; ask for another.")
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
		// Of two at once the second waits here for the first, and finds it used.
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

const pageTokenSQL = `
SELECT
FROM donations.manage_tokens AS t
WHERE t.hash = @hash
	AND t.recurring = @recurring
	AND t.kind = 'page'
	AND t.expires_at > @now`

// checkPageToken is FAILED_PRECONDITION (MANAGE_TOKEN_INVALID) unless the token was given to the donor of this donation
// within the last half hour.
func (s *Service) checkPageToken(ctx context.Context, id uuid.UUID, token string) error {
	tag, err := s.cfg.Pool.Exec(ctx, pageTokenSQL, pgx.NamedArgs{"hash": tokenHash(token), "recurring": id, "now": s.now()})
	if err != nil {
		return postgres.Error(err)
	}
	if tag.RowsAffected() == 0 {
		return errs.New(errorsv1.ErrorReason_MANAGE_TOKEN_INVALID, "The page was open for too long; ask for another link.")
	}
	return nil
}

// limitPage counts one thing that an open page asks of Stripe, or is RESOURCE_EXHAUSTED (TOO_MANY_CHANGES) with the
// time to wait.
func (s *Service) limitPage(ctx context.Context, id uuid.UUID) error {
	now := s.now()
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		wait, err := takeKeyTx(ctx, tx, s.limitKeyOf("donation pages", id.String(), now), pageLimit, now)
		if err != nil || wait == 0 {
			return err
		}
		e := errs.New(errorsv1.ErrorReason_TOO_MANY_CHANGES, "Much was asked for here; wait a little.")
		e.RetryAfter = wait
		return e
	})
}

// PortalURL returns the address of a page at Stripe where the donor of a monthly donation changes the card. It leads
// back to the first donation's page. Errors: NOT_FOUND; FAILED_PRECONDITION: RECURRING_NOT_STARTED, RECURRING_ENDED,
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
