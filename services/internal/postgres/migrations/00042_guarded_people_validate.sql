-- The checks of 00041.
--
-- On a million rows: 1 s, while reads and writes go on.

-- +goose Up

ALTER TABLE access.invitations VALIDATE CONSTRAINT invitations_waiting_check;
ALTER TABLE approvals.pending_changes VALIDATE CONSTRAINT pending_changes_kind_known;
