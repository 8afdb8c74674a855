-- Receipts of several payments: of a monthly donation's year, and of a pledge that arrived. Identities that are sealed anew.
-- Donors of monthly donations who asked to be forgotten.
--
-- On a million rows: a moment; the tables are locked for it, and no row is read or written.

-- +goose Up

-- The payments that a receipt is of. Rows are never deleted.
CREATE TABLE receipts.payments (
    receipt          uuid    NOT NULL,
    position         integer NOT NULL,
    collective       text    NOT NULL,
    campaign         text    NOT NULL,
    -- NULL for an offline donation.
    donation         uuid,
    -- NULL for a donation.
    offline_donation uuid,
    amount_minor     bigint  NOT NULL,
    payment_method   text    NOT NULL,
    -- The day in the collective's time zone.
    donated_on       date    NOT NULL,
    -- Whether its receipt stands.
    standing         boolean NOT NULL,

    CONSTRAINT payments_pkey PRIMARY KEY (receipt, position),
    CONSTRAINT payments_receipt_fkey FOREIGN KEY (receipt) REFERENCES receipts.receipts (id),
    CONSTRAINT payments_donation_fkey FOREIGN KEY (donation) REFERENCES donations.donations (id),
    CONSTRAINT payments_offline_donation_fkey FOREIGN KEY (offline_donation) REFERENCES treasury.offline_donations (id),
    CONSTRAINT payments_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT payments_of_one CHECK ((donation IS NULL) <> (offline_donation IS NULL))
);

-- A payment has one receipt that stands.
CREATE UNIQUE INDEX payments_standing_donation_key ON receipts.payments (donation) WHERE standing;
CREATE UNIQUE INDEX payments_standing_offline_donation_key ON receipts.payments (offline_donation) WHERE standing;
CREATE INDEX payments_donation_idx ON receipts.payments (donation) WHERE donation IS NOT NULL;
CREATE INDEX payments_offline_donation_idx ON receipts.payments (offline_donation) WHERE offline_donation IS NOT NULL;
CREATE INDEX payments_donated_idx ON receipts.payments (collective, donated_on) WHERE standing;

GRANT SELECT, INSERT, UPDATE (standing) ON receipts.payments TO cagnotte_service;

ALTER TABLE receipts.payments ENABLE ROW LEVEL SECURITY;
CREATE POLICY payments_scope ON receipts.payments
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

-- NULL for none: a receipt is of a donation, of a year of a monthly donation, or of a pledge.
ALTER TABLE receipts.receipts ADD COLUMN recurring uuid;
ALTER TABLE receipts.receipts ADD COLUMN donation_year integer;
ALTER TABLE receipts.receipts ADD COLUMN pledge uuid;
ALTER TABLE receipts.receipts ALTER COLUMN donation DROP NOT NULL;
ALTER TABLE receipts.receipts ADD CONSTRAINT receipts_of_one CHECK (
    num_nonnulls(donation, recurring, pledge) = 1
    AND (recurring IS NULL) = (donation_year IS NULL)
) NOT VALID;
-- NULL: it is sealed as it was when the receipt was issued.
ALTER TABLE receipts.receipts ADD COLUMN resealed_at timestamptz;

ALTER TABLE receipts.receipts DROP CONSTRAINT receipts_cancel_known;
ALTER TABLE receipts.receipts ADD CONSTRAINT receipts_cancel_known CHECK (
    cancel_reason IN ('', 'member', 'refunded', 'dispute_lost', 'reversed')
) NOT VALID;

GRANT UPDATE (sealed_to, resealed_at) ON receipts.receipts TO cagnotte_service;

-- When the donor of a monthly donation that has ended asked to be forgotten; NULL for never.
ALTER TABLE donations.recurring ADD COLUMN donor_forgotten_at timestamptz;
GRANT UPDATE (donor_forgotten_at) ON donations.recurring TO cagnotte_service;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION receipts.check_receipt() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF (OLD.id, OLD.collective, OLD.year, OLD.sequence, OLD.campaign, OLD.donation, OLD.declaration, OLD.donor_kind,
        OLD.amount_minor, OLD.currency, OLD.payment_method, OLD.donated_on, OLD.issued_on, OLD.request_hash, OLD.donor_check,
        OLD.pdf_sha256, OLD.replaces, OLD.created_at, OLD.recurring, OLD.donation_year, OLD.pledge)
        IS DISTINCT FROM
       (NEW.id, NEW.collective, NEW.year, NEW.sequence, NEW.campaign, NEW.donation, NEW.declaration, NEW.donor_kind,
        NEW.amount_minor, NEW.currency, NEW.payment_method, NEW.donated_on, NEW.issued_on, NEW.request_hash, NEW.donor_check,
        NEW.pdf_sha256, NEW.replaces, NEW.created_at, NEW.recurring, NEW.donation_year, NEW.pledge)
       -- An identity is sealed anew, with the time of that, while it is kept; once erased it stays so.
       OR (NEW.sealed, NEW.sealed_to) IS DISTINCT FROM (OLD.sealed, OLD.sealed_to) AND NEW.sealed IS NOT NULL
          AND (OLD.sealed IS NULL OR NEW.resealed_at IS NOT DISTINCT FROM OLD.resealed_at)
       OR OLD.erased_at IS NOT NULL AND NEW.erased_at IS DISTINCT FROM OLD.erased_at
       OR OLD.state = 'canceled' AND (OLD.state, OLD.cancel_reason, OLD.cancel_note, OLD.reissuable, OLD.canceled_at)
          IS DISTINCT FROM (NEW.state, NEW.cancel_reason, NEW.cancel_note, NEW.reissuable, NEW.canceled_at)
    THEN
        RAISE EXCEPTION 'a receipt does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'receipts_immutable';
    END IF;
    RETURN NEW;
END
$$;

-- A receipt of one donation has one payment, which is as the receipt says.
CREATE FUNCTION receipts.add_payment() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    INSERT INTO receipts.payments (
        receipt, position, collective, campaign, donation, amount_minor, payment_method, donated_on, standing
    )
    VALUES (
        NEW.id, 1, NEW.collective, NEW.campaign, NEW.donation, NEW.amount_minor, NEW.payment_method, NEW.donated_on,
        NEW.state = 'issued'
    );
    RETURN NULL;
END
$$;

-- What a canceled receipt was of can have another one.
CREATE FUNCTION receipts.release_payments() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    UPDATE receipts.payments AS p
    SET standing = false
    WHERE p.receipt = NEW.id
        AND p.standing;
    RETURN NULL;
END
$$;

CREATE FUNCTION receipts.check_payment() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF TG_OP = 'DELETE'
       OR (OLD.receipt, OLD.position, OLD.collective, OLD.campaign, OLD.donation, OLD.offline_donation, OLD.amount_minor,
           OLD.payment_method, OLD.donated_on)
          IS DISTINCT FROM
          (NEW.receipt, NEW.position, NEW.collective, NEW.campaign, NEW.donation, NEW.offline_donation, NEW.amount_minor,
           NEW.payment_method, NEW.donated_on)
       OR NEW.standing AND NOT OLD.standing
    THEN
        RAISE EXCEPTION 'a payment of a receipt does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_immutable';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER receipts_add_payment
    AFTER INSERT ON receipts.receipts
    FOR EACH ROW
    WHEN (NEW.donation IS NOT NULL)
    EXECUTE FUNCTION receipts.add_payment();

CREATE TRIGGER receipts_release_payments
    AFTER UPDATE OF state ON receipts.receipts
    FOR EACH ROW
    WHEN (NEW.state = 'canceled' AND OLD.state <> 'canceled')
    EXECUTE FUNCTION receipts.release_payments();

CREATE TRIGGER payments_check_payment
    BEFORE UPDATE OR DELETE ON receipts.payments
    FOR EACH ROW
    EXECUTE FUNCTION receipts.check_payment();
