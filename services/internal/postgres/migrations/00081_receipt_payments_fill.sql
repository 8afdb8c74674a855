-- The payment of each receipt that is older than 00080.
--
-- On a million rows: a minute, while reads and writes go on; canceling a receipt waits for the batch that has it.
-- +goose NO TRANSACTION

-- +goose Up

-- +goose StatementBegin
DO $$
BEGIN
    LOOP
        INSERT INTO receipts.payments (
            receipt,
            position,
            collective,
            campaign,
            donation,
            amount_minor,
            payment_method,
            donated_on,
            standing
        )
        SELECT
            n.id,
            1,
            n.collective,
            n.campaign,
            n.donation,
            n.amount_minor,
            n.payment_method,
            n.donated_on,
            n.state = 'issued'
        FROM (
            SELECT
                r.id,
                r.collective,
                r.campaign,
                r.donation,
                r.amount_minor,
                r.payment_method,
                r.donated_on,
                r.state
            FROM receipts.receipts AS r
            WHERE r.donation IS NOT NULL
                AND NOT EXISTS (
                    SELECT
                    FROM receipts.payments AS p
                    WHERE p.receipt = r.id
                )
            ORDER BY r.id
            LIMIT 1000
            FOR UPDATE OF r
        ) AS n;
        EXIT WHEN NOT FOUND;
        COMMIT;
    END LOOP;
END
$$;
-- +goose StatementEnd
