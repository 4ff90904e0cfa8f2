-- A dead man's switch somewhere else: an address of a task that hears of each run's start and end.

ALTER TABLE backup_tasks ADD COLUMN sealed_ping_url bytea;

ALTER TABLE deliveries
    -- What the task's ping address is told; then the delivery goes to neither a stream nor a person.
    ADD COLUMN ping text CHECK (ping IN ('start', 'success', 'fail')),
    DROP CONSTRAINT deliveries_check,
    ADD CONSTRAINT deliveries_receiver
        CHECK (num_nonnulls(notification_stream_id, user_id, ping) = 1 AND (ping IS NULL OR backup_task_id IS NOT NULL)),
    DROP CONSTRAINT deliveries_class_check,
    -- 'ping': told to a machine; no cap and no quiet mode holds it back, and it uses up none.
    ADD CONSTRAINT deliveries_class_check CHECK (class IN ('ordinary', 'absence', 'summary', 'asked', 'ping'));
CREATE INDEX deliveries_pings ON deliveries (backup_task_id, id) WHERE ping IS NOT NULL;

-- As before, and: pings do not count, one of a task at a time, and none after the one that overtook it. A start that
-- arrives behind its end would leave the receiver waiting for an end that came already.
CREATE OR REPLACE FUNCTION claim_delivery(wanted_id bigint, new_owner text, lease_secs double precision,
                                          max_attempts integer, usual_per_hour bigint)
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
    WHERE x.team_id = d.team_id AND x.id <> d.id AND (x.class = 'absence') = (d.class = 'absence')
      AND x.class <> 'asked' AND x.ping IS NULL
      AND (x.sent_at > now() - interval '1 hour' OR (x.state = 'sending' AND x.lease_until > now()));
    -- Room for one summary of each stream.
    SELECT least(per_hour / 2, count(*)) INTO reserve FROM notification_streams s WHERE s.team_id = d.team_id;
    IF d.attempts >= max_attempts THEN
        act := 'dead';
    ELSIF d.ping IS NOT NULL AND EXISTS (
              SELECT 1 FROM deliveries x
              WHERE x.backup_task_id = d.backup_task_id AND x.id > d.id AND x.ping IS NOT NULL
                AND (d.ping = 'start' OR x.ping <> 'start')) THEN
        act := 'suppressed';
    ELSIF d.ping IS NOT NULL AND EXISTS (
              SELECT 1 FROM deliveries x
              WHERE x.backup_task_id = d.backup_task_id AND x.id < d.id AND x.ping IS NOT NULL
                AND x.state = 'sending' AND x.lease_until > now()) THEN
        UPDATE deliveries x SET epoch = x.epoch + 1 WHERE x.id = d.id RETURNING * INTO d;
        RETURN QUERY SELECT d.team_id, d.epoch, d.attempts, 'waits'::text;
        RETURN;
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
