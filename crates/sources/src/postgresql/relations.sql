SET search_path = pg_catalog;
SET lock_timeout = '10s';
SELECT json_build_object('relation', json_build_object(
    'oid', c.oid::bigint,
    'schema', n.nspname,
    'name', c.relname,
    'kind', c.relkind,
    'size', CASE WHEN :'sizes' = '1' AND c.relkind IN ('r', 'm') THEN pg_total_relation_size(c.oid) ELSE 0 END,
    'readable', has_schema_privilege(n.oid, 'USAGE') AND (c.relkind = 'v' OR has_table_privilege(c.oid, 'SELECT')),
    'filtered', row_security_active(c.oid),
    'is_partition', c.relispartition,
    'parents', CASE c.relkind
        WHEN 'S' THEN (SELECT coalesce(json_agg(d.refobjid::bigint), '[]') FROM pg_depend d
            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
            AND d.deptype IN ('a', 'i'))
        ELSE (SELECT coalesce(json_agg(i.inhparent::bigint), '[]') FROM pg_inherits i WHERE i.inhrelid = c.oid) END))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
ORDER BY n.nspname, c.relname;
SELECT json_build_object('large_object', json_build_object('oid', m.oid::bigint))
FROM pg_largeobject_metadata m
WHERE NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) AND NOT pg_has_role(m.lomowner, 'USAGE')
AND NOT EXISTS (SELECT FROM aclexplode(m.lomacl) a
    WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE')))
LIMIT 1;
SELECT json_build_object('owner', json_build_object('name', r.rolname)) FROM pg_roles r WHERE r.oid IN (
    SELECT s.refobjid FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
    WHERE d.datname = current_database() AND s.refclassid = 'pg_authid'::regclass
    UNION SELECT c.relowner FROM pg_class c WHERE c.oid >= 16384
    UNION SELECT n.nspowner FROM pg_namespace n WHERE n.oid >= 16384
    UNION SELECT p.proowner FROM pg_proc p WHERE p.oid >= 16384
    UNION SELECT t.typowner FROM pg_type t WHERE t.oid >= 16384
    UNION SELECT m.lomowner FROM pg_largeobject_metadata m)
AND r.rolname !~ '^pg_'
ORDER BY r.rolname;
