package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

//go:embed demo/*.json
var demoFiles embed.FS

// demoOrder puts the village first, since most of the demo is about it.
var demoOrder = []string{"vallon-contre-cameras", "technopolice-marseille", "festival-technopolice"}

// demo is a collective, its campaign, and how much it has received. It is one file of the folder demo. The donations
// are spread over Days days, around a median in minor units; the percentages tell how many of them were abandoned, or
// declined at first.
type demo struct {
	CollectiveID string          `json:"collective_id"`
	CampaignID   string          `json:"campaign_id"`
	RawCampaign  json.RawMessage `json:"campaign"`
	// RawProfile is what the collective tells about itself, and RawNews are published; none when absent.
	RawProfile json.RawMessage   `json:"profile"`
	RawNews    []json.RawMessage `json:"news"`
	Collective struct {
		DisplayName string `json:"display_name"`
	} `json:"collective"`
	Donations struct {
		Count            int   `json:"count"`
		Days             int   `json:"days"`
		MedianMinor      int64 `json:"median_minor"`
		AbandonedPercent int   `json:"abandoned_percent"`
		DeclinedPercent  int   `json:"declined_percent"`
	} `json:"donations"`
}

func (d demo) collectiveName() string { return "collectives/" + d.CollectiveID }
func (d demo) campaignName() string   { return d.collectiveName() + "/campaigns/" + d.CampaignID }

// page is the address of the campaign's public page.
func (d demo) page(serviceURL string) string {
	return serviceURL + "/c/" + d.CollectiveID + "/" + d.CampaignID
}

// loadDemos reads the files in demoOrder. A member that the program does not know is an error.
func loadDemos() ([]demo, error) {
	demos := make([]demo, len(demoOrder))
	for i, name := range demoOrder {
		raw, err := demoFiles.ReadFile("demo/" + name + ".json")
		if err != nil {
			return nil, err
		}
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&demos[i]); err != nil {
			return nil, fmt.Errorf("demo/%s.json: %w", name, err)
		}
	}
	return demos, nil
}

// keys are the demo's API keys. The service stores only their hashes, so the demo's state has them.
type keys struct {
	Owner     string `json:"owner"`
	Treasurer string `json:"treasurer"`
	Operator  string `json:"operator"`
}

// seeder creates the demo's past with the real program: each donation is started over gRPC, paid at the simulator, and
// reported by signed webhooks, while the clock that both share moves to the present.
type seeder struct {
	conn    grpc.ClientConnInterface
	sim     *stripesim.Sim
	clock   *stripesim.Clock
	origins []string
	random  *rand.Rand
	// byCard has the campaign of each session of a single donation that was paid by card.
	byCard map[string]string
}

// payoutDays is for how many days Stripe has made daily payouts.
const payoutDays = 10

// seed creates the demo's data and returns its keys. The clock first goes back by the longest past, then forward from
// donation to donation, so each is dated by the moment at which it happened. Only the first collective has settings,
// refunds and offline donations.
func (s *seeder) seed(ctx context.Context, operatorKey string, demos []demo) (keys, error) {
	now := s.clock.Now()
	asOperator := withKey(ctx, operatorKey)
	longest := slices.MaxFunc(demos, func(a, b demo) int { return a.Donations.Days - b.Donations.Days })
	s.clock.Set(now.AddDate(0, 0, -longest.Donations.Days))
	k := keys{Operator: operatorKey}
	s.byCard = map[string]string{}
	for i, d := range demos {
		owner, err := s.open(ctx, asOperator, d)
		if err != nil {
			return keys{}, fmt.Errorf("%s: %w", d.CollectiveID, err)
		}
		// The owner's key of the first collective is announced; those of the others are not needed.
		if i == 0 {
			k.Owner = owner
			if err := s.configure(withKey(ctx, owner), d); err != nil {
				return keys{}, fmt.Errorf("%s: its settings: %w", d.CollectiveID, err)
			}
		}
	}
	paidOut := false
	for _, g := range s.plan(now, demos) {
		// Daily payouts begin payoutDays before the present. The clock stops at that day before the first donation
		// after it.
		if start := now.AddDate(0, 0, -payoutDays); !paidOut && g.at.After(start) {
			s.clock.Set(start)
			if err := s.sim.SchedulePayouts("", true); err != nil {
				return keys{}, err
			}
			paidOut = true
		}
		s.clock.Set(g.at)
		if err := s.give(ctx, g); err != nil {
			return keys{}, fmt.Errorf("%s: a donation: %w", g.campaign, err)
		}
	}
	// The present: renewals and payouts between the last donation and now are performed by this.
	s.clock.Set(now)
	if err := s.refundAndDispute(demos[0]); err != nil {
		return keys{}, err
	}
	var err error
	if k.Treasurer, err = s.key(asOperator, demos[0], accessv1.Role_ROLE_TREASURER); err != nil {
		return keys{}, err
	}
	if err := s.enterOffline(withKey(ctx, k.Treasurer), demos[0], now); err != nil {
		return keys{}, fmt.Errorf("%s: what its treasurer enters: %w", demos[0].CollectiveID, err)
	}
	return k, nil
}

// open creates a collective as the operator, and its campaign as an owner, whose key it returns.
func (s *seeder) open(ctx, asOperator context.Context, d demo) (ownerKey string, err error) {
	_, err = collectivesv1.NewCollectivesServiceClient(s.conn).CreateCollective(asOperator, &collectivesv1.CreateCollectiveRequest{
		CollectiveId: d.CollectiveID,
		Collective:   &collectivesv1.Collective{DisplayName: d.Collective.DisplayName},
	})
	if err != nil {
		return "", err
	}
	if ownerKey, err = s.key(asOperator, d, accessv1.Role_ROLE_OWNER); err != nil {
		return "", err
	}
	campaign := &campaignsv1.Campaign{}
	if err := protojson.Unmarshal(d.RawCampaign, campaign); err != nil {
		return "", fmt.Errorf("read its campaign: %w", err)
	}
	// The site's address is no part of the file, since it is the demo's.
	campaign.AllowedOrigins = s.origins
	// The operator may create collectives and keys; campaigns are an owner's.
	asOwner := withKey(ctx, ownerKey)
	client := campaignsv1.NewCampaignsServiceClient(s.conn)
	if _, err := client.CreateCampaign(asOwner, &campaignsv1.CreateCampaignRequest{
		Parent:     d.collectiveName(),
		CampaignId: d.CampaignID,
		Campaign:   campaign,
	}); err != nil {
		return "", err
	}
	if _, err = client.PublishCampaign(asOwner, &campaignsv1.PublishCampaignRequest{Name: d.campaignName()}); err != nil {
		return "", err
	}
	return ownerKey, s.tell(asOwner, d)
}

// tell writes what a collective says about itself, and the campaign's news.
func (s *seeder) tell(asOwner context.Context, d demo) error {
	if len(d.RawProfile) > 0 {
		profile := &collectivesv1.CollectiveProfile{}
		if err := protojson.Unmarshal(d.RawProfile, profile); err != nil {
			return fmt.Errorf("read its profile: %w", err)
		}
		profile.Name = d.collectiveName() + "/profile"
		if _, err := collectivesv1.NewCollectivesServiceClient(s.conn).UpdateCollectiveProfile(asOwner, &collectivesv1.UpdateCollectiveProfileRequest{
			CollectiveProfile: profile,
		}); err != nil {
			return err
		}
	}
	client := campaignsv1.NewNewsServiceClient(s.conn)
	for _, raw := range d.RawNews {
		item := &campaignsv1.NewsItem{}
		if err := protojson.Unmarshal(raw, item); err != nil {
			return fmt.Errorf("read its news: %w", err)
		}
		made, err := client.CreateNewsItem(asOwner, &campaignsv1.CreateNewsItemRequest{
			Parent: d.campaignName(), NewsItem: item, RequestId: uuid.NewString(),
		})
		if err != nil {
			return err
		}
		if _, err := client.PublishNewsItem(asOwner, &campaignsv1.PublishNewsItemRequest{Name: made.GetName()}); err != nil {
			return err
		}
	}
	return nil
}

func withKey(ctx context.Context, key string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
}

// keyNames are what the demo's keys are called, by the language of their collective.
var keyNames = map[string]map[accessv1.Role]string{
	"fr": {accessv1.Role_ROLE_OWNER: "Démo\u00a0: responsable", accessv1.Role_ROLE_TREASURER: "Démo\u00a0: trésorerie"},
	"en": {accessv1.Role_ROLE_OWNER: "Demo: owner", accessv1.Role_ROLE_TREASURER: "Demo: treasurer"},
}

// key creates an API key of the demo's collective, in whose language it is named. The context has the caller's own key.
func (s *seeder) key(ctx context.Context, d demo, role accessv1.Role) (string, error) {
	c, err := collectivesv1.NewCollectivesServiceClient(s.conn).GetCollective(ctx, &collectivesv1.GetCollectiveRequest{Name: d.collectiveName()})
	if err != nil {
		return "", err
	}
	created, err := accessv1.NewAccessServiceClient(s.conn).CreateApiKey(ctx, &accessv1.CreateApiKeyRequest{
		Parent: d.collectiveName(),
		ApiKey: &accessv1.ApiKey{DisplayName: keyNames[c.GetLanguage()][role], Role: role},
	})
	return created.GetSecret(), err
}

// pastDonation is one donation of the demo's past.
type pastDonation struct {
	at                  time.Time
	campaign, locale    string
	amountMinor         int64
	abandoned, declined bool
	monthly, byDebit    bool
}

// plan draws the donations at random, the oldest first. Amounts are round and spread around the median, and a few are
// large.
func (s *seeder) plan(now time.Time, demos []demo) []pastDonation {
	round := []int64{100, 200, 300, 500, 800, 1000, 1500, 2000, 2500, 3000, 4000, 5000, 7500, 10000, 15000, 20000, 30000, 50000}
	var donations []pastDonation
	for _, d := range demos {
		for range d.Donations.Count {
			// A log-normal distribution: its median is MedianMinor, and large amounts are rare. The next round amount
			// is taken.
			wanted := int64(float64(d.Donations.MedianMinor) * math.Exp(s.random.NormFloat64()*0.8))
			i, _ := slices.BinarySearch(round, wanted)
			g := pastDonation{
				at:          now.Add(-time.Duration(s.random.Float64() * float64(d.Donations.Days) * float64(24*time.Hour))),
				campaign:    d.campaignName(),
				locale:      "fr",
				amountMinor: round[min(i, len(round)-1)],
				abandoned:   s.random.IntN(100) < d.Donations.AbandonedPercent,
				declined:    s.random.IntN(100) < d.Donations.DeclinedPercent,
			}
			if s.random.IntN(100) < 10 {
				g.locale = "en"
			}
			donations = append(donations, g)
		}
		// Two monthly donations and a debit for each campaign, on fixed days.
		day := func(ago int) time.Time { return now.AddDate(0, 0, -ago).Add(-time.Hour) }
		donations = append(donations,
			pastDonation{at: day(70), campaign: d.campaignName(), locale: "fr", amountMinor: 500, monthly: true},
			pastDonation{at: day(40), campaign: d.campaignName(), locale: "fr", amountMinor: 1000, monthly: true},
			// It is confirmed in some days.
			pastDonation{at: day(1), campaign: d.campaignName(), locale: "fr", amountMinor: 2500, byDebit: true},
		)
	}
	slices.SortFunc(donations, func(a, b pastDonation) int { return a.at.Compare(b.at) })
	return donations
}

// give makes one donation at the time that the clock shows. An abandoned one stops at the payment page, and its session
// expires later. A declined one is paid at the second attempt, with another card.
func (s *seeder) give(ctx context.Context, g pastDonation) error {
	recurrence := donationsv1.Recurrence_RECURRENCE_ONCE
	if g.monthly {
		recurrence = donationsv1.Recurrence_RECURRENCE_MONTHLY
	}
	donation, err := donationsv1.NewDonationsServiceClient(s.conn).CreateDonation(ctx, &donationsv1.CreateDonationRequest{
		Parent:     g.campaign,
		Donation:   &donationsv1.Donation{Amount: euros(g.amountMinor), Locale: g.locale},
		RequestId:  uuid.NewString(),
		Recurrence: recurrence,
	})
	if err != nil || g.abandoned {
		return err
	}
	session, err := s.sessionOf(donation)
	if err != nil {
		return err
	}
	if g.byDebit {
		return s.sim.PayByDebit(session, stripesim.IBANPaid)
	}
	// refundAndDispute chooses among these.
	if !g.monthly {
		s.byCard[session] = g.campaign
	}
	if g.declined {
		var declined *stripesim.DeclinedError
		if err := s.sim.Pay(session, stripesim.CardDeclined); !errors.As(err, &declined) {
			return fmt.Errorf("a declined card was not declined: %w", err)
		}
	}
	return s.sim.Pay(session, stripesim.CardOK)
}

// sessionOf returns the session whose payment page has the donation's address.
func (s *seeder) sessionOf(d *donationsv1.Donation) (string, error) {
	// The donation does not show its session, only the address of the payment page.
	for _, session := range s.sim.Sessions("") {
		if session.URL == d.GetCheckoutUrl() {
			return session.ID, nil
		}
	}
	return "", fmt.Errorf("no session at the simulator for %s", d.GetName())
}
