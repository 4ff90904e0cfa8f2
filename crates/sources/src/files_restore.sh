# Unpacks a tar stream from standard input into a staging folder beside the target and moves it into place when told to.
# Input after the fields: frames of `LENGTH\n` and so many bytes, then `end\n`; then `place\n`, or anything else to undo.
# Output: `holdfast:ready UID`, `holdfast:staged …`, then one line per thing done, `holdfast:done`.
stage=
clean() {
    trap '' HUP INT TERM PIPE
    [ -n "$stage" ] || return 0
    rm -rf -- "$stage" 2>/dev/null || {
        chmod -R u+rwx -- "$stage" 2>/dev/null
        rm -rf -- "$stage"
    }
    [ ! -e "$stage" ] || say left "$stage"
    stage=
}
trap clean EXIT
trap 'exit 92' HUP INT TERM
# A reader that went away must not end us before we have cleaned up.
trap '' PIPE
field; target=/$v
field; existing=$v
field; layout=$v
field; owners=$v
field; tops=$v
set --
while [ "$tops" -gt 0 ]; do
    field; set -- "$@" "$v"
    tops=$((tops - 1))
done
for one in tar gtar; do
    case $("$one" --version 2>/dev/null </dev/null) in
        *'GNU tar'*) tar=$one version=$("$one" --version </dev/null); break ;;
    esac
done
# Others drop long names and sizes of this format without a word.
[ -n "${tar-}" ] || refuse missing_tool 'GNU tar'
say "tool tar" "$version"
for one in dd mktemp find mv stat; do
    command -v "$one" >/dev/null 2>&1 || refuse missing_tool "$one"
done
me=$(id -u)
if [ "$owners" = 1 ] && [ "$me" != 0 ]; then
    say not_root "$(id -un)"
    owners=0
fi
# The nearest folder that exists, and nothing on the way that leads elsewhere.
base=$target
while [ ! -e "$base" ] && [ ! -L "$base" ]; do base=${base%/*}; base=${base:-/}; done
real=$(cd -P -- "${base%/*}/" 2>/dev/null && pwd -P) || refuse unwritable "$base"
up=${base%/*}
[ "$real" = "${up:-/}" ] || refuse symlink "$up"
[ ! -L "$base" ] || refuse symlink "$base"
if [ "$base" = "$target" ]; then
    [ -d "$target" ] || refuse not_a_folder "$target"
    [ -r "$target" ] && [ -w "$target" ] && [ -x "$target" ] || refuse unwritable "$target"
    if [ "$existing" = refuse ] && [ -n "$(ls -A -- "$target")" ]; then refuse exists "$target"; fi
    [ "$target" = / ] || base=${up:-/}
    # Within one file system, so that moving is renaming.
    { [ -w "$base" ] && [ "$(stat -c %d -- "$base")" = "$(stat -c %d -- "$target")" ]; } || base=$target
else
    [ -d "$base" ] || refuse not_a_folder "$base"
fi
stage=$(mktemp -d "${base%/}/.holdfast-restore-XXXXXXXX" 2>/dev/null) || { stage=; refuse unwritable "$base"; }
tree=$stage/tree
mkdir -- "$tree" && chmod 755 -- "$tree" || refuse unwritable "$stage"
help=$("$tar" --help 2>/dev/null </dev/null)
has() {
    case $help in *"$1"*) return 0 ;; esac
    return 1
}
options="--numeric-owner --quoting-style=escape --preserve-permissions"
[ "$owners" = 1 ] && options="$options --same-owner" || options="$options --no-same-owner"
# Only the user's own attributes: capabilities are another set-user-id.
has --xattrs && options="$options --xattrs --xattrs-include=user.*"
has --acls && options="$options --acls"
echo "holdfast:ready $me"
umask 022
set -f
result=$(
    {
        { feed; echo "fed=$?" >&4; } |
            { "$tar" -x -v -f - -C "$tree" $options; echo "unpacked=$?" >&4; } |
            { echo "listed=$(($(wc -l)))" >&4; }
    } 4>&1 >/dev/null
)
set +f
umask 077
fed=1 unpacked=1 listed=0
for one in $result; do
    case $one in
        fed=*) fed=${one#*=} ;;
        unpacked=*) unpacked=${one#*=} ;;
        listed=*) listed=${one#*=} ;;
    esac
done
# What follows an input that broke off is not a word of ours.
[ "$fed" = 0 ] || exit 93
harmful() {
    find "$tree" "$@" -print0 2>/dev/null | tr -dc '\000' | wc -c
}
devices=$(($(harmful \( -type b -o -type c \))))
[ "$devices" = 0 ] || find "$tree" \( -type b -o -type c \) -exec rm -f -- {} +
# Our own mark (`writable.rs`): these were read-only. Everybody but root gets it, and then no other file has those bits.
[ "$me" = 0 ] || find "$tree" -type f -perm -6000 -exec chmod u-w,u-s,g-s -- {} +
privileged=$(($(harmful -type f \( -perm -4000 -o -perm -2000 \))))
[ "$privileged" = 0 ] || find "$tree" -type f \( -perm -4000 -o -perm -2000 \) -exec chmod u-s,g-s -- {} +
entries=$(($(harmful -mindepth 1)))
files=$(($(harmful -type f)))
bytes=$(find "$tree" -type f -exec stat -c %s -- {} + 2>/dev/null | { s=0; while read -r n; do s=$((s + n)); done; echo "$s"; })
echo "holdfast:staged $unpacked $listed $entries $files $bytes $devices $privileged"
IFS= read -r word && [ "$word" = place ] || exit 0
# Renames $1 to $2, which must not exist or be an empty folder; never into it, never through a link.
move() {
    mode=
    # Moving a folder writes to it.
    if [ -d "$1" ] && [ ! -L "$1" ] && [ ! -w "$1" ]; then
        mode=$(stat -c %a -- "$1") && chmod u+w -- "$1"
    fi
    mv -f -T -- "$1" "$2" 2>/dev/null || return 1
    [ -z "$mode" ] || chmod "$mode" -- "$2"
}
from=$tree
if [ "$layout" = contents_only ]; then
    if [ "$#" = 1 ] && [ -d "$tree/$1" ] && [ ! -L "$tree/$1" ]; then
        from=$tree/$1
    else
        from=$stage/contents
        mkdir -- "$from" && chmod 755 -- "$from" || refuse unwritable "$stage"
        gather() {
            for each in "$1"/* "$1"/.[!.]* "$1"/..?*; do
                [ -e "$each" ] || [ -L "$each" ] || continue
                { [ ! -e "$from/${each##*/}" ] && [ ! -L "$from/${each##*/}" ]; } || refuse twice "${each##*/}"
                move "$each" "$from/${each##*/}" || refuse unwritable "$from"
            done
        }
        for top; do
            if [ -d "$tree/$top" ] && [ ! -L "$tree/$top" ]; then
                [ -r "$tree/$top" ] && [ -w "$tree/$top" ] && [ -x "$tree/$top" ] || chmod u+rwx -- "$tree/$top"
                gather "$tree/$top"
            elif [ -e "$tree/$top" ] || [ -L "$tree/$top" ]; then
                name=${top##*/}
                { [ ! -e "$from/$name" ] && [ ! -L "$from/$name" ]; } || refuse twice "$name"
                move "$tree/$top" "$from/$name" || refuse unwritable "$from"
            fi
        done
    fi
fi
# Nothing that was sent may be left behind.
[ "$(($(find "$from" -type f -print0 2>/dev/null | tr -dc '\000' | wc -c)))" = "$files" ] || refuse misplaced "$target"
# Walks what is staged in $1 against what exists in $2. `check` touches nothing and refuses what could not be done.
merge() (
    for each in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        [ -e "$each" ] || [ -L "$each" ] || continue
        there=$2/${each##*/}
        if [ ! -e "$there" ] && [ ! -L "$there" ]; then
            [ "$3" = check ] && continue
            move "$each" "$there" || { say "refused unwritable" "$there"; exit 90; }
            echo holdfast:placed
        elif [ -d "$each" ] && [ ! -L "$each" ]; then
            if [ -L "$there" ]; then say "refused symlink" "$there"; exit 90; fi
            if [ ! -d "$there" ]; then
                if [ "$existing" = skip ]; then [ "$3" = check ] || echo holdfast:skipped; continue; fi
                say "refused in_the_way" "$there"; exit 90
            fi
            [ -r "$each" ] && [ -w "$each" ] && [ -x "$each" ] || chmod u+rwx -- "$each"
            merge "$each" "$there" "$3" || exit 90
        elif [ "$existing" = skip ]; then
            [ "$3" = check ] || echo holdfast:skipped
        elif [ -d "$there" ] && [ ! -L "$there" ]; then
            say "refused in_the_way" "$there"; exit 90
        elif [ "$3" = place ]; then
            move "$each" "$there" || { say "refused unwritable" "$there"; exit 90; }
            echo holdfast:placed
        fi
    done
    exit 0
)
if [ ! -e "$target" ] && [ ! -L "$target" ]; then
    parent=${target%/*}
    [ -z "$parent" ] || (umask 022; mkdir -p -- "$parent") || refuse unwritable "$parent"
    move "$from" "$target" || refuse unwritable "$target"
    [ -d "$target" ] && [ ! -L "$target" ] || refuse vanished "$target"
elif [ -L "$target" ] || [ ! -d "$target" ]; then
    refuse not_a_folder "$target"
elif [ -z "$(ls -A -- "$target")" ] && [ "$base" != "$target" ]; then
    move "$from" "$target" || refuse exists "$target"
elif [ "$existing" = refuse ] && [ -n "$(ls -A -- "$target" | grep -v '^\.holdfast-restore-........$')" ]; then
    refuse exists "$target"
else
    [ -r "$from" ] && [ -w "$from" ] && [ -x "$from" ] || chmod u+rwx -- "$from"
    merge "$from" "$target" check || exit 90
    merge "$from" "$target" place || { say incomplete "$target"; exit 94; }
fi
clean
echo holdfast:done
