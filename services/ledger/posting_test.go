package ledger_test

import (
	"slices"
	"testing"

	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

func TestPost(t *testing.T) {
	s, pool := open(t)
	first, second := donation("txn_1", day(1), 2000), donation("txn_2", day(2), 500)

	t.Run("tells what is new", func(t *testing.T) {
		if got := mustPost(t, s, pool, first); !slices.Equal(got, []bool{true}) {
			t.Errorf("posted %v", got)
		}
	})
	t.Run("does nothing for the same content again", func(t *testing.T) {
		if got := mustPost(t, s, pool, second, first, second); !slices.Equal(got, []bool{true, false, false}) {
			t.Errorf("posted %v", got)
		}
		if got := mustPost(t, s, pool, first, second); !slices.Equal(got, []bool{false, false}) {
			t.Errorf("posted %v", got)
		}
		total(t, s, 2500)
	})
	t.Run("refuses another content, and what was posted beside it", func(t *testing.T) {
		changed := donation("txn_1", day(1), 2001)
		_, err := post(t.Context(), s, pool, donation("txn_3", day(3), 100), changed)
		if e := errs.As(err); e == nil || e.Code != codes.AlreadyExists || e.Reason != errorsv1.ErrorReason_REFERENCE_REUSED {
			t.Errorf("err = %v", err)
		}
		total(t, s, 2500)
	})
	t.Run("posts nothing when there is nothing", func(t *testing.T) {
		if got := mustPost(t, s, pool); len(got) != 0 {
			t.Errorf("posted %v", got)
		}
	})
}

func total(t *testing.T, s *ledger.Service, want int64) {
	t.Helper()
	key := ledger.CampaignKey{Collective: vallon, Campaign: lawyer}
	totals, err := s.CampaignTotals(t.Context(), []ledger.CampaignKey{key, key})
	if err != nil {
		t.Fatal(err)
	}
	if got := totals[key][money.EUR]; got != want || len(totals) != 1 {
		t.Errorf("totals %v, want %d", totals, want)
	}
}
