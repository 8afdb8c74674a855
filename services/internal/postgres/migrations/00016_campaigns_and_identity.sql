-- Campaigns get an image, news, another name and an end as drafts; collectives get a public profile; images are stored.
--
-- On a million rows: a moment; campaigns, donations, pledges, offline donations and expenses are locked for it, and no row is
-- written.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS images;
GRANT USAGE ON SCHEMA images TO cagnotte_service;

-- One picture. It is removed when nothing names it for a day.
CREATE TABLE images.images (
    collective text        NOT NULL,
    -- The SHA-256 of the largest variant, in hexadecimal digits.
    id         text        NOT NULL,
    width      integer     NOT NULL,
    height     integer     NOT NULL,
    -- When it was stored, or sent again.
    created_at timestamptz NOT NULL,

    CONSTRAINT images_pkey PRIMARY KEY (collective, id),
    CONSTRAINT images_collective_fkey FOREIGN KEY (collective) REFERENCES collectives.collectives (id),
    CONSTRAINT images_id_check CHECK (id ~ '^[0-9a-f]{64}$'),
    CONSTRAINT images_size_check CHECK (width > 0 AND height > 0)
);

-- Lists, newest first.
CREATE INDEX images_list_idx ON images.images (collective, created_at DESC, id DESC);

-- The bytes of an image in one width.
CREATE TABLE images.variants (
    collective   text    NOT NULL,
    image        text    NOT NULL,
    width        integer NOT NULL,
    content_type text    NOT NULL,
    body         bytea   NOT NULL,

    CONSTRAINT variants_pkey PRIMARY KEY (collective, image, width),
    CONSTRAINT variants_image_fkey FOREIGN KEY (collective, image) REFERENCES images.images (collective, id) ON DELETE CASCADE,
    CONSTRAINT variants_content_type_check CHECK (content_type IN ('image/jpeg', 'image/png')),
    CONSTRAINT variants_body_check CHECK (length(body) BETWEEN 1 AND 4194304)
);

GRANT SELECT, INSERT, DELETE ON images.images TO cagnotte_service;
GRANT UPDATE (created_at) ON images.images TO cagnotte_service;
GRANT SELECT, INSERT ON images.variants TO cagnotte_service;

-- What a collective tells the public about itself. A collective without a row has an empty profile.
CREATE TABLE collectives.profiles (
    collective    text        NOT NULL,
    -- {"fr": {"about": …, "legal_notice": …, "logo_alt": …}, …}. Read and written as a whole.
    texts         jsonb       NOT NULL,
    contact_email text        NOT NULL,
    contact_url   text        NOT NULL,
    website       text        NOT NULL,
    -- The id of an image; NULL for none.
    logo          text,
    version       bigint      NOT NULL,
    updated_at    timestamptz NOT NULL,

    CONSTRAINT profiles_pkey PRIMARY KEY (collective),
    CONSTRAINT profiles_collective_fkey FOREIGN KEY (collective) REFERENCES collectives.collectives (id),
    CONSTRAINT profiles_logo_fkey FOREIGN KEY (collective, logo) REFERENCES images.images (collective, id),
    CONSTRAINT profiles_texts_check CHECK (jsonb_typeof(texts) = 'object'),
    CONSTRAINT profiles_links_check CHECK (
        contact_url ~ '^(https://.*)?$'
        AND website ~ '^(https://.*)?$'
        AND char_length(contact_url) <= 500
        AND char_length(website) <= 500
        AND char_length(contact_email) <= 254
    )
);

GRANT SELECT, INSERT ON collectives.profiles TO cagnotte_service;
GRANT UPDATE (texts, contact_email, contact_url, website, logo, version, updated_at) ON collectives.profiles TO cagnotte_service;

-- The id of an image; NULL for none.
ALTER TABLE campaigns.campaigns ADD COLUMN image text;
ALTER TABLE campaigns.campaigns ADD CONSTRAINT campaigns_image_fkey
    FOREIGN KEY (collective, image) REFERENCES images.images (collective, id) NOT VALID;

GRANT DELETE ON campaigns.campaigns TO cagnotte_service;
GRANT UPDATE (id, image) ON campaigns.campaigns TO cagnotte_service;

-- What happened since a campaign began. A renamed campaign keeps its news, and a deleted draft takes them with it.
CREATE TABLE campaigns.news (
    collective   text        NOT NULL,
    campaign     text        NOT NULL,
    id           uuid        NOT NULL,
    request_id   uuid        NOT NULL,
    -- Of the request that created it, so that the same id with other content is refused.
    fingerprint  bytea       NOT NULL,
    -- {"fr": {"title": …, "text": …}, …}. Read and written as a whole.
    texts        jsonb       NOT NULL,
    state        text        NOT NULL,
    published_at timestamptz,
    version      bigint      NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,

    CONSTRAINT news_pkey PRIMARY KEY (id),
    CONSTRAINT news_request_key UNIQUE (collective, campaign, request_id),
    CONSTRAINT news_campaign_fkey FOREIGN KEY (collective, campaign) REFERENCES campaigns.campaigns (collective, id)
        ON UPDATE CASCADE ON DELETE CASCADE,
    CONSTRAINT news_texts_check CHECK (coalesce(texts #>> '{fr,title}', '') <> ''),
    CONSTRAINT news_state_check CHECK (state IN ('draft', 'published', 'withdrawn')),
    CONSTRAINT news_published_at_check CHECK ((state = 'draft') = (published_at IS NULL))
);

-- Lists, newest first.
CREATE INDEX news_list_idx ON campaigns.news (collective, campaign, (coalesce(published_at, created_at)) DESC, id DESC);

GRANT SELECT, INSERT, DELETE ON campaigns.news TO cagnotte_service;
GRANT UPDATE (texts, state, published_at, version, updated_at) ON campaigns.news TO cagnotte_service;

-- Origins whose pages asked for a campaign and are not allowed to. The service keeps a few for each campaign.
CREATE TABLE campaigns.refused_origins (
    collective text        NOT NULL,
    campaign   text        NOT NULL,
    origin     text        NOT NULL,
    count      bigint      NOT NULL,
    first_at   timestamptz NOT NULL,
    last_at    timestamptz NOT NULL,

    CONSTRAINT refused_origins_pkey PRIMARY KEY (collective, campaign, origin),
    CONSTRAINT refused_origins_campaign_fkey FOREIGN KEY (collective, campaign) REFERENCES campaigns.campaigns (collective, id)
        ON UPDATE CASCADE ON DELETE CASCADE,
    CONSTRAINT refused_origins_origin_check CHECK (origin ~ '^https?://' AND char_length(origin) <= 253),
    CONSTRAINT refused_origins_count_check CHECK (count > 0)
);

GRANT SELECT, INSERT, DELETE ON campaigns.refused_origins TO cagnotte_service;
GRANT UPDATE (count, last_at) ON campaigns.refused_origins TO cagnotte_service;

-- A campaign changes its id, or is deleted, only while no donation, pledge, offline donation, expense or entry of the books
-- refers to it. Whoever adds one of these holds the name until the commit: see hold_name. The functions run as their owner, so
-- that what the caller may see does not decide.
-- +goose StatementBegin
CREATE FUNCTION campaigns.keep_used() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog
AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.state <> 'draft' THEN
        RAISE EXCEPTION 'campaign %/% is %, and only drafts are deleted', OLD.collective, OLD.id, OLD.state
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'campaigns_delete_drafts';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('campaigns/' || OLD.collective || '/' || OLD.id, 0));
    -- A statement of its own, and so with a snapshot from after the lock.
    IF EXISTS (SELECT FROM donations.donations AS d WHERE d.collective = OLD.collective AND d.campaign = OLD.id)
        OR EXISTS (SELECT FROM treasury.pledges AS p WHERE p.collective = OLD.collective AND p.campaign = OLD.id)
        OR EXISTS (SELECT FROM treasury.offline_donations AS o WHERE o.collective = OLD.collective AND o.campaign = OLD.id)
        OR EXISTS (SELECT FROM treasury.expenses AS e WHERE e.collective = OLD.collective AND e.campaign = OLD.id)
        OR EXISTS (SELECT FROM ledger.entries AS l WHERE l.collective = OLD.collective AND l.campaign = OLD.id)
    THEN
        RAISE EXCEPTION 'campaign %/% is referred to', OLD.collective, OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'campaigns_in_use';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER campaigns_keep_used_name
    BEFORE UPDATE ON campaigns.campaigns
    FOR EACH ROW
    WHEN (NEW.id <> OLD.id OR NEW.collective <> OLD.collective)
    EXECUTE FUNCTION campaigns.keep_used();

CREATE TRIGGER campaigns_keep_used
    BEFORE DELETE ON campaigns.campaigns
    FOR EACH ROW
    EXECUTE FUNCTION campaigns.keep_used();

-- Rows that name a campaign have no foreign key to it, since thousands of them would share one row. Instead each holds the
-- name by a shared lock, which a rename waits for. A row that came too late is tried again, and then finds no campaign.
-- +goose StatementBegin
CREATE FUNCTION campaigns.hold_name() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('campaigns/' || NEW.collective || '/' || NEW.campaign, 0));
    -- A statement of its own, and so with a snapshot from after the lock.
    IF NOT EXISTS (SELECT FROM campaigns.campaigns AS c WHERE c.collective = NEW.collective AND c.id = NEW.campaign) THEN
        RAISE EXCEPTION 'there is no campaign %/%', NEW.collective, NEW.campaign
            USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER donations_hold_campaign
    BEFORE INSERT ON donations.donations
    FOR EACH ROW
    EXECUTE FUNCTION campaigns.hold_name();

CREATE TRIGGER pledges_hold_campaign
    BEFORE INSERT ON treasury.pledges
    FOR EACH ROW
    EXECUTE FUNCTION campaigns.hold_name();

CREATE TRIGGER offline_donations_hold_campaign
    BEFORE INSERT ON treasury.offline_donations
    FOR EACH ROW
    EXECUTE FUNCTION campaigns.hold_name();

CREATE TRIGGER expenses_hold_campaign
    BEFORE INSERT ON treasury.expenses
    FOR EACH ROW
    WHEN (NEW.campaign <> '')
    EXECUTE FUNCTION campaigns.hold_name();
