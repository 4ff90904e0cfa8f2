-- Copies of the product's own database that an operator asked for. A row belongs to the team whose destination keeps it.

CREATE TABLE own_backups (
    id                    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id               bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id               bigint REFERENCES users (id),
    backup_destination_id bigint NOT NULL,
    -- age public keys; whoever holds one of their halves opens the file.
    recipients            text[] NOT NULL,
    -- Known before anything is written, so that whatever is left behind can be removed by name.
    object_name           text NOT NULL,
    status                text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'succeeded', 'failed')),
    -- Something may lie at the destination under the name.
    has_object            boolean NOT NULL DEFAULT false,
    epoch                 integer NOT NULL DEFAULT 0,
    owner                 text,
    lease_until           timestamptz,
    size_bytes            bigint,
    sha256                text,
    error_code            text,
    error_message         text,
    created_at            timestamptz NOT NULL DEFAULT now(),
    started_at            timestamptz,
    completed_at          timestamptz,
    UNIQUE (team_id, id),
    FOREIGN KEY (team_id, backup_destination_id) REFERENCES backup_destinations (team_id, id),
    CHECK ((status = 'succeeded') = (size_bytes IS NOT NULL AND sha256 IS NOT NULL))
);
SELECT tenant_rules('own_backups');
CREATE INDEX own_backups_open ON own_backups (id) WHERE status IN ('queued', 'running') OR (status = 'failed' AND has_object);

-- One attempt: the operator asks again where it failed.
CREATE FUNCTION claim_own_backup(wanted_id bigint, new_owner text, lease_secs double precision)
    RETURNS TABLE (team_id bigint, epoch integer)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE own_backups o
    SET epoch = o.epoch + 1, owner = new_owner, status = 'running', has_object = true, started_at = now(),
        lease_until = now() + make_interval(secs => lease_secs)
    WHERE o.id = wanted_id AND o.status = 'queued'
    RETURNING o.team_id, o.epoch
$$;

-- 'nudge': its job was lost. 'abandon': its worker was lost. 'remove': it failed, and something may still lie there.
CREATE FUNCTION stray_own_backups(queued_secs double precision, at_most integer)
    RETURNS TABLE (team_id bigint, own_backup_id bigint, epoch integer, verdict text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT o.team_id, o.id, o.epoch,
           CASE o.status WHEN 'queued' THEN 'nudge' WHEN 'running' THEN 'abandon' ELSE 'remove' END
    FROM own_backups o
    WHERE (o.status = 'queued' AND o.created_at + make_interval(secs => queued_secs) < now())
       OR (o.status = 'running' AND o.lease_until < now())
       OR (o.status = 'failed' AND o.has_object)
    -- At random: a destination that is away must not keep the others waiting.
    ORDER BY random() LIMIT at_most
$$;

REVOKE EXECUTE ON FUNCTION claim_own_backup(bigint, text, double precision), stray_own_backups(double precision, integer)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_own_backup(bigint, text, double precision), stray_own_backups(double precision, integer)
    TO holdfast_app;
