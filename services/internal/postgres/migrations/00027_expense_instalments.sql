-- Invoices that are paid in instalments: several lines of the bank's pay one expense.
--
-- Safe on a live database: the new column has a constant default, so no row is rewritten, and the old program, which does
-- not know it, leaves it at zero. Both tables hold what a member entered or the bank said and are small; they are read
-- once, for the check and for the index, and writes to them wait as long.

-- +goose Up

-- What was paid of an expense that is still owed. One that is paid was paid in full.
ALTER TABLE treasury.expenses
    ADD COLUMN part_paid_minor bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT expenses_part_paid CHECK (
        part_paid_minor >= 0
        AND part_paid_minor < amount_minor
        AND (state = 'owed' OR part_paid_minor = 0)
    );
GRANT UPDATE (part_paid_minor) ON treasury.expenses TO cagnotte_service;

-- One movement in the books stays one line: bank_lines_transaction_key.
DROP INDEX treasury.bank_lines_expense_key;
CREATE INDEX bank_lines_expense_idx ON treasury.bank_lines (expense, booked_on, id) WHERE expense IS NOT NULL;
