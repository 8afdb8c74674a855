-- Donations that go back twice: refunded here, and taken back by the donor's bank. A bank takes a SEPA debit back for
-- weeks without a question, so how a payment was made is kept, to warn before it is refunded.
--
-- Safe on a live database: columns with constant defaults rewrite nothing. The index is small at all times; writes to
-- donations wait while it is built, which reads the table once. What was paid before has no method, so of it nobody is
-- warned.

-- +goose Up

-- Stripe's word, such as card or sepa_debit; '' while it is not known. Of a payment besides the donation's first it
-- stands with the payment.
ALTER TABLE donations.donations ADD COLUMN payment_method text NOT NULL DEFAULT '';
ALTER TABLE donations.payments ADD COLUMN payment_method text NOT NULL DEFAULT '';

-- Of which more went back than was paid: a campaign's progress counts none of them below zero.
CREATE INDEX donations_paid_back_twice_idx ON donations.donations (collective, campaign)
    INCLUDE (refunded_minor, disputed_minor, amount_minor, currency)
    WHERE refunded_minor + disputed_minor > amount_minor;
