-- A small shop: every kind of thing that a dump can forget, and one table of {rows} rows that gives it its size.
CREATE SCHEMA "second schema";
CREATE TYPE mood AS ENUM ('calm', 'busy', 'née');
CREATE SEQUENCE ticket START 1000;
CREATE TABLE customer (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    mood mood,
    tags text[],
    born date,
    profile jsonb,
    seen timestamptz,
    photo bytea,
    name_length integer GENERATED ALWAYS AS (length(name)) STORED
);
INSERT INTO customer (name, mood, tags, born, profile, seen, photo)
SELECT 'customer ' || g || ' 𝄞 ''"\', (ARRAY['calm', 'busy', 'née', NULL])[1 + g % 4]::mood, ARRAY['a', 'b,c', NULL, g::text],
       date '1950-01-01' + g % 20000, jsonb_build_object('n', g, 'list', jsonb_build_array(g, g + 1)),
       timestamptz '2026-01-01 00:00:00Z' + g * interval '1 minute', decode(md5(g::text) || '00ff0a27', 'hex')
FROM generate_series(1, 5000) g;
CREATE TABLE "second schema"."order ""line"" — 𝄞" (
    id integer PRIMARY KEY DEFAULT nextval('ticket'),
    customer_id bigint NOT NULL REFERENCES customer ON DELETE CASCADE,
    amount numeric(12, 3) CHECK (amount >= 0),
    "--note" text
);
INSERT INTO "second schema"."order ""line"" — 𝄞" (customer_id, amount, "--note")
SELECT 1 + g % 5000, g / 7.0, E'line\nbreak\ttab ' || g FROM generate_series(1, 20000) g;
CREATE TABLE event (
    id bigint NOT NULL, at timestamptz NOT NULL, kind text, token text, message text
) PARTITION BY RANGE (id);
CREATE TABLE event_low PARTITION OF event FOR VALUES FROM (0) TO (1000000);
CREATE TABLE event_high PARTITION OF event DEFAULT;
INSERT INTO event
SELECT g, timestamptz '2026-01-01 00:00:00Z' + g * interval '1 second', (ARRAY['log in', 'log out', 'order', 'refund'])[1 + g % 4],
       md5(g::text) || md5((g * 7)::text) || md5((g * 11)::text) || md5((g * 13)::text),
       'The request ' || g || ' of customer ' || g % 5000 || ' was answered in ' || g % 997 || ' ms with status ' || 200 + g % 5 ||
       '. It asked for /shop/item/' || g % 70001 || '/view?from=' || g % 31 || ' and read ' || g * 17 % 100003 || ' bytes from the disk. ' ||
       'Nothing unusual was seen; the session is ' || md5((g % 9001)::text) || ', its language ' || (ARRAY['da', 'de', 'en', 'fr'])[1 + g % 4] || '.'
FROM generate_series(1, {rows}) g;
CREATE INDEX event_at ON event (at);
CREATE VIEW busy AS SELECT id, name FROM customer WHERE mood = 'busy';
CREATE MATERIALIZED VIEW kinds AS SELECT kind, count(*) AS n FROM event GROUP BY kind;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.seen := now(); RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION touch();
ANALYZE;
