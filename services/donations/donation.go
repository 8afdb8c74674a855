package donations

import (
	"context"
	"log/slog"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/connect"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fingerprint"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/places"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/notices"
	"github.com/cagnotte/cagnotte/services/wall"
)

// Donation is one donation.
type Donation struct {
	ID       uuid.UUID
	Campaign campaigns.Name
	// Amount is the whole, FeeCover the part of it that the donor added for the fee.
	Amount   money.Amount
	FeeCover money.Amount
	// Recurring is the monthly donation that it is a month of; Nil for a single one.
	Recurring uuid.UUID
	// Locale is the language that the donor chose, one of money.Languages.
	Locale string
	// ReturnURL is the page of the collective's own site to go back to; empty for none.
	ReturnURL string
	// StripeAccount is where the money goes; empty for the platform's own account.
	StripeAccount string
	Livemode      bool
	State         State
	// CheckoutSession is empty until Stripe answered with one.
	CheckoutSession string
	PaymentIntent   string
	// PaymentMethod is how it was paid, Stripe's word, such as card or sepa_debit; empty until its money is booked.
	PaymentMethod string
	CreateTime    time.Time
	UpdateTime    time.Time
	// ExpireTime is when the payment page closes; zero before there was an attempt to open one.
	ExpireTime time.Time
	// PayTime and BookTime are zero until then.
	PayTime  time.Time
	BookTime time.Time

	fingerprint  []byte
	attempt      int
	checkoutURL  string
	pollAttempts int
	lookTime     time.Time
	// RefundedMinor and DisputedMinor are what left Stripe's balance of the donation: by refunds, and by disputes that are open
	// or lost. A donation that was paid twice has a negative RefundedMinor until one payment is refunded. Their sum exceeds
	// the amount when the donation was paid back twice.
	RefundedMinor, DisputedMinor int64
	// fraudWarning: a card network warned of it, and a refund would still avoid the dispute.
	fraudWarning bool
	// failures is how often Stripe created no session; retryTime is when the next call may be made.
	failures  int
	retryTime time.Time
	declines  int
	// earlier are the sessions that it had before its page was opened again, reopenings times.
	earlier    []string
	reopenings int
}

// PayableURL is the page where the donation can be paid at that time; empty for none.
func (d Donation) PayableURL(now time.Time) string {
	if d.State != StateCreated || !now.Before(d.ExpireTime) {
		return ""
	}
	return d.checkoutURL
}

// FullyReturned reports whether all of a paid donation went back to its donor, by refunds and disputes. Of a donation that was
// paid twice, both payments must have gone back.
func (d Donation) FullyReturned() bool { return d.RefundedMinor+d.DisputedMinor >= d.Amount.Minor }

// Name returns the resource name, `collectives/{collective}/campaigns/{campaign}/donations/{donation}`.
func (d Donation) Name() string { return d.Campaign.String() + "/donations/" + d.ID.String() }

// Intent is what a donor asks for.
type Intent struct {
	Campaign campaigns.Name
	// RequestID is made by the caller, one for each donation, and repeated with each repeat of the request.
	RequestID uuid.UUID
	// Amount is what the collective receives, before the fee if CoverFee is false.
	Amount money.Amount
	// CoverFee: the donor adds the fee, as the campaign estimates it.
	CoverFee bool
	// Monthly starts a monthly donation, of which this donation is the first month.
	Monthly bool
	// Locale is one of money.Languages; "fr" when empty.
	Locale string
	// ReturnURL is on one of the campaign's origins; empty for none.
	ReturnURL string
	// Origin is the origin of the page that sends the request; empty when no browser does.
	Origin string
	// Address is where the request comes from; invalid when unknown. It is not stored.
	Address netip.Addr
	// Solution is that of a challenge of package wall; empty for none.
	Solution string
}

// fingerprint is what a request id stands for.
func (in Intent) fingerprint() []byte {
	return fingerprint.Of(fingerprint.Fields{
		"amount_minor": strconv.FormatInt(in.Amount.Minor, 10), "currency": string(in.Amount.Currency),
		"locale": in.Locale, "return_url": in.ReturnURL,
		"cover_fee": fingerprint.Flag(in.CoverFee), "monthly": fingerprint.Flag(in.Monthly),
	})
}

// Config is what a Service needs. Everything without a default is required.
type Config struct {
	Pool        *pgxpool.Pool
	Campaigns   *campaigns.Service
	Collectives *collectives.Service
	Notices     *notices.Service
	Connect     *connect.Service
	Ledger      *ledger.Service
	Stripe      *stripe.Client
	// Jobs inserts jobs; it need not work them.
	Jobs *river.Client[pgx.Tx]
	// PublicURL is the address of our pages, to which Stripe leads donors back. A slash at its end is ignored.
	PublicURL string
	// Wall judges and counts who starts a payment.
	Wall *wall.Service
	// SecretKey keys the hashes of networks for the limits of links.
	SecretKey []byte
	// CardWays close and open the card ways of campaigns. The default is made of Pool, Now and Metrics.
	CardWays *wall.CardWays
	// ReturnedTx is called in the transaction that books refunds, after them, with their donations locked; nothing when nil.
	ReturnedTx func(ctx context.Context, tx pgx.Tx, donations []uuid.UUID) error
	// Now returns the time, which must agree with Stripe's. The default is time.Now.
	Now func() time.Time
	// Logger gets what no caller is told. The default is slog.Default.
	Logger *slog.Logger
	// Mail sends donors the links to their monthly donations. None are sent when nil.
	Mail *mail.Sender
	// Metrics is where metrics are registered. None are when nil.
	Metrics prometheus.Registerer
}

// Service takes donations. It is safe for concurrent use.
type Service struct {
	cfg          Config
	publicOrigin string
	metrics      *metrics
	// waiting counts the requests that wait for one donation's session.
	waiting *places.Set
}

// New returns a Service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.CardWays == nil {
		cfg.CardWays = wall.NewCardWays(wall.CardWaysConfig{Pool: cfg.Pool, Now: cfg.Now, Metrics: cfg.Metrics})
	}
	cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	origin, _ := originOf(cfg.PublicURL)
	return &Service{cfg: cfg, publicOrigin: origin, metrics: newMetrics(cfg.Metrics), waiting: places.New(places.Config{All: allWaiting, Each: maxWaiting})}
}

// now is the time with the precision of Postgres, so that a write answers what a later read answers.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// allowed reports whether pages of the origin may start donations to the campaign, and be return addresses.
func (s *Service) allowed(c campaigns.Campaign, origin string) bool {
	return origin == s.publicOrigin || c.AllowsOrigin(origin)
}

// checkAmount applies the campaign's currency and bounds to the amount in the request's field.
func checkAmount(c campaigns.Campaign, field string, amount money.Amount) error {
	switch {
	case amount.Currency != c.Currency:
		return wrong(errorsv1.ErrorReason_CURRENCY_MISMATCH, field+".currency_code", "must be the campaign's, "+string(c.Currency))
	case amount.Minor < c.Minimum.Minor:
		return wrong(errorsv1.ErrorReason_AMOUNT_TOO_SMALL, field+".amount_minor", "must be at least "+c.Minimum.String())
	case amount.Minor > c.Maximum.Minor:
		return wrong(errorsv1.ErrorReason_AMOUNT_TOO_LARGE, field+".amount_minor", "must be at most "+c.Maximum.String())
	}
	return nil
}

// maxWholeMinor is the largest amount that Stripe takes: eight digits,
// https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts.
const maxWholeMinor = 99_999_999

// whole returns the amount to pay, and the part of it that covers the fee.
func (s *Service) whole(in Intent) (whole, feeCover money.Amount, err error) {
	whole, feeCover = in.Amount, money.Amount{Currency: in.Amount.Currency}
	if !in.CoverFee {
		return whole, feeCover, nil
	}
	estimate := s.cfg.Campaigns.FeeEstimate()
	if !estimate.Holds(in.Amount.Currency) {
		return whole, feeCover, wrong(errorsv1.ErrorReason_FEE_COVER_UNAVAILABLE, "cover_fee", "is not possible: the campaign has no fee_estimate")
	}
	whole = estimate.Whole(in.Amount)
	if whole.Minor > maxWholeMinor {
		return whole, feeCover, wrong(errorsv1.ErrorReason_AMOUNT_TOO_LARGE, "donation.amount.amount_minor", "is more than a card can pay, with the fee added")
	}
	feeCover.Minor = whole.Minor - in.Amount.Minor
	return whole, feeCover, nil
}

// checkReturnURL refuses return addresses outside the campaign's origins, so that we are no open redirect.
func (s *Service) checkReturnURL(c campaigns.Campaign, returnURL string) error {
	if returnURL == "" {
		return nil
	}
	if origin, ok := originOf(returnURL); !ok || !s.allowed(c, origin) {
		return wrong(errorsv1.ErrorReason_RETURN_URL_NOT_ALLOWED, "donation.return_url", "must be on one of the campaign's allowed origins")
	}
	return nil
}

func wrong(reason errs.Reason, field, description string) error {
	e := errs.New(reason, "The donation is refused: %s %s.", field, description)
	e.Fields = []errs.Field{{Field: field, Description: description}}
	return e
}

// originOf returns scheme, host and port of a web address as a browser's Origin header writes them. An address with a user
// name is refused, since people misread its host.
func originOf(address string) (origin string, ok bool) {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.Host == "" || u.Opaque != "" || (u.Scheme != "https" && u.Scheme != "http") {
		return "", false
	}
	// Browsers read a backslash as a slash and drop tabs and line breaks, so the host that they open would not be the one
	// that was checked.
	if strings.ContainsAny(address, "\\\t\r\n ") {
		return "", false
	}
	host := strings.ToLower(u.Host)
	if port := u.Port(); (u.Scheme == "https" && port == "443") || (u.Scheme == "http" && port == "80") {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host, true
}
