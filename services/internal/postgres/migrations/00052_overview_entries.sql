-- What counts for a campaign by an entry of the books alone, into the overview: a receipt that was reclassified to it, and
-- whatever else is on the accounts of donations, refunds and disputes without a donation. So sums by day agree with the
-- campaign's progress. What was there before comes with 00054.
--
-- On a million rows: a moment for each table; it is locked for it, and no row is read.

-- +goose Up

-- The transaction of an entry; NULL for all other kinds.
ALTER TABLE overview.contributions ADD COLUMN transaction_id bigint;

ALTER TABLE overview.contributions DROP CONSTRAINT contributions_kind_known;
ALTER TABLE overview.contributions DROP CONSTRAINT contributions_received;
ALTER TABLE overview.contributions DROP CONSTRAINT contributions_method_known;
ALTER TABLE overview.contributions DROP CONSTRAINT contributions_state_known;
ALTER TABLE overview.contributions ADD CONSTRAINT contributions_kind_known CHECK (kind IN ('donation', 'offline', 'pledge', 'entry')) NOT VALID;
-- An entry takes from its campaign what is reclassified away.
ALTER TABLE overview.contributions ADD CONSTRAINT contributions_received CHECK (
    (received_minor >= 0 OR kind = 'entry')
    AND (counted OR received_minor = 0)
) NOT VALID;
ALTER TABLE overview.contributions ADD CONSTRAINT contributions_entry CHECK (
    (kind = 'entry') = (transaction_id IS NOT NULL)
    AND (kind <> 'entry' OR (counted AND received_minor = amount_minor))
) NOT VALID;
ALTER TABLE overview.contributions ADD CONSTRAINT contributions_method_known CHECK (method IN (
    'card', 'debit', 'online', 'cash', 'transfer', 'cheque', 'payee_cheque', 'books'
)) NOT VALID;
ALTER TABLE overview.contributions ADD CONSTRAINT contributions_state_known CHECK (state IN (
    'created', 'pending', 'succeeded', 'expired', 'failed', 'canceled', 'partially_refunded', 'refunded', 'disputed',
    'received', 'banked', 'bounced', 'reversed', 'pledged', 'booked'
)) NOT VALID;

-- A contribution's states, and the sums of its day. The rows of a statement are locked in one order. An entry counts as one
-- donation more, or as one less where it takes away.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION overview.sum_contributions() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = ''
SET enable_seqscan = off
SET enable_mergejoin = off
SET enable_hashjoin = off
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO overview.states (contribution, collective, state, began_at)
        SELECT
            s.id,
            s.collective,
            s.state,
            s.began_at
        FROM (
            -- What is only noted now has begun before.
            SELECT
                a.id,
                a.collective,
                CASE a.kind WHEN 'donation' THEN 'created' WHEN 'offline' THEN 'received' WHEN 'pledge' THEN 'pledged' ELSE a.state END AS state,
                a.created_at AS began_at
            FROM after AS a
            UNION
            SELECT
                a.id,
                a.collective,
                a.state,
                CASE WHEN a.state IN ('created', 'received', 'pledged', 'booked') THEN a.created_at ELSE a.updated_at END
            FROM after AS a
        ) AS s
        ORDER BY
            s.began_at,
            s.state IN ('created', 'received', 'pledged') DESC,
            s.id;
        INSERT INTO overview.days AS d (collective, campaign, day, method, currency, received_minor, donations)
        SELECT
            a.collective,
            a.campaign,
            a.day,
            a.method,
            a.currency,
            sum(a.received_minor)::bigint,
            sum(CASE WHEN a.kind = 'entry' THEN sign(a.received_minor) ELSE 1 END)::bigint
        FROM after AS a
        WHERE a.counted
        GROUP BY
            a.collective,
            a.campaign,
            a.day,
            a.method,
            a.currency
        ORDER BY
            a.collective,
            a.campaign,
            a.day,
            a.method,
            a.currency
        ON CONFLICT (collective, day, campaign, method, currency) DO UPDATE
        SET
            received_minor = d.received_minor + excluded.received_minor,
            donations = d.donations + excluded.donations;
    ELSE
        INSERT INTO overview.states (contribution, collective, state, began_at)
        SELECT
            a.id,
            a.collective,
            a.state,
            a.updated_at
        FROM after AS a
        JOIN before AS b ON b.id = a.id
        WHERE b.state <> a.state
        ORDER BY a.id;
        INSERT INTO overview.days AS d (collective, campaign, day, method, currency, received_minor, donations)
        SELECT
            m.collective,
            m.campaign,
            m.day,
            m.method,
            m.currency,
            sum(m.received_minor)::bigint,
            sum(m.donations)::bigint
        FROM (
            SELECT
                a.collective,
                a.campaign,
                a.day,
                a.method,
                a.currency,
                a.received_minor,
                1 AS donations
            FROM after AS a
            WHERE a.counted
            UNION ALL
            SELECT
                b.collective,
                b.campaign,
                b.day,
                b.method,
                b.currency,
                -b.received_minor,
                -1
            FROM before AS b
            WHERE b.counted
        ) AS m
        GROUP BY
            m.collective,
            m.campaign,
            m.day,
            m.method,
            m.currency
        HAVING sum(m.received_minor) <> 0
            OR sum(m.donations) <> 0
        ORDER BY
            m.collective,
            m.campaign,
            m.day,
            m.method,
            m.currency
        ON CONFLICT (collective, day, campaign, method, currency) DO UPDATE
        SET
            received_minor = d.received_minor + excluded.received_minor,
            donations = d.donations + excluded.donations;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- The entries of a transaction that count for a campaign and belong to no donation. Their ids are made from the transaction
-- and the line: the first row of a transaction notes all of its entries, whose days are locked in one order, and the others
-- find them there. Neither entries nor the roles of a book with transactions change.
-- +goose StatementBegin
CREATE FUNCTION overview.note_entry() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = ''
SET enable_seqscan = off
SET enable_mergejoin = off
SET enable_hashjoin = off
AS $$
BEGIN
    INSERT INTO overview.contributions (
        id,
        kind,
        collective,
        campaign,
        day,
        created_at,
        amount_minor,
        currency,
        counted,
        received_minor,
        method,
        payment_method,
        state,
        recurring_id,
        pledge,
        document,
        document_key,
        expires_at,
        updated_at,
        transaction_id
    )
    SELECT
        md5('ledger entry ' || e.transaction_id || ' ' || e.line)::uuid,
        'entry',
        e.collective,
        e.campaign,
        overview.day_of(e.effective_at, o.time_zone),
        t.recorded_at,
        -e.amount,
        e.currency,
        true,
        -e.amount,
        'books',
        '',
        'booked',
        NULL,
        '',
        '',
        '',
        NULL,
        t.recorded_at,
        e.transaction_id
    FROM ledger.entries AS e
    JOIN ledger.transactions AS t ON t.id = e.transaction_id
    JOIN ledger.accounts AS a ON a.id = e.account_id
    JOIN collectives.collectives AS o ON o.id = e.collective
    WHERE e.transaction_id = NEW.transaction_id
        AND e.nominal
        AND e.donation IS NULL
        AND e.campaign <> ''
        AND EXISTS (
            SELECT
            FROM ledger.roles AS r
            WHERE r.book = a.book
                AND r.role IN ('donations', 'refunds', 'disputes')
                AND r.account_id = a.id
        )
    ON CONFLICT (id) DO NOTHING;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- FOR EACH ROW with a condition, so that donations, which are nearly all entries, pay nothing for it.
CREATE TRIGGER entries_overview
    AFTER INSERT ON ledger.entries
    FOR EACH ROW
    WHEN (NEW.nominal AND NEW.donation IS NULL AND NEW.campaign <> '')
    EXECUTE FUNCTION overview.note_entry();
