-- What a run owes its server, and a backup that is recorded while its run still has scripts to run.

-- Since when scripts before have begun whose counterparts, `always` after, have not run. Set before the first of them starts:
-- whatever becomes of the worker, somebody starts again what was stopped.
ALTER TABLE backup_runs ADD COLUMN scripts_owed_at timestamptz;
-- Of a run that is over: not to be paid before.
ALTER TABLE backup_runs ADD COLUMN scripts_retry_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE backup_runs ADD COLUMN scripts_tries integer NOT NULL DEFAULT 0;
-- How the run ends, once its backup is recorded and only its scripts on success are left. From then on it cannot fail.
ALTER TABLE backup_runs ADD COLUMN committed_as text
    CHECK (committed_as IN ('succeeded', 'succeeded_with_warnings', 'partial'));
CREATE INDEX backup_runs_owing ON backup_runs (scripts_retry_at) WHERE scripts_owed_at IS NOT NULL;

-- Runs that are over and owe scripts. Not while another run of the task is under way: it has taken the debt over, or is
-- about to.
CREATE FUNCTION runs_owing_scripts(at_most integer) RETURNS TABLE (team_id bigint, backup_run_id bigint, epoch integer)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT r.team_id, r.id, r.epoch FROM backup_runs r
    WHERE r.scripts_owed_at IS NOT NULL AND r.scripts_retry_at <= now()
      AND r.status NOT IN ('queued', 'running', 'verifying')
      AND NOT EXISTS (SELECT 1 FROM backup_runs o WHERE o.backup_task_id = r.backup_task_id
                                                    AND o.status IN ('running', 'verifying'))
    ORDER BY r.scripts_retry_at LIMIT at_most
$$;

REVOKE EXECUTE ON FUNCTION runs_owing_scripts(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION runs_owing_scripts(integer) TO holdfast_app;
