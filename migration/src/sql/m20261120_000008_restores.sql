-- Giving data back: the same lease, epoch and states as a run.

CREATE TABLE restores (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id             bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id             bigint REFERENCES users (id),
    backup_id           bigint NOT NULL,
    backup_copy_id      bigint,
    remote_server_id    bigint NOT NULL,
    -- domain::restore::RestoreSpec
    spec                jsonb NOT NULL,
    seal_id             uuid NOT NULL,
    sealed_password     bytea,
    status              text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'verifying', 'succeeded',
                            'succeeded_with_warnings', 'failed', 'cancelled')),
    epoch               integer NOT NULL DEFAULT 0,
    attempts            integer NOT NULL DEFAULT 0,
    owner               text,
    lease_until         timestamptz,
    not_before          timestamptz NOT NULL DEFAULT now(),
    step                text,
    cancel_requested_at timestamptz,
    process_terminated  boolean,
    error_code          text,
    error_message       text,
    warnings            jsonb NOT NULL DEFAULT '[]',
    warning_count       bigint NOT NULL DEFAULT 0,
    progress            jsonb NOT NULL DEFAULT '{}',
    created_at          timestamptz NOT NULL DEFAULT now(),
    started_at          timestamptz,
    completed_at        timestamptz,
    UNIQUE (team_id, id),
    FOREIGN KEY (team_id, backup_id) REFERENCES backups (team_id, id),
    FOREIGN KEY (team_id, backup_copy_id) REFERENCES backup_copies (team_id, id),
    FOREIGN KEY (team_id, remote_server_id) REFERENCES remote_servers (team_id, id)
);
SELECT tenant_rules('restores');
CREATE INDEX restores_unfinished ON restores (not_before) WHERE status IN ('queued', 'running', 'verifying');

CREATE FUNCTION claim_restore(wanted_id bigint, new_owner text, lease_secs double precision, max_attempts integer)
    RETURNS TABLE (team_id bigint, epoch integer, attempt integer)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE restores r
    SET epoch = r.epoch + 1, attempts = r.attempts + 1, owner = new_owner, status = 'running', step = 'prepare',
        lease_until = now() + make_interval(secs => lease_secs), started_at = coalesce(r.started_at, now())
    WHERE r.id = wanted_id AND r.cancel_requested_at IS NULL AND r.attempts < max_attempts AND r.not_before <= now()
      AND (r.status = 'queued' OR (r.status IN ('running', 'verifying') AND r.lease_until < now()))
    RETURNING r.team_id, r.epoch, r.attempts
$$;

CREATE FUNCTION stray_restores(max_attempts integer, queued_secs double precision, at_most integer)
    RETURNS TABLE (team_id bigint, restore_id bigint, epoch integer, verdict text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT r.team_id, r.id, r.epoch,
           CASE WHEN r.cancel_requested_at IS NOT NULL THEN 'cancel'
                WHEN r.attempts >= max_attempts THEN 'abandon' ELSE 'nudge' END
    FROM restores r
    WHERE (r.status = 'queued' AND r.not_before + make_interval(secs => queued_secs) < now())
       OR (r.status IN ('running', 'verifying') AND r.lease_until < now())
    ORDER BY r.id LIMIT at_most
$$;
