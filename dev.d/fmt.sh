# Formats the code.
need_cargo
cargo fmt --all
