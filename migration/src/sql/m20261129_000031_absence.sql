-- The alarm on absence: when the next success of a task is expected at the latest.

ALTER TABLE backup_tasks
    -- How late it may be; NULL: the operator's default.
    ADD COLUMN grace_secs               integer CHECK (grace_secs >= 0),
    -- NULL: none is expected (by hand, paused, deleted), or it is not computed yet.
    ADD COLUMN next_success_expected_by timestamptz,
    -- The first due time after this one is what counts.
    ADD COLUMN expectation_from         timestamptz NOT NULL DEFAULT now(),
    -- To be computed anew; until then nobody is alarmed by what stands there.
    ADD COLUMN is_expectation_due       boolean NOT NULL DEFAULT true,
    -- Alarmed, and no success since.
    ADD COLUMN overdue_since            timestamptz;
CREATE INDEX backup_tasks_expected ON backup_tasks (next_success_expected_by)
    WHERE deleted_at IS NULL AND paused_at IS NULL AND overdue_since IS NULL;
CREATE INDEX backup_tasks_expectation_due ON backup_tasks (id) WHERE is_expectation_due;

-- Whoever changes the schedule, pauses, resumes or deletes: the expectation begins anew.
CREATE FUNCTION task_expectation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (NEW.frequency, NEW.time_to_run_at, NEW.custom_cron, NEW.timezone, NEW.weekday, NEW.paused_at,
                             NEW.deleted_at)
       IS NOT DISTINCT FROM (OLD.frequency, OLD.time_to_run_at, OLD.custom_cron, OLD.timezone, OLD.weekday, OLD.paused_at,
                             OLD.deleted_at) THEN
        NEW.is_expectation_due := NEW.is_expectation_due OR NEW.grace_secs IS DISTINCT FROM OLD.grace_secs;
        RETURN NEW;
    END IF;
    NEW.expectation_from := now();
    NEW.is_expectation_due := true;
    NEW.next_success_expected_by := NULL;
    NEW.overdue_since := NULL;
    RETURN NEW;
END $$;
CREATE TRIGGER task_expectation BEFORE INSERT OR UPDATE ON backup_tasks FOR EACH ROW EXECUTE FUNCTION task_expectation();

-- Nothing ran while a team was suspended; that is no absence.
CREATE FUNCTION team_expectations() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE backup_tasks SET expectation_from = now(), is_expectation_due = true WHERE team_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER team_expectations AFTER UPDATE OF suspended_at ON teams FOR EACH ROW
    WHEN (OLD.suspended_at IS NOT NULL AND NEW.suspended_at IS NULL) EXECUTE FUNCTION team_expectations();

CREATE FUNCTION tasks_with_due_expectation(after_id bigint, at_most integer)
    RETURNS TABLE (team_id bigint, backup_task_id bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT t.team_id, t.id FROM backup_tasks t
    WHERE t.is_expectation_due AND t.id > after_id ORDER BY t.id LIMIT at_most
$$;

CREATE FUNCTION overdue_tasks(after_id bigint, at_most integer) RETURNS TABLE (team_id bigint, backup_task_id bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT t.team_id, t.id FROM backup_tasks t JOIN teams g ON g.id = t.team_id
    WHERE t.next_success_expected_by < now() AND t.overdue_since IS NULL AND NOT t.is_expectation_due
      AND t.deleted_at IS NULL AND t.paused_at IS NULL AND g.suspended_at IS NULL AND t.id > after_id
    ORDER BY t.id LIMIT at_most
$$;

REVOKE EXECUTE ON FUNCTION tasks_with_due_expectation(bigint, integer), overdue_tasks(bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tasks_with_due_expectation(bigint, integer), overdue_tasks(bigint, integer) TO holdfast_app;
