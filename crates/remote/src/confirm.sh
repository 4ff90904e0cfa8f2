# Exit 0: nothing of the process group is left. A zombie counts as gone: it holds nothing, and where process 1 does not
# reap, it stays for ever.
field; target=$v
field; target_started=$v
field; target_leads=$v
field; grace=$v
case $target$grace in '' | *[!0-9]*) exit 91 ;; esac
group=$target
[ "$target_leads" = 1 ] && group=-$target
left() {
    # `-s` and `--` mean different things to dash and busybox. Cheap, and the usual case; reading /proc in a shell is neither.
    kill -0 "$group" 2>/dev/null || return 1
    [ -r /proc/self/stat ] || return 0
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
begun=$(date +%s)
asked=0
killed=0
while left; do
    waited=$(($(date +%s) - begun))
    if [ "$asked" = 0 ] && [ "$waited" -ge "$grace" ]; then
        kill -TERM "$group" 2>/dev/null
        asked=1
    elif [ "$killed" = 0 ] && [ "$waited" -gt $((grace + grace / 2)) ]; then
        kill -KILL "$group" 2>/dev/null
        killed=1
    elif [ "$waited" -gt $((grace + grace / 2 + 3)) ]; then
        exit 1
    fi
    sleep 0.1 2>/dev/null || sleep 1
done
exit 0
