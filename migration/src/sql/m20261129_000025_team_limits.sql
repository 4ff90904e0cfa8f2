-- What a team may have, where it differs from the configuration's defaults: {limit: number}, 0 = no limit.

CREATE TABLE team_limits (
    team_id    bigint PRIMARY KEY REFERENCES teams (id) ON DELETE CASCADE,
    limits     jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
SELECT tenant_rules('team_limits');
-- Set by those who run the installation alone: see set_team_limits.
REVOKE INSERT, UPDATE, DELETE ON team_limits FROM holdfast_app;

-- The team's row is the lock under which things are counted and created; nothing of it is the team's own to change but
-- its name.
REVOKE UPDATE ON teams FROM holdfast_app;
GRANT UPDATE (name, updated_at) ON teams TO holdfast_app;
