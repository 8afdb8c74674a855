-- Changes that wait for a second person, and the rule that says when they do.
--
-- On a million rows: nothing; it creates objects that nobody reads yet.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS approvals;
REVOKE ALL ON SCHEMA approvals FROM PUBLIC;
GRANT USAGE ON SCHEMA approvals TO cagnotte_service;

-- What a collective chose. One without a row has the automatic rule.
CREATE TABLE approvals.rules (
    collective text        NOT NULL,
    mode       text        NOT NULL,
    updated_at timestamptz NOT NULL,

    CONSTRAINT rules_pkey PRIMARY KEY (collective),
    CONSTRAINT rules_collective_fkey FOREIGN KEY (collective) REFERENCES collectives.collectives (id),
    CONSTRAINT rules_mode_known CHECK (mode IN ('automatic', 'on', 'off'))
);

GRANT SELECT, INSERT, UPDATE (mode, updated_at) ON approvals.rules TO cagnotte_service;

ALTER TABLE approvals.rules ENABLE ROW LEVEL SECURITY;
CREATE POLICY rules_scope ON approvals.rules
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

-- A change of what guards a collective's money. Rows are never deleted.
CREATE TABLE approvals.pending_changes (
    id             uuid        NOT NULL,
    collective     text        NOT NULL,
    kind           text        NOT NULL,
    -- The name of the resource that it changes.
    subject        text        NOT NULL,
    -- The whole values, as the setting's owner wrote them: what it is compared with and becomes.
    before         jsonb       NOT NULL,
    after          jsonb       NOT NULL,
    -- The values for people, shortened; '' for none.
    before_text    text        NOT NULL,
    after_text     text        NOT NULL,
    state          text        NOT NULL DEFAULT 'pending',
    -- The name of a key, or members/{member}; the decider is '' while it waits, and when it expired.
    requester      text        NOT NULL,
    requester_name text        NOT NULL,
    decider        text        NOT NULL DEFAULT '',
    decider_name   text        NOT NULL DEFAULT '',
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    -- NULL while it waits.
    decided_at     timestamptz,

    CONSTRAINT pending_changes_pkey PRIMARY KEY (id),
    CONSTRAINT pending_changes_collective_fkey FOREIGN KEY (collective) REFERENCES collectives.collectives (id),
    CONSTRAINT pending_changes_kind_known CHECK (kind IN (
        'bank_account', 'refund_approval', 'alert_emails', 'two_person_rule', 'api_key'
    )),
    CONSTRAINT pending_changes_state_known CHECK (state IN ('pending', 'approved', 'rejected', 'canceled', 'expired')),
    CONSTRAINT pending_changes_decided CHECK (
        (decided_at IS NULL) = (state = 'pending')
        AND (decider <> '') = (state IN ('approved', 'rejected', 'canceled'))
    ),
    -- Four eyes, as far as names tell. Package access compares the people.
    CONSTRAINT pending_changes_second_person CHECK (state NOT IN ('approved', 'rejected') OR decider <> requester),
    CONSTRAINT pending_changes_expire_later CHECK (expires_at > created_at)
);

-- Of one setting one change waits at a time.
CREATE UNIQUE INDEX pending_changes_waiting_key ON approvals.pending_changes (collective, kind, subject)
    WHERE state = 'pending';
-- Lists, newest first.
CREATE INDEX pending_changes_list_idx ON approvals.pending_changes (collective, created_at DESC, id DESC);
-- Those that expire. Small at all times.
CREATE INDEX pending_changes_expiry_idx ON approvals.pending_changes (expires_at, id)
    WHERE state = 'pending';

-- What was asked does not change, and what is decided stays so.
-- +goose StatementBegin
CREATE FUNCTION approvals.check_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF (OLD.id, OLD.collective, OLD.kind, OLD.subject, OLD.before, OLD.after, OLD.before_text, OLD.after_text, OLD.requester,
        OLD.requester_name, OLD.created_at, OLD.expires_at)
        IS DISTINCT FROM
       (NEW.id, NEW.collective, NEW.kind, NEW.subject, NEW.before, NEW.after, NEW.before_text, NEW.after_text, NEW.requester,
        NEW.requester_name, NEW.created_at, NEW.expires_at)
    THEN
        RAISE EXCEPTION 'what was asked for does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'pending_changes_immutable';
    END IF;
    IF OLD.state <> 'pending' THEN
        RAISE EXCEPTION 'a change that is % is decided', OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'pending_changes_state_forward';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER pending_changes_check_change
    BEFORE UPDATE ON approvals.pending_changes
    FOR EACH ROW
    EXECUTE FUNCTION approvals.check_change();

GRANT SELECT, INSERT, UPDATE (state, decider, decider_name, decided_at) ON approvals.pending_changes TO cagnotte_service;

ALTER TABLE approvals.pending_changes ENABLE ROW LEVEL SECURITY;
CREATE POLICY pending_changes_scope ON approvals.pending_changes
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );
