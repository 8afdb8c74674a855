-- Which payments are a donation's: only those of the Checkout Sessions that were made for it.
--
-- Safe on a live database: columns with constant defaults rewrite nothing, and the index is over the few payments of
-- which a donation's own row does not tell all. A program of the version before leaves both alone.

-- +goose Up

-- A row is now also there for each payment intent of a donation besides that in its own row, and for each whose page
-- showed the price in the donor's own currency.
ALTER TABLE donations.payments
    -- The currency of paid_in_minor, which is what the payment page asks for; '' where it is the donation's own, or is
    -- not known.
    ADD COLUMN paid_in_currency text    NOT NULL DEFAULT '',
    -- It brought something else than its page asked for, so it is not the donation's.
    ADD COLUMN differs          boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT payments_paid_in_currency_code CHECK (paid_in_currency ~ '^([A-Z]{3})?$') NOT VALID;

-- Whose a payment, a refund or a dispute is.
CREATE INDEX payments_intent_idx ON donations.payments (payment_intent_id);
