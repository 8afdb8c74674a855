package collectives

import (
	"context"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/money"
)

// NoticeKind is what a notice says. Each kind has its texts in notices.fr.json and notices.en.json, under
// its own word and `.subject` and `.text`.
type NoticeKind string

// The kinds.
const (
	// NoticeDisputeOpened: a donor's bank took a donation back. Deadline is until when evidence is taken.
	NoticeDisputeOpened NoticeKind = "dispute_opened"
	// NoticeDisputeWon: a dispute ended, and its money comes back.
	NoticeDisputeWon NoticeKind = "dispute_won"
	// NoticeDisputeLost: a dispute ended, and its money is the donor's again.
	NoticeDisputeLost NoticeKind = "dispute_lost"
	// NoticeDisputeReinstated: the money of a dispute came back, and the dispute is not won.
	NoticeDisputeReinstated NoticeKind = "dispute_reinstated"
	// NoticePaidBackTwice: a donation was refunded, and the donor's bank took it back as well. Amount is what went back
	// beyond what was paid.
	NoticePaidBackTwice NoticeKind = "paid_back_twice"
	// NoticeInquiryOpened: a bank asks about a donation, and no money moved.
	NoticeInquiryOpened NoticeKind = "inquiry_opened"
	// NoticeFraudWarning: a card's network says that a donation may be a fraud.
	NoticeFraudWarning NoticeKind = "fraud_warning"
	// NoticePaidTwice: one donation was paid once more, since its payment page was opened again.
	NoticePaidTwice NoticeKind = "paid_twice"
	// NoticePaymentRefused: a payment names a donation that it is not of, or brought another amount than that was to bring.
	NoticePaymentRefused NoticeKind = "payment_refused"
	// NoticeRefundAwaitingApproval: a refund needs a second member.
	NoticeRefundAwaitingApproval NoticeKind = "refund_awaiting_approval"
	// NoticeRefundFailed: a refund was not made, or came back: the donor does not have its money.
	NoticeRefundFailed NoticeKind = "refund_failed"
	// NoticePayoutDifference: a payout is not what its transactions sum to in the books.
	NoticePayoutDifference NoticeKind = "payout_difference"
	// NoticePayoutFailed: the bank refused a payout.
	NoticePayoutFailed NoticeKind = "payout_failed"
	// NoticeStripeMoneyParked: Stripe moved money in a way that cannot be read, so it is not in the books.
	NoticeStripeMoneyParked NoticeKind = "stripe_money_parked"
	// NoticeStripeMoneyUnexplained: Stripe moved money, and somebody must say what for. It is told once a kind and day.
	NoticeStripeMoneyUnexplained NoticeKind = "stripe_money_unexplained"
	// NoticeStripeTopUp: money came from the bank account to the Stripe balance, or went back; a bank line is to be
	// matched with it.
	NoticeStripeTopUp NoticeKind = "stripe_top_up"
	// NoticeStripeBalanceDiffers: the Stripe account in the books is not what Stripe says that its balance is.
	NoticeStripeBalanceDiffers NoticeKind = "stripe_balance_differs"
	// NoticeRecurringFailing: a month of a monthly donation could not be collected. It is told once a period.
	NoticeRecurringFailing NoticeKind = "recurring_failing"
	// NoticeRecurringEndedByDonor and the next three: a monthly donation ended. Since is when it began.
	NoticeRecurringEndedByDonor NoticeKind = "recurring_ended_by_donor"
	// NoticeRecurringEndedByCollective: a member ended it.
	NoticeRecurringEndedByCollective NoticeKind = "recurring_ended_by_collective"
	// NoticeRecurringEndedUnpaid: its months could not be collected any more.
	NoticeRecurringEndedUnpaid NoticeKind = "recurring_ended_unpaid"
	// NoticeRecurringEndedAtStripe: a member ended it in Stripe's dashboard, or its donor on Stripe's page.
	NoticeRecurringEndedAtStripe NoticeKind = "recurring_ended_at_stripe"
	// NoticeRecurringEndedWithCampaign: all monthly donations of a campaign that is over end. Amount is what they
	// brought a month.
	NoticeRecurringEndedWithCampaign NoticeKind = "recurring_ended_with_campaign"
	// NoticeRecurringEndedMany: so many ended on a day that the others of that day are not told one by one.
	NoticeRecurringEndedMany NoticeKind = "recurring_ended_many"
	// NoticeStripeDisconnected: the Stripe account was disconnected; no donation is taken.
	NoticeStripeDisconnected NoticeKind = "stripe_disconnected"
	// NoticeOnboardingNeeded: Stripe wants to know something before it takes or pays out money. Deadline is
	// until when.
	NoticeOnboardingNeeded NoticeKind = "onboarding_needed"
	// NoticeBankImportUnmatched: a bank statement brought money that is not matched. It is told once a statement.
	NoticeBankImportUnmatched NoticeKind = "bank_import_unmatched"
	// NoticeBankAccountChanged: the account that donors are told to transfer to is another one.
	NoticeBankAccountChanged NoticeKind = "bank_account_changed"
	// NoticeChequeDetailsChanged: cheques are made out to somebody else, or sent elsewhere.
	NoticeChequeDetailsChanged NoticeKind = "cheque_details_changed"
	// NoticeRefundApprovalChanged: another limit, or none, says which refunds need a second member.
	NoticeRefundApprovalChanged NoticeKind = "refund_approval_changed"
	// NoticeAlertEmailsChanged: notices are mailed to other addresses from now on.
	NoticeAlertEmailsChanged NoticeKind = "alert_emails_changed"
	// NoticeStripeAccountChanged: donations go to another Stripe account.
	NoticeStripeAccountChanged NoticeKind = "stripe_account_changed"
	// NoticeOnboardingStarted: somebody was given a link with which to say to Stripe where money is paid out to.
	NoticeOnboardingStarted NoticeKind = "onboarding_started"
	// NoticeKeyCreated: there is another API key.
	NoticeKeyCreated NoticeKind = "key_created"
	// NoticeKeyRevoked: an API key works no more.
	NoticeKeyRevoked NoticeKind = "key_revoked"
)

// Notice is what members of a collective, or the operator, must be told.
type Notice struct {
	// Collective is the collective's id; empty for the operator.
	Collective string
	// Kind is what it says.
	Kind NoticeKind
	// Key is what happened, unique in collective and kind, 1 to 200 characters: a dispute's id, say. Telling
	// it twice is telling it once.
	Key string
	// Subject is the resource that it is about, by a name that says nothing of anybody; may be empty.
	Subject string
	// Amount is the money in question; zero for none.
	Amount money.Amount
	// Transactions are the balance transactions in question, by Stripe's ids: the first maxNoticeTransactions
	// are kept, and what the notice is about has them all.
	Transactions []string
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
	noticesPrefix   = "notices/"
	maxNoticeKey    = 200
	maxNoticeObject = 300
	// maxNoticeTransactions are as many as somebody looks up by hand.
	maxNoticeTransactions = 20
)

var (
	kindPattern    = regexp.MustCompile(`^[a-z][a-z_]{1,39}$`)
	subjectPattern = regexp.MustCompile(`^[A-Za-z0-9/_:.-]*$`)
)

// parseNoticeName splits a notice's resource name; ok is false when it is not one.
func parseNoticeName(name string) (collective string, id uuid.UUID, ok bool) {
	parent, last, ok := strings.Cut(name, "/"+noticesPrefix)
	if !ok {
		return "", uuid.UUID{}, false
	}
	if parent != instance {
		if collective, ok = ParseName(parent); !ok {
			return "", uuid.UUID{}, false
		}
	}
	id, err := uuid.Parse(last)
	return collective, id, err == nil && id.String() == last
}

// TellTx tells the members of a collective, or the operator, in the caller's transaction: the notice is
// stored, and a job for each reader's mail with it, so that both happen when the caller commits and neither
// when it does not. Told again under the same collective, kind and key it changes nothing. No network is used.
//
// A notice that cannot be one is INTERNAL: what stands in it is the program's own. A collective that is not
// there is NOT_FOUND.
func (s *Service) TellTx(ctx context.Context, tx pgx.Tx, n Notice) error {
	return s.tellTx(ctx, tx, n)
}

// tellTx is TellTx that mails to some more addresses as well.
func (s *Service) tellTx(ctx context.Context, tx pgx.Tx, n Notice, alsoTo ...string) error {
	if err := n.check(); err != nil {
		return errs.Internal(err)
	}
	n.ID, n.CreateTime = s.newID(), s.nowMicros()
	n.Transactions = n.Transactions[:min(len(n.Transactions), maxNoticeTransactions)]
	told, err := insertNoticeTx(ctx, tx, n)
	if err != nil || !told {
		return err
	}
	return s.mailTx(ctx, tx, n, alsoTo...)
}

func (n Notice) check() error {
	switch {
	case !kindPattern.MatchString(string(n.Kind)):
		return errs.Invalid("kind", "must be a word of %s", kindPattern)
	case n.Key == "" || utf8.RuneCountInString(n.Key) > maxNoticeKey:
		return errs.Invalid("key", "must have 1 to %d characters", maxNoticeKey)
	case utf8.RuneCountInString(n.Subject) > maxNoticeObject || !subjectPattern.MatchString(n.Subject):
		return errs.Invalid("subject", "must be a resource name")
	case n.Amount.Currency == "" && n.Amount.Minor != 0:
		return errs.Invalid("amount", "must have a currency")
	}
	return nil
}
