-- A schedule that was changed while nobody looked has none of the slots that it would have had before.

ALTER TABLE backup_tasks
    -- Since when the schedule holds as it stands.
    ADD COLUMN scheduled_since timestamptz NOT NULL DEFAULT 'epoch';

-- Of tasks that the caller has locked.
CREATE FUNCTION tasks_scheduled_since(tasks bigint[]) RETURNS TABLE (id bigint, scheduled_since timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT t.id, t.scheduled_since FROM backup_tasks t WHERE t.id = ANY (tasks)
$$;
REVOKE EXECUTE ON FUNCTION tasks_scheduled_since(bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tasks_scheduled_since(bigint[]) TO holdfast_app;
