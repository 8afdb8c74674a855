package campaigns

import (
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// wantReason compares the reason of an error; zero for none.
func wantReason(t *testing.T, err error, want errorsv1.ErrorReason) {
	t.Helper()
	got := errorsv1.ErrorReason_ERROR_REASON_UNSPECIFIED
	if err != nil {
		got = errs.As(err).Reason
	}
	if got != want {
		t.Errorf("got %v (%v), want %v", got, err, want)
	}
}

// pledge is the least that refers to a campaign.
const pledge = `INSERT INTO treasury.pledges VALUES ($1, $2, $3, $4, 100, 'EUR', 'cash', 'fr', now(), now() + interval '1 day')`

func TestCopy(t *testing.T) {
	s, _, _ := fresh(t)
	ctx := context.Background()
	source := mustCreate(t, s, avocat, lawyer())
	must(t, publishes(s), avocat)
	to := Name{Collective: "vallon", Campaign: "copie"}
	copied, err := s.Copy(ctx, avocat, to)
	if err != nil {
		t.Fatal(err)
	}
	want := source.Content
	want.Deadline = copied.Deadline
	if !copied.equal(want) || copied.State != StateDraft || !copied.Deadline.IsZero() {
		t.Errorf("got %+v", copied)
	}
	again, err := s.Copy(ctx, avocat, to)
	if d := diff(copied, again); d != "" || err != nil {
		t.Errorf("sent twice: %v (-first +second)\n%s", err, d)
	}
	_, err = s.Copy(ctx, Name{Collective: "vallon", Campaign: "none"}, to)
	wantReason(t, err, errorsv1.ErrorReason_NOT_FOUND)
	_, err = s.Copy(ctx, avocat, avocat)
	wantReason(t, err, errorsv1.ErrorReason_CAMPAIGN_EXISTS)
}

func TestRename(t *testing.T) {
	s, pool, _ := fresh(t)
	ctx := context.Background()
	mustCreate(t, s, avocat, lawyer())
	other := Name{Collective: "vallon", Campaign: "autre"}
	mustCreate(t, s, other, lawyer())
	published := must(t, publishes(s), avocat)
	item, err := s.CreateNewsItem(ctx, avocat, map[string]NewsText{"fr": {Title: "Audience"}}, uuid.New())
	if err != nil {
		t.Fatal(err)
	}

	_, err = s.Rename(ctx, avocat, "autre", "")
	wantReason(t, err, errorsv1.ErrorReason_CAMPAIGN_EXISTS)
	_, err = s.Rename(ctx, avocat, "avocate", "0")
	wantReason(t, err, errorsv1.ErrorReason_ETAG_MISMATCH)
	_, err = s.Rename(ctx, avocat, "A", "")
	wantReason(t, err, errorsv1.ErrorReason_INVALID_FIELD)

	renamed, err := s.Rename(ctx, avocat, "avocate", published.etag())
	if err != nil || renamed.Name.Campaign != "avocate" || renamed.State != StatePublished {
		t.Fatalf("got %+v, %v", renamed, err)
	}
	again, err := s.Rename(ctx, avocat, "avocate", published.etag())
	if d := diff(renamed, again); d != "" || err != nil {
		t.Errorf("sent twice: %v (-first +second)\n%s", err, d)
	}
	if _, err = s.NewsItem(ctx, renamed.Name, item.ID, true); err != nil {
		t.Errorf("its news did not follow: %v", err)
	}
	_, err = s.Get(ctx, avocat)
	wantReason(t, err, errorsv1.ErrorReason_NOT_FOUND)

	if _, err := pgtest.Owner(t, pool).Exec(ctx, pledge, uuid.New(), "vallon", "avocate", pledgeReference(t)); err != nil {
		t.Fatal(err)
	}
	_, err = s.Rename(ctx, renamed.Name, "encore", "")
	wantReason(t, err, errorsv1.ErrorReason_CAMPAIGN_IN_USE)
	must(t, s.Close, renamed.Name)
	_, err = s.Rename(ctx, renamed.Name, "encore", "")
	wantReason(t, err, errorsv1.ErrorReason_CAMPAIGN_CLOSED)
}

func TestDelete(t *testing.T) {
	s, pool, _ := fresh(t)
	ctx := context.Background()
	draft := mustCreate(t, s, avocat, lawyer())
	if _, err := s.CreateNewsItem(ctx, avocat, map[string]NewsText{"fr": {Title: "Audience"}}, uuid.New()); err != nil {
		t.Fatal(err)
	}
	wantReason(t, s.Delete(ctx, avocat, "0"), errorsv1.ErrorReason_ETAG_MISMATCH)
	if err := s.Delete(ctx, avocat, draft.etag()); err != nil {
		t.Fatal(err)
	}
	wantReason(t, s.Delete(ctx, avocat, ""), errorsv1.ErrorReason_NOT_FOUND)
	var left int
	if err := pool.QueryRow(ctx, "SELECT count(*) FROM campaigns.news").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d news are left, %v", left, err)
	}

	mustCreate(t, s, avocat, lawyer())
	owner := pgtest.Owner(t, pool)
	if _, err := owner.Exec(ctx, pledge, uuid.New(), "vallon", "avocat", pledgeReference(t)); err != nil {
		t.Fatal(err)
	}
	wantReason(t, s.Delete(ctx, avocat, ""), errorsv1.ErrorReason_CAMPAIGN_IN_USE)
	must(t, publishes(s), avocat)
	wantReason(t, s.Delete(ctx, avocat, ""), errorsv1.ErrorReason_CAMPAIGN_NOT_DRAFT)
}

// A rename and the first pledge at the same moment: one of them is refused, and no pledge is left without its campaign.
func TestRenameAgainstThePledgeOfTheSameMoment(t *testing.T) {
	s, pool, _ := fresh(t)
	ctx := context.Background()
	owner := pgtest.Owner(t, pool)
	for i := range 30 {
		name := Name{Collective: "vallon", Campaign: "course-" + string(rune('a'+i%26)) + string(rune('a'+i/26))}
		mustCreate(t, s, name, lawyer())
		must(t, publishes(s), name)
		reference := pledgeReference(t)
		var renameErr, pledgeErr error
		var both sync.WaitGroup
		both.Go(func() { _, renameErr = s.Rename(ctx, name, name.Campaign+"-bis", "") })
		both.Go(func() {
			pledgeErr = postgres.InTx(ctx, owner, func(ctx context.Context, tx pgx.Tx) error {
				_, err := tx.Exec(ctx, pledge, uuid.New(), name.Collective, name.Campaign, reference)
				return err
			})
		})
		both.Wait()
		if (renameErr == nil) == (pledgeErr == nil) {
			t.Fatalf("rename: %v, pledge: %v", renameErr, pledgeErr)
		}
		if renameErr != nil {
			wantReason(t, renameErr, errorsv1.ErrorReason_CAMPAIGN_IN_USE)
		} else {
			wantReason(t, pledgeErr, errorsv1.ErrorReason_TRANSACTION_CONFLICT)
		}
	}
	var orphans int
	if err := owner.QueryRow(ctx, `SELECT count(*) FROM treasury.pledges AS p WHERE NOT EXISTS (
		SELECT FROM campaigns.campaigns AS c WHERE c.collective = p.collective AND c.id = p.campaign)`).Scan(&orphans); err != nil || orphans > 0 {
		t.Errorf("%d pledges have no campaign, %v", orphans, err)
	}
}

// pledgeReference is another one each time.
func pledgeReference(t *testing.T) string {
	t.Helper()
	const alphabet = "23456789ABCDEFGHJKMNPRTUVWXY"
	id := uuid.New()
	reference := make([]byte, 8)
	for i := range reference {
		reference[i] = alphabet[int(id[i])%len(alphabet)]
	}
	return string(reference)
}
