-- Restores of databases.

ALTER TABLE restores
    -- Of the target's database server; bound to the address in `spec`. Forgotten when the restore is over.
    ADD COLUMN sealed_database_password bytea,
    -- Something that existed may hold a part of the backup. Set before the first byte goes where it cannot be taken
    -- back from, so that a restore that lost its worker still says so.
    ADD COLUMN target_touched boolean NOT NULL DEFAULT false;
