-- In what form a statement came: files of two forms do not recognise each other's lines.
--
-- Safe on a live database: a column with a constant default rewrites nothing. The form of what was imported
-- before is not known, and is compared with none.

-- +goose Up

ALTER TABLE treasury.statements ADD COLUMN form text NOT NULL DEFAULT '';
