-- The role that the services work as, and the rights that nobody has.
--
-- The files up to 00013 are the first set: one file for each schema, in the order in which they refer to each other.
-- Each table stands together with its indexes, functions, triggers and grants. What all of them share:
--
--   * Columns named *_minor are amounts in the minor unit of their currency; currencies are ISO 4217, in capitals.
--   * In an optional text, '' means none. NULL means unknown, or not yet; the column says which.
--   * stripe_account and account hold the id of a connected account (acct_…); '' is the platform's own account.
--   * version counts the changes of a row, and etags are made of it.
--   * A collective is named by its slug (collectives.collectives.id), and a campaign by its slug within its collective.
--   * A table that is written to with every donation has no foreign key to a row that all donations share: each insert
--     would lock that row. Collectives, campaigns, books and accounts are never deleted, so none can point at nothing.
--
-- Later changes come as new files, never as changes of these. The package's doc.go has the rules.

-- +goose Up

-- Roles belong to the whole cluster. The role may exist because of another database, and another program may be
-- creating it at this moment: the one that loses looks again. An advisory lock cannot help, because it belongs to one
-- database.
-- +goose StatementBegin
DO $$
DECLARE
    -- Since Postgres 16 membership and SET ROLE are separate rights. Before, every member could SET ROLE.
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

-- Only the owner makes objects, so CREATE is granted to no other role, here or in the files that follow. USAGE lets the
-- service see a schema; what it may do to a table is granted beside that table.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- River makes its own tables here after these migrations, and Migrate grants them.
CREATE SCHEMA IF NOT EXISTS river;
REVOKE ALL ON SCHEMA river FROM PUBLIC;
GRANT USAGE ON SCHEMA river TO cagnotte_service;
