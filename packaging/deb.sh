#!/usr/bin/env bash
# Builds dist/vigia_VERSION_ARCH.deb for Debian 12: everything a box needs beyond Debian's own Python, no network at install.
#
#   packaging/deb.sh [amd64|arm64]      PYTHON=...  any Python with pip (wheels are chosen for Debian's Python 3.11)
#                                       COMPRESS=xz|zstd|none (default xz: the smallest; none: for tests)
#                                       OUT=dist  where the package goes
# Wheels are those of packaging/requirements.lock, checked by SHA-256; only Vigía itself is built, and it is pure Python.
set -euo pipefail
cd "$(dirname "$0")/.."
arch=${1:-amd64}
python=${PYTHON:-python3}
out=${OUT:-dist}
compress=${COMPRESS:-xz}
case $arch in
  amd64) machine=x86_64 ;;
  arm64) machine=aarch64 ;;
  *) echo "deb.sh: amd64 or arm64, not $arch" >&2; exit 64 ;;
esac
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
lib=$root/opt/vigia/lib
mkdir -p "$lib" "$root/DEBIAN" "$out"

target=$("$python" -c "import sys; sys.path.insert(0, 'packaging'); import lock; print(' '.join(lock.pip_target('$machine')))")
pip() { "$python" -m pip --disable-pip-version-check "$@"; }
# shellcheck disable=SC2086 # options, split on purpose
pip install -q --no-compile --no-deps --require-hashes --target "$lib" $target -r packaging/requirements.lock
# (a copy: the build must not leave its files in the working tree)
mkdir "$work/source"
cp -a pyproject.toml README.md LICENSE agent hardware-sim "$work/source"
pip wheel -q --no-deps -w "$work/wheels" "$work/source"
pip install -q --no-compile --no-deps --target "$lib" "$work"/wheels/vigia-*.whl

# What only developers of those libraries use. The parts that Vigía imports are held by the tests that run the package.
rm -rf "$lib/bin" "$lib"/onnxruntime/{tools,transformers,quantization,datasets} "$lib"/cv2/misc
find "$lib" -depth -type d \( -name __pycache__ -o \( -path '*/numpy/*' -name tests \) \) -exec rm -rf {} +

install -D -m 755 packaging/vigia "$root/usr/bin/vigia"
install -D -m 644 systemd/vigia.service "$root/lib/systemd/system/vigia.service"
install -D -m 644 systemd/vigia.sysusers "$root/usr/lib/sysusers.d/vigia.conf"
install -D -m 644 systemd/vigia.modules "$root/usr/lib/modules-load.d/vigia.conf"
install -D -m 644 systemd/60-vigia.rules "$root/etc/udev/rules.d/60-vigia.rules"
install -D -m 640 configs/vigia.toml "$root/etc/vigia/vigia.toml"
install -d -m 750 "$root/etc/vigia/conf.d"
chmod 750 "$root/etc/vigia"
doc=$root/usr/share/doc/vigia
install -d "$doc"
cp -a README.md docs "$doc/"
cp LICENSE "$doc/copyright"
"$python" packaging/sbom.py "$lib" "$version" > "$doc/sbom.cdx.json"
find "$root" -type d -not -path '*/etc/vigia*' -exec chmod 755 {} +
find "$lib" "$doc" -type f -exec chmod 644 {} +

cat > "$root/DEBIAN/control" <<CONTROL
Package: vigia
Version: $version
Architecture: $arch
Maintainer: The Vigía project <vigia@example.org>
Section: net
Priority: optional
Depends: python3 (>= 3.11), python3 (<< 3.12), systemd (>= 252), libstdc++6, passwd
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Description: open sensor-edge agent for coasts
 Reads cameras, radars and AIS through drivers, fuses what they say into tracks,
 raises alerts by the operators' rules and sends them, small and never lost,
 over MQTT to a shared maritime picture.
CONTROL
printf '%s\n' /etc/vigia/vigia.toml /etc/udev/rules.d/60-vigia.rules > "$root/DEBIAN/conffiles"
for script in preinst postinst prerm postrm; do
  install -m 755 "packaging/debian/$script" "$root/DEBIAN/$script"
done
deb=$out/vigia_${version}_${arch}.deb
dpkg-deb --root-owner-group "-Z$compress" --build "$root" "$deb" >&2
echo "$deb"
