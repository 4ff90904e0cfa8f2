# Puts a dump from standard input into a database, which is made when it is not there, and dropped again unless told to
# keep it. Input after the fields: frames of `LENGTH\n` and so many bytes, then `end\n`; then `keep\n`, or anything else to
# undo. Output: `holdfast:ready EXISTED`, `holdfast:loaded STATUS TABLES BYTES`, `holdfast:done`.
field; database=$v
field; existing=$v
field; dry_run=$v
field; look=$v
field; make=$v
field; drop=$v
field; after=$v
field; count=$v
made=
clean() {
    trap '' HUP INT TERM PIPE
    [ -n "$made" ] || return 0
    made=
    query "$drop" </dev/null || say left "$database"
}
trap clean EXIT
trap 'exit 92' HUP INT TERM
# A reader that went away must not end us before we have cleaned up.
trap '' PIPE
help=$("$client" --no-defaults --help 2>/dev/null </dev/null)
has() {
    case $help in *"$1"*) return 0 ;; esac
    return 1
}
# What a dump may ask of the client itself, running a program above all, must be switched off: MariaDB's has a mode for
# that; Oracle's understands none of it in binary mode.
case $("$client" --version 2>&1 </dev/null) in
    *MariaDB*)
        has --sandbox || refuse client_unsafe "$client"
        closed='--sandbox --binary-mode'
        ;;
    *)
        has --binary-mode || refuse client_unsafe "$client"
        closed=--binary-mode
        has --system-command && closed="$closed --system-command=OFF"
        ;;
esac
there=$(query "$look" </dev/null) || exit
say server "${there#* }"
there=${there%% *}
[ "$there" != 1 ] || [ "$existing" = 1 ] || refuse database_exists "$database"
[ "$dry_run" != 1 ] || { echo "holdfast:ready $there"; exit 0; }
if [ "$there" != 1 ]; then
    query "$make" </dev/null || exit
    made=1
fi
echo "holdfast:ready $there"
result=$(
    {
        { feed; echo "fed=$?" >&7; } |
            { with_login "$client" --defaults-file=/dev/fd/3 --batch --skip-auto-rehash --default-character-set=utf8mb4 \
                --max-allowed-packet=1G --connect-timeout=15 $closed "--database=$database" 4<&0
              echo "loaded=$?" >&7; }
    } 7>&1 >/dev/null
)
fed=1 loaded=1
for one in $result; do
    case $one in
        fed=*) fed=${one#*=} ;;
        loaded=*) loaded=${one#*=} ;;
    esac
done
[ "$loaded" = 0 ] || { echo "holdfast:loaded $loaded 0 0"; exit 95; }
# What follows an input that broke off is not a word of ours.
[ "$fed" = 0 ] || exit 93
[ -z "$after" ] || query "$after" "$database" </dev/null || exit
tables=$(query "$count" "$database" </dev/null) || exit
echo "holdfast:loaded 0 $tables"
IFS= read -r word && [ "$word" = keep ] || exit 0
made=
echo holdfast:done
