package app

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	approvalsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/approvals/v1"
	auditv1 "github.com/cagnotte/cagnotte/proto/cagnotte/audit/v1"
	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	connectv1 "github.com/cagnotte/cagnotte/proto/cagnotte/connect/v1"
	disputesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/disputes/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	exportsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
	imagesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/images/v1"
	instancev1 "github.com/cagnotte/cagnotte/proto/cagnotte/instance/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	overviewv1 "github.com/cagnotte/cagnotte/proto/cagnotte/overview/v1"
	payoutsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/payouts/v1"
	receiptsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/receipts/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/approvals"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/bank"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/connect"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/exports"
	"github.com/cagnotte/cagnotte/services/images"
	"github.com/cagnotte/cagnotte/services/instance"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/notices"
	"github.com/cagnotte/cagnotte/services/overview"
	"github.com/cagnotte/cagnotte/services/payouts"
	"github.com/cagnotte/cagnotte/services/receipts"
	"github.com/cagnotte/cagnotte/services/refunds"
	"github.com/cagnotte/cagnotte/services/treasury"
	"github.com/cagnotte/cagnotte/services/wall"
	"github.com/cagnotte/cagnotte/services/webhooks"
)

// services are the services of the program, each by its package's name.
type services struct {
	stripe      *stripe.Client
	access      *access.Service
	audit       *audit.Service
	notices     *notices.Service
	approvals   *approvals.Service
	collectives *collectives.Service
	connect     *connect.Service
	campaigns   *campaigns.Service
	ledger      *ledger.Service
	wall        *wall.Service
	donations   *donations.Service
	refunds     *refunds.Service
	receipts    *receipts.Service
	treasury    *treasury.Service
	bank        *bank.Service
	payouts     *payouts.Service
	webhooks    *webhooks.Service
	instance    *instance.Service
}

// wire makes every service from the settings and registers it on the gRPC server. The order is that of dependencies:
// each service is made of those before it.
func (a *App) wire(ctx context.Context, cfg Config, registry *prometheus.Registry) (err error) {
	if a.pool, err = postgres.Open(ctx, postgres.Config{URL: cfg.DatabaseURL, Role: postgres.ServiceRole}); err != nil {
		return err
	}
	s := &services{}
	// Fits is called when Stripe has rejected a key: the next one is used only if it is bound to the same books.
	s.stripe, err = stripe.New(stripe.Config{
		APIKey: cfg.StripeAPIKey, Fits: a.bindKey, BaseURL: cfg.StripeAPIBase, Rate: cfg.StripeRate, Metrics: registry,
	})
	if err != nil {
		return fmt.Errorf("STRIPE_API_KEY: %w", err)
	}
	// This client only inserts jobs. The one that works them is made in startJobs, once the program is ready.
	jobs, err := river.NewClient(riverpgxv5.New(a.pool), &river.Config{Schema: postgres.RiverSchema, Logger: cfg.Logger})
	if err != nil {
		return fmt.Errorf("app: make the job client: %w", err)
	}

	sender, err := mail.New(mail.Config{URL: cfg.SMTPURL, Now: cfg.Now, Metrics: registry})
	if err != nil {
		return err
	}
	if !sender.Enabled() {
		a.logger.Warn("SMTP_URL is not set: no mail is sent, and members see notices only where they look")
	}
	s.notices = notices.New(notices.Config{
		Pool: a.pool, Jobs: jobs, Mail: sender, OperatorEmails: cfg.AlertEmails, PublicURL: cfg.PublicURL, Now: cfg.Now, Metrics: registry,
	})
	s.access = access.New(access.Config{
		Pool: a.pool, Now: cfg.Now, Jobs: jobs, Mail: sender, PublicURL: cfg.PublicURL, SecretKey: cfg.SecretKey,
		// Collectives are made later.
		AlsoForget: func(ctx context.Context) error { return s.collectives.ForgetApplicants(ctx) },
		TellTx:     s.notices.TellKeyTx, GuardKeyTx: s.guardKeyTx, GuardPeopleTx: s.guardPeopleTx, WithdrawTx: s.withdrawTx, TellPeopleTx: s.notices.TellPeopleTx, AuditTx: auditAccessTx,
	})
	s.audit = audit.New(audit.Config{Pool: a.pool, SecretKey: cfg.SecretKey, Now: cfg.Now})
	s.approvals = s.newApprovals(approvals.Config{Pool: a.pool, Notices: s.notices, Now: cfg.Now})
	s.collectives = collectives.New(collectives.Config{
		Pool: a.pool, Notices: s.notices, Approvals: s.approvals, Jobs: jobs, Mail: sender, SecretKey: cfg.SecretKey, Now: cfg.Now,
		InviteTx: func(ctx context.Context, tx pgx.Tx, i collectives.Invitation) error {
			return s.access.InviteFirstTx(ctx, tx, i.Collective, i.Email, i.Language)
		},
		// Campaigns are made after collectives, so s.campaigns is read at the call.
		Published: func(ctx context.Context, collective string) (bool, error) {
			return s.campaigns.Published(ctx, collective)
		},
	})
	s.connect = connect.New(connect.Config{
		Pool: a.pool, Collectives: s.collectives, Notices: s.notices, Stripe: s.stripe, Jobs: jobs, PublicURL: cfg.PublicURL, Now: cfg.Now,
	})
	cardWays := wall.NewCardWays(wall.CardWaysConfig{Pool: a.pool, Now: cfg.Now, Metrics: registry})
	s.campaigns = campaigns.New(campaigns.Config{
		CardsPaused: func(ctx context.Context, names []campaigns.Name) (map[campaigns.Name]bool, error) {
			return cardsPaused(ctx, cardWays, names)
		},
		Pool: a.pool, FeeEstimate: cfg.FeeEstimate, TakingDonations: s.connect.TakingDonations, SecretKey: cfg.SecretKey, Logger: cfg.Logger, Now: cfg.Now,
	})
	// The treasury and the bank reverse their own transactions, because they store more about them than the books do.
	s.ledger = ledger.New(ledger.Config{
		Pool: a.pool, Chart: cfg.Chart, SecretKey: cfg.SecretKey, Now: cfg.Now, ReversedElsewhere: slices.Concat(treasury.References(), bank.References()),
		Metrics: registry,
	})
	s.wall = wall.New(wall.Config{Pool: a.pool, SecretKey: cfg.SecretKey, Limits: cfg.Wall, Now: cfg.Now, Metrics: registry})
	s.donations = donations.New(donations.Config{
		Pool:        a.pool,
		Campaigns:   s.campaigns,
		Collectives: s.collectives,
		Notices:     s.notices,
		Connect:     s.connect,
		Ledger:      s.ledger,
		Stripe:      s.stripe,
		Jobs:        jobs,
		PublicURL:   cfg.PublicURL,
		SecretKey:   cfg.SecretKey,
		CardWays:    cardWays,
		Wall:        s.wall,
		Now:         cfg.Now,
		Mail:        sender,
		Logger:      cfg.Logger,
		Metrics:     registry,
		// Receipts are made later, so s.receipts is read at the call.
		ReturnedTx: func(ctx context.Context, tx pgx.Tx, donations []uuid.UUID) error {
			return s.receipts.CancelReturnedTx(ctx, tx, donations)
		},
	})
	s.refunds = refunds.New(refunds.Config{
		Pool: a.pool, Donations: s.donations, Collectives: s.collectives, Notices: s.notices, Connect: s.connect, Stripe: s.stripe, Jobs: jobs, Now: cfg.Now,
		LostTx: func(ctx context.Context, tx pgx.Tx, donation uuid.UUID) error {
			return s.receipts.CancelLostTx(ctx, tx, donation)
		},
	})
	s.treasury = treasury.New(treasury.Config{
		Pool:        a.pool,
		Campaigns:   s.campaigns,
		Collectives: s.collectives,
		Ledger:      s.ledger,
		Wall:        s.wall,
		// The bank needs the treasury and is made after it, so s.bank is read at the call.
		Banked: func(ctx context.Context, collective string) error { return s.bank.Recognise(ctx, collective) },
		ReversedTx: func(ctx context.Context, tx pgx.Tx, donation uuid.UUID) error {
			return s.receipts.CancelReversedTx(ctx, tx, donation)
		},
		PublicURL: cfg.PublicURL,
		Now:       cfg.Now,
	})
	s.receipts = receipts.New(receipts.Config{
		Pool: a.pool, Collectives: s.collectives, Donations: s.donations, Treasury: s.treasury, Approvals: s.approvals, Notices: s.notices,
		Mail: sender, Now: cfg.Now,
	})
	s.bank = bank.New(bank.Config{
		Pool: a.pool, Collectives: s.collectives, Ledger: s.ledger, Treasury: s.treasury, Notices: s.notices,
		SecretKey: cfg.SecretKey, Now: cfg.Now,
	})
	s.payouts = payouts.New(payouts.Config{
		Pool: a.pool, Stripe: s.stripe, Ledger: s.ledger, Collectives: s.collectives, Notices: s.notices, Banked: s.bank.Recognise,
		Now: cfg.Now, Logger: cfg.Logger, Metrics: registry,
	})
	s.webhooks = webhooks.New(webhooks.Config{
		Pool:           a.pool,
		Donations:      s.donations,
		Refunds:        s.refunds,
		Collectives:    s.collectives,
		Notices:        s.notices,
		Connect:        s.connect,
		Ledger:         s.ledger,
		Payouts:        s.payouts,
		Stripe:         s.stripe,
		Jobs:           jobs,
		Secrets:        cfg.StripeWebhookSecrets,
		ConnectSecrets: cfg.StripeConnectWebhookSecrets,
		SecretKey:      cfg.SecretKey,
		SyncEvery:      cfg.SyncEvery,
		Now:            cfg.Now,
		Logger:         cfg.Logger,
		Metrics:        registry,
	})

	s.instance = instance.New(instance.Config{
		Pool: a.pool, Stripe: s.stripe, Webhooks: s.webhooks, Connect: s.connect, Collectives: s.collectives, Notices: s.notices,
		Ledger: s.ledger, Audit: s.audit, Jobs: jobs, Mail: sender, SMTPURL: cfg.SMTPURL, PublicURL: cfg.PublicURL, SecretKey: cfg.SecretKey,
		CallerAddress: s.access.CallerAddress, Version: version(), Now: cfg.Now,
	})

	a.services = s
	if a.rpc, err = rpc.NewServer(rpc.Config{
		Authenticate: s.access.Authenticate, Logger: cfg.Logger, Metrics: registry, Bodies: a.bodies, WriteLimit: cfg.WriteLimit,
		Authorize: cfg.authorize,
	}); err != nil {
		return err
	}
	// A collective's book is that of the Stripe account that its donations go to.
	bookOf := func(ctx context.Context, collective string) (string, error) {
		c, err := s.collectives.Get(ctx, collective)
		return c.StripeAccount, err
	}
	// A collective is known to all when it has published a campaign, and before to its own members.
	publicBookOf := func(ctx context.Context, collective string) (string, error) {
		book, err := bookOf(ctx, collective)
		if err != nil || access.PrincipalFrom(ctx).Sees(collective) {
			return book, err
		}
		published, err := s.campaigns.Published(ctx, collective)
		if err == nil && !published {
			err = errs.NotFound("collectives/" + collective)
		}
		return book, err
	}
	// The chart of a book with several collectives is everybody's.
	mayAddAccount := func(ctx context.Context, collective string) error {
		if access.PrincipalFrom(ctx).IsOperator() {
			return nil
		}
		book, err := bookOf(ctx, collective)
		if err != nil {
			return err
		}
		sole, err := s.collectives.SoleOwner(ctx, book)
		if err == nil && sole != collective {
			err = errs.New(errorsv1.ErrorReason_SHARED_CHART, "Several collectives have this book, and so this chart: the operator adds accounts to it.")
		}
		return err
	}
	healthv1.RegisterHealthServer(a.rpc, a.health)
	accessv1.RegisterAccessServiceServer(a.rpc, access.NewServer(s.access))
	auditv1.RegisterAuditServiceServer(a.rpc, audit.NewServer(s.audit))
	network := func(ctx context.Context) netip.Prefix { return rpc.CallerFrom(ctx).Network }
	accessv1.RegisterSignInServiceServer(a.rpc, access.NewSignInServer(s.access, network))
	accessv1.RegisterMembersServiceServer(a.rpc, access.NewMembersServer(s.access, network))
	collectivesv1.RegisterCollectivesServiceServer(a.rpc, collectives.NewServer(s.collectives))
	collectivesv1.RegisterApplicationsServiceServer(a.rpc, collectives.NewApplicationServer(s.collectives))
	instancev1.RegisterInstanceServiceServer(a.rpc, instance.NewServer(s.instance))
	approvalsv1.RegisterApprovalsServiceServer(a.rpc, approvals.NewServer(s.approvals))
	noticesv1.RegisterNoticesServiceServer(a.rpc, notices.NewServer(s.notices))
	connectv1.RegisterConnectServiceServer(a.rpc, connect.NewServer(s.connect))
	campaignsv1.RegisterCampaignsServiceServer(a.rpc, campaigns.NewServer(s.campaigns, s.treasury.WithSpent(s.donations.Progress)))
	campaignsv1.RegisterNewsServiceServer(a.rpc, campaigns.NewNewsServer(s.campaigns))
	imagesv1.RegisterImagesServiceServer(a.rpc, images.NewServer(images.New(images.Config{Pool: a.pool, Now: cfg.Now})))
	donationsv1.RegisterDonationsServiceServer(a.rpc, donations.NewServer(s.donations))
	recurringv1.RegisterRecurringServiceServer(a.rpc, donations.NewRecurringServer(s.donations))
	receiptsv1.RegisterReceiptsServiceServer(a.rpc, receipts.NewServer(s.receipts))
	refundsv1.RegisterRefundsServiceServer(a.rpc, refunds.NewServer(s.refunds))
	disputesv1.RegisterDisputesServiceServer(a.rpc, refunds.NewDisputeServer(s.refunds))
	treasuryv1.RegisterTreasuryServiceServer(a.rpc, treasury.NewServer(s.treasury))
	bankv1.RegisterBankServiceServer(a.rpc, bank.NewServer(s.bank))
	webhooksv1.RegisterWebhooksServiceServer(a.rpc, webhooks.NewServer(s.webhooks))
	ledgerv1.RegisterLedgerServiceServer(a.rpc, ledger.NewServer(s.ledger, ledger.ServerConfig{
		BookOf: bookOf, PublicBookOf: publicBookOf, MayAddAccount: mayAddAccount,
		HoldCampaignTx: func(ctx context.Context, tx pgx.Tx, collective, campaign string) error {
			return campaigns.HoldTx(ctx, tx, campaigns.Name{Collective: collective, Campaign: campaign})
		},
	}))
	overviewv1.RegisterOverviewServiceServer(a.rpc, overview.NewServer(overview.New(overview.Config{
		Pool: a.pool, Campaigns: s.campaigns, Collectives: s.collectives, Now: cfg.Now,
	})))
	payoutsv1.RegisterPayoutsServiceServer(a.rpc, payouts.NewServer(s.payouts))
	exportsv1.RegisterExportsServiceServer(a.rpc, exports.NewServer(exports.New(exports.Config{
		Ledger: s.ledger, Collectives: s.collectives, Payouts: s.payouts, Documents: documentsOf(a.pool), Pace: exports.DefaultPace,
	})))
	return nil
}

// auditAccessTx writes the audit log for access, which audit imports.
func auditAccessTx(ctx context.Context, tx pgx.Tx, c access.AuditChange) error {
	return audit.WriteTx(ctx, tx, audit.Change{Collective: c.Collective, Resource: c.Resource, Before: c.Before, After: c.After})
}

// cardsPaused returns for which of the campaigns no payment page is opened for a while.
func cardsPaused(ctx context.Context, ways *wall.CardWays, names []campaigns.Name) (map[campaigns.Name]bool, error) {
	asked := make([]wall.CardWay, len(names))
	for i, name := range names {
		asked[i] = wall.CardWay{Collective: name.Collective, Campaign: name.Campaign}
	}
	closed, err := ways.Paused(ctx, asked)
	paused := map[campaigns.Name]bool{}
	for way := range closed {
		paused[campaigns.Name{Collective: way.Collective, Campaign: way.Campaign}] = true
	}
	return paused, err
}
