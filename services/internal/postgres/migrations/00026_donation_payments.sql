-- A donation's payments apart: two of them can be paid, and each goes back, or is disputed, by itself.
--
-- Safe on a live database: columns with constant defaults rewrite nothing, and the new table is filled with the few
-- donations that were paid in another currency, each looked up by its conversion. Of a donation that was paid twice before,
-- nobody kept what its second payment is: that goes back in Stripe's dashboard, as it had to then. A program of the
-- version before leaves all of it alone; the payment of what it writes is taken for the donation's own.

-- +goose Up

-- A payment of which the donation's own row does not tell all: one besides the first, one that was paid in another
-- currency, and each that money went back of, also before it was known to be paid.
CREATE TABLE donations.payments (
    donation            uuid    NOT NULL,
    -- Stripe's, pi_….
    payment_intent_id   text    NOT NULL,
    -- The donation was paid already.
    surplus             boolean NOT NULL,
    -- Its share in the donation's refunded_minor and open_disputes.
    refunded_minor    bigint  NOT NULL,
    open_disputes       integer NOT NULL,
    -- In the currency that the donor paid in, where that is not the donation's; 0 where it is, or until that is known.
    paid_in_minor       bigint  NOT NULL,
    refunded_in_minor bigint  NOT NULL,
    CONSTRAINT payments_pkey PRIMARY KEY (donation, payment_intent_id),
    CONSTRAINT payments_donation_fkey FOREIGN KEY (donation) REFERENCES donations.donations (id),
    CONSTRAINT payments_intent_there CHECK (payment_intent_id <> ''),
    CONSTRAINT payments_paid_in_positive CHECK (paid_in_minor >= 0)
);

INSERT INTO donations.payments
SELECT DISTINCT ON (d.id)
    d.id,
    d.payment_intent_id,
    false,
    d.refunded_minor,
    d.open_disputes,
    c.paid_minor,
    c.back_minor
FROM (
    SELECT
        e.donation,
        n.original_currency,
        min(e.effective_at) AS since,
        (array_agg(n.original_minor ORDER BY e.effective_at, t.id) FILTER (WHERE t.kind = 'donation'))[1] AS paid_minor,
        coalesce(-sum(n.original_minor) FILTER (WHERE t.kind = 'refund'), 0)::bigint AS back_minor
    FROM ledger.conversions AS n
    JOIN ledger.transactions AS t ON t.id = n.transaction_id
    JOIN ledger.entries AS e ON e.transaction_id = n.transaction_id AND e.line = 1
    WHERE n.original_currency IS NOT NULL
        AND e.donation IS NOT NULL
    GROUP BY
        e.donation,
        n.original_currency
) AS c
JOIN donations.donations AS d ON d.id = c.donation AND d.currency <> c.original_currency
WHERE d.booked_at IS NOT NULL
    AND d.payment_intent_id IS NOT NULL
    AND c.paid_minor > 0
ORDER BY
    d.id,
    c.since;

-- Which payment it is of; '' is the donation's own.
ALTER TABLE donations.refunds ADD COLUMN payment_intent_id text NOT NULL DEFAULT '';
ALTER TABLE donations.disputes ADD COLUMN payment_intent_id text NOT NULL DEFAULT '';

GRANT SELECT, INSERT, UPDATE ON donations.payments TO cagnotte_service;
GRANT UPDATE (payment_intent_id) ON donations.disputes TO cagnotte_service;
