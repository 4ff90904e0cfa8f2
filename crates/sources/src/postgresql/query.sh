# Runs SQL of ours in one database and writes its rows, after the line `holdfast:data`.
field; tool=$v
field; text=$v
field; count=$v
set --
while [ "$count" -gt 0 ]; do
    field; name=$v
    field; set -- "$@" "--set=$name=$v"
    count=$((count - 1))
done
needs psql
if [ -n "$tool" ]; then
    needs "$tool"
    say "tool $tool" "$("$tool" --version 2>&1 </dev/null)"
fi
PGCLIENTENCODING=UTF8
export PGCLIENTENCODING
die_with_input
echo holdfast:data
printf '%s\n' "$text" | sql "$@"
code=$?
rest
exit "$code"
