# SPDX-License-Identifier: Apache-2.0
# What the scripts share: messages, colours only on a terminal, the cache folder, missing tools.
# Sourced by bash scripts that have set -eu.

# Everything that tests and demo fetch or build from Debian's packages. May be removed at any time.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/swift-lis-tests

if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' cyan=$'\e[36m' plain=$'\e[0m'
else
  bold='' dim='' green='' red='' cyan='' plain=''
fi

say() { printf '%s\n' "${bold}$*${plain}"; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# as_root COMMAND...: runs it as root, through sudo when we are not root ourselves.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "this needs root: $*"
  fi
}

# ensure_tools TOOL:PACKAGE...: installs the Debian packages of those tools that are missing. A TOOL with a
# slash is a file that has to exist, anything else a command on the path.
ensure_tools() {
  local entry tool missing=()
  PATH=$PATH:/usr/sbin:/sbin
  for entry in "$@"; do
    tool=${entry%%:*}
    case $tool in
      */*) [ -e "$tool" ] || missing+=("${entry##*:}") ;;
      *) command -v "$tool" >/dev/null || missing+=("${entry##*:}") ;;
    esac
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "please install: ${missing[*]}"
  say "installing ${missing[*]}" >&2
  as_root apt-get -qq update >&2
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null ||
    die "could not install ${missing[*]}"
}

# What booting a guest needs: the builder of the guests' images, and where processors have no virtualization the
# emulator of the software machine.
ensure_guest_tools() {
  local tools=(git:git python3:python3 mke2fs:e2fsprogs depmod:kmod xz:xz-utils gcc:gcc /usr/include/stdio.h:libc6-dev)
  if ! grep -qE '^flags.* (vmx|svm)( |$)' /proc/cpuinfo || ! [ -w /dev/kvm ]; then
    tools+=(qemu-system-x86_64:qemu-system-x86 cpio:cpio busybox:busybox-static)
  fi
  ensure_tools "${tools[@]}"
}

# bench_fio: the path of an fio for benchmarks, built once, without what a guest cannot have: Debian's comes with 80 MB of
# libraries.
bench_fio() {
  local folder=$cache/bench/fio-3.33 archive
  if ! [ -x "$folder/fio" ]; then
    ensure_tools curl:curl make:make gcc:gcc /usr/include/stdio.h:libc6-dev
    say "building fio (once)" >&2
    mkdir -p "$cache/bench"
    archive=$(mktemp "$cache/bench/fio.XXXXXX")
    curl -sSfL -o "$archive" http://deb.debian.org/debian/pool/main/f/fio/fio_3.33.orig.tar.gz >&2
    echo "d2410e13e0f379d061d077cc5ae325835bb7c6186aa7bafc1df954cbc9b014fc  $archive" | sha256sum --check --quiet >&2
    rm -rf "$folder"
    mkdir -p "$folder"
    tar -xzf "$archive" -C "$folder" --strip-components=1
    rm "$archive"
    (cd "$folder" && ./configure --disable-native --disable-numa --disable-rdma --disable-rados --disable-rbd \
      --disable-gfapi --disable-http --disable-pmem --disable-tcmalloc --disable-lex >build.log 2>&1 &&
      make -j"$(nproc)" fio >>build.log 2>&1) || die "fio does not build: $folder/build.log"
  fi
  echo "$folder/fio"
}
