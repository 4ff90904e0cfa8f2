# Writes one database as a custom-format archive, after the line `holdfast:data`. Before and after it, the numbers of all
# tables go out on standard error: a table that was there both times and is not excluded must be in the archive.
field; count=$v
set --
while [ "$count" -gt 0 ]; do
    field; set -- "$@" "$v"
    count=$((count - 1))
done
needs psql pg_dump
say "tool pg_dump" "$(pg_dump --version 2>&1 </dev/null)"
tables() {
    sql "--set=word=$1" <<'EOF'
SET search_path = pg_catalog;
SELECT 'holdfast:' || :'word' || ' ' || replace(encode(string_agg(oid::text, ',')::bytea, 'base64'), E'\n', '')
FROM (SELECT c.oid, row_number() OVER () / 1000 AS part FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')) t
GROUP BY part;
EOF
}
die_with_input
said=$(tables before 2>&1) || { rest; refuse database "$said"; }
[ -z "$said" ] || printf '%s\n' "$said" >&2
echo holdfast:data
pg_dump -Fc -Z0 -w "$@"
code=$?
if [ "$code" = 0 ]; then
    said=$(tables after 2>&1) || code=96
    [ -z "$said" ] || printf '%s\n' "$said" >&2
fi
rest
exit "$code"
