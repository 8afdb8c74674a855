-- Campaigns: what a collective raises money for.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS campaigns;
REVOKE ALL ON SCHEMA campaigns FROM PUBLIC;
GRANT USAGE ON SCHEMA campaigns TO cagnotte_service;

-- One campaign. Rows are never deleted, since donations and books refer to them.
CREATE TABLE campaigns.campaigns (
    collective      text        NOT NULL,
    -- The slug within the collective. It never changes.
    id              text        NOT NULL,
    -- {"fr": {"title": …, "story": …}, …}. Read and written as a whole, and never searched.
    texts           jsonb       NOT NULL,
    -- The currency of all amounts here, and of all donations.
    currency        text        NOT NULL,
    goal_minor      bigint      NOT NULL,
    presets_minor   bigint[]    NOT NULL,
    minimum_minor   bigint      NOT NULL,
    maximum_minor   bigint      NOT NULL,
    deadline        timestamptz,
    -- The stages of the case, in their order: [{"titles": {"fr": …}, "amount_minor": …}, …].
    stages          jsonb       NOT NULL,
    -- The sites that may embed the widget, as browsers send them in Origin.
    allowed_origins text[]      NOT NULL,
    state           text        NOT NULL,
    published_at    timestamptz,
    closed_at       timestamptz,
    version         bigint      NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,

    CONSTRAINT campaigns_pkey PRIMARY KEY (collective, id),
    CONSTRAINT campaigns_collective_fkey FOREIGN KEY (collective) REFERENCES collectives.collectives (id),
    CONSTRAINT campaigns_id_check CHECK (id ~ '^[a-z][a-z0-9-]{1,38}[a-z0-9]$'),
    CONSTRAINT campaigns_texts_check CHECK (coalesce(texts #>> '{fr,title}', '') <> ''),
    CONSTRAINT campaigns_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT campaigns_goal_check CHECK (goal_minor BETWEEN 1 AND 10000000000000),
    CONSTRAINT campaigns_bounds_check CHECK (minimum_minor BETWEEN 1 AND maximum_minor AND maximum_minor <= 99999999),
    CONSTRAINT campaigns_presets_check CHECK (
        minimum_minor <= ALL (presets_minor)
        AND maximum_minor >= ALL (presets_minor)
        AND array_position(presets_minor, NULL) IS NULL
    ),
    CONSTRAINT campaigns_stages_check CHECK (jsonb_typeof(stages) = 'array'),
    CONSTRAINT campaigns_allowed_origins_check CHECK (array_position(allowed_origins, NULL) IS NULL),
    CONSTRAINT campaigns_state_check CHECK (state IN ('draft', 'published', 'paused', 'closed')),
    CONSTRAINT campaigns_published_at_check CHECK ((state = 'draft') = (published_at IS NULL)),
    CONSTRAINT campaigns_closed_at_check CHECK ((state = 'closed') = (closed_at IS NOT NULL))
);

-- Lists, newest first.
CREATE INDEX campaigns_list_idx ON campaigns.campaigns (collective, created_at DESC, id DESC);

-- A closed campaign does not change, a published one does not become a draft again, and all donations of a campaign are
-- in one currency.
-- +goose StatementBegin
CREATE FUNCTION campaigns.keep_promises() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'campaign %/% is %, so this cannot change', OLD.collective, OLD.id, OLD.state
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'campaigns_keep_promises';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER campaigns_keep_promises
    BEFORE UPDATE ON campaigns.campaigns
    FOR EACH ROW
    WHEN (OLD.state = 'closed' OR OLD.state <> 'draft' AND (NEW.state = 'draft' OR NEW.currency <> OLD.currency))
    EXECUTE FUNCTION campaigns.keep_promises();

GRANT SELECT, INSERT ON campaigns.campaigns TO cagnotte_service;
GRANT UPDATE (
    texts,
    currency,
    goal_minor,
    presets_minor,
    minimum_minor,
    maximum_minor,
    deadline,
    stages,
    allowed_origins,
    state,
    published_at,
    closed_at,
    version,
    updated_at
) ON campaigns.campaigns TO cagnotte_service;
