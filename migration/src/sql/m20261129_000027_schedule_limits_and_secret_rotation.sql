-- Two small things of what a team has: its limit of runs holds for schedules, and a webhook's secret is changed without a gap.

-- A due task whose team has as many runs at once as it may stays due until one ends.
DROP FUNCTION due_backup_tasks(integer);

-- Locks due tasks for the caller's transaction, and their teams, under whose lock runs are counted and made; another
-- scheduler skips them, and so does one that meets a request of the same team. A task of which a run is active is
-- returned whatever the limit: its due time is skipped. `usual_runs_at_once` is the limit of teams that have none of their
-- own, 0 = no limit.
CREATE FUNCTION due_backup_tasks(at_most integer, usual_runs_at_once bigint)
    RETURNS TABLE (team_id bigint, backup_task_id bigint)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT t.team_id, t.id FROM backup_tasks t
    JOIN teams g ON g.id = t.team_id
    CROSS JOIN LATERAL (
        SELECT coalesce((SELECT (l.limits ->> 'runs_at_once')::bigint FROM team_limits l WHERE l.team_id = t.team_id),
                        usual_runs_at_once) AS runs_at_once) allowed
    WHERE t.deleted_at IS NULL AND t.paused_at IS NULL AND t.next_run_at <= now()
      AND (allowed.runs_at_once <= 0
           OR (SELECT count(*) FROM backup_runs r
               WHERE r.team_id = t.team_id AND r.status IN ('queued', 'running', 'verifying')) < allowed.runs_at_once
           OR EXISTS (SELECT 1 FROM backup_runs r
                      WHERE r.backup_task_id = t.id AND r.status IN ('queued', 'running', 'verifying')))
    ORDER BY t.next_run_at LIMIT at_most
    FOR UPDATE OF t SKIP LOCKED FOR NO KEY UPDATE OF g SKIP LOCKED
$$;
REVOKE EXECUTE ON FUNCTION due_backup_tasks(integer, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION due_backup_tasks(integer, bigint) TO holdfast_app;

-- The signing secret from before the last change, which signs too until then. Sealed as the one that it was.
ALTER TABLE notification_streams
    ADD COLUMN sealed_previous_second_value bytea,
    ADD COLUMN previous_until timestamptz;
