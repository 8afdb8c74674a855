-- Since when what a notice is about went on, such as a monthly donation that ended.
--
-- Safe on a live database: a column that is NULL, which Postgres adds without writing to the rows.

-- +goose Up
ALTER TABLE collectives.notices ADD COLUMN since timestamptz;
