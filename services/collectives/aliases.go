package collectives

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/notices"
)

// Until every room says notices.Notice.
type (
	Notice     = notices.Notice
	NoticeKind = notices.Kind
)

// Until every room says notices.Notice.
const (
	NoticeDisputeOpened              = notices.DisputeOpened
	NoticeDisputeWon                 = notices.DisputeWon
	NoticeDisputeLost                = notices.DisputeLost
	NoticeDisputeReinstated          = notices.DisputeReinstated
	NoticePaidBackTwice              = notices.PaidBackTwice
	NoticeInquiryOpened              = notices.InquiryOpened
	NoticeFraudWarning               = notices.FraudWarning
	NoticePaidTwice                  = notices.PaidTwice
	NoticePaymentRefused             = notices.PaymentRefused
	NoticeRefundAwaitingApproval     = notices.RefundAwaitingApproval
	NoticeRefundFailed               = notices.RefundFailed
	NoticePayoutDifference           = notices.PayoutDifference
	NoticePayoutFailed               = notices.PayoutFailed
	NoticeStripeMoneyParked          = notices.StripeMoneyParked
	NoticeStripeMoneyUnexplained     = notices.StripeMoneyUnexplained
	NoticeStripeTopUp                = notices.StripeTopUp
	NoticeStripeBalanceDiffers       = notices.StripeBalanceDiffers
	NoticeRecurringFailing           = notices.RecurringFailing
	NoticeRecurringEndedByDonor      = notices.RecurringEndedByDonor
	NoticeRecurringEndedByCollective = notices.RecurringEndedByCollective
	NoticeRecurringEndedUnpaid       = notices.RecurringEndedUnpaid
	NoticeRecurringEndedAtStripe     = notices.RecurringEndedAtStripe
	NoticeRecurringEndedWithCampaign = notices.RecurringEndedWithCampaign
	NoticeRecurringEndedMany         = notices.RecurringEndedMany
	NoticeStripeDisconnected         = notices.StripeDisconnected
	NoticeOnboardingNeeded           = notices.OnboardingNeeded
	NoticeBankImportUnmatched        = notices.BankImportUnmatched
	NoticeBankAccountChanged         = notices.BankAccountChanged
	NoticeChequeDetailsChanged       = notices.ChequeDetailsChanged
	NoticeRefundApprovalChanged      = notices.RefundApprovalChanged
	NoticeAlertEmailsChanged         = notices.AlertEmailsChanged
	NoticeStripeAccountChanged       = notices.StripeAccountChanged
	NoticeOnboardingStarted          = notices.OnboardingStarted
	NoticeKeyCreated                 = notices.KeyCreated
	NoticeKeyRevoked                 = notices.KeyRevoked
)

// TellTx is notices.Service.TellTx.
func (s *Service) TellTx(ctx context.Context, tx pgx.Tx, n Notice) error {
	return s.notices.TellTx(ctx, tx, n)
}

// TellKeyTx is notices.Service.TellKeyTx.
func (s *Service) TellKeyTx(ctx context.Context, tx pgx.Tx, change access.KeyChange) error {
	return s.notices.TellKeyTx(ctx, tx, change)
}
