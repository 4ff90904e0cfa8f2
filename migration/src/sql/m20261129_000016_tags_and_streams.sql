-- Tags, and the channels over which people are told; both can be attached to tasks.

CREATE TABLE tags (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id     bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id     bigint NOT NULL REFERENCES users (id),
    label       text NOT NULL,
    description text,
    -- As typed: #rgb or #rrggbb.
    colour      text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (team_id, id)
);
SELECT tenant_rules('tags');
CREATE INDEX tags_team ON tags (team_id, id);

CREATE TABLE backup_task_tags (
    team_id        bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    backup_task_id bigint NOT NULL,
    tag_id         bigint NOT NULL,
    PRIMARY KEY (backup_task_id, tag_id),
    FOREIGN KEY (team_id, backup_task_id) REFERENCES backup_tasks (team_id, id) ON DELETE CASCADE,
    FOREIGN KEY (team_id, tag_id) REFERENCES tags (team_id, id) ON DELETE CASCADE
);
SELECT tenant_rules('backup_task_tags');
CREATE INDEX backup_task_tags_tag ON backup_task_tags (tag_id);

CREATE TABLE notification_streams (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id             bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id             bigint NOT NULL REFERENCES users (id),
    label               text NOT NULL,
    -- domain::notification::StreamKind
    type                text NOT NULL,
    -- domain::notification::EventKind, what is told over it. The alarm on absence is told whatever stands here.
    events              text[] NOT NULL DEFAULT '{}',
    -- Told of every task of the team, not only of those it is attached to.
    is_team_wide        boolean NOT NULL DEFAULT false,
    -- What is no secret: a server's address, a topic.
    config              jsonb NOT NULL DEFAULT '{}',
    seal_id             uuid NOT NULL,
    -- The address, URL or token that is told to nobody again.
    sealed_value        bytea NOT NULL,
    -- A second secret, where the channel has one: Pushover's user key, a webhook's signing secret.
    sealed_second_value bytea,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    UNIQUE (team_id, id)
);
SELECT tenant_rules('notification_streams');
CREATE INDEX notification_streams_team ON notification_streams (team_id, id);

CREATE TABLE backup_task_notification_streams (
    team_id                bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    backup_task_id         bigint NOT NULL,
    notification_stream_id bigint NOT NULL,
    PRIMARY KEY (backup_task_id, notification_stream_id),
    FOREIGN KEY (team_id, backup_task_id) REFERENCES backup_tasks (team_id, id) ON DELETE CASCADE,
    FOREIGN KEY (team_id, notification_stream_id) REFERENCES notification_streams (team_id, id) ON DELETE CASCADE
);
SELECT tenant_rules('backup_task_notification_streams');
CREATE INDEX backup_task_notification_streams_stream ON backup_task_notification_streams (notification_stream_id);
