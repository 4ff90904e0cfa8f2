-- What `/metrics` says of single tasks and workers, by their ids and nothing else of them; and whether the schema is what a
-- program needs.

CREATE INDEX backup_runs_started ON backup_runs (started_at) WHERE scheduled_for IS NOT NULL;

-- The oldest tasks that are not deleted, each with its latest run that is over and its latest success. The labels of a time
-- series are kept for long, so it is always the same tasks of which figures are given.
CREATE FUNCTION task_figures(at_most integer)
    RETURNS TABLE (team_id bigint, task_id bigint, is_paused boolean, last_status text, success_at timestamptz,
                   success_age_secs double precision, success_secs double precision, original_size bigint, stored_size bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT t.team_id, t.id, t.paused_at IS NOT NULL, l.status, s.completed_at,
           extract(epoch FROM now() - s.completed_at)::float8,
           extract(epoch FROM s.completed_at - coalesce(s.started_at, s.created_at))::float8,
           (s.progress ->> 'original_size')::bigint, (s.progress ->> 'stored_size')::bigint
    FROM (SELECT * FROM backup_tasks WHERE deleted_at IS NULL ORDER BY id LIMIT at_most) t
    LEFT JOIN LATERAL (SELECT r.status FROM backup_runs r
                       WHERE r.backup_task_id = t.id AND r.status NOT IN ('queued', 'running', 'verifying', 'skipped')
                       ORDER BY r.id DESC LIMIT 1) l ON true
    LEFT JOIN LATERAL (SELECT r.* FROM backup_runs r
                       WHERE r.backup_task_id = t.id AND r.status IN ('succeeded', 'succeeded_with_warnings')
                       ORDER BY r.id DESC LIMIT 1) s ON true
    ORDER BY t.id
$$;

CREATE FUNCTION task_count() RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT count(*) FROM backup_tasks WHERE deleted_at IS NULL
$$;

-- How late the scheduled runs of the last hour began: the median, the 99th part, the latest, and how many there were.
CREATE FUNCTION start_lateness()
    RETURNS TABLE (runs bigint, half_secs double precision, most_secs double precision, max_secs double precision)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT count(*), coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY late), 0),
           coalesce(percentile_cont(0.99) WITHIN GROUP (ORDER BY late), 0), coalesce(max(late), 0)
    FROM (SELECT greatest(extract(epoch FROM started_at - scheduled_for), 0)::float8 AS late
          FROM backup_runs WHERE scheduled_for IS NOT NULL AND started_at > now() - interval '1 hour') r
$$;

-- Whether a migration of that name was applied.
CREATE FUNCTION has_migration(wanted text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT EXISTS (SELECT 1 FROM seaql_migrations WHERE version = wanted)
$$;

DO $$
DECLARE
    f text;
BEGIN
    FOREACH f IN ARRAY ARRAY['task_figures(integer)', 'task_count()', 'start_lateness()', 'has_migration(text)'] LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO holdfast_app', f);
    END LOOP;
END $$;
