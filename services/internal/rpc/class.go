package rpc

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/places"
)

// Class is a group of calls with places of their own, which other classes cannot take.
type Class string

// The classes; doc.go has them as a table.
const (
	// ClassHealth answers from memory and needs no place, so that readiness is known when all else is full.
	ClassHealth Class = "health"
	// ClassWebhooks is the events that Stripe sends.
	ClassWebhooks Class = "webhooks"
	// ClassPublic is calls without a key, and ClassPublicStripe those of them that wait for Stripe.
	ClassPublic       Class = "public"
	ClassPublicStripe Class = "public, waits for Stripe"
	// ClassMembers is calls with a key, and ClassMembersStripe those of them that wait for Stripe.
	ClassMembers       Class = "members"
	ClassMembersStripe Class = "members, waits for Stripe"
	// ClassImports is the few calls with a large message.
	ClassImports Class = "imports"
	// ClassExports streams a file. Package exports has its places, since each holds a connection to the database. An
	// attachment needs none: it is read part by part.
	ClassExports Class = "exports"
	// ClassOpen is streams that the client keeps open: reflection, and watching health.
	ClassOpen Class = "open"

	// classKeys is the look-up of a key, before the class of its call is known.
	classKeys Class = "keys"
)

// limits are what a class may use. A number that is zero is no limit.
type limits struct {
	places places.Config
	// share returns the name of the caller whose share of the places a call takes.
	share func(caller Caller, req proto.Message) string
	// network is how many of the places, and of the line, calls of one network may take. Classes need it whose share is by
	// what a call is about, since the caller chooses that.
	network int64
	// maxBytes is the largest message. REST has the same bounds for bodies, in package gateway.
	maxBytes int
	// timeout is how long a call may take.
	timeout time.Duration
	// full is the answer when there is no place.
	full error
}

const (
	kilobyte, megabyte = 1 << 10, 1 << 20

	// maxPublicBytes is far above a donation with its addresses.
	maxPublicBytes = 16 * kilobyte
	// maxMemberBytes holds the largest campaign, twelve stories of 20,000 characters and as many thank-you texts, in any
	// script.
	maxMemberBytes = 1*megabyte + 192*kilobyte
	// maxEventBytes holds an event of 256 KiB and its signature.
	maxEventBytes = 264 * kilobyte
	// maxImportBytes holds the largest attachment of an expense or picture, 8 MiB, and what is around it. A bank statement is at most
	// half of that.
	maxImportBytes = 8*megabyte + 64*kilobyte
)

var (
	errBusy = errs.Unavailable(errorsv1.ErrorReason_TOO_BUSY, 2*time.Second, nil, "Too many calls are under way; the same request can be sent again.")
	// errStripeBusy says that Stripe does not answer: nothing else fills the places that wait for it.
	errStripeBusy = errs.Unavailable(errorsv1.ErrorReason_STRIPE_UNAVAILABLE, 2*time.Second, nil, "Stripe does not answer; the same request can be sent again.")
)

// classes says what each class may use.
var classes = map[Class]limits{
	ClassHealth: {maxBytes: 4 * kilobyte, timeout: 5 * time.Second},
	ClassWebhooks: {
		places:   places.Config{All: 32, Wait: 5 * time.Second, Line: 512},
		maxBytes: maxEventBytes, timeout: 15 * time.Second, full: errBusy,
	},
	ClassPublic: {
		places: places.Config{All: 64, Each: 32, Wait: 3 * time.Second, Line: 2048}, share: byNetwork,
		maxBytes: maxPublicBytes, timeout: 15 * time.Second, full: errBusy,
	},
	ClassPublicStripe: {
		places: places.Config{All: 24, Each: 12, Wait: 2 * time.Second, Line: 96}, share: byCollective, network: 10,
		maxBytes: maxPublicBytes, timeout: 15 * time.Second, full: errStripeBusy,
	},
	ClassMembers: {
		places: places.Config{All: 32, Each: 8, Wait: 5 * time.Second, Line: 256}, share: byMembers,
		maxBytes: maxMemberBytes, timeout: 30 * time.Second, full: errBusy,
	},
	ClassMembersStripe: {
		places: places.Config{All: 8, Each: 4, Wait: 2 * time.Second, Line: 32}, share: byMembers,
		maxBytes: maxMemberBytes, timeout: 30 * time.Second, full: errStripeBusy,
	},
	ClassImports: {
		places: places.Config{All: 2, Each: 1, Wait: 10 * time.Second, Line: 8}, share: byMembers,
		maxBytes: maxImportBytes, timeout: time.Minute, full: errBusy,
	},
	ClassExports: {maxBytes: maxPublicBytes},
	ClassOpen: {
		places: places.Config{All: 64, Each: 8}, share: byNetwork, maxBytes: 4 * kilobyte, full: errBusy,
	},
	classKeys: {
		places: places.Config{All: 16, Each: 8, Wait: 5 * time.Second, Line: 512}, share: byNetwork, timeout: 5 * time.Second, full: errBusy,
	},
}

// kind is what a method is, whoever calls it.
type kind int

const (
	// read changes nothing, write does. The services limit writes without a key by network.
	read kind = iota + 1
	write
	// waits is a write that waits for Stripe's answer.
	waits
	// large is a write with a large message.
	large
	webhook
	file
	open
	alive
)

// kinds has a row for each method; a test holds the rows against the contract.
var kinds = map[string]kind{
	"/cagnotte.access.v1.AccessService/GetPrincipal": read,
	"/cagnotte.access.v1.AccessService/CreateApiKey": write,
	"/cagnotte.access.v1.AccessService/ListApiKeys":  read,
	"/cagnotte.access.v1.AccessService/GetApiKey":    read,
	"/cagnotte.access.v1.AccessService/RevokeApiKey": write,

	"/cagnotte.access.v1.SignInService/RequestSignInLink":   write,
	"/cagnotte.access.v1.SignInService/RedeemSignInLink":    write,
	"/cagnotte.access.v1.SignInService/BeginPasskeySignIn":  write,
	"/cagnotte.access.v1.SignInService/FinishPasskeySignIn": write,
	"/cagnotte.access.v1.SignInService/LookUpInvitation":    write,
	"/cagnotte.access.v1.SignInService/AcceptInvitation":    write,

	"/cagnotte.access.v1.MembersService/GetMember":                 read,
	"/cagnotte.access.v1.MembersService/UpdateMember":              write,
	"/cagnotte.access.v1.MembersService/ListSessions":              read,
	"/cagnotte.access.v1.MembersService/RevokeSession":             write,
	"/cagnotte.access.v1.MembersService/SignOut":                   write,
	"/cagnotte.access.v1.MembersService/BeginPasskeyRegistration":  write,
	"/cagnotte.access.v1.MembersService/FinishPasskeyRegistration": write,
	"/cagnotte.access.v1.MembersService/ListPasskeys":              read,
	"/cagnotte.access.v1.MembersService/DeletePasskey":             write,
	"/cagnotte.access.v1.MembersService/RequestEmailChange":        write,
	"/cagnotte.access.v1.MembersService/RedeemEmailChange":         write,
	"/cagnotte.access.v1.MembersService/ListMemberships":           read,
	"/cagnotte.access.v1.MembersService/GetMembership":             read,
	"/cagnotte.access.v1.MembersService/UpdateMembership":          write,
	"/cagnotte.access.v1.MembersService/DeleteMembership":          write,
	"/cagnotte.access.v1.MembersService/CreateInvitation":          write,
	"/cagnotte.access.v1.MembersService/GetInvitation":             read,
	"/cagnotte.access.v1.MembersService/ListInvitations":           read,
	"/cagnotte.access.v1.MembersService/RevokeInvitation":          write,

	"/cagnotte.collectives.v1.CollectivesService/CreateCollective":  write,
	"/cagnotte.collectives.v1.CollectivesService/GetCollective":     read,
	"/cagnotte.collectives.v1.CollectivesService/ListCollectives":   read,
	"/cagnotte.collectives.v1.CollectivesService/UpdateCollective":  write,
	"/cagnotte.collectives.v1.CollectivesService/SuspendCollective": write,
	"/cagnotte.collectives.v1.CollectivesService/ResumeCollective":  write,

	"/cagnotte.collectives.v1.ApplicationsService/GetOpening":         read,
	"/cagnotte.collectives.v1.ApplicationsService/UpdateOpening":      write,
	"/cagnotte.collectives.v1.ApplicationsService/CreateApplication":  write,
	"/cagnotte.collectives.v1.ApplicationsService/GetApplication":     read,
	"/cagnotte.collectives.v1.ApplicationsService/ListApplications":   read,
	"/cagnotte.collectives.v1.ApplicationsService/ApproveApplication": write,
	"/cagnotte.collectives.v1.ApplicationsService/RejectApplication":  write,

	"/cagnotte.instance.v1.InstanceService/GetInstance":              read,
	"/cagnotte.instance.v1.InstanceService/SendTestMail":             write,
	"/cagnotte.instance.v1.InstanceService/CheckStripe":              waits,
	"/cagnotte.instance.v1.InstanceService/SetUpStripeEndpoints":     waits,
	"/cagnotte.instance.v1.InstanceService/CreateLedgerVerification": write,
	"/cagnotte.instance.v1.InstanceService/GetLedgerVerification":    read,
	"/cagnotte.instance.v1.InstanceService/ListLedgerVerifications":  read,

	"/cagnotte.audit.v1.AuditService/ListAuditEntries":   read,
	"/cagnotte.audit.v1.AuditService/GetAuditEntry":      read,
	"/cagnotte.audit.v1.AuditService/ExportAuditEntries": file,

	"/cagnotte.collectives.v1.CollectivesService/GetCollectiveProfile":    read,
	"/cagnotte.collectives.v1.CollectivesService/UpdateCollectiveProfile": write,

	"/cagnotte.images.v1.ImagesService/CreateImage":     large,
	"/cagnotte.images.v1.ImagesService/GetImage":        read,
	"/cagnotte.images.v1.ImagesService/ListImages":      read,
	"/cagnotte.images.v1.ImagesService/GetImageContent": read,

	"/cagnotte.connect.v1.ConnectService/StartOnboarding": waits,
	"/cagnotte.connect.v1.ConnectService/GetConnection":   read,

	"/cagnotte.notices.v1.NoticesService/GetNotice":         read,
	"/cagnotte.notices.v1.NoticesService/ListNotices":       read,
	"/cagnotte.notices.v1.NoticesService/AcknowledgeNotice": write,

	"/cagnotte.campaigns.v1.CampaignsService/CreateCampaign":      write,
	"/cagnotte.campaigns.v1.CampaignsService/GetCampaign":         read,
	"/cagnotte.campaigns.v1.CampaignsService/GetProgress":         read,
	"/cagnotte.campaigns.v1.CampaignsService/ListListedCampaigns": read,
	"/cagnotte.campaigns.v1.CampaignsService/GetSitemap":          read,
	"/cagnotte.campaigns.v1.CampaignsService/ListCampaigns":       read,
	"/cagnotte.campaigns.v1.CampaignsService/UpdateCampaign":      write,
	"/cagnotte.campaigns.v1.CampaignsService/PublishCampaign":     write,
	"/cagnotte.campaigns.v1.CampaignsService/PauseCampaign":       write,
	"/cagnotte.campaigns.v1.CampaignsService/ResumeCampaign":      write,
	"/cagnotte.campaigns.v1.CampaignsService/CloseCampaign":       write,
	"/cagnotte.campaigns.v1.CampaignsService/CheckOrigin":         read,

	"/cagnotte.campaigns.v1.CampaignsService/CopyCampaign":        write,
	"/cagnotte.campaigns.v1.CampaignsService/RenameCampaign":      write,
	"/cagnotte.campaigns.v1.CampaignsService/DeleteCampaign":      write,
	"/cagnotte.campaigns.v1.CampaignsService/GetPublishChecklist": read,
	"/cagnotte.campaigns.v1.CampaignsService/ListRefusedOrigins":  read,

	"/cagnotte.campaigns.v1.NewsService/CreateNewsItem":   write,
	"/cagnotte.campaigns.v1.NewsService/GetNewsItem":      read,
	"/cagnotte.campaigns.v1.NewsService/ListNewsItems":    read,
	"/cagnotte.campaigns.v1.NewsService/UpdateNewsItem":   write,
	"/cagnotte.campaigns.v1.NewsService/PublishNewsItem":  write,
	"/cagnotte.campaigns.v1.NewsService/WithdrawNewsItem": write,
	"/cagnotte.campaigns.v1.NewsService/DeleteNewsItem":   write,

	"/cagnotte.donations.v1.DonationsService/CreateDonation":      waits,
	"/cagnotte.donations.v1.DonationsService/GetDonation":         read,
	"/cagnotte.donations.v1.DonationsService/ListDonations":       read,
	"/cagnotte.donations.v1.DonationsService/GetDonationStatus":   read,
	"/cagnotte.donations.v1.DonationsService/LocateDonation":      read,
	"/cagnotte.donations.v1.DonationsService/ListDonationBatches": read,
	"/cagnotte.donations.v1.DonationsService/ReopenDonation":      waits,

	"/cagnotte.refunds.v1.RefundsService/CreateRefund":  write,
	"/cagnotte.refunds.v1.RefundsService/GetRefund":     read,
	"/cagnotte.refunds.v1.RefundsService/ListRefunds":   read,
	"/cagnotte.refunds.v1.RefundsService/ApproveRefund": write,
	"/cagnotte.refunds.v1.RefundsService/RejectRefund":  write,
	"/cagnotte.refunds.v1.RefundsService/CancelRefund":  write,

	"/cagnotte.disputes.v1.DisputesService/GetDispute":        read,
	"/cagnotte.disputes.v1.DisputesService/ListDisputes":      read,
	"/cagnotte.disputes.v1.DisputesService/GetFraudWarning":   read,
	"/cagnotte.disputes.v1.DisputesService/ListFraudWarnings": read,

	"/cagnotte.recurring.v1.RecurringService/GetRecurringDonation":    read,
	"/cagnotte.recurring.v1.RecurringService/ListRecurringDonations":  read,
	"/cagnotte.recurring.v1.RecurringService/CancelRecurringDonation": waits,
	"/cagnotte.recurring.v1.RecurringService/RequestManageLink":       write,
	"/cagnotte.recurring.v1.RecurringService/RequestManageLinks":      waits,
	"/cagnotte.recurring.v1.RecurringService/RedeemManageLink":        write,
	"/cagnotte.recurring.v1.RecurringService/ShowRecurringDonation":   write,
	"/cagnotte.recurring.v1.RecurringService/ChangeRecurringDonation": waits,
	"/cagnotte.recurring.v1.RecurringService/StopRecurringDonation":   waits,
	"/cagnotte.recurring.v1.RecurringService/CreatePortalSession":     waits,

	"/cagnotte.approvals.v1.ApprovalsService/GetPendingChange":     read,
	"/cagnotte.approvals.v1.ApprovalsService/ListPendingChanges":   read,
	"/cagnotte.approvals.v1.ApprovalsService/ApprovePendingChange": write,
	"/cagnotte.approvals.v1.ApprovalsService/RejectPendingChange":  write,
	"/cagnotte.approvals.v1.ApprovalsService/CancelPendingChange":  write,
	"/cagnotte.approvals.v1.ApprovalsService/GetTwoPersonRule":     read,
	"/cagnotte.approvals.v1.ApprovalsService/UpdateTwoPersonRule":  write,

	"/cagnotte.webhooks.v1.WebhooksService/ReceiveStripeEvent":      webhook,
	"/cagnotte.webhooks.v1.WebhooksService/ListWebhookEvents":       read,
	"/cagnotte.webhooks.v1.WebhooksService/GetWebhookEvent":         read,
	"/cagnotte.webhooks.v1.WebhooksService/GetWebhookHealth":        read,
	"/cagnotte.webhooks.v1.WebhooksService/ListWebhookHealth":       read,
	"/cagnotte.webhooks.v1.WebhooksService/ReplayWebhookEvent":      write,
	"/cagnotte.webhooks.v1.WebhooksService/ReplayWebhookEvents":     write,
	"/cagnotte.webhooks.v1.WebhooksService/ListParkedTransactions":  read,
	"/cagnotte.webhooks.v1.WebhooksService/GetParkedTransaction":    read,
	"/cagnotte.webhooks.v1.WebhooksService/RetryParkedTransactions": write,

	"/cagnotte.ledger.v1.LedgerService/GetAccount":            read,
	"/cagnotte.ledger.v1.LedgerService/GetTransaction":        read,
	"/cagnotte.ledger.v1.LedgerService/ListAccounts":          read,
	"/cagnotte.ledger.v1.LedgerService/ListTransactions":      read,
	"/cagnotte.ledger.v1.LedgerService/CreateAccount":         write,
	"/cagnotte.ledger.v1.LedgerService/UpdateAccount":         write,
	"/cagnotte.ledger.v1.LedgerService/ListStatementLines":    read,
	"/cagnotte.ledger.v1.LedgerService/ReverseTransaction":    write,
	"/cagnotte.ledger.v1.LedgerService/ReclassifyTransaction": write,
	"/cagnotte.ledger.v1.LedgerService/GetCheckpoint":         read,
	"/cagnotte.ledger.v1.LedgerService/GetInclusionProof":     read,
	"/cagnotte.ledger.v1.LedgerService/GetDonationProof":      read,
	"/cagnotte.ledger.v1.LedgerService/ClosePeriod":           write,

	"/cagnotte.payouts.v1.PayoutsService/ListPayouts":     read,
	"/cagnotte.payouts.v1.PayoutsService/GetPayout":       read,
	"/cagnotte.payouts.v1.PayoutsService/ListPayoutLines": read,
	"/cagnotte.payouts.v1.PayoutsService/GetPayoutLine":   read,

	"/cagnotte.receipts.v1.ReceiptsService/CreateReceiptDeclaration":   write,
	"/cagnotte.receipts.v1.ReceiptsService/GetReceiptDeclaration":      read,
	"/cagnotte.receipts.v1.ReceiptsService/ListReceiptDeclarations":    read,
	"/cagnotte.receipts.v1.ReceiptsService/WithdrawReceiptDeclaration": write,
	"/cagnotte.receipts.v1.ReceiptsService/CreateSealingKey":           write,
	"/cagnotte.receipts.v1.ReceiptsService/GetSealingKey":              read,
	"/cagnotte.receipts.v1.ReceiptsService/ListSealingKeys":            read,
	"/cagnotte.receipts.v1.ReceiptsService/RevokeSealingKey":           write,
	"/cagnotte.receipts.v1.ReceiptsService/GetReceiptOffer":            read,
	"/cagnotte.receipts.v1.ReceiptsService/IssueReceipt":               write,
	"/cagnotte.receipts.v1.ReceiptsService/EraseReceiptDonor":          write,
	"/cagnotte.receipts.v1.ReceiptsService/GetReceipt":                 read,
	"/cagnotte.receipts.v1.ReceiptsService/ListReceipts":               read,
	"/cagnotte.receipts.v1.ReceiptsService/GetReceiptYear":             read,
	"/cagnotte.receipts.v1.ReceiptsService/CancelReceipt":              write,
	"/cagnotte.receipts.v1.ReceiptsService/ReadSealedDonor":            write,
	"/cagnotte.receipts.v1.ReceiptsService/ExportSealedDonors":         write,
	"/cagnotte.receipts.v1.ReceiptsService/ExportStaleSealedDonors":    write,
	"/cagnotte.receipts.v1.ReceiptsService/ResealDonors":               write,

	"/cagnotte.exports.v1.ExportsService/ExportLedger": file,

	"/cagnotte.overview.v1.OverviewService/GetOverview":            read,
	"/cagnotte.overview.v1.OverviewService/GetContribution":        read,
	"/cagnotte.overview.v1.OverviewService/ListContributions":      read,
	"/cagnotte.overview.v1.OverviewService/GetContributionHistory": read,
	"/cagnotte.overview.v1.OverviewService/GetStatistics":          read,
	"/cagnotte.overview.v1.OverviewService/GetMonthlyStatistics":   read,

	"/cagnotte.treasury.v1.TreasuryService/CreateOfflineDonation":  write,
	"/cagnotte.treasury.v1.TreasuryService/GetOfflineDonation":     read,
	"/cagnotte.treasury.v1.TreasuryService/ListOfflineDonations":   read,
	"/cagnotte.treasury.v1.TreasuryService/CreateDeposit":          write,
	"/cagnotte.treasury.v1.TreasuryService/GetDeposit":             read,
	"/cagnotte.treasury.v1.TreasuryService/ListDeposits":           read,
	"/cagnotte.treasury.v1.TreasuryService/GetClearingItem":        read,
	"/cagnotte.treasury.v1.TreasuryService/BounceCheque":           write,
	"/cagnotte.treasury.v1.TreasuryService/ReverseOfflineDonation": write,
	"/cagnotte.treasury.v1.TreasuryService/ListClearingItems":      read,
	"/cagnotte.treasury.v1.TreasuryService/CreatePledge":           write,
	"/cagnotte.treasury.v1.TreasuryService/GetPledge":              read,
	"/cagnotte.treasury.v1.TreasuryService/ListPledges":            read,
	"/cagnotte.treasury.v1.TreasuryService/ListPledgeMethods":      read,
	"/cagnotte.bank.v1.BankService/ImportBankStatement":            large,
	"/cagnotte.bank.v1.BankService/GetBankStatement":               read,
	"/cagnotte.bank.v1.BankService/ListBankStatements":             read,
	"/cagnotte.bank.v1.BankService/GetBankLine":                    read,
	"/cagnotte.bank.v1.BankService/ListBankLines":                  read,
	"/cagnotte.bank.v1.BankService/MatchBankLine":                  write,
	"/cagnotte.bank.v1.BankService/UnmatchBankLine":                write,
	"/cagnotte.bank.v1.BankService/IgnoreBankLine":                 write,
	"/cagnotte.bank.v1.BankService/GetBankPosition":                read,

	"/cagnotte.bank.v1.BankService/SplitBankLine":          write,
	"/cagnotte.bank.v1.BankService/SuggestBankLineMatches": read,
	"/cagnotte.bank.v1.BankService/CountOpenBankLines":     read,

	"/cagnotte.treasury.v1.TreasuryService/CreateExpense":      write,
	"/cagnotte.treasury.v1.TreasuryService/GetExpense":         read,
	"/cagnotte.treasury.v1.TreasuryService/ListExpenses":       read,
	"/cagnotte.treasury.v1.TreasuryService/ListPublicExpenses": read,
	"/cagnotte.treasury.v1.TreasuryService/PayExpense":         write,
	"/cagnotte.treasury.v1.TreasuryService/ReverseExpense":     write,

	"/cagnotte.treasury.v1.TreasuryService/CreateExpenseAttachment":   large,
	"/cagnotte.treasury.v1.TreasuryService/GetExpenseAttachment":      read,
	"/cagnotte.treasury.v1.TreasuryService/ListExpenseAttachments":    read,
	"/cagnotte.treasury.v1.TreasuryService/DownloadExpenseAttachment": file,

	"/grpc.health.v1.Health/Check": alive,
	"/grpc.health.v1.Health/List":  alive,
	"/grpc.health.v1.Health/Watch": open,

	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      open,
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": open,
}

// writes reports whether a method changes something.
func (k kind) writes() bool { return k == write || k == waits || k == large }

// Writes reports whether a method changes something; false for a method that there is not.
func Writes(method string) bool { return kinds[method].writes() }

// ClassOf says in which class a call of a method is, with a key and without one; false for a method that there is not.
func ClassOf(method string, withKey bool) (Class, bool) {
	byWhom := func(public, members Class) Class {
		if withKey {
			return members
		}
		return public
	}
	switch kinds[method] {
	case read, write:
		return byWhom(ClassPublic, ClassMembers), true
	case waits:
		return byWhom(ClassPublicStripe, ClassMembersStripe), true
	case large:
		return byWhom(ClassPublic, ClassImports), true
	case webhook:
		return ClassWebhooks, true
	case file:
		return byWhom(ClassPublic, ClassExports), true
	case open:
		return ClassOpen, true
	case alive:
		return ClassHealth, true
	}
	return "", false
}

func byNetwork(caller Caller, _ proto.Message) string { return caller.Network.String() }

// byMembers is the caller's own collective, whatever the request is about: its owners make as many keys as they like. The
// operator's keys have a share each, and so has a person with several collectives.
func byMembers(caller Caller, _ proto.Message) string {
	if of := soleCollective(caller.Principal); of != "" {
		return "collectives/" + of
	}
	return caller.Principal.Name
}

// soleCollective returns the id of the collective that is all of a caller's; empty when there is none, or several.
func soleCollective(p access.Principal) string {
	if of := p.Collectives(); len(of) == 1 {
		return of[0]
	}
	return ""
}

// byCollective is the collective that a request is about, by the name or the parent in it.
func byCollective(_ Caller, req proto.Message) string {
	fields := req.ProtoReflect().Descriptor().Fields()
	for _, name := range []protoreflect.Name{"parent", "name"} {
		if field := fields.ByName(name); field != nil && field.Kind() == protoreflect.StringKind && !field.IsList() {
			segments := strings.SplitN(req.ProtoReflect().Get(field).String(), "/", 3)
			return strings.Join(segments[:min(2, len(segments))], "/")
		}
	}
	return ""
}

// bounds are the limits of every class, and the places that are taken of them.
type bounds map[Class]*bound

type bound struct {
	limits
	// set holds the calls under way, and networks those of each network with its line; networks is nil where the set's share
	// is the caller's.
	set, networks *places.Set
}

func newBounds(longest time.Duration) bounds {
	all := bounds{}
	for class, l := range classes {
		b := &bound{limits: l}
		if longest > 0 && (b.timeout == 0 || b.timeout > longest) {
			b.timeout = longest
		}
		if l.places.All > 0 {
			b.set = places.New(l.places)
		}
		if l.network > 0 {
			all := l.places.All + l.places.Line
			b.networks = places.New(places.Config{All: all, Each: l.network, Wait: l.places.Wait, Line: 2 * all})
		}
		all[class] = b
	}
	return all
}

// of returns the bounds of a call. A method that nobody may call is refused by access; it has the public's until then.
func (b bounds) of(method string, withKey bool) *bound {
	class, ok := ClassOf(method, withKey)
	if !ok {
		class = ClassPublic
	}
	return b[class]
}

// enter takes a place for a call and returns what gives it back, or is the answer to who found none.
func (b *bound) enter(ctx context.Context, req proto.Message) (leave func(), err error) {
	if b.set == nil {
		return func() {}, nil
	}
	caller, whom := CallerFrom(ctx), ""
	if b.share != nil {
		whom = b.share(caller, req)
	}
	goOut, ok := func() {}, true
	if b.networks != nil {
		goOut, ok = b.networks.Take(ctx, byNetwork(caller, req), 1)
	}
	if ok {
		giveBack, ok := b.set.Take(ctx, whom, 1)
		if ok {
			return func() { giveBack(); goOut() }, nil
		}
		goOut()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, b.full
}
