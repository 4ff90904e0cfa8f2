# Whether docker/compose.yaml follows the Compose specification, by the schema that a package from PyPI carries.
need_packages python3 python3-venv
linter=$tools/check-jsonschema-$check_jsonschema_version
if [ ! -x "$linter/bin/check-jsonschema" ]; then
    note "check-jsonschema is missing and is installed once into $linter"
    log=$(mktemp)
    rm -rf "$linter"
    if ! { python3 -m venv "$linter" &&
        "$linter/bin/pip" install --quiet "check-jsonschema==$check_jsonschema_version"; } >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        rm -rf "$log" "$linter"
        fail "check-jsonschema could not be installed from PyPI; the last lines are above"
    fi
    rm -f "$log"
fi
step "Compose file"
"$linter/bin/check-jsonschema" --builtin-schema vendor.compose-spec "${1:-docker/compose.yaml}" ||
    fail "that is no compose file, see above"
