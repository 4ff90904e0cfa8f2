-- The live view. Whoever commits a NOTIFY waits for everybody else who does, so a row tells of its changes only while
-- somebody watches it: an api process says so in the row itself, again and again as long as it has a reader. The row's lock
-- makes sure that no change falls between: a worker's write comes before that, and is read after it, or comes after it, and
-- tells. The message is a kind and an id, never more: every log-in of the database may listen.

ALTER TABLE backup_runs ADD COLUMN watched_until timestamptz;
ALTER TABLE restores ADD COLUMN watched_until timestamptz;
ALTER TABLE backup_copies ADD COLUMN watched_until timestamptz;

CREATE FUNCTION tell_watchers() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_notify('holdfast_live', TG_ARGV[0] || ':' || NEW.id);
    RETURN NULL;
END $$;

-- Not of the watching itself. A write that changes nothing tells too: lines of the log may have come with it.
CREATE TRIGGER backup_runs_watched AFTER UPDATE ON backup_runs FOR EACH ROW
    WHEN (NEW.watched_until > now() AND NEW.watched_until IS NOT DISTINCT FROM OLD.watched_until)
    EXECUTE FUNCTION tell_watchers('run');
CREATE TRIGGER restores_watched AFTER UPDATE ON restores FOR EACH ROW
    WHEN (NEW.watched_until > now() AND NEW.watched_until IS NOT DISTINCT FROM OLD.watched_until)
    EXECUTE FUNCTION tell_watchers('restore');
CREATE TRIGGER backup_copies_watched AFTER UPDATE ON backup_copies FOR EACH ROW
    WHEN (NEW.watched_until > now() AND NEW.watched_until IS NOT DISTINCT FROM OLD.watched_until)
    EXECUTE FUNCTION tell_watchers('copy');

-- Which of these tokens and sessions still give a right, and in which team: the conditions of `find_token` and
-- `find_session`. Looking does not count as use.
CREATE FUNCTION rights_that_stand(token_ids bigint[], session_ids bigint[], at timestamptz, idle_secs double precision)
    RETURNS TABLE (is_session boolean, id bigint, team_id bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT false, t.id, t.team_id
    FROM tokens t
    JOIN members m ON m.team_id = t.team_id AND m.user_id = t.user_id
    JOIN users u ON u.id = t.user_id
    JOIN teams g ON g.id = t.team_id
    WHERE t.id = ANY (token_ids) AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())
      AND u.suspended_at IS NULL AND g.suspended_at IS NULL
    UNION ALL
    SELECT true, s.id, s.team_id
    FROM sessions s
    JOIN members m ON m.team_id = s.team_id AND m.user_id = s.user_id
    JOIN users u ON u.id = s.user_id
    JOIN teams g ON g.id = s.team_id
    WHERE s.id = ANY (session_ids) AND s.stage = 'full'
      AND s.expires_at > at AND s.last_seen_at + make_interval(secs => idle_secs) > at
      AND u.suspended_at IS NULL AND g.suspended_at IS NULL
$$;

REVOKE EXECUTE ON FUNCTION rights_that_stand(bigint[], bigint[], timestamptz, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION rights_that_stand(bigint[], bigint[], timestamptz, double precision) TO holdfast_app;
