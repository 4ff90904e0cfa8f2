SET search_path = pg_catalog;
SELECT json_build_object('server', json_build_object(
    'version', current_setting('server_version'),
    'number', current_setting('server_version_num')::int,
    'user', current_user,
    'may_create', r.rolsuper OR r.rolcreatedb))
FROM pg_roles r WHERE r.rolname = current_user;
SELECT json_build_object('database', json_build_object(
    'name', d.datname,
    'connect', has_database_privilege(d.oid, 'CONNECT'),
    'size', CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) ELSE 0 END,
    'settings', json_strip_nulls(json_build_object(
        'encoding', pg_encoding_to_char(d.encoding),
        'collate', d.datcollate,
        'ctype', d.datctype,
        'provider', coalesce(to_jsonb(d)->>'datlocprovider', 'c'),
        'locale', coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale')))))
FROM pg_database d WHERE d.datallowconn AND NOT d.datistemplate AND d.datconnlimit <> -2
ORDER BY d.datname;
SELECT json_build_object('role', json_build_object(
    'name', r.rolname,
    'mine', (SELECT s.rolsuper FROM pg_roles s WHERE s.rolname = current_user) OR pg_has_role(r.oid, 'MEMBER')))
FROM pg_roles r WHERE r.rolname IN (SELECT json_array_elements_text(:'roles'::json));
