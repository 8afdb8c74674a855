package access

// grant is a set of roles.
type grant uint8

const (
	owner grant = 1 << iota
	editor
	treasurer
	auditor
	operator
)

const (
	// members are all roles of the collective.
	members = owner | editor | treasurer | auditor
	// bookkeepers read the money.
	bookkeepers = owner | treasurer | auditor
)

// rule says who may call one method.
type rule struct {
	// public: everybody may call, also without a key.
	public bool
	// anyKey: every key may call. The server answers only what is the caller's own.
	anyKey bool
	// own: every session may call, and no key. The server answers only what is the caller's own.
	own bool
	// fresh: a session needs a fresh proof; see RequireFresh.
	fresh bool
	// allow are the roles that may call. A member may call it for its own collective, the operator for all.
	allow grant
	// field is the path in the request to the name of a resource, which begins with the collective. It is empty when the
	// method is about no collective; then only the operator can be allowed.
	field string
	// resource is what NOT_FOUND names when the request names nothing.
	resource string
}

// table says who may call what: one row for each RPC, in the order of the protos. A method without a row cannot be called.
// A name under `instance` belongs to no collective, so only the operator may use it. Tests compare the rows with the
// registered services, and all rights of all roles with a second table.
var table = map[string]rule{
	"/cagnotte.access.v1.AccessService/GetPrincipal": {anyKey: true},
	// A member makes and revokes keys of its own. The server keeps all but owners and the operator to those.
	"/cagnotte.access.v1.AccessService/CreateApiKey": {allow: members | operator, field: "parent", resource: "apiKeys", fresh: true},
	// To see who holds a key belongs to an audit; secrets are not in the answer. An editor gets its own.
	"/cagnotte.access.v1.AccessService/ListApiKeys":  {allow: members | operator, field: "parent", resource: "apiKeys"},
	"/cagnotte.access.v1.AccessService/GetApiKey":    {allow: members | operator, field: "name", resource: "apiKeys"},
	"/cagnotte.access.v1.AccessService/RevokeApiKey": {allow: members | operator, field: "name", resource: "apiKeys", fresh: true},

	// A link, a passkey or an invitation is the proof.
	"/cagnotte.access.v1.SignInService/RequestSignInLink":   {public: true},
	"/cagnotte.access.v1.SignInService/RedeemSignInLink":    {public: true},
	"/cagnotte.access.v1.SignInService/BeginPasskeySignIn":  {public: true},
	"/cagnotte.access.v1.SignInService/FinishPasskeySignIn": {public: true},
	"/cagnotte.access.v1.SignInService/LookUpInvitation":    {public: true},
	"/cagnotte.access.v1.SignInService/AcceptInvitation":    {public: true},

	// A key that was stolen must not make its thief the person.
	"/cagnotte.access.v1.MembersService/GetMember":                 {own: true, resource: "members"},
	"/cagnotte.access.v1.MembersService/UpdateMember":              {own: true, resource: "members"},
	"/cagnotte.access.v1.MembersService/ListSessions":              {own: true, resource: "sessions"},
	"/cagnotte.access.v1.MembersService/RevokeSession":             {own: true, resource: "sessions"},
	"/cagnotte.access.v1.MembersService/SignOut":                   {own: true, resource: "members"},
	"/cagnotte.access.v1.MembersService/BeginPasskeyRegistration":  {own: true, resource: "passkeys", fresh: true},
	"/cagnotte.access.v1.MembersService/FinishPasskeyRegistration": {own: true, resource: "passkeys", fresh: true},
	"/cagnotte.access.v1.MembersService/ListPasskeys":              {own: true, resource: "passkeys"},
	"/cagnotte.access.v1.MembersService/DeletePasskey":             {own: true, resource: "passkeys", fresh: true},
	"/cagnotte.access.v1.MembersService/RequestEmailChange":        {own: true, resource: "members", fresh: true},
	"/cagnotte.access.v1.MembersService/RedeemEmailChange":         {own: true, resource: "members"},
	"/cagnotte.access.v1.MembersService/ListMemberships":           {allow: members | operator, field: "parent", resource: "memberships"},
	"/cagnotte.access.v1.MembersService/GetMembership":             {allow: members | operator, field: "name", resource: "memberships"},
	"/cagnotte.access.v1.MembersService/UpdateMembership": {
		allow: owner | operator, field: "membership.name", resource: "memberships", fresh: true,
	},
	// Everybody may leave. The server keeps all but owners and the operator to that.
	"/cagnotte.access.v1.MembersService/DeleteMembership": {allow: members | operator, field: "name", resource: "memberships", fresh: true},
	"/cagnotte.access.v1.MembersService/CreateInvitation": {allow: owner | operator, field: "parent", resource: "invitations", fresh: true},
	// A treasurer gets one that waits for a second person, who must know whom they approve. The server keeps them to that.
	"/cagnotte.access.v1.MembersService/GetInvitation":    {allow: owner | treasurer | operator, field: "name", resource: "invitations"},
	"/cagnotte.access.v1.MembersService/ListInvitations":  {allow: owner | operator, field: "parent", resource: "invitations"},
	"/cagnotte.access.v1.MembersService/RevokeInvitation": {allow: owner | operator, field: "name", resource: "invitations"},

	"/cagnotte.collectives.v1.CollectivesService/CreateCollective":  {allow: operator, resource: "collectives", fresh: true},
	"/cagnotte.collectives.v1.CollectivesService/GetCollective":     {allow: members | operator, field: "name", resource: "collectives"},
	"/cagnotte.collectives.v1.CollectivesService/ListCollectives":   {anyKey: true},
	"/cagnotte.collectives.v1.CollectivesService/UpdateCollective":  {allow: owner | operator, field: "collective.name", resource: "collectives"},
	"/cagnotte.collectives.v1.CollectivesService/SuspendCollective": {allow: operator, field: "name", resource: "collectives", fresh: true},
	"/cagnotte.collectives.v1.CollectivesService/ResumeCollective":  {allow: operator, field: "name", resource: "collectives", fresh: true},

	// Whoever wants a collective has no key yet.
	"/cagnotte.collectives.v1.ApplicationsService/GetOpening":         {public: true},
	"/cagnotte.collectives.v1.ApplicationsService/UpdateOpening":      {allow: operator, field: "opening.name", resource: "instance", fresh: true},
	"/cagnotte.collectives.v1.ApplicationsService/CreateApplication":  {public: true},
	"/cagnotte.collectives.v1.ApplicationsService/GetApplication":     {allow: operator, field: "name", resource: "applications"},
	"/cagnotte.collectives.v1.ApplicationsService/ListApplications":   {allow: operator, field: "parent", resource: "applications"},
	"/cagnotte.collectives.v1.ApplicationsService/ApproveApplication": {allow: operator, field: "name", resource: "applications", fresh: true},
	"/cagnotte.collectives.v1.ApplicationsService/RejectApplication":  {allow: operator, field: "name", resource: "applications"},

	"/cagnotte.instance.v1.InstanceService/GetInstance":              {allow: operator, field: "name", resource: "instance"},
	"/cagnotte.instance.v1.InstanceService/SendTestMail":             {allow: operator, field: "name", resource: "instance"},
	"/cagnotte.instance.v1.InstanceService/CheckStripe":              {allow: operator, field: "name", resource: "instance"},
	"/cagnotte.instance.v1.InstanceService/SetUpStripeEndpoints":     {allow: operator, field: "name", resource: "instance", fresh: true},
	"/cagnotte.instance.v1.InstanceService/CreateLedgerVerification": {allow: operator, field: "parent", resource: "ledgerVerifications"},
	"/cagnotte.instance.v1.InstanceService/GetLedgerVerification":    {allow: operator, field: "name", resource: "ledgerVerifications"},
	"/cagnotte.instance.v1.InstanceService/ListLedgerVerifications":  {allow: operator, field: "parent", resource: "ledgerVerifications"},

	// Entries tell bank accounts, refunds and expenses, which editors do not read.
	"/cagnotte.audit.v1.AuditService/ListAuditEntries":   {allow: bookkeepers | operator, field: "parent", resource: "auditEntries"},
	"/cagnotte.audit.v1.AuditService/GetAuditEntry":      {allow: bookkeepers | operator, field: "name", resource: "auditEntries"},
	"/cagnotte.audit.v1.AuditService/ExportAuditEntries": {allow: bookkeepers | operator, field: "parent", resource: "auditEntries"},

	// Until a campaign is published, the service answers it to members alone.
	"/cagnotte.collectives.v1.CollectivesService/GetCollectiveProfile": {public: true},
	"/cagnotte.collectives.v1.CollectivesService/UpdateCollectiveProfile": {
		allow: owner | editor | operator, field: "collective_profile.name", resource: "collectives",
	},

	"/cagnotte.images.v1.ImagesService/CreateImage": {allow: owner | editor | operator, field: "parent", resource: "images"},
	// Public is what a published campaign or the profile shows; the service hides the others.
	"/cagnotte.images.v1.ImagesService/GetImage":        {public: true},
	"/cagnotte.images.v1.ImagesService/ListImages":      {allow: members | operator, field: "parent", resource: "images"},
	"/cagnotte.images.v1.ImagesService/GetImageContent": {public: true},

	// Who follows the link sets the bank account that donations are paid out to.
	"/cagnotte.connect.v1.ConnectService/StartOnboarding": {allow: owner | operator, field: "name", resource: "collectives", fresh: true},
	"/cagnotte.connect.v1.ConnectService/GetConnection":   {allow: members | operator, field: "name", resource: "collectives"},

	"/cagnotte.notices.v1.NoticesService/GetNotice":   {allow: bookkeepers | operator, field: "name", resource: "notices"},
	"/cagnotte.notices.v1.NoticesService/ListNotices": {allow: bookkeepers | operator, field: "parent", resource: "notices"},
	// An auditor reads all and changes nothing.
	"/cagnotte.notices.v1.NoticesService/AcknowledgeNotice": {allow: owner | treasurer | operator, field: "name", resource: "notices"},

	"/cagnotte.campaigns.v1.CampaignsService/CreateCampaign": {allow: owner | editor, field: "parent", resource: "campaigns"},
	"/cagnotte.campaigns.v1.CampaignsService/GetCampaign":    {public: true},
	"/cagnotte.campaigns.v1.CampaignsService/GetProgress":    {public: true},
	"/cagnotte.campaigns.v1.CampaignsService/ListCampaigns":  {public: true},
	// The front page is everybody's.
	"/cagnotte.campaigns.v1.CampaignsService/ListListedCampaigns": {public: true},
	"/cagnotte.campaigns.v1.CampaignsService/GetSitemap":          {public: true},
	"/cagnotte.campaigns.v1.CampaignsService/UpdateCampaign":      {allow: owner | editor, field: "campaign.name", resource: "campaigns"},
	"/cagnotte.campaigns.v1.CampaignsService/PublishCampaign":     {allow: owner | editor, field: "name", resource: "campaigns"},
	"/cagnotte.campaigns.v1.CampaignsService/PauseCampaign":       {allow: owner | editor, field: "name", resource: "campaigns"},
	"/cagnotte.campaigns.v1.CampaignsService/ResumeCampaign":      {allow: owner | editor, field: "name", resource: "campaigns"},
	"/cagnotte.campaigns.v1.CampaignsService/CloseCampaign":       {allow: owner | editor, field: "name", resource: "campaigns"},
	"/cagnotte.campaigns.v1.CampaignsService/CopyCampaign":        {allow: owner | editor, field: "name", resource: "campaigns"},
	"/cagnotte.campaigns.v1.CampaignsService/RenameCampaign":      {allow: owner | editor, field: "name", resource: "campaigns"},
	"/cagnotte.campaigns.v1.CampaignsService/DeleteCampaign":      {allow: owner | editor, field: "name", resource: "campaigns"},
	"/cagnotte.campaigns.v1.CampaignsService/GetPublishChecklist": {
		allow: members | operator, field: "name", resource: "campaigns",
	},
	"/cagnotte.campaigns.v1.CampaignsService/ListRefusedOrigins": {
		allow: owner | editor | operator, field: "parent", resource: "campaigns",
	},
	"/cagnotte.campaigns.v1.CampaignsService/CheckOrigin": {public: true},

	"/cagnotte.campaigns.v1.NewsService/CreateNewsItem":   {allow: owner | editor, field: "parent", resource: "news"},
	"/cagnotte.campaigns.v1.NewsService/GetNewsItem":      {public: true},
	"/cagnotte.campaigns.v1.NewsService/ListNewsItems":    {public: true},
	"/cagnotte.campaigns.v1.NewsService/UpdateNewsItem":   {allow: owner | editor, field: "news_item.name", resource: "news"},
	"/cagnotte.campaigns.v1.NewsService/PublishNewsItem":  {allow: owner | editor, field: "name", resource: "news"},
	"/cagnotte.campaigns.v1.NewsService/WithdrawNewsItem": {allow: owner | editor, field: "name", resource: "news"},
	"/cagnotte.campaigns.v1.NewsService/DeleteNewsItem":   {allow: owner | editor, field: "name", resource: "news"},

	"/cagnotte.donations.v1.DonationsService/CreateDonation": {public: true},
	// A donation names nobody, so the editor may see whether its campaign works.
	"/cagnotte.donations.v1.DonationsService/GetDonation":       {allow: members | operator, field: "name", resource: "donations"},
	"/cagnotte.donations.v1.DonationsService/ListDonations":     {allow: members | operator, field: "parent", resource: "donations"},
	"/cagnotte.donations.v1.DonationsService/GetDonationStatus": {public: true},
	"/cagnotte.donations.v1.DonationsService/LocateDonation":    {public: true},
	// Empty until the campaign shows them.
	"/cagnotte.donations.v1.DonationsService/ListDonationBatches": {public: true},
	"/cagnotte.donations.v1.DonationsService/ReopenDonation":      {public: true},

	"/cagnotte.refunds.v1.RefundsService/CreateRefund":  {allow: owner | treasurer, field: "parent", resource: "refunds"},
	"/cagnotte.refunds.v1.RefundsService/GetRefund":     {allow: bookkeepers | operator, field: "name", resource: "refunds"},
	"/cagnotte.refunds.v1.RefundsService/ListRefunds":   {allow: bookkeepers | operator, field: "parent", resource: "refunds"},
	"/cagnotte.refunds.v1.RefundsService/ApproveRefund": {allow: owner | treasurer, field: "name", resource: "refunds"},
	"/cagnotte.refunds.v1.RefundsService/RejectRefund":  {allow: owner | treasurer, field: "name", resource: "refunds"},
	"/cagnotte.refunds.v1.RefundsService/CancelRefund":  {allow: owner | treasurer, field: "name", resource: "refunds"},

	"/cagnotte.disputes.v1.DisputesService/GetDispute":        {allow: bookkeepers | operator, field: "name", resource: "disputes"},
	"/cagnotte.disputes.v1.DisputesService/ListDisputes":      {allow: bookkeepers | operator, field: "parent", resource: "disputes"},
	"/cagnotte.disputes.v1.DisputesService/GetFraudWarning":   {allow: bookkeepers | operator, field: "name", resource: "fraudWarnings"},
	"/cagnotte.disputes.v1.DisputesService/ListFraudWarnings": {allow: bookkeepers | operator, field: "parent", resource: "fraudWarnings"},

	"/cagnotte.recurring.v1.RecurringService/GetRecurringDonation": {
		allow: members | operator, field: "name", resource: "recurringDonations",
	},
	"/cagnotte.recurring.v1.RecurringService/ListRecurringDonations": {
		allow: members | operator, field: "parent", resource: "recurringDonations",
	},
	"/cagnotte.recurring.v1.RecurringService/CancelRecurringDonation": {
		allow: owner | editor | treasurer, field: "name", resource: "recurringDonations",
	},
	// A donor has no key: the link that is mailed is the proof, and the token after it.
	"/cagnotte.recurring.v1.RecurringService/RequestManageLink":       {public: true},
	"/cagnotte.recurring.v1.RecurringService/RequestManageLinks":      {public: true},
	"/cagnotte.recurring.v1.RecurringService/RedeemManageLink":        {public: true},
	"/cagnotte.recurring.v1.RecurringService/ShowRecurringDonation":   {public: true},
	"/cagnotte.recurring.v1.RecurringService/ChangeRecurringDonation": {public: true},
	"/cagnotte.recurring.v1.RecurringService/StopRecurringDonation":   {public: true},
	"/cagnotte.recurring.v1.RecurringService/CreatePortalSession":     {public: true},

	// The signature is the proof.
	"/cagnotte.webhooks.v1.WebhooksService/ReceiveStripeEvent":     {public: true},
	"/cagnotte.webhooks.v1.WebhooksService/ListWebhookEvents":      {allow: bookkeepers | operator, field: "parent", resource: "webhookEvents"},
	"/cagnotte.webhooks.v1.WebhooksService/GetWebhookEvent":        {allow: bookkeepers | operator, field: "name", resource: "webhookEvents"},
	"/cagnotte.webhooks.v1.WebhooksService/GetWebhookHealth":       {allow: bookkeepers | operator, field: "name", resource: "webhookHealth"},
	"/cagnotte.webhooks.v1.WebhooksService/ListWebhookHealth":      {allow: operator, field: "parent", resource: "webhookHealth"},
	"/cagnotte.webhooks.v1.WebhooksService/ReplayWebhookEvent":     {allow: owner | treasurer | operator, field: "name", resource: "webhookEvents"},
	"/cagnotte.webhooks.v1.WebhooksService/ReplayWebhookEvents":    {allow: owner | treasurer | operator, field: "parent", resource: "webhookEvents"},
	"/cagnotte.webhooks.v1.WebhooksService/ListParkedTransactions": {allow: bookkeepers | operator, field: "parent", resource: "parkedTransactions"},
	"/cagnotte.webhooks.v1.WebhooksService/GetParkedTransaction":   {allow: bookkeepers | operator, field: "name", resource: "parkedTransactions"},
	"/cagnotte.webhooks.v1.WebhooksService/RetryParkedTransactions": {
		allow: owner | treasurer | operator, field: "parent", resource: "parkedTransactions",
	},

	"/cagnotte.ledger.v1.LedgerService/GetAccount":       {allow: bookkeepers | operator, field: "name", resource: "ledger"},
	"/cagnotte.ledger.v1.LedgerService/GetTransaction":   {allow: bookkeepers | operator, field: "name", resource: "ledger"},
	"/cagnotte.ledger.v1.LedgerService/ListAccounts":     {allow: bookkeepers | operator, field: "parent", resource: "ledger"},
	"/cagnotte.ledger.v1.LedgerService/ListTransactions": {allow: bookkeepers | operator, field: "parent", resource: "ledger"},
	"/cagnotte.ledger.v1.LedgerService/CreateAccount":    {allow: owner | treasurer | operator, field: "parent", resource: "ledger"},
	// A host's chart is that of all its collectives.
	"/cagnotte.ledger.v1.LedgerService/UpdateAccount": {allow: operator, field: "account.name", resource: "ledger"},
	"/cagnotte.ledger.v1.LedgerService/ListStatementLines": {
		allow: bookkeepers | operator, field: "parent", resource: "ledger",
	},
	"/cagnotte.ledger.v1.LedgerService/ReverseTransaction": {
		allow: owner | treasurer | operator, field: "name", resource: "ledger",
	},
	"/cagnotte.ledger.v1.LedgerService/ReclassifyTransaction": {
		allow: owner | treasurer | operator, field: "name", resource: "ledger",
	},
	// A checkpoint says how much is sealed, no amount and no name: anybody can watch it.
	"/cagnotte.ledger.v1.LedgerService/GetCheckpoint":     {public: true},
	"/cagnotte.ledger.v1.LedgerService/GetInclusionProof": {allow: bookkeepers | operator, field: "name", resource: "ledger"},
	// The donation's id cannot be guessed; its donor has no key.
	"/cagnotte.ledger.v1.LedgerService/GetDonationProof": {public: true},
	// An auditor reads all and changes nothing.
	"/cagnotte.ledger.v1.LedgerService/ClosePeriod": {allow: owner | treasurer | operator, field: "name", resource: "ledger", fresh: true},

	"/cagnotte.payouts.v1.PayoutsService/ListPayouts":     {allow: bookkeepers | operator, field: "parent", resource: "payouts"},
	"/cagnotte.payouts.v1.PayoutsService/GetPayout":       {allow: bookkeepers | operator, field: "name", resource: "payouts"},
	"/cagnotte.payouts.v1.PayoutsService/ListPayoutLines": {allow: bookkeepers | operator, field: "parent", resource: "payouts"},
	"/cagnotte.payouts.v1.PayoutsService/GetPayoutLine":   {allow: bookkeepers | operator, field: "name", resource: "payouts"},

	// Who may do wrong with a receipt decides with a second person; who declared too much takes it back alone.
	"/cagnotte.receipts.v1.ReceiptsService/CreateReceiptDeclaration": {
		allow: owner, field: "parent", resource: "receiptDeclarations", fresh: true,
	},
	"/cagnotte.receipts.v1.ReceiptsService/GetReceiptDeclaration": {
		allow: bookkeepers | operator, field: "name", resource: "receiptDeclarations",
	},
	"/cagnotte.receipts.v1.ReceiptsService/ListReceiptDeclarations": {
		allow: bookkeepers | operator, field: "parent", resource: "receiptDeclarations",
	},
	"/cagnotte.receipts.v1.ReceiptsService/WithdrawReceiptDeclaration": {
		allow: owner | treasurer, field: "name", resource: "receiptDeclarations",
	},
	"/cagnotte.receipts.v1.ReceiptsService/CreateSealingKey": {allow: owner | treasurer, field: "parent", resource: "sealingKeys", fresh: true},
	"/cagnotte.receipts.v1.ReceiptsService/GetSealingKey":    {allow: bookkeepers | operator, field: "name", resource: "sealingKeys"},
	"/cagnotte.receipts.v1.ReceiptsService/ListSealingKeys":  {allow: bookkeepers | operator, field: "parent", resource: "sealingKeys"},
	"/cagnotte.receipts.v1.ReceiptsService/RevokeSealingKey": {allow: owner | treasurer, field: "name", resource: "sealingKeys"},
	// The donation's name cannot be guessed; its donor has no key.
	"/cagnotte.receipts.v1.ReceiptsService/GetReceiptOffer":   {public: true},
	"/cagnotte.receipts.v1.ReceiptsService/IssueReceipt":      {public: true},
	"/cagnotte.receipts.v1.ReceiptsService/EraseReceiptDonor": {public: true},
	"/cagnotte.receipts.v1.ReceiptsService/GetReceipt":        {allow: bookkeepers | operator, field: "name", resource: "receipts"},
	"/cagnotte.receipts.v1.ReceiptsService/ListReceipts":      {allow: bookkeepers | operator, field: "parent", resource: "receipts"},
	"/cagnotte.receipts.v1.ReceiptsService/GetReceiptYear":    {allow: bookkeepers | operator, field: "name", resource: "receiptYears"},
	"/cagnotte.receipts.v1.ReceiptsService/CancelReceipt":     {allow: owner | treasurer, field: "name", resource: "receipts"},
	// Only with a key does somebody read them, and the operator has none of the collective's.
	"/cagnotte.receipts.v1.ReceiptsService/ReadSealedDonor":    {allow: owner | treasurer, field: "name", resource: "receipts", fresh: true},
	"/cagnotte.receipts.v1.ReceiptsService/ExportSealedDonors": {allow: owner | treasurer, field: "parent", resource: "receipts", fresh: true},
	"/cagnotte.receipts.v1.ReceiptsService/ExportStaleSealedDonors": {
		allow: owner | treasurer, field: "parent", resource: "receipts", fresh: true,
	},
	"/cagnotte.receipts.v1.ReceiptsService/ResealDonors": {allow: owner | treasurer, field: "parent", resource: "receipts", fresh: true},

	"/cagnotte.exports.v1.ExportsService/ExportLedger": {allow: bookkeepers | operator, field: "name", resource: "ledger"},

	// The answers to an editor have what is in donations and campaigns alone.
	// What guards the money: who may decide sees it, and an auditor.
	"/cagnotte.approvals.v1.ApprovalsService/GetPendingChange":   {allow: bookkeepers | operator, field: "name", resource: "pendingChanges"},
	"/cagnotte.approvals.v1.ApprovalsService/ListPendingChanges": {allow: bookkeepers | operator, field: "parent", resource: "pendingChanges"},
	"/cagnotte.approvals.v1.ApprovalsService/ApprovePendingChange": {
		allow: owner | treasurer | operator, field: "name", resource: "pendingChanges", fresh: true,
	},
	"/cagnotte.approvals.v1.ApprovalsService/RejectPendingChange": {allow: owner | treasurer | operator, field: "name", resource: "pendingChanges"},
	"/cagnotte.approvals.v1.ApprovalsService/CancelPendingChange": {allow: owner | treasurer | operator, field: "name", resource: "pendingChanges"},
	"/cagnotte.approvals.v1.ApprovalsService/GetTwoPersonRule":    {allow: members | operator, field: "name", resource: "twoPersonRule"},
	"/cagnotte.approvals.v1.ApprovalsService/UpdateTwoPersonRule": {
		allow: owner | operator, field: "two_person_rule.name", resource: "twoPersonRule", fresh: true,
	},

	"/cagnotte.overview.v1.OverviewService/GetOverview":            {allow: members | operator, field: "name", resource: "overview"},
	"/cagnotte.overview.v1.OverviewService/GetContribution":        {allow: members | operator, field: "name", resource: "contributions"},
	"/cagnotte.overview.v1.OverviewService/ListContributions":      {allow: members | operator, field: "parent", resource: "contributions"},
	"/cagnotte.overview.v1.OverviewService/GetContributionHistory": {allow: members | operator, field: "name", resource: "contributions"},
	"/cagnotte.overview.v1.OverviewService/GetStatistics":          {allow: members | operator, field: "name", resource: "statistics"},
	"/cagnotte.overview.v1.OverviewService/GetMonthlyStatistics":   {allow: members | operator, field: "name", resource: "monthlyStatistics"},

	// Offline money is for the treasurer; an editor writes texts.
	"/cagnotte.treasury.v1.TreasuryService/CreateOfflineDonation":  {allow: owner | treasurer, field: "parent", resource: "offlineDonations"},
	"/cagnotte.treasury.v1.TreasuryService/GetOfflineDonation":     {allow: bookkeepers | operator, field: "name", resource: "offlineDonations"},
	"/cagnotte.treasury.v1.TreasuryService/ListOfflineDonations":   {allow: bookkeepers | operator, field: "parent", resource: "offlineDonations"},
	"/cagnotte.treasury.v1.TreasuryService/CreateDeposit":          {allow: owner | treasurer, field: "parent", resource: "deposits"},
	"/cagnotte.treasury.v1.TreasuryService/GetDeposit":             {allow: bookkeepers | operator, field: "name", resource: "deposits"},
	"/cagnotte.treasury.v1.TreasuryService/ListDeposits":           {allow: bookkeepers | operator, field: "parent", resource: "deposits"},
	"/cagnotte.treasury.v1.TreasuryService/BounceCheque":           {allow: owner | treasurer, field: "name", resource: "offlineDonations"},
	"/cagnotte.treasury.v1.TreasuryService/ReverseOfflineDonation": {allow: owner | treasurer, field: "name", resource: "offlineDonations"},
	"/cagnotte.treasury.v1.TreasuryService/GetClearingItem":        {allow: bookkeepers | operator, field: "name", resource: "clearingItems"},
	"/cagnotte.treasury.v1.TreasuryService/ListClearingItems":      {allow: bookkeepers | operator, field: "parent", resource: "clearingItems"},
	"/cagnotte.treasury.v1.TreasuryService/CreatePledge":           {public: true},
	// The pledge's name cannot be guessed; its giver has no key.
	"/cagnotte.treasury.v1.TreasuryService/GetPledge": {public: true},
	// A pledge names nobody, so the editor may see whether the slips are used.
	"/cagnotte.treasury.v1.TreasuryService/ListPledges":       {allow: members | operator, field: "parent", resource: "pledges"},
	"/cagnotte.treasury.v1.TreasuryService/ListPledgeMethods": {public: true},
	"/cagnotte.treasury.v1.TreasuryService/CreateExpense":     {allow: owner | treasurer, field: "parent", resource: "expenses"},
	"/cagnotte.treasury.v1.TreasuryService/GetExpense":        {allow: bookkeepers | operator, field: "name", resource: "expenses"},
	"/cagnotte.treasury.v1.TreasuryService/ListExpenses":      {allow: bookkeepers | operator, field: "parent", resource: "expenses"},
	// Empty until the campaign shows its expenses.
	"/cagnotte.treasury.v1.TreasuryService/ListPublicExpenses": {public: true},
	"/cagnotte.treasury.v1.TreasuryService/PayExpense":         {allow: owner | treasurer, field: "name", resource: "expenses"},
	"/cagnotte.treasury.v1.TreasuryService/ReverseExpense":     {allow: owner | treasurer, field: "name", resource: "expenses"},

	"/cagnotte.treasury.v1.TreasuryService/CreateExpenseAttachment":   {allow: owner | treasurer, field: "parent", resource: "attachments"},
	"/cagnotte.treasury.v1.TreasuryService/GetExpenseAttachment":      {allow: bookkeepers | operator, field: "name", resource: "attachments"},
	"/cagnotte.treasury.v1.TreasuryService/ListExpenseAttachments":    {allow: bookkeepers | operator, field: "parent", resource: "attachments"},
	"/cagnotte.treasury.v1.TreasuryService/DownloadExpenseAttachment": {allow: bookkeepers | operator, field: "name", resource: "attachments"},

	"/cagnotte.bank.v1.BankService/ImportBankStatement": {allow: owner | treasurer, field: "parent", resource: "bankStatements"},
	"/cagnotte.bank.v1.BankService/GetBankStatement":    {allow: bookkeepers | operator, field: "name", resource: "bankStatements"},
	"/cagnotte.bank.v1.BankService/ListBankStatements":  {allow: bookkeepers | operator, field: "parent", resource: "bankStatements"},
	"/cagnotte.bank.v1.BankService/GetBankLine":         {allow: bookkeepers | operator, field: "name", resource: "bankLines"},
	"/cagnotte.bank.v1.BankService/ListBankLines":       {allow: bookkeepers | operator, field: "parent", resource: "bankLines"},
	"/cagnotte.bank.v1.BankService/MatchBankLine":       {allow: owner | treasurer, field: "name", resource: "bankLines"},
	"/cagnotte.bank.v1.BankService/UnmatchBankLine":     {allow: owner | treasurer, field: "name", resource: "bankLines"},
	"/cagnotte.bank.v1.BankService/IgnoreBankLine":      {allow: owner | treasurer, field: "name", resource: "bankLines"},
	"/cagnotte.bank.v1.BankService/GetBankPosition":     {allow: bookkeepers | operator, field: "name", resource: "bankPosition"},

	"/cagnotte.bank.v1.BankService/SplitBankLine":          {allow: owner | treasurer, field: "name", resource: "bankLines"},
	"/cagnotte.bank.v1.BankService/SuggestBankLineMatches": {allow: bookkeepers | operator, field: "name", resource: "bankLines"},
	"/cagnotte.bank.v1.BankService/CountOpenBankLines":     {allow: bookkeepers | operator, field: "parent", resource: "bankLines"},

	// Load balancers and orchestrators have no key, and the contract is no secret.
	"/grpc.health.v1.Health/Check":                                   {public: true},
	"/grpc.health.v1.Health/Watch":                                   {public: true},
	"/grpc.health.v1.Health/List":                                    {public: true},
	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      {public: true},
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": {public: true},
}
