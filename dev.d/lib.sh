# What the commands share: plain messages, what must be installed, and how.

# Holds a tool that cargo built once, for all checkouts of this user.
tools=${HOLDFAST_TOOLS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/holdfast-tools}
export PATH="$tools/bin:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin:$PATH"

# Versions of cargo's tools that these checks were written with.
cargo_deny_version=0.18.9
cargo_machete_version=0.9.2
cargo_nextest_version=0.9.143
# The S3 server of tests, demo and bench, without what a single node does not use.
garage_version=2.5.0
garage_features=(--no-default-features --features bundled-libs,sqlite)
# From PyPI; carries the schema of the Compose specification.
check_jsonschema_version=0.39.0
# From PyPI; the library of the Standard Webhooks specification, which checks our signatures in tests.
standardwebhooks_version=1.1.0
# From PyPI; drives the server from its own OpenAPI document.
schemathesis_version=4.32.5

# What building needs: a linker and C headers (compression and cryptography have parts in C).
build_packages=(gcc g++ libc6-dev make)
# What `holdfast up` needs.
run_packages=(postgresql)
# What the demo's customer is made of, and what opens a backup by hand.
customer_packages=(openssh-server openssh-client tar coreutils bash age zstd acl attr mariadb-server mariadb-client)
# What tests use besides: other shells and tars as they are found on servers, a look at system calls, hosts in network
# namespaces of their own.
test_packages=(dash busybox fish tcsh strace git procps openssl bsdutils util-linux e2fsprogs iproute2 socat postgresql-client
    python3 python3-aiosmtpd)
# What building the container image and using what came out needs.
image_packages=(buildah debootstrap openssh-server openssh-client age zstd curl jq procps python3)
# What the bench compares with.
bench_packages=(borgbackup restic sshfs zip procps rclone)

step() { printf '\n== %s\n' "$*"; }
note() { printf '   %s\n' "$*"; }
fail() {
    printf 'dev: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        fail "this needs root, and there is no sudo: run as root: $*"
    fi
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Installs the Debian packages that are missing, and says which.
need_packages() {
    if ! command -v apt-get >/dev/null; then
        note "this is no Debian; these must be there by other means: $*"
        return
    fi
    local missing=() package log
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    step "Installing from Debian: ${missing[*]}"
    for package in "${missing[@]}"; do
        [ "$package" != openssh-server ] || note "openssh-server: Debian also starts it on port 22, which Holdfast does not need (systemctl disable --now ssh)"
        [ "$package" != mariadb-server ] || note "mariadb-server: Debian also starts a server of its own on port 3306; nothing here uses it"
        [ "$package" != postgresql ] || note "postgresql: Debian also starts a server of its own on port 5432; Holdfast does not use it"
    done
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    if ! { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        fail "apt-get could not install ${missing[*]}; its last lines are above"
    fi
    rm -f "$log"
}

need_cargo() {
    command -v cargo >/dev/null || fail "cargo is missing: install Rust 1.94 or newer with rustup (https://rustup.rs)"
    need_packages "${build_packages[@]}"
}

# need_tool PROGRAM CRATE VERSION [OPTION…]: a tool of cargo's, built once with these options of `cargo install`; false
# (with a sentence) where that is not possible.
need_tool() {
    local program=$1 crate=$2 version=$3 log
    shift 3
    command -v "$program" >/dev/null && return 0
    note "$program is missing and is built once into $tools (some minutes)"
    log=$(mktemp)
    if ! cargo install --quiet --locked --root "$tools" "$@" "$crate@$version" >"$log" 2>&1; then
        tail -n 5 "$log"
        note "$program could not be built; what it checks is left out"
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

# The S3 server that tests, demo and bench store at.
need_garage() {
    need_cargo
    need_tool garage garage "$garage_version" "${garage_features[@]}" ||
        fail "without the S3 server Garage this cannot run: cargo install --locked --root $tools ${garage_features[*]} garage@$garage_version"
}

build_release() {
    need_cargo
    step "Building (release; the first time takes about ten minutes)"
    cargo build --release --locked "$@" || fail "the build failed; the compiler's message is above"
}

# A Python package from PyPI, once, in a folder of its own below $tools. The end of pip's words where it cannot be had.
need_from_pypi() {
    local package=$1 version=$2 folder=$tools/$1-$2 log
    [ ! -e "$folder/installed" ] || return 0
    log=$(mktemp)
    note "$package is missing and is installed once into $folder"
    rm -rf "$folder"
    if ! { python3 -m venv "$folder" && "$folder/bin/pip" install --quiet "$package==$version"; } >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        rm -rf "$log" "$folder"
        return 1
    fi
    : >"$folder/installed"
    rm -f "$log"
}

need_standardwebhooks() {
    need_packages python3 python3-venv
    need_from_pypi standardwebhooks "$standardwebhooks_version" ||
        fail "standardwebhooks could not be installed from PyPI; the last lines are above"
}

need_schemathesis() {
    need_packages python3 python3-venv
    need_from_pypi schemathesis "$schemathesis_version" ||
        fail "schemathesis could not be installed from PyPI; the last lines are above"
}
