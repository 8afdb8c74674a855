-- The check of 00063.
--
-- On a million rows: 1 s, while reads and writes go on.

-- +goose Up

ALTER TABLE campaigns.campaigns VALIDATE CONSTRAINT campaigns_event;
