# `verb` is stop or start, `wanted` what a service must be afterwards, `SERVICES` names with blanks between.
set -u
set -f
if ! command -v systemctl >/dev/null 2>&1; then
    echo 'There is no systemctl on this server.'
    exit 90
fi
manage() {
    if [ "$(id -u)" = 0 ]; then
        systemctl "$@"
    else
        sudo -n systemctl "$@"
    fi
}
list=
for one in $SERVICES; do
    if [ "$verb" = start ]; then list="$one $list"; else list="$list $one"; fi
done
failed=0
for one in $list; do
    if [ "${HOLDFAST_DRY_RUN:-0}" = 1 ]; then
        if state=$(systemctl is-active -- "$one") || [ "$(systemctl show --property=LoadState --value -- "$one")" = loaded ]; then
            echo "Would $verb $one, which is ${state:-unknown}."
        else
            echo "There is no service $one."
            failed=1
        fi
        continue
    fi
    if ! manage "$verb" -- "$one"; then
        echo "Could not $verb $one."
        failed=1
        # Stopping goes no further: what stands before in the list may need what comes after. Starting tries them all.
        [ "$verb" = start ] || break
        continue
    fi
    state=$(systemctl is-active -- "$one") || :
    # A service that failed while it was stopped does not run either.
    case $wanted/$state in
        active/active | inactive/inactive | inactive/failed) echo "$one is $state." ;;
        *)
            echo "$one is $state after $verb."
            failed=1
            ;;
    esac
done
exit "$failed"
