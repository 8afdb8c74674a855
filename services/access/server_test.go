package access_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
)

func TestServerKeyLife(t *testing.T) {
	s, _, clock := fresh(t)
	ctx := context.Background()
	server := access.NewServer(s)
	created, err := server.CreateApiKey(ctx, &accessv1.CreateApiKeyRequest{
		Parent:   "collectives/vallon",
		ApiKeyId: "laptop",
		// What only the service writes is not believed.
		ApiKey: &accessv1.ApiKey{
			Name: "instance/apiKeys/x", DisplayName: "Laptop", Role: accessv1.Role_ROLE_TREASURER,
			Secret: "mine", RevokeTime: timestamppb.Now(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &accessv1.ApiKey{
		Name:        "collectives/vallon/apiKeys/laptop",
		DisplayName: "Laptop",
		Role:        accessv1.Role_ROLE_TREASURER,
		Secret:      created.GetSecret(),
		CreateTime:  timestamppb.New(clock.now()),
		Member:      "collectives/vallon/apiKeys/laptop",
		State:       accessv1.ApiKeyState_API_KEY_STATE_WORKING,
	}
	if diff := cmp.Diff(want, created, protocmp.Transform()); diff != "" {
		t.Errorf("created (-want +got)\n%s", diff)
	}

	p, err := s.Authenticate(ctx, created.GetSecret())
	if err != nil {
		t.Fatal(err)
	}
	who, err := server.GetPrincipal(access.WithPrincipal(ctx, p), &accessv1.GetPrincipalRequest{})
	if err != nil {
		t.Fatal(err)
	}
	wantWho := &accessv1.Principal{
		Name: "collectives/vallon/apiKeys/laptop", Member: "collectives/vallon/apiKeys/laptop",
		ApiKey: "collectives/vallon/apiKeys/laptop", DisplayName: "Laptop",
		Role: accessv1.Role_ROLE_TREASURER, Collective: "collectives/vallon",
	}
	if diff := cmp.Diff(wantWho, who, protocmp.Transform()); diff != "" {
		t.Errorf("principal (-want +got)\n%s", diff)
	}

	clock.forward(time.Hour)
	want.Secret, want.State = "", accessv1.ApiKeyState_API_KEY_STATE_REVOKED
	want.LastUseTime, want.RevokeTime = want.CreateTime, timestamppb.New(clock.now())
	for range 2 {
		revoked, err := server.RevokeApiKey(ctx, &accessv1.RevokeApiKeyRequest{Name: "collectives/vallon/apiKeys/laptop"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, revoked, protocmp.Transform()); diff != "" {
			t.Errorf("revoked (-want +got)\n%s", diff)
		}
	}
	read, err := server.GetApiKey(ctx, &accessv1.GetApiKeyRequest{Name: want.GetName()})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, read, protocmp.Transform()); diff != "" {
		t.Errorf("read (-want +got)\n%s", diff)
	}
	_, err = s.Authenticate(ctx, created.GetSecret())
	errstest.Want(t, err, codes.Unauthenticated, errorsv1.ErrorReason_INVALID_KEY)

	for _, name := range []string{"collectives/vallon/apiKeys/none", "instance/apiKeys/laptop", "collectives/marseille/apiKeys/laptop", "collectives/vallon", "x/laptop", ""} {
		_, err := server.GetApiKey(ctx, &accessv1.GetApiKeyRequest{Name: name})
		errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
		_, err = server.RevokeApiKey(ctx, &accessv1.RevokeApiKeyRequest{Name: name})
		errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	}
}

// Who asks whether they may make a call gets the answer of the call, before there is one.
func TestGetPrincipalTellsOfARight(t *testing.T) {
	s, _, _ := fresh(t)
	server := access.NewServer(s)
	const (
		imports = "/cagnotte.bank.v1.BankService/ImportBankStatement"
		image   = "/cagnotte.images.v1.ImagesService/CreateImage"
		file    = "/cagnotte.treasury.v1.TreasuryService/CreateExpenseAttachment"
	)
	member := func(role access.Role) access.Principal {
		return access.Principal{Name: "collectives/vallon/apiKeys/k", Grants: []access.Grant{{Collective: "vallon", Role: role}}}
	}
	operator := access.Principal{Name: "instance/apiKeys/k", Grants: []access.Grant{{Role: access.RoleOperator}}}
	for _, c := range []struct {
		who              access.Principal
		method, resource string
		may              bool
	}{
		{member(access.RoleTreasurer), imports, "collectives/vallon", true},
		{member(access.RoleEditor), imports, "collectives/vallon", false},
		{member(access.RoleAuditor), imports, "collectives/vallon", false},
		{member(access.RoleTreasurer), imports, "collectives/marseille", false},
		{member(access.RoleTreasurer), imports, "instance", false},
		{member(access.RoleTreasurer), imports, "collectives/", false},
		{member(access.RoleEditor), image, "collectives/vallon", true},
		{member(access.RoleEditor), image, "collectives/marseille", false},
		{member(access.RoleTreasurer), file, "collectives/vallon/expenses/1", true},
		{member(access.RoleTreasurer), file, "collectives/marseille/expenses/1", false},
		{member(access.RoleAuditor), "", "collectives/vallon/campaigns", true},
		{member(access.RoleOwner), "", "collectives/marseille/campaigns", false},
		{operator, "", "collectives/marseille/campaigns", true},
		{member(access.RoleAuditor), "", "", true},
	} {
		_, err := server.GetPrincipal(access.WithPrincipal(t.Context(), c.who), &accessv1.GetPrincipalRequest{Method: c.method, Resource: c.resource})
		if c.may && err != nil {
			t.Errorf("%v, %s about %s: %v", c.who.Grants, c.method, c.resource, err)
		}
		if !c.may {
			errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
		}
	}
	_, err := server.GetPrincipal(access.WithPrincipal(t.Context(), operator), &accessv1.GetPrincipalRequest{Method: "/x.Y/Z", Resource: "collectives/vallon"})
	errstest.Want(t, err, codes.Unimplemented, errorsv1.ErrorReason_UNKNOWN_METHOD)
}

func TestServerListsKeysNewestFirst(t *testing.T) {
	s, _, clock := fresh(t)
	ctx := context.Background()
	server := access.NewServer(s)
	var want []string
	for i := range 5 {
		id := fmt.Sprintf("key-%d", i)
		create(t, s, access.Key{Collective: "vallon", ID: id, Role: access.RoleEditor})
		want = append([]string{"collectives/vallon/apiKeys/" + id}, want...)
		if i != 2 { // Two keys of the same moment are told apart by their ids.
			clock.forward(time.Second)
		}
	}
	create(t, s, access.Key{Collective: "marseille", ID: "foreign", Role: access.RoleEditor})
	create(t, s, access.Key{ID: "instance", Role: access.RoleOperator})

	list := func(parent string, size int32) (names []string) {
		t.Helper()
		for token := ""; ; {
			resp, err := server.ListApiKeys(ctx, &accessv1.ListApiKeysRequest{Parent: parent, PageSize: size, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range resp.GetApiKeys() {
				names = append(names, k.GetName())
				if k.GetSecret() != "" {
					t.Error("a list shows a secret")
				}
			}
			if token = resp.GetNextPageToken(); token == "" {
				return names
			}
		}
	}
	for _, size := range []int32{0, 1, 2, 5} {
		if diff := cmp.Diff(want, list("collectives/vallon", size)); diff != "" {
			t.Errorf("pages of %d (-want +got)\n%s", size, diff)
		}
	}
	if diff := cmp.Diff([]string{"instance/apiKeys/instance"}, list("instance", 0)); diff != "" {
		t.Errorf("of the instance (-want +got)\n%s", diff)
	}

	first, err := server.ListApiKeys(ctx, &accessv1.ListApiKeysRequest{Parent: "collectives/vallon", PageSize: 2})
	if err != nil {
		t.Fatal(err)
	}
	_, err = server.ListApiKeys(ctx, &accessv1.ListApiKeysRequest{Parent: "collectives/marseille", PageToken: first.GetNextPageToken()})
	errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "page_token")
}
