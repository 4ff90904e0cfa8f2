# Answers statements: once, and once more in each of the named databases. A name is a database, never an option or SQL.
field; once=$v
field; each=$v
field; databases=$v
echo holdfast:data
query "$once" || exit
while [ "$databases" -gt 0 ]; do
    field
    echo database
    query "$each" "$v" || exit
    databases=$((databases - 1))
done
