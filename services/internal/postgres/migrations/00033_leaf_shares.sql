-- Leaves that commit to each collective's entries apart, and how many transactions each has, signed with each checkpoint:
-- so a collective's export proves all of its amounts, and that nothing of the collective's is missing.
--
-- What a leaf is has changed, so all seals are made anew from the transactions, which stay as they are: the same numbers
-- in the same order, a second for each 20,000 transactions. Nobody holds a proof of the former kind: nothing was released.
-- On a live database: the sealer's tables are emptied and changed in a moment. A program of before goes on posting, and
-- cannot seal; balances are read from the entries until the new one has sealed.

-- +goose Up

ALTER TABLE ledger.seals DISABLE TRIGGER seals_append_only;
ALTER TABLE ledger.subtrees DISABLE TRIGGER subtrees_append_only;
ALTER TABLE ledger.checkpoints DISABLE TRIGGER checkpoints_append_only;
ALTER TABLE ledger.balances DISABLE TRIGGER balances_append_only;
ALTER TABLE ledger.balance_keys DISABLE TRIGGER balance_keys_append_only;
ALTER TABLE ledger.balance_checkpoints DISABLE TRIGGER balance_checkpoints_append_only;
TRUNCATE ledger.seals, ledger.subtrees, ledger.checkpoints, ledger.balances, ledger.balance_keys, ledger.balance_checkpoints;
ALTER TABLE ledger.seals ENABLE TRIGGER seals_append_only;
ALTER TABLE ledger.subtrees ENABLE TRIGGER subtrees_append_only;
ALTER TABLE ledger.checkpoints ENABLE TRIGGER checkpoints_append_only;
ALTER TABLE ledger.balances ENABLE TRIGGER balances_append_only;
ALTER TABLE ledger.balance_keys ENABLE TRIGGER balance_keys_append_only;
ALTER TABLE ledger.balance_checkpoints ENABLE TRIGGER balance_checkpoints_append_only;

-- Random, and told to nobody as it is: without it a collective could guess the entries of another from their hash.
ALTER TABLE ledger.seals
    ADD COLUMN salt bytea NOT NULL,
    ADD CONSTRAINT seals_salt_length CHECK (length(salt) = 32);

-- In how many of a book's first transactions a collective has entries. There is a row where a checkpoint found that it had
-- changed, so the newest row up to a number is the count there.
CREATE TABLE ledger.shares (
    number     bigint NOT NULL,
    count      bigint NOT NULL,
    book       text COLLATE "C" NOT NULL,
    -- '' is what belongs to no collective.
    collective text COLLATE "C" NOT NULL,
    -- The leaf of the tree of shares.
    hash       bytea NOT NULL,
    CONSTRAINT shares_pkey PRIMARY KEY (book, collective, number),
    CONSTRAINT shares_sealed FOREIGN KEY (book, number) REFERENCES ledger.seals (book, number),
    CONSTRAINT shares_count_range CHECK (count BETWEEN 1 AND number),
    CONSTRAINT shares_hash_length CHECK (length(hash) = 32)
);

CREATE TRIGGER shares_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.shares
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

GRANT SELECT ON ledger.shares TO cagnotte_service;
GRANT INSERT (number, count, book, collective, hash) ON ledger.shares TO cagnotte_service;
GRANT INSERT (salt) ON ledger.seals TO cagnotte_service;
