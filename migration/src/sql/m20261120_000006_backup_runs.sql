-- One execution of a task. The row is the truth; a queue job is a nudge that carries its id.

CREATE TABLE backup_runs (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id             bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    backup_task_id      bigint NOT NULL,
    -- In object names; random, so that names cannot be guessed or collide.
    ulid                text NOT NULL UNIQUE,
    trigger             text NOT NULL CHECK (trigger IN ('manual', 'schedule', 'webhook')),
    triggered_by        bigint REFERENCES users (id),
    scheduled_for       timestamptz,
    -- NULL: the task's own destinations.
    destination_ids     bigint[],
    status              text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'verifying', 'succeeded',
                            'succeeded_with_warnings', 'partial', 'failed', 'cancelled', 'skipped', 'missed')),
    -- Fencing: rises with every claim; every write of a worker says which epoch it believes in.
    epoch               integer NOT NULL DEFAULT 0,
    attempts            integer NOT NULL DEFAULT 0,
    owner               text,
    lease_until         timestamptz,
    -- Not to be claimed before.
    not_before          timestamptz NOT NULL DEFAULT now(),
    step                text,
    cancel_requested_at timestamptz,
    process_terminated  boolean,
    error_code          text,
    error_message       text,
    -- [{code, path?, message}], capped; warning_count counts all.
    warnings            jsonb NOT NULL DEFAULT '[]',
    warning_count       bigint NOT NULL DEFAULT 0,
    -- domain::progress::Progress
    progress            jsonb NOT NULL DEFAULT '{}',
    transfer_ms         bigint,
    created_at          timestamptz NOT NULL DEFAULT now(),
    started_at          timestamptz,
    completed_at        timestamptz,
    UNIQUE (team_id, id),
    UNIQUE (backup_task_id, scheduled_for),
    FOREIGN KEY (team_id, backup_task_id) REFERENCES backup_tasks (team_id, id)
);
SELECT tenant_rules('backup_runs');
-- One active run a task: the race-free form of "already running".
CREATE UNIQUE INDEX backup_runs_active ON backup_runs (backup_task_id) WHERE status IN ('queued', 'running', 'verifying');
CREATE INDEX backup_runs_unfinished ON backup_runs (not_before) WHERE status IN ('queued', 'running', 'verifying');
CREATE INDEX backup_runs_latest ON backup_runs (backup_task_id, id DESC);

-- Lineage: every try of a run.
CREATE TABLE backup_run_attempts (
    team_id       bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    backup_run_id bigint NOT NULL,
    epoch         integer NOT NULL,
    worker        text NOT NULL,
    started_at    timestamptz NOT NULL DEFAULT now(),
    ended_at      timestamptz,
    -- 'succeeded', 'failed', 'cancelled', 'abandoned'; NULL while it lasts.
    outcome       text,
    error_code    text,
    error_message text,
    PRIMARY KEY (backup_run_id, epoch),
    FOREIGN KEY (team_id, backup_run_id) REFERENCES backup_runs (team_id, id) ON DELETE CASCADE
);
SELECT tenant_rules('backup_run_attempts');

CREATE TABLE backup_run_lines (
    team_id       bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    backup_run_id bigint NOT NULL,
    line_number   integer NOT NULL,
    at            timestamptz NOT NULL DEFAULT now(),
    content       text NOT NULL,
    PRIMARY KEY (backup_run_id, line_number),
    FOREIGN KEY (team_id, backup_run_id) REFERENCES backup_runs (team_id, id) ON DELETE CASCADE
);
SELECT tenant_rules('backup_run_lines');

-- Every object an attempt may leave behind, noted before it is created and marked when it is committed or removed:
-- what a killed worker left is found by record, never by a pattern.
CREATE TABLE backup_run_objects (
    id                    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id               bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    backup_run_id         bigint NOT NULL,
    epoch                 integer NOT NULL,
    backup_destination_id bigint NOT NULL,
    name                  text NOT NULL,
    state                 text NOT NULL DEFAULT 'writing' CHECK (state IN ('writing', 'committed', 'removed')),
    created_at            timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (team_id, backup_run_id) REFERENCES backup_runs (team_id, id) ON DELETE CASCADE,
    FOREIGN KEY (team_id, backup_destination_id) REFERENCES backup_destinations (team_id, id)
);
SELECT tenant_rules('backup_run_objects');
CREATE INDEX backup_run_objects_writing ON backup_run_objects (backup_run_id) WHERE state = 'writing';

-- Claim: the attempt is counted before any work, so a run that kills its worker is counted too.
CREATE FUNCTION claim_backup_run(run_id bigint, new_owner text, lease_secs double precision, max_attempts integer)
    RETURNS TABLE (team_id bigint, epoch integer, attempt integer)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    claimed backup_runs;
BEGIN
    UPDATE backup_runs r
    SET epoch = r.epoch + 1, attempts = r.attempts + 1, owner = new_owner, status = 'running', step = 'prepare',
        lease_until = now() + make_interval(secs => lease_secs), started_at = coalesce(r.started_at, now())
    WHERE r.id = run_id AND r.cancel_requested_at IS NULL AND r.attempts < max_attempts AND r.not_before <= now()
      AND (r.status = 'queued' OR (r.status IN ('running', 'verifying') AND r.lease_until < now()))
    RETURNING * INTO claimed;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE backup_run_attempts a SET ended_at = now(), outcome = 'abandoned'
    WHERE a.backup_run_id = run_id AND a.ended_at IS NULL;
    INSERT INTO backup_run_attempts (team_id, backup_run_id, epoch, worker)
    VALUES (claimed.team_id, run_id, claimed.epoch, new_owner);
    RETURN QUERY SELECT claimed.team_id, claimed.epoch, claimed.attempts;
END $$;

-- Unfinished runs that nobody works on: to be nudged (claimable) or ended (attempts used up, or cancelled).
CREATE FUNCTION stray_backup_runs(max_attempts integer, queued_secs double precision, at_most integer)
    RETURNS TABLE (team_id bigint, backup_run_id bigint, epoch integer, verdict text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT r.team_id, r.id, r.epoch,
           CASE WHEN r.cancel_requested_at IS NOT NULL THEN 'cancel'
                WHEN r.attempts >= max_attempts THEN 'abandon' ELSE 'nudge' END
    FROM backup_runs r
    WHERE (r.status = 'queued' AND r.not_before + make_interval(secs => queued_secs) < now())
       OR (r.status IN ('running', 'verifying') AND r.lease_until < now())
    ORDER BY r.id LIMIT at_most
$$;

-- Runs whose ended attempts left objects: old epochs, and all of runs that are over.
CREATE FUNCTION runs_with_leftovers(at_most integer) RETURNS TABLE (team_id bigint, backup_run_id bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT DISTINCT o.team_id, o.backup_run_id
    FROM backup_run_objects o JOIN backup_runs r ON r.id = o.backup_run_id
    WHERE o.state = 'writing' AND (o.epoch < r.epoch OR r.status NOT IN ('queued', 'running', 'verifying')
                                   OR r.status = 'queued' OR r.lease_until < now())
    ORDER BY o.backup_run_id LIMIT at_most
$$;
