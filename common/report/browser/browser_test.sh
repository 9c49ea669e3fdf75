#!/bin/sh
# The report in a real browser.
#
# browser_test.sh TEST EXAMPLE_PROGRAM
#
# Node finds the modules beside the test's own file in the checkout, where `./lab setup --tests` puts
# them; a file in Bazel's tree of inputs is a link to it.
set -eu

need() {
  printf 'browser_test: %s is missing; ./lab setup --tests installs it\n' "$1" >&2
  exit 1
}

test=$(readlink -f -- "$1")
IPCLAB_EXAMPLES=$(readlink -f -- "$2")
for browser in google-chrome google-chrome-stable chromium; do
  IPCLAB_BROWSER=$(command -v "$browser") && break
done
[ -n "$IPCLAB_BROWSER" ] || need "Chromium or Chrome"
command -v node >/dev/null || need "Node.js"
[ -e "${test%/*}/node_modules/playwright-core" ] || need "the folder ${test%/*}/node_modules"
export IPCLAB_EXAMPLES IPCLAB_BROWSER

# The path of a Unix socket is too short for a test's own folder; this one goes with the test.
scratch=$(mktemp -d /tmp/browser_test.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
export HOME="$scratch" TMPDIR="$scratch"

set -- --test-reporter=spec --test-reporter-destination=stdout
[ -z "${XML_OUTPUT_FILE-}" ] ||
  set -- "$@" --test-reporter=junit "--test-reporter-destination=$XML_OUTPUT_FILE"
node --test "$@" "$test"
