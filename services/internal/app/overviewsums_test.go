package app_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	overviewv1 "github.com/cagnotte/cagnotte/proto/cagnotte/overview/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// sumHistory is a random history of one collective with two campaigns.
type sumHistory struct {
	*treasury
	t         *testing.T
	r         *rand.Rand
	campaigns []string
	// given and offline are donations' names, moved the reclassifications', and lines how many lines the bank reported.
	given, offline, moved []string
	lines                 int
	// done counts the steps that were not refused, by their name.
	done map[string]int
}

// step is what may happen in a history.
type step struct {
	name string
	do   func() error
}

// TestRaisedIsTheSumOfItsDays plays random histories of everything that counts for a campaign: the days of its statistics, the
// list of contributions, its public total and the collective's home agree to the cent.
func TestRaisedIsTheSumOfItsDays(t *testing.T) {
	done := map[string]int{}
	seed := uint64(time.Now().UnixNano())
	for n := range 2 {
		t.Run(fmt.Sprintf("seed %d", seed+uint64(n)), func(t *testing.T) {
			// Of an account that one collective has alone, unknown receipts are its own.
			e := apptest.Start(t, apptest.Config{})
			h := &sumHistory{treasury: newTreasury(t, e, "vallon"), t: t, r: rand.New(rand.NewPCG(seed+uint64(n), 0)), done: done}
			h.campaigns = []string{h.campaign, h.second()}
			steps := []step{
				{"give", h.give},
				{"refund", h.refund},
				{"dispute", h.dispute},
				{"receive", h.receive},
				{"bank", h.bankCheque},
				{"bounce", h.bounce},
				{"reverse", h.reverse},
				{"pledge", h.settlePledge},
				{"import", h.importLine},
				{"match", h.match},
				{"unmatch", h.unmatch},
				{"buy", h.buy},
				{"reclassify", h.reclassify},
				{"reclassify", h.reclassify},
				{"move", h.move},
				{"take back", h.takeBack},
			}
			// Some steps need what others did before, so the last history goes on until each was done.
			missing := func() bool {
				return slices.ContainsFunc(steps, func(s step) bool { return done[s.name] == 0 })
			}
			for round := 0; round < 5 || n == 1 && missing() && round < 20; round++ {
				for _, at := range h.r.Perm(len(steps)) {
					h.count(steps[at].name, steps[at].do())
				}
			}
			h.agree()
		})
	}
	for _, step := range []string{
		"give", "refund", "dispute", "receive", "bank", "bounce", "reverse", "pledge", "import", "match", "unmatch", "buy", "reclassify", "move", "take back",
	} {
		if done[step] == 0 {
			t.Errorf("no step did %q", step)
		}
	}
}

// errNothing is the answer of a step that has nothing to do.
var errNothing = status.Error(codes.FailedPrecondition, "nothing to do")

// count notes a step. A service may refuse what the history does not allow.
func (h *sumHistory) count(name string, err error) {
	h.t.Helper()
	switch status.Code(err) {
	case codes.OK:
		h.done[name]++
	case codes.FailedPrecondition, codes.AlreadyExists, codes.Aborted:
	default:
		h.t.Fatalf("%s: %v", name, err)
	}
}

func (h *sumHistory) second() string {
	client, ctx := campaignsv1.NewCampaignsServiceClient(h.e.Conn), apptest.WithKey(h.t.Context(), h.owner)
	first, err := client.GetCampaign(ctx, &campaignsv1.GetCampaignRequest{Name: h.campaign})
	if err != nil {
		h.t.Fatal(err)
	}
	made, err := client.CreateCampaign(ctx, &campaignsv1.CreateCampaignRequest{
		Parent: h.collective, CampaignId: "appel",
		Campaign: &campaignsv1.Campaign{Texts: first.GetTexts(), Goal: first.GetGoal(), Minimum: first.GetMinimum(), Maximum: first.GetMaximum()},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := client.PublishCampaign(ctx, &campaignsv1.PublishCampaignRequest{Name: made.GetName()}); err != nil {
		h.t.Fatal(err)
	}
	return made.GetName()
}

func (h *sumHistory) one(of []string) string {
	if len(of) == 0 {
		return ""
	}
	return of[h.r.IntN(len(of))]
}

func (h *sumHistory) cents(most int64) int64 { return 1_00 + h.r.Int64N(most-1_00+1) }

func (h *sumHistory) give() error {
	req := donationTo(h.one(h.campaigns))
	req.Donation.Amount = apptest.Euros(h.cents(60_00))
	d := give(h.t, h.e.Conn, req)
	pay(h.t, h.e, d)
	h.e.Eventually("the donation is booked", func() bool {
		got, err := donationsv1.NewDonationsServiceClient(h.e.Conn).GetDonation(h.ctx(h.t), &donationsv1.GetDonationRequest{Name: d.GetName()})
		return err == nil && got.GetBookTime() != nil
	})
	h.given = append(h.given, d.GetName())
	return nil
}

func (h *sumHistory) refund() error {
	name := h.one(h.given)
	if name == "" {
		return errNothing
	}
	req := ask(&donationsv1.Donation{Name: name}, h.cents(3_00))
	_, err := refundsv1.NewRefundsServiceClient(h.e.Conn).CreateRefund(h.ctx(h.t), req)
	return err
}

func (h *sumHistory) dispute() error {
	sessions := h.e.Sim.Sessions("")
	for _, at := range h.r.Perm(len(sessions)) {
		if charge := sessions[at].ChargeID; charge != "" {
			if _, err := h.e.Sim.Dispute(charge, stripesim.Disputed{AmountMinor: h.r.Int64N(2) * 1_00}); err == nil {
				return nil
			}
		}
	}
	return errNothing
}

func (h *sumHistory) enter(req *treasuryv1.CreateOfflineDonationRequest) error {
	req.Parent = h.one(h.campaigns)
	if pledge := req.GetOfflineDonation().GetPledge(); pledge != "" {
		req.Parent = pledge[:strings.Index(pledge, "/pledges/")]
	}
	req.OfflineDonation.ReceiveDate = h.day(h.r.IntN(60))
	made, err := treasuryv1.NewTreasuryServiceClient(h.e.Conn).CreateOfflineDonation(h.ctx(h.t), req)
	if err == nil {
		h.offline = append(h.offline, made.GetName())
	}
	return err
}

func (h *sumHistory) receive() error {
	if h.r.IntN(3) == 0 {
		return h.enter(h.cash(h.cents(90_00)))
	}
	return h.enter(h.cheque(h.cents(90_00)))
}

func (h *sumHistory) bankCheque() error {
	_ = h.enter(h.cheque(h.cents(90_00)))
	name := h.one(h.offline)
	if name == "" {
		return errNothing
	}
	_, err := treasuryv1.NewTreasuryServiceClient(h.e.Conn).CreateDeposit(h.ctx(h.t), &treasuryv1.CreateDepositRequest{
		Parent: h.collective, RequestId: uuid.NewString(), Deposit: &treasuryv1.Deposit{Cheques: []string{name}, BankDate: h.day(0), AllowDuplicate: true},
	})
	return err
}

func (h *sumHistory) bounce() error {
	// A cheque that is banked is found after some tries.
	err := errNothing
	for range 5 {
		if name := h.one(h.offline); name != "" {
			if _, err = treasuryv1.NewTreasuryServiceClient(h.e.Conn).BounceCheque(h.ctx(h.t), &treasuryv1.BounceChequeRequest{
				Name: name, RequestId: uuid.NewString(), BounceDate: h.day(0),
			}); err == nil {
				break
			}
		}
	}
	return err
}

func (h *sumHistory) reverse() error {
	name := h.one(h.offline)
	if name == "" {
		return errNothing
	}
	_, err := treasuryv1.NewTreasuryServiceClient(h.e.Conn).ReverseOfflineDonation(h.ctx(h.t), &treasuryv1.ReverseOfflineDonationRequest{
		Name: name, RequestId: uuid.NewString(), Reason: "saisi deux fois",
	})
	return err
}

func (h *sumHistory) settlePledge() error {
	req := h.cash(h.cents(40_00))
	req.OfflineDonation.Method = treasuryv1.OfflineMethod_OFFLINE_METHOD_TRANSFER
	req.OfflineDonation.Pledge = h.pledge(h.t, 10_00).GetName()
	req.OfflineDonation.AllowDuplicate = true
	return h.enter(req)
}

func (h *sumHistory) importLine() error {
	h.lines++
	minor := h.cents(70_00)
	_, err := bankv1.NewBankServiceClient(h.e.Conn).ImportBankStatement(h.ctx(h.t),
		h.csv(h.line(h.r.IntN(20), fmt.Sprintf("VIR INCONNU %d", h.lines), fmt.Sprintf("%d,%02d", minor/100, minor%100))))
	return err
}

// bankLine is one of the bank's lines of a state.
func (h *sumHistory) bankLine(state bankv1.BankLineState) (string, error) {
	list, err := bankv1.NewBankServiceClient(h.e.Conn).ListBankLines(h.ctx(h.t), &bankv1.ListBankLinesRequest{Parent: h.collective, State: state})
	if err != nil {
		return "", err
	}
	var names []string
	for _, l := range list.GetBankLines() {
		names = append(names, l.GetName())
	}
	if len(names) == 0 {
		return "", errNothing
	}
	return h.one(names), nil
}

func (h *sumHistory) match() error {
	name, err := h.bankLine(lineUnmatched)
	if err != nil {
		return err
	}
	req := &bankv1.MatchBankLineRequest{Name: name, RequestId: uuid.NewString(), Target: &bankv1.BankLineTarget{
		Target: &bankv1.BankLineTarget_UnknownReceipt{UnknownReceipt: true},
	}}
	if h.r.IntN(3) == 0 {
		req.Target.Target = &bankv1.BankLineTarget_Campaign{Campaign: h.one(h.campaigns)}
	}
	_, err = bankv1.NewBankServiceClient(h.e.Conn).MatchBankLine(h.ctx(h.t), req)
	return err
}

func (h *sumHistory) unmatch() error {
	name, err := h.bankLine(lineMatched)
	if err != nil {
		return err
	}
	_, err = bankv1.NewBankServiceClient(h.e.Conn).UnmatchBankLine(h.ctx(h.t), &bankv1.UnmatchBankLineRequest{Name: name, RequestId: uuid.NewString(), Reason: "faux"})
	return err
}

// buy pays 5 € for something that the service knows nothing of.
func (h *sumHistory) buy() error {
	before := len(h.unknown())
	buyPoster(h.t, h.e)
	h.e.Eventually("the receipt is booked", func() bool { return len(h.unknown()) > before })
	return nil
}

// receipt is a transaction that put an unknown receipt of Stripe's into the books.
func (h *sumHistory) receipt() (string, error) {
	if names := h.unknown(); len(names) > 0 {
		return h.one(names), nil
	}
	return "", errNothing
}

func (h *sumHistory) unknown() (names []string) {
	list, err := ledgerv1.NewLedgerServiceClient(h.e.Conn).ListTransactions(h.ctx(h.t), &ledgerv1.ListTransactionsRequest{
		Parent: h.collective + "/ledger", Account: "4718", Kind: "other",
	})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, t := range list.GetTransactions() {
		names = append(names, t.GetName())
	}
	return names
}

// classify moves an amount of an unknown receipt from one place to another.
func (h *sumHistory) classify(account, from, to string) error {
	// A receipt with enough left of it is found after some tries.
	err := errNothing
	for range 5 {
		var name string
		if name, err = h.receipt(); err != nil {
			return err
		}
		var moved *ledgerv1.Transaction
		if moved, err = ledgerv1.NewLedgerServiceClient(h.e.Conn).ReclassifyTransaction(h.ctx(h.t), &ledgerv1.ReclassifyTransactionRequest{
			Name: name, RequestId: uuid.NewString(), From: &ledgerv1.Entry{Account: account, Campaign: from, Amount: apptest.Euros(-h.cents(3_00))},
			ToAccount: "75411", ToCampaign: to,
		}); err == nil {
			h.moved = append(h.moved, moved.GetName())
			return nil
		}
	}
	return err
}

func (h *sumHistory) reclassify() error { return h.classify("4718", "", h.one(h.campaigns)) }

func (h *sumHistory) move() error {
	at := h.r.IntN(2)
	return h.classify("75411", h.campaigns[at], h.campaigns[1-at])
}

func (h *sumHistory) takeBack() error {
	name := h.one(h.moved)
	if name == "" {
		return errNothing
	}
	_, err := ledgerv1.NewLedgerServiceClient(h.e.Conn).ReverseTransaction(h.ctx(h.t), &ledgerv1.ReverseTransactionRequest{Name: name, RequestId: uuid.NewString()})
	return err
}

// agree compares the campaigns' totals with their days, their lists and the home, once Stripe's events have arrived.
func (h *sumHistory) agree() {
	client, ctx := overviewv1.NewOverviewServiceClient(h.e.Conn), apptest.WithKey(h.t.Context(), h.reader)
	var said string
	h.e.Eventually("all totals agree", func() bool {
		said = ""
		var raised int64
		for _, campaign := range h.campaigns {
			settled, _ := progress(h.t, h.e.Conn, campaign)
			raised += settled
			listed := h.listed(ctx, client, campaign)
			for _, grouping := range []overviewv1.StatisticsGrouping{
				overviewv1.StatisticsGrouping_STATISTICS_GROUPING_METHOD, overviewv1.StatisticsGrouping_STATISTICS_GROUPING_CAMPAIGN,
			} {
				sums, err := client.GetStatistics(ctx, &overviewv1.GetStatisticsRequest{
					Name: h.collective + "/statistics", StartDate: h.day(90), EndDate: h.day(-1), Grouping: grouping, Campaign: campaign,
				})
				if err != nil {
					h.t.Fatal(err)
				}
				var days, groups int64
				for _, p := range sums.GetPeriods() {
					days += p.GetReceived().GetAmountMinor()
					for _, g := range p.GetGroups() {
						groups += g.GetReceived().GetAmountMinor()
					}
				}
				if days != settled || groups != settled || listed != settled {
					said += fmt.Sprintf("%s raised %d, its days sum to %d, by %v to %d, and its list to %d\n", campaign, settled, days, grouping, groups, listed)
				}
			}
		}
		home, err := client.GetOverview(ctx, &overviewv1.GetOverviewRequest{Name: h.collective + "/overview"})
		if err != nil {
			h.t.Fatal(err)
		}
		var all int64
		for _, m := range home.GetRaised() {
			all += m.GetAmountMinor()
		}
		if all != raised {
			said += fmt.Sprintf("home says %d, the campaigns %d\n", all, raised)
		}
		if said != "" {
			h.t.Log(said)
		}
		return said == ""
	})
}

// listed is what the contributions of a campaign sum to.
func (h *sumHistory) listed(ctx context.Context, client overviewv1.OverviewServiceClient, campaign string) (sum int64) {
	req := &overviewv1.ListContributionsRequest{Parent: h.collective, Campaign: campaign, PageSize: 20}
	for {
		page, err := client.ListContributions(ctx, req)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, c := range page.GetContributions() {
			sum += c.GetReceived().GetAmountMinor()
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			return sum
		}
	}
}
