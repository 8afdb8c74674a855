package access_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
)

// holding is the context of a call with the key.
func holding(t *testing.T, s *access.Service, secret string) context.Context {
	t.Helper()
	p, err := s.Authenticate(context.Background(), secret)
	if err != nil {
		t.Fatal(err)
	}
	return access.WithPrincipal(context.Background(), p)
}

func TestKeysOfOneMakerAreOneMember(t *testing.T) {
	s, _, _ := fresh(t)
	server := access.NewServer(s)
	operator, err := s.CreateOperatorKey(context.Background(), "Operator")
	if err != nil {
		t.Fatal(err)
	}
	make := func(by, id string) string {
		t.Helper()
		k, err := server.CreateApiKey(holding(t, s, by), &accessv1.CreateApiKeyRequest{
			Parent: "collectives/vallon", ApiKeyId: id, ApiKey: &accessv1.ApiKey{DisplayName: id, Role: accessv1.Role_ROLE_OWNER, Maker: "x", Member: "y"},
		})
		if err != nil {
			t.Fatal(err)
		}
		return k.GetSecret()
	}
	marie := make(operator, "marie")
	karim := make(operator, "karim")
	make(make(marie, "marie-2"), "marie-3")
	make(karim, "karim-2")
	create(t, s, access.Key{Collective: "vallon", ID: "command-line", Role: access.RoleOwner})
	// What is revoked leaves its place in the chain.
	if _, err := s.Revoke(context.Background(), "vallon", "marie"); err != nil {
		t.Fatal(err)
	}
	name := func(id string) string { return "collectives/vallon/apiKeys/" + id }
	want := map[string][2]string{
		name("marie"): {"", name("marie")}, name("marie-2"): {name("marie"), name("marie")}, name("marie-3"): {name("marie-2"), name("marie")},
		name("karim"): {"", name("karim")}, name("karim-2"): {name("karim"), name("karim")},
		name("command-line"): {"", name("command-line")},
	}
	got := map[string][2]string{}
	list, err := server.ListApiKeys(context.Background(), &accessv1.ListApiKeysRequest{Parent: "collectives/vallon"})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range list.GetApiKeys() {
		got[k.GetName()] = [2]string{k.GetMaker(), k.GetMember()}
	}
	// The operator's key is not named to members, who may not list the instance's keys.
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("maker and member (-want +got)\n%s", diff)
	}
}

func TestAKeyThatWasRevokedMeanwhileDoesNothing(t *testing.T) {
	s, _, _ := fresh(t)
	_, secret := create(t, s, access.Key{Collective: "vallon", ID: "stolen", Role: access.RoleOwner})
	create(t, s, access.Key{Collective: "vallon", ID: "other", Role: access.RoleOwner})
	// The call was let in, and then the key was revoked.
	late := holding(t, s, secret)
	if _, err := s.Revoke(context.Background(), "vallon", "stolen"); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.Create(late, access.Key{Collective: "vallon", DisplayName: "One more", Role: access.RoleOwner})
	errstest.Want(t, err, codes.Unauthenticated, errorsv1.ErrorReason_INVALID_KEY)
	_, err = s.Revoke(late, "vallon", "other")
	errstest.Want(t, err, codes.Unauthenticated, errorsv1.ErrorReason_INVALID_KEY)
}

func TestOfTwoKeysThatRevokeEachOtherOneStays(t *testing.T) {
	s, pool, _ := fresh(t)
	for i := range 10 {
		contexts := map[string]context.Context{}
		one, two := fmt.Sprintf("one-%d", i), fmt.Sprintf("two-%d", i)
		for _, id := range []string{one, two} {
			_, secret := create(t, s, access.Key{Collective: "vallon", ID: id, Role: access.RoleOwner})
			contexts[id] = holding(t, s, secret)
		}
		var calls sync.WaitGroup
		for by, other := range map[string]string{one: two, two: one} {
			calls.Go(func() { _, _ = s.Revoke(contexts[by], "vallon", other) })
		}
		calls.Wait()
		var left int
		if err := pool.QueryRow(context.Background(), "SELECT count(*) FROM access.api_keys WHERE revoked_at IS NULL").Scan(&left); err != nil || left != i+1 {
			t.Fatalf("%d keys left, %v", left, err)
		}
	}
}

func TestOthersAreToldOfKeysOnce(t *testing.T) {
	_, pool, clock := fresh(t)
	var told []access.KeyChange
	boom := errors.New("boom")
	var fail error
	s := access.New(access.Config{Pool: pool, Now: clock.now, TellTx: func(_ context.Context, _ pgx.Tx, c access.KeyChange) error {
		if fail == nil {
			told = append(told, c)
		}
		return fail
	}})
	ctx := context.Background()
	k := access.Key{Collective: "vallon", ID: "laptop", DisplayName: "Laptop", Role: access.RoleOwner}
	_, secret, err := s.Create(ctx, k)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Create(ctx, k)
	errstest.Want(t, err, codes.AlreadyExists, errorsv1.ErrorReason_API_KEY_EXISTS)
	by := holding(t, s, secret)
	k.ID = "second"
	if _, _, err := s.Create(by, k); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Revoke(by, "vallon", "second"); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) != 3 || told[0].By.Key != "" || told[1].By.Key != "collectives/vallon/apiKeys/laptop" ||
		told[1].Key.ID != "second" || !told[1].Key.RevokeTime.IsZero() || told[2].Key.RevokeTime.IsZero() {
		t.Errorf("told %+v", told)
	}
	t.Run("a key of which nobody could be told is not made, nor revoked", func(t *testing.T) {
		fail = boom
		k.ID = "third"
		if _, _, err := s.Create(by, k); !errors.Is(err, boom) {
			t.Errorf("created: %v", err)
		}
		if _, err := s.Revoke(by, "vallon", "laptop"); !errors.Is(err, boom) {
			t.Errorf("revoked: %v", err)
		}
		var keys, revoked int
		err := pool.QueryRow(ctx, "SELECT count(*), count(revoked_at) FROM access.api_keys").Scan(&keys, &revoked)
		if err != nil || keys != 2 || revoked != 1 {
			t.Errorf("%d keys, %d revoked, %v", keys, revoked, err)
		}
	})
	t.Run("a label cannot turn the text around it", func(t *testing.T) {
		fail = nil
		k.ID, k.DisplayName = "fourth", "Laptop\u202eeiraM"
		_, _, err := s.Create(ctx, k)
		errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "api_key.display_name")
	})
}

// Who made a key is for who may list keys: no other answer has a place for it.
func TestWhoMadeAKeyStandsInNoOtherAnswer(t *testing.T) {
	seen := 0
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			for j := range file.Services().Get(i).Methods().Len() {
				method := file.Services().Get(i).Methods().Get(j)
				if !holds(method.Output(), "cagnotte.access.v1.ApiKey", map[protoreflect.FullName]bool{}) {
					continue
				}
				seen++
				// The server keeps editors to their own keys.
				rule := access.Roles("/" + string(file.Services().Get(i).FullName()) + "/" + string(method.Name()))
				if slices.Contains(rule, "") {
					t.Errorf("%s tells everybody who made a key", method.FullName())
				}
			}
		}
		return true
	})
	if seen != 4 {
		t.Errorf("%d methods answer keys", seen)
	}
}

// holds reports whether a message has another somewhere within.
func holds(m protoreflect.MessageDescriptor, name protoreflect.FullName, met map[protoreflect.FullName]bool) bool {
	if m.FullName() == name {
		return true
	}
	if met[m.FullName()] {
		return false
	}
	met[m.FullName()] = true
	for i := range m.Fields().Len() {
		if within := m.Fields().Get(i).Message(); within != nil && holds(within, name, met) {
			return true
		}
	}
	return false
}
