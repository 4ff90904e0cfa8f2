# Kills workers for a long time, and counts how runs end.
need_packages "${run_packages[@]}" "${customer_packages[@]}"
build_release -p holdfast -p holdfast-testbed
as_root target/release/soak "$@"
