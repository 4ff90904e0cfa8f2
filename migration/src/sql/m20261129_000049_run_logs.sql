-- The log of a run: each line once, and no more than an operator wants to keep.

-- Of the epoch `log_epoch`, so many lines were said and are written (or left out for want of room): a worker that does not
-- know whether its last write arrived says the same lines again, and they are known.
ALTER TABLE backup_runs
    ADD COLUMN log_epoch integer NOT NULL DEFAULT 0,
    ADD COLUMN log_said  integer NOT NULL DEFAULT 0,
    -- Bytes of its lines.
    ADD COLUMN log_bytes bigint NOT NULL DEFAULT 0;

UPDATE backup_runs r SET log_bytes = l.bytes
FROM (SELECT backup_run_id, sum(octet_length(content)) AS bytes FROM backup_run_lines GROUP BY backup_run_id) l
WHERE l.backup_run_id = r.id;

-- Removes logs of runs that are over: those that ended long ago, and of each team the oldest beyond so many bytes. Either
-- limit may be 0, which is none. How many went; the runs stay.
CREATE FUNCTION purge_run_logs(max_age_secs double precision, team_max_bytes bigint, at_most integer) RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH going AS (
        SELECT s.id
        FROM (SELECT r.id, r.status, r.completed_at,
                     sum(r.log_bytes) OVER (PARTITION BY r.team_id ORDER BY r.id DESC) AS newer_and_own
              FROM backup_runs r WHERE r.log_bytes > 0) s
        WHERE s.status NOT IN ('queued', 'running', 'verifying')
          AND ((max_age_secs > 0 AND s.completed_at + make_interval(secs => max_age_secs) < now())
               OR (team_max_bytes > 0 AND s.newer_and_own > team_max_bytes))
        ORDER BY s.id LIMIT at_most
    ), lines AS (
        DELETE FROM backup_run_lines l USING going g WHERE l.backup_run_id = g.id
    ), emptied AS (
        UPDATE backup_runs r SET log_bytes = 0 FROM going g WHERE r.id = g.id RETURNING r.id
    )
    SELECT count(*) FROM emptied
$$;

REVOKE EXECUTE ON FUNCTION purge_run_logs(double precision, bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION purge_run_logs(double precision, bigint, integer) TO holdfast_app;
