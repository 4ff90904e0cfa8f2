-- Requests that came with an `Idempotency-Key`, so that a repeated one is answered and not carried out again.

CREATE TABLE idempotency_keys (
    team_id        bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id        bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- A client may have put anything into its key: only a hash is kept.
    key_sha256     bytea NOT NULL,
    -- Of key, method, address, media type and body. Without the key it tells nothing of a password in the body.
    request_sha256 bytea NOT NULL,
    -- Null until the request was carried out.
    status         smallint,
    -- Null where the answer is not kept: it shows a secret, or is long.
    answer         bytea,
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    PRIMARY KEY (team_id, user_id, key_sha256),
    CHECK (answer IS NULL OR status IS NOT NULL)
);
SELECT tenant_rules('idempotency_keys');
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

CREATE FUNCTION purge_idempotency_keys() RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH gone AS (DELETE FROM idempotency_keys WHERE expires_at < now() RETURNING 1) SELECT count(*) FROM gone
$$;

REVOKE EXECUTE ON FUNCTION purge_idempotency_keys() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION purge_idempotency_keys() TO holdfast_app;
