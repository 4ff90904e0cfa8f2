# Measures, and writes docs/benchmarks.md.
need_packages "${run_packages[@]}" "${customer_packages[@]}" "${bench_packages[@]}"
need_garage
build_release -p holdfast -p holdfast-testbed
as_root env "PATH=$PATH" target/release/bench --output docs/benchmarks.md "$@"
