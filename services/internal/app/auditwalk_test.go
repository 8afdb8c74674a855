package app_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	connectv1 "github.com/cagnotte/cagnotte/proto/cagnotte/connect/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	instancev1 "github.com/cagnotte/cagnotte/proto/cagnotte/instance/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
)

// auditedCall is how the test makes a method write one entry, and none.
type auditedCall struct {
	// by is the key of the call.
	by string
	// request changes something.
	request proto.Message
	// refused is refused by the service, after the caller was found to have the right.
	refused proto.Message
	// again is how many entries the same request leaves when it is sent a second time: 0 where that changes nothing.
	again int
}

// auditedCalls has a case for each method with which a member or the operator changes something. Who sees the test fail has
// added such a method: its service calls audit.WriteTx in the transaction of the change, and here is a request that it
// accepts and one that it refuses.
var auditedCalls = map[string]func(*auditWalk) auditedCall{
	accessv1.AccessService_CreateApiKey_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(role accessv1.Role) *accessv1.CreateApiKeyRequest {
			return &accessv1.CreateApiKeyRequest{Parent: w.collective, ApiKeyId: "walk", ApiKey: &accessv1.ApiKey{DisplayName: "Walk", Role: role}}
		}
		return auditedCall{by: w.owner, request: request(accessv1.Role_ROLE_AUDITOR), refused: request(accessv1.Role_ROLE_OPERATOR)}
	},
	accessv1.AccessService_RevokeApiKey_FullMethodName: func(w *auditWalk) auditedCall {
		key := newKey(w.t, w.e.Conn, w.owner, w.collective, "Gone", accessv1.Role_ROLE_AUDITOR)
		return auditedCall{
			by: w.owner, request: &accessv1.RevokeApiKeyRequest{Name: key.GetName()},
			refused: &accessv1.RevokeApiKeyRequest{Name: w.collective + "/apiKeys/nobody"},
		}
	},
	collectivesv1.CollectivesService_CreateCollective_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(zone string) *collectivesv1.CreateCollectiveRequest {
			return &collectivesv1.CreateCollectiveRequest{CollectiveId: "walked", Collective: &collectivesv1.Collective{DisplayName: "Walked", TimeZone: zone}}
		}
		return auditedCall{by: w.e.OperatorKey, request: request("Europe/Paris"), refused: request("Europe/Nowhere")}
	},
	collectivesv1.CollectivesService_UpdateCollective_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(iban string) *collectivesv1.UpdateCollectiveRequest {
			return &collectivesv1.UpdateCollectiveRequest{
				Collective: &collectivesv1.Collective{Name: w.collective, BankAccount: &collectivesv1.BankAccount{Holder: "Vallon", Iban: iban}},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"bank_account"}},
			}
		}
		return auditedCall{by: w.owner, request: request("DE89370400440532013000"), refused: request("DE00370400440532013000")}
	},
	collectivesv1.CollectivesService_SuspendCollective_FullMethodName: func(w *auditWalk) auditedCall {
		w.e.Campaign("suspended")
		return auditedCall{
			by: w.e.OperatorKey, request: &collectivesv1.SuspendCollectiveRequest{Name: "collectives/suspended", Reason: "Asked by its members"},
			refused: &collectivesv1.SuspendCollectiveRequest{Name: "collectives/missing", Reason: "Asked by its members"},
		}
	},
	collectivesv1.CollectivesService_ResumeCollective_FullMethodName: func(w *auditWalk) auditedCall {
		w.e.Campaign("resumed")
		w.call(w.e.OperatorKey, collectivesv1.CollectivesService_SuspendCollective_FullMethodName,
			&collectivesv1.SuspendCollectiveRequest{Name: "collectives/resumed", Reason: "Asked by its members"})
		return auditedCall{
			by: w.e.OperatorKey, request: &collectivesv1.ResumeCollectiveRequest{Name: "collectives/resumed"},
			refused: &collectivesv1.ResumeCollectiveRequest{Name: "collectives/missing"},
		}
	},
	connectv1.ConnectService_StartOnboarding_FullMethodName: func(w *auditWalk) auditedCall {
		_, owner := w.e.Campaign("onboarded")
		// Donations went to the platform's own account, which cannot change any more.
		w.paid()
		w.refusedBy = w.owner
		return auditedCall{
			by: owner, request: &connectv1.StartOnboardingRequest{Name: "collectives/onboarded/connection", RequestId: uuid.NewString()},
			refused: &connectv1.StartOnboardingRequest{Name: w.collective + "/connection", RequestId: uuid.NewString()},
		}
	},
	noticesv1.NoticesService_AcknowledgeNotice_FullMethodName: func(w *auditWalk) auditedCall {
		// The other members are told of a key.
		newKey(w.t, w.e.Conn, w.owner, w.collective, "Told", accessv1.Role_ROLE_AUDITOR)
		list, err := noticesv1.NewNoticesServiceClient(w.e.Conn).ListNotices(apptest.WithKey(w.t.Context(), w.treasurer),
			&noticesv1.ListNoticesRequest{Parent: w.collective, Unacknowledged: true})
		if err != nil || len(list.GetNotices()) == 0 {
			w.t.Fatalf("notices: %v, %v", list, err)
		}
		return auditedCall{
			by: w.treasurer, request: &noticesv1.AcknowledgeNoticeRequest{Name: list.GetNotices()[0].GetName()},
			refused: &noticesv1.AcknowledgeNoticeRequest{Name: w.collective + "/notices/" + uuid.NewString()},
		}
	},
	campaignsv1.CampaignsService_CreateCampaign_FullMethodName: func(w *auditWalk) auditedCall {
		refused := w.newCampaign("refused")
		refused.Campaign.Goal = apptest.Euros(0)
		return auditedCall{by: w.owner, request: w.newCampaign("created"), refused: refused}
	},
	campaignsv1.CampaignsService_UpdateCampaign_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(goal int64) *campaignsv1.UpdateCampaignRequest {
			return &campaignsv1.UpdateCampaignRequest{
				Campaign: &campaignsv1.Campaign{Name: w.draft("updated"), Goal: apptest.Euros(goal)}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"goal"}},
			}
		}
		return auditedCall{by: w.owner, request: request(900_00), refused: request(-1)}
	},
	campaignsv1.CampaignsService_PublishCampaign_FullMethodName: func(w *auditWalk) auditedCall {
		return auditedCall{
			by: w.owner, request: &campaignsv1.PublishCampaignRequest{Name: w.draft("published")},
			refused: &campaignsv1.PublishCampaignRequest{Name: w.collective + "/campaigns/missing"},
		}
	},
	campaignsv1.CampaignsService_PauseCampaign_FullMethodName: func(w *auditWalk) auditedCall {
		return auditedCall{
			by: w.owner, request: &campaignsv1.PauseCampaignRequest{Name: w.published("paused")},
			refused: &campaignsv1.PauseCampaignRequest{Name: w.draft("unpaused")},
		}
	},
	campaignsv1.CampaignsService_ResumeCampaign_FullMethodName: func(w *auditWalk) auditedCall {
		name := w.published("resumed")
		w.call(w.owner, campaignsv1.CampaignsService_PauseCampaign_FullMethodName, &campaignsv1.PauseCampaignRequest{Name: name})
		return auditedCall{
			by: w.owner, request: &campaignsv1.ResumeCampaignRequest{Name: name},
			refused: &campaignsv1.ResumeCampaignRequest{Name: w.draft("unresumed")},
		}
	},
	campaignsv1.CampaignsService_CloseCampaign_FullMethodName: func(w *auditWalk) auditedCall {
		return auditedCall{
			by: w.owner, request: &campaignsv1.CloseCampaignRequest{Name: w.published("closed")},
			refused: &campaignsv1.CloseCampaignRequest{Name: w.draft("unclosed")},
		}
	},
	refundsv1.RefundsService_CreateRefund_FullMethodName: func(w *auditWalk) auditedCall {
		d := w.paid()
		return auditedCall{by: w.treasurer, request: ask(d, 1_00), refused: ask(d, 900_00)}
	},
	refundsv1.RefundsService_ApproveRefund_FullMethodName: func(w *auditWalk) auditedCall {
		refund := w.awaiting()
		return auditedCall{
			by: w.second, request: &refundsv1.ApproveRefundRequest{Name: refund},
			refused: &refundsv1.ApproveRefundRequest{Name: w.reviewed()},
		}
	},
	refundsv1.RefundsService_RejectRefund_FullMethodName: func(w *auditWalk) auditedCall {
		refund := w.awaiting()
		return auditedCall{
			by: w.second, request: &refundsv1.RejectRefundRequest{Name: refund},
			refused: &refundsv1.RejectRefundRequest{Name: w.ownRefund()},
		}
	},
	refundsv1.RefundsService_CancelRefund_FullMethodName: func(w *auditWalk) auditedCall {
		return auditedCall{
			by: w.treasurer, request: &refundsv1.CancelRefundRequest{Name: w.awaiting()},
			refused: &refundsv1.CancelRefundRequest{Name: w.ownRefund()},
		}
	},
	recurringv1.RecurringService_CancelRecurringDonation_FullMethodName: func(w *auditWalk) auditedCall {
		m := payMonthly(w.t, w.e, "monthly")
		w.e.Eventually("the monthly donation is active", func() bool {
			return m.get().GetState() == recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_ACTIVE
		})
		return auditedCall{
			by: m.owner, request: &recurringv1.CancelRecurringDonationRequest{Name: m.name()},
			refused: &recurringv1.CancelRecurringDonationRequest{Name: m.campaign + "/recurringDonations/" + uuid.NewString()},
		}
	},
	webhooksv1.WebhooksService_ReplayWebhookEvent_FullMethodName: func(w *auditWalk) auditedCall {
		// A request that changes nothing stands for a refusal: the event has not failed.
		id := w.failedEvent()
		return auditedCall{
			by: w.e.OperatorKey, request: &webhooksv1.ReplayWebhookEventRequest{Name: "instance/webhookEvents/" + id},
			refused: &webhooksv1.ReplayWebhookEventRequest{Name: "instance/webhookEvents/evt_missing"},
		}
	},
	webhooksv1.WebhooksService_ReplayWebhookEvents_FullMethodName: func(w *auditWalk) auditedCall {
		w.failedEvent()
		return auditedCall{by: w.e.OperatorKey, request: &webhooksv1.ReplayWebhookEventsRequest{Parent: "instance"}}
	},
	webhooksv1.WebhooksService_RetryParkedTransactions_FullMethodName: func(w *auditWalk) auditedCall {
		w.execute(`INSERT INTO webhooks.parked (account, id, reason, next_attempt_at) VALUES ('acct_gone', 'txn_1', 'X', 'infinity')`)
		w.execute(`INSERT INTO webhooks.accounts (account) VALUES ('acct_gone') ON CONFLICT DO NOTHING`)
		// A transaction that stays parked is due again each time.
		return auditedCall{by: w.e.OperatorKey, request: &webhooksv1.RetryParkedTransactionsRequest{Parent: "instance"}, again: 1}
	},
	ledgerv1.LedgerService_CreateAccount_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(code, label string) *ledgerv1.CreateAccountRequest {
			return &ledgerv1.CreateAccountRequest{
				Parent: w.collective + "/ledger", AccountId: code,
				Account: &ledgerv1.Account{DisplayName: label, Type: ledgerv1.AccountType_ACCOUNT_TYPE_EXPENSE},
			}
		}
		w.call(w.e.OperatorKey, ledgerv1.LedgerService_CreateAccount_FullMethodName, request("62990", "There"))
		return auditedCall{by: w.e.OperatorKey, request: request("62991", "Posters"), refused: request("62990", "Another")}
	},
	ledgerv1.LedgerService_UpdateAccount_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(code string) *ledgerv1.UpdateAccountRequest {
			return &ledgerv1.UpdateAccountRequest{
				Account:    &ledgerv1.Account{Name: w.collective + "/ledger/accounts/" + code, DisplayName: "Renamed"},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
			}
		}
		return auditedCall{by: w.e.OperatorKey, request: request("6226"), refused: request("99999")}
	},
	ledgerv1.LedgerService_ReclassifyTransaction_FullMethodName: func(w *auditWalk) auditedCall {
		return auditedCall{by: w.e.OperatorKey, request: w.reclassify(w.poster(), 100), refused: w.reclassify(w.poster(), 900_00)}
	},
	ledgerv1.LedgerService_ReverseTransaction_FullMethodName: func(w *auditWalk) auditedCall {
		moved := &ledgerv1.Transaction{}
		w.answer(w.e.OperatorKey, ledgerv1.LedgerService_ReclassifyTransaction_FullMethodName, w.reclassify(w.poster(), 50), moved)
		return auditedCall{
			by: w.e.OperatorKey, request: &ledgerv1.ReverseTransactionRequest{Name: moved.GetName(), RequestId: uuid.NewString()},
			refused: &ledgerv1.ReverseTransactionRequest{Name: w.poster(), RequestId: uuid.NewString()},
		}
	},
	ledgerv1.LedgerService_ClosePeriod_FullMethodName: func(w *auditWalk) auditedCall {
		y := w.treasury("periods")
		w.call(y.key, treasuryv1.TreasuryService_CreateOfflineDonation_FullMethodName, y.cash(5_00))
		request := func(end time.Time) *ledgerv1.ClosePeriodRequest {
			return &ledgerv1.ClosePeriodRequest{Name: y.collective + "/ledger", EndTime: timestamppb.New(end)}
		}
		return auditedCall{by: y.key, request: request(w.e.Clock.Now().AddDate(-1, 0, 0)), refused: request(time.Now().AddDate(1, 0, 0))}
	},
	treasuryv1.TreasuryService_CreateOfflineDonation_FullMethodName: func(w *auditWalk) auditedCall {
		refused := w.books.cash(10_00)
		refused.OfflineDonation.ReceiveDate = w.books.day(-3)
		return auditedCall{by: w.books.key, request: w.books.cash(10_00), refused: refused}
	},
	treasuryv1.TreasuryService_CreateDeposit_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(cheque string) *treasuryv1.CreateDepositRequest {
			return &treasuryv1.CreateDepositRequest{
				Parent: w.books.collective, RequestId: uuid.NewString(), Deposit: &treasuryv1.Deposit{BankDate: w.books.day(1), Cheques: []string{cheque}},
			}
		}
		return auditedCall{by: w.books.key, request: request(w.cheque()), refused: request(w.books.campaign + "/offlineDonations/" + uuid.NewString())}
	},
	treasuryv1.TreasuryService_BounceCheque_FullMethodName: func(w *auditWalk) auditedCall {
		banked := w.cheque()
		w.call(w.books.key, treasuryv1.TreasuryService_CreateDeposit_FullMethodName, &treasuryv1.CreateDepositRequest{
			Parent: w.books.collective, RequestId: uuid.NewString(), Deposit: &treasuryv1.Deposit{BankDate: w.books.day(1), Cheques: []string{banked}},
		})
		request := func(name string) *treasuryv1.BounceChequeRequest {
			return &treasuryv1.BounceChequeRequest{Name: name, RequestId: uuid.NewString(), BounceDate: w.books.day(0)}
		}
		return auditedCall{by: w.books.key, request: request(banked), refused: request(w.cheque())}
	},
	treasuryv1.TreasuryService_ReverseOfflineDonation_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(name string) *treasuryv1.ReverseOfflineDonationRequest {
			return &treasuryv1.ReverseOfflineDonationRequest{Name: name, RequestId: uuid.NewString(), Reason: donorsName}
		}
		reversed := w.cheque()
		w.call(w.books.key, treasuryv1.TreasuryService_ReverseOfflineDonation_FullMethodName, request(reversed))
		return auditedCall{by: w.books.key, request: request(w.cheque()), refused: request(reversed)}
	},
	treasuryv1.TreasuryService_CreateExpense_FullMethodName: func(w *auditWalk) auditedCall {
		w.call(w.books.key, treasuryv1.TreasuryService_CreateExpense_FullMethodName, w.books.invoice("walk-0", 10_00))
		return auditedCall{by: w.books.key, request: w.books.invoice("walk-1", 10_00), refused: w.books.invoice("walk-0", 10_00)}
	},
	treasuryv1.TreasuryService_PayExpense_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(date string) *treasuryv1.PayExpenseRequest {
			return &treasuryv1.PayExpenseRequest{
				Name: w.expense("walk-2"), RequestId: uuid.NewString(), PayDate: date, Source: treasuryv1.PaymentSource_PAYMENT_SOURCE_CASH,
			}
		}
		return auditedCall{by: w.books.key, request: request(w.books.day(1)), refused: request(w.books.day(300))}
	},
	treasuryv1.TreasuryService_ReverseExpense_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(name string) *treasuryv1.ReverseExpenseRequest {
			return &treasuryv1.ReverseExpenseRequest{Name: name, RequestId: uuid.NewString(), Reason: "Twice"}
		}
		return auditedCall{
			by: w.books.key, request: request(w.expense("walk-3")),
			refused: request(w.books.collective + "/expenses/" + uuid.NewString()),
		}
	},
	bankv1.BankService_ImportBankStatement_FullMethodName: func(w *auditWalk) auditedCall {
		return auditedCall{
			by: w.books.key, request: w.books.csv(w.books.line(2, "VIR "+donorsName, "11,00")),
			refused: w.books.csv("no line"),
		}
	},
	bankv1.BankService_MatchBankLine_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(line string) *bankv1.MatchBankLineRequest {
			return &bankv1.MatchBankLineRequest{
				Name: line, RequestId: uuid.NewString(), Target: &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_UnknownReceipt{UnknownReceipt: true}},
			}
		}
		return auditedCall{by: w.books.key, request: request(w.line(12_00)), refused: request(w.ignored(13_00))}
	},
	bankv1.BankService_UnmatchBankLine_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(line string) *bankv1.UnmatchBankLineRequest {
			return &bankv1.UnmatchBankLineRequest{Name: line, RequestId: uuid.NewString(), Reason: donorsName}
		}
		return auditedCall{by: w.books.key, request: request(w.ignored(14_00)), refused: request(w.line(15_00))}
	},
	bankv1.BankService_IgnoreBankLine_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(line string) *bankv1.IgnoreBankLineRequest {
			return &bankv1.IgnoreBankLineRequest{Name: line, RequestId: uuid.NewString(), Reason: donorsName}
		}
		return auditedCall{by: w.books.key, request: request(w.line(16_00)), refused: request(w.ignored(17_00))}
	},
	bankv1.BankService_SplitBankLine_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(line string, minor ...int64) *bankv1.SplitBankLineRequest {
			asked := &bankv1.SplitBankLineRequest{Name: line, RequestId: uuid.NewString()}
			for _, part := range minor {
				asked.Parts = append(asked.Parts, &bankv1.BankLinePart{
					Amount: apptest.Euros(part), Target: &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_UnknownReceipt{UnknownReceipt: true}},
				})
			}
			return asked
		}
		return auditedCall{by: w.books.key, request: request(w.line(18_00), 11_50, 6_50), refused: request(w.line(19_00), 11_50, 6_50)}
	},
	treasuryv1.TreasuryService_CreateExpenseAttachment_FullMethodName: func(w *auditWalk) auditedCall {
		expense := w.expense("walk-4")
		request := func(content string) *treasuryv1.CreateExpenseAttachmentRequest {
			return &treasuryv1.CreateExpenseAttachmentRequest{
				Parent: expense, RequestId: uuid.NewString(), ExpenseAttachment: &treasuryv1.ExpenseAttachment{Content: []byte(content)},
			}
		}
		return auditedCall{by: w.books.key, request: request("%PDF-1.7"), refused: request("<svg>")}
	},
}

// unaudited are the methods of members and the operator that count as writes and change nothing that an entry could tell.
var unaudited = map[string]string{
	accessv1.MembersService_BeginPasskeyRegistration_FullMethodName: "it makes a challenge; FinishPasskeyRegistration adds the passkey",
	// The tests of package access have an authenticator in software.
	accessv1.MembersService_FinishPasskeyRegistration_FullMethodName: "it needs an authenticator",
	// The simulator's endpoints are set before the program starts.
	instancev1.InstanceService_SetUpStripeEndpoints_FullMethodName: "it would take the endpoints from the other cases",
}

// donorsName stands for a name in every free text that the walk sends. No entry may have it.
const donorsName = "Solange Rastapopoulos"

// TestEachChangeLeavesOneEntry walks all methods with which a member or the operator changes something: each leaves exactly one
// entry of the audit log, and none when it is refused, when it changes nothing, or when the caller has no right.
func TestEachChangeLeavesOneEntry(t *testing.T) {
	methods := writingMethods(t)
	calls := maps.Clone(auditedCalls)
	maps.Copy(calls, auditedPeople)
	maps.Copy(calls, auditedReceipts)
	for method := range calls {
		if !slices.Contains(methods, method) {
			t.Errorf("there is a case for %s, which no member calls to change something", method)
		}
	}
	for _, method := range methods {
		if calls[method] == nil && unaudited[method] == "" {
			t.Errorf("%s changes something, and the test has no case for it", method)
		}
	}
	w := newAuditWalk(t)
	for _, method := range methods {
		prepare := calls[method]
		if prepare == nil {
			continue
		}
		t.Run(strings.TrimPrefix(method, "/cagnotte."), func(t *testing.T) {
			w.t, w.refusedBy = t, ""
			c := prepare(w)
			// Nobody but the operator and the members of the role may call it: an auditor changes nothing.
			w.leaves(t, 0, "without the right", func() error { return w.invoke(w.auditor, method, c.request) }, codes.NotFound, codes.InvalidArgument)
			if c.refused != nil {
				w.leaves(t, 0, "refused", func() error { return w.invoke(cmp.Or(w.refusedBy, c.by), method, c.refused) }, codes.InvalidArgument,
					codes.FailedPrecondition, codes.NotFound, codes.AlreadyExists)
			}
			w.leaves(t, 1, "done", func() error { return w.invoke(c.by, method, c.request) }, codes.OK)
			w.checkEntry(t, method)
			w.leaves(t, c.again, "sent again", func() error { return w.invoke(c.by, method, c.request) }, codes.OK, codes.AlreadyExists,
				codes.NotFound, codes.FailedPrecondition, codes.Unauthenticated)
		})
	}
	// No entry has a donor's name, a secret, or an IBAN.
	var texts []string
	if err := w.database.QueryRow(t.Context(), `SELECT array_agg(e::text) FROM audit.entries AS e`).Scan(&texts); err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		for _, bad := range []string{donorsName, "cag_", "DE89370400440532013000", treasuryIBAN} {
			if strings.Contains(text, bad) {
				t.Errorf("an entry has %q: %s", bad, text)
			}
		}
	}
}

// TestDonorsLeaveNoEntry gives, pledges and stops a monthly donation.
func TestDonorsLeaveNoEntry(t *testing.T) {
	w := newAuditWalk(t)
	w.leaves(t, 0, "a donation and a pledge", func() error {
		pay(t, w.e, give(t, w.e.Conn, donationTo(w.campaign)))
		w.books.pledge(t, 20_00)
		return nil
	}, codes.OK)
}

// writingMethods are the methods that are not public and change something.
func writingMethods(t *testing.T) (methods []string) {
	t.Helper()
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "cagnotte.") {
			return true
		}
		for i := range file.Services().Len() {
			s := file.Services().Get(i)
			for j := range s.Methods().Len() {
				method := fmt.Sprintf("/%s/%s", s.FullName(), s.Methods().Get(j).Name())
				public := access.AuthorizeUnread(access.Principal{}, method) == nil
				if rpc.Writes(method) && !public {
					methods = append(methods, method)
				}
			}
		}
		return true
	})
	slices.Sort(methods)
	if len(methods) < 30 {
		t.Fatalf("only %d methods change something", len(methods))
	}
	return methods
}

// auditWalk is a program in which the walk happens.
type auditWalk struct {
	*desk
	t        *testing.T
	box      *mailtest.Server
	database *pgx.Conn
	// books is a collective whose treasurer enters things.
	books   *treasury
	auditor string
	// refusedBy is the key of the refused request, where it is another one.
	refusedBy string
	number    int64
	// posterName is that of a transaction that can be reclassified.
	posterName string
	// requestID is that of the last call.
	requestID string
}

func newAuditWalk(t *testing.T) *auditWalk {
	t.Helper()
	box := mailtest.Start(t)
	e := apptest.Start(t, apptest.Config{SMTPURL: box.URL(), AlertEmails: []string{"operator@example.org"}})
	w := &auditWalk{t: t, box: box, desk: newDesk(t, e, "vallon"), database: ownerOf(t, e), books: newTreasury(t, e, "jardin")}
	w.auditor = w.audi
	// A change by a member would wait for a second person.
	w.execute(`UPDATE collectives.collectives SET refund_approval_minor = 500, refund_approval_currency = 'EUR' WHERE id = 'vallon'`)
	return w
}

// invoke calls a method by its name, over gRPC.
func (w *auditWalk) invoke(key, method string, request proto.Message) error {
	return w.exchange(key, method, request, newAnswer(w.t, method))
}

func (w *auditWalk) exchange(key, method string, request, answer proto.Message) error {
	var header metadata.MD
	ctx := w.t.Context()
	if key != "" {
		ctx = apptest.WithKey(ctx, key)
	}
	err := w.e.Conn.Invoke(ctx, method, request, answer, grpc.Header(&header))
	w.requestID = strings.Join(header.Get("x-request-id"), " ")
	return err
}

// newAnswer returns an empty answer of a method.
func newAnswer(t *testing.T, method string) proto.Message {
	t.Helper()
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		t.Fatal(err)
	}
	found, err := protoregistry.GlobalTypes.FindMessageByName(d.(protoreflect.MethodDescriptor).Output().FullName())
	if err != nil {
		t.Fatal(err)
	}
	return found.New().Interface()
}

// call prepares something for a case.
func (w *auditWalk) call(key, method string, request proto.Message) {
	w.t.Helper()
	w.answer(key, method, request, newAnswer(w.t, method))
}

func (w *auditWalk) answer(key, method string, request, answer proto.Message) {
	w.t.Helper()
	if err := w.exchange(key, method, request, answer); err != nil {
		w.t.Fatalf("%s: %v", method, err)
	}
}

func (w *auditWalk) execute(sql string) {
	w.t.Helper()
	if _, err := w.database.Exec(w.t.Context(), sql); err != nil {
		w.t.Fatal(err)
	}
}

// leaves wants so many entries of what is done.
func (w *auditWalk) leaves(t *testing.T, want int, what string, do func() error, codes ...codes.Code) {
	t.Helper()
	count := func() (n int) {
		t.Helper()
		if err := w.database.QueryRow(t.Context(), `SELECT count(*) FROM audit.entries`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count()
	err := do()
	if !slices.Contains(codes, status.Code(err)) {
		t.Errorf("%s: %v, want one of %v", what, err, codes)
	}
	if got := count() - before; got != want {
		t.Errorf("%s: left %d entries, want %d", what, got, want)
	}
}

// checkEntry looks at the newest entry.
func (w *auditWalk) checkEntry(t *testing.T, method string) {
	t.Helper()
	var of, actor, member, credential, role, resource, requestID, collective string
	if err := w.database.QueryRow(t.Context(), `
		SELECT method, actor, member, credential, role, resource, request_id, collective
		FROM audit.entries ORDER BY created_at DESC LIMIT 1`).Scan(&of, &actor, &member, &credential, &role, &resource, &requestID, &collective); err != nil {
		t.Fatal(err)
	}
	if "/"+of != method || actor == "" || member == "" || credential == "" || role == "" && collective != "" || requestID != w.requestID {
		t.Errorf("entry: method %q, actor %q, member %q, credential %q, role %q, request id %q", of, actor, member, credential, role, requestID)
	}
	if collective != "" && resource != "collectives/"+collective && !strings.HasPrefix(resource, "collectives/"+collective+"/") ||
		collective == "" && !strings.HasPrefix(resource, "instance") && !strings.HasPrefix(resource, "members/") {
		t.Errorf("the entry of %q is about %s", collective, resource)
	}
}

func (w *auditWalk) newCampaign(slug string) *campaignsv1.CreateCampaignRequest {
	return &campaignsv1.CreateCampaignRequest{
		Parent: w.collective, CampaignId: slug, Campaign: &campaignsv1.Campaign{
			Texts: map[string]*campaignsv1.CampaignText{"fr": {Title: "Une avocate", Story: "Pour le village"}},
			Goal:  apptest.Euros(800_00), Presets: []*apptest.Money{apptest.Euros(5_00)}, Minimum: apptest.Euros(1_00), Maximum: apptest.Euros(800_00),
		},
	}
}

func (w *auditWalk) draft(slug string) string {
	w.t.Helper()
	// The name may be asked for again.
	w.call(w.owner, campaignsv1.CampaignsService_CreateCampaign_FullMethodName, w.newCampaign(slug))
	return w.collective + "/campaigns/" + slug
}

func (w *auditWalk) published(slug string) string {
	w.t.Helper()
	name := w.draft(slug)
	w.call(w.owner, campaignsv1.CampaignsService_PublishCampaign_FullMethodName, &campaignsv1.PublishCampaignRequest{Name: name})
	return name
}

// paid is a donation of 20 € that is in the books.
func (w *auditWalk) paid() *donationsv1.Donation {
	w.t.Helper()
	d, _ := w.desk.paid(w.t, 20_00)
	return d
}

// awaiting is a refund of the treasurer's that a second member must approve.
func (w *auditWalk) awaiting() string {
	w.t.Helper()
	return w.create(w.t, w.treasurer, ask(w.paid(), 10_00)).GetName()
}

// ownRefund is one of the second treasurer's.
func (w *auditWalk) ownRefund() string {
	w.t.Helper()
	// Who asked does not review. To cancel it, another member must have asked.
	return w.create(w.t, w.second, ask(w.paid(), 10_00)).GetName()
}

// reviewed is a refund that was rejected.
func (w *auditWalk) reviewed() string {
	w.t.Helper()
	name := w.awaiting()
	w.call(w.owner, refundsv1.RefundsService_RejectRefund_FullMethodName, &refundsv1.RejectRefundRequest{Name: name})
	return name
}

// failedEvent makes an event look as if it had been given up.
func (w *auditWalk) failedEvent() (id string) {
	w.t.Helper()
	w.paid()
	if err := w.e.Sim.WaitDelivered(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.e.Eventually("an event is applied", func() bool {
		err := w.database.QueryRow(w.t.Context(), `
			UPDATE webhooks.events SET state = 'failed', attempts = 20, next_attempt_at = NULL, finished_at = NULL, failure_reason = 'AMOUNT_DIFFERS'
			WHERE id = (SELECT id FROM webhooks.events WHERE type = 'checkout.session.completed' AND state = 'applied' AND account = '' LIMIT 1)
			RETURNING id`).Scan(&id)
		return err == nil
	})
	return id
}

// poster is the name of a transaction that nobody has classified, of a collective with a Stripe account of its own.
func (w *auditWalk) poster() string {
	w.t.Helper()
	list := func() []*ledgerv1.Transaction {
		resp, err := ledgerv1.NewLedgerServiceClient(w.e.Conn).ListTransactions(apptest.WithKey(w.t.Context(), w.e.OperatorKey),
			&ledgerv1.ListTransactionsRequest{Parent: "collectives/corrected/ledger", Account: "4718"})
		if err != nil {
			w.t.Fatal(err)
		}
		return resp.GetTransactions()
	}
	if w.posterName == "" {
		_, owner := w.e.Campaign("corrected")
		buyPosterOn(w.t, w.e, connected(w.t, w.e, owner, "collectives/corrected"))
		w.e.Eventually("the poster is booked", func() bool { return len(list()) > 0 })
		w.posterName = list()[0].GetName()
	}
	return w.posterName
}

func (w *auditWalk) reclassify(name string, minor int64) *ledgerv1.ReclassifyTransactionRequest {
	return &ledgerv1.ReclassifyTransactionRequest{
		Name: name, RequestId: uuid.NewString(), From: &ledgerv1.Entry{Account: "4718", Amount: apptest.Euros(-minor)},
		ToAccount: "75411", ToCampaign: "collectives/corrected/campaigns/avocate",
	}
}

func (w *auditWalk) treasury(slug string) *treasury {
	w.t.Helper()
	return newTreasury(w.t, w.e, slug)
}

// cheque is one that was received.
func (w *auditWalk) cheque() string {
	w.t.Helper()
	request := w.books.cheque(10_00)
	request.OfflineDonation.Document = donorsName
	made := &treasuryv1.OfflineDonation{}
	w.answer(w.books.key, treasuryv1.TreasuryService_CreateOfflineDonation_FullMethodName, request, made)
	return made.GetName()
}

// expense is one that is owed.
func (w *auditWalk) expense(document string) string {
	w.t.Helper()
	w.number++
	made := &treasuryv1.Expense{}
	w.answer(w.books.key, treasuryv1.TreasuryService_CreateExpense_FullMethodName, w.books.invoice(fmt.Sprintf("%s-%d", document, w.number), 10_00), made)
	return made.GetName()
}

// line is an open line of so many cents.
func (w *auditWalk) line(minor int64) string {
	w.t.Helper()
	w.call(w.books.key, bankv1.BankService_ImportBankStatement_FullMethodName,
		w.books.csv(w.books.line(2, "VIR "+donorsName, fmt.Sprintf("%d,%02d", minor/100, minor%100))))
	return w.books.lines(w.t, w.e.Conn)[minor].GetName()
}

// ignored is a line that was ignored.
func (w *auditWalk) ignored(minor int64) string {
	w.t.Helper()
	name := w.line(minor)
	w.call(w.books.key, bankv1.BankService_IgnoreBankLine_FullMethodName, &bankv1.IgnoreBankLineRequest{Name: name, RequestId: uuid.NewString(), Reason: "X"})
	return name
}
