-- A bank's reference is kept only in a form that can be no name: some banks put the payer's there.
--
-- The triggers stand aside for one statement each, which takes away what must not be there. That locks the two tables for
-- the time of one pass over them. The constraint is checked in the same pass. A program of before is refused a line with
-- another reference until it is replaced; no line is lost, since the file can be imported again.

-- +goose Up

ALTER TABLE treasury.offline_donations DISABLE TRIGGER offline_donations_check_change;
UPDATE treasury.offline_donations AS g
SET document = ''
FROM treasury.bank_lines AS l
WHERE l.offline_donation = g.id
    AND g.document = l.bank_reference
    AND l.bank_reference <> ''
    AND l.bank_reference !~ '^([0-9./:_-]*[A-Za-z]?[0-9./:_-]*[0-9][0-9./:_-]*[A-Za-z]?[0-9./:_-]*|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$';
ALTER TABLE treasury.offline_donations ENABLE TRIGGER offline_donations_check_change;

ALTER TABLE treasury.bank_lines DISABLE TRIGGER bank_lines_check_change;
UPDATE treasury.bank_lines
SET bank_reference = ''
WHERE bank_reference <> ''
    AND bank_reference !~ '^([0-9./:_-]*[A-Za-z]?[0-9./:_-]*[0-9][0-9./:_-]*[A-Za-z]?[0-9./:_-]*|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$';
ALTER TABLE treasury.bank_lines ENABLE TRIGGER bank_lines_check_change;

-- The same form stands in services/treasury/statement.go.
ALTER TABLE treasury.bank_lines ADD CONSTRAINT bank_lines_reference_nameless CHECK (
    bank_reference = ''
    OR bank_reference ~ '^([0-9./:_-]*[A-Za-z]?[0-9./:_-]*[0-9][0-9./:_-]*[A-Za-z]?[0-9./:_-]*|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$'
);
