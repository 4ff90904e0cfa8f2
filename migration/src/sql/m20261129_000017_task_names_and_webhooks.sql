-- A name for a task that scripts may use, the secret that starts one from outside, and logs that somebody deleted.

ALTER TABLE backup_tasks ADD COLUMN alias text CHECK (alias ~ '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$' AND length(alias) <= 64);
CREATE UNIQUE INDEX backup_tasks_alias ON backup_tasks (team_id, alias) WHERE deleted_at IS NULL;

-- Whoever knows the secret may start the task; a row is there while one is set.
CREATE TABLE backup_task_webhooks (
    backup_task_id bigint PRIMARY KEY,
    team_id        bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    -- SHA-256.
    secret_hash    bytea NOT NULL,
    last_used_at   timestamptz,
    created_at     timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (team_id, backup_task_id) REFERENCES backup_tasks (team_id, id) ON DELETE CASCADE
);
SELECT tenant_rules('backup_task_webhooks');

-- The team of a task whose webhook has this secret; nothing for a wrong secret, an absent task, a deleted one or a
-- suspended team.
CREATE FUNCTION find_task_webhook(wanted_task bigint, wanted_hash bytea) RETURNS TABLE (team_id bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT w.team_id
    FROM backup_task_webhooks w
    JOIN backup_tasks t ON t.id = w.backup_task_id
    JOIN teams g ON g.id = w.team_id
    WHERE w.backup_task_id = wanted_task AND w.secret_hash = wanted_hash
      AND t.deleted_at IS NULL AND g.suspended_at IS NULL
$$;
REVOKE EXECUTE ON FUNCTION find_task_webhook(bigint, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_task_webhook(bigint, bytea) TO holdfast_app;

-- The lines of such a run are gone and no more are kept; the run itself and its backup stay.
ALTER TABLE backup_runs ADD COLUMN log_deleted_at timestamptz;
-- Lists of runs and logs, newest last.
CREATE INDEX backup_runs_team ON backup_runs (team_id, id);
