-- Who asks is looked up by every request. A function in SQL is planned anew at every call, which took most of its time; one in
-- plpgsql keeps its plans as long as the connection lives. What they find is the same as before.

CREATE OR REPLACE FUNCTION find_token(wanted_hash bytea)
    RETURNS TABLE (token_id bigint, team_id bigint, user_id bigint, abilities text[])
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    known record;
BEGIN
    SELECT t.id, t.team_id, t.user_id, t.abilities, t.last_used_at INTO known
    FROM tokens t
    JOIN members m ON m.team_id = t.team_id AND m.user_id = t.user_id
    JOIN users u ON u.id = t.user_id
    JOIN teams g ON g.id = t.team_id
    WHERE t.secret_hash = wanted_hash AND t.revoked_at IS NULL
      AND (t.expires_at IS NULL OR t.expires_at > now())
      AND u.suspended_at IS NULL AND g.suspended_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF known.last_used_at IS NULL OR known.last_used_at < now() - interval '1 minute' THEN
        UPDATE tokens SET last_used_at = now() WHERE id = known.id;
    END IF;
    RETURN QUERY SELECT known.id, known.team_id, known.user_id, known.abilities;
END
$$;

CREATE OR REPLACE FUNCTION find_session(wanted_hash bytea, at timestamptz, idle_secs double precision)
    RETURNS TABLE (session_id bigint, team_id bigint, user_id bigint, authenticated_at timestamptz, page_size integer)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    known record;
BEGIN
    SELECT s.id, s.team_id, s.user_id, s.authenticated_at, s.last_seen_at, u.page_size INTO known
    FROM sessions s
    JOIN members m ON m.team_id = s.team_id AND m.user_id = s.user_id
    JOIN users u ON u.id = s.user_id
    JOIN teams g ON g.id = s.team_id
    WHERE s.secret_hash = wanted_hash AND s.stage = 'full'
      AND s.expires_at > at AND s.last_seen_at + make_interval(secs => idle_secs) > at
      AND u.suspended_at IS NULL AND g.suspended_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF known.last_seen_at < at - interval '1 minute' THEN
        UPDATE sessions SET last_seen_at = at WHERE id = known.id;
    END IF;
    RETURN QUERY SELECT known.id, known.team_id, known.user_id, known.authenticated_at, known.page_size;
END
$$;
