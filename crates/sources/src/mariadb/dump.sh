# Writes a dump of one database to standard output, after the line `holdfast:data`.
field; database=$v
field; count=$v
field; no_tables=$v
set --
while [ "$no_tables" -gt 0 ]; do
    field; set -- "$@" "--ignore-table=$database.$v"
    no_tables=$((no_tables - 1))
done
pick $dumpers || refuse missing_tool 'mariadb-dump (or mysqldump)'
dumper=$picked
say "tool $dumper" "$("$dumper" --version 2>&1 </dev/null)"
help=$("$dumper" --no-defaults --help 2>/dev/null </dev/null)
has() {
    case $help in *"$1"*) return 0 ;; esac
    return 1
}
field; no_rows=$v
# A dumper that cannot leave out rows alone writes these tables first, without rows; views that need them come after.
apart=
[ "$no_rows" = 0 ] || has --ignore-table-data || apart=1
names=0
while [ "$no_rows" -gt 0 ]; do
    field
    if [ -n "$apart" ]; then
        set -- "--ignore-table=$database.$v" "$@" "$v"
        names=$((names + 1))
    else
        set -- "--ignore-table-data=$database.$v" "$@"
    fi
    no_rows=$((no_rows - 1))
done
options_of_all='--single-transaction --quick --triggers --hex-blob --default-character-set=utf8mb4 --no-tablespaces
    --max-allowed-packet=1G'
# Oracle's: neither is wanted in a backup of one database, and both fail against other servers.
has --set-gtid-purged && options_of_all="$options_of_all --set-gtid-purged=OFF"
has --column-statistics && options_of_all="$options_of_all --skip-column-statistics"
counted=$(query "$count" "$database" </dev/null) || exit
say tables "${counted% *}"
if has --dump-history; then
    options_of_all="$options_of_all --dump-history"
elif [ "${counted#* }" != 0 ]; then
    say no_history "$dumper"
fi
dump() { with_login "$dumper" --defaults-file=/dev/fd/3 $options_of_all "$@" 4</dev/null; }
die_with_input
echo holdfast:data
code=0
if [ -n "$apart" ]; then
    # The names stand last.
    all=$#
    (
        while [ "$all" -gt "$names" ]; do shift; all=$((all - 1)); done
        dump --no-data -- "$database" "$@"
    ) || code=$?
    # Rotates the names out.
    kept=$(($# - names))
    while [ "$kept" -gt 0 ]; do
        set -- "$@" "$1"
        shift
        kept=$((kept - 1))
    done
    shift "$names"
fi
[ "$code" != 0 ] || dump --routines --events "$@" -- "$database" || code=$?
rest
exit "$code"
