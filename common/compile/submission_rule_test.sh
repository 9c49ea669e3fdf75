#!/bin/sh
# What the rules of tools/build/submission.bzl made of the toy lab.
set -eu
cd common/compile/testdata
failed=0

claim() {
  echo "FAILED: $1" >&2
  failed=1
}

sed 's/question + 1/question + 2/' toy.cc | cmp -s - louder_source.cc ||
  claim "patched_source applies the patch and changes nothing else"
nm -D --defined-only toy.so | grep -q ' T toy_answer$' || claim "a submission becomes a library"
! cmp -s toy.so louder.so || claim "a patched submission is another library"
if [ ! -e broken.so ] || [ -s broken.so ]; then
  claim "with allow_failure, what does not compile gives an empty library"
fi
grep -q "^common/compile/testdata/broken.cc:5:50: error: 'one' was not declared" broken.txt ||
  claim "the compiler's message is in the output group diagnostics"
exit "$failed"
