# What every program for MariaDB and MySQL begins with: the log-in, and how a client gets it.
# An option file is handed over on descriptor 3; neither the user's own option files nor the environment may change what a
# client does (`~/.my.cnf` is read last and would win over ours; `[mysqldump] no-data` would empty a backup).
unset MYSQL_PWD MYSQL_HOST MYSQL_TCP_PORT MYSQL_HOME MARIADB_HOME MYSQL_GROUP_SUFFIX MARIADB_GROUP_SUFFIX
# Oracle's clients read their login file even with --defaults-file.
MYSQL_TEST_LOGIN_FILE=/nonexistent
export MYSQL_TEST_LOGIN_FILE
field; options=$v
field; by_socket=$v
field; family=$v
if [ "$by_socket" = 1 ]; then
    # Only where the server listens is taken from the configuration there.
    socket=${MYSQL_UNIX_PORT-}
    [ -n "$socket" ] || socket=$(my_print_defaults client client-server client-mariadb 2>/dev/null </dev/null |
        sed -n 's/^--socket=//p' | tail -n 1)
    case $socket in
        '' | *[\"\\]*) ;;
        *) options="$options
socket=\"$socket\"" ;;
    esac
fi
# The first of these names that is there.
pick() {
    for picked; do
        command -v "$picked" >/dev/null 2>&1 && return 0
    done
    return 1
}
if [ "$family" = mysql ]; then
    clients='mysql mariadb' dumpers='mysqldump mariadb-dump'
else
    clients='mariadb mysql' dumpers='mariadb-dump mysqldump'
fi
pick $clients || refuse missing_tool 'mariadb (or mysql)'
client=$picked
say "tool $client" "$("$client" --version 2>&1 </dev/null)"
# Runs "$@" with the log-in on descriptor 3 and with descriptor 4 as standard input. printf is the shell's own: no process
# list ever shows it.
with_login() {
    printf '%s\n' "$options" | {
        exec 3<&0 <&4 4<&-
        exec "$@"
    }
}
# query SQL [DATABASE]
query() {
    printf '%s\n' "$1" | with_login "$client" --defaults-file=/dev/fd/3 --batch --skip-column-names --skip-auto-rehash \
        --default-character-set=utf8mb4 --connect-timeout=15 ${2+"--database=$2"} 4<&0
}
