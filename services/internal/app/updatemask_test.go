package app_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	approvalsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/approvals/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// updated is a resource that an Update method changes, as it is stored, and what is wrong with one of which no field but
// one counts.
type updated struct {
	key      string
	stored   proto.Message
	spoilt   proto.Message
	writable []string
	update   func(ctx context.Context, conn grpc.ClientConnInterface, sent proto.Message, mask *fieldmaskpb.FieldMask) (proto.Message, error)
}

// Every Update method takes every single field of its resource alone: the others may be absent, and may be wrong.
func TestEachFieldIsUpdatedAlone(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, owner := e.Campaign("vallon")
	const collective = "collectives/vallon"
	deadline := e.Clock.Now().Add(time.Hour)

	resources := map[string]*updated{
		"cagnotte.collectives.v1.CollectivesService.UpdateCollective": {
			key: e.OperatorKey,
			stored: &collectivesv1.Collective{
				Name: collective, DisplayName: "Vallon", TimeZone: "Europe/Paris", Language: "en", AlertEmails: []string{"une@example.org"},
				RefundApproval: &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 50_00}, BankAccount: bankAccounts[0],
				ChequePayee: "Vallon", PostalAddress: []string{"1 rue du Bourg"},
			},
			spoilt: &collectivesv1.Collective{
				DisplayName: strings.Repeat("x", 200), StripeAccount: "cus_1", TimeZone: strings.Repeat("x", 100), Language: "xx",
				AlertEmails: []string{"none"}, RefundApproval: &moneyv1.Money{CurrencyCode: "euro"}, BankAccount: &collectivesv1.BankAccount{Iban: "1"},
				ChequePayee: strings.Repeat("x", 200), PostalAddress: []string{""},
			},
			writable: []string{
				"display_name", "stripe_account", "time_zone", "language", "alert_emails", "refund_approval", "bank_account", "cheque_payee",
				"postal_address", "own_account_required", "discreet", "bank_account.holder", "bank_account.iban", "bank_account.bic",
				"refund_approval.amount_minor", "refund_approval.currency_code",
			},
			update: func(ctx context.Context, conn grpc.ClientConnInterface, sent proto.Message, mask *fieldmaskpb.FieldMask) (proto.Message, error) {
				return collectivesv1.NewCollectivesServiceClient(conn).UpdateCollective(ctx,
					&collectivesv1.UpdateCollectiveRequest{Collective: sent.(*collectivesv1.Collective), UpdateMask: mask})
			},
		},
		"cagnotte.campaigns.v1.CampaignsService.UpdateCampaign": {
			key: owner,
			spoilt: &campaignsv1.Campaign{
				Texts: map[string]*campaignsv1.CampaignText{"français": {}}, Goal: &moneyv1.Money{CurrencyCode: "euro"},
				Presets: make([]*moneyv1.Money, 0), Minimum: &moneyv1.Money{CurrencyCode: "euro"}, Maximum: &moneyv1.Money{CurrencyCode: "euro"},
				Stages: []*campaignsv1.Stage{{Titles: map[string]string{"français": ""}}}, AllowedOrigins: []string{"x", "x"},
			},
			writable: []string{"texts", "goal", "presets", "minimum", "maximum", "deadline", "stages", "allowed_origins", "image", "listed", "expenses_shown", "donations_shown", "event", "goal.amount_minor"},
			update: func(ctx context.Context, conn grpc.ClientConnInterface, sent proto.Message, mask *fieldmaskpb.FieldMask) (proto.Message, error) {
				return campaignsv1.NewCampaignsServiceClient(conn).UpdateCampaign(ctx,
					&campaignsv1.UpdateCampaignRequest{Campaign: sent.(*campaignsv1.Campaign), UpdateMask: mask})
			},
		},
		"cagnotte.approvals.v1.ApprovalsService.UpdateTwoPersonRule": {
			key:      e.OperatorKey,
			stored:   &approvalsv1.TwoPersonRule{Name: collective + "/twoPersonRule", Mode: approvalsv1.TwoPersonMode_TWO_PERSON_MODE_AUTOMATIC},
			spoilt:   &approvalsv1.TwoPersonRule{Mode: 9},
			writable: []string{"mode"},
			update: func(ctx context.Context, conn grpc.ClientConnInterface, sent proto.Message, mask *fieldmaskpb.FieldMask) (proto.Message, error) {
				return approvalsv1.NewApprovalsServiceClient(conn).UpdateTwoPersonRule(ctx,
					&approvalsv1.UpdateTwoPersonRuleRequest{TwoPersonRule: sent.(*approvalsv1.TwoPersonRule), UpdateMask: mask})
			},
		},
		"cagnotte.collectives.v1.ApplicationsService.UpdateOpening": {
			key:      e.OperatorKey,
			stored:   &collectivesv1.Opening{Name: "instance/opening", Mode: collectivesv1.OpeningMode_OPENING_MODE_REQUEST},
			spoilt:   &collectivesv1.Opening{Mode: 9},
			writable: []string{"mode"},
			update: func(ctx context.Context, conn grpc.ClientConnInterface, sent proto.Message, mask *fieldmaskpb.FieldMask) (proto.Message, error) {
				return collectivesv1.NewApplicationsServiceClient(conn).UpdateOpening(ctx,
					&collectivesv1.UpdateOpeningRequest{Opening: sent.(*collectivesv1.Opening), UpdateMask: mask})
			},
		},
		"cagnotte.campaigns.v1.NewsService.UpdateNewsItem": {
			key:      owner,
			spoilt:   &campaignsv1.NewsItem{Texts: map[string]*campaignsv1.NewsText{"français": {}}},
			writable: []string{"texts"},
			update: func(ctx context.Context, conn grpc.ClientConnInterface, sent proto.Message, mask *fieldmaskpb.FieldMask) (proto.Message, error) {
				return campaignsv1.NewNewsServiceClient(conn).UpdateNewsItem(ctx,
					&campaignsv1.UpdateNewsItemRequest{NewsItem: sent.(*campaignsv1.NewsItem), UpdateMask: mask})
			},
		},
		"cagnotte.collectives.v1.CollectivesService.UpdateCollectiveProfile": {
			key: owner,
			stored: &collectivesv1.CollectiveProfile{
				Name: collective + "/profile", Texts: map[string]*collectivesv1.CollectiveText{"fr": {About: "Nous"}},
				ContactEmail: "nous@example.org", ContactUrl: "https://example.org/contact", Website: "https://example.org",
			},
			spoilt: &collectivesv1.CollectiveProfile{
				Texts: map[string]*collectivesv1.CollectiveText{"français": {}}, ContactEmail: "none", ContactUrl: strings.Repeat("x", 600),
				Website: strings.Repeat("x", 600), Logo: "none",
			},
			writable: []string{"texts", "contact_email", "contact_url", "website", "logo"},
			update: func(ctx context.Context, conn grpc.ClientConnInterface, sent proto.Message, mask *fieldmaskpb.FieldMask) (proto.Message, error) {
				return collectivesv1.NewCollectivesServiceClient(conn).UpdateCollectiveProfile(ctx,
					&collectivesv1.UpdateCollectiveProfileRequest{CollectiveProfile: sent.(*collectivesv1.CollectiveProfile), UpdateMask: mask})
			},
		},
		"cagnotte.ledger.v1.LedgerService.UpdateAccount": {
			key:      e.OperatorKey,
			spoilt:   &ledgerv1.Account{DisplayName: "", Roles: make([]string, 30)},
			writable: []string{"display_name", "roles"},
			update: func(ctx context.Context, conn grpc.ClientConnInterface, sent proto.Message, mask *fieldmaskpb.FieldMask) (proto.Message, error) {
				return ledgerv1.NewLedgerServiceClient(conn).UpdateAccount(ctx,
					&ledgerv1.UpdateAccountRequest{Account: sent.(*ledgerv1.Account), UpdateMask: mask})
			},
		},
	}
	// These need a session, and a change of role ends the membership and begins another: services/access tests them.
	elsewhere := []string{"cagnotte.access.v1.MembersService.UpdateMember", "cagnotte.access.v1.MembersService.UpdateMembership"}
	for m := range methods {
		if m.Input().Fields().ByName("update_mask") != nil && resources[string(m.FullName())] == nil && !slices.Contains(elsewhere, string(m.FullName())) {
			t.Errorf("%s is not in this test", m.FullName())
		}
	}

	c := resources["cagnotte.campaigns.v1.CampaignsService.UpdateCampaign"]
	read, err := campaignsv1.NewCampaignsServiceClient(e.Conn).GetCampaign(t.Context(), &campaignsv1.GetCampaignRequest{Name: campaign})
	if err != nil {
		t.Fatal(err)
	}
	c.stored = read
	item, err := campaignsv1.NewNewsServiceClient(e.Conn).CreateNewsItem(apptest.WithKey(t.Context(), owner), &campaignsv1.CreateNewsItemRequest{
		Parent: campaign, RequestId: uuid.NewString(), NewsItem: &campaignsv1.NewsItem{Texts: map[string]*campaignsv1.NewsText{"fr": {Title: "Audience"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	resources["cagnotte.campaigns.v1.NewsService.UpdateNewsItem"].stored = item
	account, err := ledgerv1.NewLedgerServiceClient(e.Conn).CreateAccount(apptest.WithKey(t.Context(), e.OperatorKey), &ledgerv1.CreateAccountRequest{
		Parent: collective + "/ledger", AccountId: "754111", Account: &ledgerv1.Account{DisplayName: "Dons en ligne", Type: ledgerv1.AccountType_ACCOUNT_TYPE_INCOME},
	})
	if err != nil {
		t.Fatal(err)
	}
	resources["cagnotte.ledger.v1.LedgerService.UpdateAccount"].stored = account

	for method, r := range resources {
		// What is stored is set whole first, so that a part of a field finds the rest of it there.
		if method == "cagnotte.collectives.v1.CollectivesService.UpdateCollective" {
			if _, err := r.update(apptest.WithKey(t.Context(), r.key), e.Conn, proto.Clone(r.stored), nil); err != nil {
				t.Fatal(err)
			}
		}
		e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
			fields := r.stored.ProtoReflect().Descriptor().Fields()
			paths := r.writable
			for i := range fields.Len() {
				if name := string(fields.Get(i).Name()); !slices.Contains(r.writable, name) {
					paths = append(paths, name)
				}
			}
			for _, path := range r.writable {
				if strings.Contains(path, ".") {
					continue
				}
				before, err := r.update(apptest.WithKey(t.Context(), r.key), conn, only(r.stored, "name"), nil)
				if err != nil {
					t.Errorf("%s: nothing is set: %v", method, err)
					continue
				}
				if !r.stored.ProtoReflect().Has(fields.ByName(protoreflect.Name(path))) {
					continue
				}
				got, err := r.update(apptest.WithKey(t.Context(), r.key), conn, only(r.stored, "name", path), nil)
				if err != nil {
					t.Errorf("%s: %s alone, without a mask: %v", method, path, err)
					continue
				}
				for i := range fields.Len() {
					name := string(fields.Get(i).Name())
					if slices.Contains(r.writable, name) && name != path &&
						!got.ProtoReflect().Get(fields.Get(i)).Equal(before.ProtoReflect().Get(fields.Get(i))) {
						t.Errorf("%s: %s alone, without a mask, changed %s", method, path, name)
					}
				}
			}
			for _, path := range paths {
				for kind, others := range map[string]proto.Message{"absent": r.stored.ProtoReflect().New().Interface(), "wrong": r.spoilt} {
					sent := proto.Clone(others)
					set(sent, "name", r.stored)
					head, _, _ := strings.Cut(path, ".")
					set(sent, head, r.stored)
					got, err := r.update(apptest.WithKey(t.Context(), r.key), conn, sent, &fieldmaskpb.FieldMask{Paths: []string{path}})
					switch {
					case slices.Contains(r.writable, path) && err != nil:
						t.Errorf("%s: %s alone, the others %s: %v", method, path, kind, err)
					case slices.Contains(r.writable, path):
						fd := fields.ByName(protoreflect.Name(head))
						if !got.ProtoReflect().Get(fd).Equal(sent.ProtoReflect().Get(fd)) && head != "bank_account" {
							t.Errorf("%s: %s is %v, want %v", method, path, got.ProtoReflect().Get(fd), sent.ProtoReflect().Get(fd))
						}
					case path == "name" || path == "etag":
						if err != nil {
							t.Errorf("%s: %s changes nothing: %v", method, path, err)
						}
					case violated(err) != "update_mask":
						t.Errorf("%s: %s, the others %s: %v, want a word about update_mask", method, path, kind, err)
					}
				}
			}
		})
	}

	t.Run("a field that is set, or in the mask, is held to its rules", func(t *testing.T) {
		groups := collectivesv1.NewCollectivesServiceClient(e.Conn)
		for _, req := range []*collectivesv1.UpdateCollectiveRequest{
			{Collective: &collectivesv1.Collective{Language: "xx"}},
			{Collective: &collectivesv1.Collective{Language: "xx"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"language"}}},
		} {
			req.Collective.Name = collective
			_, err := groups.UpdateCollective(apptest.WithKey(t.Context(), owner), req)
			if violated(err) != "collective.language" {
				t.Errorf("%v: %v", req, err)
			}
		}
		_, err := groups.UpdateCollective(apptest.WithKey(t.Context(), owner), &collectivesv1.UpdateCollectiveRequest{
			Collective: &collectivesv1.Collective{Name: collective}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"*"}},
		})
		if violated(err) != "collective.display_name" {
			t.Errorf("all fields, and no name: %v", err)
		}
		if _, err := groups.UpdateCollective(apptest.WithKey(t.Context(), owner), &collectivesv1.UpdateCollectiveRequest{
			Collective: &collectivesv1.Collective{Name: collective, ChequePayee: "Les amis"},
		}); err != nil {
			t.Errorf("one field that is set, without a mask: %v", err)
		}
	})
	t.Run("a campaign whose deadline has passed meanwhile gets another text", func(t *testing.T) {
		sent := &campaignsv1.Campaign{Name: campaign, Deadline: timestamppb.New(deadline)}
		if _, err := c.update(apptest.WithKey(t.Context(), owner), e.Conn, sent, &fieldmaskpb.FieldMask{Paths: []string{"deadline"}}); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(2 * time.Hour)
		sent = &campaignsv1.Campaign{Name: campaign, Texts: read.GetTexts()}
		sent.Texts["fr"].Title = "Une avocate pour le village"
		if _, err := c.update(apptest.WithKey(t.Context(), owner), e.Conn, sent, &fieldmaskpb.FieldMask{Paths: []string{"texts"}}); err != nil {
			t.Error(err)
		}
	})
}

// only returns a message that has these fields of another one, and no more.
func only(from proto.Message, names ...string) proto.Message {
	m := from.ProtoReflect().New().Interface()
	for _, name := range names {
		set(m, name, from)
	}
	return m
}

// set copies a field as it is in from: absent there, absent here.
func set(m proto.Message, name string, from proto.Message) {
	fd := m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name))
	if from.ProtoReflect().Has(fd) {
		m.ProtoReflect().Set(fd, from.ProtoReflect().Get(fd))
	} else {
		m.ProtoReflect().Clear(fd)
	}
}

// violated is the first field that an error is about.
func violated(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			return bad.GetFieldViolations()[0].GetField()
		}
	}
	return ""
}
