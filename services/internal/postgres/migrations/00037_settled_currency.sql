-- Donations whose money landed in a balance of another currency, so that their campaign can count them in its own.
--
-- Safe on a live database: a column that is NULL rewrites nothing, the few donations that were converted are found by
-- their conversions, and the index is over those alone, though the table is read once while writes wait.

-- +goose Up

ALTER TABLE donations.donations
    -- The currency in which its money is in the books; NULL where that is its own, or until it is booked.
    ADD COLUMN settled_currency text,
    ADD CONSTRAINT donations_settled_currency_code CHECK (settled_currency ~ '^[A-Z]{3}$' AND settled_currency <> currency) NOT VALID;

UPDATE donations.donations AS d
SET settled_currency = e.currency
FROM ledger.conversions AS n
JOIN ledger.transactions AS t ON t.id = n.transaction_id AND t.kind = 'donation'
JOIN ledger.entries AS e ON e.transaction_id = n.transaction_id AND e.line = 1
WHERE d.id = e.donation
    AND d.booked_at IS NOT NULL
    AND d.currency <> e.currency;

-- What a campaign received in other currencies than its own.
CREATE INDEX donations_converted_idx ON donations.donations (collective, campaign)
    WHERE settled_currency IS NOT NULL;
