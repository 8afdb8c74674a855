package notices_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/notices"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fresh returns a service on a database with one collective.
func fresh(t *testing.T) (*notices.Service, *pgxpool.Pool) {
	t.Helper()
	pool := pgtest.New(t)
	now := func() time.Time { return start }
	s := notices.New(notices.Config{Pool: pool, Now: now})
	groups := collectives.New(collectives.Config{Pool: pool, Notices: s, Now: now})
	if _, err := groups.Create(t.Context(), collectives.Collective{ID: "vallon", DisplayName: "Vallon contre caméras"}); err != nil {
		t.Fatal(err)
	}
	return s, pool
}

func operator() context.Context {
	return access.WithPrincipal(context.Background(), access.Principal{Name: "k", Grants: []access.Grant{{Role: access.RoleOperator}}})
}

func tell(t *testing.T, s *notices.Service, pool *pgxpool.Pool, n notices.Notice) {
	t.Helper()
	err := postgres.InTx(context.Background(), pool, func(ctx context.Context, tx pgx.Tx) error { return s.TellTx(ctx, tx, n) })
	if err != nil {
		t.Fatal(err)
	}
}

func listed(t *testing.T, server noticesv1.NoticesServiceServer, req *noticesv1.ListNoticesRequest) (kinds []string) {
	t.Helper()
	for {
		resp, err := server.ListNotices(operator(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range resp.GetNotices() {
			kinds = append(kinds, n.GetKind())
		}
		if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
			return kinds
		}
	}
}

func TestNotices(t *testing.T) {
	s, pool := fresh(t)
	ctx := context.Background()
	server := notices.NewServer(s)
	dispute := notices.Notice{
		Collective: "vallon", Kind: notices.DisputeOpened, Key: "dp_1",
		Subject: "collectives/vallon/campaigns/avocate/donations/0", Amount: money.Amount{Minor: 20_00, Currency: "EUR"},
		Deadline: start.Add(7 * 24 * time.Hour),
	}
	vallons := &noticesv1.ListNoticesRequest{Parent: "collectives/vallon"}

	t.Run("what rolls back was not told", func(t *testing.T) {
		boom := errors.New("boom")
		err := postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
			if err := s.TellTx(ctx, tx, dispute); err != nil {
				return err
			}
			return boom
		})
		if got := listed(t, server, vallons); !errors.Is(err, boom) || got != nil {
			t.Errorf("%v; listed %v", err, got)
		}
	})
	t.Run("told twice is told once", func(t *testing.T) {
		tell(t, s, pool, dispute)
		again := dispute
		again.Amount.Minor = 1
		tell(t, s, pool, again)
		resp, err := server.ListNotices(operator(), vallons)
		if err != nil || len(resp.GetNotices()) != 1 {
			t.Fatalf("%v, %v", resp, err)
		}
		n := resp.GetNotices()[0]
		if n.GetKind() != "dispute_opened" || n.GetSubject() != dispute.Subject || n.GetAmount().GetAmountMinor() != 20_00 ||
			n.GetAmount().GetCurrencyCode() != "EUR" || !n.GetDeadline().AsTime().Equal(dispute.Deadline) ||
			!n.GetCreateTime().AsTime().Equal(start) || n.GetAcknowledgeTime() != nil || n.GetAcknowledgedBy() != "" {
			t.Errorf("got %v", n)
		}
	})
	tell(t, s, pool, notices.Notice{Collective: "vallon", Kind: notices.DisputeWon, Key: "dp_1"})
	tell(t, s, pool, notices.Notice{Kind: notices.PayoutFailed, Key: "po_1"})

	t.Run("a list is of one collective, of the operator, or of all", func(t *testing.T) {
		for _, c := range []struct {
			parent string
			all    bool
			want   []string
		}{
			{"collectives/vallon", false, []string{"dispute_won", "dispute_opened"}},
			{"instance", false, []string{"payout_failed"}},
			{"instance", true, []string{"payout_failed", "dispute_won", "dispute_opened"}},
		} {
			for _, size := range []int32{0, 1} {
				req := &noticesv1.ListNoticesRequest{Parent: c.parent, IncludeCollectives: c.all, PageSize: size}
				if diff := cmp.Diff(c.want, listed(t, server, req)); diff != "" {
					t.Errorf("%s, all %v, %d a page (-want +got)\n%s", c.parent, c.all, size, diff)
				}
			}
		}
		_, refused := server.ListNotices(operator(), &noticesv1.ListNoticesRequest{Parent: "collectives/vallon", IncludeCollectives: true})
		errstest.Want(t, refused, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "include_collectives")
		_, err := server.ListNotices(operator(), &noticesv1.ListNoticesRequest{Parent: "collectives/nowhere"})
		errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	})
	t.Run("who saw to it first stays", func(t *testing.T) {
		resp, err := server.ListNotices(operator(), &noticesv1.ListNoticesRequest{Parent: "instance", IncludeCollectives: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range resp.GetNotices()[:2] {
			for _, key := range []string{"first", "second"} {
				as := access.WithPrincipal(ctx, access.Principal{Name: key, Grants: []access.Grant{{Role: access.RoleOperator}}})
				got, err := server.AcknowledgeNotice(as, &noticesv1.AcknowledgeNoticeRequest{Name: n.GetName()})
				if err != nil || got.GetAcknowledgedBy() != "first" || !got.GetAcknowledgeTime().AsTime().Equal(start) {
					t.Errorf("%s by %s: %v, %v", n.GetKind(), key, got, err)
				}
			}
		}
		want := []string{"dispute_opened"}
		if diff := cmp.Diff(want, listed(t, server, &noticesv1.ListNoticesRequest{Parent: "instance", IncludeCollectives: true, Unacknowledged: true})); diff != "" {
			t.Errorf("left to do (-want +got)\n%s", diff)
		}
	})
	t.Run("one collective's name does not open another's notice", func(t *testing.T) {
		resp, err := server.ListNotices(operator(), vallons)
		if err != nil {
			t.Fatal(err)
		}
		id := resp.GetNotices()[0].GetName()[len("collectives/vallon/"):]
		for _, name := range []string{id, "collectives/marseille/" + id, "collectives/vallon/notices/x", "collectives/vallon"} {
			_, err := server.AcknowledgeNotice(operator(), &noticesv1.AcknowledgeNoticeRequest{Name: name})
			errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
		}
	})
	t.Run("refuses what is no notice", func(t *testing.T) {
		for name, spoil := range map[string]func(*notices.Notice){
			"no key":              func(n *notices.Notice) { n.Key = "" },
			"a kind in capitals":  func(n *notices.Notice) { n.Kind = "Dispute" },
			"a person's name":     func(n *notices.Notice) { n.Subject = "Jeanne Martin" },
			"money of no country": func(n *notices.Notice) { n.Amount.Currency = "" },
		} {
			bad := dispute
			spoil(&bad)
			err := postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error { return s.TellTx(ctx, tx, bad) })
			if err == nil {
				t.Errorf("%s: was told", name)
			}
		}
		err := postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
			return s.TellTx(ctx, tx, notices.Notice{Collective: "nowhere", Kind: notices.DisputeOpened, Key: "k"})
		})
		errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	})
}
