-- When servers and destinations are looked at next, whether or not anything needs them. Whoever registers one is given time to
-- set it up.
ALTER TABLE remote_servers ADD COLUMN next_watch_at timestamptz NOT NULL DEFAULT now() + interval '15 minutes';
ALTER TABLE backup_destinations ADD COLUMN next_watch_at timestamptz NOT NULL DEFAULT now() + interval '15 minutes';
CREATE INDEX remote_servers_watched ON remote_servers (next_watch_at) WHERE deleted_at IS NULL;
CREATE INDEX backup_destinations_watched ON backup_destinations (next_watch_at) WHERE deleted_at IS NULL;

-- What is there already does not come due in one moment.
UPDATE remote_servers SET next_watch_at = now() + random() * interval '1 hour';
UPDATE backup_destinations SET next_watch_at = now() + random() * interval '1 hour';

-- Takes what is due, so that of several workers one looks, and a worker that dies over it costs one look. A tenth more or
-- less each time: what came due together does not stay together. A server that let us in lately is not asked again, and a
-- local destination is looked at where its store is, or by anybody where no living worker holds it.
CREATE FUNCTION take_watched(at_most integer, every_secs double precision, taker text, stores text[],
                             alive_secs double precision)
    RETURNS TABLE (team_id bigint, remote_server_id bigint, backup_destination_id bigint)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH due_servers AS (
        SELECT x.id FROM remote_servers x JOIN teams g ON g.id = x.team_id
        WHERE x.next_watch_at <= now() AND x.deleted_at IS NULL AND g.suspended_at IS NULL
        ORDER BY x.next_watch_at LIMIT at_most FOR UPDATE OF x SKIP LOCKED
    ), servers AS (
        UPDATE remote_servers x SET next_watch_at = now() + make_interval(secs => every_secs * (0.9 + random() * 0.2))
        FROM due_servers d WHERE x.id = d.id
        RETURNING x.team_id, x.id, x.connectivity, x.last_connected_at
    ), due_destinations AS (
        SELECT x.id FROM backup_destinations x JOIN teams g ON g.id = x.team_id
        WHERE x.next_watch_at <= now() AND x.deleted_at IS NULL AND g.suspended_at IS NULL
          AND (x.type <> 'local' OR is_store_here(x.store_id, stores) OR NOT is_store_elsewhere(x.store_id, taker, alive_secs))
        ORDER BY x.next_watch_at LIMIT at_most FOR UPDATE OF x SKIP LOCKED
    ), destinations AS (
        UPDATE backup_destinations x
        SET next_watch_at = now() + make_interval(secs => every_secs * (0.9 + random() * 0.2))
        FROM due_destinations d WHERE x.id = d.id
        RETURNING x.team_id, x.id
    )
    SELECT s.team_id, s.id, NULL::bigint FROM servers s
    WHERE s.connectivity <> 'online' OR s.last_connected_at IS NULL
       OR s.last_connected_at < now() - make_interval(secs => every_secs / 2)
    UNION ALL
    SELECT d.team_id, NULL::bigint, d.id FROM destinations d
$$;
REVOKE EXECUTE ON FUNCTION take_watched(integer, double precision, text, text[], double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_watched(integer, double precision, text, text[], double precision) TO holdfast_app;
