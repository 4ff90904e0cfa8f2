# Holdfast and a customer of its own on loopback: a backup, its restore elsewhere, and a comparison of every file.
need_packages "${run_packages[@]}" "${customer_packages[@]}"
build_release -p holdfast
# The customer's files have owners, which only root can give.
if [ "$(id -u)" -ne 0 ]; then
    exec sudo -- target/release/holdfast demo "$@"
fi
exec target/release/holdfast demo "$@"
