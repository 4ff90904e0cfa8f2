printf '%s\n' "holdfast:system $(uname -sr)"
printf '%s\n' "holdfast:user $(id -u) $(id -un)"
for one in base64 tar gtar dd mktemp find mv stat mysqldump mariadb-dump pg_dump psql docker; do
    command -v "$one" >/dev/null 2>&1 || continue
    said=$("$one" --version 2>&1 </dev/null)
    said=${said%%"
"*}
    printf '%s\n' "holdfast:tool $one $said"
done
