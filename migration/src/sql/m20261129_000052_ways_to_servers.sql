-- How a server is reached: by which SSH program, and through which other servers.
ALTER TABLE remote_servers
    ADD COLUMN transport text NOT NULL DEFAULT 'russh' CHECK (transport IN ('russh', 'openssh')),
    -- The jump hosts, in order: servers of the same team. No foreign key: whoever writes them holds a lock on their rows,
    -- and a server that is one is not removed.
    ADD COLUMN jump_ids bigint[] NOT NULL DEFAULT '{}' CHECK (cardinality(jump_ids) <= 3);

-- The same private address behind another jump host is another server.
DROP INDEX remote_servers_address;
CREATE UNIQUE INDEX remote_servers_address ON remote_servers (team_id, host, port, username, jump_ids)
    WHERE deleted_at IS NULL;
