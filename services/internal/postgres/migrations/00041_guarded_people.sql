-- Invitations and promotions to owner or treasurer wait for a second person.
--
-- On a million rows: a moment; both tables are locked for it, and no row is read or written.

-- +goose Up

-- Whether it waits for a second person, and whether one agreed. The first owner of a new collective needs nobody's approval.
ALTER TABLE access.invitations ADD COLUMN waiting boolean NOT NULL DEFAULT false;
ALTER TABLE access.invitations ADD COLUMN approved boolean NOT NULL DEFAULT false;
ALTER TABLE access.invitations ADD CONSTRAINT invitations_waiting_check CHECK (
    NOT waiting OR NOT approved AND accepted_at IS NULL
) NOT VALID;

-- The days to accept it begin with the approval.
GRANT UPDATE (waiting, approved, expires_at) ON access.invitations TO cagnotte_service;

ALTER TABLE approvals.pending_changes DROP CONSTRAINT pending_changes_kind_known;
ALTER TABLE approvals.pending_changes ADD CONSTRAINT pending_changes_kind_known CHECK (kind IN (
    'bank_account', 'refund_approval', 'alert_emails', 'two_person_rule', 'api_key', 'invitation', 'member_role'
)) NOT VALID;
