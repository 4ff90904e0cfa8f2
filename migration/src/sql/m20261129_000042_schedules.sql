-- Schedules by the hour, on several weekdays, by the month and by intervals; windows, jitter, and what becomes of due times
-- that were missed. docs/manual/schedules.md

ALTER TABLE backup_tasks
    DROP CONSTRAINT backup_tasks_frequency_check,
    ADD CONSTRAINT backup_tasks_frequency_check
        CHECK (frequency IN ('hourly', 'daily', 'weekly', 'monthly', 'interval', 'custom', 'manual')),
    -- Empty: `weekday` alone. Its first is `weekday`.
    ADD COLUMN weekdays      smallint[] NOT NULL DEFAULT '{}' CHECK (weekdays <@ '{0,1,2,3,4,5,6}'::smallint[]),
    ADD COLUMN minute        smallint CHECK (minute BETWEEN 0 AND 59),
    -- A month that has no such day has its last.
    ADD COLUMN month_day     smallint CHECK (month_day BETWEEN 1 AND 31),
    ADD COLUMN interval_secs integer CHECK (interval_secs >= 60),
    -- The first slot of an interval; the others follow from it, so that nothing moves them.
    ADD COLUMN interval_from timestamptz,
    ADD COLUMN window_from   text,
    ADD COLUMN window_until  text,
    ADD COLUMN jitter_secs   integer NOT NULL DEFAULT 0 CHECK (jitter_secs BETWEEN 0 AND 86400),
    ADD COLUMN catch_up      text NOT NULL DEFAULT 'once' CHECK (catch_up IN ('once', 'spread', 'skip')),
    -- What `next_run_at` starts, where that is later: by the jitter, or because it is made up for. The run's
    -- `scheduled_for`.
    ADD COLUMN next_slot_at  timestamptz CHECK (next_slot_at < next_run_at);

CREATE OR REPLACE FUNCTION task_expectation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (NEW.frequency, NEW.time_to_run_at, NEW.custom_cron, NEW.timezone, NEW.weekday, NEW.weekdays,
                             NEW.minute, NEW.month_day, NEW.interval_secs, NEW.interval_from, NEW.window_from,
                             NEW.window_until, NEW.jitter_secs, NEW.paused_at, NEW.deleted_at)
       IS NOT DISTINCT FROM (OLD.frequency, OLD.time_to_run_at, OLD.custom_cron, OLD.timezone, OLD.weekday, OLD.weekdays,
                             OLD.minute, OLD.month_day, OLD.interval_secs, OLD.interval_from, OLD.window_from,
                             OLD.window_until, OLD.jitter_secs, OLD.paused_at, OLD.deleted_at) THEN
        NEW.is_expectation_due := NEW.is_expectation_due OR NEW.grace_secs IS DISTINCT FROM OLD.grace_secs;
        RETURN NEW;
    END IF;
    NEW.expectation_from := now();
    NEW.is_expectation_due := true;
    NEW.next_success_expected_by := NULL;
    NEW.overdue_since := NULL;
    RETURN NEW;
END $$;

-- As the release before this one calls it, which knows neither the new frequencies nor windows, jitter or `catch_up`: it
-- is not given what it cannot read, which waits for a worker of this release.
CREATE OR REPLACE FUNCTION due_backup_tasks(at_most integer, usual_runs_at_once bigint)
    RETURNS TABLE (team_id bigint, backup_task_id bigint)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT t.team_id, t.id FROM backup_tasks t
    JOIN teams g ON g.id = t.team_id
    CROSS JOIN LATERAL (
        SELECT coalesce((SELECT (l.limits ->> 'runs_at_once')::bigint FROM team_limits l WHERE l.team_id = t.team_id),
                        usual_runs_at_once) AS runs_at_once) allowed
    WHERE t.deleted_at IS NULL AND t.paused_at IS NULL AND t.next_run_at <= now()
      AND t.frequency IN ('daily', 'weekly', 'custom', 'manual') AND cardinality(t.weekdays) <= 1
      AND t.window_from IS NULL AND t.jitter_secs = 0 AND t.catch_up = 'once' AND t.next_slot_at IS NULL
      AND (allowed.runs_at_once <= 0
           OR (SELECT count(*) FROM backup_runs r
               WHERE r.team_id = t.team_id AND r.status IN ('queued', 'running', 'verifying')) < allowed.runs_at_once
           OR EXISTS (SELECT 1 FROM backup_runs r
                      WHERE r.backup_task_id = t.id AND r.status IN ('queued', 'running', 'verifying')))
    ORDER BY t.next_run_at LIMIT at_most
    FOR UPDATE OF t SKIP LOCKED FOR NO KEY UPDATE OF g SKIP LOCKED
$$;
