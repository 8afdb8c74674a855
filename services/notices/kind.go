package notices

// Kind is what a notice says. Each kind has its texts in texts.fr.json and texts.en.json, under
// its own word and `.subject` and `.text`.
type Kind string

// The kinds.
const (
	// DisputeOpened: a donor's bank took a donation back. Deadline is until when evidence is taken.
	DisputeOpened Kind = "dispute_opened"
	// DisputeWon: a dispute ended, and its money comes back.
	DisputeWon Kind = "dispute_won"
	// DisputeLost: a dispute ended, and its money is the donor's again.
	DisputeLost Kind = "dispute_lost"
	// DisputeReinstated: the money of a dispute came back, and the dispute is not won.
	DisputeReinstated Kind = "dispute_reinstated"
	// PaidBackTwice: a donation was refunded, and the donor's bank took it back as well. Amount is what went back
	// beyond what was paid.
	PaidBackTwice Kind = "paid_back_twice"
	// InquiryOpened: a bank asks about a donation, and no money moved.
	InquiryOpened Kind = "inquiry_opened"
	// FraudWarning: a card's network says that a donation may be a fraud.
	FraudWarning Kind = "fraud_warning"
	// PaidTwice: one donation was paid once more, since its payment page was opened again.
	PaidTwice Kind = "paid_twice"
	// PaymentRefused: a payment names a donation that it is not of, or brought another amount than that was to bring.
	PaymentRefused Kind = "payment_refused"
	// CardWayClosed: most cards of a campaign were declined, so no payment page is opened for a while. Counts are the declined
	// payments, those that were made, and the minutes.
	CardWayClosed Kind = "card_way_closed"
	// CardWayReopened: all payment pages of the campaign are opened again. Counts as before.
	CardWayReopened Kind = "card_way_reopened"
	// RefundAwaitingApproval: a refund needs a second member.
	RefundAwaitingApproval Kind = "refund_awaiting_approval"
	// RefundFailed: a refund was not made, or came back: the donor does not have its money.
	RefundFailed Kind = "refund_failed"
	// PayoutDifference: a payout is not what its transactions sum to in the books.
	PayoutDifference Kind = "payout_difference"
	// PayoutFailed: the bank refused a payout.
	PayoutFailed Kind = "payout_failed"
	// StripeMoneyParked: Stripe moved money in a way that cannot be read, so it is not in the books.
	StripeMoneyParked Kind = "stripe_money_parked"
	// StripeMoneyUnclassified: Stripe moved money that no rule classifies. It is told once a kind and day.
	StripeMoneyUnclassified Kind = "stripe_money_unclassified"
	// StripeTopUp: money came from the bank account to the Stripe balance, or went back; a bank line is to be
	// matched with it.
	StripeTopUp Kind = "stripe_top_up"
	// StripeBalanceDiffers: the Stripe account in the books is not what Stripe says that its balance is.
	StripeBalanceDiffers Kind = "stripe_balance_differs"
	// RecurringFailing: a month of a monthly donation could not be collected. It is told once a period.
	RecurringFailing Kind = "recurring_failing"
	// RecurringEndedByDonor and the next three: a monthly donation ended. Since is when it began.
	RecurringEndedByDonor Kind = "recurring_ended_by_donor"
	// RecurringEndedByCollective: a member ended it.
	RecurringEndedByCollective Kind = "recurring_ended_by_collective"
	// RecurringEndedUnpaid: its months could not be collected any more.
	RecurringEndedUnpaid Kind = "recurring_ended_unpaid"
	// RecurringEndedAtStripe: a member ended it in Stripe's dashboard, or its donor on Stripe's page.
	RecurringEndedAtStripe Kind = "recurring_ended_at_stripe"
	// RecurringEndedWithCampaign: all monthly donations of a campaign that is over end. Amount is what they
	// brought a month.
	RecurringEndedWithCampaign Kind = "recurring_ended_with_campaign"
	// RecurringEndedMany: so many ended on a day that the others of that day are not told one by one.
	RecurringEndedMany Kind = "recurring_ended_many"
	// StripeDisconnected: the Stripe account was disconnected; no donation is taken.
	StripeDisconnected Kind = "stripe_disconnected"
	// OnboardingNeeded: Stripe wants to know something before it takes or pays out money. Deadline is
	// until when.
	OnboardingNeeded Kind = "onboarding_needed"
	// BankImportUnmatched: a bank statement brought money that is not matched. It is told once a statement.
	BankImportUnmatched Kind = "bank_import_unmatched"
	// BankAccountChanged: the account that donors are told to transfer to is another one.
	BankAccountChanged Kind = "bank_account_changed"
	// ChequeDetailsChanged: cheques are made out to somebody else, or sent elsewhere.
	ChequeDetailsChanged Kind = "cheque_details_changed"
	// RefundApprovalChanged: another limit, or none, says which refunds need a second member.
	RefundApprovalChanged Kind = "refund_approval_changed"
	// AlertEmailsChanged: notices are mailed to other addresses from now on.
	AlertEmailsChanged Kind = "alert_emails_changed"
	// StripeAccountChanged: donations go to another Stripe account.
	StripeAccountChanged Kind = "stripe_account_changed"
	// OnboardingStarted: somebody was given a link with which to say to Stripe where money is paid out to.
	OnboardingStarted Kind = "onboarding_started"
	// CollectiveSuspended: the operator suspended the collective; the change has the reason.
	CollectiveSuspended Kind = "collective_suspended"
	// CollectiveResumed: the operator ended the suspension.
	CollectiveResumed Kind = "collective_resumed"
	// ApplicationReceived: somebody asked the operator for a collective.
	ApplicationReceived Kind = "application_received"
	// KeyCreated: there is another API key.
	KeyCreated Kind = "key_created"
	// KeyRevoked: an API key works no more.
	KeyRevoked Kind = "key_revoked"
	// MemberInvited: somebody was invited to become a member.
	MemberInvited Kind = "member_invited"
	// MemberJoined: there is another member.
	MemberJoined Kind = "member_joined"
	// MemberRoleChanged: a member has another role.
	MemberRoleChanged Kind = "member_role_changed"
	// MemberLeft: a member has left, or was removed.
	MemberLeft Kind = "member_left"
	// MemberEmailChanged: an owner, or the operator, signs in by another address.
	MemberEmailChanged Kind = "member_email_changed"
	// BankAccountWaits: another bank account waits for a second person.
	BankAccountWaits Kind = "bank_account_waits"
	// RefundApprovalWaits: another limit of refunds waits for a second person.
	RefundApprovalWaits Kind = "refund_approval_waits"
	// AlertEmailsWait: other alert addresses wait for a second person.
	AlertEmailsWait Kind = "alert_emails_wait"
	// TwoPersonRuleWaits: a weaker two-person rule waits for a second person.
	TwoPersonRuleWaits Kind = "two_person_rule_waits"
	// KeyWaits: an API key of an owner's or treasurer's role waits for a second person.
	KeyWaits Kind = "key_waits"
	// InvitationWaits: an invitation as owner or treasurer waits for a second person.
	InvitationWaits Kind = "invitation_waits"
	// MemberRoleWaits: the promotion of a member to owner or treasurer waits for a second person.
	MemberRoleWaits Kind = "member_role_waits"
	// TwoPersonRuleChanged: the two-person rule is another one.
	TwoPersonRuleChanged Kind = "two_person_rule_changed"
	// KeyApproved: a second person agreed to an API key, and it works.
	KeyApproved Kind = "key_approved"
	// ChangeDropped: a change that waited was rejected or canceled, or has expired.
	ChangeDropped Kind = "change_dropped"
	// ReceiptDeclarationWaits: the declaration that the collective may issue tax receipts waits for a second person.
	ReceiptDeclarationWaits Kind = "receipt_declaration_waits"
	// ReceiptDeclarationChanged: the declaration became active or was withdrawn.
	ReceiptDeclarationChanged Kind = "receipt_declaration_changed"
	// SealingKeyChanged: a key that donors' identities are sealed to was added or revoked.
	SealingKeyChanged Kind = "sealing_key_changed"
	// ReceiptCanceled: a tax receipt was canceled because its donation went back. Amount is the receipt's.
	ReceiptCanceled Kind = "receipt_canceled"
)
