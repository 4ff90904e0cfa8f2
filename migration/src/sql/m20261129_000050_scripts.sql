-- A team's own commands before and after its backups, and the secrets that they are given by name.

CREATE TABLE scripts (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id      bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id      bigint NOT NULL REFERENCES users (id),
    label        text NOT NULL,
    description  text,
    -- domain::script::Preset: one that comes with the product has no text of its own.
    preset       text CHECK (preset IN ('stop_services', 'start_services')),
    -- domain::script::Interpreter
    interpreter  text NOT NULL CHECK (interpreter IN ('sh', 'bash', 'python3')),
    body         text,
    timeout_secs integer NOT NULL,
    -- [domain::script::Parameter]
    parameters   jsonb NOT NULL DEFAULT '[]',
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (team_id, id),
    CHECK ((preset IS NULL) = (body IS NOT NULL))
);
SELECT tenant_rules('scripts');
CREATE INDEX scripts_team ON scripts (team_id, id);

CREATE TABLE script_secrets (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id      bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id      bigint NOT NULL REFERENCES users (id),
    name         text NOT NULL,
    description  text,
    seal_id      uuid NOT NULL,
    sealed_value bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (team_id, id),
    UNIQUE (team_id, name)
);
SELECT tenant_rules('script_secrets');

CREATE TABLE backup_task_scripts (
    team_id        bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    backup_task_id bigint NOT NULL,
    -- The order in which they run within their phase.
    position       integer NOT NULL,
    script_id      bigint NOT NULL,
    phase          text NOT NULL CHECK (phase IN ('before', 'after')),
    run_on         text NOT NULL CHECK (run_on IN ('always', 'success', 'failure')),
    on_failure     text NOT NULL CHECK (on_failure IN ('abort', 'warn', 'continue')),
    -- NULL: the script's own.
    timeout_secs   integer,
    -- domain::script::ParameterValues
    parameters     jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (backup_task_id, position),
    FOREIGN KEY (team_id, backup_task_id) REFERENCES backup_tasks (team_id, id) ON DELETE CASCADE,
    FOREIGN KEY (team_id, script_id) REFERENCES scripts (team_id, id) ON DELETE CASCADE,
    -- What is before runs in any case, and what comes after has nothing to break off.
    CHECK (phase = 'after' OR run_on = 'always'),
    CHECK (phase = 'before' OR on_failure <> 'abort')
);
SELECT tenant_rules('backup_task_scripts');
CREATE INDEX backup_task_scripts_script ON backup_task_scripts (script_id);
