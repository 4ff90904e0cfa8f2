# Measures, and writes docs/benchmarks.md.
need_packages "${run_packages[@]}" "${customer_packages[@]}" "${bench_packages[@]}"
build_release -p holdfast -p holdfast-testbed
as_root target/release/bench --output docs/benchmarks.md "$@"
