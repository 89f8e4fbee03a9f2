#!/usr/bin/env bash
# Installs what the build, the tests and the benchmarks use from Debian: compilers, and the peers
# that the benchmarks compare with. Only as root; otherwise it prints the command.
# Exit status: 0 all there, 1 apt-get failed, 3 something is missing and this is not root.
set -euo pipefail

# command:package
readonly WANTED=(
  g++:g++
  make:make
  cmake:cmake
  python3:python3
  nm:binutils
  clang-format:clang-format
  strace:strace
  fio:fio
  nbdkit:nbdkit
  qemu-storage-daemon:qemu-system-common
)

missing=()
for entry in "${WANTED[@]}"; do
  command -v "${entry%%:*}" >/dev/null || missing+=("${entry#*:}")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

readonly INSTALL=(apt-get install -y --no-install-recommends "${missing[@]}")
if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
  echo "logflume: missing: ${missing[*]}"
  echo "logflume: on Debian or Ubuntu: sudo apt-get update && sudo ${INSTALL[*]}"
  exit 3
fi

echo "logflume: installing ${missing[*]} (apt-get)"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || exit 1
"${INSTALL[@]}" -qq >/dev/null || exit 1
