#!/bin/sh
# Checks the form of all files under version control.
#
#   tools/dev/lint.sh              clang-format, buildifier and shellcheck
#   tools/dev/lint.sh --fix        the same, and writes what the first two want
#   tools/dev/lint.sh --tidy BASE  clang-tidy, on the sources that differ from the commit BASE
#
# Debian's packages: clang-format, clang-tidy, shellcheck. buildifier: $BUILDIFIER, or one in PATH, or
# by npx. A tool that is missing is named and left out; under CI it counts as a failure.
set -eu

cd "$(dirname -- "$0")/../.."
failed=0

say() {
  printf 'lint: %s\n' "$*" >&2
}

missing() {
  say "$1 is not there; left out"
  [ -z "${CI-}" ] || failed=1
}

# files PATTERN...: those under version control that exist; no name here has a space in it.
files() {
  git ls-files -- "$@" | while read -r file; do
    [ ! -f "$file" ] || [ -L "$file" ] || echo "$file"
  done
}

format_sources() { # --dry-run or -i
  command -v clang-format >/dev/null || {
    missing clang-format
    return 0
  }
  # shellcheck disable=SC2046 # One word for each file.
  clang-format --Werror --style=file "$1" $(files '*.cc' '*.h') || failed=1
}

format_builds() { # check or fix
  buildifier=${BUILDIFIER-}
  [ -n "$buildifier" ] || buildifier=$(command -v buildifier) ||
    { command -v npx >/dev/null && buildifier='npx --yes @bazel/buildifier@8.2.1'; } || {
    missing buildifier
    return 0
  }
  lint=warn
  [ "$1" = check ] || lint=fix
  # shellcheck disable=SC2046,SC2086 # One word for each file; the command may have arguments.
  $buildifier -mode="$1" -lint="$lint" \
    $(files '*BUILD' '*.BUILD' '*.bzl' WORKSPACE WORKSPACE.bzlmod MODULE.bazel) || failed=1
}

check_scripts() {
  command -v shellcheck >/dev/null || {
    missing shellcheck
    return 0
  }
  # shellcheck disable=SC2046 # One word for each file.
  shellcheck -x $(files '*.sh' lab .ci/run) || failed=1
}

# The flags of the build, without a build: all headers are either ours or Debian's.
tidy() { # BASE
  command -v clang-tidy >/dev/null || {
    missing clang-tidy
    return 0
  }
  changed=$(git diff --name-only --diff-filter=d "$1" -- '*.cc')
  [ -n "$changed" ] || {
    say "no source differs from $1"
    return 0
  }
  includes=$(for contract in labs/*/BUILD; do printf -- '-I%s ' "${contract%/BUILD}"; done)
  # shellcheck disable=SC2086 # One word for each file and flag.
  clang-tidy --quiet $changed -- -std=c++20 -I. $includes \
    -isystem /usr/src/googletest/googletest/include \
    -isystem /usr/src/googletest/googlemock/include || failed=1
}

case ${1-} in
'')
  format_sources --dry-run
  format_builds check
  check_scripts
  ;;
--fix)
  format_sources -i
  format_builds fix
  check_scripts
  ;;
--tidy)
  tidy "${2-HEAD}"
  ;;
*)
  say "usage: tools/dev/lint.sh [--fix | --tidy BASE]"
  exit 2
  ;;
esac
exit "$failed"
