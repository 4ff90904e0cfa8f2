# The whole suite against real servers on free loopback ports. Ends with the runner's own summary.
need_cargo
need_packages "${run_packages[@]}" "${customer_packages[@]}" "${test_packages[@]}"
need_garage
need_standardwebhooks
. dev.d/lint.sh

step "Examples in the documentation"
cargo test --workspace --doc --locked --quiet || fail "an example in the documentation does not work, above"

step "Tests"
# The product itself, which some tests start as an operator would.
cargo build --locked --quiet -p holdfast
if need_tool cargo-nextest cargo-nextest "$cargo_nextest_version"; then
    cargo nextest run --workspace --locked "$@"
else
    cargo run --quiet --locked -p holdfast-testbed --bin testbed -- run \
        cargo test --workspace --locked --lib --bins --tests "$@"
fi
