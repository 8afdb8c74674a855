package ledger_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// An entry never names a campaign that is renamed or deleted at the same moment.
func TestReclassificationsAgainstRenameAndDelete(t *testing.T) {
	s, pool := openSealing(t)
	ctx := t.Context()
	owner := pgtest.Owner(t, pool)
	if _, err := owner.Exec(ctx, `INSERT INTO collectives.collectives (id, display_name, stripe_account, time_zone, created_at, updated_at)
		VALUES ($1, 'Vallon', $2, 'Europe/Paris', now(), now())`, vallon, book); err != nil {
		t.Fatal(err)
	}
	for _, campaign := range []string{"renamed", "deleted", "entered"} {
		if _, err := owner.Exec(ctx, `INSERT INTO campaigns.campaigns (collective, id, texts, currency, goal_minor, presets_minor,
				minimum_minor, maximum_minor, stages, allowed_origins, state, created_at, updated_at)
			VALUES ($1, $2, '{"fr": {"title": "Course", "story": "…"}}', 'EUR', 100000, '{1000}', 100, 100000, '[]', '{}', 'draft', now(), now())`,
			vallon, campaign); err != nil {
			t.Fatal(err)
		}
	}
	mustPost(t, s, pool, unclassified("txn_other", 5000))
	held := func() {}
	server := ledger.NewServer(s, ledger.ServerConfig{
		BookOf: func(context.Context, string) (string, error) { return book, nil },
		HoldCampaignTx: func(ctx context.Context, tx pgx.Tx, collective, campaign string) error {
			err := campaigns.HoldTx(ctx, tx, campaigns.Name{Collective: collective, Campaign: campaign})
			held()
			return err
		},
	})
	reclassify := func(campaign string) <-chan error {
		answer := make(chan error, 1)
		go func() {
			_, err := server.ReclassifyTransaction(ctx, &ledgerv1.ReclassifyTransactionRequest{
				Name: transactionOf(t, pool, vallon, "txn_other"), RequestId: uuid.NewString(), EffectiveTime: timestamppb.New(day(5)),
				From:      &ledgerv1.Entry{Account: "4718", Amount: &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: -100}},
				ToAccount: "75411", ToCampaign: "collectives/" + vallon + "/campaigns/" + campaign,
			})
			answer <- err
		}()
		return answer
	}
	const (
		rename = `UPDATE campaigns.campaigns SET id = id || '-bis' WHERE collective = $1 AND id = $2`
		remove = `DELETE FROM campaigns.campaigns WHERE collective = $1 AND id = $2`
	)
	for campaign, statement := range map[string]string{"renamed": rename, "deleted": remove} {
		t.Run("waits for a campaign that is being "+campaign+", and does not find it", func(t *testing.T) {
			tx, err := pool.Begin(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback(ctx)
			if _, err := tx.Exec(ctx, statement, vallon, campaign); err != nil {
				t.Fatal(err)
			}
			answer := reclassify(campaign)
			pgtest.WaitForLock(t, pool)
			if err := tx.Commit(ctx); err != nil {
				t.Fatal(err)
			}
			if err := <-answer; errs.As(err).Reason != errorsv1.ErrorReason_NOT_FOUND {
				t.Errorf("err = %v", err)
			}
		})
	}
	for name, statement := range map[string]string{"rename": rename, "deletion": remove} {
		t.Run("makes a "+name+" wait, which is refused then", func(t *testing.T) {
			holds, goOn := make(chan struct{}), make(chan struct{})
			held = func() { close(holds); <-goOn }
			answer := reclassify("entered")
			<-holds
			refused := make(chan error, 1)
			go func() {
				_, err := pool.Exec(ctx, statement, vallon, "entered")
				refused <- err
			}()
			pgtest.WaitForLock(t, pool)
			close(goOn)
			if err := <-answer; err != nil {
				t.Error(err)
			}
			if err := <-refused; refusedBy(err) != "campaigns_in_use" {
				t.Errorf("err = %v", err)
			}
		})
	}
	var orphans int
	if err := owner.QueryRow(ctx, `SELECT count(*) FROM ledger.entries AS e WHERE e.campaign <> '' AND NOT EXISTS (
		SELECT FROM campaigns.campaigns AS c WHERE c.collective = e.collective AND c.id = e.campaign)`).Scan(&orphans); err != nil || orphans > 0 {
		t.Errorf("%d entries have no campaign, %v", orphans, err)
	}
}
