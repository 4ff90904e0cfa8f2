# What is not a tool's own text on standard error begins with `holdfast:`; variable parts are base64.
say() {
    printf 'holdfast:%s ' "$1" >&2
    printf %s "$2" | base64 | tr -d '\n' >&2
    echo >&2
}
refuse() {
    say "refused $1" "$2"
    exit 90
}
