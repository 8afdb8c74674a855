package collectives_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
)

func as(role access.Role, collective string) context.Context {
	if role == access.RoleOperator {
		collective = ""
	}
	return access.WithPrincipal(context.Background(), access.Principal{Name: "k", Grants: []access.Grant{{Collective: collective, Role: role}}})
}

func operator() context.Context { return as(access.RoleOperator, "") }

func createVallon(t *testing.T, server collectivesv1.CollectivesServiceServer) *collectivesv1.Collective {
	t.Helper()
	created, err := server.CreateCollective(operator(), &collectivesv1.CreateCollectiveRequest{
		CollectiveId: "vallon",
		Collective: &collectivesv1.Collective{
			Name: "collectives/believed", DisplayName: "Vallon", StripeAccount: "acct_1",
			CreateTime: timestamppb.Now(), Etag: "believed",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func TestServerCreateAndGet(t *testing.T) {
	s, _ := fresh(t)
	server := collectives.NewServer(s)
	created := createVallon(t, server)
	want := &collectivesv1.Collective{
		Name: "collectives/vallon", DisplayName: "Vallon", StripeAccount: "acct_1", TimeZone: "Europe/Paris",
		CreateTime: timestamppb.New(start), UpdateTime: timestamppb.New(start), Etag: created.GetEtag(),
		Language: "fr",
	}
	if diff := cmp.Diff(want, created, protocmp.Transform()); diff != "" || created.GetEtag() == "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if again := createVallon(t, server); !proto.Equal(created, again) {
		t.Errorf("sent twice: %v", again)
	}
	got, err := server.GetCollective(operator(), &collectivesv1.GetCollectiveRequest{Name: "collectives/vallon"})
	if err != nil || !proto.Equal(created, got) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, name := range []string{"collectives/nowhere", "vallon", "collectives/vallon/x", ""} {
		_, err := server.GetCollective(operator(), &collectivesv1.GetCollectiveRequest{Name: name})
		errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	}
}

func TestServerList(t *testing.T) {
	s, _ := fresh(t)
	server := collectives.NewServer(s)
	var want []string
	for i := range 5 {
		id := fmt.Sprintf("group-%d", 4-i)
		mustCreate(t, s, collectives.Collective{ID: id, DisplayName: id})
		want = append([]string{"collectives/" + id}, want...)
	}
	list := func(ctx context.Context, size int32) (names []string) {
		t.Helper()
		for token := ""; ; {
			resp, err := server.ListCollectives(ctx, &collectivesv1.ListCollectivesRequest{PageSize: size, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range resp.GetCollectives() {
				names = append(names, c.GetName())
			}
			if token = resp.GetNextPageToken(); token == "" {
				return names
			}
		}
	}
	for _, size := range []int32{0, 1, 2, 5} {
		if diff := cmp.Diff(want, list(operator(), size)); diff != "" {
			t.Errorf("operator, pages of %d (-want +got)\n%s", size, diff)
		}
	}
	for _, role := range []access.Role{access.RoleOwner, access.RoleEditor, access.RoleTreasurer, access.RoleAuditor} {
		if diff := cmp.Diff([]string{"collectives/group-3"}, list(as(role, "group-3"), 0)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", role, diff)
		}
	}
	_, err := server.ListCollectives(operator(), &collectivesv1.ListCollectivesRequest{PageToken: "forged"})
	errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "page_token")
}

func TestServerUpdate(t *testing.T) {
	s, _ := fresh(t)
	server := collectives.NewServer(s)
	created := createVallon(t, server)
	owner := as(access.RoleOwner, "vallon")
	update := func(ctx context.Context, c *collectivesv1.Collective, paths ...string) (*collectivesv1.Collective, error) {
		c.Name = "collectives/vallon"
		return server.UpdateCollective(ctx, &collectivesv1.UpdateCollectiveRequest{Collective: c, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
	}

	t.Run("changes the masked field alone, and a second time nothing", func(t *testing.T) {
		first, err := update(owner, &collectivesv1.Collective{DisplayName: "Vallon contre caméras", TimeZone: "UTC"}, "display_name")
		if err != nil {
			t.Fatal(err)
		}
		if first.GetDisplayName() != "Vallon contre caméras" || first.GetTimeZone() != "Europe/Paris" || first.GetEtag() == created.GetEtag() {
			t.Errorf("got %v", first)
		}
		second, err := update(owner, &collectivesv1.Collective{DisplayName: "Vallon contre caméras"}, "display_name")
		if err != nil || !proto.Equal(first, second) {
			t.Errorf("sent twice: %v, %v", second, err)
		}
	})
	t.Run("lets an owner send back what it has read", func(t *testing.T) {
		read, err := s.Get(owner, "vallon")
		if err != nil {
			t.Fatal(err)
		}
		_, err = update(owner, &collectivesv1.Collective{DisplayName: read.DisplayName, StripeAccount: read.StripeAccount}, "display_name", "stripe_account")
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("refuses the account to an owner, like what is missing", func(t *testing.T) {
		_, err := update(owner, &collectivesv1.Collective{StripeAccount: "acct_mine"}, "stripe_account")
		errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	})
	t.Run("gives the account to the operator", func(t *testing.T) {
		got, err := update(operator(), &collectivesv1.Collective{StripeAccount: "acct_2"}, "stripe_account")
		if err != nil || got.GetStripeAccount() != "acct_2" {
			t.Errorf("got %v, %v", got, err)
		}
	})
	for _, path := range []string{"create_time", "update_time", "colour", "display_name.x"} {
		t.Run("refuses the path "+path, func(t *testing.T) {
			_, err := update(operator(), &collectivesv1.Collective{}, path)
			errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "update_mask")
		})
	}
	t.Run("checks what it would write", func(t *testing.T) {
		_, err := update(owner, &collectivesv1.Collective{}, "display_name")
		errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "collective.display_name")
	})
	t.Run("refuses a stale etag", func(t *testing.T) {
		_, err := update(owner, &collectivesv1.Collective{DisplayName: "x", Etag: created.GetEtag()}, "display_name", "etag")
		errstest.Want(t, err, codes.Aborted, errorsv1.ErrorReason_ETAG_MISMATCH)
	})
	t.Run("says that a collective is missing", func(t *testing.T) {
		_, err := server.UpdateCollective(operator(), &collectivesv1.UpdateCollectiveRequest{Collective: &collectivesv1.Collective{Name: "collectives/nowhere"}})
		errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	})
	t.Run("lets one of many with the same etag win", func(t *testing.T) {
		read, err := server.GetCollective(owner, &collectivesv1.GetCollectiveRequest{Name: "collectives/vallon"})
		if err != nil {
			t.Fatal(err)
		}
		outcomes := make([]error, 8)
		var calls sync.WaitGroup
		for i := range outcomes {
			calls.Go(func() {
				_, outcomes[i] = update(owner, &collectivesv1.Collective{DisplayName: fmt.Sprint("Name ", i), Etag: read.GetEtag()}, "display_name")
			})
		}
		calls.Wait()
		won := 0
		for _, err := range outcomes {
			if err == nil {
				won++
			} else if errs.As(err).Reason != errorsv1.ErrorReason_ETAG_MISMATCH {
				t.Error(err)
			}
		}
		if won != 1 {
			t.Errorf("%d updates won, want 1", won)
		}
	})
}
