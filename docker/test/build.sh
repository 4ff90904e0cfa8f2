# Part of `./dev image`: the image `holdfast`, from docker/Dockerfile as it is. Its two bases are stood in for: Debian
# comes from debootstrap, and in place of the compiler's image stands one whose `cargo` hands over the program that was
# built outside.
mkdir -p "$cache"
if ! containers inspect --type image localhost/debian:bookworm-slim >/dev/null 2>&1; then
    step "Debian 12 from deb.debian.org (once; kept in $cache)"
    debootstrap --variant=minbase --include=ca-certificates bookworm "$work/debian" http://deb.debian.org/debian \
        >"$work/debootstrap.log" 2>&1 || { tail -n 5 "$work/debootstrap.log" >&2; fail "debootstrap failed, see above"; }
    base=$(containers from scratch)
    containers add --quiet "$base" "$work/debian" / >/dev/null
    containers commit --quiet --rm "$base" localhost/debian:bookworm-slim >/dev/null
    rm -rf "$work/debian"
fi

step "Building docker/Dockerfile (program: $binary, not compiled inside)"
compiler=$(containers from localhost/debian:bookworm-slim)
printf '#!/bin/sh\nset -e\n[ "$*" = "build --release --locked -p holdfast" ]\nmkdir -p target/release\ncp /holdfast target/release/holdfast\n' \
    >"$work/cargo"
containers copy --quiet --chmod 0755 "$compiler" "$work/cargo" /usr/local/bin/cargo >/dev/null
containers copy --quiet --chmod 0755 "$compiler" "$binary" /holdfast >/dev/null
containers commit --quiet --rm "$compiler" localhost/rust:1-bookworm >/dev/null
if ! containers build --isolation chroot --pull=never --file docker/Dockerfile --tag localhost/holdfast . >"$work/build.log" 2>&1; then
    tail -n 20 "$work/build.log" >&2
    fail "the build failed, see above"
fi
containers rmi localhost/rust:1-bookworm >/dev/null

image=$(containers inspect --type image localhost/holdfast)
[ "$(jq -r .OCIv1.config.User <<<"$image")" = 10001:10001 ] || fail "the image does not run as 10001:10001"
[ "$(jq -c .OCIv1.config.Entrypoint <<<"$image")" = '["holdfast"]' ] || fail "the image does not start holdfast"
container=$(containers from localhost/holdfast)
in_image "$container" -- ldd /usr/local/bin/holdfast | grep 'not found' && fail "the program lacks a library in the image"
version=$(in_image "$container" -- holdfast --version) || fail "the program does not start in the image: $version"
note "$version, $(containers images --format '{{.Size}}' localhost/holdfast) with its base, user 10001"
