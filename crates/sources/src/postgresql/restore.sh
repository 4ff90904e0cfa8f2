# Gives an archive from standard input to pg_restore, in one transaction. Output: `holdfast:ready`, then `holdfast:restored
# TABLES BYTES` or `holdfast:failed STATUS`, `holdfast:done`.
# Input after the fields: frames that carry the length of a list, the list, and the archive; then `end\n`; then `keep\n`, or
# anything else to undo. A database that was made here goes away again on every other way out.
field; target=$v
field; create=$v
field; count=$v
set --
while [ "$count" -gt 0 ]; do
    field; name=$v
    field; set -- "$@" "--set=$name=$v"
    count=$((count - 1))
done
field; owners=$v
field; clean=$v
needs psql pg_restore
say "tool pg_restore" "$(pg_restore --version 2>&1 </dev/null)"
home=$PGDATABASE
created=0
clean_up() {
    trap '' HUP INT TERM PIPE
    [ "$created" = 1 ] || return 0
    PGDATABASE=$home
    said=$(sql "--set=db=$target" 2>&1 <<'EOF'
SELECT pg_catalog.current_setting('server_version_num')::int >= 130000 AS forcing \gset
\if :forcing
DROP DATABASE IF EXISTS :"db" WITH (FORCE);
\else
DROP DATABASE IF EXISTS :"db";
\endif
EOF
    ) || say left "$said"
    created=0
}
trap clean_up EXIT
trap 'exit 92' HUP INT TERM
# A reader that went away must not end us before we have cleaned up.
trap '' PIPE
as_it_was() {
    sql "--set=db=$target" "$@" 2>&1 >/dev/null <<'EOF'
SELECT :'provider' = 'i' AS icu, :'provider' = 'b' AS builtin \gset
\if :icu
CREATE DATABASE :"db" TEMPLATE template0 ENCODING :'encoding' LC_COLLATE :'collate' LC_CTYPE :'ctype' LOCALE_PROVIDER icu ICU_LOCALE :'locale';
\elif :builtin
CREATE DATABASE :"db" TEMPLATE template0 ENCODING :'encoding' LC_COLLATE :'collate' LC_CTYPE :'ctype' LOCALE_PROVIDER builtin BUILTIN_LOCALE :'locale';
\else
CREATE DATABASE :"db" TEMPLATE template0 ENCODING :'encoding' LC_COLLATE :'collate' LC_CTYPE :'ctype';
\endif
EOF
}
plainly() {
    sql "--set=db=$target" "$@" 2>&1 >/dev/null <<'EOF'
CREATE DATABASE :"db" TEMPLATE template0 ENCODING :'encoding';
EOF
}
if [ "$create" = 1 ]; then
    if said=$(as_it_was "$@"); then
        created=1
    else
        # 42P04: it exists. 42501: no right. Else the locale may be one that this server does not have.
        case $said in *42P04:* | *42501:*) refuse database "$said" ;; esac
        first=$said
        said=$(plainly "$@") || refuse database "$said"
        created=1
        say locale "$first"
    fi
fi
PGDATABASE=$target
tables() {
    sql <<'EOF'
SET search_path = pg_catalog;
SELECT 'holdfast:restored ' || count(*) || ' ' || pg_database_size(current_database()) FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e');
EOF
}
put_back() {
    IFS= read -r length || return 1
    case $length in '' | *[!0-9]*) return 1 ;; esac
    set -- -w -Fc --single-transaction --exit-on-error
    [ "$owners" = 1 ] || set -- "$@" --no-owner --no-privileges
    [ "$clean" = 0 ] || set -- "$@" --clean --if-exists
    # An empty name: that of the environment counts.
    if [ "$length" = 0 ]; then
        pg_restore "$@" -d ''
    else
        list=$(take "$length") || return 1
        pg_restore "$@" -d '' -L /dev/fd/5 5<<EOF
$list
EOF
    fi
}
# Ends everything here, pg_restore first of all: it must not see the end of an archive that nobody wants any more.
stop() {
    [ "$leads" = 1 ] && kill -s TERM 0
    exit 1
}
echo holdfast:ready
exec 6>&1
kept=$(
    {
        {
            feed || stop
            exec >/dev/null
            IFS= read -r word || stop
            [ "$word" = keep ] || stop
            echo keep >&4
        } | {
            put_back
            code=$?
            [ "$code" != 0 ] || tables >&6 || code=96
            [ "$code" = 0 ] || echo "holdfast:failed $code" >&6
        }
    } 4>&1 >/dev/null
)
[ "$kept" = keep ] || exit 93
created=0
echo holdfast:done
