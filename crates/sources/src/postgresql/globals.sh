# Writes roles and tablespaces as SQL, after the line `holdfast:data`; without the roles' passwords where this user may not
# read them.
needs psql pg_dumpall
say "tool pg_dumpall" "$(pg_dumpall --version 2>&1 </dev/null)"
die_with_input
may=$(sql 2>&1 <<'EOF'
SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT');
EOF
) || { rest; refuse database "$may"; }
set --
# A server may warn of something else before it answers.
case $may in
    *t) ;;
    *)
        say without_passwords ''
        set -- --no-role-passwords
        ;;
esac
echo holdfast:data
# `--database` is a connection string, so the name goes by the environment: an empty one leaves it to that.
pg_dumpall --globals-only -w --database= "$@"
code=$?
rest
exit "$code"
