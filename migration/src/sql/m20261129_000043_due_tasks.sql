-- The scheduler takes due tasks of many teams at once: locks them, is told what stands against a run, and writes runs and
-- next times in the same transaction. What keeps a due time from being lost or doubled: the locks, that transaction, and
-- that (task, due time) is unique among the runs.

-- How many seconds until the next task is due; below 0 where one is, NULL where none ever will be. One index scan, however
-- many tasks there are.
CREATE FUNCTION next_task_due_secs() RETURNS double precision
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT extract(epoch FROM min(t.next_run_at) - clock_timestamp())::double precision FROM backup_tasks t
    WHERE t.deleted_at IS NULL AND t.paused_at IS NULL
$$;

-- Locks due tasks for the caller's transaction, and their teams, under whose lock runs are counted and made; another
-- scheduler skips them, and so does one that meets a request of the same team. A team that has as many runs as it may is
-- passed over, but for tasks of which a run is active: their due time is skipped whatever the limit. `passed_over` are tasks that
-- made trouble in this round. The usual limits are of teams that have none of their own; 0 = no limit.
CREATE FUNCTION lock_due_tasks(at_most integer, passed_over bigint[], usual_runs_at_once bigint, usual_stored_bytes bigint)
    RETURNS TABLE (id bigint, team_id bigint, seal_id uuid, next_run_at timestamptz, next_slot_at timestamptz,
                   frequency text, time_to_run_at text, custom_cron text, timezone text, weekday smallint,
                   weekdays smallint[], minute smallint, month_day smallint, interval_secs integer,
                   interval_from timestamptz, window_from text, window_until text, jitter_secs integer, catch_up text,
                   is_suspended boolean, is_active boolean, room bigint, is_full boolean)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    chosen bigint[];
    full_teams bigint[] := '{}';
BEGIN
    IF usual_runs_at_once > 0 OR EXISTS (SELECT FROM team_limits l WHERE l.limits ? 'runs_at_once') THEN
        full_teams := ARRAY(
            SELECT r.team_id FROM backup_runs r LEFT JOIN team_limits l ON l.team_id = r.team_id
            WHERE r.status IN ('queued', 'running', 'verifying')
            GROUP BY r.team_id, l.limits
            HAVING count(*) >= nullif(coalesce((l.limits ->> 'runs_at_once')::bigint, usual_runs_at_once), 0));
    END IF;
    chosen := ARRAY(
        SELECT t.id FROM backup_tasks t JOIN teams g ON g.id = t.team_id
        WHERE t.deleted_at IS NULL AND t.paused_at IS NULL AND t.next_run_at <= now() AND t.id <> ALL (passed_over)
          AND (t.team_id <> ALL (full_teams)
               OR EXISTS (SELECT FROM backup_runs r
                          WHERE r.backup_task_id = t.id AND r.status IN ('queued', 'running', 'verifying')))
        ORDER BY t.next_run_at LIMIT at_most
        FOR UPDATE OF t SKIP LOCKED FOR NO KEY UPDATE OF g SKIP LOCKED);
    -- A statement of its own, after the locks: it sees what was committed before they were had.
    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT t.* FROM backup_tasks t WHERE t.id = ANY (chosen)
    ), team AS MATERIALIZED (
        SELECT g.id, g.suspended_at IS NOT NULL AS is_suspended,
               nullif(coalesce((l.limits ->> 'runs_at_once')::bigint, usual_runs_at_once), 0) AS runs_at_once,
               nullif(coalesce((l.limits ->> 'stored_bytes')::bigint, usual_stored_bytes), 0) AS stored_bytes
        FROM teams g LEFT JOIN team_limits l ON l.team_id = g.id
        WHERE g.id IN (SELECT d.team_id FROM due d)
    ), active AS MATERIALIZED (
        SELECT r.team_id, count(*) AS n FROM backup_runs r
        WHERE r.status IN ('queued', 'running', 'verifying')
          AND r.team_id IN (SELECT g.id FROM team g WHERE g.runs_at_once IS NOT NULL)
        GROUP BY r.team_id
    ), stored AS MATERIALIZED (
        SELECT o.team_id, sum(o.size_bytes) AS n FROM backup_copy_objects o
        JOIN backup_copies c ON c.id = o.backup_copy_id
        WHERE c.state IN ('running', 'committed', 'recycled', 'deleting')
          AND o.team_id IN (SELECT g.id FROM team g WHERE g.stored_bytes IS NOT NULL)
        GROUP BY o.team_id
    )
    SELECT d.id, d.team_id, d.seal_id, d.next_run_at, d.next_slot_at, d.frequency, d.time_to_run_at, d.custom_cron,
           d.timezone, d.weekday, d.weekdays, d.minute, d.month_day, d.interval_secs, d.interval_from, d.window_from,
           d.window_until, d.jitter_secs, d.catch_up, g.is_suspended,
           EXISTS (SELECT FROM backup_runs r
                   WHERE r.backup_task_id = d.id AND r.status IN ('queued', 'running', 'verifying')),
           CASE WHEN g.runs_at_once IS NOT NULL THEN greatest(g.runs_at_once - coalesce(a.n, 0), 0) END, coalesce(s.n >= g.stored_bytes, false)
    FROM due d JOIN team g ON g.id = d.team_id
    LEFT JOIN active a ON a.team_id = d.team_id LEFT JOIN stored s ON s.team_id = d.team_id
    ORDER BY d.next_run_at, d.id;
END $$;

-- Rows for slots of tasks that the caller has locked and that are due: it can make a run of nothing else. What exists
-- already is not made again.
CREATE FUNCTION make_scheduled_runs(tasks bigint[], slots timestamptz[], ulids text[], statuses text[], whys text[])
    RETURNS TABLE (id bigint, backup_task_id bigint, status text)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO backup_runs (team_id, backup_task_id, ulid, trigger, scheduled_for, status, error_message, completed_at)
    SELECT t.team_id, t.id, p.ulid, 'schedule', p.slot, p.status, nullif(p.why, ''), CASE WHEN p.status <> 'queued' THEN now() END
    FROM unnest(tasks, slots, ulids, statuses, whys) WITH ORDINALITY AS p (task, slot, ulid, status, why, n)
    JOIN backup_tasks t ON t.id = p.task
    WHERE t.deleted_at IS NULL AND t.paused_at IS NULL AND t.next_run_at <= now()
      AND p.status IN ('queued', 'skipped', 'missed')
    ORDER BY p.n
    ON CONFLICT DO NOTHING RETURNING id, backup_task_id, status
$$;

-- When due tasks are due next, and for which slot; the epoch = never again.
CREATE FUNCTION set_next_due(tasks bigint[], next_runs timestamptz[], next_slots timestamptz[]) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE backup_tasks t
    SET next_run_at = nullif(p.next_run, 'epoch'), next_slot_at = nullif(p.next_slot, p.next_run)
    FROM unnest(tasks, next_runs, next_slots) AS p (task, next_run, next_slot)
    WHERE t.id = p.task AND t.next_run_at <= now()
$$;

REVOKE EXECUTE ON FUNCTION next_task_due_secs(), lock_due_tasks(integer, bigint[], bigint, bigint),
    make_scheduled_runs(bigint[], timestamptz[], text[], text[], text[]),
    set_next_due(bigint[], timestamptz[], timestamptz[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION next_task_due_secs(), lock_due_tasks(integer, bigint[], bigint, bigint),
    make_scheduled_runs(bigint[], timestamptz[], text[], text[], text[]),
    set_next_due(bigint[], timestamptz[], timestamptz[]) TO holdfast_app;
