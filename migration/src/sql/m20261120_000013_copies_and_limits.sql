-- How long a run of a task may take, and copies of a backup that are made later.

-- NULL: the operator's limit alone.
ALTER TABLE backup_tasks ADD COLUMN max_duration_secs integer CHECK (max_duration_secs > 0);

-- A copy that is being made later: `queued`, then `running` under a lease, then `committed` or `failed`. Its objects are
-- recorded in `backup_copy_objects` before they are made; those of a `failed` copy are what is to be removed.
ALTER TABLE backup_copies DROP CONSTRAINT backup_copies_state_check;
ALTER TABLE backup_copies ADD CONSTRAINT backup_copies_state_check
    CHECK (state IN ('queued', 'running', 'committed', 'failed', 'recycled', 'deleting', 'deleted'));
ALTER TABLE backup_copies
    ADD COLUMN requested_by        bigint REFERENCES users (id),
    ADD COLUMN epoch               integer NOT NULL DEFAULT 0,
    ADD COLUMN attempts            integer NOT NULL DEFAULT 0,
    ADD COLUMN owner               text,
    ADD COLUMN lease_until         timestamptz,
    ADD COLUMN not_before          timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN step                text,
    ADD COLUMN cancel_requested_at timestamptz,
    -- domain::progress::Progress
    ADD COLUMN progress            jsonb NOT NULL DEFAULT '{}';
CREATE INDEX backup_copies_unfinished ON backup_copies (not_before) WHERE state IN ('queued', 'running');
CREATE INDEX backup_copies_failed ON backup_copies (id) WHERE state = 'failed';

-- Whoever removes what an attempt left holds its record for a time: a copy that is made later has the same names, and
-- must not be hit by a removal that is still under way.
ALTER TABLE backup_run_objects ADD COLUMN removing_until timestamptz;

CREATE FUNCTION claim_backup_copy(copy_id bigint, new_owner text, lease_secs double precision, max_attempts integer)
    RETURNS TABLE (team_id bigint, epoch integer, attempt integer)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE backup_copies c
    SET epoch = c.epoch + 1, attempts = c.attempts + 1, owner = new_owner, state = 'running', step = 'prepare',
        lease_until = now() + make_interval(secs => lease_secs)
    WHERE c.id = copy_id AND c.cancel_requested_at IS NULL AND c.attempts < max_attempts AND c.not_before <= now()
      AND (c.state = 'queued' OR (c.state = 'running' AND c.lease_until < now()))
    RETURNING c.team_id, c.epoch, c.attempts
$$;

-- Copies in the making that nobody works on: to be nudged (claimable) or ended (attempts used up, or cancelled).
CREATE FUNCTION stray_backup_copies(max_attempts integer, queued_secs double precision, at_most integer)
    RETURNS TABLE (team_id bigint, backup_copy_id bigint, epoch integer, verdict text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT c.team_id, c.id, c.epoch,
           CASE WHEN c.cancel_requested_at IS NOT NULL THEN 'cancel'
                WHEN c.attempts >= max_attempts THEN 'abandon' ELSE 'nudge' END
    FROM backup_copies c
    WHERE (c.state = 'queued' AND c.not_before + make_interval(secs => queued_secs) < now())
       OR (c.state = 'running' AND c.lease_until < now())
    ORDER BY c.id LIMIT at_most
$$;

-- Failed copies whose recorded objects may still lie there.
CREATE FUNCTION copies_with_leftovers(at_most integer) RETURNS TABLE (team_id bigint, backup_copy_id bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT c.team_id, c.id FROM backup_copies c
    WHERE c.state = 'failed' AND EXISTS (SELECT 1 FROM backup_copy_objects o WHERE o.backup_copy_id = c.id)
    ORDER BY c.id LIMIT at_most
$$;

-- What acts with the owner's rights is for the application alone.
DO $$
DECLARE
    f text;
BEGIN
    FOREACH f IN ARRAY ARRAY['claim_backup_copy(bigint, text, double precision, integer)',
                             'stray_backup_copies(integer, double precision, integer)',
                             'copies_with_leftovers(integer)'] LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO holdfast_app', f);
    END LOOP;
END $$;
