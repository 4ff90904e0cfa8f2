-- Hosts reached by SSH. Secrets are sealed to the workers and bound to (team, table, column, seal_id).

CREATE TABLE remote_servers (
    id                       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id                  bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id                  bigint NOT NULL REFERENCES users (id),
    label                    text NOT NULL,
    host                     text NOT NULL,
    port                     integer NOT NULL CHECK (port BETWEEN 1 AND 65535),
    username                 text NOT NULL,
    auth_method              text NOT NULL DEFAULT 'team_key' CHECK (auth_method IN ('team_key', 'password', 'private_key')),
    seal_id                  uuid NOT NULL,
    sealed_password          bytea,
    sealed_private_key       bytea,
    sealed_database_password bytea,
    -- OpenSSH form, "ssh-ed25519 AAAA…".
    pinned_host_key          text,
    pinned_at                timestamptz,
    pending_host_key         text,
    connectivity             text NOT NULL DEFAULT 'unknown' CHECK (connectivity IN ('unknown', 'checking', 'online', 'offline')),
    last_connected_at        timestamptz,
    deleted_at               timestamptz,
    created_at               timestamptz NOT NULL DEFAULT now(),
    updated_at               timestamptz NOT NULL DEFAULT now(),
    UNIQUE (team_id, id)
);
CREATE UNIQUE INDEX remote_servers_address ON remote_servers (team_id, host, port, username) WHERE deleted_at IS NULL;
SELECT tenant_rules('remote_servers');
