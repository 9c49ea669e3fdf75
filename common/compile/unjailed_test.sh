#!/bin/sh
# What the command does where no jail can be made: inside a bubblewrap box that allows no more user
# namespaces.
set -eu

command=$PWD/common/compile/compile_submission
toy=$PWD/common/compile/testdata
cd "$TEST_TMPDIR"
failed=0

claim() {
  echo "FAILED: $1" >&2
  cat said >&2
  failed=1
}

# compile EXPECTED_STATUS OPTION...
compile() {
  expected=$1
  shift
  status=0
  /usr/bin/bwrap --dev-bind / / --unshare-user --disable-userns -- \
    "$command" --lab toy --header "$toy/toy.h" --exports "$toy/exports.txt" \
    --source "$toy/toy.cc" --shown labs/toy/toy.cc --out toy.so "$@" >said 2>&1 || status=$?
  [ "$status" = "$expected" ]
}

compile 3 || claim "refuses to compile without a jail"
grep -q 'no jail to compile in: bwrap: ' said || claim "says why there is no jail"
[ ! -e toy.so ] || claim "leaves no library behind when it refuses"

compile 0 --allow-unjailed || claim "compiles without a jail where that is allowed"
cmp -s toy.so "$toy/toy.so" || claim "gives the same library as in the jail"

compile 2 --allow-unjailed --source nowhere.cc || claim "a missing file is the caller's fault"
exit "$failed"
