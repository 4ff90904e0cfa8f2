-- Log-ins of people with a browser. As with tokens only the hash of the secret is kept.

CREATE TABLE sessions (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The team it acts in.
    team_id          bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id          bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    secret_hash      bytea NOT NULL UNIQUE,
    -- 'challenge': the password was right and the second factor is still owed. It opens nothing but that.
    stage            text NOT NULL CHECK (stage IN ('challenge', 'full')),
    -- What the browser said of itself, and where it was, when the session began: shown in the list, never decided by.
    user_agent       text NOT NULL,
    address          text NOT NULL,
    -- When the person last proved who they are.
    authenticated_at timestamptz NOT NULL,
    last_seen_at     timestamptz NOT NULL,
    -- It ends then, however much it is used.
    expires_at       timestamptz NOT NULL,
    created_at       timestamptz NOT NULL
);
SELECT tenant_rules('sessions');
CREATE INDEX sessions_user ON sessions (user_id);

-- Before a team is known: look a full session up by the SHA-256 of its secret, and note its use (at most once a minute).
CREATE FUNCTION find_session(wanted_hash bytea, at timestamptz, idle_secs double precision)
    RETURNS TABLE (session_id bigint, team_id bigint, user_id bigint, authenticated_at timestamptz)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH found AS (
        SELECT s.id, s.team_id, s.user_id, s.authenticated_at, s.last_seen_at
        FROM sessions s
        JOIN members m ON m.team_id = s.team_id AND m.user_id = s.user_id
        JOIN users u ON u.id = s.user_id
        JOIN teams g ON g.id = s.team_id
        WHERE s.secret_hash = wanted_hash AND s.stage = 'full'
          AND s.expires_at > at AND s.last_seen_at + make_interval(secs => idle_secs) > at
          AND u.suspended_at IS NULL AND g.suspended_at IS NULL
    ), used AS (
        UPDATE sessions SET last_seen_at = at
        WHERE id IN (SELECT f.id FROM found f WHERE f.last_seen_at < at - interval '1 minute')
    )
    SELECT id, found.team_id, found.user_id, found.authenticated_at FROM found
$$;

REVOKE EXECUTE ON FUNCTION find_session(bytea, timestamptz, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_session(bytea, timestamptz, double precision) TO holdfast_app;
