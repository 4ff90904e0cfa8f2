# Part of `./dev image`: what somebody would do with the containers, by HTTP and the command line alone.

"$linter/bin/python" -c 'import json, sys; from ruamel.yaml import YAML; json.dump(YAML(typ="safe").load(sys.stdin), sys.stdout)' \
    <docker/compose.yaml >"$work/compose.json"
database_port=$(free_port) api_port=$(free_port) ssh_port=$(free_port)
worker_port=([worker-1]=$(free_port) [worker-2]=$(free_port))
url=http://127.0.0.1:$api_port

# call METHOD PATH [JSON]: the answer; an error's body is shown.
call() {
    local answer
    answer=$(curl --silent --show-error --fail-with-body --request "$1" --header "Authorization: Bearer $token" \
        --header 'Content-Type: application/json' ${3:+--data "$3"} "$url/api/$2") || fail "$1 $2: $answer"
    printf '%s' "$answer"
}

# ended PATH: waits for its last state, and says it.
ended() {
    local limit=$((SECONDS + 120)) row
    while row=$(call GET "$1"); do
        [ "$(jq -r '.data.completed_at' <<<"$row")" = null ] || break
        [ $SECONDS -lt $limit ] || fail "$1 does not end: $row"
        sleep 0.5
    done
    [ "$(jq -r .data.status <<<"$row")" = succeeded ] || fail "$1 ended badly: $row"
    printf '%s' "$row"
}

step "PostgreSQL, migration, api and two workers from the image"
start_postgres "$database_port"
once migrate >"$work/migrate.log" 2>&1 || fail "migrate: $(tail -n 3 "$work/migrate.log")"
note "$(tail -n 1 "$work/migrate.log")"
for service in worker-1 worker-2 api; do start "$service"; done
wait_for "the api" 30 in_image "$container" -- holdfast-health api "$api_port"
for service in worker-1 worker-2; do
    wait_for "$service" 30 in_image "$container" -- holdfast-health worker "${worker_port[$service]}"
done
in_image "$container" -- holdfast-health worker 1 >/dev/null 2>&1 && fail "the health check is content with anything"
note "the health checks inside the image are content, and not with a port where nobody listens"

step "A backup from this machine, and its restore"
openssl_password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
once admin create-user --email you@example.com --name You --timezone UTC --operator --password-stdin \
    <<<"$openssl_password" >/dev/null || fail "admin create-user"
token=$(once admin create-token --email you@example.com --name image --abilities '*') || fail "admin create-token"
start_sshd "$ssh_port"
call GET ssh-key | jq -r .authorized_keys_line >>"$work/authorized_keys"
server=$(call POST remote-servers "{\"label\":\"this machine\",\"ip_address\":\"127.0.0.1\",\"port\":$ssh_port,\"username\":\"root\"}" | jq .data.id)
call POST "remote-servers/$server/check" '{}' >/dev/null
shown=$(call GET "remote-servers/$server/host-key" | jq -r .data.pending.fingerprint)
[ "$shown" = "$(ssh-keygen -lf "$work/host_key.pub" | cut -d ' ' -f 2)" ] || fail "another host key is shown: $shown"
call POST "remote-servers/$server/host-key/accept" "{\"fingerprint\":\"$shown\"}" >/dev/null
destination=$(call POST backup-destinations '{"label":"local","type":"local"}' | jq .data.id)
[ "$(call POST "backup-destinations/$destination/check" '{}' | jq .data.ok)" = true ] || fail "the destination's check failed"
mkdir -p "$work/tree/folder"
cp -a /usr/share/common-licenses "$work/tree/folder/"
head -c 30000000 /dev/urandom >"$work/tree/noise"
task=$(call POST backup-tasks "{\"label\":\"files\",\"type\":\"files\",\"frequency\":\"manual\",\"maximum_backups_to_keep\":0,
    \"remote_server_id\":$server,\"backup_destination_id\":$destination,\"source_path\":\"$work/tree\"}" | jq .data.id)
run=$(call POST "backup-tasks/$task/run" '{}' | jq .data.backup_run_id)
run=$(ended "backup-runs/$run") || exit 1
backup=$(jq .data.backup_id <<<"$run")
restore=$(call POST "backups/$backup/restore" \
    "{\"target\":{\"remote_server_id\":$server,\"path\":\"$work/back\"},\"layout\":\"contents_only\"}" | jq .data.id)
ended "restores/$restore" >/dev/null || exit 1
diff -r --no-dereference "$work/tree" "$(dirname "$(find "$work/back" -name noise)")" || fail "what came back differs"
note "$(find "$work/tree" -type f | wc -l) files, $(du -sh "$work/tree" | cut -f 1), came back equal (run by $(jq -r .data.worker <<<"$run"))"

step "A copy of Holdfast's own database"
age-keygen -o "$work/operators-key" 2>/dev/null
own=$(call POST system/backups "{\"backup_destination_id\":$destination,\"recipients\":[\"$(age-keygen -y "$work/operators-key")\"]}" | jq .data.id)
own=$(ended "system/backups/$own") || exit 1
curl --silent --fail --header "Authorization: Bearer $token" --output "$work/own.age" "$url/api/system/backups/$(jq .data.id <<<"$own")/download" ||
    fail "the copy was not downloaded"
echo "$(jq -r .data.sha256 <<<"$own")  $work/own.age" | sha256sum --check --quiet || fail "the download differs"
age -d -i "$work/operators-key" "$work/own.age" | zstd -dq | tail -n 1 | grep -qx -e '-- end of the copy' || fail "the copy is not whole"
note "$(jq .data.size_bytes <<<"$own") bytes, opened with age and zstd alone"

step "The end"
stop_all
note "api and workers ended in order after SIGTERM"
