# Drives a running server from its own OpenAPI document (schemathesis): nothing may be a 500, or a status, a type of body or a
# body that the document knows nothing of. Options go to schemathesis; without them it takes about five minutes.
need_cargo
need_packages "${run_packages[@]}" curl jq
need_schemathesis
step "Building"
cargo build --locked --quiet -p holdfast || fail "the build failed; the compiler's message is above"

folder=$(mktemp -d /var/tmp/holdfast-fuzz-XXXXXX)
# The database's user passes through it.
chmod 711 "$folder"
# Two ports: the public listener and the operator's.
read -r port operator_port < <(python3 -c 'import socket
held = [socket.socket() for _ in range(2)]
for s in held: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))')
url=http://127.0.0.1:$port
operator_url=http://127.0.0.1:$operator_port
# Mails are written down, and nobody takes them: without mail some calls would say that it is missing.
env HOLDFAST__HTTP__RATE_LIMIT_PER_MIN=0 HOLDFAST__HTTP__RUN_RATE_LIMIT_PER_MIN=0 \
    HOLDFAST__MAIL__HOST=127.0.0.1 HOLDFAST__MAIL__PORT=9 HOLDFAST__MAIL__TLS=none HOLDFAST__MAIL__FROM=holdfast@example.com \
    HOLDFAST__HTTP__PUBLIC_URL="$url" HOLDFAST__ACCOUNTS__REGISTRATION=true \
    HOLDFAST__OPERATOR__LISTEN="127.0.0.1:$operator_port" \
    target/debug/holdfast up --listen "127.0.0.1:$port" --workers 1 --data-dir "$folder/data" >"$folder/log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; rm -rf "$folder"' EXIT
for _ in $(seq 240); do
    curl -fsS -o /dev/null "$url/readyz" 2>/dev/null && grep -q '/setup?token=' "$folder/log" && break
    kill -0 "$server" 2>/dev/null || { tail -n 20 "$folder/log" >&2; fail "the server ended; its last lines are above"; }
    sleep 0.25
done

# call TOKEN METHOD PATH BODY
call() {
    curl -fsS -X "$2" ${1:+-H "Authorization: Bearer $1"} -H 'Content-Type: application/json' ${4:+-d "$4"} "$url/api/$3"
}
secret=$(grep -o '/setup?token=[A-Za-z0-9_-]*' "$folder/log" | head -n 1 | cut -d= -f2)
token=$(call '' POST auth/setup \
    "{\"token\":\"$secret\",\"name\":\"Ann Lee\",\"email\":\"ann@example.com\",\"password\":\"correct horse battery\"}" |
    jq -re .data.token) || fail "the set-up did not work"
# Something with each id that the examples name.
call "$token" POST remote-servers '{"label":"web-1","ip_address":"203.0.113.9","username":"root","port":22}' >/dev/null
call "$token" POST backup-destinations '{"label":"disk","type":"local"}' >/dev/null
call "$token" POST tags '{"label":"web"}' >/dev/null
call "$token" POST backup-tasks '{"remote_server_id":1,"backup_destination_id":1,"label":"Weekly Full Backup","type":"files",
    "source_path":"/home","frequency":"weekly","time_to_run_at":"02:00","maximum_backups_to_keep":4}' >/dev/null

checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance
# What it keeps of a run stays in the folder. A worker's or a destination's failure is no fault of the server.
printf '[checks]\nnot_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 502, 503, 504]\n' >"$folder/schemathesis.toml"

# drive URL OPTION… -- what one listener serves.
drive() {
    local listener=$1
    shift
    (cd "$folder" && "$tools/schemathesis-$schemathesis_version/bin/schemathesis" run "$url/api/openapi.json" --url "$listener" \
        --header "Authorization: Bearer $token" --checks "$checks" --phases examples,coverage,fuzzing --request-timeout 40 \
        --generation-database none --warnings off --no-color "$@") || {
        grep -E '"level":"ERROR"|ERROR' "$folder/log" | tail -n 20 >&2
        fail "the server answered what its document does not say, above; its errors are the last lines"
    }
}
[ "$#" -gt 0 ] || set -- --max-examples 12 --max-time 150 --seed 1
operator_paths='^/(api/system|metrics)'
step "schemathesis, the public listener"
# The account that the run acts as must stay; a link that was used up answers HTML.
drive "$url" --exclude-path /api/account --exclude-path-regex "^/(setup|confirm-stream)|$operator_paths" "$@"
step "schemathesis, the operator's listener"
drive "$operator_url" --include-path-regex "$operator_paths" "$@"
