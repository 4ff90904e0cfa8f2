-- Teams, users, members, tokens; and the two rules every tenant table follows.

DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'holdfast_app') THEN
        CREATE ROLE holdfast_app NOLOGIN;
    END IF;
    -- Whoever is a member already may lack the right to grant it.
    IF NOT pg_has_role('holdfast_app', 'MEMBER') THEN
        EXECUTE format('GRANT holdfast_app TO %I', current_user);
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO holdfast_app', current_schema());
END $$;

-- The team of this transaction (`SET LOCAL app.team_id`). After such a transaction the setting is '' and not NULL,
-- so a plain cast would raise on the next use of the pooled connection.
CREATE FUNCTION current_team() RETURNS bigint LANGUAGE sql STABLE
    AS $$ SELECT nullif(current_setting('app.team_id', true), '')::bigint $$;

-- Makes a table a tenant's: the application role sees the rows of `current_team()` alone, the owner sees all.
CREATE FUNCTION tenant_rules(tbl regclass, team_column text DEFAULT 'team_id') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tbl);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', tbl);
    EXECUTE format('CREATE POLICY team_rows ON %s TO holdfast_app USING (%I = current_team()) WITH CHECK (%I = current_team())',
                   tbl, team_column, team_column);
    EXECUTE format('CREATE POLICY owner_rows ON %s TO %I USING (true) WITH CHECK (true)', tbl, current_user);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO holdfast_app', tbl);
END $$;

CREATE TABLE teams (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid         uuid NOT NULL UNIQUE,
    name         text NOT NULL,
    suspended_at timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);
SELECT tenant_rules('teams', 'id');
REVOKE INSERT, DELETE ON teams FROM holdfast_app;

CREATE TABLE users (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text NOT NULL,
    email         text NOT NULL,
    password_hash text NOT NULL,
    timezone      text NOT NULL,
    language      text NOT NULL DEFAULT 'en',
    is_operator   boolean NOT NULL DEFAULT false,
    suspended_at  timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_email ON users (lower(email));

CREATE TABLE members (
    team_id    bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id    bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role       text NOT NULL CHECK (role IN ('owner', 'admin', 'operator', 'viewer', 'restorer')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (team_id, user_id)
);
SELECT tenant_rules('members');

-- A person is visible to the teams they are a member of.
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY team_rows ON users TO holdfast_app
    USING (EXISTS (SELECT 1 FROM members m WHERE m.user_id = users.id AND m.team_id = current_team()));
DO $$ BEGIN EXECUTE format('CREATE POLICY owner_rows ON users TO %I USING (true) WITH CHECK (true)', current_user); END $$;
GRANT SELECT, UPDATE (name, timezone, language, updated_at) ON users TO holdfast_app;

CREATE TABLE tokens (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id      bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id      bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         text NOT NULL,
    secret_hash  bytea NOT NULL UNIQUE,
    abilities    text[] NOT NULL,
    last_used_at timestamptz,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now()
);
SELECT tenant_rules('tokens');

-- Before a team is known: look a token up by the SHA-256 of its secret, and note its use (at most once a minute).
CREATE FUNCTION find_token(wanted_hash bytea)
    RETURNS TABLE (token_id bigint, team_id bigint, user_id bigint, abilities text[])
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH found AS (
        SELECT t.id, t.team_id, t.user_id, t.abilities, t.last_used_at
        FROM tokens t
        JOIN members m ON m.team_id = t.team_id AND m.user_id = t.user_id
        JOIN users u ON u.id = t.user_id
        JOIN teams g ON g.id = t.team_id
        WHERE t.secret_hash = wanted_hash AND t.revoked_at IS NULL
          AND (t.expires_at IS NULL OR t.expires_at > now())
          AND u.suspended_at IS NULL AND g.suspended_at IS NULL
    ), used AS (
        UPDATE tokens SET last_used_at = now()
        WHERE id IN (SELECT f.id FROM found f
                     WHERE f.last_used_at IS NULL OR f.last_used_at < now() - interval '1 minute')
    )
    SELECT id, found.team_id, found.user_id, found.abilities FROM found
$$;

-- A user with a personal team, in one statement; NULL where the e-mail is taken.
CREATE FUNCTION create_account(new_email text, new_name text, new_hash text, new_timezone text, new_team_uuid uuid,
                               new_is_operator boolean)
    RETURNS TABLE (user_id bigint, team_id bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    made_user bigint;
    made_team bigint;
BEGIN
    INSERT INTO users (name, email, password_hash, timezone, is_operator)
    VALUES (new_name, new_email, new_hash, new_timezone, new_is_operator)
    ON CONFLICT (lower(email)) DO NOTHING
    RETURNING id INTO made_user;
    IF made_user IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO teams (uuid, name) VALUES (new_team_uuid, new_name) RETURNING id INTO made_team;
    INSERT INTO members (team_id, user_id, role) VALUES (made_team, made_user, 'owner');
    RETURN QUERY SELECT made_user, made_team;
END $$;

-- One-time setup: the hash of the secret that the start prints while there is no user.
CREATE TABLE setup_links (
    secret_hash bytea PRIMARY KEY,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE FUNCTION issue_setup_link(new_hash bytea) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM users) THEN
        RETURN false;
    END IF;
    DELETE FROM setup_links;
    INSERT INTO setup_links (secret_hash) VALUES (new_hash);
    RETURN true;
END $$;
CREATE FUNCTION setup_link_is_open(wanted_hash bytea) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT EXISTS (SELECT 1 FROM setup_links WHERE secret_hash = wanted_hash) AND NOT EXISTS (SELECT 1 FROM users)
$$;
-- Uses the link up; false for a wrong secret or a second use. To be called in the transaction that makes the user.
CREATE FUNCTION use_setup_link(wanted_hash bytea) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM setup_links WHERE secret_hash = wanted_hash;
    RETURN FOUND AND NOT EXISTS (SELECT 1 FROM users);
END $$;

-- The password row of one e-mail, for the one log-in function.
CREATE FUNCTION find_login(wanted_email text) RETURNS TABLE (user_id bigint, team_id bigint, password_hash text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT u.id, m.team_id, u.password_hash FROM users u
    JOIN members m ON m.user_id = u.id AND m.role = 'owner'
    WHERE lower(u.email) = lower(wanted_email) AND u.suspended_at IS NULL
    ORDER BY m.team_id LIMIT 1
$$;
