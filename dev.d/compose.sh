# Whether docker/compose.yaml follows the Compose specification, by the schema that a package from PyPI carries.
# `--if-possible`: where that cannot be had, says so and goes on.
need_packages python3 python3-venv
linter=$tools/check-jsonschema-$check_jsonschema_version

step "Compose file"
if need_from_pypi check-jsonschema "$check_jsonschema_version"; then
    "$linter/bin/check-jsonschema" --builtin-schema vendor.compose-spec docker/compose.yaml ||
        fail "docker/compose.yaml is no compose file, see above"
elif [ "${1:-}" = --if-possible ]; then
    note "the compose file is NOT checked: its linter could not be installed"
else
    fail "check-jsonschema could not be installed from PyPI; the last lines are above"
fi
