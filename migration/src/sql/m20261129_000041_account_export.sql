-- What is kept about a person where no team's rows are: for the export of their account.

CREATE FUNCTION wire_time(at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
$$;

-- Of a member of the transaction's team alone.
CREATE FUNCTION account_records(wanted_user bigint) RETURNS jsonb
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT jsonb_build_object(
        'mails', (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', m.kind, 'email', m.email, 'status', m.status,
                      'created_at', wire_time(m.created_at)) ORDER BY m.id), '[]')
                  FROM account_mails m WHERE lower(m.email) = lower(u.email)),
        'open_links', (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', l.kind, 'email', l.email,
                           'created_at', wire_time(l.created_at), 'expires_at', wire_time(l.expires_at)) ORDER BY l.id), '[]')
                       FROM account_links l WHERE lower(l.email) = lower(u.email) OR l.user_id = u.id),
        -- Without the note, which is for those who run the installation alone.
        'suspensions', (SELECT coalesce(jsonb_agg(jsonb_build_object('reason', s.reason,
                            'created_at', wire_time(s.created_at), 'until', wire_time(s.until),
                            'lifted_at', wire_time(s.lifted_at)) ORDER BY s.id), '[]')
                        FROM suspensions s WHERE s.user_id = u.id))
    FROM users u
    WHERE u.id = wanted_user
      AND EXISTS (SELECT 1 FROM members m WHERE m.user_id = u.id AND m.team_id = current_team())
$$;
REVOKE EXECUTE ON FUNCTION account_records(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION account_records(bigint) TO holdfast_app;
