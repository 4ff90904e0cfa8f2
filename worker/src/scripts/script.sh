# Runs a team's script. Its text and its variables reach the interpreter on a descriptor of its own, a line each: what it
# does (`e` = for its children too, `s` = a secret, for the script alone, `b` = the text), a name, and a value in base64. The
# words that an interpreter is started with are constants, so that no process list shows what a team typed.
field; interpreter=$v
field; payload=$v
v=
shell='while IFS=" " read -r k n v <&3; do
v=$(printf %s "$v" | base64 -d && printf x) || exit 91
v=${v%x}
case $k in
e) export "$n=$v" ;;
s) eval "$n=\$v" ;;
b) break ;;
esac
done
exec 3<&-
set -- "$v"
unset k n v
eval "shift;$1"'
python='import os, base64
lines = [line.split(b" ", 2) for line in os.fdopen(3, "rb").read().split(b"\n") if line]
value = lambda text: base64.b64decode(text)
os.environ.update({os.fsdecode(n): os.fsdecode(value(v)) for k, n, v in lines if k != b"b"})
exec(compile([value(v) for k, n, v in lines if k == b"b"][0], "script", "exec"), {"__name__": "__main__"})'
case $interpreter in
    sh | bash) set -- "$interpreter" -c "$shell" script ;;
    python3) set -- python3 -u -c "$python" script ;;
    *) exit 91 ;;
esac
if ! command -v "$1" >/dev/null 2>&1; then
    echo holdfast:missing >&2
    exit 90
fi
unset LC_ALL
die_with_input
# Both outputs of the script are our standard output, in the order in which they were written; our standard error is ours.
printf '%s\n' "$payload" | "$@" 3<&0 </dev/null 2>&1
code=$?
payload=
rest
# What it left in the background ends with it. Not where we do not lead our group: others would be in it.
others() {
    some=1
    for f in /proc/[0-9]*/stat; do
        { read -r stat <"$f"; } 2>/dev/null || continue
        one=${f#/proc/}
        one=${one%/stat}
        [ "$one" = "$pid" ] && continue
        set -- ${stat##*) }
        [ "$3" = "$pid" ] || continue
        case $1 in Z | X) continue ;; esac
        kill -s KILL "$one" 2>/dev/null && some=0
    done
    return "$some"
}
turns=0
while [ "$leads" = 1 ] && [ "$turns" -lt 5 ] && others; do turns=$((turns + 1)); done
printf 'holdfast:ended %s\n' "$code" >&2
exit 0
