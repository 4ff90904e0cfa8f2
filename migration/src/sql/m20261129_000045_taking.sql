-- A job of the queue is a nudge; which run or copy a worker takes is decided here. What belongs to the store of a living
-- worker is taken by nobody else, so it does not matter who hears of it first.

CREATE INDEX backup_runs_leased ON backup_runs (lease_until) WHERE status IN ('running', 'verifying');
CREATE INDEX backup_runs_queued ON backup_runs (not_before, id) WHERE status = 'queued';
CREATE INDEX backup_runs_queued_attempts ON backup_runs (attempts) WHERE status = 'queued';
CREATE INDEX backup_runs_queued_cancelled ON backup_runs (id) WHERE status = 'queued' AND cancel_requested_at IS NOT NULL;

-- Whether `store` is one of `stores`; NULL = a destination that lies in no store yet: any will do.
CREATE FUNCTION is_store_here(store text, stores text[]) RETURNS boolean
    LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN store IS NULL THEN cardinality(stores) > 0 ELSE store = ANY (stores) END
$$;

-- Whether a living worker other than `taker` holds `store`; NULL as above.
CREATE FUNCTION is_store_elsewhere(store text, taker text, alive_secs double precision) RETURNS boolean
    LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT EXISTS (SELECT FROM workers w WHERE w.name <> taker AND w.seen_at > now() - make_interval(secs => alive_secs)
                     AND is_store_here(store, w.store_ids))
$$;

-- The first of a run's local destinations whose store some living worker holds says who executes it: a run whose stores
-- are on two workers must not wander between them. Where nobody holds any, anybody may, and finds out.
CREATE FUNCTION may_take_backup_run(task bigint, destinations bigint[], taker text, stores text[],
                                    alive_secs double precision)
    RETURNS boolean
    LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT coalesce((
        SELECT place.is_here
        FROM (SELECT chosen.position, is_store_here(d.store_id, stores) AS is_here,
                     is_store_elsewhere(d.store_id, taker, alive_secs) AS is_elsewhere
              FROM (SELECT u.id, u.position FROM unnest(destinations) WITH ORDINALITY AS u (id, position)
                    UNION ALL
                    SELECT t.backup_destination_id, t.position FROM backup_task_destinations t
                    WHERE destinations IS NULL AND t.backup_task_id = task) chosen
              JOIN backup_destinations d ON d.id = chosen.id
              WHERE d.type = 'local' AND d.deleted_at IS NULL) place
        WHERE place.is_here OR place.is_elsewhere
        ORDER BY place.position LIMIT 1), true)
$$;

-- A copy is brought from another one by whoever reaches both. Of a source and a destination in two stores that is nobody;
-- where no living worker could, anybody may, and finds out.
CREATE FUNCTION may_take_backup_copy(backup bigint, destination bigint, taker text, stores text[],
                                     alive_secs double precision)
    RETURNS boolean
    LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT coalesce(bool_or(NOT way.is_local OR is_store_here(way.store, stores)), false)
        OR NOT coalesce(bool_or(way.is_local AND is_store_elsewhere(way.store, taker, alive_secs)), false)
    FROM (SELECT source.type = 'local' OR target.type = 'local' AS is_local,
                 coalesce(CASE source.type WHEN 'local' THEN source.store_id END,
                          CASE target.type WHEN 'local' THEN target.store_id END) AS store
          FROM backup_copies c
          JOIN backup_destinations source ON source.id = c.backup_destination_id
          JOIN backup_destinations target ON target.id = destination
          WHERE c.backup_id = backup AND c.state = 'committed' AND c.backup_destination_id <> destination
            AND NOT (source.type = 'local' AND target.type = 'local'
                     AND source.store_id IS NOT NULL AND target.store_id IS NOT NULL
                     AND source.store_id <> target.store_id)) way
$$;

-- Claims the run that `taker`, who holds `stores`, is to execute next: first what a dead worker left, then what has been
-- due longest. No row: there is none for it.
CREATE FUNCTION take_backup_run(taker text, stores text[], lease_secs double precision, max_attempts integer,
                                alive_secs double precision)
    RETURNS TABLE (id bigint, team_id bigint, epoch integer, attempt integer)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    chosen bigint;
BEGIN
    SELECT r.id INTO chosen FROM backup_runs r
    WHERE r.status IN ('running', 'verifying') AND r.lease_until < now() AND r.not_before <= now()
      AND r.cancel_requested_at IS NULL AND r.attempts < max_attempts
      AND may_take_backup_run(r.backup_task_id, r.destination_ids, taker, stores, alive_secs)
    ORDER BY r.lease_until LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF chosen IS NULL THEN
        SELECT r.id INTO chosen FROM backup_runs r
        WHERE r.status = 'queued' AND r.not_before <= now()
          AND r.cancel_requested_at IS NULL AND r.attempts < max_attempts
          AND may_take_backup_run(r.backup_task_id, r.destination_ids, taker, stores, alive_secs)
        ORDER BY r.not_before, r.id LIMIT 1 FOR UPDATE SKIP LOCKED;
    END IF;
    RETURN QUERY SELECT chosen, c.team_id, c.epoch, c.attempt
                 FROM claim_backup_run(chosen, taker, lease_secs, max_attempts) c;
END $$;

-- As above, of the copies in the making.
CREATE FUNCTION take_backup_copy(taker text, stores text[], lease_secs double precision, max_attempts integer,
                                 alive_secs double precision)
    RETURNS TABLE (id bigint, team_id bigint, epoch integer, attempt integer)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    chosen bigint;
BEGIN
    SELECT c.id INTO chosen FROM backup_copies c
    WHERE c.state IN ('queued', 'running') AND (c.state = 'queued' OR c.lease_until < now()) AND c.not_before <= now()
      AND c.cancel_requested_at IS NULL AND c.attempts < max_attempts
      AND may_take_backup_copy(c.backup_id, c.backup_destination_id, taker, stores, alive_secs)
    ORDER BY c.not_before, c.id LIMIT 1 FOR UPDATE SKIP LOCKED;
    RETURN QUERY SELECT chosen, c.team_id, c.epoch, c.attempt
                 FROM claim_backup_copy(chosen, taker, lease_secs, max_attempts) c;
END $$;

-- Unfinished and not worked on, and not to be: their attempts are used up, or somebody asked for their end.
CREATE FUNCTION backup_runs_to_end(max_attempts integer, at_most integer)
    RETURNS TABLE (team_id bigint, id bigint, epoch integer, verdict text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT r.team_id, r.id, r.epoch, CASE WHEN r.cancel_requested_at IS NOT NULL THEN 'cancel' ELSE 'abandon' END
    FROM (SELECT id FROM backup_runs WHERE status = 'queued' AND attempts >= max_attempts
          UNION
          SELECT id FROM backup_runs WHERE status = 'queued' AND cancel_requested_at IS NOT NULL
          UNION
          SELECT id FROM backup_runs
          WHERE status IN ('running', 'verifying') AND lease_until < now()
            AND (attempts >= max_attempts OR cancel_requested_at IS NOT NULL)) found
    JOIN backup_runs r ON r.id = found.id
    ORDER BY r.id LIMIT at_most
$$;

CREATE FUNCTION backup_copies_to_end(max_attempts integer, at_most integer)
    RETURNS TABLE (team_id bigint, id bigint, epoch integer, verdict text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT c.team_id, c.id, c.epoch, CASE WHEN c.cancel_requested_at IS NOT NULL THEN 'cancel' ELSE 'abandon' END
    FROM backup_copies c
    WHERE c.state IN ('queued', 'running') AND (c.state = 'queued' OR c.lease_until < now())
      AND (c.attempts >= max_attempts OR c.cancel_requested_at IS NOT NULL)
    ORDER BY c.id LIMIT at_most
$$;

-- What acts with the owner's rights is for the application alone.
DO $$
DECLARE
    f text;
BEGIN
    FOREACH f IN ARRAY ARRAY['take_backup_run(text, text[], double precision, integer, double precision)',
                             'take_backup_copy(text, text[], double precision, integer, double precision)',
                             'backup_runs_to_end(integer, integer)', 'backup_copies_to_end(integer, integer)'] LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO holdfast_app', f);
    END LOOP;
END $$;
