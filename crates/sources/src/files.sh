# Writes a tar stream of the wanted paths to standard output, after the line `holdfast:data`.
field; one_fs=$v
field; sparse=$v
field; excludes=$v
set --
while [ "$excludes" -gt 0 ]; do
    field; anchor=$v
    field; set -- "$@" "$anchor" "--exclude=$v"
    excludes=$((excludes - 1))
done
wants_excludes=$#
field; paths=$v
set -- "$@" -C / --
while [ "$paths" -gt 0 ]; do
    field
    full=/$v
    { [ -e "$full" ] || [ -L "$full" ]; } || refuse missing_path "$full"
    if [ -L "$full" ]; then
        [ -d "$full" ] && say link "$full"
    elif [ ! -r "$full" ] || { [ -d "$full" ] && [ ! -x "$full" ]; }; then
        refuse unreadable_path "$full"
    fi
    set -- "$@" "${v:-.}"
    paths=$((paths - 1))
done
tar=
kind=
for one in tar gtar; do
    command -v "$one" >/dev/null 2>&1 || continue
    said=$("$one" --version 2>&1 </dev/null)
    case $said in
        *'GNU tar'*) tar=$one kind=gnu version=$said; break ;;
        *usybox* | *usyBox*) [ -n "$tar" ] || tar=$one kind=busybox version=$said ;;
    esac
done
[ -n "$tar" ] || refuse missing_tool tar
say "tool tar" "$version"
say kind "$kind"
if [ "$kind" = gnu ]; then
    help=$("$tar" --help 2>/dev/null </dev/null)
    has() {
        case $help in *"$1"*) return 0 ;; esac
        return 1
    }
    # Times of last access and change make every backup differ and are never put back. Without `--no-unquote` the path
    # `/a\nb` would be read as one with a line end, and another file be stored in its place.
    set -- --no-unquote --format=posix --pax-option='exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime' --numeric-owner \
        --ignore-failed-read --no-wildcards-match-slash --quoting-style=escape "$@"
    has --sort= && set -- --sort=name "$@"
    has --xattrs && set -- --xattrs "$@"
    has --acls && set -- --acls "$@"
    [ "$one_fs" = 1 ] && set -- --one-file-system "$@"
    [ "$sparse" = 1 ] && set -- --sparse "$@"
elif [ "$wants_excludes" -gt 0 ]; then
    # Its own meaning of patterns is another one, and it cannot anchor them.
    refuse missing_tool 'GNU tar (busybox tar cannot exclude)'
fi
die_with_input
echo holdfast:data
"$tar" -c -f - "$@"
code=$?
rest
exit "$code"
