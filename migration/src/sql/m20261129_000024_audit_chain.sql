-- Who, from where, and what it was before; and a chain of hashes per team, so that a row which somebody with the owner's
-- rights edits or removes is found.

ALTER TABLE audit_events
    ADD COLUMN session_id   bigint,
    -- 'token', 'session', 'operator' (somebody who runs the installation, from another team) or 'system'.
    ADD COLUMN actor        text NOT NULL DEFAULT 'system' CHECK (actor IN ('token', 'session', 'operator', 'system')),
    -- What the product itself was about.
    ADD COLUMN actor_reason text,
    -- As far as the proxies in front of us can be believed.
    ADD COLUMN ip_address   text,
    -- {field: {before?, after?}}; of a secret only 'set', 'changed', 'removed'.
    ADD COLUMN changes      jsonb NOT NULL DEFAULT '{}',
    -- A row outlives the person.
    DROP CONSTRAINT audit_events_user_id_fkey;
UPDATE audit_events SET actor = 'token' WHERE token_id IS NOT NULL;

-- In the order in which the transactions ended, which is not that of the ids. A row is the hash over the hash before it
-- and the event.
CREATE TABLE audit_chain (
    team_id        bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    seq            bigint NOT NULL,
    -- Without a foreign key: the chain must tell of an event that is gone.
    audit_event_id bigint NOT NULL UNIQUE,
    hash           bytea NOT NULL,
    PRIMARY KEY (team_id, seq)
);
SELECT tenant_rules('audit_chain');
REVOKE INSERT, UPDATE, DELETE ON audit_chain FROM holdfast_app;

CREATE FUNCTION audit_hash(previous bytea, seq bigint, e audit_events) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT sha256(coalesce(previous, ''::bytea) || convert_to(jsonb_build_array(
        seq, e.id, e.team_id, e.actor, e.actor_reason, e.user_id, e.token_id, e.session_id, e.ip_address, e.action,
        e.subject, e.changes, e.details, (extract(epoch FROM e.created_at) * 1000000)::bigint)::text, 'UTF8'))
$$;

-- Runs when the transaction commits (see the trigger): the team's lock is held for that moment alone, and after every
-- other lock, so that acts of one team wait for each other only there and never in a circle.
CREATE FUNCTION chain_audit_event() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    last audit_chain;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('audit_chain', NEW.team_id));
    -- Gone with its team; or chained already, where a copy of the whole database is loaded.
    IF NOT EXISTS (SELECT 1 FROM audit_events e WHERE e.id = NEW.id)
       OR EXISTS (SELECT 1 FROM audit_chain c WHERE c.audit_event_id = NEW.id) THEN
        RETURN NULL;
    END IF;
    SELECT * INTO last FROM audit_chain c WHERE c.team_id = NEW.team_id ORDER BY c.seq DESC LIMIT 1;
    INSERT INTO audit_chain (team_id, seq, audit_event_id, hash)
    VALUES (NEW.team_id, coalesce(last.seq, 0) + 1, NEW.id, audit_hash(last.hash, coalesce(last.seq, 0) + 1, NEW));
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION chain_audit_event() FROM PUBLIC;
CREATE CONSTRAINT TRIGGER chain_audit_event AFTER INSERT ON audit_events DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION chain_audit_event();

-- Rows from before.
DO $$
DECLARE
    e audit_events;
    last audit_chain;
BEGIN
    FOR e IN SELECT * FROM audit_events ORDER BY id LOOP
        SELECT * INTO last FROM audit_chain c WHERE c.team_id = e.team_id ORDER BY c.seq DESC LIMIT 1;
        INSERT INTO audit_chain (team_id, seq, audit_event_id, hash)
        VALUES (e.team_id, coalesce(last.seq, 0) + 1, e.id, audit_hash(last.hash, coalesce(last.seq, 0) + 1, e));
    END LOOP;
END $$;
CREATE INDEX audit_events_subject ON audit_events (team_id, subject);
