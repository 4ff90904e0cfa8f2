-- Where bytes go. `config` holds what is not secret, by type.

CREATE TABLE backup_destinations (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id           bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id           bigint NOT NULL REFERENCES users (id),
    label             text NOT NULL,
    type              text NOT NULL CHECK (type IN ('local', 's3', 'custom_s3', 'digitalocean_spaces')),
    config            jsonb NOT NULL DEFAULT '{}',
    seal_id           uuid NOT NULL,
    sealed_access_key bytea,
    sealed_secret_key bytea,
    -- local: the `store.id` of the root that holds it, once a worker has written there.
    store_id          text,
    deleted_at        timestamptz,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (team_id, id)
);
SELECT tenant_rules('backup_destinations');
