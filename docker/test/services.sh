# Part of `./dev image`: starting and stopping what runs from the image, and what it needs around it.

container='' started=() postgres='' options=()
declare -A worker_port=()

# in_image CONTAINER [buildah run's options] -- COMMAND: as the image's user, with nothing of this environment.
in_image() {
    local from=$1 before=()
    shift
    while [ "$1" != -- ]; do before+=("$1") && shift; done
    containers run --isolation chroot "${before[@]}" "$from" "$@"
}

# options_of SERVICE: what docker/compose.yaml says of it as options of `buildah run`, with this machine's addresses.
options_of() {
    local line target
    options=()
    while IFS= read -r line; do options+=(--env "$line"); done < <(jq -r --arg s "$1" \
        '.services[$s].environment | to_entries[] | "\(.key)=\(.value)"' "$work/compose.json" | sed \
        -e "s#@postgres:5432#@127.0.0.1:$database_port#" -e "s#0\.0\.0\.0:8080#127.0.0.1:$api_port#" \
        -e "s#\${HOLDFAST_EGRESS_ALLOW:-}#127.0.0.0/8#" -e "s#\${HOLDFAST_PUBLIC_URL:-[^}]*}#http://127.0.0.1:$api_port#" \
        -e "s#0\.0\.0\.0:9090#127.0.0.1:${worker_port[$1]:-0}#" -e "s#worker-[0-9]*:9090#127.0.0.1:${worker_port[$1]:-0}#")
    while IFS=$'\t' read -r line target; do
        options+=(--volume "$work/secrets/${target#./secrets/}:/run/secrets/$line:ro")
    done < <(jq -r --arg s "$1" '.secrets as $f | .services[$s].secrets[] | "\(.)\t\($f[.].file)"' "$work/compose.json")
    while IFS=: read -r line target; do
        install -d -o 10001 -g 10001 -m 0700 "$work/$line"
        options+=(--volume "$work/$line:$target")
    done < <(jq -r --arg s "$1" '.services[$s].volumes // [] | .[]' "$work/compose.json")
}

# start SERVICE: in the background, its output in $work/SERVICE.log.
start() {
    local from command
    options_of "$1"
    mapfile -t command < <(jq -r --arg s "$1" '.services[$s].command[]' "$work/compose.json")
    from=$(containers from localhost/holdfast)
    in_image "$from" "${options[@]}" -- holdfast "${command[@]}" >"$work/$1.log" 2>&1 &
    started+=("$1 $! $from")
}

# once SERVICE [COMMAND…]: to its end, with its output here.
once() {
    local service=$1 command
    shift
    options_of "$service"
    mapfile -t command < <(jq -r --arg s "$service" '.services[$s] | (.entrypoint // ["holdfast"])[], (.command // [])[]' "$work/compose.json")
    in_image "$container" "${options[@]}" -- "${command[@]}" "$@"
}

# The process that belongs to the image: below this shell's, buildah's and its helper's.
program_of() {
    local pid=$1 child
    while child=$(pgrep -P "$pid" | head -n 1) && [ -n "$child" ]; do pid=$child; done
    printf '%s\n' "$pid"
}

# Ends everything that was started, as Docker would: SIGTERM, and a limit.
stop_all() {
    local entry name pid from program
    for entry in "${started[@]}"; do
        read -r name pid from <<<"$entry"
        program=$(program_of "$pid") || true
        [ -z "$program" ] || kill -TERM "$program" 2>/dev/null || true
    done
    for entry in "${started[@]}"; do
        read -r name pid from <<<"$entry"
        wait_for "the end of $name" 90 eval "! kill -0 $pid 2>/dev/null"
        wait "$pid" || fail "$name ended badly: $(tail -n 3 "$work/$name.log")"
    done
    started=()
}

# wait_for WHAT SECONDS COMMAND…
wait_for() {
    local what=$1 limit=$((SECONDS + $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $limit ] || { tail -n 5 "$work"/*.log >&2; fail "$what did not come; the logs' ends are above"; }
        sleep 0.2
    done
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

clean_up() {
    local entry name pid from program
    for entry in "${started[@]}"; do
        read -r name pid from <<<"$entry"
        program=$(program_of "$pid") || true
        # Otherwise the shell reports each.
        disown "$pid" 2>/dev/null || true
        kill -KILL ${program:+"$program"} "$pid" 2>/dev/null || true
    done
    [ ! -f "$work/sshd.pid" ] || kill "$(cat "$work/sshd.pid")" 2>/dev/null || true
    [ -z "$postgres" ] || as_postgres "$postgres/pg_ctl" -s -m immediate -D "$work/postgres" stop || true
    containers rm --all >/dev/null 2>&1 || true
    if [ -n "$keep" ]; then note "kept: $work"; else rm -rf "$work"; fi
}

as_postgres() { (cd / && setpriv --reuid postgres --regid postgres --clear-groups -- "$@"); }

# A PostgreSQL of this machine, set up by docker/roles.sql as the official image's entrypoint would.
start_postgres() {
    postgres=$(dirname "$(find /usr/lib/postgresql -path '*/bin/initdb' | sort -V | tail -n 1)")
    HOLDFAST_UID=10001 POSTGRES_UID=$(id -u postgres) sh docker/make-secrets.sh "$work/secrets" >/dev/null
    # Docker mounts one file each; here they lie in one folder, which its readers may pass through.
    chmod 0711 "$work/secrets"
    install -d -o postgres -g postgres -m 0700 "$work/postgres" "$work/socket"
    as_postgres "$postgres/initdb" --auth-local peer --auth-host scram-sha-256 -E UTF8 --locale C.UTF-8 -D "$work/postgres" >"$work/initdb.log"
    as_postgres "$postgres/pg_ctl" -s -w -D "$work/postgres" -l "$work/postgres/log" \
        -o "-c listen_addresses=127.0.0.1 -p $1 -k $work/socket" start || fail "PostgreSQL did not start: $(tail -n 3 "$work/postgres/log")"
    sed "s#/run/secrets/#$work/secrets/#" docker/roles.sql |
        as_postgres psql -qX -h "$work/socket" -p "$1" -d postgres >"$work/roles.log" || fail "roles.sql failed: $(cat "$work/roles.log")"
}

# A server to back up: this machine, on a port of its own, for root with a key alone.
start_sshd() {
    ssh-keygen -q -t ed25519 -N '' -f "$work/host_key"
    : >"$work/authorized_keys"
    mkdir -p /run/sshd
    printf '%s\n' "Port $1" "ListenAddress 127.0.0.1" "HostKey $work/host_key" "PidFile $work/sshd.pid" \
        "AuthorizedKeysFile $work/authorized_keys" "StrictModes no" "UsePAM no" "PasswordAuthentication no" \
        "PermitRootLogin prohibit-password" >"$work/sshd_config"
    "$(command -v sshd || echo /usr/sbin/sshd)" -f "$work/sshd_config" -E "$work/sshd.log"
    wait_for "sshd" 10 test -f "$work/sshd.pid"
}
