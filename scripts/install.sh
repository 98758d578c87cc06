# Sourced by demo and test: installs what scripts/packages lists and is missing, without asking anything.
# install_packages [test]: with "test" those that only tests need as well.

say() { printf '\n== %s\n' "$*"; }

wanted_packages() {
    local kind name command
    sed -e 's/#.*//' -e '/^test /!s/^/always /' "$root/scripts/packages" | while read -r kind name command; do
        [ -n "$name" ] || continue
        [ "$kind" = always ] || [ "${1:-}" = test ] || continue
        [ -n "$command" ] && command -v "$command" > /dev/null && continue
        echo "$name"
    done
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

install_packages() {
    local package missing=() as_root=()
    for package in $(wanted_packages "${1:-}"); do
        is_installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} = 0 ]; then
        say "Packages: all there"
        return
    fi
    say "Packages: installing ${missing[*]}"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo > /dev/null || { echo "not root, and there is no sudo: install them by hand" >&2; exit 1; }
        as_root=(sudo -n)
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" < /dev/null
}

# build PRESET [TARGET...]
build() {
    local preset=$1 target targets=()
    shift
    for target in "$@"; do targets+=(--target "$target"); done
    say "Build: $preset"
    (cd "$root" && cmake --preset "$preset" > /dev/null &&
        cmake --build "build/$preset" -j "${JOBS:-$(nproc)}" "${targets[@]}" | tail -n 3)
}
