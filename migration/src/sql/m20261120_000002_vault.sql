-- The public half of the workers' key, and each team's keys (private halves sealed to it).

CREATE TABLE vault_keys (
    version    integer PRIMARY KEY,
    public_key bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON vault_keys TO holdfast_app;

-- The first worker (or `holdfast up`) records its key; later ones compare. Returns the key that counts.
CREATE FUNCTION record_vault_key(new_version integer, new_public_key bytea) RETURNS bytea
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO vault_keys (version, public_key) VALUES (new_version, new_public_key) ON CONFLICT DO NOTHING;
    RETURN (SELECT public_key FROM vault_keys WHERE version = new_version);
END $$;

-- purpose 'ssh': public = OpenSSH line; 'age': public = age1… recipient; 'mac': public is empty.
CREATE TABLE team_keys (
    team_id    bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    purpose    text NOT NULL CHECK (purpose IN ('ssh', 'age', 'mac')),
    version    integer NOT NULL,
    public     text NOT NULL,
    seal_id    uuid NOT NULL,
    sealed     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (team_id, purpose, version)
);
SELECT tenant_rules('team_keys');
