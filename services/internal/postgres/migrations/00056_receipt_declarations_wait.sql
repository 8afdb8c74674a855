-- Declarations of receipts wait for a second person.
--
-- On a million rows: a moment; the table is locked for it, and no row is read or written.

-- +goose Up

ALTER TABLE approvals.pending_changes DROP CONSTRAINT pending_changes_kind_known;
ALTER TABLE approvals.pending_changes ADD CONSTRAINT pending_changes_kind_known CHECK (kind IN (
    'bank_account', 'refund_approval', 'alert_emails', 'two_person_rule', 'api_key', 'invitation', 'member_role',
    'receipt_declaration'
)) NOT VALID;
