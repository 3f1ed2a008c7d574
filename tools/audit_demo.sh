#!/usr/bin/env bash
# `make audit`: the main job on the embedded model. It succeeds whatever the verdict; `fairopt audit` itself says the
# verdict with its exit code, which is printed here.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=$1
.venv/bin/fairopt audit phantom --compress int4:g=32 --compress magnitude:0.5 --benchmark phantom_pairs --out "$out"
code=$?
case $code in
  0 | 1 | 4) printf '\nfairopt audit returned %d (0 ship, 1 hold, 4 inconclusive); make audit succeeds whatever the verdict.\n' "$code" ;;
  *) exit "$code" ;;
esac
