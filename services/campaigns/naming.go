package campaigns

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Copy makes a draft of another campaign's content, without its deadline, its event and what is shown. It is idempotent as [Service.Create] is. Errors:
// those of Create; NOT_FOUND.
func (s *Service) Copy(ctx context.Context, from, to Name) (Campaign, error) {
	source, err := s.Get(ctx, from)
	if err != nil {
		return Campaign{}, err
	}
	content := source.Content
	content.Deadline, content.Event, content.Shown = time.Time{}, Event{}, Shown{}
	return s.Create(ctx, to, content)
}

// renameSQL changes the id of a campaign that is locked by lockSQL. The trigger campaigns_keep_used_name waits for donations
// and pledges that are being added, and refuses while there is any. News and refused origins follow by their foreign keys.
const renameSQL = `
UPDATE campaigns.campaigns
SET
	id = @new_id,
	previous_id = @id,
	updated_at = @now,
	version = @version
WHERE collective = @collective
	AND id = @id`

// Rename changes the campaign's id. A campaign that was renamed so before is returned as it is. Errors: ALREADY_EXISTS
// (CAMPAIGN_EXISTS); FAILED_PRECONDITION: CAMPAIGN_IN_USE, CAMPAIGN_CLOSED; ABORTED (ETAG_MISMATCH); NOT_FOUND.
func (s *Service) Rename(ctx context.Context, name Name, id, etag string) (Campaign, error) {
	renamed := Name{Collective: name.Collective, Campaign: id}
	if err := checkSlug(id); err != nil {
		return Campaign{}, err
	}
	err := postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		stored, err := lockTx(ctx, tx, name)
		if err != nil {
			return err
		}
		switch {
		case id == name.Campaign:
			return nil
		case stored.State == StateClosed:
			return errClosed(name)
		case etag != "" && etag != stored.etag():
			return errEtag(name)
		}
		args := key(name)
		args["new_id"], args["now"], args["version"] = id, s.nowMicros(), stored.version+1
		if _, err := tx.Exec(ctx, renameSQL, args); err != nil {
			return postgres.ErrorFor(err, map[string]*errs.Error{
				"campaigns_pkey":   errs.New(errorsv1.ErrorReason_CAMPAIGN_EXISTS, "%s exists.", renamed),
				"campaigns_in_use": errInUse(name),
			})
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: name.Collective, Resource: name.String(),
			Before: audit.Fields{"name": name.String()}, After: audit.Fields{"name": renamed.String()},
		})
	})
	if errs.Code(err) == codes.NotFound {
		// The answer to an equal request may have been lost.
		if before, ok := s.previousID(ctx, renamed); !ok || before != name.Campaign {
			return Campaign{}, err
		}
		err = nil
	}
	if err != nil {
		return Campaign{}, err
	}
	return s.Get(ctx, renamed)
}

const previousIDSQL = `
SELECT c.previous_id
FROM campaigns.campaigns AS c
WHERE c.collective = @collective
	AND c.id = @id`

// previousID returns the id that a campaign had before it was renamed; false for a missing one.
func (s *Service) previousID(ctx context.Context, name Name) (id string, ok bool) {
	err := s.pool.QueryRow(ctx, previousIDSQL, key(name)).Scan(&id)
	return id, err == nil
}

// deleteSQL removes a draft. The trigger campaigns_keep_used refuses other states, and what is referred to.
const deleteSQL = `
DELETE FROM campaigns.campaigns
WHERE collective = @collective
	AND id = @id`

// Delete removes a draft, with its news and the origins that were refused. Errors: FAILED_PRECONDITION: CAMPAIGN_NOT_DRAFT,
// CAMPAIGN_IN_USE; ABORTED (ETAG_MISMATCH); NOT_FOUND, also when it was deleted before.
func (s *Service) Delete(ctx context.Context, name Name, etag string) error {
	return postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		stored, err := lockTx(ctx, tx, name)
		if err != nil {
			return err
		}
		switch {
		case stored.State != StateDraft:
			return errs.New(errorsv1.ErrorReason_CAMPAIGN_NOT_DRAFT, "%s is %s, and only drafts are deleted.", name, stored.State)
		case etag != "" && etag != stored.etag():
			return errEtag(name)
		}
		if _, err := tx.Exec(ctx, deleteSQL, key(name)); err != nil {
			return postgres.ErrorFor(err, map[string]*errs.Error{"campaigns_in_use": errInUse(name)})
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: name.Collective, Resource: name.String(),
			Before: audit.Fields{"title": stored.Title(French), "goal": stored.Goal.String(), "state": string(stored.State)},
		})
	})
}

// holdSQL takes the lock that the trigger hold_name takes for each row that names a campaign.
const holdSQL = `
SELECT pg_advisory_xact_lock_shared(hashtextextended('campaigns/' || @collective::text || '/' || @id::text, 0))`

const existsSQL = `
SELECT EXISTS (
	SELECT
	FROM campaigns.campaigns AS c
	WHERE c.collective = @collective
		AND c.id = @id
)`

// HoldTx keeps a campaign from being renamed or deleted until the transaction ends. It is for whoever writes entries of the
// books that name a campaign; donations, pledges and expenses are held by triggers. tx must be READ COMMITTED. Error:
// NOT_FOUND, also when the campaign was renamed or deleted while this waited.
func HoldTx(ctx context.Context, tx pgx.Tx, name Name) error {
	if _, err := tx.Exec(ctx, holdSQL, key(name)); err != nil {
		return postgres.Error(err)
	}
	// A statement of its own, and so with a snapshot from after the lock.
	var exists bool
	if err := tx.QueryRow(ctx, existsSQL, key(name)).Scan(&exists); err != nil {
		return postgres.Error(err)
	}
	if !exists {
		return errs.NotFound(name.String())
	}
	return nil
}

// lockTx reads a campaign and locks its row against other updates.
func lockTx(ctx context.Context, tx pgx.Tx, name Name) (Campaign, error) {
	rows, err := tx.Query(ctx, lockForNameSQL, key(name))
	return one(rows, err, name)
}

// lockForNameSQL locks the row's key too, which a new id and a deletion change.
const lockForNameSQL = getSQL + `
FOR UPDATE OF c`

func errInUse(n Name) *errs.Error {
	return errs.New(errorsv1.ErrorReason_CAMPAIGN_IN_USE, "%s has donations, pledges, expenses or entries in the books.", n)
}

func errEtag(n Name) error {
	return errs.New(errorsv1.ErrorReason_ETAG_MISMATCH, "%s was changed since it was read; read it again.", n)
}
