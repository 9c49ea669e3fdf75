#!/bin/sh
# The launcher ./lab in a scratch workspace where apt-get, dpkg-query, sudo and Bazel only pretend.
#
# launcher_test.sh LAB FILE...: the files under test
set -eu

scratch=$(mktemp -d "${TEST_TMPDIR:-/tmp}/launcher.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
root=$scratch/workspace
bin=$scratch/bin
mkdir -p "$root/tools/dev" "$root/graders/pipe" "$root/graders/fifo" "$bin"
cp -L "$1" "$root/lab"
for file; do [ "$file" = "$1" ] || cp -L "$file" "$root/tools/dev/"; done
touch "$root/graders/pipe/rubric.json" "$root/graders/fifo/rubric.json"

# Only these programs can be found: nothing of the machine's own packages plays a part.
for tool in sh cat cmp cp tr true env mkdir mktemp readlink rm; do
  ln -s "/usr/bin/$tool" "$bin/$tool"
done

fake() { # NAME, the script on standard input
  { echo '#!/bin/sh'; cat; } >"$bin/$1"
  chmod +x "$bin/$1"
}

# The packages that count as installed stand in $scratch/installed.
install_all() {
  printf 'installed %s\n' bubblewrap file g++ gcovr git googletest libcli11-dev libfmt-dev \
    libpugixml-dev libseccomp-dev nlohmann-json3-dev patch python3 python3-jsonschema python3-yaml zip >"$scratch/installed"
}
fake dpkg-query <<EOF
cat "$scratch/installed"
echo "dpkg-query: no packages found" >&2
exit 1
EOF
fake apt-get <<EOF
echo "apt-get \$*" >>"$scratch/calls"
[ ! -e "$scratch/apt-fails" ] || { echo "E: no network"; exit 100; }
case " \$* " in
*" install "*) for word; do echo "installed \$word"; done >>"$scratch/installed" ;;
esac
EOF
fake bazel <<EOF
echo "bazel \$*" >>"$scratch/calls"
[ ! -e "$scratch/bazel-fails" ] || { echo "ERROR: x.cc:1: no" >&2; exit 1; }
for word; do
  case \$word in
  --build_event_json_file=*) cat "$scratch/events" >"\${word#*=}" ;;
  esac
done
EOF
# A checkout whose browser test finds what it needs.
browser_test=$root/common/report/browser
mkdir -p "$browser_test/node_modules"
echo lock >"$browser_test/package-lock.json"
cp "$browser_test/package-lock.json" "$browser_test/node_modules/installed-lock.json"
have_browser_tools() {
  fake google-chrome </dev/null
  fake node <<END
[ ! -e "$scratch/node-is-old" ]
END
  fake npm <<END
echo "npm \$* in \$PWD" >>"$scratch/calls"
[ ! -e "$scratch/npm-fails" ] || { echo "npm error network"; exit 1; }
mkdir -p node_modules
END
}
have_browser_tools
as_root() { echo 'echo 0' | fake id; }
as_user() { echo 'echo 1000' | fake id; }

mkdir -p "$root/.lab/bazel-bin/common/cli"
cat >"$root/.lab/bazel-bin/common/cli/lab" <<'EOF'
#!/bin/sh
echo "program $* workspace=$IPCLAB_WORKSPACE bin=$IPCLAB_BIN built=$IPCLAB_BUILT"
EOF
chmod +x "$root/.lab/bazel-bin/common/cli/lab"

failures=0
# claim WORDS STATUS OUTPUT_PART COMMAND...: the command ends with this status and says this.
claim() {
  words=$1 status=$2 part=$3
  shift 3
  rm -f "$scratch/calls"
  got=0
  said=$(cd / && PATH=$bin "$@" 2>&1 </dev/null) || got=$?
  case $said in
  *"$part"*) [ "$got" != "$status" ] || return 0 ;;
  esac
  failures=$((failures + 1))
  printf 'FAILED: %s\n  status %s, expected %s\n  said: %s\n  expected: %s\n' \
    "$words" "$got" "$status" "$said" "$part"
}
# called WORDS LINE: the last command called LINE.
called() {
  case $(cat "$scratch/calls" 2>/dev/null) in
  *"$2"*) return 0 ;;
  esac
  failures=$((failures + 1))
  printf 'FAILED: %s\n  calls: %s\n  expected: %s\n' "$1" \
    "$(cat "$scratch/calls" 2>/dev/null)" "$2"
}
lab=$root/lab
bazel_flags="--symlink_prefix=.lab/bazel- --ui_event_filters=-info --show_result=0"

install_all
as_user
claim "setup with nothing missing is silent" 0 "" "$lab" setup
[ -z "$said" ] || { echo "FAILED: setup said: $said"; failures=$((failures + 1)); }

claim "grade builds the program and the grader that is named, and hands over" 0 \
  "program grade pipe --seed 3 workspace=$root bin=$root/.lab/bazel-bin built=pipe" \
  "$lab" grade pipe --seed 3
called "grade builds one grader" \
  "bazel build $bazel_flags --noshow_progress //common/cli:lab //graders/pipe:pipe_grader"

claim "grade without a name has all graders" 0 "built=fifo pipe" "$lab" grade --out x.txt
called "grade builds all graders" "//graders/fifo:fifo_grader //graders/pipe:pipe_grader"

claim "a lab that was overlooked can ask for itself" 0 "built=fifo" \
  env IPCLAB_BUILD=fifo "$lab" grade --out pipe
called "only that one is built" "//common/cli:lab //graders/fifo:fifo_grader"

claim "coverage builds the graders that grade does" 0 \
  "program coverage pipe --solutions workspace=$root bin=$root/.lab/bazel-bin built=pipe" \
  "$lab" coverage pipe --solutions
called "coverage builds one grader" "//common/cli:lab //graders/pipe:pipe_grader"

claim "the overview needs no grader" 0 "program  workspace=" "$lab"
ln -s "$lab" "$scratch/link"
claim "a link to it works" 0 "program doctor workspace=$root " "$scratch/link" doctor

touch "$scratch/bazel-fails"
claim "a failed build is shown and could not be graded" 3 "ERROR: x.cc:1: no
lab: the build failed" "$lab" grade pipe
rm "$scratch/bazel-fails"

printf 'installed %s\n' bubblewrap file g++ gcovr git googletest libcli11-dev libfmt-dev libpugixml-dev \
  libseccomp-dev patch python3 python3-jsonschema python3-yaml >"$scratch/installed"
printf 'config-files zip\n' >>"$scratch/installed"
claim "a user without sudo is told the one line to run" 3 \
  "lab: some packages are missing; please run
  sudo apt-get update && sudo apt-get install -y --no-install-recommends nlohmann-json3-dev zip" \
  "$lab" grade pipe
case $said in *program*) echo "FAILED: it went on"; failures=$((failures + 1)) ;; esac

touch "$scratch/apt-fails"
as_root
claim "a failed installation is shown" 3 "E: no network
lab: the packages could not be installed" "$lab" setup
rm "$scratch/apt-fails"

claim "root installs what is missing" 0 "lab: installing nlohmann-json3-dev zip" "$lab" setup
called "by apt-get" "apt-get -q update
apt-get -q install -y --no-install-recommends nlohmann-json3-dev zip"
claim "and only once" 0 "" "$lab" setup
[ -z "$said" ] || { echo "FAILED: setup said: $said"; failures=$((failures + 1)); }

# sudo without a password.
as_user
printf 'installed zip\n' >"$scratch/installed"
echo 'shift; exec "$@"' | fake sudo
claim "a user with sudo and no password installs by it" 0 "lab: installing bubblewrap" "$lab" setup
called "by apt-get through sudo" "apt-get -q install -y --no-install-recommends bubblewrap file g++"
rm "$bin/sudo"

install_all
mv "$bin/bazel" "$bin/bazelisk"
claim "bazelisk does as well" 0 "program doctor" "$lab" doctor
mv "$bin/bazelisk" "$scratch/bazel"
claim "without either Debian's Bazel is missing" 3 "--no-install-recommends bazel-bootstrap" \
  "$lab" doctor
mv "$scratch/bazel" "$bin/bazel"

mkdir -p "$root/.lab/bazel-out/_coverage" "$root/common"
printf 'int f() {\n  return 1;\n}\n' >"$root/common/f.cc"
cat >"$root/.lab/bazel-out/_coverage/_coverage_report.dat" <<EOF
SF:common/f.cc
DA:1,3
DA:2,0
end_of_record
SF:external/googletest/gtest.cc
DA:1,1
end_of_record
EOF
cat <<'EOF' | fake gcovr
while [ "$1" != --txt ]; do shift; done
cat "$root/.lab"/lines.*/*.gcov >"$2"
EOF
export root
claim "coverage --project reads what the tests reached" 0 "        3:    1:int f() {
    #####:    2:  return 1;
        -:    3:}" "$lab" coverage --project
called "coverage --project runs all tests of common/" "bazel coverage $bazel_flags"
called "coverage --project measures the solutions too" "//graders/fifo:fifo_grader"
case $(echo "$root"/.lab/lines.*) in
*'*') ;;
*) echo "FAILED: the lines were left behind"; failures=$((failures + 1)) ;;
esac

cat >"$scratch/events" <<EOF
{"id":{"testResult":{"label":"//a:b"}},"testResult":{"status":"FAILED"}}
EOF
claim "lab test ends with the count" 1 "FAILED //a:b FAILED
0 passed, 1 failed" "$lab" test --quick
called "and leaves out slow tests if asked" "--test_tag_filters=-slow"
called "and runs everything" " //..."
case $(echo "$root"/.lab/test-events.*) in
*'*') ;;
*) echo "FAILED: the events were left behind"; failures=$((failures + 1)) ;;
esac

# What the test in a browser needs.
rm "$bin/google-chrome" "$browser_test/node_modules/installed-lock.json"
touch "$scratch/node-is-old"
claim "a student needs no browser" 0 "" "$lab" setup
[ -z "$said" ] || { echo "FAILED: setup said: $said"; failures=$((failures + 1)); }
as_root
claim "setup --tests installs a browser and Node.js" 0 "lab: installing chromium nodejs npm
lab: installing the modules of the browser test" "$lab" setup --tests
called "by npm, in its folder" "npm ci --ignore-scripts --no-audit --no-fund in $browser_test"
claim "and only once" 0 "" "$lab" setup --tests
[ -z "$said" ] || { echo "FAILED: setup --tests said: $said"; failures=$((failures + 1)); }
rm "$scratch/node-is-old"
fake google-chrome </dev/null
claim "lab test needs no more where Chrome and Node.js are" 1 "0 passed, 1 failed" "$lab" test
echo newer >"$browser_test/package-lock.json"
touch "$scratch/npm-fails"
claim "modules that cannot be had are shown" 3 "npm error network
lab: the modules could not be installed" "$lab" test
rm "$scratch/npm-fails"
as_user

claim "lab bench says so when there is nothing to measure" 3 "there are no benchmarks yet" \
  "$lab" bench

mv "$bin/dpkg-query" "$scratch/dpkg-query"
claim "another system is told what is needed" 3 "this needs Debian 12, Ubuntu 24.04 or newer" \
  "$lab" doctor

[ "$failures" = 0 ] && echo "all claims hold"
