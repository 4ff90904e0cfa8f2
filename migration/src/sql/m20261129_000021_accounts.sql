-- Proving who one is: the second factor, the devices one came from, links sent by mail, and the mails themselves.

ALTER TABLE users ADD COLUMN page_size integer CHECK (page_size BETWEEN 1 AND 100);
GRANT UPDATE (page_size) ON users TO holdfast_app;

-- As before, and how long a page of a list is for this person.
DROP FUNCTION find_session(bytea, timestamptz, double precision);
CREATE FUNCTION find_session(wanted_hash bytea, at timestamptz, idle_secs double precision)
    RETURNS TABLE (session_id bigint, team_id bigint, user_id bigint, authenticated_at timestamptz, page_size integer)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH found AS (
        SELECT s.id, s.team_id, s.user_id, s.authenticated_at, s.last_seen_at, u.page_size
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
    SELECT id, found.team_id, found.user_id, found.authenticated_at, found.page_size FROM found
$$;

-- A person's second factor. The team is the one they log in to.
CREATE TABLE two_factors (
    user_id       bigint PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    team_id       bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    seal_id       uuid NOT NULL,
    -- Sealed with the log-in key, which the api holds; the workers' key does not open it.
    sealed_secret bytea NOT NULL,
    -- It is asked for from then on.
    confirmed_at  timestamptz,
    -- The last 30-second step whose code was accepted: no code counts twice.
    last_step     bigint NOT NULL DEFAULT 0,
    created_at    timestamptz NOT NULL
);
SELECT tenant_rules('two_factors');

-- Tries of a code within the minute that began at window_at; those from a device that the person used before are counted
-- apart, so that nobody else's guesses keep the person out.
CREATE TABLE two_factor_tries (
    user_id         bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    is_known_device boolean NOT NULL,
    team_id         bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    tries           integer NOT NULL,
    window_at       timestamptz NOT NULL,
    PRIMARY KEY (user_id, is_known_device)
);
SELECT tenant_rules('two_factor_tries');

CREATE TABLE recovery_codes (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id   bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id   bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- HMAC with the log-in key: a copy of the database alone cannot be searched for codes.
    code_hash bytea NOT NULL,
    used_at   timestamptz,
    UNIQUE (user_id, code_hash)
);
SELECT tenant_rules('recovery_codes');

-- Browsers in which a person logged in once: a guesser elsewhere does not slow them down, and they raise no mail.
CREATE TABLE known_devices (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id      bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id      bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    secret_hash  bytea NOT NULL,
    last_seen_at timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    UNIQUE (user_id, secret_hash)
);
SELECT tenant_rules('known_devices');

-- Links that were mailed: only hashes, used once, short-lived. They belong to an address and not yet, or not only, to a
-- team: the application reaches them through the functions below alone.
CREATE TABLE account_links (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind          text NOT NULL CHECK (kind IN ('register', 'reset', 'email')),
    secret_hash   bytea NOT NULL UNIQUE,
    -- Where it was sent.
    email         text NOT NULL,
    -- 'email': whose address it is to be.
    user_id       bigint REFERENCES users (id) ON DELETE CASCADE,
    -- 'register': the account to be made.
    name          text,
    timezone      text,
    password_hash text,
    expires_at    timestamptz NOT NULL,
    created_at    timestamptz NOT NULL,
    CHECK (kind <> 'register' OR (name IS NOT NULL AND timezone IS NOT NULL AND password_hash IS NOT NULL)),
    CHECK (kind <> 'email' OR user_id IS NOT NULL)
);
CREATE INDEX account_links_email ON account_links (lower(email));

-- Mails to people about their account, to be sent by a worker. What they say is sealed: a link's secret lies nowhere.
CREATE TABLE account_mails (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind           text NOT NULL,
    email          text NOT NULL,
    -- The link it carries. Once another one was asked for, or this one was used, the mail is not sent any more.
    link_hash      bytea,
    seal_id        uuid NOT NULL,
    sealed_payload bytea NOT NULL,
    status         text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'sent', 'dropped')),
    attempts       integer NOT NULL DEFAULT 0,
    next_at        timestamptz NOT NULL DEFAULT now(),
    created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX account_mails_waiting ON account_mails (next_at) WHERE status = 'waiting';
CREATE INDEX account_mails_email ON account_mails (lower(email), created_at);

-- One mail; NULL where the address was sent enough of this kind within the hour.
CREATE FUNCTION add_account_mail(new_kind text, new_email text, new_link_hash bytea, new_seal_id uuid,
                                 new_payload bytea)
    RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    made bigint;
BEGIN
    IF (SELECT count(*) FROM account_mails m
        WHERE lower(m.email) = lower(new_email) AND m.kind = new_kind AND m.created_at > now() - interval '1 hour') >= 5 THEN
        RETURN NULL;
    END IF;
    INSERT INTO account_mails (kind, email, link_hash, seal_id, sealed_payload)
    VALUES (new_kind, new_email, new_link_hash, new_seal_id, new_payload) RETURNING id INTO made;
    RETURN made;
END $$;

-- A link and its mail. The same work whether or not the address is somebody's: who that is is looked at when the mail is
-- sent. An earlier link of the same kind is dead from then on.
CREATE FUNCTION add_account_link(new_kind text, new_email text, new_user bigint, new_name text, new_timezone text,
                                 new_password_hash text, new_secret_hash bytea, at timestamptz, ends timestamptz,
                                 new_seal_id uuid, new_payload bytea)
    RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    mail bigint;
BEGIN
    mail := add_account_mail(new_kind, new_email, new_secret_hash, new_seal_id, new_payload);
    IF mail IS NULL THEN
        RETURN NULL;
    END IF;
    DELETE FROM account_links l
    WHERE l.kind = new_kind AND (lower(l.email) = lower(new_email) OR l.user_id = new_user);
    INSERT INTO account_links (kind, secret_hash, email, user_id, name, timezone, password_hash, expires_at, created_at)
    VALUES (new_kind, new_secret_hash, new_email, new_user, new_name, new_timezone, new_password_hash, ends, at);
    RETURN mail;
END $$;

-- The same registration under another secret. For an address without one only the mail is made, which is never sent.
CREATE FUNCTION renew_registration(wanted_email text, new_secret_hash bytea, ends timestamptz, new_seal_id uuid,
                                   new_payload bytea)
    RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    mail bigint;
BEGIN
    mail := add_account_mail('register', wanted_email, new_secret_hash, new_seal_id, new_payload);
    IF mail IS NOT NULL THEN
        UPDATE account_links l SET secret_hash = new_secret_hash, expires_at = ends
        WHERE l.kind = 'register' AND lower(l.email) = lower(wanted_email);
    END IF;
    RETURN mail;
END $$;

-- What a link stands for, while it holds.
CREATE FUNCTION find_account_link(wanted_kind text, wanted_hash bytea, at timestamptz)
    RETURNS TABLE (email text, user_id bigint, name text, timezone text, password_hash text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT l.email, l.user_id, l.name, l.timezone, l.password_hash FROM account_links l
    WHERE l.kind = wanted_kind AND l.secret_hash = wanted_hash AND l.expires_at > at
$$;

-- Uses a link up: true once. To be called in the transaction of the act.
CREATE FUNCTION use_account_link(wanted_kind text, wanted_hash bytea, at timestamptz) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM account_links l WHERE l.kind = wanted_kind AND l.secret_hash = wanted_hash AND l.expires_at > at;
    RETURN FOUND;
END $$;

-- Takes mails that are due, for a while. `verdict`: 'send'; 'taken', a registration whose address has an account already;
-- 'drop', nobody has the address, or the link is dead.
CREATE FUNCTION take_account_mails(at_most integer)
    RETURNS TABLE (mail_id bigint, kind text, email text, seal_id uuid, sealed_payload bytea, attempts integer,
                   verdict text)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE account_mails m
    SET attempts = m.attempts + 1, next_at = now() + make_interval(secs => 60 * (m.attempts + 1))
    FROM (SELECT w.id FROM account_mails w WHERE w.status = 'waiting' AND w.next_at <= now()
          ORDER BY w.next_at LIMIT at_most FOR UPDATE SKIP LOCKED) due
    WHERE m.id = due.id
    RETURNING m.id, m.kind, m.email, m.seal_id, m.sealed_payload, m.attempts, CASE
        WHEN m.link_hash IS NOT NULL AND NOT EXISTS (SELECT 1 FROM account_links l WHERE l.secret_hash = m.link_hash)
            THEN 'drop'
        WHEN m.kind IN ('register', 'email') AND EXISTS (SELECT 1 FROM users u WHERE lower(u.email) = lower(m.email))
            THEN 'taken'
        WHEN m.kind = 'reset' AND NOT EXISTS (SELECT 1 FROM users u
                                              WHERE lower(u.email) = lower(m.email) AND u.suspended_at IS NULL)
            THEN 'drop'
        ELSE 'send' END
$$;

-- The end of a mail: what it said is forgotten; the row stays for a while, for the limit of mails.
CREATE FUNCTION end_account_mail(wanted_id bigint, new_status text) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE account_mails SET status = new_status, sealed_payload = '' WHERE id = wanted_id
$$;

-- Rows that mean nothing any more.
CREATE FUNCTION purge_account_rows() RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH links AS (DELETE FROM account_links WHERE expires_at < now() - interval '1 day' RETURNING 1),
         mails AS (DELETE FROM account_mails WHERE created_at < now() - interval '1 day' RETURNING 1),
         ended AS (DELETE FROM sessions WHERE expires_at < now() - interval '1 day' RETURNING 1)
    SELECT (SELECT count(*) FROM links) + (SELECT count(*) FROM mails) + (SELECT count(*) FROM ended)
$$;

-- A session that owes its second factor.
CREATE FUNCTION find_challenge(wanted_hash bytea, at timestamptz)
    RETURNS TABLE (session_id bigint, team_id bigint, user_id bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT s.id, s.team_id, s.user_id FROM sessions s
    JOIN users u ON u.id = s.user_id JOIN teams g ON g.id = s.team_id
    WHERE s.secret_hash = wanted_hash AND s.stage = 'challenge' AND s.expires_at > at
      AND u.suspended_at IS NULL AND g.suspended_at IS NULL
$$;

-- A password or an address changes only from what it was, and only that of a member of the transaction's team.
CREATE FUNCTION set_password(wanted_user bigint, old_hash text, new_hash text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE users u SET password_hash = new_hash, updated_at = now()
    WHERE u.id = wanted_user AND u.password_hash = old_hash
      AND EXISTS (SELECT 1 FROM members m WHERE m.user_id = u.id AND m.team_id = current_team());
    RETURN FOUND;
END $$;
CREATE FUNCTION set_email(wanted_user bigint, old_email text, new_email text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE users u SET email = new_email, updated_at = now()
    WHERE u.id = wanted_user AND u.email = old_email
      AND EXISTS (SELECT 1 FROM members m WHERE m.user_id = u.id AND m.team_id = current_team());
    RETURN FOUND;
END $$;

-- Whom an id belongs to, for the end of an address change: as find_login, by the person.
CREATE FUNCTION find_login_of(wanted_user bigint)
    RETURNS TABLE (user_id bigint, team_id bigint, email text, password_hash text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT u.id, m.team_id, u.email, u.password_hash FROM users u
    JOIN members m ON m.user_id = u.id AND m.role = 'owner'
    WHERE u.id = wanted_user AND u.suspended_at IS NULL
    ORDER BY m.team_id LIMIT 1
$$;

DO $$
DECLARE
    f text;
BEGIN
    FOREACH f IN ARRAY ARRAY[
        'find_session(bytea, timestamptz, double precision)',
        'add_account_mail(text, text, bytea, uuid, bytea)',
        'add_account_link(text, text, bigint, text, text, text, bytea, timestamptz, timestamptz, uuid, bytea)',
        'renew_registration(text, bytea, timestamptz, uuid, bytea)',
        'find_account_link(text, bytea, timestamptz)',
        'use_account_link(text, bytea, timestamptz)',
        'take_account_mails(integer)',
        'end_account_mail(bigint, text)',
        'purge_account_rows()',
        'find_challenge(bytea, timestamptz)',
        'set_password(bigint, text, text)',
        'set_email(bigint, text, text)',
        'find_login_of(bigint)'] LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO holdfast_app', f);
    END LOOP;
END $$;
