-- Keeping: a task's rule, the recycle bin, and what is being deleted.

-- keep_last is max_backups. NULL and 0 are no limit.
ALTER TABLE backup_tasks
    ADD COLUMN max_age_secs bigint CHECK (max_age_secs > 0),
    ADD COLUMN keep_floor   integer NOT NULL DEFAULT 0 CHECK (keep_floor >= 0),
    -- How long what goes lies in the recycle bin; 0: it is deleted at once.
    ADD COLUMN recycle_secs bigint NOT NULL DEFAULT 0 CHECK (recycle_secs >= 0);

ALTER TABLE backups
    -- Much smaller than those before it: it pushes no better one out.
    ADD COLUMN is_doubtful boolean NOT NULL DEFAULT false,
    -- 'upload': brought by somebody. Such a backup never counts and never goes by a rule.
    ADD COLUMN origin      text NOT NULL DEFAULT 'run' CHECK (origin IN ('run', 'upload'));

-- 'deleting': decided and not to be read any more; its objects may be gone or not. 'deleted': they are gone.
ALTER TABLE backup_copies
    DROP CONSTRAINT backup_copies_state_check,
    ADD CONSTRAINT backup_copies_state_check CHECK (state IN ('committed', 'failed', 'recycled', 'deleting', 'deleted')),
    ADD COLUMN recycled_at  timestamptz,
    -- When its time in the bin is over.
    ADD COLUMN expires_at   timestamptz,
    -- A person put it into the bin, not a rule.
    ADD COLUMN is_asked_for boolean NOT NULL DEFAULT false,
    ADD COLUMN deleted_at   timestamptz;
CREATE INDEX backup_copies_deleting ON backup_copies (backup_id) WHERE state = 'deleting';
CREATE INDEX backup_copies_bin ON backup_copies (expires_at) WHERE state = 'recycled';
CREATE INDEX backup_copies_destination ON backup_copies (backup_destination_id, state);

-- One row a task that ever had something to prune: the lock under which copies are marked, and the lease under which
-- their objects are deleted.
CREATE TABLE prunes (
    backup_task_id bigint PRIMARY KEY,
    team_id        bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    -- A run committed since the rule was last applied.
    is_plan_due    boolean NOT NULL DEFAULT false,
    -- The run whose log tells what was done.
    backup_run_id  bigint,
    -- NULL: nothing to do.
    wanted_at      timestamptz,
    epoch          integer NOT NULL DEFAULT 0,
    owner          text,
    lease_until    timestamptz,
    -- How often it was asked for; in the key of the job.
    requests       bigint NOT NULL DEFAULT 0,
    -- Rounds in a row that could not delete everything.
    failures       integer NOT NULL DEFAULT 0,
    not_before     timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (team_id, backup_task_id) REFERENCES backup_tasks (team_id, id) ON DELETE CASCADE,
    FOREIGN KEY (team_id, backup_run_id) REFERENCES backup_runs (team_id, id)
);
SELECT tenant_rules('prunes');
CREATE INDEX prunes_wanted ON prunes (not_before) WHERE wanted_at IS NOT NULL;

CREATE FUNCTION claim_prune(wanted_task bigint, new_owner text, lease_secs double precision)
    RETURNS TABLE (team_id bigint, epoch integer)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE prunes p
    SET epoch = p.epoch + 1, owner = new_owner, lease_until = now() + make_interval(secs => lease_secs)
    WHERE p.backup_task_id = wanted_task AND p.wanted_at IS NOT NULL AND p.not_before <= now()
      AND (p.lease_until IS NULL OR p.lease_until < now())
    RETURNING p.team_id, p.epoch
$$;

-- Prunes that nobody works on although a worker that holds `store_ids` could: a plan is due, or objects are to be deleted
-- at a destination that it reaches.
CREATE FUNCTION stray_prunes(store_ids text[], idle_secs double precision, at_most integer)
    RETURNS TABLE (team_id bigint, backup_task_id bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT p.team_id, p.backup_task_id
    FROM prunes p
    WHERE p.wanted_at IS NOT NULL AND p.not_before + make_interval(secs => idle_secs) < now()
      AND (p.lease_until IS NULL OR p.lease_until < now())
      AND (p.is_plan_due OR EXISTS (
          SELECT 1 FROM backup_copies c
          JOIN backups b ON b.id = c.backup_id
          JOIN backup_destinations d ON d.id = c.backup_destination_id
          WHERE b.backup_task_id = p.backup_task_id AND c.state = 'deleting'
            AND (d.type <> 'local' OR d.store_id = ANY (store_ids))))
    ORDER BY p.not_before LIMIT at_most
$$;

-- Tasks with copies whose time in the bin is over.
CREATE FUNCTION tasks_with_expired_copies(at_most integer) RETURNS TABLE (team_id bigint, backup_task_id bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT b.team_id, b.backup_task_id
    FROM backup_copies c JOIN backups b ON b.id = c.backup_id
    WHERE c.state = 'recycled' AND c.expires_at <= now()
    GROUP BY b.team_id, b.backup_task_id
    ORDER BY min(c.expires_at) LIMIT at_most
$$;

DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT p.oid FROM pg_proc p WHERE p.prosecdef AND p.pronamespace = current_schema()::regnamespace LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO holdfast_app', f);
    END LOOP;
END $$;
