-- How the api finds a worker, and the single-use tickets it sends to a worker's data plane.

CREATE TABLE workers (
    name           text PRIMARY KEY,
    version        text NOT NULL,
    data_plane_url text NOT NULL,
    store_ids      text[] NOT NULL,
    running        integer NOT NULL DEFAULT 0,
    capacity       integer NOT NULL,
    started_at     timestamptz NOT NULL DEFAULT now(),
    seen_at        timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE, DELETE ON workers TO holdfast_app;

CREATE TABLE tickets (
    secret_hash bytea PRIMARY KEY,
    team_id     bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id     bigint REFERENCES users (id),
    -- domain::ticket::TicketAction
    action      jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz
);
SELECT tenant_rules('tickets');
CREATE INDEX tickets_expiry ON tickets (expires_at);

-- Uses a ticket up: a second use, or one after its time, finds nothing.
CREATE FUNCTION use_ticket(wanted_hash bytea) RETURNS TABLE (team_id bigint, user_id bigint, action jsonb)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE tickets t SET used_at = now()
    WHERE t.secret_hash = wanted_hash AND t.used_at IS NULL AND t.expires_at > now()
    RETURNING t.team_id, t.user_id, t.action
$$;

CREATE FUNCTION purge_tickets() RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH gone AS (DELETE FROM tickets WHERE expires_at < now() - interval '1 hour' RETURNING 1) SELECT count(*) FROM gone
$$;
