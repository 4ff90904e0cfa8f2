-- The weekly digest: a mail about the teams of a person, on Monday morning where that person lives.

ALTER TABLE users
    -- When the next one is due; NULL: none is wanted.
    ADD COLUMN next_digest_at timestamptz,
    -- When the last one was due: no week has two, whatever is switched or moved meanwhile.
    ADD COLUMN last_digest_at timestamptz;
CREATE INDEX users_digest ON users (next_digest_at) WHERE next_digest_at IS NOT NULL;
GRANT UPDATE (next_digest_at) ON users TO holdfast_app;

-- People whose digest is due, with their teams.
CREATE FUNCTION due_digests(at timestamptz, at_most integer)
    RETURNS TABLE (user_id bigint, timezone text, due_at timestamptz, team_ids bigint[])
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT u.id, u.timezone, u.next_digest_at,
           ARRAY(SELECT m.team_id FROM members m JOIN teams g ON g.id = m.team_id
                 WHERE m.user_id = u.id AND g.suspended_at IS NULL ORDER BY lower(g.name), g.id)
    FROM users u
    WHERE u.next_digest_at <= at AND u.suspended_at IS NULL
    ORDER BY u.next_digest_at, u.id LIMIT at_most
$$;

-- One digest's mail, once: nothing where it is not due any more, because somebody else made it or it was switched off.
CREATE FUNCTION add_digest(wanted_user bigint, due timestamptz, next_due timestamptz, new_seal_id uuid, new_payload bytea)
    RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    address text;
BEGIN
    UPDATE users u SET next_digest_at = next_due, last_digest_at = due
    WHERE u.id = wanted_user AND u.next_digest_at = due AND u.suspended_at IS NULL
    RETURNING u.email INTO address;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    RETURN add_account_mail('digest', address, NULL, new_seal_id, new_payload);
END $$;

REVOKE EXECUTE ON FUNCTION due_digests(timestamptz, integer),
    add_digest(bigint, timestamptz, timestamptz, uuid, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION due_digests(timestamptz, integer),
    add_digest(bigint, timestamptz, timestamptz, uuid, bytea) TO holdfast_app;
