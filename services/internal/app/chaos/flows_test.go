package chaos_test

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// openCampaign creates the history's collective and campaign. Without an account it accepts no donations until it has one.
func (h *history) openCampaign(account string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(apptest.WithKey(h.t.Context(), h.OperatorKey), 30*time.Second)
	defer cancel()
	_, err := collectivesv1.NewCollectivesServiceClient(h.rest).CreateCollective(ctx, &collectivesv1.CreateCollectiveRequest{
		CollectiveId: h.slug,
		Collective:   &collectivesv1.Collective{DisplayName: "Vallon contre caméras", StripeAccount: account, OwnAccountRequired: account != ""},
	})
	if err != nil {
		h.t.Fatalf("create the collective: %v", err)
	}
	h.owner, h.treasurer = h.key(ctx, accessv1.Role_ROLE_OWNER), h.key(ctx, accessv1.Role_ROLE_TREASURER)
	ctx, cancelOwner := context.WithTimeout(apptest.WithKey(h.t.Context(), h.owner), 30*time.Second)
	defer cancelOwner()
	settings := &collectivesv1.Collective{
		Name: "collectives/" + h.slug, DisplayName: "Vallon contre caméras",
		BankAccount: &collectivesv1.BankAccount{Holder: "Vallon contre caméras", Iban: iban},
	}
	if h.dice.IntN(2) == 0 { // large refunds need a second member
		settings.RefundApproval = apptest.Euros(100_00)
	}
	_, err = collectivesv1.NewCollectivesServiceClient(h.rest).UpdateCollective(ctx, &collectivesv1.UpdateCollectiveRequest{
		Collective: settings, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"refund_approval", "bank_account"}},
	})
	h.must(err)
	campaigns := campaignsv1.NewCampaignsServiceClient(h.rest)
	created, err := campaigns.CreateCampaign(ctx, &campaignsv1.CreateCampaignRequest{
		Parent:     "collectives/" + h.slug,
		CampaignId: "avocate",
		Campaign: &campaignsv1.Campaign{
			Texts: map[string]*campaignsv1.CampaignText{"fr": {Title: "Une avocate contre les caméras"}},
			Goal:  apptest.Euros(800_00), Minimum: apptest.Euros(1_00), Maximum: apptest.Euros(800_00),
		},
	})
	if err == nil {
		_, err = campaigns.PublishCampaign(ctx, &campaignsv1.PublishCampaignRequest{Name: created.GetName()})
	}
	if err != nil {
		h.t.Fatalf("open the campaign: %v", err)
	}
	h.campaign = created.GetName()
	if account == "" {
		// Nothing can be published that nobody could pay for, so the own account is asked for afterwards.
		ctx, cancel := context.WithTimeout(apptest.WithKey(h.t.Context(), h.OperatorKey), 30*time.Second)
		defer cancel()
		_, err := collectivesv1.NewCollectivesServiceClient(h.rest).UpdateCollective(ctx, &collectivesv1.UpdateCollectiveRequest{
			Collective: &collectivesv1.Collective{Name: "collectives/" + h.slug, OwnAccountRequired: true},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"own_account_required"}},
		})
		h.must(err)
	}
}

// key creates an API key of the history's collective.
func (h *history) key(ctx context.Context, role accessv1.Role) string {
	h.t.Helper()
	key, err := accessv1.NewAccessServiceClient(h.rest).CreateApiKey(ctx, &accessv1.CreateApiKeyRequest{
		Parent: "collectives/" + h.slug,
		ApiKey: &accessv1.ApiKey{DisplayName: role.String(), Role: role},
	})
	h.must(err)
	return key.GetSecret()
}

// families has the steps in groups. Each history has a favourite group, so that steps of one kind also meet each other.
func (h *history) families() [][]step {
	return [][]step{
		h.donationSteps(), h.stripeSteps(), h.refundSteps(), slices.Concat(h.monthlySteps(), h.linkSteps()), slices.Concat(h.paperSteps(), h.bankSteps()),
		slices.Concat(h.memberSteps(), h.operatorSteps(), h.accountSteps()),
	}
}

// flowComparisons compare the results of these steps.
func (h *history) flowComparisons() []func(context.Context) string {
	return []func(context.Context) string{
		h.compareConnection, h.comparePaper, h.compareProgress, h.compareRefunds, h.compareDisputes, h.compareWarnings,
		h.compareFates, h.compareMonthly, h.compareChanges, h.comparePayouts,
	}
}
