-- What was given before 00017, into the overview: an update that changes nothing makes the triggers of 00017 note the row. What
-- they noted before stays as it is.
--
-- On a million rows: two minutes, while reads and writes go on; a change of a donation waits for the batch that has it.
-- +goose NO TRANSACTION

-- +goose Up

-- +goose StatementBegin
DO $$
DECLARE
    after_id uuid := '00000000-0000-0000-0000-000000000000';
    last_id uuid;
BEGIN
    LOOP
        last_id := (
            SELECT (array_agg(b.id ORDER BY b.id DESC))[1]
            FROM (
                SELECT t.id
                FROM donations.donations AS t
                WHERE t.id > after_id
                ORDER BY t.id
                LIMIT 1000
            ) AS b
        );
        EXIT WHEN last_id IS NULL;
        UPDATE donations.donations AS u
        SET updated_at = u.updated_at
        WHERE u.id IN (
            SELECT t.id
            FROM donations.donations AS t
            WHERE t.id > after_id
                AND t.id <= last_id
            ORDER BY t.id
            LIMIT 1000
        );
        COMMIT;
        after_id := last_id;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
DECLARE
    after_id uuid := '00000000-0000-0000-0000-000000000000';
    last_id uuid;
BEGIN
    LOOP
        last_id := (
            SELECT (array_agg(b.id ORDER BY b.id DESC))[1]
            FROM (
                SELECT t.id
                FROM donations.recurring AS t
                WHERE t.id > after_id
                ORDER BY t.id
                LIMIT 1000
            ) AS b
        );
        EXIT WHEN last_id IS NULL;
        UPDATE donations.recurring AS u
        SET updated_at = u.updated_at
        WHERE u.id IN (
            SELECT t.id
            FROM donations.recurring AS t
            WHERE t.id > after_id
                AND t.id <= last_id
            ORDER BY t.id
            LIMIT 1000
        );
        COMMIT;
        after_id := last_id;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
DECLARE
    after_id uuid := '00000000-0000-0000-0000-000000000000';
    last_id uuid;
BEGIN
    LOOP
        last_id := (
            SELECT (array_agg(b.id ORDER BY b.id DESC))[1]
            FROM (
                SELECT t.id
                FROM treasury.pledges AS t
                WHERE t.id > after_id
                ORDER BY t.id
                LIMIT 1000
            ) AS b
        );
        EXIT WHEN last_id IS NULL;
        UPDATE treasury.pledges AS u
        SET locale = u.locale
        WHERE u.id IN (
            SELECT t.id
            FROM treasury.pledges AS t
            WHERE t.id > after_id
                AND t.id <= last_id
            ORDER BY t.id
            LIMIT 1000
        );
        COMMIT;
        after_id := last_id;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
DECLARE
    after_id uuid := '00000000-0000-0000-0000-000000000000';
    last_id uuid;
BEGIN
    LOOP
        last_id := (
            SELECT (array_agg(b.id ORDER BY b.id DESC))[1]
            FROM (
                SELECT t.id
                FROM treasury.offline_donations AS t
                WHERE t.id > after_id
                ORDER BY t.id
                LIMIT 1000
            ) AS b
        );
        EXIT WHEN last_id IS NULL;
        UPDATE treasury.offline_donations AS u
        SET updated_at = u.updated_at
        WHERE u.id IN (
            SELECT t.id
            FROM treasury.offline_donations AS t
            WHERE t.id > after_id
                AND t.id <= last_id
            ORDER BY t.id
            LIMIT 1000
        );
        COMMIT;
        after_id := last_id;
    END LOOP;
END
$$;
-- +goose StatementEnd
