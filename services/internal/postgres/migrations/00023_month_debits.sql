-- A debit takes days: donors and members are told that the latest month's is at the bank. Safe on a live table: a
-- constant default rewrites nothing, and a program of the version before leaves the column alone.

-- +goose Up
ALTER TABLE donations.recurring
    ADD COLUMN debit_pending boolean NOT NULL DEFAULT false;

GRANT UPDATE (debit_pending) ON donations.recurring TO cagnotte_service;
