#!/bin/sh
# Applies a patch to one file, strictly: every line of context must match, and the patch may speak
# of no other file.
#
#   apply_patch.sh SOURCE PATCH RESULT
#
# See patch(1). Ends with 1 and says why if the patch does not apply.
set -eu

source=$1
patch=$2
result=$3
name=$(/usr/bin/basename "$source")

fail() {
  echo "$patch: $1" >&2
  /bin/rm -f "$result"
  exit 1
}

# Headers only: a line of a hunk can look the same, but then has no "--- " line before it.
files=$(/usr/bin/awk '
  /^\+\+\+ / && last ~ /^--- / { sub(/^\+\+\+ (b\/)?/, ""); sub(/\t.*/, ""); print }
  { last = $0 }' "$patch")
[ "$files" = "$name" ] || fail "must change $name and nothing else, but names: $files"

# patch refuses links, which is what a build's inputs are.
/bin/cp -L "$source" "$result"
/bin/chmod u+w "$result"
/usr/bin/patch --batch --forward --fuzz=0 --no-backup-if-mismatch --reject-file=- --silent \
  "$result" "$patch" >&2 || fail "does not apply to $source; make it again against that file"
! /usr/bin/cmp -s "$source" "$result" || fail "changes nothing"
