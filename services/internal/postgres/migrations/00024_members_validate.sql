-- Checks the rows of before against the constraints that 00014 added.
--
-- On a million rows: 1 s, while reads and writes go on.

-- +goose Up

ALTER TABLE access.api_keys VALIDATE CONSTRAINT api_keys_person_fkey;
ALTER TABLE access.api_keys VALIDATE CONSTRAINT api_keys_maker_check;
