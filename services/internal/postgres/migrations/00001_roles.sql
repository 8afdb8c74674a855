-- The role of the services, and a schema for each of them.
--
-- Safe on a live database: it touches no table. It takes no lock that a query waits for, and
-- whatever exists already is left as it is.

-- +goose Up

-- Roles belong to the whole cluster, so the role may be there from another database, and another
-- migration may be making it at this very moment: the losing side looks again. No advisory lock
-- can help, because those belong to one database.
-- +goose StatementBegin
DO $$
DECLARE
    -- Postgres 16 split what membership allows; before, every member could SET ROLE.
    privilege text := CASE
        WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET'
        ELSE 'MEMBER'
    END;
BEGIN
    FOR attempt IN 1..10 LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'cagnotte_service') THEN
                CREATE ROLE cagnotte_service NOLOGIN;
            END IF;
            IF NOT pg_catalog.pg_has_role(current_user, 'cagnotte_service', privilege) THEN
                GRANT cagnotte_service TO CURRENT_USER;
            END IF;
            EXIT;
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'the role % may not create or use the role cagnotte_service; as a superuser, run: CREATE ROLE cagnotte_service NOLOGIN; GRANT cagnotte_service TO %;',
                    current_user, quote_ident(current_user)
                    USING ERRCODE = 'insufficient_privilege';
            -- internal_error is "tuple concurrently updated", from two grants at once.
            WHEN duplicate_object OR unique_violation OR internal_error THEN
                IF attempt = 10 THEN
                    RAISE;
                END IF;
                PERFORM pg_sleep(0.02 * attempt);
        END;
    END LOOP;
END
$$;
-- +goose StatementEnd

CREATE SCHEMA IF NOT EXISTS collectives;
CREATE SCHEMA IF NOT EXISTS access;
CREATE SCHEMA IF NOT EXISTS campaigns;
CREATE SCHEMA IF NOT EXISTS ledger;
CREATE SCHEMA IF NOT EXISTS donations;
CREATE SCHEMA IF NOT EXISTS webhooks;
CREATE SCHEMA IF NOT EXISTS river;

-- USAGE lets the role see the schema; what it may do to a table, that table's migration grants.
-- CREATE is granted to nobody: only the owner makes objects.
GRANT USAGE ON SCHEMA collectives, access, campaigns, ledger, donations, webhooks, river TO cagnotte_service;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON SCHEMA collectives, access, campaigns, ledger, donations, webhooks, river FROM PUBLIC;
