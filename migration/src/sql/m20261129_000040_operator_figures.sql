-- What `/metrics` says of the database: counts over all teams, and nothing of any one of them. Every count has a partial
-- index of the rows that it counts.

CREATE INDEX deliveries_dead ON deliveries (id) WHERE state = 'dead';

CREATE FUNCTION operator_figures()
    RETURNS TABLE (runs_queued bigint, runs_running bigint, oldest_queued_secs double precision, restores_queued bigint,
                   restores_running bigint, copies_unfinished bigint, deliveries_open bigint, deliveries_dead bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT r.queued, r.running, r.oldest, e.queued, e.running, c.unfinished, o.open, d.dead
    FROM (SELECT count(*) FILTER (WHERE status = 'queued') AS queued,
                 count(*) FILTER (WHERE status <> 'queued') AS running,
                 -- Negative of a run that waits for its next attempt.
                 greatest(extract(epoch FROM now() - min(not_before) FILTER (WHERE status = 'queued')), 0)::float8 AS oldest
          FROM backup_runs WHERE status IN ('queued', 'running', 'verifying')) r,
         (SELECT count(*) FILTER (WHERE status = 'queued') AS queued,
                 count(*) FILTER (WHERE status <> 'queued') AS running
          FROM restores WHERE status IN ('queued', 'running', 'verifying')) e,
         (SELECT count(*) AS unfinished FROM backup_copies WHERE state IN ('queued', 'running')) c,
         (SELECT count(*) AS open FROM deliveries WHERE state IN ('pending', 'sending')) o,
         (SELECT count(*) AS dead FROM deliveries WHERE state = 'dead') d
$$;

REVOKE EXECUTE ON FUNCTION operator_figures() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION operator_figures() TO holdfast_app;
