-- Servers and destinations that did not answer the last time they were tried. What answers has no row.

CREATE TABLE unreached (
    id                    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id               bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    -- One of the two.
    remote_server_id      bigint,
    backup_destination_id bigint,
    -- Where it was tried: with another address or other keys it begins anew.
    place                 text NOT NULL,
    failures              integer NOT NULL,
    failing_since         timestamptz NOT NULL,
    -- The last failure that was counted.
    counted_at            timestamptz NOT NULL,
    is_told               boolean NOT NULL,
    UNIQUE (team_id, remote_server_id),
    UNIQUE (team_id, backup_destination_id),
    FOREIGN KEY (team_id, remote_server_id) REFERENCES remote_servers (team_id, id) ON DELETE CASCADE,
    FOREIGN KEY (team_id, backup_destination_id) REFERENCES backup_destinations (team_id, id) ON DELETE CASCADE,
    CHECK ((remote_server_id IS NULL) <> (backup_destination_id IS NULL))
);
SELECT tenant_rules('unreached');
