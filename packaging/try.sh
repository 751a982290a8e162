#!/usr/bin/env bash
# Tries every way to install Vigía but the .deb (tests/booted does that), each in a fresh environment in a temporary folder:
# the wheelhouse without an index, the hash-pinned lock, plain `pip install .`; each has to say its version and to run.
# Then the bill of materials of what was installed, against CycloneDX's own schema.
#
#   packaging/try.sh [wheelhouse] [lock] [plain]      PYTHON=...  Python 3.11; needs a network, some minutes, and no rights
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(command -v "${PYTHON:-python3}")
python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python")
work=$(mktemp -d -p /var/tmp vigia-try-XXXXXX)
trap 'rm -rf "$work"' EXIT
git archive HEAD | tar -x -C "$work" --one-top-level=source # the build must not leave its files in the working tree
cd "$work/source"
cat > "$work/box.toml" <<'TOML'
[site]
name = "try"
lat = 43.38
lon = -8.40
height_m = 20
[[sensor]]
name = "ais-1"
driver = "ais"
url = "udp://127.0.0.1:39871"
[publish]
broker = "mqtt://127.0.0.1:9"
TOML

fresh() { "$python" -m venv "$work/$1"; }
pip() { "$work/$1/bin/pip" --disable-pip-version-check install -q "${@:2}"; }
runs() { # `vigia run` comes up, tells of its sensor, and ends in order
  (
    cd / # what runs is what was installed, not what lies here
    state=$work/$1-state
    "$work/$1/bin/vigia" --version
    "$work/$1/bin/vigia" run -c "$work/box.toml" --state "$state" 2> "$work/log" &
    box=$!
    for _ in $(seq 240); do
      if "$work/$1/bin/vigia" status --state "$state" 2> /dev/null | grep -q '"ais-1"'; then
        kill -TERM $box
        wait $box
        exit
      fi
      kill -0 $box || break
      sleep 0.5
    done
    echo "$1: no status" >&2
    cat "$work/log"
    kill -KILL $box
    exit 1
  )
  echo "ok: $1"
}

wheelhouse() {
  PYTHON=$python packaging/wheelhouse.sh amd64
  pip wheelhouse --no-index --find-links dist/wheelhouse-amd64 vigia
}
lock() {
  pip lock --require-hashes --only-binary=:all: -r packaging/requirements.lock
  pip lock --no-deps .
}
plain() { pip plain .; }

for way in ${*:-wheelhouse lock plain}; do
  fresh "$way"
  "$way"
  runs "$way"
done

site=$("$work/$way/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
"$python" packaging/sbom.py "$site" 0 > "$work/sbom.json"
fresh judge
pip judge 'cyclonedx-python-lib[json-validation]'
"$work/judge/bin/python" - "$work/sbom.json" <<'PYTHON'
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

wrong = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[1]).read())
sys.exit(f"the bill of materials breaks CycloneDX 1.5: {wrong}" if wrong else 0)
PYTHON
echo "ok: bill of materials"
