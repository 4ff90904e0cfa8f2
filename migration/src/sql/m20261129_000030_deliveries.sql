-- What people are told: an outbox, written in the transaction that makes an event true. A row is the truth; the queue's
-- job is a nudge that carries its id.

CREATE TABLE deliveries (
    id                     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id                bigint NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    -- One of the two: a stream, or the address of a person of the team.
    notification_stream_id bigint,
    user_id                bigint REFERENCES users (id) ON DELETE CASCADE,
    backup_task_id         bigint,
    -- 'absence': the alarm on absence, which quiet mode never silences and ordinary messages never crowd out.
    -- 'asked': sent again because somebody asked.
    class                  text NOT NULL DEFAULT 'ordinary' CHECK (class IN ('ordinary', 'absence', 'summary', 'asked')),
    -- domain::notification::EventKind; NULL of a summary.
    event                  text,
    -- The same for every try.
    message_id             text NOT NULL,
    -- domain::notification::Message
    message                jsonb NOT NULL,
    state                  text NOT NULL DEFAULT 'pending'
                           CHECK (state IN ('pending', 'sending', 'sent', 'dead', 'suppressed', 'summarised')),
    -- Since it was last asked for; `epoch` counts all.
    attempts               integer NOT NULL DEFAULT 0,
    epoch                  integer NOT NULL DEFAULT 0,
    owner                  text,
    lease_until            timestamptz,
    not_before             timestamptz NOT NULL DEFAULT now(),
    -- The summary that tells of it.
    summary_id             bigint,
    error_code             text,
    error_message          text,
    created_at             timestamptz NOT NULL DEFAULT now(),
    sent_at                timestamptz,
    UNIQUE (team_id, id),
    FOREIGN KEY (team_id, notification_stream_id) REFERENCES notification_streams (team_id, id) ON DELETE CASCADE,
    FOREIGN KEY (team_id, backup_task_id) REFERENCES backup_tasks (team_id, id) ON DELETE CASCADE,
    CHECK ((notification_stream_id IS NULL) <> (user_id IS NULL))
);
SELECT tenant_rules('deliveries');
-- One message reaches one receiver once, whoever announces it again.
CREATE UNIQUE INDEX deliveries_once
    ON deliveries (team_id, message_id, coalesce(notification_stream_id, 0), coalesce(user_id, 0));
CREATE INDEX deliveries_team ON deliveries (team_id, id DESC);
CREATE INDEX deliveries_open ON deliveries (not_before) WHERE state IN ('pending', 'sending');
CREATE INDEX deliveries_sent ON deliveries (team_id, sent_at) WHERE sent_at IS NOT NULL;
CREATE INDEX deliveries_untold ON deliveries (team_id, created_at) WHERE state = 'summarised' AND summary_id IS NULL;
CREATE INDEX deliveries_stream ON deliveries (notification_stream_id, id DESC);
CREATE INDEX deliveries_task ON deliveries (backup_task_id, id DESC);

CREATE TABLE notification_settings (
    team_id     bigint PRIMARY KEY REFERENCES teams (id) ON DELETE CASCADE,
    -- Quiet until then; it ends by itself.
    quiet_until timestamptz,
    updated_at  timestamptz NOT NULL DEFAULT now()
);
SELECT tenant_rules('notification_settings');

-- Claims a delivery and says what is to be done with it. Quiet mode and the cap are decided here, for one claim of a team
-- at a time, so that any number of workers together do not send more than the cap. The epoch rises with every verdict,
-- so that the job of the next claim has a key of its own.
CREATE FUNCTION claim_delivery(wanted_id bigint, new_owner text, lease_secs double precision, max_attempts integer,
                               usual_per_hour bigint)
    RETURNS TABLE (team_id bigint, epoch integer, attempt integer, verdict text)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    d        deliveries;
    per_hour bigint;
    taken    bigint;
    reserve  bigint;
    act      text := 'sending';
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('deliveries', x.team_id)) FROM deliveries x WHERE x.id = wanted_id;
    SELECT * INTO d FROM deliveries x
    WHERE x.id = wanted_id AND x.not_before <= now()
      AND (x.state = 'pending' OR (x.state = 'sending' AND x.lease_until < now()))
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT coalesce((l.limits ->> 'notifications_per_hour')::bigint, usual_per_hour) INTO per_hour
    FROM (SELECT 1) one LEFT JOIN team_limits l ON l.team_id = d.team_id;
    -- 0 is no limit.
    per_hour := CASE WHEN per_hour > 0 THEN per_hour ELSE 9007199254740991 END;
    -- Ordinary messages never crowd out the alarm on absence: each of the two has the cap for itself.
    SELECT count(*) INTO taken FROM deliveries x
    WHERE x.team_id = d.team_id AND x.id <> d.id AND (x.class = 'absence') = (d.class = 'absence') AND x.class <> 'asked'
      AND (x.sent_at > now() - interval '1 hour' OR (x.state = 'sending' AND x.lease_until > now()));
    -- Room for one summary of each stream.
    SELECT least(per_hour / 2, count(*)) INTO reserve FROM notification_streams s WHERE s.team_id = d.team_id;
    IF d.attempts >= max_attempts THEN
        act := 'dead';
    ELSIF (d.class = 'ordinary'
           OR d.class = 'summary' AND NOT EXISTS (
               SELECT 1 FROM deliveries x WHERE x.team_id = d.team_id AND x.summary_id = d.id AND x.class = 'absence'))
          AND EXISTS (SELECT 1 FROM notification_settings n WHERE n.team_id = d.team_id AND n.quiet_until > now()) THEN
        act := 'suppressed';
    ELSIF d.class = 'ordinary' AND taken >= per_hour - reserve OR d.class = 'absence' AND taken >= per_hour THEN
        act := 'summarised';
    ELSIF d.class = 'summary' AND taken >= per_hour THEN
        UPDATE deliveries x SET not_before = now() + interval '1 minute' WHERE x.id = d.id;
        RETURN;
    END IF;
    UPDATE deliveries x
    SET state = act, epoch = x.epoch + 1,
        attempts = x.attempts + CASE WHEN act = 'sending' THEN 1 ELSE 0 END,
        owner = CASE WHEN act = 'sending' THEN new_owner END,
        lease_until = CASE WHEN act = 'sending' THEN now() + make_interval(secs => lease_secs) END,
        error_code = CASE WHEN act = 'dead' THEN coalesce(x.error_code, 'abandoned') ELSE x.error_code END,
        error_message = CASE WHEN act = 'dead' THEN coalesce(x.error_message, 'The workers that tried disappeared.')
                             ELSE x.error_message END
    WHERE x.id = d.id RETURNING * INTO d;
    RETURN QUERY SELECT d.team_id, d.epoch, d.attempts, act;
END $$;

-- Deliveries that nobody works on.
CREATE FUNCTION stray_deliveries(queued_secs double precision, at_most integer)
    RETURNS TABLE (team_id bigint, delivery_id bigint, epoch integer)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT d.team_id, d.id, d.epoch FROM deliveries d
    WHERE (d.state = 'pending' AND d.not_before + make_interval(secs => queued_secs) < now())
       OR (d.state = 'sending' AND d.lease_until < now())
    ORDER BY d.not_before LIMIT at_most
$$;

-- Receivers that were spared messages and wait for a summary: at most one an hour each.
CREATE FUNCTION summaries_due(after_secs double precision, at_most integer)
    RETURNS TABLE (team_id bigint, notification_stream_id bigint, user_id bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT d.team_id, d.notification_stream_id, d.user_id FROM deliveries d
    WHERE d.state = 'summarised' AND d.summary_id IS NULL
      AND NOT EXISTS (SELECT 1 FROM deliveries s
                      WHERE s.team_id = d.team_id AND s.class = 'summary' AND s.created_at > now() - interval '1 hour'
                        AND s.notification_stream_id IS NOT DISTINCT FROM d.notification_stream_id
                        AND s.user_id IS NOT DISTINCT FROM d.user_id)
    GROUP BY d.team_id, d.notification_stream_id, d.user_id
    HAVING min(d.created_at) + make_interval(secs => after_secs) <= now()
    LIMIT at_most
$$;

CREATE FUNCTION purge_deliveries(keep_days integer) RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH gone AS (
        DELETE FROM deliveries d
        WHERE d.created_at < now() - make_interval(days => keep_days) AND d.state NOT IN ('pending', 'sending')
        RETURNING 1)
    SELECT count(*) FROM gone
$$;

REVOKE EXECUTE ON FUNCTION claim_delivery(bigint, text, double precision, integer, bigint),
    stray_deliveries(double precision, integer), summaries_due(double precision, integer), purge_deliveries(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_delivery(bigint, text, double precision, integer, bigint),
    stray_deliveries(double precision, integer), summaries_due(double precision, integer), purge_deliveries(integer)
    TO holdfast_app;
