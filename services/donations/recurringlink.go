package donations

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/limit"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

const (
	// linkLife is how long a mailed link can be opened, and pageLife how long its token manages the donation from then on.
	linkLife, pageLife = 24 * time.Hour, 30 * time.Minute
	// maxLinks is how many mails one request for all links of an address leads to.
	maxLinks = 10
)

// linkLimit is for the links that one network asks for, donationLinkLimit for those of one donation: anybody who knows its
// name may ask, and its donor must not be flooded with mail. addressLimit is for the look-ups of one address, known or not.
// pageLimit is for the calls to Stripe of one donation's page.
var (
	linkLimit         = limit.Rate{Burst: 10, Interval: time.Minute}
	donationLinkLimit = limit.Rate{Burst: 3, Interval: 4 * time.Hour}
	addressLimit      = limit.Rate{Burst: 3, Interval: time.Hour}
	pageLimit         = limit.Rate{Burst: 10, Interval: time.Minute}
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
		if err := s.takeLinkTx(ctx, tx, "links", network.String(), linkLimit, now); err != nil {
			return err
		}
		r, err := oneRecurring(tx.Query(ctx, recurringByIDSQL, pgx.NamedArgs{"id": id}))
		if errors.Is(err, pgx.ErrNoRows) || (err == nil && (r.Campaign != campaign || !r.running() || r.Customer == "")) {
			return nil
		}
		if err != nil {
			return postgres.Error(err)
		}
		return s.queueLinkTx(ctx, tx, id, now)
	})
}

// takeLinkTx counts one request for links, or is RESOURCE_EXHAUSTED (TOO_MANY_LINKS) with the time to wait.
func (s *Service) takeLinkTx(ctx context.Context, tx pgx.Tx, what, whom string, rate limit.Rate, now time.Time) error {
	wait, err := s.limits().TakeTx(ctx, tx, what, whom, rate, now)
	if err != nil || wait == 0 {
		return err
	}
	e := errs.New(errorsv1.ErrorReason_TOO_MANY_LINKS, "Too many links were requested; wait before the next one.")
	e.RetryAfter = wait
	return e
}

// queueLinkTx queues the mail, unless too many were sent for this donation. That is no error, which would tell that there is
// such a donation.
func (s *Service) queueLinkTx(ctx context.Context, tx pgx.Tx, id uuid.UUID, now time.Time) error {
	if wait, err := s.limits().TakeTx(ctx, tx, "donation links", id.String(), donationLinkLimit, now); err != nil || wait > 0 {
		return err
	}
	_, err := s.cfg.Jobs.InsertTx(ctx, tx, linkArgs{Recurring: id}, nil)
	return postgres.Error(err)
}

// accountsOfRunningSQL returns the Stripe accounts of a collective's running monthly donations, by recurring_collective_idx.
const accountsOfRunningSQL = `
SELECT DISTINCT r.stripe_account
FROM donations.recurring AS r
WHERE r.collective = @collective
	AND r.state IN ('active', 'past_due')
	AND r.livemode = @livemode
ORDER BY r.stripe_account`

// runningOfCustomersSQL returns the running monthly donations of some customers with a collective, newest first.
const runningOfCustomersSQL = `
SELECT r.id
FROM donations.recurring AS r
WHERE r.collective = @collective
	AND r.state IN ('active', 'past_due')
	AND r.livemode = @livemode
	AND r.stripe_account = @account
	AND r.customer_id = ANY(@customers::text[])
ORDER BY
	r.created_at DESC,
	r.id DESC
LIMIT @count`

// RequestLinks queues a mail with a link for each running monthly donation that the address has with the collective,
// maxLinks at most. It returns nil as well where there is none, after the same call to Stripe, so that nobody learns who
// gives. Stripe has the address; here it is neither stored nor logged, and the mails go to the address that Stripe answers.
// Errors, which do not depend on the address: INVALID_ARGUMENT for what is no address; FAILED_PRECONDITION
// (MAIL_NOT_CONFIGURED, STRIPE_ACCOUNT_DISCONNECTED); UNAVAILABLE (STRIPE_UNAVAILABLE); RESOURCE_EXHAUSTED (TOO_MANY_LINKS).
func (s *Service) RequestLinks(ctx context.Context, collective, email string, network netip.Prefix) error {
	if !s.cfg.Mail.Enabled() {
		return errs.New(errorsv1.ErrorReason_MAIL_NOT_CONFIGURED, "This service sends no mail.")
	}
	if err := mail.CheckAddress(email); err != nil {
		return errs.Invalid("email", "%v", err)
	}
	now, lower := s.now(), strings.ToLower(email)
	err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := s.takeLinkTx(ctx, tx, "links", network.String(), linkLimit, now); err != nil {
			return err
		}
		return s.takeLinkTx(ctx, tx, "address links", collective+"\n"+lower, addressLimit, now)
	})
	if err != nil {
		return err
	}
	named := pgx.NamedArgs{"collective": collective, "livemode": s.cfg.Stripe.Livemode(), "count": maxLinks}
	rows, err := s.cfg.Pool.Query(ctx, accountsOfRunningSQL, named)
	if err != nil {
		return postgres.Error(err)
	}
	accounts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(accounts) == 0 {
		return postgres.Error(err)
	}
	if err := s.cfg.Connect.CheckConnected(ctx, collective); err != nil {
		return err
	}
	// Stripe tells capitals from small letters, and donors do not.
	addresses := slices.Compact([]string{email, lower})
	for _, account := range accounts {
		var customers []string
		for _, address := range addresses {
			found, err := s.cfg.Stripe.CustomersByEmail(ctx, account, address)
			if err != nil {
				return err
			}
			customers = append(customers, found...)
		}
		named["account"], named["customers"] = account, customers
		rows, err := s.cfg.Pool.Query(ctx, runningOfCustomersSQL, named)
		if err != nil {
			return postgres.Error(err)
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		if err != nil {
			return postgres.Error(err)
		}
		for _, id := range ids {
			// A transaction for each, since each locks the row of its limit.
			if err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
				return s.queueLinkTx(ctx, tx, id, now)
			}); err != nil {
				return err
			}
		}
	}
	return nil
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
	to, names, err := s.readerOf(ctx, r)
	if err != nil {
		return err
	}
	// Each attempt of the job makes another token, since only the hash of an earlier one is stored.
	var token string
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		token, err = s.newTokenTx(ctx, tx, r.ID)
		return err
	})
	if err != nil {
		return err
	}
	// The page is in the language of the donation, which is also that of the mail.
	link := s.managePage(r, names) + "?" + url.Values{"token": {token}, "lang": {r.Locale}}.Encode()
	subject, text := linkMail(r, names, link)
	return s.cfg.Mail.Deliver(ctx, job.JobRow, mail.Message{
		To: to, Subject: subject, Text: text, ID: uuid.NewSHA1(r.ID, []byte(token)).String(),
	})
}

// managePage is the address of a monthly donation's page, without its query. By itself it opens nothing. It names no more than
// the mail may.
func (s *Service) managePage(r Recurring, names mailNames) string {
	return s.pageBase(r.Campaign, names == mailNames{}) + "/monthly/" + r.ID.String()
}

// mailNames are what a mail calls the collective and the campaign; zero where the collective asks for discretion.
type mailNames struct{ collective, campaign string }

// readerOf reads the donor's address at Stripe, which is not stored, and the names for the mail. Where there is no address
// the error cancels the job.
func (s *Service) readerOf(ctx context.Context, r Recurring) (to string, names mailNames, err error) {
	if err := s.cfg.Connect.CheckConnected(ctx, r.Campaign.Collective); err != nil {
		return "", names, err // the account may be connected again before the job's last attempt
	}
	collective, err := s.cfg.Collectives.Get(ctx, r.Campaign.Collective)
	if err != nil {
		return "", names, err
	}
	if !collective.Discreet {
		campaign, err := s.cfg.Campaigns.Get(ctx, r.Campaign)
		if err != nil {
			return "", names, err
		}
		names = mailNames{collective: collective.DisplayName, campaign: campaign.Title(r.Locale)}
	}
	to, err = s.cfg.Stripe.CustomerEmail(ctx, r.StripeAccount, r.Customer)
	if err == nil && to == "" {
		// Another attempt would find no address either.
		err = river.JobCancel(errors.New("no e-mail address of this donor at Stripe"))
	}
	return to, names, err
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
	'link',
	@expires_at
)`

// newTokenTx makes a link's token of 256 random bits and stores its hash.
func (s *Service) newTokenTx(ctx context.Context, tx pgx.Tx, recurring uuid.UUID) (token string, err error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails: https://pkg.go.dev/crypto/rand#Read
	token = base64.RawURLEncoding.EncodeToString(secret)
	_, err = tx.Exec(ctx, insertTokenSQL, pgx.NamedArgs{
		"hash": tokenHash(token), "recurring": recurring, "expires_at": s.now().Add(linkLife),
	})
	return token, postgres.Error(err)
}

// tokenHash is a hash without a salt, which is enough for 256 random bits.
func tokenHash(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

// linkHolds are the conditions for a link that can be opened, or was opened at @since or later. Its token is found by its
// primary key. The last condition makes the campaign in the link's address count: it must be the donation's.
const linkHolds = `
WHERE t.hash = @hash
	AND t.recurring = @recurring
	AND t.kind = 'link'
	AND CASE WHEN t.used_at IS NULL THEN t.expires_at > @now ELSE t.used_at > @since END
	AND EXISTS (
		SELECT
		FROM donations.recurring AS r
		WHERE r.id = t.recurring
			AND r.collective = @collective
			AND r.campaign = @campaign
	)`

// linkHoldsSQL returns a row if the link can be opened or is open, with when it was opened, and changes nothing.
const linkHoldsSQL = `
SELECT t.used_at
FROM donations.manage_tokens AS t` + linkHolds

// openLinkSQL opens the link, under the same conditions. A repeat leaves the time of its opening. The row stays until it is
// over: see forgetTokensSQL.
const openLinkSQL = `
UPDATE donations.manage_tokens AS t
SET used_at = coalesce(t.used_at, @now)` + linkHolds + `
RETURNING t.used_at`

// linkArguments name a link of a donation, for these statements.
func (s *Service) linkArguments(campaign campaigns.Name, id uuid.UUID, token string) pgx.NamedArgs {
	now := s.now()
	return pgx.NamedArgs{
		"hash": tokenHash(token), "recurring": id, "collective": campaign.Collective, "campaign": campaign.Campaign,
		"now": now, "since": now.Add(-pageLife),
	}
}

// Opened is the monthly donation that a link opened.
type Opened struct {
	Recurring Recurring
	// Disconnected: the collective's Stripe account is disconnected, so a pending change waits until it is connected again.
	Disconnected bool
	// ExpireTime is until when the link's token manages it.
	ExpireTime time.Time
}

// RedeemLink opens a link: its token manages the monthly donation for pageLife from then on. A repeat within that time
// returns the same, since a browser may lose the answer. It reads all that the answer needs before it opens the link, so that a
// link survives a failing read. Errors: FAILED_PRECONDITION (LINK_INVALID), also for a donation that does not exist.
func (s *Service) RedeemLink(ctx context.Context, campaign campaigns.Name, id uuid.UUID, token string) (Opened, error) {
	invalid := errs.New(errorsv1.ErrorReason_LINK_INVALID, "The link has been used or has expired; request another one.")
	named := s.linkArguments(campaign, id, token)
	var opened *time.Time
	err := s.cfg.Pool.QueryRow(ctx, linkHoldsSQL, named).Scan(&opened)
	if errors.Is(err, pgx.ErrNoRows) {
		return Opened{}, invalid
	}
	if err != nil {
		return Opened{}, postgres.Error(err)
	}
	var o Opened
	if o.Recurring, err = s.GetRecurring(ctx, campaign, id); err != nil {
		return Opened{}, err
	}
	if o.Disconnected, err = s.disconnected(ctx, campaign.Collective); err != nil {
		return Opened{}, err
	}
	// Of two calls at once the second waits here for the first, and finds the time of its opening.
	err = s.cfg.Pool.QueryRow(ctx, openLinkSQL, named).Scan(&opened)
	if errors.Is(err, pgx.ErrNoRows) {
		return Opened{}, invalid
	}
	if err != nil {
		return Opened{}, postgres.Error(err)
	}
	o.ExpireTime = opened.UTC().Add(pageLife)
	return o, nil
}

// ShowRecurring returns the monthly donation to its donor and opens no link. Errors: FAILED_PRECONDITION: LINK_UNOPENED where
// RedeemLink would open the link, MANAGE_TOKEN_INVALID otherwise, also for a donation that does not exist.
func (s *Service) ShowRecurring(ctx context.Context, campaign campaigns.Name, id uuid.UUID, token string) (Recurring, error) {
	var opened *time.Time
	err := s.cfg.Pool.QueryRow(ctx, linkHoldsSQL, s.linkArguments(campaign, id, token)).Scan(&opened)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Recurring{}, errManageToken()
	case err != nil:
		return Recurring{}, postgres.Error(err)
	case opened == nil:
		return Recurring{}, errs.New(errorsv1.ErrorReason_LINK_UNOPENED, "The link has not been opened yet.")
	}
	return s.GetRecurring(ctx, campaign, id)
}

// manageTokenSQL returns an empty row if the token manages the donation. It can be used many times.
const manageTokenSQL = `
SELECT
FROM donations.manage_tokens AS t
WHERE t.hash = @hash
	AND t.recurring = @recurring
	AND t.kind = 'link'
	AND t.used_at > @since`

// checkManageToken is FAILED_PRECONDITION (MANAGE_TOKEN_INVALID) unless the token is of a link to this donation that was
// opened within the last 30 minutes.
func (s *Service) checkManageToken(ctx context.Context, id uuid.UUID, token string) error {
	tag, err := s.cfg.Pool.Exec(ctx, manageTokenSQL, pgx.NamedArgs{
		"hash": tokenHash(token), "recurring": id, "since": s.now().Add(-pageLife),
	})
	if err != nil {
		return postgres.Error(err)
	}
	if tag.RowsAffected() == 0 {
		return errManageToken()
	}
	return nil
}

func errManageToken() error {
	return errs.New(errorsv1.ErrorReason_MANAGE_TOKEN_INVALID, "The page has expired; request another link.")
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
// STRIPE_ACCOUNT_DISCONNECTED; UNAVAILABLE: STRIPE_UNAVAILABLE; those of [wall.Service.Check], since cards can be tried there.
func (s *Service) PortalURL(ctx context.Context, campaign campaigns.Name, id uuid.UUID, from Visit) (string, error) {
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
	collective, err := s.cfg.Collectives.Get(ctx, campaign.Collective)
	if err != nil {
		return "", err
	}
	attempt := from.attempt(r, money.Amount{})
	if err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		return s.cfg.Wall.TakeTx(ctx, tx, attempt)
	}); err != nil {
		return "", err
	}
	page := s.donationPage(r.Campaign, r.ID, r.Locale, collective.Discreet)
	return s.cfg.Stripe.CreatePortalSession(ctx, r.StripeAccount, r.Customer, page, r.Locale)
}
