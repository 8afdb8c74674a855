-- What a notice is about, by the name that the money has at Stripe: a difference says in which transactions.
--
-- Safe on a live database: a column with a constant default, which Postgres adds without writing to the rows.

-- +goose Up

ALTER TABLE collectives.notices
    ADD COLUMN transactions text[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT notices_transactions_check CHECK (
        cardinality(transactions) <= 20
        AND array_to_string(transactions, ' ') ~ '^[A-Za-z0-9_ -]*$'
    );
