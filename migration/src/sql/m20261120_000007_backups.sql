-- Restore points: a row appears in the transaction that ends the run, never before.

CREATE TABLE backups (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id          bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    backup_task_id   bigint NOT NULL,
    backup_run_id    bigint NOT NULL UNIQUE,
    remote_server_id bigint NOT NULL,
    -- What it was called then.
    task_label       text NOT NULL,
    encryption_mode  text NOT NULL CHECK (encryption_mode IN ('managed', 'recipients', 'password', 'none')),
    has_warnings     boolean NOT NULL,
    original_size    bigint NOT NULL,
    stored_size      bigint NOT NULL,
    nfiles           bigint NOT NULL,
    manifest         jsonb NOT NULL,
    held             boolean NOT NULL DEFAULT false,
    recycled_at      timestamptz,
    deleted_at       timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (team_id, id),
    FOREIGN KEY (team_id, backup_task_id) REFERENCES backup_tasks (team_id, id),
    FOREIGN KEY (team_id, backup_run_id) REFERENCES backup_runs (team_id, id),
    FOREIGN KEY (team_id, remote_server_id) REFERENCES remote_servers (team_id, id)
);
SELECT tenant_rules('backups');
CREATE INDEX backups_task ON backups (backup_task_id, id DESC);

CREATE TABLE backup_streams (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id        bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    backup_id      bigint NOT NULL,
    position       integer NOT NULL,
    name           text NOT NULL,
    format         text NOT NULL CHECK (format IN ('tar', 'sql', 'pgdump')),
    original_size  bigint NOT NULL,
    original_sha256 text NOT NULL,
    stored_size    bigint NOT NULL,
    stored_sha256  text NOT NULL,
    nfiles         bigint NOT NULL,
    UNIQUE (backup_id, position),
    UNIQUE (team_id, id),
    FOREIGN KEY (team_id, backup_id) REFERENCES backups (team_id, id) ON DELETE CASCADE
);
SELECT tenant_rules('backup_streams');

CREATE TABLE backup_copies (
    id                    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id               bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    backup_id             bigint NOT NULL,
    backup_destination_id bigint NOT NULL,
    state                 text NOT NULL CHECK (state IN ('committed', 'failed', 'recycled', 'deleted')),
    -- 1: head, tail and random chunks authenticated; 2: read whole; 3: restored. NULL: not verified.
    verified_level        smallint,
    verified_at           timestamptz,
    error_code            text,
    error_message         text,
    created_at            timestamptz NOT NULL DEFAULT now(),
    UNIQUE (backup_id, backup_destination_id),
    UNIQUE (team_id, id),
    FOREIGN KEY (team_id, backup_id) REFERENCES backups (team_id, id) ON DELETE CASCADE,
    FOREIGN KEY (team_id, backup_destination_id) REFERENCES backup_destinations (team_id, id)
);
SELECT tenant_rules('backup_copies');

CREATE TABLE backup_copy_objects (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id          bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    backup_copy_id   bigint NOT NULL,
    backup_stream_id bigint,
    kind             text NOT NULL CHECK (kind IN ('stream', 'index', 'manifest')),
    -- Order of a stream's objects, where one object could not hold it.
    part             integer NOT NULL DEFAULT 0,
    name             text NOT NULL,
    size_bytes       bigint NOT NULL,
    sha256           text NOT NULL,
    FOREIGN KEY (team_id, backup_copy_id) REFERENCES backup_copies (team_id, id) ON DELETE CASCADE,
    FOREIGN KEY (team_id, backup_stream_id) REFERENCES backup_streams (team_id, id) ON DELETE CASCADE
);
SELECT tenant_rules('backup_copy_objects');
CREATE INDEX backup_copy_objects_copy ON backup_copy_objects (backup_copy_id);
