# Exit 0: nothing of the process group is left. A zombie counts as gone: it holds nothing, and where process 1 does not
# reap, it stays for ever.
field; target=$v
field; target_started=$v
field; target_leads=$v
field; grace=$v
case $target in '' | *[!0-9]*) exit 91 ;; esac
left() {
    if [ ! -r /proc/self/stat ]; then
        if [ "$target_leads" = 1 ]; then kill -0 "-$target" 2>/dev/null; else kill -0 "$target" 2>/dev/null; fi
        return
    fi
    for f in /proc/[0-9]*/stat; do
        { read -r stat <"$f"; } 2>/dev/null || continue
        set -- ${stat##*) }
        case $1 in Z | X) continue ;; esac
        one=${f#/proc/}
        one=${one%/stat}
        if [ "$one" = "$target" ]; then
            # Another process with this id: ours is gone, and its group with it.
            [ "${20}" = "$target_started" ] || return 1
            return 0
        fi
        [ "$target_leads" = 1 ] && [ "$3" = "$target" ] && return 0
    done
    return 1
}
strike() {
    if [ "$target_leads" = 1 ]; then kill -s "$1" -- "-$target" 2>/dev/null; else kill -s "$1" "$target" 2>/dev/null; fi
}
tries=0
while left; do
    tries=$((tries + 1))
    [ "$tries" = "$grace" ] && strike TERM
    [ "$tries" = $((grace + grace / 2)) ] && strike KILL
    [ "$tries" -ge $((grace + grace / 2 + 20)) ] && exit 1
    sleep 0.1 2>/dev/null || sleep 1
done
exit 0
