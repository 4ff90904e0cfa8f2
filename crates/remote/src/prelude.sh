# POSIX shell only: dash, bash and busybox run this.
LC_ALL=C
export LC_ALL
umask 077
unset CDPATH ENV BASH_ENV TAR_OPTIONS GZIP POSIXLY_CORRECT
field() {
    IFS= read -r v || exit 91
    v=$(printf %s "$v" | base64 -d && printf x) || exit 91
    v=${v%x}
}
pid=$$
started=-
leads=0
if read -r stat 2>/dev/null </proc/$$/stat; then
    # pid (name) state ppid pgrp session tty tpgid flags minflt … starttime; the name may contain anything.
    set -- ${stat##*) }
    started=${20}
    [ "$3" = "$$" ] && leads=1
fi
set --
# Kills everything we started, and us, when standard input ends: a cancel, a crash of the client and a cut link all become
# "the channel closed", and a child that writes nothing would never notice by itself. Afterwards standard input is
# /dev/null, and `rest` must be called before the end.
die_with_input() {
    exec 3<&0 </dev/null
    {
        while IFS= read -r _; do :; done
        [ "$leads" = 1 ] && kill -s KILL 0
        for f in /proc/[0-9]*/stat; do
            { read -r stat <"$f"; } 2>/dev/null || continue
            set -- ${stat##*) }
            [ "$2" = "$pid" ] || continue
            f=${f#/proc/}
            kill -s KILL "${f%/stat}"
        done
        kill -s KILL "$pid"
    } <&3 >/dev/null 2>&1 3<&- &
    watcher=$!
    exec 3<&-
}
rest() {
    kill "$watcher" 2>/dev/null
}
printf 'holdfast:pid %s %s %s\n' "$pid" "$started" "$leads" >&2
