-- Suspending people, and closing accounts. What stands here is the operators': the application's role has no right to the
-- table, and reaches it through the functions alone, each of which asks whether it is an operator who acts.

CREATE TABLE suspensions (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id      bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    reason       text NOT NULL,
    -- For those who run the installation alone.
    note         text,
    -- It is lifted then; NULL: by hand.
    until        timestamptz,
    -- The account is being deleted: its objects first, then its rows. It is never lifted.
    is_closing   boolean NOT NULL DEFAULT false,
    -- NULL: the person asked for it.
    suspended_by bigint,
    created_at   timestamptz NOT NULL DEFAULT now(),
    lifted_at    timestamptz,
    lifted_by    bigint,
    lift_note    text
);
CREATE UNIQUE INDEX suspensions_open ON suspensions (user_id) WHERE lifted_at IS NULL;
CREATE INDEX suspensions_until ON suspensions (until) WHERE lifted_at IS NULL AND until IS NOT NULL;

CREATE FUNCTION is_operator(wanted_user bigint) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT EXISTS (SELECT 1 FROM users u WHERE u.id = wanted_user AND u.is_operator AND u.suspended_at IS NULL)
$$;

-- Teams that nobody else owns.
CREATE FUNCTION own_teams(wanted_user bigint) RETURNS SETOF bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT m.team_id FROM members m
    WHERE m.user_id = wanted_user AND m.role = 'owner'
      AND NOT EXISTS (SELECT 1 FROM members o WHERE o.team_id = m.team_id AND o.role = 'owner' AND o.user_id <> wanted_user)
    ORDER BY m.team_id
$$;

-- People with what they have, a page of them, and how many there are.
CREATE FUNCTION operator_users(operator bigint, wanted_user bigint, pattern text, wants_suspended boolean,
                               wants_operator boolean, skip bigint, at_most bigint, newest_first boolean)
    RETURNS TABLE (total bigint, user_id bigint, team_id bigint, name text, email text, timezone text, language text,
                   is_operator boolean, created_at timestamptz, suspended_at timestamptz, reason text, note text,
                   until timestamptz, is_closing boolean, remote_servers bigint, backup_destinations bigint,
                   backup_tasks bigint, backups bigint, tokens bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH found AS (
        SELECT u.*, (SELECT min(t) FROM own_teams(u.id) t) AS team_id FROM users u
        WHERE is_operator(operator) AND (wanted_user IS NULL OR u.id = wanted_user)
          AND (pattern IS NULL OR u.name ILIKE pattern OR u.email ILIKE pattern)
          AND (wants_suspended IS NULL OR (u.suspended_at IS NOT NULL) = wants_suspended)
          AND (wants_operator IS NULL OR u.is_operator = wants_operator)
    ), page AS (
        SELECT * FROM found
        ORDER BY CASE WHEN newest_first THEN -found.id ELSE found.id END OFFSET skip LIMIT at_most
    )
    SELECT (SELECT count(*) FROM found), p.id, p.team_id, p.name, p.email, p.timezone, p.language, p.is_operator,
           p.created_at, p.suspended_at, s.reason, s.note, s.until, s.is_closing,
           (SELECT count(*) FROM remote_servers x WHERE x.team_id = p.team_id AND x.deleted_at IS NULL),
           (SELECT count(*) FROM backup_destinations x WHERE x.team_id = p.team_id AND x.deleted_at IS NULL),
           (SELECT count(*) FROM backup_tasks x WHERE x.team_id = p.team_id AND x.deleted_at IS NULL),
           (SELECT count(*) FROM backups x WHERE x.team_id = p.team_id AND x.deleted_at IS NULL AND EXISTS (
                SELECT 1 FROM backup_copies c WHERE c.backup_id = x.id AND c.state IN ('committed', 'recycled'))),
           (SELECT count(*) FROM tokens x WHERE x.user_id = p.id AND x.revoked_at IS NULL)
    FROM (SELECT 1) one LEFT JOIN page p ON true
    LEFT JOIN suspensions s ON s.user_id = p.id AND s.lifted_at IS NULL
    ORDER BY CASE WHEN newest_first THEN -p.id ELSE p.id END
$$;

-- Ends what a person may and what their teams do, at once. Sessions end for good; tokens work again when it is lifted.
CREATE FUNCTION stop_person(wanted_user bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    theirs bigint[] := ARRAY(SELECT own_teams(wanted_user));
BEGIN
    UPDATE users SET suspended_at = coalesce(suspended_at, now()) WHERE id = wanted_user;
    UPDATE teams SET suspended_at = coalesce(suspended_at, now()) WHERE id = ANY (theirs);
    DELETE FROM sessions WHERE user_id = wanted_user;
    -- What no worker has is over; what one has is asked to stop. In this order: what is claimed in between is found by the
    -- second.
    UPDATE backup_runs SET status = 'failed', error_code = 'not_authorised', completed_at = now(),
           error_message = 'The team was suspended before the run started.',
           process_terminated = CASE WHEN attempts = 0 THEN true ELSE process_terminated END
    WHERE team_id = ANY (theirs) AND status = 'queued';
    UPDATE backup_runs SET cancel_requested_at = now()
    WHERE team_id = ANY (theirs) AND status IN ('running', 'verifying') AND cancel_requested_at IS NULL;
    UPDATE restores SET status = 'failed', error_code = 'not_authorised', completed_at = now(),
           error_message = 'The team was suspended before the restore started.',
           process_terminated = CASE WHEN attempts = 0 THEN true ELSE process_terminated END
    WHERE team_id = ANY (theirs) AND status = 'queued';
    UPDATE restores SET cancel_requested_at = now()
    WHERE team_id = ANY (theirs) AND status IN ('running', 'verifying') AND cancel_requested_at IS NULL;
    UPDATE backup_copies SET cancel_requested_at = now()
    WHERE team_id = ANY (theirs) AND state IN ('queued', 'running') AND cancel_requested_at IS NULL;
END $$;

-- Whether somebody else runs the installation too. Locks those who do, so that two cannot remove each other.
CREATE FUNCTION is_last_operator(wanted_user bigint) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM id FROM users WHERE is_operator ORDER BY id FOR UPDATE;
    RETURN EXISTS (SELECT 1 FROM users WHERE id = wanted_user AND is_operator)
       AND NOT EXISTS (SELECT 1 FROM users WHERE id <> wanted_user AND is_operator AND suspended_at IS NULL);
END $$;

-- 'done', 'absent', 'self', 'suspended' (already), 'last_operator', 'forbidden'.
CREATE FUNCTION suspend_user(operator bigint, wanted_user bigint, new_reason text, new_note text, new_until timestamptz)
    RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    is_last boolean := is_last_operator(wanted_user);
BEGIN
    IF NOT is_operator(operator) THEN RETURN 'forbidden'; END IF;
    PERFORM id FROM users WHERE id = wanted_user FOR UPDATE;
    IF NOT FOUND THEN RETURN 'absent'; END IF;
    IF operator = wanted_user THEN RETURN 'self'; END IF;
    IF is_last THEN RETURN 'last_operator'; END IF;
    INSERT INTO suspensions (user_id, reason, note, until, suspended_by)
    VALUES (wanted_user, new_reason, new_note, new_until, operator)
    ON CONFLICT (user_id) WHERE lifted_at IS NULL DO NOTHING;
    IF NOT FOUND THEN RETURN 'suspended'; END IF;
    PERFORM stop_person(wanted_user);
    RETURN 'done';
END $$;

-- Their schedules went on without runs meanwhile (the scheduler sees to that), so nothing is made up for now.
CREATE FUNCTION lift_suspension(wanted_user bigint, by_operator bigint, new_note text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE suspensions SET lifted_at = now(), lifted_by = by_operator, lift_note = new_note
    WHERE user_id = wanted_user AND lifted_at IS NULL AND NOT is_closing
      AND (by_operator IS NOT NULL AND is_operator(by_operator) OR by_operator IS NULL AND until <= now());
    IF NOT FOUND THEN RETURN false; END IF;
    UPDATE users SET suspended_at = NULL WHERE id = wanted_user;
    UPDATE teams SET suspended_at = NULL WHERE id IN (SELECT own_teams(wanted_user));
    RETURN true;
END $$;

-- Suspensions whose time is over.
CREATE FUNCTION due_suspensions(at_most integer) RETURNS TABLE (user_id bigint, team_id bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT s.user_id, (SELECT min(t) FROM own_teams(s.user_id) t) FROM suspensions s
    WHERE s.lifted_at IS NULL AND NOT s.is_closing AND s.until <= now() ORDER BY s.until LIMIT at_most
$$;

-- What an account has, by name. `objects` is what may lie at destinations: while there is some, no row goes.
CREATE FUNCTION account_holdings(wanted_user bigint)
    RETURNS TABLE (remote_servers bigint, backup_destinations bigint, backup_tasks bigint, backups bigint, objects bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT
        (SELECT count(*) FROM remote_servers x WHERE x.team_id IN (SELECT own_teams(wanted_user)) AND x.deleted_at IS NULL),
        (SELECT count(*) FROM backup_destinations x
         WHERE x.team_id IN (SELECT own_teams(wanted_user)) AND x.deleted_at IS NULL),
        (SELECT count(*) FROM backup_tasks x WHERE x.team_id IN (SELECT own_teams(wanted_user)) AND x.deleted_at IS NULL),
        (SELECT count(*) FROM backups x WHERE x.team_id IN (SELECT own_teams(wanted_user)) AND EXISTS (
             SELECT 1 FROM backup_copies c WHERE c.backup_id = x.id AND c.state IN ('committed', 'recycled'))),
        (SELECT count(*) FROM backup_copies c WHERE c.team_id IN (SELECT own_teams(wanted_user))
            AND (c.state IN ('queued', 'running', 'committed', 'recycled', 'deleting')
                 OR c.state = 'failed' AND EXISTS (SELECT 1 FROM backup_copy_objects o WHERE o.backup_copy_id = c.id)))
        + (SELECT count(*) FROM backup_run_objects o
           WHERE o.team_id IN (SELECT own_teams(wanted_user)) AND o.state = 'writing')
        + (SELECT count(*) FROM backup_runs r
           WHERE r.team_id IN (SELECT own_teams(wanted_user)) AND r.status IN ('queued', 'running', 'verifying'))
        + (SELECT count(*) FROM restores r
           WHERE r.team_id IN (SELECT own_teams(wanted_user)) AND r.status IN ('queued', 'running', 'verifying'))
        + (SELECT count(*) FROM own_backups o WHERE o.team_id IN (SELECT own_teams(wanted_user))
             AND (o.status <> 'failed' OR o.has_object))
$$;

-- Begins the end of an account: nobody gets in any more, nothing runs. 'done', 'absent', 'self', 'last_operator', 'forbidden'.
-- `operator` NULL: the person asks.
CREATE FUNCTION close_account(operator bigint, wanted_user bigint) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    is_last boolean := is_last_operator(wanted_user);
BEGIN
    IF operator IS NOT NULL AND NOT is_operator(operator) THEN RETURN 'forbidden'; END IF;
    PERFORM id FROM users WHERE id = wanted_user FOR UPDATE;
    IF NOT FOUND THEN RETURN 'absent'; END IF;
    IF operator = wanted_user THEN RETURN 'self'; END IF;
    IF is_last THEN RETURN 'last_operator'; END IF;
    INSERT INTO suspensions (user_id, reason, is_closing, suspended_by)
    VALUES (wanted_user, 'The account is being deleted.', true, operator)
    ON CONFLICT (user_id) WHERE lifted_at IS NULL DO UPDATE SET is_closing = true, until = NULL;
    UPDATE tokens SET revoked_at = coalesce(revoked_at, now()) WHERE user_id = wanted_user;
    PERFORM stop_person(wanted_user);
    RETURN 'done';
END $$;

-- Accounts that are being deleted.
CREATE FUNCTION closing_accounts(at_most integer) RETURNS TABLE (user_id bigint, team_id bigint)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT s.user_id, t.team_id FROM suspensions s LEFT JOIN LATERAL (SELECT own_teams(s.user_id) AS team_id) t ON true
    WHERE s.lifted_at IS NULL AND s.is_closing ORDER BY random() LIMIT at_most
$$;

-- The last step: rows go once no object is left. False while there are some, or nobody closes it.
CREATE FUNCTION remove_account(wanted_user bigint) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM id FROM users WHERE id = wanted_user FOR UPDATE;
    IF NOT EXISTS (SELECT 1 FROM suspensions s WHERE s.user_id = wanted_user AND s.is_closing AND s.lifted_at IS NULL)
       OR (SELECT h.objects FROM account_holdings(wanted_user) h) > 0 THEN
        RETURN false;
    END IF;
    DELETE FROM teams WHERE id IN (SELECT own_teams(wanted_user));
    DELETE FROM users WHERE id = wanted_user;
    RETURN true;
END $$;

-- Teams with their limits.
CREATE FUNCTION operator_teams(operator bigint, wanted_team bigint, pattern text, skip bigint, at_most bigint,
                               newest_first boolean)
    RETURNS TABLE (total bigint, team_id bigint, name text, created_at timestamptz, suspended_at timestamptz, limits jsonb)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH found AS (
        SELECT g.* FROM teams g
        WHERE is_operator(operator) AND (wanted_team IS NULL OR g.id = wanted_team)
          AND (pattern IS NULL OR g.name ILIKE pattern)
    ), page AS (
        SELECT * FROM found
        ORDER BY CASE WHEN newest_first THEN -found.id ELSE found.id END OFFSET skip LIMIT at_most
    )
    SELECT (SELECT count(*) FROM found), p.id, p.name, p.created_at, p.suspended_at, coalesce(l.limits, '{}')
    FROM (SELECT 1) one LEFT JOIN page p ON true LEFT JOIN team_limits l ON l.team_id = p.id
    ORDER BY CASE WHEN newest_first THEN -p.id ELSE p.id END
$$;

CREATE FUNCTION set_team_limits(operator bigint, wanted_team bigint, new_limits jsonb) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    -- The lock under which things are counted and created.
    PERFORM id FROM teams WHERE id = wanted_team FOR NO KEY UPDATE;
    IF NOT FOUND OR NOT is_operator(operator) THEN RETURN false; END IF;
    INSERT INTO team_limits (team_id, limits) VALUES (wanted_team, new_limits)
    ON CONFLICT (team_id) DO UPDATE SET limits = excluded.limits, updated_at = now();
    RETURN true;
END $$;

-- What acts with the owner's rights is for the application alone, and what only other functions call is nobody's.
DO $$
DECLARE
    f text;
BEGIN
    FOREACH f IN ARRAY ARRAY[
        'operator_users(bigint, bigint, text, boolean, boolean, bigint, bigint, boolean)',
        'suspend_user(bigint, bigint, text, text, timestamptz)', 'lift_suspension(bigint, bigint, text)',
        'due_suspensions(integer)', 'account_holdings(bigint)', 'close_account(bigint, bigint)',
        'closing_accounts(integer)', 'remove_account(bigint)',
        'operator_teams(bigint, bigint, text, bigint, bigint, boolean)', 'set_team_limits(bigint, bigint, jsonb)'] LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO holdfast_app', f);
    END LOOP;
    FOREACH f IN ARRAY ARRAY['is_operator(bigint)', 'own_teams(bigint)', 'stop_person(bigint)', 'is_last_operator(bigint)'] LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    END LOOP;
END $$;
