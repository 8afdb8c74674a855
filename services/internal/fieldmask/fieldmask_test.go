package fieldmask_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fieldmask"
)

var writable = []string{"texts", "goal", "deadline", "allowed_origins"}

func stored() *campaignsv1.Campaign {
	return &campaignsv1.Campaign{
		Name:           "collectives/vallon/campaigns/avocat",
		Texts:          map[string]*campaignsv1.CampaignText{"fr": {Title: "Avocat"}},
		Goal:           &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 80000},
		Deadline:       &timestamppb.Timestamp{Seconds: 100},
		AllowedOrigins: []string{"https://vallon.example"},
		State:          campaignsv1.CampaignState_CAMPAIGN_STATE_DRAFT,
	}
}

func TestApply(t *testing.T) {
	sent := &campaignsv1.Campaign{
		Name:           "collectives/vallon/campaigns/avocat",
		Goal:           &moneyv1.Money{AmountMinor: 90000},
		AllowedOrigins: []string{"https://b.example"},
		State:          campaignsv1.CampaignState_CAMPAIGN_STATE_CLOSED,
		Etag:           "7",
	}
	for _, test := range []struct {
		rule  string
		paths []string
		want  func(*campaignsv1.Campaign)
	}{
		{"an empty mask changes the writable fields that are set", nil, func(c *campaignsv1.Campaign) {
			c.Goal = &moneyv1.Money{AmountMinor: 90000}
			c.AllowedOrigins = []string{"https://b.example"}
		}},
		{"a star changes every writable field", []string{"*"}, func(c *campaignsv1.Campaign) {
			c.Texts, c.Deadline = nil, nil
			c.Goal = &moneyv1.Money{AmountMinor: 90000}
			c.AllowedOrigins = []string{"https://b.example"}
		}},
		{"a named field that is absent is cleared", []string{"deadline"}, func(c *campaignsv1.Campaign) {
			c.Deadline = nil
		}},
		{"a path into a message leaves the rest of it", []string{"goal.amount_minor"}, func(c *campaignsv1.Campaign) {
			c.Goal.AmountMinor = 90000
		}},
		{"name and etag are no changes", []string{"name", "etag", "allowed_origins"}, func(c *campaignsv1.Campaign) {
			c.AllowedOrigins = []string{"https://b.example"}
		}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			got, want := stored(), stored()
			test.want(want)
			mask := &fieldmaskpb.FieldMask{Paths: test.paths}
			for range 2 {
				if err := fieldmask.Apply(got, proto.Clone(sent), mask, writable...); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			}
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	for rule, path := range map[string]string{
		"an unknown field":              "colour",
		"a field of the service's":      "state",
		"a path into such a field":      "progress.settled",
		"a path into the name":          "name.x",
		"an unknown part":               "goal.cents",
		"a path into a list":            "allowed_origins.x",
		"a path into a map":             "texts.fr",
		"an empty path":                 "",
		"a path that ends in a dot":     "goal.",
		"a star among others":           "*",
		"a path in JSON's way to write": "allowedOrigins",
	} {
		t.Run(rule, func(t *testing.T) {
			paths := []string{"deadline", path}
			err := fieldmask.Apply(stored(), stored(), &fieldmaskpb.FieldMask{Paths: paths}, writable...)
			if errs.Code(err) != codes.InvalidArgument || errs.As(err).Fields[0].Field != "update_mask" {
				t.Errorf("path %q: got %v, want INVALID_ARGUMENT on update_mask", path, err)
			}
		})
	}
}
