#!/bin/sh
# Runs a test program as an ordinary user: as_nobody.sh PROGRAM [DATA...]
#
# Root steps down to uid 65534 on a copy that this user may read; anybody else just runs it. DATA is
# put beside the copy. Needs a test outside Bazel's sandbox, which knows only one user.
set -eu

program=$1
if [ "$(id -u)" != 0 ]; then
  exec "$program"
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/tmp"
for file in "$@"; do cp -L "$file" "$folder/"; done
chmod -R 755 "$folder"
chown 65534:65534 "$folder/tmp"
cd "$folder"
if [ -n "${IPCLAB_TEST_SUBMISSION-}" ]; then
  IPCLAB_TEST_SUBMISSION=$folder/$(basename "$IPCLAB_TEST_SUBMISSION")
  export IPCLAB_TEST_SUBMISSION
fi
# GoogleTest would write these where this user may not.
unset XML_OUTPUT_FILE TEST_PREMATURE_EXIT_FILE
TEST_TMPDIR=$folder/tmp \
  setpriv --reuid 65534 --regid 65534 --clear-groups "./$(basename "$program")"
