-- Who did what, from where. The application role adds rows and can neither change nor remove them.

CREATE TABLE audit_events (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id    bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id    bigint REFERENCES users (id),
    token_id   bigint,
    action     text NOT NULL,
    subject    text NOT NULL,
    details    jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
SELECT tenant_rules('audit_events');
REVOKE UPDATE, DELETE ON audit_events FROM holdfast_app;
CREATE INDEX audit_events_team ON audit_events (team_id, id DESC);
