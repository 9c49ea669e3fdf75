#!/bin/sh
# Makes a fresh runner ready to grade with the graders of the checkout that this script is part of.
#
#   WORKFLOW_REF=OWNER/NAME/.github/workflows/grade.yml@COMMIT WORKFLOW_SHA=COMMIT \
#     tools/ci/prepare.sh
#
# Refuses graders that are not pinned: a branch or a tag may lead elsewhere tomorrow, and then the
# same submission gets another grade. Exit status: 0 ready, 2 not pinned, 3 not possible here.
set -eu

root=$(cd "$(dirname -- "$0")/../.." && pwd -P)
# shellcheck source=tools/ci/say.sh
. "$root/tools/ci/say.sh"

is_commit() {
  case $1 in
  *[!0-9a-f]*) return 1 ;;
  esac
  [ "${#1}" = 40 ]
}

refuse_if_not_pinned() {
  commit=${WORKFLOW_SHA-}
  is_commit "$commit" ||
    give_up 2 'WORKFLOW_SHA is not a commit; grade.yml sets it from job.workflow_sha'
  case ${WORKFLOW_REF-} in
  *"@$commit") ;;
  *)
    give_up 2 "the graders are not pinned: autograde.yml must call grade.yml by a full commit, and \
not by a branch, a tag or a path; an instructor runs tools/ci/pin.sh"
    ;;
  esac
  head=$(git -c safe.directory="$root" -C "$root" rev-parse --verify HEAD) ||
    give_up 3 'the graders are not a git checkout'
  [ "$head" = "$commit" ] ||
    give_up 3 "the graders are at commit $head, and the workflow at $commit"
}

# Ubuntu 24.04 lets no ordinary user make a user namespace with rights in it; boxes need one. The
# runner is thrown away afterwards.
allow_user_namespaces() {
  setting=kernel.apparmor_restrict_unprivileged_userns
  [ "$(sysctl -n "$setting" 2>/dev/null)" = 1 ] || return 0
  as_root=
  [ "$(id -u)" = 0 ] || as_root='sudo -n'
  $as_root sysctl -w "$setting=0" || say "$setting could not be set; boxes need it to be 0"
}

refuse_if_not_pinned
say "the graders are at commit $commit"
allow_user_namespaces
cd "$root"
./lab setup
# Only for the log: what decides is the probe that grading begins with.
./lab doctor || say 'not everything works here; grading says whether that matters'
