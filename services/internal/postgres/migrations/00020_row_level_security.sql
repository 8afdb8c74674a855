-- Row-level security: a connection of the service sees and writes the rows of its scope.
--
-- The scope is the setting cagnotte.scope: ids of collectives separated by commas, or * for all. Without it nothing is
-- seen. services/internal/postgres/scope.go sets it. The owner of the tables, who migrates, sees all. The condition is the
-- same everywhere: a CASE, so that nothing else is evaluated where all is seen, of sub-queries, which are evaluated once
-- for each statement.
--
-- A table whose rows name a collective has a policy by it. '' and NULL are of no collective, and only seen with *. A table
-- of a Stripe account, or of its book, has a policy by the accounts of the collectives that are seen. Rows that belong to
-- another row are seen with that row. scope_test.go lists the tables without a policy, and why.
--
-- On a million rows: a moment for each table; it is locked for it, and no row is read or written. A program of a version
-- before sets no scope and sees nothing from here on, so it must be stopped first.

-- +goose Up

-- Rows that name their collective.

ALTER TABLE collectives.collectives ENABLE ROW LEVEL SECURITY;
CREATE POLICY collectives_scope ON collectives.collectives
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE id = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE access.api_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY api_keys_scope ON access.api_keys
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE connect.onboardings ENABLE ROW LEVEL SECURITY;
CREATE POLICY onboardings_scope ON connect.onboardings
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE notices.notices ENABLE ROW LEVEL SECURITY;
CREATE POLICY notices_scope ON notices.notices
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE campaigns.campaigns ENABLE ROW LEVEL SECURITY;
CREATE POLICY campaigns_scope ON campaigns.campaigns
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE ledger.entries ENABLE ROW LEVEL SECURITY;
CREATE POLICY entries_scope ON ledger.entries
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE ledger.shares ENABLE ROW LEVEL SECURITY;
CREATE POLICY shares_scope ON ledger.shares
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE ledger.balance_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY balance_keys_scope ON ledger.balance_keys
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE donations.donations ENABLE ROW LEVEL SECURITY;
CREATE POLICY donations_scope ON donations.donations
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE donations.recurring ENABLE ROW LEVEL SECURITY;
CREATE POLICY recurring_scope ON donations.recurring
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE refunds.refunds ENABLE ROW LEVEL SECURITY;
CREATE POLICY refunds_scope ON refunds.refunds
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE refunds.disputes ENABLE ROW LEVEL SECURITY;
CREATE POLICY disputes_scope ON refunds.disputes
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE refunds.fraud_warnings ENABLE ROW LEVEL SECURITY;
CREATE POLICY fraud_warnings_scope ON refunds.fraud_warnings
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE payouts.shares ENABLE ROW LEVEL SECURITY;
CREATE POLICY shares_scope ON payouts.shares
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE webhooks.owners ENABLE ROW LEVEL SECURITY;
CREATE POLICY owners_scope ON webhooks.owners
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE webhooks.holds ENABLE ROW LEVEL SECURITY;
CREATE POLICY holds_scope ON webhooks.holds
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE treasury.requests ENABLE ROW LEVEL SECURITY;
CREATE POLICY requests_scope ON treasury.requests
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE treasury.pledges ENABLE ROW LEVEL SECURITY;
CREATE POLICY pledges_scope ON treasury.pledges
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE treasury.deposits ENABLE ROW LEVEL SECURITY;
CREATE POLICY deposits_scope ON treasury.deposits
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE treasury.offline_donations ENABLE ROW LEVEL SECURITY;
CREATE POLICY offline_donations_scope ON treasury.offline_donations
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE treasury.expenses ENABLE ROW LEVEL SECURITY;
CREATE POLICY expenses_scope ON treasury.expenses
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE bank.statements ENABLE ROW LEVEL SECURITY;
CREATE POLICY statements_scope ON bank.statements
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE bank.lines ENABLE ROW LEVEL SECURITY;
CREATE POLICY lines_scope ON bank.lines
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );


-- The Stripe accounts of the collectives that the caller sees, each of which is also a book. It is a function so that only callers who
-- do not see all pay for the query. A collective that must have an account of its own has no part of the platform's.
-- +goose StatementBegin
CREATE FUNCTION collectives.accounts_in_scope() RETURNS text[]
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_agg(c.stripe_account)
    FROM collectives.collectives AS c
    WHERE NOT (c.own_account_required AND c.stripe_account = '' AND NOT c.account_in_use)
$$;
-- +goose StatementEnd

-- Rows of a Stripe account, or of its book.

ALTER TABLE connect.connections ENABLE ROW LEVEL SECURITY;
CREATE POLICY connections_scope ON connect.connections
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE stripe_account = ANY ((SELECT collectives.accounts_in_scope())::text[])
        END
    );

ALTER TABLE ledger.books ENABLE ROW LEVEL SECURITY;
CREATE POLICY books_scope ON ledger.books
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE id = ANY ((SELECT collectives.accounts_in_scope())::text[])
        END
    );

ALTER TABLE ledger.accounts ENABLE ROW LEVEL SECURITY;
CREATE POLICY accounts_scope ON ledger.accounts
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE book = ANY ((SELECT collectives.accounts_in_scope())::text[])
        END
    );

ALTER TABLE ledger.roles ENABLE ROW LEVEL SECURITY;
CREATE POLICY roles_scope ON ledger.roles
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE book = ANY ((SELECT collectives.accounts_in_scope())::text[])
        END
    );

ALTER TABLE ledger.transactions ENABLE ROW LEVEL SECURITY;
CREATE POLICY transactions_scope ON ledger.transactions
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE book = ANY ((SELECT collectives.accounts_in_scope())::text[])
        END
    );

ALTER TABLE ledger.closings ENABLE ROW LEVEL SECURITY;
CREATE POLICY closings_scope ON ledger.closings
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE book = ANY ((SELECT collectives.accounts_in_scope())::text[])
        END
    );

ALTER TABLE ledger.seals ENABLE ROW LEVEL SECURITY;
CREATE POLICY seals_scope ON ledger.seals
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE book = ANY ((SELECT collectives.accounts_in_scope())::text[])
        END
    );

ALTER TABLE ledger.subtrees ENABLE ROW LEVEL SECURITY;
CREATE POLICY subtrees_scope ON ledger.subtrees
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE book = ANY ((SELECT collectives.accounts_in_scope())::text[])
        END
    );

ALTER TABLE ledger.checkpoints ENABLE ROW LEVEL SECURITY;
CREATE POLICY checkpoints_scope ON ledger.checkpoints
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE book = ANY ((SELECT collectives.accounts_in_scope())::text[])
        END
    );

ALTER TABLE ledger.balance_checkpoints ENABLE ROW LEVEL SECURITY;
CREATE POLICY balance_checkpoints_scope ON ledger.balance_checkpoints
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE book = ANY ((SELECT collectives.accounts_in_scope())::text[])
        END
    );

ALTER TABLE payouts.payouts ENABLE ROW LEVEL SECURITY;
CREATE POLICY payouts_scope ON payouts.payouts
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE account = ANY ((SELECT collectives.accounts_in_scope())::text[])
        END
    );

ALTER TABLE payouts.contents ENABLE ROW LEVEL SECURITY;
CREATE POLICY contents_scope ON payouts.contents
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE account = ANY ((SELECT collectives.accounts_in_scope())::text[])
        END
    );

ALTER TABLE payouts.findings ENABLE ROW LEVEL SECURITY;
CREATE POLICY findings_scope ON payouts.findings
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE account = ANY ((SELECT collectives.accounts_in_scope())::text[])
        END
    );

ALTER TABLE payouts.accounts ENABLE ROW LEVEL SECURITY;
CREATE POLICY accounts_scope ON payouts.accounts
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE account = ANY ((SELECT collectives.accounts_in_scope())::text[])
        END
    );

ALTER TABLE webhooks.events ENABLE ROW LEVEL SECURITY;
CREATE POLICY events_scope ON webhooks.events
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE account = ANY ((SELECT collectives.accounts_in_scope())::text[])
        END
    );

ALTER TABLE webhooks.accounts ENABLE ROW LEVEL SECURITY;
CREATE POLICY accounts_scope ON webhooks.accounts
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE account = ANY ((SELECT collectives.accounts_in_scope())::text[])
        END
    );

ALTER TABLE webhooks.parked ENABLE ROW LEVEL SECURITY;
CREATE POLICY parked_scope ON webhooks.parked
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE account = ANY ((SELECT collectives.accounts_in_scope())::text[])
        END
    );

ALTER TABLE webhooks.balances ENABLE ROW LEVEL SECURITY;
CREATE POLICY balances_scope ON webhooks.balances
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE account = ANY ((SELECT collectives.accounts_in_scope())::text[])
        END
    );


-- Rows that belong to another row.

ALTER TABLE donations.payments ENABLE ROW LEVEL SECURITY;
CREATE POLICY payments_scope ON donations.payments
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE EXISTS (
                SELECT
                FROM donations.donations AS d
                WHERE d.id = payments.donation
            )
        END
    );

ALTER TABLE donations.manage_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY manage_tokens_scope ON donations.manage_tokens
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE EXISTS (
                SELECT
                FROM donations.recurring AS r
                WHERE r.id = manage_tokens.recurring
            )
        END
    );

ALTER TABLE ledger.balances ENABLE ROW LEVEL SECURITY;
CREATE POLICY balances_scope ON ledger.balances
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE EXISTS (
                SELECT
                FROM ledger.balance_keys AS b
                WHERE b.id = balances.key_id
            )
        END
    );

ALTER TABLE ledger.conversions ENABLE ROW LEVEL SECURITY;
CREATE POLICY conversions_scope ON ledger.conversions
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE EXISTS (
                SELECT
                FROM ledger.transactions AS t
                WHERE t.id = conversions.transaction_id
            )
        END
    );


-- What the books must be is checked over all rows, whoever posts: a member's posting meets the closing of the whole book,
-- and the lines of other collectives in its transaction. Each function reads only what the statement added and what belongs
-- to it, and answers nothing but an error.
ALTER FUNCTION ledger.check_transactions() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION ledger.check_entries() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION ledger.check_reversals() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION ledger.check_reclassifications() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION ledger.check_seals() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION ledger.check_checkpoints() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
