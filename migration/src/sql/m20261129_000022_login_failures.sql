-- Wrong passwords on their way into the audit log. The api notes each in the same way, whether or not the address is
-- somebody's, so that the time of an answer tells nobody which; whose it is a worker looks up. No team is known yet: the
-- application reaches the table through the functions alone.

CREATE TABLE login_failures (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- As it was typed.
    email      text NOT NULL,
    ip_address text NOT NULL,
    at         timestamptz NOT NULL
);

CREATE FUNCTION note_login_failure(new_email text, new_address text, new_at timestamptz) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO login_failures (email, ip_address, at) VALUES (new_email, new_address, new_at)
$$;

-- Of those at most: one event for each person and address, which counts. What was typed goes no further. How many were
-- looked at.
CREATE FUNCTION record_login_failures(at_most integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    looked_at bigint;
BEGIN
    WITH gone AS (
        DELETE FROM login_failures WHERE id IN (
            SELECT f.id FROM login_failures f ORDER BY f.id LIMIT at_most FOR UPDATE SKIP LOCKED)
        RETURNING *
    ), told AS (
        INSERT INTO audit_events (team_id, actor, actor_reason, ip_address, action, subject, details)
        SELECT l.team_id, 'system', 'log-in', g.ip_address, 'session.refused', 'users:' || l.user_id,
               jsonb_build_object('wrong', 'password', 'tries', count(*), 'first_at', min(g.at), 'last_at', max(g.at))
        FROM gone g CROSS JOIN LATERAL find_login(g.email) l
        GROUP BY l.team_id, l.user_id, g.ip_address
    )
    SELECT count(*) INTO looked_at FROM gone;
    RETURN looked_at;
END $$;

DO $$
DECLARE
    f text;
BEGIN
    FOREACH f IN ARRAY ARRAY['note_login_failure(text, text, timestamptz)', 'record_login_failures(integer)'] LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO holdfast_app', f);
    END LOOP;
END $$;
