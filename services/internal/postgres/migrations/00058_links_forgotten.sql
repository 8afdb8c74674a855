-- A link is kept no longer than it is good for: the payment page's until the donation is paid or the page has closed, the
-- recovery link's until it is used or its 30 days are over. Events keep none.
--
-- Safe on a live database: the trigger costs each change of a state a comparison. The index is built over the few
-- donations whose page closed unpaid, and writes to the table wait as long as one reading of it. The updates wait for
-- nothing but rows that are written just then, and what they delete is read by no version of the program: a payment
-- page only of a donation that is created, a recovery link only of one that is expired. An event that waits, written by
-- the version before, has its session read again.

-- +goose Up

UPDATE webhooks.events AS e
SET object = e.object #- '{session,recovery_url}'
WHERE e.object #> '{session,recovery_url}' IS NOT NULL;

-- +goose StatementBegin
CREATE FUNCTION donations.forget_links() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF NEW.state <> 'created' THEN
        NEW.checkout_url := NULL;
    END IF;
    IF NEW.state <> 'expired' THEN
        NEW.recovery_url := NULL;
        NEW.recovery_ends_at := NULL;
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER donations_forget_links BEFORE UPDATE OF state ON donations.donations
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state)
    EXECUTE FUNCTION donations.forget_links();

UPDATE donations.donations AS d
SET
    checkout_url = CASE WHEN d.state = 'created' THEN d.checkout_url END,
    recovery_url = CASE WHEN d.state = 'expired' THEN d.recovery_url END,
    recovery_ends_at = CASE WHEN d.state = 'expired' THEN d.recovery_ends_at END
WHERE (d.state <> 'created' AND d.checkout_url IS NOT NULL)
    OR (d.state <> 'expired' AND d.recovery_url IS NOT NULL);

CREATE INDEX donations_recovery_idx ON donations.donations (recovery_ends_at, id) WHERE recovery_url IS NOT NULL;
