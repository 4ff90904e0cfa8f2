# Everything that reads the code without running it.
need_cargo

step "Formatting"
cargo fmt --all -- --check || fail "the code is not formatted: ./dev fmt"

step "Clippy"
cargo clippy --workspace --all-targets --locked --quiet -- -D warnings || fail "clippy has something to say, above"

step "Documentation"
RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --workspace --no-deps --locked --quiet --document-private-items ||
    fail "the documentation has a broken link or the like, above"

step "Dependencies"
if need_tool cargo-deny cargo-deny "$cargo_deny_version"; then
    cargo deny --log-level error --locked check bans licenses sources || fail "deny.toml refuses a dependency, above"
    if timeout 60 cargo deny --log-level off fetch db >/dev/null 2>&1; then
        note "advisories: checked against the RustSec database as it is now"
        cargo deny --log-level error --locked check --disable-fetch advisories || fail "a dependency has an advisory, above"
    else
        note "advisories: NOT checked, the RustSec database cannot be reached from here"
    fi
fi
if need_tool cargo-machete cargo-machete "$cargo_machete_version"; then
    cargo machete || fail "a crate lists a dependency that it does not use, above"
fi

. dev.d/compose.sh --if-possible
