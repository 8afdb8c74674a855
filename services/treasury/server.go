package treasury

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

// server turns messages into calls of the Service and back. Rules that need more than the message are the Service's;
// what is wrong with a name or an enum is refused here.
type server struct {
	treasuryv1.UnimplementedTreasuryServiceServer
	service *Service
}

// NewServer returns the service as gRPC.
func NewServer(s *Service) treasuryv1.TreasuryServiceServer { return &server{service: s} }

// collectiveID reads `collectives/{collective}`.
func collectiveID(name string) (string, error) {
	id, ok := collectives.ParseName(name)
	if !ok {
		return "", errs.NotFound(name)
	}
	return id, nil
}

// ofCollective reads `collectives/{collective}/{kind}/{id}`.
// A name that cannot be one is NOT_FOUND, like one that names nothing.
func ofCollective(name, kind string) (collective string, id uuid.UUID, err error) {
	parent, last, ok := strings.Cut(name, "/"+kind+"/")
	if !ok {
		return "", uuid.Nil, errs.NotFound(name)
	}
	if collective, err = collectiveID(parent); err != nil {
		return "", uuid.Nil, errs.NotFound(name)
	}
	if id, err = uuid.Parse(last); err != nil {
		return "", uuid.Nil, errs.NotFound(name)
	}
	return collective, id, nil
}

// ofCampaign reads `collectives/{collective}/campaigns/{campaign}/{kind}/{id}`.
func ofCampaign(name, kind string) (campaign campaigns.Name, id uuid.UUID, err error) {
	parent, last, ok := strings.Cut(name, "/"+kind+"/")
	if !ok {
		return campaign, uuid.Nil, errs.NotFound(name)
	}
	if campaign, err = campaigns.ParseName(parent); err != nil {
		return campaign, uuid.Nil, errs.NotFound(name)
	}
	if id, err = uuid.Parse(last); err != nil {
		return campaign, uuid.Nil, errs.NotFound(name)
	}
	return campaign, id, nil
}

// ParsePledgeName reads `collectives/{collective}/campaigns/{campaign}/pledges/{pledge}`.
//
// Errors: NOT_FOUND.
func ParsePledgeName(name string) (campaigns.Name, uuid.UUID, error) {
	return ofCampaign(name, "pledges")
}

// ParseExpenseName reads `collectives/{collective}/expenses/{expense}`.
//
// Errors: NOT_FOUND.
func ParseExpenseName(name string) (collective string, id uuid.UUID, err error) {
	return ofCollective(name, "expenses")
}

// change is a request that changes one resource.
// The names and the request ids of all such requests have the same fields.
type change interface {
	GetName() string
	GetRequestId() string
}

// ofCollectiveChanged reads the collective's resource that a request changes, and the request itself.
func ofCollectiveChanged(ctx context.Context, req change, kind string) (collective string, id uuid.UUID, r Request, err error) {
	if collective, id, err = ofCollective(req.GetName(), kind); err != nil {
		return collective, id, r, err
	}
	r, err = NewRequest(ctx, req.GetRequestId())
	return collective, id, r, err
}

// ofCampaignChanged reads the campaign's resource that a request changes, and the request itself.
func ofCampaignChanged(ctx context.Context, req change, kind string) (campaign campaigns.Name, id uuid.UUID, r Request, err error) {
	if campaign, id, err = ofCampaign(req.GetName(), kind); err != nil {
		return campaign, id, r, err
	}
	r, err = NewRequest(ctx, req.GetRequestId())
	return campaign, id, r, err
}

// each converts a list.
func each[T, P any](list []T, convert func(T) P) []P {
	converted := make([]P, len(list))
	for i, item := range list {
		converted[i] = convert(item)
	}
	return converted
}

// answer makes a function that converts what a call of the service returns.
func answer[T, P any](convert func(T) *P) func(T, error) (*P, error) {
	return func(item T, err error) (*P, error) {
		if err != nil {
			return nil, err
		}
		return convert(item), nil
	}
}

// nameOr is the name, or an empty text for no id.
func nameOr(id uuid.UUID, name string) string {
	if id == uuid.Nil {
		return ""
	}
	return name
}

// known returns the key of a value in a table of enums.
// The unspecified value of an enum is in no table unless the field may be empty.
func known[K, V comparable](table map[K]V, value V) (key K, ok bool) {
	for k, v := range table {
		if v == value {
			return k, true
		}
	}
	return key, false
}

var methods = map[Method]treasuryv1.OfflineMethod{
	MethodCash:        treasuryv1.OfflineMethod_OFFLINE_METHOD_CASH,
	MethodTransfer:    treasuryv1.OfflineMethod_OFFLINE_METHOD_TRANSFER,
	MethodCheque:      treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE,
	MethodPayeeCheque: treasuryv1.OfflineMethod_OFFLINE_METHOD_PAYEE_CHEQUE,
}

var donationStates = map[DonationState]treasuryv1.OfflineDonationState{
	DonationReceived: treasuryv1.OfflineDonationState_OFFLINE_DONATION_STATE_RECEIVED,
	DonationBanked:   treasuryv1.OfflineDonationState_OFFLINE_DONATION_STATE_BANKED,
	DonationBounced:  treasuryv1.OfflineDonationState_OFFLINE_DONATION_STATE_BOUNCED,
	DonationReversed: treasuryv1.OfflineDonationState_OFFLINE_DONATION_STATE_REVERSED,
}

func (s *server) CreateOfflineDonation(ctx context.Context, req *treasuryv1.CreateOfflineDonationRequest) (*treasuryv1.OfflineDonation, error) {
	campaign, err := campaigns.ParseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	r, err := NewRequest(ctx, req.GetRequestId())
	if err != nil {
		return nil, err
	}
	sent := req.GetOfflineDonation()
	method, ok := known(methods, sent.GetMethod())
	if !ok {
		return nil, errs.Invalid("offline_donation.method", "is required")
	}
	d := OfflineDonation{
		Campaign: campaign, Amount: wire.Amount(sent.GetAmount()), Method: method, ReceivedOn: calendar.Day(sent.GetReceiveDate()),
		Document: sent.GetDocument(), OutsideBooks: sent.GetOutsideBooks(), Stage: sent.GetStage(), AllowDuplicate: sent.GetAllowDuplicate(),
	}
	// A pledge of another campaign is refused here. Whether there is one of this id is for the Service.
	if sent.GetPledge() != "" {
		of, id, err := ParsePledgeName(sent.GetPledge())
		if err != nil || of != campaign {
			return nil, errs.Invalid("offline_donation.pledge", "must be a pledge of the campaign")
		}
		d.Pledge = id
	}
	return donationAnswer(s.service.CreateOfflineDonation(ctx, r, d))
}

var donationAnswer = answer(donationToProto)

func (s *server) GetOfflineDonation(ctx context.Context, req *treasuryv1.GetOfflineDonationRequest) (*treasuryv1.OfflineDonation, error) {
	campaign, id, err := ofCampaign(req.GetName(), "offlineDonations")
	if err != nil {
		return nil, err
	}
	return donationAnswer(s.service.OfflineDonation(ctx, campaign, id))
}

func (s *server) ListOfflineDonations(ctx context.Context, req *treasuryv1.ListOfflineDonationsRequest) (*treasuryv1.ListOfflineDonationsResponse, error) {
	campaign, err := campaigns.ParseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	// The text tells this list from others: a page token that was made for another list is refused. The key of a row is
	// the time of its creation and its id.
	found, next, err := page.List(req, "offline donations of "+campaign.String(), newest, func(after Position, limit int) ([]OfflineDonation, error) {
		return s.service.OfflineDonations(ctx, campaign, after, limit)
	}, func(d OfflineDonation) Position { return Position{d.CreateTime, d.ID} })
	return &treasuryv1.ListOfflineDonationsResponse{OfflineDonations: each(found, donationToProto), NextPageToken: next}, err
}

func (s *server) BounceCheque(ctx context.Context, req *treasuryv1.BounceChequeRequest) (*treasuryv1.OfflineDonation, error) {
	campaign, id, r, err := ofCampaignChanged(ctx, req, "offlineDonations")
	if err != nil {
		return nil, err
	}
	return donationAnswer(s.service.BounceCheque(ctx, r, campaign, id, calendar.Day(req.GetBounceDate())))
}

func (s *server) ReverseOfflineDonation(ctx context.Context, req *treasuryv1.ReverseOfflineDonationRequest) (*treasuryv1.OfflineDonation, error) {
	campaign, id, r, err := ofCampaignChanged(ctx, req, "offlineDonations")
	if err != nil {
		return nil, err
	}
	return donationAnswer(s.service.ReverseOfflineDonation(ctx, r, campaign, id, req.GetReason()))
}

// donationToProto leaves out what only a request has: AllowDuplicate is not stored.
func donationToProto(d OfflineDonation) *treasuryv1.OfflineDonation {
	collective := d.Campaign.Collective
	return &treasuryv1.OfflineDonation{
		Name:          d.Name(),
		Amount:        wire.Money(d.Amount),
		Method:        methods[d.Method],
		ReceiveDate:   string(d.ReceivedOn),
		Document:      d.Document,
		Pledge:        nameOr(d.Pledge, pledgeName(d.Campaign, d.Pledge)),
		OutsideBooks:  d.OutsideBooks,
		Stage:         d.Stage,
		State:         donationStates[d.State],
		Deposit:       nameOr(d.Deposit, depositName(collective, d.Deposit)),
		BankDate:      string(d.BankedOn),
		BounceDate:    string(d.BouncedOn),
		ReverseReason: d.ReverseReason,
		BankLine:      nameOr(d.BankLine, bankLineName(collective, d.BankLine)),
		Creator:       d.CreatedBy,
		CreateTime:    wire.Time(d.CreateTime),
		UpdateTime:    wire.Time(d.UpdateTime),
	}
}

func (s *server) CreateDeposit(ctx context.Context, req *treasuryv1.CreateDepositRequest) (*treasuryv1.Deposit, error) {
	collective, err := collectiveID(req.GetParent())
	if err != nil {
		return nil, err
	}
	r, err := NewRequest(ctx, req.GetRequestId())
	if err != nil {
		return nil, err
	}
	sent := req.GetDeposit()
	d := Deposit{
		Collective: collective, BankedOn: calendar.Day(sent.GetBankDate()), Document: sent.GetDocument(), AllowDuplicate: sent.GetAllowDuplicate(),
	}
	// A name of another collective is refused in the words for a cheque that is not there.
	for _, name := range sent.GetCheques() {
		campaign, id, err := ofCampaign(name, "offlineDonations")
		if err != nil || campaign.Collective != collective {
			return nil, errNotHeld(name)
		}
		d.Cheques = append(d.Cheques, Cheque{Campaign: campaign, ID: id})
	}
	return depositAnswer(s.service.CreateDeposit(ctx, r, d))
}

var depositAnswer = answer(depositToProto)

func (s *server) GetDeposit(ctx context.Context, req *treasuryv1.GetDepositRequest) (*treasuryv1.Deposit, error) {
	collective, id, err := ofCollective(req.GetName(), "deposits")
	if err != nil {
		return nil, err
	}
	return depositAnswer(s.service.Deposit(ctx, collective, id))
}

func (s *server) ListDeposits(ctx context.Context, req *treasuryv1.ListDepositsRequest) (*treasuryv1.ListDepositsResponse, error) {
	collective, err := collectiveID(req.GetParent())
	if err != nil {
		return nil, err
	}
	found, next, err := page.List(req, "deposits of "+collective, newest, func(after Position, limit int) ([]Deposit, error) {
		return s.service.Deposits(ctx, collective, after, limit)
	}, func(d Deposit) Position { return Position{d.CreateTime, d.ID} })
	return &treasuryv1.ListDepositsResponse{Deposits: each(found, depositToProto), NextPageToken: next}, err
}

func depositToProto(d Deposit) *treasuryv1.Deposit {
	return &treasuryv1.Deposit{
		Name: d.Name(), Cheques: each(d.Cheques, Cheque.Name), BankDate: string(d.BankedOn), Document: d.Document,
		Total: wire.Money(d.Total), CreateTime: wire.Time(d.CreateTime),
		Items: each(d.Cheques, func(c Cheque) *treasuryv1.DepositCheque {
			return &treasuryv1.DepositCheque{Cheque: c.Name(), Amount: wire.Money(c.Amount), Document: c.Document, State: donationStates[c.State]}
		}),
	}
}

var clearingKinds = map[ClearingKind]treasuryv1.ClearingKind{
	ClearingCheque:         treasuryv1.ClearingKind_CLEARING_KIND_CHEQUE,
	ClearingUnknownReceipt: treasuryv1.ClearingKind_CLEARING_KIND_UNKNOWN_RECEIPT,
	ClearingExpense:        treasuryv1.ClearingKind_CLEARING_KIND_EXPENSE,
}

func (s *server) GetClearingItem(ctx context.Context, req *treasuryv1.GetClearingItemRequest) (*treasuryv1.ClearingItem, error) {
	collective, id, err := ofCollective(req.GetName(), "clearingItems")
	if err != nil {
		return nil, err
	}
	return clearingAnswer(s.service.ClearingItem(ctx, collective, id))
}

var clearingAnswer = answer(clearingToProto)

func (s *server) ListClearingItems(ctx context.Context, req *treasuryv1.ListClearingItemsRequest) (*treasuryv1.ListClearingItemsResponse, error) {
	collective, err := collectiveID(req.GetParent())
	if err != nil {
		return nil, err
	}
	// This list begins with the oldest, so it begins at the zero time. The key of an item is the day since which it is
	// open, as a time in UTC.
	found, next, err := page.List(req, "clearing of "+collective, Position{}, func(after Position, limit int) ([]ClearingItem, error) {
		return s.service.ClearingItems(ctx, collective, after, limit)
	}, func(c ClearingItem) Position { return Position{c.OpenSince.UTC(), c.ID} })
	return &treasuryv1.ListClearingItemsResponse{ClearingItems: each(found, clearingToProto), NextPageToken: next}, err
}

// An item has a name of its own, and the name of what it is about: a donation, an expense, or a line of the bank.
func clearingToProto(c ClearingItem) *treasuryv1.ClearingItem {
	resource := bankLineName(c.Collective, c.ID)
	switch c.Kind {
	case ClearingCheque:
		resource = donationName(campaigns.Name{Collective: c.Collective, Campaign: c.Campaign}, c.ID)
	case ClearingExpense:
		resource = expenseName(c.Collective, c.ID)
	}
	return &treasuryv1.ClearingItem{
		Name: c.Name(), Kind: clearingKinds[c.Kind], Resource: resource, Amount: wire.Money(c.Amount), OpenDate: string(c.OpenSince),
		AgeDays: int32(c.AgeDays), Document: c.Document,
	}
}

func (s *server) CreatePledge(ctx context.Context, req *treasuryv1.CreatePledgeRequest) (*treasuryv1.Pledge, error) {
	campaign, err := campaigns.ParseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	r, err := NewRequest(ctx, req.GetRequestId())
	if err != nil {
		return nil, err
	}
	sent := req.GetPledge()
	method, ok := known(methods, sent.GetMethod())
	if !ok {
		return nil, errs.Invalid("pledge.method", "is required")
	}
	// Both come from the gateway and not from the message.
	caller := rpc.CallerFrom(ctx)
	p, err := s.service.CreatePledge(ctx, r, NewPledge{
		Campaign: campaign, Amount: wire.Amount(sent.GetAmount()), Method: method, Locale: sent.GetLocale(),
		Origin: caller.Origin, Network: caller.Network,
	})
	if err != nil {
		return nil, err
	}
	return s.withSlip(ctx, p)
}

func (s *server) GetPledge(ctx context.Context, req *treasuryv1.GetPledgeRequest) (*treasuryv1.Pledge, error) {
	campaign, id, err := ParsePledgeName(req.GetName())
	if err != nil {
		return nil, err
	}
	p, err := s.service.Pledge(ctx, campaign, id)
	if err != nil {
		return nil, err
	}
	return s.withSlip(ctx, p)
}

func (s *server) ListPledges(ctx context.Context, req *treasuryv1.ListPledgesRequest) (*treasuryv1.ListPledgesResponse, error) {
	campaign, err := campaigns.ParseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	// Without the reference in it a token of the whole list would continue a search.
	filter := "pledges of " + campaign.String() + " like " + req.GetReference()
	found, next, err := page.List(req, filter, newest, func(after Position, limit int) ([]Pledge, error) {
		return s.service.Pledges(ctx, campaign, req.GetReference(), after, limit)
	}, func(p Pledge) Position { return Position{p.CreateTime, p.ID} })
	return &treasuryv1.ListPledgesResponse{Pledges: each(found, s.pledgeToProto), NextPageToken: next}, err
}

func (s *server) ListPledgeMethods(ctx context.Context, req *treasuryv1.ListPledgeMethodsRequest) (*treasuryv1.ListPledgeMethodsResponse, error) {
	campaign, err := campaigns.ParseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	offered, err := s.service.PledgeMethods(ctx, campaign)
	return &treasuryv1.ListPledgeMethodsResponse{
		Methods: each(offered, func(m Method) treasuryv1.OfflineMethod { return methods[m] }),
	}, err
}

// withSlip adds the slip to a pledge that is open.
// A slip has the collective's account or address. A pledge that expired or is
// fulfilled has none.
func (s *server) withSlip(ctx context.Context, p Pledge) (*treasuryv1.Pledge, error) {
	answer := s.pledgeToProto(p)
	if answer.GetState() != treasuryv1.PledgeState_PLEDGE_STATE_OPEN {
		return answer, nil
	}
	slip, err := s.service.Slip(ctx, p)
	switch {
	case err != nil:
		return nil, err
	case slip.IBAN != "":
		answer.Transfer = &treasuryv1.TransferSlip{
			Holder: slip.Holder, Iban: slip.IBAN, Bic: slip.BIC, RemittanceText: p.Reference, EpcPayload: slip.EPC, EpcQrSvg: slip.QR,
		}
	case slip.Payee != "":
		answer.Cheque = &treasuryv1.ChequeSlip{Payee: slip.Payee, PostalAddress: slip.PostalAddress}
	}
	return answer, nil
}

// The state is told by the donation and the clock; it is stored nowhere. A donation counts also when it came after the
// pledge expired.
func (s *server) pledgeToProto(p Pledge) *treasuryv1.Pledge {
	state := treasuryv1.PledgeState_PLEDGE_STATE_OPEN
	switch {
	case p.Fulfilled():
		state = treasuryv1.PledgeState_PLEDGE_STATE_FULFILLED
	case !s.service.now().Before(p.ExpireTime):
		state = treasuryv1.PledgeState_PLEDGE_STATE_EXPIRED
	}
	return &treasuryv1.Pledge{
		Name:       p.Name(),
		Amount:     wire.Money(p.Amount),
		Method:     methods[p.Method],
		Reference:  p.Reference,
		State:      state,
		Locale:     p.Locale,
		CreateTime: wire.Time(p.CreateTime),
		ExpireTime: wire.Time(p.ExpireTime),
	}
}

var expenseKinds = map[ExpenseKind]treasuryv1.ExpenseKind{
	ExpenseLawyer:     treasuryv1.ExpenseKind_EXPENSE_KIND_LAWYER,
	ExpenseLitigation: treasuryv1.ExpenseKind_EXPENSE_KIND_LITIGATION,
	ExpenseOther:      treasuryv1.ExpenseKind_EXPENSE_KIND_OTHER,
}

var expenseStates = map[ExpenseState]treasuryv1.ExpenseState{
	ExpenseOwed:     treasuryv1.ExpenseState_EXPENSE_STATE_OWED,
	ExpensePaid:     treasuryv1.ExpenseState_EXPENSE_STATE_PAID,
	ExpenseReversed: treasuryv1.ExpenseState_EXPENSE_STATE_REVERSED,
}

// The empty source is that of an expense that is owed.
var sources = map[Source]treasuryv1.PaymentSource{
	"":         treasuryv1.PaymentSource_PAYMENT_SOURCE_UNSPECIFIED,
	SourceBank: treasuryv1.PaymentSource_PAYMENT_SOURCE_BANK,
	SourceCash: treasuryv1.PaymentSource_PAYMENT_SOURCE_CASH,
}

func (s *server) CreateExpense(ctx context.Context, req *treasuryv1.CreateExpenseRequest) (*treasuryv1.Expense, error) {
	collective, err := collectiveID(req.GetParent())
	if err != nil {
		return nil, err
	}
	r, err := NewRequest(ctx, req.GetRequestId())
	if err != nil {
		return nil, err
	}
	sent := req.GetExpense()
	kind, ok := known(expenseKinds, sent.GetKind())
	if !ok {
		return nil, errs.Invalid("expense.kind", "is required")
	}
	// A source that is not known is read as none; the check of the expense sets the default.
	source, _ := known(sources, sent.GetSource())
	slug, err := ownCampaign("expense.campaign", collective, sent.GetCampaign())
	if err != nil {
		return nil, err
	}
	return expenseAnswer(s.service.CreateExpense(ctx, r, Expense{
		Collective: collective, Campaign: slug, Stage: sent.GetStage(), Kind: kind, Account: sent.GetAccount(),
		Payee: sent.GetPayee(), Document: sent.GetDocument(), DocumentDate: calendar.Day(sent.GetDocumentDate()),
		Amount: wire.Amount(sent.GetAmount()), PaidOn: calendar.Day(sent.GetPayDate()), Source: source,
	}))
}

// ownCampaign reads the slug of a campaign of the collective; empty for none.
// Field is the request's field, for the error.
func ownCampaign(field, collective, name string) (slug string, err error) {
	if name == "" {
		return "", nil
	}
	campaign, err := campaigns.ParseName(name)
	if err != nil || campaign.Collective != collective {
		return "", errs.Invalid(field, "must be a campaign of the collective")
	}
	return campaign.Campaign, nil
}

var expenseAnswer = answer(expenseToProto)

func (s *server) GetExpense(ctx context.Context, req *treasuryv1.GetExpenseRequest) (*treasuryv1.Expense, error) {
	collective, id, err := ParseExpenseName(req.GetName())
	if err != nil {
		return nil, err
	}
	return expenseAnswer(s.service.Expense(ctx, collective, id))
}

func (s *server) ListExpenses(ctx context.Context, req *treasuryv1.ListExpensesRequest) (*treasuryv1.ListExpensesResponse, error) {
	collective, err := collectiveID(req.GetParent())
	if err != nil {
		return nil, err
	}
	slug, err := ownCampaign("campaign", collective, req.GetCampaign())
	if err != nil {
		return nil, err
	}
	found, next, err := page.List(req, "expenses of "+collective+"/"+slug, newest, func(after Position, limit int) ([]Expense, error) {
		return s.service.Expenses(ctx, collective, slug, after, limit)
	}, func(e Expense) Position { return Position{e.CreateTime, e.ID} })
	return &treasuryv1.ListExpensesResponse{Expenses: each(found, expenseToProto), NextPageToken: next}, err
}

func (s *server) PayExpense(ctx context.Context, req *treasuryv1.PayExpenseRequest) (*treasuryv1.Expense, error) {
	collective, id, r, err := ofCollectiveChanged(ctx, req, "expenses")
	if err != nil {
		return nil, err
	}
	// A payment without a source is one from the bank account.
	source, _ := known(sources, req.GetSource())
	if source == "" {
		source = SourceBank
	}
	return expenseAnswer(s.service.PayExpense(ctx, r, collective, id, calendar.Day(req.GetPayDate()), source, wire.Amount(req.GetExpectedAmount())))
}

func (s *server) ReverseExpense(ctx context.Context, req *treasuryv1.ReverseExpenseRequest) (*treasuryv1.Expense, error) {
	collective, id, r, err := ofCollectiveChanged(ctx, req, "expenses")
	if err != nil {
		return nil, err
	}
	return expenseAnswer(s.service.ReverseExpense(ctx, r, collective, id, req.GetReason()))
}

func expenseToProto(e Expense) *treasuryv1.Expense {
	lines := each(e.BankLines, func(id uuid.UUID) string { return bankLineName(e.Collective, id) })
	campaign := ""
	if e.Campaign != "" {
		campaign = campaigns.Name{Collective: e.Collective, Campaign: e.Campaign}.String()
	}
	return &treasuryv1.Expense{
		Name:            e.Name(),
		Kind:            expenseKinds[e.Kind],
		Account:         e.Account,
		Payee:           e.Payee,
		Document:        e.Document,
		DocumentDate:    string(e.DocumentDate),
		Amount:          wire.Money(e.Amount),
		Campaign:        campaign,
		Stage:           e.Stage,
		State:           expenseStates[e.State],
		PayDate:         string(e.PaidOn),
		Source:          sources[e.Source],
		RemainingAmount: wire.Money(e.Remaining),
		BankLines:       lines,
		ReverseReason:   e.ReverseReason,
		Creator:         e.CreatedBy,
		CreateTime:      wire.Time(e.CreateTime),
		UpdateTime:      wire.Time(e.UpdateTime),
		Attachments:     each(e.Attachments, attachmentToProto),
	}
}

// ofExpense reads `collectives/{collective}/expenses/{expense}/attachments/{attachment}`.
func ofExpense(name string) (collective string, expense, id uuid.UUID, err error) {
	parent, last, ok := strings.Cut(name, "/attachments/")
	if !ok {
		return "", uuid.Nil, uuid.Nil, errs.NotFound(name)
	}
	if collective, expense, err = ParseExpenseName(parent); err != nil {
		return "", uuid.Nil, uuid.Nil, errs.NotFound(name)
	}
	if id, err = uuid.Parse(last); err != nil {
		return "", uuid.Nil, uuid.Nil, errs.NotFound(name)
	}
	return collective, expense, id, nil
}

func (s *server) CreateExpenseAttachment(ctx context.Context, req *treasuryv1.CreateExpenseAttachmentRequest) (*treasuryv1.ExpenseAttachment, error) {
	collective, expense, err := ParseExpenseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	r, err := NewRequest(ctx, req.GetRequestId())
	if err != nil {
		return nil, err
	}
	return attachmentAnswer(s.service.CreateAttachment(ctx, r, collective, expense, req.GetExpenseAttachment().GetContent()))
}

var attachmentAnswer = answer(attachmentToProto)

func (s *server) GetExpenseAttachment(ctx context.Context, req *treasuryv1.GetExpenseAttachmentRequest) (*treasuryv1.ExpenseAttachment, error) {
	collective, expense, id, err := ofExpense(req.GetName())
	if err != nil {
		return nil, err
	}
	return attachmentAnswer(s.service.Attachment(ctx, collective, expense, id))
}

func (s *server) ListExpenseAttachments(ctx context.Context, req *treasuryv1.ListExpenseAttachmentsRequest) (*treasuryv1.ListExpenseAttachmentsResponse, error) {
	collective, expense, err := ParseExpenseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	found, next, err := page.List(req, "attachments of "+req.GetParent(), Position{}, func(after Position, limit int) ([]Attachment, error) {
		return s.service.Attachments(ctx, collective, expense, after, limit)
	}, func(a Attachment) Position { return Position{a.CreateTime, a.ID} })
	return &treasuryv1.ListExpenseAttachmentsResponse{ExpenseAttachments: each(found, attachmentToProto), NextPageToken: next}, err
}

// DownloadExpenseAttachment tells the name of the file in the header metadata content-disposition, which the gateway passes
// on.
func (s *server) DownloadExpenseAttachment(
	req *treasuryv1.DownloadExpenseAttachmentRequest, stream grpc.ServerStreamingServer[httpbody.HttpBody],
) error {
	collective, expense, id, err := ofExpense(req.GetName())
	if err != nil {
		return err
	}
	a, err := s.service.Attachment(stream.Context(), collective, expense, id)
	if err != nil {
		return err
	}
	if err := stream.SetHeader(metadata.Pairs("content-disposition", fmt.Sprintf("attachment; filename=%q", a.FileName()))); err != nil {
		return err
	}
	return s.service.Content(stream.Context(), a, func(part []byte) error {
		return stream.Send(&httpbody.HttpBody{ContentType: a.ContentType, Data: part})
	})
}

func attachmentToProto(a Attachment) *treasuryv1.ExpenseAttachment {
	return &treasuryv1.ExpenseAttachment{
		Name: a.Name(), ContentType: a.ContentType, SizeBytes: int32(a.Size), Sha256: hex.EncodeToString(a.SHA256[:]),
		Creator: a.CreatedBy, CreateTime: wire.Time(a.CreateTime),
	}
}
