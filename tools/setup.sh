#!/usr/bin/env bash
# Set up .venv with everything fairopt needs and build it there. Idempotent: a stamp (the hash of every file that
# decides the result) lets a second run return at once.
#   tools/setup.sh run     the package and what it needs to run
#   tools/setup.sh test    also the C++ tests, the test requirements and Catch2
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mode=${1:-run}
build=build/editable

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: missing: %s\n' "$*" >&2; exit 1; }

inputs() {
  git ls-files -co --exclude-standard -- requirements cmake cpp bindings tests/cpp CMakeLists.txt pyproject.toml tools/setup.sh |
    LC_ALL=C sort | while read -r file; do [ -f "$file" ] && sha256sum "$file"; done
  .venv/bin/python -VV 2>/dev/null || true
}
stamp() { inputs | sha256sum | cut -d' ' -f1; }
fresh() { [ -f ".venv/.fairopt-$1" ] && [ "$(cat ".venv/.fairopt-$1")" = "$2" ]; }

now=$(stamp)
if fresh test "$now" || { [ "$mode" = run ] && fresh run "$now"; }; then exit 0; fi

python=${PYTHON:-python3}
command -v "$python" >/dev/null || die "python3 (3.10 or newer)"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || die "python3 3.10 or newer, found $("$python" -V)"
"$python" -c 'import ensurepip, venv' 2>/dev/null || die "the venv module of $("$python" -V) (Debian: python3-venv)"
"$python" -c 'import os, sysconfig, sys; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
  die "Python.h (Debian: python3-dev)"
cxx=${CXX:-c++}
command -v "$cxx" >/dev/null || die "a C++20 compiler (Debian: g++), looked for '$cxx'"
echo 'int main() { auto f = []<class T>(T x) { return x; }; return f(0); }' |
  "$cxx" -std=c++20 -x c++ -fsyntax-only - 2>/dev/null || die "a compiler that knows -std=c++20, '$cxx' does not"

has_catch2() { compgen -G '/usr/*/catch2/catch*.hpp' >/dev/null || compgen -G '/usr/local/*/catch2/catch*.hpp' >/dev/null; }
if [ "$mode" = test ] && ! has_catch2; then
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  { command -v apt-get && { [ -z "$sudo" ] || command -v sudo; }; } >/dev/null ||
    die "Catch2 2.13 or 3 (C++ tests), and no apt-get to install it with"
  say "installing Catch2 (Debian package catch2) for the C++ tests"
  $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends catch2 >/dev/null || die "Debian package catch2"
fi

if ! .venv/bin/python -c '' 2>/dev/null; then
  say "creating .venv"
  rm -rf .venv
  "$python" -m venv .venv
fi
export PATH="$PWD/.venv/bin:$PATH" PIP_DISABLE_PIP_VERSION_CHECK=1
pip_install() { pip install -qq "$@" || die "a package of: $*"; }

say "installing torch (requirements/torch.txt)"
pip_install -r requirements/torch.txt
say "installing build and run requirements"
pip_install -r requirements/build.txt -r requirements/run.txt
cmake_version=$(cmake --version 2>/dev/null | sed -n 's/.*version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
read -r major minor <<<"${cmake_version:-0 0}"
if [ "$major" -lt 3 ] || { [ "$major" = 3 ] && [ "$minor" -lt 25 ]; }; then
  say "installing CMake (none of 3.25 or newer was found)"
  pip_install cmake
fi
tests=OFF
if [ "$mode" = test ]; then
  say "installing test requirements"
  pip_install -r requirements/test.txt
  tests=ON
fi

say "building the library, the operators and the extension (${build})"
pip install -qq --no-build-isolation --no-deps --config-settings build-dir="$build" \
  --config-settings cmake.define.FAIROPT_BUILD_TESTS="$tests" --config-settings cmake.define.FAIROPT_WERROR="$tests" -e . ||
  { printf 'setup: the build failed, see above\n' >&2; exit 1; }
stamp >".venv/.fairopt-$mode"
say "done"
