package ledger_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

const (
	vallonLedger    = "collectives/" + vallon + "/ledger"
	vallonDonations = "collectives/" + vallon + "/campaigns/" + lawyer + "/donations/"
)

func serverOf(s *ledger.Service) ledgerv1.LedgerServiceServer {
	return serverFor(s, func(_ context.Context, collective string) (string, error) {
		switch collective {
		case vallon, marseille:
			return book, nil
		case "empty":
			return "acct_empty", nil
		}
		return "", errs.NotFound("collectives/" + collective)
	})
}

// serverFor lets anybody do what the program asks others about, and knows two campaigns.
func serverFor(s *ledger.Service, bookOf ledger.BookOf) ledgerv1.LedgerServiceServer {
	return ledger.NewServer(s, ledger.ServerConfig{
		BookOf: bookOf, PublicBookOf: bookOf,
		MayAddAccount: func(context.Context, string) error { return nil },
		HoldCampaignTx: func(_ context.Context, _ pgx.Tx, collective, campaign string) error {
			if collective != vallon || campaign != lawyer && campaign != "second" {
				return errs.NotFound("collectives/" + collective + "/campaigns/" + campaign)
			}
			return nil
		},
	})
}

func donationOf(reference string) string { return uuid.NewSHA1(uuid.Nil, []byte(reference)).String() }

func codeOf(err error) codes.Code { return errs.Code(err) }

func TestGetCheckpoint(t *testing.T) {
	s, pool := openSealing(t)
	server := serverOf(s)
	get := func(from int64) (*ledgerv1.Checkpoint, error) {
		return server.GetCheckpoint(t.Context(), &ledgerv1.GetCheckpointRequest{Name: vallonLedger + "/checkpoint", FromSize: from})
	}
	t.Run("is not found before the first seal", func(t *testing.T) {
		if _, err := get(0); codeOf(err) != codes.NotFound {
			t.Errorf("err = %v", err)
		}
	})
	mustPost(t, s, pool, donations(0, 4)...)
	mustSeal(t, s, 4)
	first, err := get(0)
	if err != nil {
		t.Fatal(err)
	}
	mustPost(t, s, pool, donations(4, 9)...)
	mustSeal(t, s, 5)
	t.Run("proves that it goes on from an earlier one", func(t *testing.T) {
		second, err := get(first.GetSize())
		if err != nil {
			t.Fatal(err)
		}
		if second.GetSize() != 9 {
			t.Errorf("the size is %d", second.GetSize())
		}
		if err := merkle.VerifyConsistency(rfc6962.DefaultHasher, uint64(first.GetSize()), uint64(second.GetSize()),
			second.GetConsistencyProof(), first.GetRoot(), second.GetRoot()); err != nil {
			t.Error(err)
		}
		opened, err := proof.OpenCheckpoint(second.GetNote(), second.GetVerifierKey())
		if err != nil || !bytes.Equal(opened.Root, second.GetRoot()) || opened.Size != 9 || !opened.SignedAt.Equal(second.GetSignTime().AsTime()) {
			t.Errorf("opened %+v, err = %v", opened, err)
		}
	})
	t.Run("has neither names nor amounts", func(t *testing.T) {
		for _, secret := range []string{book, vallon, "EUR", "txn_"} {
			if strings.Contains(first.String(), secret) {
				t.Errorf("%s is in %s", secret, first)
			}
		}
	})
	t.Run("keeps its key over restarts", func(t *testing.T) {
		again, err := serverOf(sealing(pool)).GetCheckpoint(t.Context(), &ledgerv1.GetCheckpointRequest{Name: vallonLedger + "/checkpoint"})
		if err != nil || again.GetVerifierKey() != first.GetVerifierKey() {
			t.Errorf("the key is %s, err = %v", again.GetVerifierKey(), err)
		}
	})
	t.Run("refuses a size that the book never had", func(t *testing.T) {
		if _, err := get(10); codeOf(err) != codes.InvalidArgument {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("is not found for a collective that does not exist", func(t *testing.T) {
		if _, err := server.GetCheckpoint(t.Context(), &ledgerv1.GetCheckpointRequest{Name: "collectives/nobody/ledger/checkpoint"}); codeOf(err) != codes.NotFound {
			t.Errorf("err = %v", err)
		}
	})
}

func TestGetInclusionProof(t *testing.T) {
	s, pool := openSealing(t)
	server := serverOf(s)
	shared := donation("txn_shared", day(2), 100)
	other := donation("txn_other", day(2), 100)
	for i := range other.Entries {
		other.Entries[i].Collective = marseille
	}
	shared.Entries = append(shared.Entries, other.Entries...)
	mustPost(t, s, pool, append(donations(0, 3), shared, other)...)
	mustSeal(t, s, 5)
	get := func(reference string) (*ledgerv1.InclusionProof, error) {
		var id int64
		if err := pool.QueryRow(t.Context(), `SELECT id FROM ledger.transactions WHERE reference = $1`, reference).Scan(&id); err != nil {
			t.Fatal(err)
		}
		return server.GetInclusionProof(t.Context(), &ledgerv1.GetInclusionProofRequest{Name: fmt.Sprintf("%s/transactions/%d/inclusionProof", vallonLedger, id)})
	}
	for _, reference := range []string{"txn_001", "txn_shared"} {
		t.Run("proves "+reference, func(t *testing.T) {
			p, err := get(reference)
			if err != nil {
				t.Fatal(err)
			}
			if err := merkle.VerifyInclusion(rfc6962.DefaultHasher, uint64(p.GetNumber()-1), uint64(p.GetCheckpoint().GetSize()),
				p.GetLeafHash(), p.GetPath(), p.GetCheckpoint().GetRoot()); err != nil {
				t.Error(err)
			}
			own, err := proof.DecodeLeafShare(p.GetLeaf())
			if err != nil || !bytes.Equal(own.Hash(), p.GetLeafHash()) || own.Collective != vallon || own.Reference != reference {
				t.Errorf("the leaf is %+v, err = %v", own, err)
			}
			if bytes.Contains(p.GetLeaf(), []byte(marseille)) {
				t.Error("the other collective's entries are told")
			}
		})
	}
	t.Run("does not find another collective's", func(t *testing.T) {
		if _, err := get("txn_other"); codeOf(err) != codes.NotFound {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("does not find what is not sealed", func(t *testing.T) {
		mustPost(t, s, pool, donations(10, 11)...)
		if _, err := get("txn_010"); codeOf(err) != codes.NotFound {
			t.Errorf("err = %v", err)
		}
	})
}

func TestGetDonationProof(t *testing.T) {
	s, pool := openSealing(t)
	server := serverOf(s)
	given := donations(0, 4)
	back := donation("txn_002", day(5), 50)
	back.Reference, back.Kind = "txn_back", ledger.KindRefund
	mustPost(t, s, pool, append(given, back)...)
	mustSeal(t, s, 5)
	get := func(name string) (*ledgerv1.DonationProof, error) {
		return server.GetDonationProof(t.Context(), &ledgerv1.GetDonationProofRequest{Name: name + "/proof"})
	}
	p, err := get(vallonDonations + donationOf("txn_002"))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("is checked offline", func(t *testing.T) {
		leaf, checkpoint, err := proof.VerifyCode(p.GetCode(), p.GetVerifierKey())
		if err != nil {
			t.Fatal(err)
		}
		if leaf.Reference != "txn_002" || leaf.Entries[1].Amount != eur(-102) || checkpoint.Size != 5 {
			t.Errorf("proves %+v in %+v", leaf, checkpoint)
		}
	})
	t.Run("says nothing of other donations", func(t *testing.T) {
		data, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(p.GetCode(), "cagnotte-proof-2."))
		if err != nil {
			t.Fatal(err)
		}
		for _, reference := range []string{"txn_000", "txn_001", "txn_003"} {
			donation := uuid.NewSHA1(uuid.Nil, []byte(reference))
			if bytes.Contains(data, []byte(reference)) || bytes.Contains(data, donation[:]) {
				t.Errorf("%s is told", reference)
			}
		}
	})
	t.Run("fails under another key", func(t *testing.T) {
		other := ledger.New(ledger.Config{Pool: pool, SecretKey: bytes.Repeat([]byte{8}, 32)})
		mustPost(t, s, pool, donations(20, 21)...)
		if _, err := other.Seal(t.Context(), book); err != nil {
			t.Fatal(err)
		}
		newer, err := get(vallonDonations + donationOf("txn_002"))
		if err != nil {
			t.Fatal(err)
		}
		if newer.GetVerifierKey() == p.GetVerifierKey() {
			t.Error("two secrets have one key")
		}
		if _, _, err := proof.VerifyCode(newer.GetCode(), p.GetVerifierKey()); err == nil {
			t.Error("the proof passes")
		}
	})
	for rule, name := range map[string]string{
		"a donation that does not exist": vallonDonations + uuid.NewString(),
		"another campaign's donation":    "collectives/" + vallon + "/campaigns/other/donations/" + donationOf("txn_002"),
		"another collective's donation":  "collectives/" + marseille + "/campaigns/" + lawyer + "/donations/" + donationOf("txn_002"),
		"no donation":                    vallonDonations + uuid.Nil.String(),
	} {
		t.Run("does not find "+rule, func(t *testing.T) {
			if _, err := get(name); codeOf(err) != codes.NotFound {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestClosePeriod(t *testing.T) {
	s, pool := openSealing(t)
	server := serverOf(s)
	closeAt := func(name string, end time.Time) (*ledgerv1.ClosePeriodResponse, error) {
		return server.ClosePeriod(t.Context(), &ledgerv1.ClosePeriodRequest{Name: name, EndTime: timestamppb.New(end)})
	}
	mustClose := func(t *testing.T, end, want time.Time) {
		t.Helper()
		resp, err := closeAt(vallonLedger, end)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.GetClosedEndTime().AsTime(); !got.Equal(want) {
			t.Errorf("closed until %v, want %v", got, want)
		}
	}
	mustPost(t, s, pool, donation("txn_before", day(1), 100))
	t.Run("refuses a period that is not over", func(t *testing.T) {
		if _, err := closeAt(vallonLedger, time.Now().Add(time.Hour)); codeOf(err) != codes.InvalidArgument {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("refuses a book that does not exist", func(t *testing.T) {
		if _, err := closeAt("collectives/empty/ledger", day(2)); errs.As(err).Reason != errorsv1.ErrorReason_BOOK_MISSING {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("closes, again, and never back", func(t *testing.T) {
		mustClose(t, day(10), day(10))
		mustClose(t, day(10), day(10))
		mustClose(t, day(5), day(10))
		until, err := s.ClosedUntil(t.Context(), book, vallon)
		if err != nil || !until.Equal(day(10)) {
			t.Errorf("closed until %v, err = %v", until, err)
		}
	})
	t.Run("then a posting dated inside is refused, and what is beside it", func(t *testing.T) {
		_, err := post(t.Context(), s, pool, donation("txn_after", day(11), 100), donation("txn_inside", day(10).Add(-time.Microsecond), 100))
		if e := errs.As(err); e == nil || e.Code != codes.FailedPrecondition || e.Reason != errorsv1.ErrorReason_PERIOD_CLOSED {
			t.Errorf("err = %v", err)
		}
		total(t, s, 100)
	})
	t.Run("what was there can be sent again, and the next period is open", func(t *testing.T) {
		posted := mustPost(t, s, pool, donation("txn_before", day(1), 100), donation("txn_next", day(10), 100))
		if posted[0] || !posted[1] {
			t.Errorf("posted %v", posted)
		}
	})
	t.Run("another collective of the book is not concerned", func(t *testing.T) {
		other := donation("txn_other", day(2), 100)
		for i := range other.Entries {
			other.Entries[i].Collective = marseille
		}
		mustPost(t, s, pool, other)
	})
	t.Run("all are when the whole book is closed", func(t *testing.T) {
		if _, err := s.ClosePeriod(t.Context(), book, "", day(20)); err != nil {
			t.Fatal(err)
		}
		other := donation("txn_other_2", day(19), 100)
		for i := range other.Entries {
			other.Entries[i].Collective = marseille
		}
		if _, err := post(t.Context(), s, pool, other); errs.As(err) == nil || errs.As(err).Reason != errorsv1.ErrorReason_PERIOD_CLOSED {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("waits for the posting that is under way", func(t *testing.T) {
		held, err := pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer held.Rollback(context.WithoutCancel(t.Context()))
		if _, err := s.PostTx(t.Context(), held, book, []ledger.Transaction{donation("txn_held", day(25), 100)}); err != nil {
			t.Fatal(err)
		}
		closed := make(chan error, 1)
		go func() {
			_, err := s.ClosePeriod(t.Context(), book, vallon, day(30))
			closed <- err
		}()
		// The closing can be seen once it is committed; it must not be answered yet.
		for until := day(1); !until.Equal(day(30)); {
			if until, err = s.ClosedUntil(t.Context(), book, vallon); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case err := <-closed:
			t.Errorf("closed while a posting was open, err = %v", err)
		default:
		}
		if err := held.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}
