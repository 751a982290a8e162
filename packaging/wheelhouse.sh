#!/usr/bin/env bash
# Fills dist/wheelhouse-ARCH with the wheels of packaging/requirements.lock (checked by SHA-256) and Vigía's own.
#
#   packaging/wheelhouse.sh [amd64|arm64]      PYTHON=...  any Python with pip
set -euo pipefail
cd "$(dirname "$0")/.."
arch=${1:-amd64}
python=${PYTHON:-python3}
case $arch in
  amd64) machine=x86_64 ;;
  arm64) machine=aarch64 ;;
  *) echo "wheelhouse.sh: amd64 or arm64, not $arch" >&2; exit 64 ;;
esac
house=dist/wheelhouse-$arch
source=$(mktemp -d)
trap 'rm -rf "$source"' EXIT
mkdir -p "$house"
target=$("$python" -c "import sys; sys.path.insert(0, 'packaging'); import lock; print(' '.join(lock.pip_target('$machine')))")
pip() { "$python" -m pip --disable-pip-version-check "$@"; }
# shellcheck disable=SC2086 # options, split on purpose
pip download -q --no-deps --require-hashes -d "$house" $target -r packaging/requirements.lock
cp -a pyproject.toml README.md LICENSE agent hardware-sim "$source" # the build must not leave its files in the working tree
pip wheel -q --no-deps -w "$house" "$source"
echo "$house"
