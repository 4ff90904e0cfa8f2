-- What operators see of the workers and of their periodic loops.

ALTER TABLE workers
    ADD COLUMN host    text NOT NULL DEFAULT '',
    -- The machine's load average over a minute; NULL: it does not tell.
    ADD COLUMN load_1m double precision;

-- Workers that end once what they have in hand is over. A table of its own: whoever looks for a worker must not find them.
CREATE TABLE draining_workers (
    name           text PRIMARY KEY,
    version        text NOT NULL,
    store_ids      text[] NOT NULL,
    capacity       integer NOT NULL,
    host           text NOT NULL,
    started_at     timestamptz NOT NULL,
    draining_since timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE, DELETE ON draining_workers TO holdfast_app;

-- What each worker holds, by id alone.
CREATE FUNCTION held_by_workers() RETURNS TABLE (worker text, kind text, id bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT r.owner, 'backup_run', r.id FROM backup_runs r WHERE r.status IN ('running', 'verifying')
    UNION ALL
    SELECT r.owner, 'restore', r.id FROM restores r WHERE r.status IN ('running', 'verifying')
    UNION ALL
    SELECT c.owner, 'backup_copy', c.id FROM backup_copies c WHERE c.state = 'running'
    ORDER BY 1, 2, 3
$$;
REVOKE EXECUTE ON FUNCTION held_by_workers() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION held_by_workers() TO holdfast_app;

-- The latest round of each periodic loop, whichever worker it was on.
CREATE TABLE reconcilers (
    name          text PRIMARY KEY,
    interval_secs double precision NOT NULL,
    worker        text NOT NULL,
    started_at    timestamptz NOT NULL,
    ended_at      timestamptz NOT NULL,
    -- NULL: it succeeded.
    error         text,
    -- An operator wants a round that nobody has begun yet.
    requested_at  timestamptz,
    -- The latest round that an operator wanted.
    forced_at     timestamptz
);
GRANT SELECT, INSERT, UPDATE ON reconcilers TO holdfast_app;
