# Builds docker/Dockerfile with buildah on a debootstrapped Debian (no registry is needed), and lets what came out make,
# restore and compare a backup: migration, api and two workers from the image, with the compose file's roles, users and
# secrets, beside a PostgreSQL of this machine. `--binary FILE` takes that program instead of building one.
#
# What it is not: a run under Docker. The processes share this machine's network, and the root folder is not read-only.
binary='' keep=''
while [ $# -gt 0 ]; do
    case $1 in
        --binary) binary=$(readlink -f "${2:?a file}") && shift 2 ;;
        --keep) keep=1 && shift ;;
        *) fail "./dev image [--binary FILE] [--keep]" ;;
    esac
done
# `STORAGE_DRIVER=vfs` does where the kernel refuses overlays (a container in a container): slower, whole copies.
export STORAGE_DRIVER=${STORAGE_DRIVER:-overlay}
[ "$(id -u)" -eq 0 ] || fail "buildah needs root here: sudo ./dev image"
need_packages "${run_packages[@]}" "${image_packages[@]}"
if [ -z "$binary" ]; then
    build_release -p holdfast
    binary=$(readlink -f target/release/holdfast)
fi
. dev.d/compose.sh

cache=$tools/image
work=$(mktemp -d /tmp/holdfast-image.XXXXXX)
chmod 0755 "$work"
containers() { buildah --root "$cache/store" --runroot "$cache/run" "$@"; }
. docker/test/services.sh
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

. docker/test/build.sh
. docker/test/walk.sh
step "The image works: a backup was made, restored and compared, and the own database copied; everything ended in order"
