package rpc_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/approvals/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/audit/v1"
	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/connect/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/disputes/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/images/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/instance/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/overview/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/payouts/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/receipts/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
	"github.com/cagnotte/cagnotte/services/internal/places"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
)

// reasonOf reads the reason and the time to wait of an error.
func reasonOf(err error) (reason string, wait time.Duration) {
	for _, detail := range status.Convert(err).Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			reason = d.GetReason()
		case *errdetails.RetryInfo:
			wait = d.GetRetryDelay().AsDuration()
		}
	}
	return reason, wait
}

func withKey(ctx context.Context, key string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
}

func from(ctx context.Context, address string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "cagnotte-client-address", address)
}

// A gate holds the calls that come to it until it is opened.
type gate struct {
	arrived chan struct{}
	open    chan struct{}
}

func newGate() gate { return gate{arrived: make(chan struct{}, 10_000), open: make(chan struct{})} }

func (g gate) pass() { g.arrived <- struct{}{}; <-g.open }

// hold waits until so many are at the gate.
func (g gate) hold(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		select {
		case <-g.arrived:
		case <-time.After(20 * time.Second):
			t.Fatalf("%d of %d have arrived", i, n)
		}
	}
}

func donation(collective string) *donationsv1.CreateDonationRequest {
	return &donationsv1.CreateDonationRequest{
		Parent: "collectives/" + collective + "/campaigns/avocate", RequestId: uuid.NewString(),
		Donation: &donationsv1.Donation{Amount: &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 2000}},
	}
}

// What waits for Stripe takes the places of what waits for Stripe: the rest does not notice.
func TestCallsThatWaitForStripeLeaveTheOthersTheirPlaces(t *testing.T) {
	d := openWith(t, rpc.Config{})
	g := newGate()
	d.donations.create = func(context.Context) (*donationsv1.Donation, error) { g.pass(); return &donationsv1.Donation{}, nil }
	d.campaigns.get = func(context.Context, *campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
		return &campaignsv1.Campaign{}, nil
	}
	client := donationsv1.NewDonationsServiceClient(d.inProcess)
	const each, all, callers = 12, 24, 60
	answers := make(chan error, 2*callers)
	var calling sync.WaitGroup
	start := func(collective string) {
		for i := range callers {
			calling.Go(func() {
				_, err := client.CreateDonation(from(t.Context(), fmt.Sprintf("192.0.%d.1", i)), donation(collective))
				answers <- err
			})
		}
	}
	start("vallon")
	g.hold(t, each)
	start("autre")
	g.hold(t, all-each)
	// Nobody waits for ever: those without a place are told so while the others are still held.
	for range 2*callers - all {
		if reason, wait := reasonOf(<-answers); reason != "STRIPE_UNAVAILABLE" || wait <= 0 {
			t.Errorf("one without a place is told %q, to wait %v", reason, wait)
		}
	}
	if n := len(g.arrived); n != 0 {
		t.Errorf("%d more than there are places wait for Stripe", n)
	}
	for what, ask := range map[string]func() error{
		"readiness": func() error {
			_, err := healthv1.NewHealthClient(d.inProcess).Check(t.Context(), &healthv1.HealthCheckRequest{})
			return err
		},
		"a webhook": func() error {
			_, err := webhooksv1.NewWebhooksServiceClient(d.inProcess).ReceiveStripeEvent(t.Context(), &webhooksv1.ReceiveStripeEventRequest{
				Payload: []byte("{}"), Signature: "t=1,v1=00", Endpoint: webhooksv1.Endpoint_ENDPOINT_PLATFORM,
			})
			return err
		},
		"a page": func() error {
			_, err := campaignsv1.NewCampaignsServiceClient(d.inProcess).GetCampaign(t.Context(), get)
			return err
		},
		"a member": func() error {
			_, err := campaignsv1.NewCampaignsServiceClient(d.inProcess).PublishCampaign(withKey(t.Context(), "editor-key"),
				&campaignsv1.PublishCampaignRequest{Name: get.GetName()})
			return err
		},
	} {
		if err := ask(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	close(g.open)
	calling.Wait()
}

// What a public call is about is the caller's to choose: it must not be the only bound.
func TestOneNetworkCannotTakeAllThatWaitsForStripe(t *testing.T) {
	for rule, collective := range map[string]func(i int) string{
		"of one collective": func(int) string { return "vallon" },
		"of all of them":    func(i int) string { return fmt.Sprintf("vallon-%d", i) },
	} {
		t.Run(rule, func(t *testing.T) {
			d := openWith(t, rpc.Config{})
			one, others := newGate(), newGate()
			letGo := sync.OnceFunc(func() { close(one.open); close(others.open) })
			defer letGo()
			d.donations.create = func(ctx context.Context) (*donationsv1.Donation, error) {
				if rpc.CallerFrom(ctx).Network.String() == "192.0.2.0/24" {
					one.pass()
				} else {
					others.pass()
				}
				return &donationsv1.Donation{}, nil
			}
			client := donationsv1.NewDonationsServiceClient(d.inProcess)
			const network, callers = 10, 150
			var calling sync.WaitGroup
			refused := make(chan error, callers)
			for i := range callers {
				calling.Go(func() {
					_, err := client.CreateDonation(from(t.Context(), "192.0.2.7"), donation(collective(i)))
					if err != nil {
						refused <- err
					}
				})
			}
			one.hold(t, network)
			calling.Go(func() {
				if _, err := client.CreateDonation(from(t.Context(), "198.51.100.1"), donation("vallon")); err != nil {
					t.Errorf("another network: %v", err)
				}
			})
			others.hold(t, 1)
			for i := range callers - network {
				select {
				case err := <-refused:
					if reason, wait := reasonOf(err); reason != "STRIPE_UNAVAILABLE" || wait <= 0 {
						t.Errorf("one without a place is told %q, to wait %v", reason, wait)
					}
				case <-time.After(20 * time.Second):
					t.Fatalf("%d are refused", i)
				}
			}
			letGo()
			calling.Wait()
		})
	}
}

// A collective makes as many keys as it likes, and may name another one in what is open to all.
func TestOneCollectiveCannotTakeAllPlacesOfMembers(t *testing.T) {
	d := openWith(t, rpc.Config{})
	g := newGate()
	letGo := sync.OnceFunc(func() { close(g.open) })
	defer letGo()
	d.campaigns.get = func(context.Context, *campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
		g.pass()
		return &campaignsv1.Campaign{}, nil
	}
	d.donations.create = func(context.Context) (*donationsv1.Donation, error) { g.pass(); return &donationsv1.Donation{}, nil }
	campaigns, donations := campaignsv1.NewCampaignsServiceClient(d.inProcess), donationsv1.NewDonationsServiceClient(d.inProcess)
	keys := []string{"editor-key", "treasurer-key"}
	const each, eachOfStripe = 8, 4
	var calling sync.WaitGroup
	refused := make(chan error, 2*(each+eachOfStripe))
	for i := range 2 * each {
		calling.Go(func() {
			if _, err := campaigns.GetCampaign(withKey(t.Context(), keys[i%2]), get); err != nil {
				refused <- err
			}
		})
	}
	for i := range 2 * eachOfStripe {
		calling.Go(func() {
			if _, err := donations.CreateDonation(withKey(t.Context(), keys[i%2]), donation(fmt.Sprintf("vallon-%d", i))); err != nil {
				refused <- err
			}
		})
	}
	g.hold(t, each+eachOfStripe)
	for i := range each + eachOfStripe {
		select {
		case <-refused:
		case <-g.arrived:
			t.Fatal("more of one collective are under way than its share")
		case <-time.After(20 * time.Second):
			t.Fatalf("%d are refused", i)
		}
	}
	letGo()
	calling.Wait()
}

// One network that reads slowly, or much, takes its share, and members have other places.
func TestOneNetworkCannotTakeAllPlaces(t *testing.T) {
	d := openWith(t, rpc.Config{})
	g := newGate()
	d.campaigns.get = func(ctx context.Context, _ *campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
		if c := rpc.CallerFrom(ctx); c.Principal.IsZero() && c.Network.String() == "192.0.2.0/24" {
			g.pass()
		}
		return &campaignsv1.Campaign{}, nil
	}
	client := campaignsv1.NewCampaignsServiceClient(d.inProcess)
	const each = 32
	var calling sync.WaitGroup
	ctx, leave := context.WithCancel(from(t.Context(), "192.0.2.7"))
	for range 3 * each {
		calling.Go(func() { _, _ = client.GetCampaign(ctx, get) })
	}
	g.hold(t, each)
	if _, err := client.GetCampaign(from(t.Context(), "198.51.100.1"), get); err != nil {
		t.Errorf("another network: %v", err)
	}
	if _, err := client.GetCampaign(withKey(from(t.Context(), "192.0.2.7"), "editor-key"), get); err != nil {
		t.Errorf("a member of the same network: %v", err)
	}
	leave()
	close(g.open)
	calling.Wait()
}

// Nobody is listened to before it is known who speaks: these calls send no message at all.
func TestNoMessageIsReadBeforeItsCallerIsKnown(t *testing.T) {
	d := open(t)
	for name, ctx := range map[string]context.Context{
		"without a key": t.Context(), "with a wrong one": withKey(t.Context(), "nonsense"),
	} {
		stream, err := d.tcp.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, bankv1.BankService_ImportBankStatement_FullMethodName)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(&bankv1.ImportBankStatementResponse{}); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAMessageIsReadUpToItsMethodsSize(t *testing.T) {
	d := openWith(t, rpc.Config{})
	treasurer, editor := withKey(t.Context(), "treasurer-key"), withKey(t.Context(), "editor-key")
	imports := bankv1.NewBankServiceClient(d.tcp)
	statement := func(size int) error {
		_, err := imports.ImportBankStatement(treasurer, &bankv1.ImportBankStatementRequest{
			Parent: "collectives/vallon", Content: make([]byte, size),
		})
		return err
	}
	if err := statement(3 << 20); err != nil && status.Code(err) != codes.InvalidArgument {
		t.Errorf("an import of 3 MiB: %v", err)
	} else if reason, _ := reasonOf(err); reason == "MESSAGE_TOO_LARGE" {
		t.Errorf("an import of 3 MiB: %v", err)
	}
	if reason, _ := reasonOf(statement(9 << 20)); reason != "MESSAGE_TOO_LARGE" {
		t.Error("an import of 9 MiB is read")
	}
	campaigns := campaignsv1.NewCampaignsServiceClient(d.tcp)
	publish := func(ctx context.Context, size int) error {
		_, err := campaigns.PublishCampaign(ctx, &campaignsv1.PublishCampaignRequest{Name: strings.Repeat("x", size)})
		return err
	}
	if reason, _ := reasonOf(publish(editor, 1<<20)); reason == "MESSAGE_TOO_LARGE" {
		t.Error("a member's message of 1 MiB is not read")
	}
	if reason, _ := reasonOf(publish(editor, 2<<20)); reason != "MESSAGE_TOO_LARGE" {
		t.Error("a member's message of 2 MiB is read")
	}
	for size, want := range map[int]string{8 << 10: "INVALID_FIELD", 17 << 10: "MESSAGE_TOO_LARGE"} {
		_, err := campaigns.GetCampaign(t.Context(), &campaignsv1.GetCampaignRequest{Name: strings.Repeat("x", size)})
		if reason, _ := reasonOf(err); reason != want {
			t.Errorf("a public message of %d bytes: %v, want %s", size, err, want)
		}
	}
}

func TestBodiesShareABudget(t *testing.T) {
	// Room for one call of the network, and for no message that is larger than what it may send unread.
	d := openWith(t, rpc.Config{Bodies: places.New(places.Config{All: 128 << 10})})
	d.campaigns.get = func(context.Context, *campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
		return &campaignsv1.Campaign{}, nil
	}
	client := campaignsv1.NewCampaignsServiceClient(d.tcp)
	for range 3 {
		if _, err := client.GetCampaign(t.Context(), get); err != nil {
			t.Errorf("what was taken is not given back: %v", err)
		}
	}
	ctx := withKey(t.Context(), "editor-key")
	_, err := client.PublishCampaign(ctx, &campaignsv1.PublishCampaignRequest{Name: strings.Repeat("x", 100<<10)})
	if reason, wait := reasonOf(err); reason != "TOO_BUSY" || wait <= 0 {
		t.Errorf("a message beyond the budget: %v", err)
	}
	if _, err := healthv1.NewHealthClient(d.tcp).Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Errorf("health: %v", err)
	}
}

func TestWritesByKeyHaveARate(t *testing.T) {
	d := openWith(t, rpc.Config{WriteLimit: rpc.WriteLimit{PerSecond: 0.001, Burst: 3}})
	d.campaigns.get = func(context.Context, *campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
		return &campaignsv1.Campaign{}, nil
	}
	publish := func(conn grpc.ClientConnInterface, key string) error {
		_, err := campaignsv1.NewCampaignsServiceClient(conn).PublishCampaign(withKey(t.Context(), key), &campaignsv1.PublishCampaignRequest{Name: get.GetName()})
		return err
	}
	for i, conn := range []grpc.ClientConnInterface{d.tcp, d.inProcess, d.tcp} {
		if err := publish(conn, "editor-key"); err != nil {
			t.Fatalf("write %d: %v", i, err)
		}
	}
	for _, conn := range []grpc.ClientConnInterface{d.tcp, d.inProcess} {
		err := publish(conn, "editor-key")
		if reason, wait := reasonOf(err); status.Code(err) != codes.ResourceExhausted || reason != "TOO_MANY_WRITES" || wait <= 0 {
			t.Errorf("one too many: %v, to wait %v", err, wait)
		}
	}
	if _, err := campaignsv1.NewCampaignsServiceClient(d.tcp).GetCampaign(withKey(t.Context(), "editor-key"), get); err != nil {
		t.Errorf("a read: %v", err)
	}
	// The collective has twice as many for all its keys.
	client := treasuryv1.NewTreasuryServiceClient(d.tcp)
	for i, want := range []string{"", "", "", "TOO_MANY_WRITES"} {
		_, err := client.CreateDeposit(withKey(t.Context(), "treasurer-key"), &treasuryv1.CreateDepositRequest{
			Parent: "collectives/vallon", RequestId: uuid.NewString(), Deposit: &treasuryv1.Deposit{Cheques: []string{"collectives/vallon/campaigns/a-b/offlineDonations/" + uuid.NewString()}, BankDate: "2026-01-02"},
		})
		reason, _ := reasonOf(err)
		if (reason == "TOO_MANY_WRITES") != (want != "") {
			t.Errorf("write %d of another key: %v", i, err)
		}
	}
}

var update = flag.Bool("update", false, "write testdata/classes.txt")

// Who sees this fail has added a method: say in class.go of what kind it is, and so which places it takes; then run the
// test with -update and look at what changed.
func TestEveryMethodHasAClass(t *testing.T) {
	// A service whose package this file does not import would not be looked at.
	imported := 0
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if strings.HasPrefix(string(file.Package()), "cagnotte.") {
			imported += file.Services().Len()
		}
		return true
	})
	generated, err := filepath.Glob("../../../proto/cagnotte/*/v1/*_grpc.pb.go")
	if err != nil || len(generated) == 0 {
		t.Fatalf("the generated services: %v, %v", generated, err)
	}
	if imported < len(generated) {
		t.Errorf("%d services are imported, of %d", imported, len(generated))
	}
	var lines []string
	reads := map[bool]string{true: "reads", false: "writes"}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		ours := strings.HasPrefix(string(file.Package()), "cagnotte.")
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			if !ours && !slices.Contains([]string{
				"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
			}, string(service.FullName())) {
				continue
			}
			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)
				name := "/" + string(service.FullName()) + "/" + string(method.Name())
				without, known := rpc.ClassOf(name, false)
				with, _ := rpc.ClassOf(name, true)
				if !known {
					t.Errorf("%s has no class", name)
					continue
				}
				// What is no GET over REST changes something, and has a rate; a webhook has its signature.
				rule, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
				if ours && without != rpc.ClassWebhooks && rpc.Writes(name) == (rule.GetGet() != "") {
					t.Errorf("%s %s by its class, and not by its address", name, reads[!rpc.Writes(name)])
				}
				lines = append(lines, name+": "+string(without)+"; with a key "+string(with)+"\n")
			}
		}
		return true
	})
	slices.Sort(lines)
	got := strings.Join(lines, "")
	if *update {
		if err := os.WriteFile("testdata/classes.txt", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/classes.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("classes (-testdata/classes.txt +code):\n%s", diff)
	}
}
