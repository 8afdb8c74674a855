package access

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/health/grpc_health_v1"
	_ "google.golang.org/grpc/reflection/grpc_reflection_v1"
	_ "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	_ "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/approvals/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/audit/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/connect/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/disputes/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/images/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/instance/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/overview/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/payouts/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/receipts/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// matrix is the second writing of the permission table: for each method what happens
// to nobody and to a key of the request's own collective, by role. P passes, U is
// UNAUTHENTICATED, N is NOT_FOUND. The columns:
// nobody, owner, editor, treasurer, auditor, operator.
var matrix = map[string]string{
	"cagnotte.access.v1.AccessService/GetPrincipal": "UPPPPP",
	"cagnotte.access.v1.AccessService/CreateApiKey": "UPPPPP",
	"cagnotte.access.v1.AccessService/ListApiKeys":  "UPPPPP",
	"cagnotte.access.v1.AccessService/GetApiKey":    "UPPPPP",
	"cagnotte.access.v1.AccessService/RevokeApiKey": "UPPPPP",

	"cagnotte.access.v1.SignInService/RequestSignInLink":   "PPPPPP",
	"cagnotte.access.v1.SignInService/RedeemSignInLink":    "PPPPPP",
	"cagnotte.access.v1.SignInService/BeginPasskeySignIn":  "PPPPPP",
	"cagnotte.access.v1.SignInService/FinishPasskeySignIn": "PPPPPP",
	"cagnotte.access.v1.SignInService/LookUpInvitation":    "PPPPPP",
	"cagnotte.access.v1.SignInService/AcceptInvitation":    "PPPPPP",

	// What is a member's own needs a session.
	"cagnotte.access.v1.MembersService/GetMember":                 "UNNNNN",
	"cagnotte.access.v1.MembersService/UpdateMember":              "UNNNNN",
	"cagnotte.access.v1.MembersService/ListSessions":              "UNNNNN",
	"cagnotte.access.v1.MembersService/RevokeSession":             "UNNNNN",
	"cagnotte.access.v1.MembersService/SignOut":                   "UNNNNN",
	"cagnotte.access.v1.MembersService/BeginPasskeyRegistration":  "UNNNNN",
	"cagnotte.access.v1.MembersService/FinishPasskeyRegistration": "UNNNNN",
	"cagnotte.access.v1.MembersService/ListPasskeys":              "UNNNNN",
	"cagnotte.access.v1.MembersService/DeletePasskey":             "UNNNNN",
	"cagnotte.access.v1.MembersService/RequestEmailChange":        "UNNNNN",
	"cagnotte.access.v1.MembersService/RedeemEmailChange":         "UNNNNN",
	"cagnotte.access.v1.MembersService/ListMemberships":           "UPPPPP",
	"cagnotte.access.v1.MembersService/GetMembership":             "UPPPPP",
	"cagnotte.access.v1.MembersService/UpdateMembership":          "UPNNNP",
	"cagnotte.access.v1.MembersService/DeleteMembership":          "UPPPPP",
	"cagnotte.access.v1.MembersService/CreateInvitation":          "UPNNNP",
	"cagnotte.access.v1.MembersService/GetInvitation":             "UPNPNP",
	"cagnotte.access.v1.MembersService/ListInvitations":           "UPNNNP",
	"cagnotte.access.v1.MembersService/RevokeInvitation":          "UPNNNP",

	"cagnotte.collectives.v1.CollectivesService/CreateCollective":  "UNNNNP",
	"cagnotte.collectives.v1.CollectivesService/GetCollective":     "UPPPPP",
	"cagnotte.collectives.v1.CollectivesService/ListCollectives":   "UPPPPP",
	"cagnotte.collectives.v1.CollectivesService/UpdateCollective":  "UPNNNP",
	"cagnotte.collectives.v1.CollectivesService/SuspendCollective": "UNNNNP",
	"cagnotte.collectives.v1.CollectivesService/ResumeCollective":  "UNNNNP",

	"cagnotte.collectives.v1.ApplicationsService/GetOpening":         "PPPPPP",
	"cagnotte.collectives.v1.ApplicationsService/UpdateOpening":      "UNNNNP",
	"cagnotte.collectives.v1.ApplicationsService/CreateApplication":  "PPPPPP",
	"cagnotte.collectives.v1.ApplicationsService/GetApplication":     "UNNNNP",
	"cagnotte.collectives.v1.ApplicationsService/ListApplications":   "UNNNNP",
	"cagnotte.collectives.v1.ApplicationsService/ApproveApplication": "UNNNNP",
	"cagnotte.collectives.v1.ApplicationsService/RejectApplication":  "UNNNNP",

	"cagnotte.instance.v1.InstanceService/GetInstance":              "UNNNNP",
	"cagnotte.instance.v1.InstanceService/SendTestMail":             "UNNNNP",
	"cagnotte.instance.v1.InstanceService/CheckStripe":              "UNNNNP",
	"cagnotte.instance.v1.InstanceService/SetUpStripeEndpoints":     "UNNNNP",
	"cagnotte.instance.v1.InstanceService/CreateLedgerVerification": "UNNNNP",
	"cagnotte.instance.v1.InstanceService/GetLedgerVerification":    "UNNNNP",
	"cagnotte.instance.v1.InstanceService/ListLedgerVerifications":  "UNNNNP",

	"cagnotte.audit.v1.AuditService/ListAuditEntries":   "UPNPPP",
	"cagnotte.audit.v1.AuditService/GetAuditEntry":      "UPNPPP",
	"cagnotte.audit.v1.AuditService/ExportAuditEntries": "UPNPPP",

	"cagnotte.collectives.v1.CollectivesService/GetCollectiveProfile":    "PPPPPP",
	"cagnotte.collectives.v1.CollectivesService/UpdateCollectiveProfile": "UPPNNP",

	"cagnotte.images.v1.ImagesService/CreateImage":     "UPPNNP",
	"cagnotte.images.v1.ImagesService/GetImage":        "PPPPPP",
	"cagnotte.images.v1.ImagesService/ListImages":      "UPPPPP",
	"cagnotte.images.v1.ImagesService/GetImageContent": "PPPPPP",

	"cagnotte.connect.v1.ConnectService/StartOnboarding": "UPNNNP",
	"cagnotte.connect.v1.ConnectService/GetConnection":   "UPPPPP",

	"cagnotte.notices.v1.NoticesService/GetNotice":         "UPNPPP",
	"cagnotte.notices.v1.NoticesService/ListNotices":       "UPNPPP",
	"cagnotte.notices.v1.NoticesService/AcknowledgeNotice": "UPNPNP",

	"cagnotte.campaigns.v1.CampaignsService/CreateCampaign":      "UPPNNN",
	"cagnotte.campaigns.v1.CampaignsService/GetCampaign":         "PPPPPP",
	"cagnotte.campaigns.v1.CampaignsService/GetProgress":         "PPPPPP",
	"cagnotte.campaigns.v1.CampaignsService/ListCampaigns":       "PPPPPP",
	"cagnotte.campaigns.v1.CampaignsService/ListListedCampaigns": "PPPPPP",
	"cagnotte.campaigns.v1.CampaignsService/GetSitemap":          "PPPPPP",
	"cagnotte.campaigns.v1.CampaignsService/UpdateCampaign":      "UPPNNN",
	"cagnotte.campaigns.v1.CampaignsService/PublishCampaign":     "UPPNNN",
	"cagnotte.campaigns.v1.CampaignsService/PauseCampaign":       "UPPNNN",
	"cagnotte.campaigns.v1.CampaignsService/ResumeCampaign":      "UPPNNN",
	"cagnotte.campaigns.v1.CampaignsService/CloseCampaign":       "UPPNNN",
	"cagnotte.campaigns.v1.CampaignsService/CheckOrigin":         "PPPPPP",

	"cagnotte.campaigns.v1.CampaignsService/CopyCampaign":        "UPPNNN",
	"cagnotte.campaigns.v1.CampaignsService/RenameCampaign":      "UPPNNN",
	"cagnotte.campaigns.v1.CampaignsService/DeleteCampaign":      "UPPNNN",
	"cagnotte.campaigns.v1.CampaignsService/GetPublishChecklist": "UPPPPP",
	"cagnotte.campaigns.v1.CampaignsService/ListRefusedOrigins":  "UPPNNP",

	"cagnotte.campaigns.v1.NewsService/CreateNewsItem":   "UPPNNN",
	"cagnotte.campaigns.v1.NewsService/GetNewsItem":      "PPPPPP",
	"cagnotte.campaigns.v1.NewsService/ListNewsItems":    "PPPPPP",
	"cagnotte.campaigns.v1.NewsService/UpdateNewsItem":   "UPPNNN",
	"cagnotte.campaigns.v1.NewsService/PublishNewsItem":  "UPPNNN",
	"cagnotte.campaigns.v1.NewsService/WithdrawNewsItem": "UPPNNN",
	"cagnotte.campaigns.v1.NewsService/DeleteNewsItem":   "UPPNNN",

	"cagnotte.donations.v1.DonationsService/CreateDonation":      "PPPPPP",
	"cagnotte.donations.v1.DonationsService/GetDonation":         "UPPPPP",
	"cagnotte.donations.v1.DonationsService/ListDonations":       "UPPPPP",
	"cagnotte.donations.v1.DonationsService/GetDonationStatus":   "PPPPPP",
	"cagnotte.donations.v1.DonationsService/LocateDonation":      "PPPPPP",
	"cagnotte.donations.v1.DonationsService/ListDonationBatches": "PPPPPP",
	"cagnotte.donations.v1.DonationsService/ReopenDonation":      "PPPPPP",

	"cagnotte.receipts.v1.ReceiptsService/CreateReceiptDeclaration":   "UPNNNN",
	"cagnotte.receipts.v1.ReceiptsService/GetReceiptDeclaration":      "UPNPPP",
	"cagnotte.receipts.v1.ReceiptsService/ListReceiptDeclarations":    "UPNPPP",
	"cagnotte.receipts.v1.ReceiptsService/WithdrawReceiptDeclaration": "UPNPNN",
	"cagnotte.receipts.v1.ReceiptsService/CreateSealingKey":           "UPNPNN",
	"cagnotte.receipts.v1.ReceiptsService/GetSealingKey":              "UPNPPP",
	"cagnotte.receipts.v1.ReceiptsService/ListSealingKeys":            "UPNPPP",
	"cagnotte.receipts.v1.ReceiptsService/RevokeSealingKey":           "UPNPNN",
	"cagnotte.receipts.v1.ReceiptsService/GetReceiptOffer":            "PPPPPP",
	"cagnotte.receipts.v1.ReceiptsService/IssueReceipt":               "PPPPPP",
	"cagnotte.receipts.v1.ReceiptsService/EraseReceiptDonor":          "PPPPPP",
	"cagnotte.receipts.v1.ReceiptsService/GetReceipt":                 "UPNPPP",
	"cagnotte.receipts.v1.ReceiptsService/ListReceipts":               "UPNPPP",
	"cagnotte.receipts.v1.ReceiptsService/GetReceiptYear":             "UPNPPP",
	"cagnotte.receipts.v1.ReceiptsService/CancelReceipt":              "UPNPNN",
	"cagnotte.receipts.v1.ReceiptsService/ReadSealedDonor":            "UPNPNN",
	"cagnotte.receipts.v1.ReceiptsService/ExportSealedDonors":         "UPNPNN",
	"cagnotte.receipts.v1.ReceiptsService/ExportStaleSealedDonors":    "UPNPNN",
	"cagnotte.receipts.v1.ReceiptsService/ResealDonors":               "UPNPNN",

	"cagnotte.refunds.v1.RefundsService/CreateRefund":  "UPNPNN",
	"cagnotte.refunds.v1.RefundsService/GetRefund":     "UPNPPP",
	"cagnotte.refunds.v1.RefundsService/ListRefunds":   "UPNPPP",
	"cagnotte.refunds.v1.RefundsService/ApproveRefund": "UPNPNN",
	"cagnotte.refunds.v1.RefundsService/RejectRefund":  "UPNPNN",
	"cagnotte.refunds.v1.RefundsService/CancelRefund":  "UPNPNN",

	"cagnotte.disputes.v1.DisputesService/GetDispute":        "UPNPPP",
	"cagnotte.disputes.v1.DisputesService/ListDisputes":      "UPNPPP",
	"cagnotte.disputes.v1.DisputesService/GetFraudWarning":   "UPNPPP",
	"cagnotte.disputes.v1.DisputesService/ListFraudWarnings": "UPNPPP",

	"cagnotte.recurring.v1.RecurringService/GetRecurringDonation":    "UPPPPP",
	"cagnotte.recurring.v1.RecurringService/ListRecurringDonations":  "UPPPPP",
	"cagnotte.recurring.v1.RecurringService/CancelRecurringDonation": "UPPPNN",
	"cagnotte.recurring.v1.RecurringService/RequestManageLink":       "PPPPPP",
	"cagnotte.recurring.v1.RecurringService/RequestManageLinks":      "PPPPPP",
	"cagnotte.recurring.v1.RecurringService/ShowRecurringDonation":   "PPPPPP",
	"cagnotte.recurring.v1.RecurringService/RedeemManageLink":        "PPPPPP",
	"cagnotte.recurring.v1.RecurringService/ChangeRecurringDonation": "PPPPPP",
	"cagnotte.recurring.v1.RecurringService/StopRecurringDonation":   "PPPPPP",
	"cagnotte.recurring.v1.RecurringService/CreatePortalSession":     "PPPPPP",

	"cagnotte.webhooks.v1.WebhooksService/ReceiveStripeEvent": "PPPPPP",
	"cagnotte.webhooks.v1.WebhooksService/ListWebhookEvents":  "UPNPPP",
	"cagnotte.webhooks.v1.WebhooksService/GetWebhookEvent":    "UPNPPP",

	"cagnotte.webhooks.v1.WebhooksService/GetWebhookHealth":        "UPNPPP",
	"cagnotte.webhooks.v1.WebhooksService/ListWebhookHealth":       "UNNNNP",
	"cagnotte.webhooks.v1.WebhooksService/ReplayWebhookEvent":      "UPNPNP",
	"cagnotte.webhooks.v1.WebhooksService/ReplayWebhookEvents":     "UPNPNP",
	"cagnotte.webhooks.v1.WebhooksService/ListParkedTransactions":  "UPNPPP",
	"cagnotte.webhooks.v1.WebhooksService/GetParkedTransaction":    "UPNPPP",
	"cagnotte.webhooks.v1.WebhooksService/RetryParkedTransactions": "UPNPNP",

	"cagnotte.ledger.v1.LedgerService/GetAccount":            "UPNPPP",
	"cagnotte.ledger.v1.LedgerService/GetTransaction":        "UPNPPP",
	"cagnotte.ledger.v1.LedgerService/ListAccounts":          "UPNPPP",
	"cagnotte.ledger.v1.LedgerService/ListTransactions":      "UPNPPP",
	"cagnotte.ledger.v1.LedgerService/CreateAccount":         "UPNPNP",
	"cagnotte.ledger.v1.LedgerService/UpdateAccount":         "UNNNNP",
	"cagnotte.ledger.v1.LedgerService/ListStatementLines":    "UPNPPP",
	"cagnotte.ledger.v1.LedgerService/ReverseTransaction":    "UPNPNP",
	"cagnotte.ledger.v1.LedgerService/ReclassifyTransaction": "UPNPNP",
	"cagnotte.ledger.v1.LedgerService/GetCheckpoint":         "PPPPPP",
	"cagnotte.ledger.v1.LedgerService/GetInclusionProof":     "UPNPPP",
	"cagnotte.ledger.v1.LedgerService/GetDonationProof":      "PPPPPP",
	"cagnotte.ledger.v1.LedgerService/ClosePeriod":           "UPNPNP",
	"cagnotte.exports.v1.ExportsService/ExportLedger":        "UPNPPP",

	"cagnotte.approvals.v1.ApprovalsService/GetPendingChange":     "UPNPPP",
	"cagnotte.approvals.v1.ApprovalsService/ListPendingChanges":   "UPNPPP",
	"cagnotte.approvals.v1.ApprovalsService/ApprovePendingChange": "UPNPNP",
	"cagnotte.approvals.v1.ApprovalsService/RejectPendingChange":  "UPNPNP",
	"cagnotte.approvals.v1.ApprovalsService/CancelPendingChange":  "UPNPNP",
	"cagnotte.approvals.v1.ApprovalsService/GetTwoPersonRule":     "UPPPPP",
	"cagnotte.approvals.v1.ApprovalsService/UpdateTwoPersonRule":  "UPNNNP",

	"cagnotte.overview.v1.OverviewService/GetOverview":            "UPPPPP",
	"cagnotte.overview.v1.OverviewService/GetContribution":        "UPPPPP",
	"cagnotte.overview.v1.OverviewService/ListContributions":      "UPPPPP",
	"cagnotte.overview.v1.OverviewService/GetContributionHistory": "UPPPPP",
	"cagnotte.overview.v1.OverviewService/GetStatistics":          "UPPPPP",
	"cagnotte.overview.v1.OverviewService/GetMonthlyStatistics":   "UPPPPP",
	"cagnotte.payouts.v1.PayoutsService/ListPayouts":              "UPNPPP",
	"cagnotte.payouts.v1.PayoutsService/GetPayout":                "UPNPPP",
	"cagnotte.payouts.v1.PayoutsService/ListPayoutLines":          "UPNPPP",
	"cagnotte.payouts.v1.PayoutsService/GetPayoutLine":            "UPNPPP",

	"cagnotte.treasury.v1.TreasuryService/CreateOfflineDonation":  "UPNPNN",
	"cagnotte.treasury.v1.TreasuryService/GetOfflineDonation":     "UPNPPP",
	"cagnotte.treasury.v1.TreasuryService/ListOfflineDonations":   "UPNPPP",
	"cagnotte.treasury.v1.TreasuryService/CreateDeposit":          "UPNPNN",
	"cagnotte.treasury.v1.TreasuryService/GetDeposit":             "UPNPPP",
	"cagnotte.treasury.v1.TreasuryService/ListDeposits":           "UPNPPP",
	"cagnotte.treasury.v1.TreasuryService/GetClearingItem":        "UPNPPP",
	"cagnotte.bank.v1.BankService/GetBankStatement":               "UPNPPP",
	"cagnotte.bank.v1.BankService/ListBankStatements":             "UPNPPP",
	"cagnotte.bank.v1.BankService/GetBankLine":                    "UPNPPP",
	"cagnotte.treasury.v1.TreasuryService/BounceCheque":           "UPNPNN",
	"cagnotte.treasury.v1.TreasuryService/ReverseOfflineDonation": "UPNPNN",
	"cagnotte.treasury.v1.TreasuryService/ListClearingItems":      "UPNPPP",
	"cagnotte.treasury.v1.TreasuryService/CreatePledge":           "PPPPPP",
	"cagnotte.treasury.v1.TreasuryService/GetPledge":              "PPPPPP",
	"cagnotte.treasury.v1.TreasuryService/ListPledges":            "UPPPPP",
	"cagnotte.treasury.v1.TreasuryService/ListPublicExpenses":     "PPPPPP",
	"cagnotte.treasury.v1.TreasuryService/ListPledgeMethods":      "PPPPPP",
	"cagnotte.bank.v1.BankService/ImportBankStatement":            "UPNPNN",
	"cagnotte.bank.v1.BankService/ListBankLines":                  "UPNPPP",
	"cagnotte.bank.v1.BankService/MatchBankLine":                  "UPNPNN",
	"cagnotte.bank.v1.BankService/UnmatchBankLine":                "UPNPNN",
	"cagnotte.bank.v1.BankService/IgnoreBankLine":                 "UPNPNN",
	"cagnotte.bank.v1.BankService/GetBankPosition":                "UPNPPP",
	"cagnotte.treasury.v1.TreasuryService/CreateExpense":          "UPNPNN",
	"cagnotte.treasury.v1.TreasuryService/GetExpense":             "UPNPPP",
	"cagnotte.treasury.v1.TreasuryService/ListExpenses":           "UPNPPP",
	"cagnotte.treasury.v1.TreasuryService/PayExpense":             "UPNPNN",
	"cagnotte.treasury.v1.TreasuryService/ReverseExpense":         "UPNPNN",

	"cagnotte.bank.v1.BankService/SplitBankLine":          "UPNPNN",
	"cagnotte.bank.v1.BankService/SuggestBankLineMatches": "UPNPPP",
	"cagnotte.bank.v1.BankService/CountOpenBankLines":     "UPNPPP",

	"cagnotte.treasury.v1.TreasuryService/CreateExpenseAttachment":   "UPNPNN",
	"cagnotte.treasury.v1.TreasuryService/GetExpenseAttachment":      "UPNPPP",
	"cagnotte.treasury.v1.TreasuryService/ListExpenseAttachments":    "UPNPPP",
	"cagnotte.treasury.v1.TreasuryService/DownloadExpenseAttachment": "UPNPPP",

	"grpc.health.v1.Health/Check":                                   "PPPPPP",
	"grpc.health.v1.Health/Watch":                                   "PPPPPP",
	"grpc.health.v1.Health/List":                                    "PPPPPP",
	"grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      "PPPPPP",
	"grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": "PPPPPP",
}

var columns = []Role{"", RoleOwner, RoleEditor, RoleTreasurer, RoleAuditor, RoleOperator}

func TestMatrix(t *testing.T) {
	for method, expected := range matrix {
		r := table["/"+method]
		req := requestOf(t, method, r.field, "collectives/vallon/campaigns/avocat")
		for i, role := range columns {
			want := map[byte]codes.Code{'P': codes.OK, 'U': codes.Unauthenticated, 'N': codes.NotFound}[expected[i]]
			if got := errs.Code(Authorize(holder(role, "vallon"), "/"+method, req)); got != want {
				t.Errorf("%s by %q of the collective: %v, want %v", method, role, got, want)
			}
			if role == "" || role == RoleOperator {
				continue
			}
			// A key of another collective may what everybody with a key may.
			if !r.public && !r.anyKey {
				want = codes.NotFound
			}
			if got := errs.Code(Authorize(holder(role, "marseille"), "/"+method, req)); got != want {
				t.Errorf("%s by %q of another collective: %v, want %v", method, role, got, want)
			}
		}
	}
}

func holder(role Role, collective string) Principal {
	switch role {
	case "":
		return Principal{}
	case RoleOperator:
		return Principal{Name: "instance/apiKeys/k", Key: "instance/apiKeys/k", Fresh: true, Grants: []Grant{{"", role}}}
	}
	name := keyName(collective, "k")
	return Principal{Name: name, Key: name, Fresh: true, Grants: []Grant{{collective, role}}}
}

// requestOf makes a request of the method with the name in the field.
func requestOf(t *testing.T, method, field, name string) proto.Message {
	t.Helper()
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(strings.ReplaceAll(method, "/", ".")))
	if err != nil {
		t.Fatal(err)
	}
	top := dynamicpb.NewMessage(d.(protoreflect.MethodDescriptor).Input())
	var m protoreflect.Message = top
	for field != "" {
		head, rest, more := strings.Cut(field, ".")
		fd := m.Descriptor().Fields().ByName(protoreflect.Name(head))
		if fd == nil {
			t.Fatalf("%s: the request has no field %q", method, head)
		}
		if !more {
			m.Set(fd, protoreflect.ValueOfString(name))
			break
		}
		m, field = m.Mutable(fd).Message(), rest
	}
	return top
}

func TestTableCoversEveryMethod(t *testing.T) {
	seen := map[string]bool{}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		switch pkg := string(file.Package()); {
		case strings.HasPrefix(pkg, "cagnotte."):
		case pkg == "grpc.health.v1", pkg == "grpc.reflection.v1", pkg == "grpc.reflection.v1alpha":
		default:
			return true
		}
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)
				name := "/" + string(service.FullName()) + "/" + string(method.Name())
				seen[name] = true
				r, ok := table[name]
				if !ok {
					t.Errorf("%s has no row in the permission table", name)
					continue
				}
				checkRow(t, name, r, method)
			}
		}
		return true
	})
	for name := range table {
		if !seen[name] {
			t.Errorf("%s is in the permission table, and no service has it", name)
		}
		if _, ok := matrix[strings.TrimPrefix(name, "/")]; !ok {
			t.Errorf("%s is not in the matrix of this test", name)
		}
	}
	if len(matrix) != len(table) {
		t.Errorf("the matrix has %d rows, the table %d", len(matrix), len(table))
	}
}

func checkRow(t *testing.T, name string, r rule, method protoreflect.MethodDescriptor) {
	t.Helper()
	switch {
	case r.own:
		if r.public || r.anyKey || r.allow != 0 || r.field != "" || r.resource == "" {
			t.Errorf("%s: a row of what is a member's own says only what it is", name)
		}
	case r.public || r.anyKey:
		if r.public && r.anyKey || r.allow != 0 || r.field != "" || r.fresh {
			t.Errorf("%s: a row that lets all in says nothing else", name)
		}
	case r.allow == 0:
		t.Errorf("%s: nobody may call it", name)
	case r.resource == "":
		t.Errorf("%s: NOT_FOUND would speak of nothing", name)
	case r.field == "" && r.allow != operator:
		t.Errorf("%s: members may call it, and no field says whose it is", name)
	case r.field != "":
		if _, ok := fieldAt(dynamicpb.NewMessage(method.Input()), r.field); !ok {
			t.Errorf("%s: %s has no text field %q", name, method.Input().FullName(), r.field)
		}
	}
}

func TestAuthorizeSpeaksOfTheResource(t *testing.T) {
	const method = "cagnotte.collectives.v1.CollectivesService/GetCollective"
	const name = "collectives/vallon"
	req := requestOf(t, method, "name", name)
	err := Authorize(holder(RoleOwner, "marseille"), "/"+method, req)
	if got, want := err.Error(), errs.NotFound(name).Error(); got != want {
		t.Errorf("got %q, want %q as for a missing one", got, want)
	}
}

func TestAuthorizeComparesTheWholeCollective(t *testing.T) {
	const method = "cagnotte.collectives.v1.CollectivesService/GetCollective"
	for _, name := range []string{
		"", "collectives/", "collectives", "collectives//", "vallon", "collectives/vallon-sud", "collectives/vallo",
		"Collectives/vallon", "collectives/VALLON", "/collectives/vallon", " collectives/vallon", "x/collectives/vallon",
		"collectives/marseille/collectives/vallon",
	} {
		req := requestOf(t, method, "name", name)
		if got := errs.Code(Authorize(holder(RoleOwner, "vallon"), "/"+method, req)); got != codes.NotFound {
			t.Errorf("%q: %v, want NOT_FOUND", name, got)
		}
		// Whoever holds a broken principal without a collective belongs to none.
		if got := errs.Code(Authorize(Principal{Name: "k", Key: "k", Grants: []Grant{{"", RoleOwner}}}, "/"+method, req)); got != codes.NotFound {
			t.Errorf("%q by a principal without collective: %v, want NOT_FOUND", name, got)
		}
	}
}

func TestAuthorizeFailsClosed(t *testing.T) {
	all := holder(RoleOperator, "")
	if got := errs.As(Authorize(all, "/cagnotte.access.v1.AccessService/DropEverything", nil)); got.Code != codes.Unimplemented || got.Reason != errorsv1.ErrorReason_UNKNOWN_METHOD {
		t.Errorf("a method without a row: %v", got)
	}
	const scoped = "/cagnotte.ledger.v1.LedgerService/ListAccounts"
	if got := errs.Code(Authorize(holder(RoleOwner, "vallon"), scoped, nil)); got != codes.NotFound {
		t.Errorf("no request: %v, want NOT_FOUND", got)
	}
	other := requestOf(t, "cagnotte.access.v1.AccessService/GetPrincipal", "", "")
	if got := errs.Code(Authorize(holder(RoleOwner, "vallon"), scoped, other)); got != codes.NotFound {
		t.Errorf("a request without the field: %v, want NOT_FOUND", got)
	}
	if got := errs.Code(Authorize(Principal{Name: "k", Key: "k", Grants: []Grant{{"vallon", "king"}}}, scoped,
		requestOf(t, scoped[1:], "parent", "collectives/vallon"))); got != codes.NotFound {
		t.Errorf("an unknown role: %v, want NOT_FOUND", got)
	}
	// Bidirectional streams are admitted before a request is there.
	if err := Authorize(Principal{}, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", nil); err != nil {
		t.Errorf("reflection: %v", err)
	}
}

func TestInstanceKeysAreTheOperators(t *testing.T) {
	for method, field := range map[string]string{"CreateApiKey": "parent", "ListApiKeys": "parent", "GetApiKey": "name", "RevokeApiKey": "name"} {
		full := "cagnotte.access.v1.AccessService/" + method
		name := map[string]string{"parent": "instance", "name": "instance/apiKeys/first"}[field]
		req := requestOf(t, full, field, name)
		if err := Authorize(holder(RoleOperator, ""), "/"+full, req); err != nil {
			t.Errorf("%s by the operator: %v", method, err)
		}
		if got := errs.Code(Authorize(holder(RoleOwner, "vallon"), "/"+full, req)); got != codes.NotFound {
			t.Errorf("%s by an owner: %v, want NOT_FOUND", method, got)
		}
	}
}

// FuzzSplitCredential shows that a key is taken apart in one way only.
func FuzzSplitCredential(f *testing.F) {
	f.Add("cag_abcdefghijklmnop_" + strings.Repeat("A", secretChars))
	f.Add("cag_a_" + strings.Repeat("_", secretChars))
	f.Add("cag__")
	f.Add("")
	f.Fuzz(func(t *testing.T, key string) {
		token, secret, ok := splitCredential(keyPrefix, key)
		if ok && joinKey(token, secret) != key {
			t.Fatalf("%q was read as %q and %q", key, token, secret)
		}
		if ok && (len(secret) != secretChars || strings.ContainsAny(token, "_-") || token == "") {
			t.Fatalf("%q was accepted", key)
		}
	})
}
