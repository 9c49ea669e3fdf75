#!/bin/sh
# apply_patch.sh applies what fits exactly and refuses the rest.
set -eu

apply=$PWD/tools/build/apply_patch.sh
cd "$TEST_TMPDIR"
failed=0

claim() {
  echo "FAILED: $1" >&2
  failed=1
}

# refuses CLAIM WORDS: the patch must be refused with these words and leave no result.
refuses() {
  if "$apply" toy.cc toy.patch result.cc 2>said; then
    claim "$1"
  elif ! grep -q "$2" said; then
    claim "$1 (it said: $(cat said))"
  elif [ -e result.cc ]; then
    claim "$1 (but left a result)"
  fi
}

printf 'one\ntwo\nthree\nfour\nfive\n' >original
ln -s original toy.cc

# diff ends with 1 when the files differ, which is what is wanted here.
make_patch() {
  echo 'What: a line in front of the patch'
  printf '%b' "$1" >changed
  diff -u --label "a/$2" --label "b/$2" original changed || true
}

make_patch 'one\ntwo\nTHREE\nfour\nfive\n' toy.cc >toy.patch
"$apply" toy.cc toy.patch result.cc || claim "applies a patch that fits, to a linked source"
cmp -s changed result.cc || claim "gives what the patch was made from"
[ "$(cat original)" != "$(cat result.cc)" ] || claim "leaves the source alone"
rm -f result.cc

make_patch 'one\ntwo\nTHREE\nfour\nfive\n' other.cc >toy.patch
refuses "refuses a patch of another file" "must change toy.cc and nothing else"

{
  make_patch 'one\ntwo\nTHREE\nfour\nfive\n' toy.cc
  printf -- '--- /dev/null\n+++ b/stray.cc\n@@ -0,0 +1 @@\n+stray\n'
} >toy.patch
refuses "refuses a patch that makes a second file" "must change toy.cc and nothing else"
[ ! -e stray.cc ] || claim "makes no second file"

make_patch 'one\ntwo\nTHREE\nfour\nfive\n' toy.cc | sed 's/^ two$/ zwei/' >toy.patch
refuses "refuses a line of context that differs" "does not apply to toy.cc"

make_patch 'one\ntwo\nTHREE\nfour\nfive\n' toy.cc | sed 's/^-three$/-tree/' >toy.patch
refuses "refuses to take out a line that is not there" "does not apply to toy.cc"

echo 'What: nothing' >toy.patch
refuses "refuses a patch without a diff" "must change toy.cc and nothing else"

for left in *.orig *.rej; do
  [ ! -e "$left" ] || claim "leaves no $left"
done
exit "$failed"
