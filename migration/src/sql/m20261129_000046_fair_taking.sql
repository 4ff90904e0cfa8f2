-- How many runs at once a server and a destination take, in which order runs are taken, and what a run does that meets
-- another one of its task. One team's queue must not keep another team waiting, however long it is.

ALTER TABLE remote_servers ADD COLUMN runs_at_once integer NOT NULL DEFAULT 1 CHECK (runs_at_once BETWEEN 1 AND 100);
-- NULL: no limit.
ALTER TABLE backup_destinations ADD COLUMN runs_at_once integer CHECK (runs_at_once BETWEEN 1 AND 100);
ALTER TABLE backup_tasks
    -- 9 is taken first.
    ADD COLUMN priority   smallint NOT NULL DEFAULT 5 CHECK (priority BETWEEN 1 AND 9),
    ADD COLUMN on_overlap text NOT NULL DEFAULT 'refuse' CHECK (on_overlap IN ('refuse', 'queue', 'skip'));
ALTER TABLE backup_runs
    -- As its task's when it was queued, so that the order of runs is an index.
    ADD COLUMN remote_server_id      bigint,
    ADD COLUMN priority              smallint,
    -- Queued behind the unfinished run of its task; taken once that one is over.
    ADD COLUMN is_behind             boolean NOT NULL DEFAULT false,
    -- Where it writes, since it was taken.
    ADD COLUMN taken_destination_ids bigint[],
    -- The failed run that somebody tried again with this one.
    ADD COLUMN retry_of              bigint;
ALTER TABLE backup_runs ADD FOREIGN KEY (team_id, retry_of) REFERENCES backup_runs (team_id, id) ON DELETE SET NULL (retry_of);
UPDATE backup_runs r SET remote_server_id = t.remote_server_id, priority = t.priority
FROM backup_tasks t WHERE t.id = r.backup_task_id AND r.status IN ('queued', 'running', 'verifying');

-- For whoever queues a run without saying these.
CREATE FUNCTION place_backup_run() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    SELECT t.remote_server_id, t.priority INTO NEW.remote_server_id, NEW.priority
    FROM backup_tasks t WHERE t.id = NEW.backup_task_id;
    RETURN NEW;
END $$;
CREATE TRIGGER place_backup_run BEFORE INSERT ON backup_runs FOR EACH ROW
    WHEN (NEW.remote_server_id IS NULL OR NEW.priority IS NULL) EXECUTE FUNCTION place_backup_run();

DROP INDEX backup_runs_active;
CREATE UNIQUE INDEX backup_runs_active ON backup_runs (backup_task_id)
    WHERE status IN ('queued', 'running', 'verifying') AND NOT is_behind;
CREATE UNIQUE INDEX backup_runs_behind ON backup_runs (backup_task_id) WHERE status = 'queued' AND is_behind;
DROP INDEX backup_runs_queued, backup_runs_queued_attempts, backup_runs_queued_cancelled;
CREATE INDEX backup_runs_queued_again ON backup_runs (id)
    WHERE status = 'queued' AND (attempts > 0 OR cancel_requested_at IS NOT NULL);
CREATE INDEX backup_runs_order ON backup_runs (team_id, priority DESC, not_before, id) WHERE status = 'queued';
CREATE INDEX backup_runs_server_order ON backup_runs (team_id, remote_server_id, priority DESC, not_before, id)
    WHERE status = 'queued';
CREATE INDEX backup_runs_at_server ON backup_runs (remote_server_id) WHERE status IN ('running', 'verifying');
CREATE INDEX backup_runs_of_team ON backup_runs (team_id) WHERE status IN ('running', 'verifying');
CREATE INDEX backup_runs_at_destination ON backup_runs USING gin (taken_destination_ids)
    WHERE status IN ('running', 'verifying');

-- Whose turn it was: the team that was served last. Its lock makes takers count one after the other.
CREATE TABLE run_turns (
    is_only     boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    served_team bigint NOT NULL DEFAULT 0
);
INSERT INTO run_turns DEFAULT VALUES;

CREATE FUNCTION is_server_free(server bigint) RETURNS boolean
    LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT (SELECT count(*) FROM backup_runs a WHERE a.remote_server_id = server AND a.status IN ('running', 'verifying'))
           < (SELECT s.runs_at_once FROM remote_servers s WHERE s.id = server)
$$;

CREATE FUNCTION destinations_of_backup_run(task bigint, destinations bigint[]) RETURNS bigint[]
    LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT coalesce(destinations, (SELECT array_agg(t.backup_destination_id ORDER BY t.position)
                                   FROM backup_task_destinations t WHERE t.backup_task_id = task))
$$;

CREATE FUNCTION are_destinations_free(ids bigint[]) RETURNS boolean
    LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT NOT EXISTS (
        SELECT FROM backup_destinations d
        WHERE d.id = ANY (ids) AND d.runs_at_once IS NOT NULL
          AND d.runs_at_once <= (SELECT count(*) FROM backup_runs a
                                 WHERE a.taken_destination_ids @> ARRAY[d.id] AND a.status IN ('running', 'verifying')))
$$;

-- Whether a queued run may be taken by `taker` now.
CREATE FUNCTION is_backup_run_free(run backup_runs, taker text, stores text[], max_attempts integer,
                                   alive_secs double precision)
    RETURNS boolean
    LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT run.not_before <= now() AND run.cancel_requested_at IS NULL AND run.attempts < max_attempts
       AND is_server_free(run.remote_server_id)
       AND NOT (run.is_behind AND EXISTS (SELECT FROM backup_runs a
                                          WHERE a.backup_task_id = run.backup_task_id AND NOT a.is_behind
                                            AND a.status IN ('queued', 'running', 'verifying')))
       AND are_destinations_free(destinations_of_backup_run(run.backup_task_id, run.destination_ids))
       AND may_take_backup_run(run.backup_task_id, run.destination_ids, taker, stores, alive_secs)
$$;

-- The first of the next 100 in the team's order that is free. $1 team, $2 taker, $3 its stores, $4 attempts, $5 seconds.
-- (Numbered: a test looks at the plan.)
CREATE FUNCTION next_backup_run(bigint, text, text[], integer, double precision) RETURNS bigint
    LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT head.id FROM (
        SELECT r AS run, r.id, r.priority, r.not_before FROM backup_runs r WHERE r.status = 'queued' AND r.team_id = $1
        ORDER BY r.priority DESC, r.not_before, r.id LIMIT 100) head
    WHERE is_backup_run_free(head.run, $2, $3, $4, $5)
    ORDER BY head.priority DESC, head.not_before, head.id LIMIT 1
$$;

-- Where all of those wait for something: the same for each server that is free. One server's queue hides no other's.
CREATE FUNCTION next_backup_run_by_server(bigint, text, text[], integer, double precision) RETURNS bigint
    LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    WITH RECURSIVE servers AS (
        (SELECT r.remote_server_id AS id FROM backup_runs r WHERE r.status = 'queued' AND r.team_id = $1
         ORDER BY r.remote_server_id LIMIT 1)
        UNION ALL
        SELECT (SELECT r.remote_server_id FROM backup_runs r
                WHERE r.status = 'queued' AND r.team_id = $1 AND r.remote_server_id > s.id
                ORDER BY r.remote_server_id LIMIT 1)
        FROM servers s WHERE s.id IS NOT NULL)
    SELECT first.id FROM servers s CROSS JOIN LATERAL (
        SELECT head.* FROM (
            SELECT r AS run, r.id, r.priority, r.not_before FROM backup_runs r
            WHERE r.status = 'queued' AND r.team_id = $1 AND r.remote_server_id = s.id
            ORDER BY r.priority DESC, r.not_before, r.id LIMIT 100) head
        WHERE is_backup_run_free(head.run, $2, $3, $4, $5)
        ORDER BY head.priority DESC, head.not_before, head.id LIMIT 1) first
    WHERE s.id IS NOT NULL AND is_server_free(s.id)
    ORDER BY first.priority DESC, first.not_before, first.id LIMIT 1
$$;

CREATE OR REPLACE FUNCTION claim_backup_run(run_id bigint, new_owner text, lease_secs double precision, max_attempts integer)
    RETURNS TABLE (team_id bigint, epoch integer, attempt integer)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    claimed backup_runs;
BEGIN
    UPDATE backup_runs r
    SET epoch = r.epoch + 1, attempts = r.attempts + 1, owner = new_owner, status = 'running', step = 'prepare',
        lease_until = now() + make_interval(secs => lease_secs), started_at = coalesce(r.started_at, now()),
        is_behind = false, taken_destination_ids = destinations_of_backup_run(r.backup_task_id, r.destination_ids)
    WHERE r.id = run_id AND r.cancel_requested_at IS NULL AND r.attempts < max_attempts AND r.not_before <= now()
      AND (r.status = 'queued' OR (r.status IN ('running', 'verifying') AND r.lease_until < now()))
      AND NOT (r.is_behind AND EXISTS (SELECT FROM backup_runs a
                                       WHERE a.backup_task_id = r.backup_task_id AND NOT a.is_behind
                                         AND a.status IN ('queued', 'running', 'verifying')))
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

-- Whether a team may have one more run under way. `usual` is the limit of teams that have none of their own, 0 = none.
CREATE FUNCTION may_team_run(team bigint, usual bigint) RETURNS boolean
    LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT allowed.runs <= 0
        OR (SELECT count(*) FROM backup_runs a WHERE a.team_id = team AND a.status IN ('running', 'verifying')) < allowed.runs
    FROM (SELECT coalesce((SELECT (l.limits ->> 'runs_at_once')::bigint FROM team_limits l WHERE l.team_id = team),
                          usual) AS runs) allowed
$$;

-- The run that is `taker`'s to execute next: first what a dead worker left; then, of the teams in turn, that one's first
-- that nothing stands in the way of. At most `teams` teams are looked at; the next call goes on behind them.
DROP FUNCTION take_backup_run(text, text[], double precision, integer, double precision);
CREATE FUNCTION take_backup_run(taker text, stores text[], lease_secs double precision, max_attempts integer,
                                alive_secs double precision, usual_runs_at_once bigint)
    RETURNS TABLE (id bigint, team_id bigint, epoch integer, attempt integer)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    teams CONSTANT integer := 1000;
    turn bigint;
    team bigint;
    following bigint;
    chosen bigint;
    is_round boolean := false;
BEGIN
    SELECT r.id INTO chosen FROM backup_runs r
    WHERE r.status IN ('running', 'verifying') AND r.lease_until < now() AND r.not_before <= now()
      AND r.cancel_requested_at IS NULL AND r.attempts < max_attempts
      AND may_take_backup_run(r.backup_task_id, r.destination_ids, taker, stores, alive_secs)
    ORDER BY r.lease_until LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF chosen IS NOT NULL THEN
        RETURN QUERY SELECT chosen, c.team_id, c.epoch, c.attempt
                     FROM claim_backup_run(chosen, taker, lease_secs, max_attempts) c;
        RETURN;
    END IF;
    -- An idle worker asks once a second, and writes nothing.
    IF NOT EXISTS (SELECT FROM backup_runs r WHERE r.status = 'queued' AND r.not_before <= now()) THEN
        RETURN;
    END IF;
    SELECT t.served_team INTO STRICT turn FROM run_turns t FOR UPDATE;
    team := turn;
    FOR looked_at IN 1..teams LOOP
        SELECT r.team_id INTO following FROM backup_runs r WHERE r.status = 'queued' AND r.team_id > team
        ORDER BY r.team_id LIMIT 1;
        IF following IS NULL AND NOT is_round THEN
            is_round := true;
            SELECT r.team_id INTO following FROM backup_runs r WHERE r.status = 'queued' ORDER BY r.team_id LIMIT 1;
        END IF;
        IF following IS NULL OR (is_round AND following > turn) THEN
            RETURN;
        END IF;
        team := following;
        IF may_team_run(team, usual_runs_at_once) THEN
            chosen := coalesce(next_backup_run(team, taker, stores, max_attempts, alive_secs),
                               next_backup_run_by_server(team, taker, stores, max_attempts, alive_secs));
            IF chosen IS NOT NULL THEN
                UPDATE run_turns SET served_team = team;
                RETURN QUERY SELECT chosen, c.team_id, c.epoch, c.attempt
                             FROM claim_backup_run(chosen, taker, lease_secs, max_attempts) c;
                RETURN;
            END IF;
        END IF;
    END LOOP;
    UPDATE run_turns SET served_team = team;
END $$;

CREATE OR REPLACE FUNCTION backup_runs_to_end(max_attempts integer, at_most integer)
    RETURNS TABLE (team_id bigint, id bigint, epoch integer, verdict text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT r.team_id, r.id, r.epoch, CASE WHEN r.cancel_requested_at IS NOT NULL THEN 'cancel' ELSE 'abandon' END
    FROM (SELECT id FROM backup_runs
          WHERE status = 'queued' AND (attempts > 0 OR cancel_requested_at IS NOT NULL)
            AND (attempts >= max_attempts OR cancel_requested_at IS NOT NULL)
          UNION
          SELECT id FROM backup_runs
          WHERE status IN ('running', 'verifying') AND lease_until < now()
            AND (attempts >= max_attempts OR cancel_requested_at IS NOT NULL)) found
    JOIN backup_runs r ON r.id = found.id
    ORDER BY r.id LIMIT at_most
$$;

-- The scheduler's, as they were, but for tasks whose runs queue behind one another: such a task is in its own way only
-- when one waits already.
CREATE OR REPLACE FUNCTION lock_due_tasks(at_most integer, passed_over bigint[], usual_runs_at_once bigint, usual_stored_bytes bigint)
    RETURNS TABLE (id bigint, team_id bigint, seal_id uuid, next_run_at timestamptz, next_slot_at timestamptz,
                   frequency text, time_to_run_at text, custom_cron text, timezone text, weekday smallint,
                   weekdays smallint[], minute smallint, month_day smallint, interval_secs integer,
                   interval_from timestamptz, window_from text, window_until text, jitter_secs integer, catch_up text,
                   is_suspended boolean, is_active boolean, room bigint, is_full boolean)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    chosen bigint[];
    full_teams bigint[] := '{}';
BEGIN
    IF usual_runs_at_once > 0 OR EXISTS (SELECT FROM team_limits l WHERE l.limits ? 'runs_at_once') THEN
        full_teams := ARRAY(
            SELECT r.team_id FROM backup_runs r LEFT JOIN team_limits l ON l.team_id = r.team_id
            WHERE r.status IN ('queued', 'running', 'verifying')
            GROUP BY r.team_id, l.limits
            HAVING count(*) >= nullif(coalesce((l.limits ->> 'runs_at_once')::bigint, usual_runs_at_once), 0));
    END IF;
    chosen := ARRAY(
        SELECT t.id FROM backup_tasks t JOIN teams g ON g.id = t.team_id
        WHERE t.deleted_at IS NULL AND t.paused_at IS NULL AND t.next_run_at <= now() AND t.id <> ALL (passed_over)
          AND (t.team_id <> ALL (full_teams)
               OR EXISTS (SELECT FROM backup_runs r
                          WHERE r.backup_task_id = t.id AND r.status IN ('queued', 'running', 'verifying')))
        ORDER BY t.next_run_at LIMIT at_most
        FOR UPDATE OF t SKIP LOCKED FOR NO KEY UPDATE OF g SKIP LOCKED);
    -- A statement of its own, after the locks: it sees what was committed before they were had.
    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT t.* FROM backup_tasks t WHERE t.id = ANY (chosen)
    ), team AS MATERIALIZED (
        SELECT g.id, g.suspended_at IS NOT NULL AS is_suspended,
               nullif(coalesce((l.limits ->> 'runs_at_once')::bigint, usual_runs_at_once), 0) AS runs_at_once,
               nullif(coalesce((l.limits ->> 'stored_bytes')::bigint, usual_stored_bytes), 0) AS stored_bytes
        FROM teams g LEFT JOIN team_limits l ON l.team_id = g.id
        WHERE g.id IN (SELECT d.team_id FROM due d)
    ), active AS MATERIALIZED (
        SELECT r.team_id, count(*) AS n FROM backup_runs r
        WHERE r.status IN ('queued', 'running', 'verifying')
          AND r.team_id IN (SELECT g.id FROM team g WHERE g.runs_at_once IS NOT NULL)
        GROUP BY r.team_id
    ), stored AS MATERIALIZED (
        SELECT o.team_id, sum(o.size_bytes) AS n FROM backup_copy_objects o
        JOIN backup_copies c ON c.id = o.backup_copy_id
        WHERE c.state IN ('running', 'committed', 'recycled', 'deleting')
          AND o.team_id IN (SELECT g.id FROM team g WHERE g.stored_bytes IS NOT NULL)
        GROUP BY o.team_id
    )
    SELECT d.id, d.team_id, d.seal_id, d.next_run_at, d.next_slot_at, d.frequency, d.time_to_run_at, d.custom_cron,
           d.timezone, d.weekday, d.weekdays, d.minute, d.month_day, d.interval_secs, d.interval_from, d.window_from,
           d.window_until, d.jitter_secs, d.catch_up, g.is_suspended,
           EXISTS (SELECT FROM backup_runs r
                   WHERE r.backup_task_id = d.id AND r.status IN ('queued', 'running', 'verifying')
                     AND (r.is_behind OR d.on_overlap <> 'queue')),
           CASE WHEN g.runs_at_once IS NOT NULL THEN greatest(g.runs_at_once - coalesce(a.n, 0), 0) END, coalesce(s.n >= g.stored_bytes, false)
    FROM due d JOIN team g ON g.id = d.team_id
    LEFT JOIN active a ON a.team_id = d.team_id LEFT JOIN stored s ON s.team_id = d.team_id
    ORDER BY d.next_run_at, d.id;
END $$;

CREATE OR REPLACE FUNCTION make_scheduled_runs(tasks bigint[], slots timestamptz[], ulids text[], statuses text[], whys text[])
    RETURNS TABLE (id bigint, backup_task_id bigint, status text)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO backup_runs (team_id, backup_task_id, ulid, trigger, scheduled_for, status, error_message, completed_at,
                             remote_server_id, priority, is_behind)
    SELECT t.team_id, t.id, p.ulid, 'schedule', p.slot, p.status, nullif(p.why, ''), CASE WHEN p.status <> 'queued' THEN now() END,
           t.remote_server_id, t.priority,
           p.status = 'queued' AND t.on_overlap = 'queue'
               AND EXISTS (SELECT FROM backup_runs r
                           WHERE r.backup_task_id = t.id AND r.status IN ('queued', 'running', 'verifying'))
    FROM unnest(tasks, slots, ulids, statuses, whys) WITH ORDINALITY AS p (task, slot, ulid, status, why, n)
    JOIN backup_tasks t ON t.id = p.task
    WHERE t.deleted_at IS NULL AND t.paused_at IS NULL AND t.next_run_at <= now()
      AND p.status IN ('queued', 'skipped', 'missed')
    ORDER BY p.n
    ON CONFLICT DO NOTHING RETURNING id, backup_task_id, status
$$;

REVOKE EXECUTE ON FUNCTION take_backup_run(text, text[], double precision, integer, double precision, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_backup_run(text, text[], double precision, integer, double precision, bigint)
    TO holdfast_app;
