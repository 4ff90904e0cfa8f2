SET search_path = pg_catalog;
WITH RECURSIVE gone (classid, objid) AS (
    -- What goes away together with an excluded table: its indexes, constraints, types, own sequences.
    SELECT 'pg_class'::regclass::oid, o FROM unnest(:'gone'::oid[]) o
    UNION
    SELECT d.classid, d.objid FROM pg_depend d JOIN gone g ON d.refclassid = g.classid AND d.refobjid = g.objid
    WHERE d.deptype IN ('a', 'i', 'P', 'S')
), reached (classid, objid) AS (
    -- Whatever needs one of these, and whatever needs that.
    SELECT classid, objid FROM gone
    UNION
    SELECT n.classid, n.objid FROM reached g CROSS JOIN LATERAL (
        SELECT d.classid, d.objid FROM pg_depend d WHERE d.refclassid = g.classid AND d.refobjid = g.objid
        AND d.deptype <> 'e'
        -- A view needs what its rule needs.
        UNION ALL SELECT 'pg_class'::regclass::oid, w.ev_class FROM pg_rewrite w
        WHERE g.classid = 'pg_rewrite'::regclass AND w.oid = g.objid AND w.rulename = '_RETURN'
        -- A composite type needs what its columns need.
        UNION ALL SELECT 'pg_type'::regclass::oid, c.reltype FROM pg_class c
        WHERE g.classid = 'pg_class'::regclass AND c.oid = g.objid AND c.relkind = 'c'
    ) n
), needy AS (
    SELECT r.classid, r.objid FROM reached r
    WHERE NOT EXISTS (SELECT FROM gone g WHERE g.classid = r.classid AND g.objid = r.objid)
    -- Not what is a part of another one that is named.
    AND NOT EXISTS (SELECT FROM pg_depend d JOIN reached o ON d.refclassid = o.classid AND d.refobjid = o.objid
        WHERE d.classid = r.classid AND d.objid = r.objid AND d.objsubid = 0 AND d.deptype IN ('a', 'i', 'P', 'S')
        AND NOT (o.classid = r.classid AND o.objid = r.objid))
    UNION
    -- Rows that a foreign key would look for in vain.
    SELECT 'pg_constraint'::regclass::oid, k.oid FROM pg_constraint k
    WHERE k.contype = 'f' AND k.confrelid = ANY (:'emptied'::oid[]) AND NOT k.conrelid = ANY (:'rowless'::oid[])
)
SELECT json_build_object('needy', json_build_object(
    'class', x.classid::bigint,
    'oid', x.objid::bigint,
    'kind', CASE WHEN x.classid = 'pg_class'::regclass THEN c.relkind::text WHEN k.contype = 'f' THEN 'foreign_key'
        ELSE 'other' END,
    'schema', coalesce(n.nspname, kn.nspname),
    'name', coalesce(c.relname, k.conname, pg_describe_object(x.classid, x.objid, 0)),
    'table', kc.relname))
FROM needy x
LEFT JOIN pg_class c ON x.classid = 'pg_class'::regclass AND c.oid = x.objid
LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_constraint k ON x.classid = 'pg_constraint'::regclass AND k.oid = x.objid
LEFT JOIN pg_class kc ON kc.oid = k.conrelid
LEFT JOIN pg_namespace kn ON kn.oid = kc.relnamespace
WHERE coalesce(c.relkind, ' ') NOT IN ('c', 't')
AND coalesce(k.conparentid, 0) = 0
AND NOT (x.classid = 'pg_trigger'::regclass AND EXISTS (SELECT FROM pg_trigger t WHERE t.oid = x.objid AND t.tgisinternal))
ORDER BY x.classid, x.objid;
