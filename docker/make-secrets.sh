#!/bin/sh
# Makes the secrets that compose.yaml mounts, once, in a folder beside it (or the one given). As root: every file
# belongs to the only user who reads it, and neither Holdfast nor Docker changes that.
set -eu
folder=${1:-$(dirname "$0")/secrets}
holdfast_uid=${HOLDFAST_UID:-10001} # The user of docker/Dockerfile.
postgres_uid=${POSTGRES_UID:-999}   # The user of the official image of PostgreSQL.
umask 077

if [ -e "$folder" ]; then
    echo "make-secrets: $folder is there already; the key in it opens every backup, so it is not replaced" >&2
    exit 1
fi
# Under another name until it is whole: half of the secrets would look like all of them.
part=$folder.part-$$
trap 'rm -rf "$part"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$part"

random() { od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n'; }
give() { # NAME USER; the content comes on standard input
    cat >"$part/$1"
    chown "$2" "$part/$1"
    chmod 0400 "$part/$1"
}

owner=$(random)
app=$(random)
copy=$(random)
printf 'holdfast-kek-1\n%s\n' "$(random)" | give kek "$holdfast_uid"
printf '*:*:holdfast:holdfast:%s\n' "$owner" | give owner.pgpass "$holdfast_uid"
printf '*:*:holdfast:holdfast_app_login:%s\n' "$app" | give app.pgpass "$holdfast_uid"
printf '*:*:holdfast:holdfast_app_login:%s\n*:*:holdfast:holdfast_copy_login:%s\n' "$app" "$copy" |
    give worker.pgpass "$holdfast_uid"
printf '%s\n' "$owner" | give owner_password "$postgres_uid"
printf '%s\n' "$app" | give app_password "$postgres_uid"
printf '%s\n' "$copy" | give copy_password "$postgres_uid"
random | give superuser_password "$postgres_uid"
mv "$part" "$folder"
echo "The secrets are in $folder. Copy $folder/kek to a place that is not on this machine: without it no backup of"
echo "Holdfast can be opened again."
