# The failure matrix, row by row: injects a fault into the real product and prints what came of it. `./dev faults` lists the
# rows; `./dev faults F12 [--times N]` runs one, `./dev faults all` all that fit in minutes. `kill-loop` and `soak` take longer.
rows=dev.d/faults.tsv
row=${1:-}
[ "$#" -eq 0 ] || shift

if [ -z "$row" ]; then
    grep -v '^#' "$rows" | cut -f 1,2
    printf 'all\tevery row above but memory\nkill-loop\tworkers killed in a loop of short runs (1,000 times; about twenty minutes)\n'
    printf 'soak\tworkers killed in long runs, everything restored and compared (200 times; about half an hour)\n'
    return
fi

# figures LOG: the worst of each figure that the tests printed.
figures() {
    grep -o 'fault figures: .*' "$1" | awk '
        { for (i = 3; i <= NF; i++) { split($i, part, "="); if (!(part[1] in worst)) order[++n] = part[1]
              if (part[2] + 0 >= worst[part[1]] + 0) worst[part[1]] = part[2] } }
        END { for (i = 1; i <= n; i++) printf "%s%s=%s", (i > 1 ? " " : "   worst of each figure: "), order[i], worst[order[i]]
              if (n) print ""; else print "   its tests look at parts of the product and print no figures" }'
}

# inject ROW FAULT FILTER [OPTION…]
inject() {
    local row=$1 fault=$2 filter=$3 log
    shift 3
    step "$row: $fault"
    log=$(mktemp)
    # Without the filter of the last pipe's end a red test would be hidden by `tee`.
    if ! cargo nextest run --workspace --locked --no-fail-fast --success-output final --failure-output final \
        --status-level pass --final-status-level none "$@" -E "$filter" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        fail "row $row is not as it must be; the test's words are above"
    fi
    grep -E '^ +(PASS|Summary)|SKIPPED' "$log"
    figures "$log"
    rm -f "$log"
}

case $row in
kill-loop | soak)
    need_packages "${run_packages[@]}" "${customer_packages[@]}"
    build_release -p holdfast -p holdfast-testbed
    as_root target/release/faults "$row" "$@"
    return
    ;;
esac

need_cargo
need_packages "${run_packages[@]}" "${customer_packages[@]}" "${test_packages[@]}"
need_garage
need_tool cargo-nextest cargo-nextest "$cargo_nextest_version" || fail "the rows are run by cargo-nextest"
options=()
if [ "${1:-}" = --times ]; then
    [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || fail "--times takes a number"
    options=(--stress-count "$2")
elif [ "$#" -gt 0 ]; then
    fail "there is no option $1; --times N repeats the row"
fi
# One of its tests takes longer than a test of every day may.
[ "$row" != hosts ] || options+=(--run-ignored all)
step "Building"
cargo build --locked --quiet -p holdfast || fail "the build failed; the compiler's message is above"
found=0
while IFS=$'\t' read -r name fault filter; do
    [[ $name != \#* && ($row == all || $row == "$name") ]] || continue
    found=1
    if [ "$filter" = memory ]; then
        note "$name: $fault: \`./dev bench --parts memory\` measures it"
    else
        inject "$name" "$fault" "$filter" "${options[@]}"
    fi
done <"$rows"
[ "$found" -eq 1 ] || fail "there is no row $row; \`./dev faults\` lists them"
