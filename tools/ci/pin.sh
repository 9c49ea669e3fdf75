#!/bin/sh
# Pins the graders that students' repositories are graded with. An instructor runs it in the
# organisation's copy of this repository, commits and pushes; repositories made from it then carry
# the pin.
#
#   tools/ci/pin.sh OWNER/NAME [COMMIT]
#
#   OWNER/NAME  where the copy is on GitHub
#   COMMIT      the graders to use, which must be there already; HEAD if not given
set -eu

root=$(cd "$(dirname -- "$0")/../.." && pwd -P)
# shellcheck source=tools/ci/say.sh
. "$root/tools/ci/say.sh"
workflow=.github/workflows/autograde.yml

[ $# = 1 ] || [ $# = 2 ] || give_up 2 'usage: tools/ci/pin.sh OWNER/NAME [COMMIT]'
repository=$1
case $repository in
*[!A-Za-z0-9._/-]* | */*/* | /* | */) known= ;;
*/*) known=yes ;;
*) known= ;;
esac
[ -n "$known" ] ||
  give_up 2 'OWNER/NAME must be a repository on GitHub, such as os-course/ipc-labs'
cd "$root"
commit=$(git rev-parse --verify "${2-HEAD}^{commit}") || give_up 2 "there is no commit ${2-HEAD}"
for needed in .github/workflows/grade.yml tools/ci/grade.sh; do
  git cat-file -e "$commit:$needed" || give_up 2 "commit $commit has no $needed"
done
for key in if uses; do
  [ "$(grep -c "^    $key: " "$workflow")" = 1 ] ||
    give_up 3 "$workflow has not one line '$key:' of the job; restore it with git checkout"
done

pinned=$(mktemp)
trap 'rm -f "$pinned"' EXIT
# The copy itself holds no student's work.
sed "s|^    if: .*|    if: github.repository != '$repository'|
s|^    uses: .*|    uses: $repository/.github/workflows/grade.yml@$commit|" "$workflow" >"$pinned"
cat "$pinned" >"$workflow"
say "$workflow now takes the graders from $repository at $commit"
say 'that commit must be pushed; then commit and push this file'
