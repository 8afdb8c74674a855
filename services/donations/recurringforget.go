package donations

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// forgetArgs is the job that deletes the customer of a monthly donation at Stripe.
type forgetArgs struct {
	Recurring uuid.UUID `json:"recurring"`
}

// Kind names the job in River.
func (forgetArgs) Kind() string { return "donations_forget_customer" }

type forgetWorker struct {
	river.WorkerDefaults[forgetArgs]
	service *Service
}

// Work implements river.Worker.
func (w *forgetWorker) Work(ctx context.Context, job *river.Job[forgetArgs]) error {
	return w.service.deleteCustomer(ctx, job.Args.Recurring)
}

// Forgettable reports whether there is more to forget of the donor than receipts: the monthly donation has ended, and Stripe
// still has its customer.
func (s *Service) Forgettable(r Recurring) bool {
	return r.State == RecurringCanceled && r.Customer != "" && r.ForgetTime.IsZero()
}

const forgetDonorSQL = `
UPDATE donations.recurring AS r
SET
	donor_forgotten_at = @now,
	updated_at = @now
WHERE r.id = @id
	AND r.state = 'canceled'
	AND r.customer_id IS NOT NULL
	AND r.donor_forgotten_at IS NULL`

const forgetTokensOfSQL = `
DELETE FROM donations.manage_tokens AS t
WHERE t.recurring = @id`

// ForgetDonorTx forgets the links of a monthly donation that has ended, and has Stripe delete its customer, who is the donor's
// name, address and card. Charges stay at Stripe. One that has not ended stays as it is. It changes nothing when repeated.
func (s *Service) ForgetDonorTx(ctx context.Context, tx pgx.Tx, recurring uuid.UUID) error {
	tag, err := tx.Exec(ctx, forgetDonorSQL, pgx.NamedArgs{"id": recurring, "now": s.now()})
	if err != nil || tag.RowsAffected() == 0 {
		return postgres.Error(err)
	}
	if _, err := tx.Exec(ctx, forgetTokensOfSQL, pgx.NamedArgs{"id": recurring}); err != nil {
		return postgres.Error(err)
	}
	_, err = s.cfg.Jobs.InsertTx(ctx, tx, forgetArgs{Recurring: recurring}, nil)
	return postgres.Error(err)
}

// deleteCustomer deletes the customer at Stripe. Repeated, it is safe: a customer that is missing is deleted.
func (s *Service) deleteCustomer(ctx context.Context, recurring uuid.UUID) error {
	r, err := oneRecurring(s.cfg.Pool.Query(ctx, recurringByIDSQL, pgx.NamedArgs{"id": recurring}))
	if err != nil {
		return postgres.Error(err)
	}
	if err := s.cfg.Connect.CheckConnected(ctx, r.Campaign.Collective); err != nil {
		return err // the account may be connected again before the job's last attempt
	}
	if err := s.cfg.Stripe.DeleteCustomer(ctx, r.StripeAccount, r.Customer); stripe.KindOf(err) != stripe.Missing {
		return err
	}
	return nil
}
