# `feed` copies frames of `LENGTH\n` and so many bytes from standard input to standard output until the line `end`.
# `take` takes exactly the frame and not a byte more: what comes after belongs to us.
take() { dd bs="$1" count=1 iflag=fullblock 2>/dev/null; }
[ "$(printf abcd | take 3)" = abc ] || take() { head -c "$1"; }
feed() {
    while IFS= read -r frame; do
        case $frame in
            end) return 0 ;;
            '' | *[!0-9]*) return 1 ;;
        esac
        take "$frame" || return 1
    done
    return 1
}
