-- The members behind the two keys of a refund that was reviewed: a second key is not yet a second member.
--
-- Safe on a live database: nullable columns rewrite nothing, and the refunds that were reviewed before are few. Each key
-- counted as a member then. A program of before cannot review until it is replaced.

-- +goose Up

ALTER TABLE donations.refunds
    ADD COLUMN requested_member text,
    ADD COLUMN reviewed_member  text;

UPDATE donations.refunds
SET
    requested_member = requested_by,
    reviewed_member = reviewed_by
WHERE reviewed_by IS NOT NULL;

ALTER TABLE donations.refunds
    ADD CONSTRAINT refunds_second_person CHECK (
        num_nulls(reviewed_by, requested_member, reviewed_member) IN (0, 3)
        AND reviewed_member <> requested_member
    );

GRANT UPDATE (requested_member, reviewed_member) ON donations.refunds TO cagnotte_service;
