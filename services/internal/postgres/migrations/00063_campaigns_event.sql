-- Campaigns that are events, with a day and a place.
--
-- On a million rows: a moment; campaigns are locked for it, and no row is written.

-- +goose Up

-- The day, when it begins by the clock of the place ('' where it is not said), and where. No day: no event.
ALTER TABLE campaigns.campaigns ADD COLUMN event_date date;
ALTER TABLE campaigns.campaigns ADD COLUMN event_time text NOT NULL DEFAULT '';
ALTER TABLE campaigns.campaigns ADD COLUMN event_place text NOT NULL DEFAULT '';

ALTER TABLE campaigns.campaigns ADD CONSTRAINT campaigns_event CHECK (
    CASE
        WHEN event_date IS NULL THEN event_time = '' AND event_place = ''
        ELSE event_place <> '' AND event_time ~ '^(([01][0-9]|2[0-3]):[0-5][0-9])?$'
    END
) NOT VALID;

GRANT UPDATE (event_date, event_time, event_place) ON campaigns.campaigns TO cagnotte_service;
