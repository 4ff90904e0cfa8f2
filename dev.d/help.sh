cat <<'TEXT'
./dev up [options]     builds and starts Holdfast on this machine (options of `holdfast up`)
./dev demo [--keep]    shows backups of files and databases and their restore, on loopback, and compares everything
./dev test             everything CI runs
./dev fuzz [options]   drives a server from its OpenAPI document (schemathesis's options; five minutes)
./dev lint             formatting, clippy, documentation, dependencies
./dev fmt              formats the code
./dev image [options]  builds the container image with buildah and runs a backup through it (root, Debian)
./dev bench [options]  measures and writes docs/benchmarks.md (root, an idle machine, up to an hour)
./dev faults [row]     injects the faults of docs/faults.md and prints what came of them; lists the rows
TEXT
