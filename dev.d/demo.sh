# Holdfast and a customer of its own on loopback: files and databases to a disk and an S3 bucket, and all of it back.
need_packages "${run_packages[@]}" "${customer_packages[@]}"
need_garage
build_release -p holdfast
# The customer's files have owners, which only root can give.
if [ "$(id -u)" -ne 0 ]; then
    exec sudo -- env "PATH=$PATH" target/release/holdfast demo "$@"
fi
exec target/release/holdfast demo "$@"
