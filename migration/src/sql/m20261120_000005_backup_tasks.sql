-- The definition of a backup: what, when, where, how long.

CREATE TABLE backup_tasks (
    id                         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id                    bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id                    bigint NOT NULL REFERENCES users (id),
    remote_server_id           bigint NOT NULL,
    label                      text NOT NULL,
    description                text,
    type                       text NOT NULL CHECK (type IN ('files', 'database')),
    -- domain::source::SourceSpec
    source                     jsonb NOT NULL,
    frequency                  text NOT NULL CHECK (frequency IN ('daily', 'weekly', 'custom', 'manual')),
    time_to_run_at             text,
    custom_cron                text,
    -- NULL: the schedule is in UTC.
    timezone                   text,
    weekday                    smallint CHECK (weekday BETWEEN 0 AND 6),
    next_run_at                timestamptz,
    max_backups                integer NOT NULL CHECK (max_backups >= 0),
    appended_filename          text,
    store_path                 text,
    encryption_mode            text NOT NULL DEFAULT 'managed' CHECK (encryption_mode IN ('managed', 'recipients', 'password', 'none')),
    encryption_recipients      text[] NOT NULL DEFAULT '{}',
    seal_id                    uuid NOT NULL,
    sealed_encryption_password bytea,
    isolated_username          text,
    sealed_isolated_password   bytea,
    sealed_source_password     bytea,
    paused_at                  timestamptz,
    last_run_at                timestamptz,
    deleted_at                 timestamptz,
    created_at                 timestamptz NOT NULL DEFAULT now(),
    updated_at                 timestamptz NOT NULL DEFAULT now(),
    UNIQUE (team_id, id),
    FOREIGN KEY (team_id, remote_server_id) REFERENCES remote_servers (team_id, id)
);
SELECT tenant_rules('backup_tasks');
CREATE INDEX backup_tasks_due ON backup_tasks (next_run_at) WHERE deleted_at IS NULL AND paused_at IS NULL;
CREATE INDEX backup_tasks_server ON backup_tasks (remote_server_id) WHERE deleted_at IS NULL;

-- In the order of `position`; the first is page 003's `backup_destination_id`.
CREATE TABLE backup_task_destinations (
    team_id               bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    backup_task_id        bigint NOT NULL,
    backup_destination_id bigint NOT NULL,
    position              integer NOT NULL,
    PRIMARY KEY (backup_task_id, backup_destination_id),
    UNIQUE (backup_task_id, position),
    FOREIGN KEY (team_id, backup_task_id) REFERENCES backup_tasks (team_id, id) ON DELETE CASCADE,
    FOREIGN KEY (team_id, backup_destination_id) REFERENCES backup_destinations (team_id, id)
);
SELECT tenant_rules('backup_task_destinations');
CREATE INDEX backup_task_destinations_destination ON backup_task_destinations (backup_destination_id);

-- Locks due tasks of every team for the caller's transaction; another scheduler skips them.
CREATE FUNCTION due_backup_tasks(at_most integer) RETURNS TABLE (team_id bigint, backup_task_id bigint)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT t.team_id, t.id FROM backup_tasks t
    WHERE t.deleted_at IS NULL AND t.paused_at IS NULL AND t.next_run_at <= now()
    ORDER BY t.next_run_at LIMIT at_most
    FOR UPDATE SKIP LOCKED
$$;
