# shellcheck shell=sh
# Builds with Bazel and starts what was built. Sourced by ./lab, which sets $root.

# Links of our own: those that a plain `bazel build` makes may lead to another configuration.
links=${root:?}/.lab/bazel-

run_bazel() (
  cd "$root" || exit
  command=$1
  shift
  bazel=$(command -v bazel || command -v bazelisk)
  exec "$bazel" "$command" --symlink_prefix=.lab/bazel- --ui_event_filters=-info --show_result=0 \
    "$@" </dev/null
)

# Quiet if all is up to date; errors in full. Progress only where somebody watches.
build() {
  mkdir -p "$root/.lab"
  progress=--noshow_progress
  if [ -t 2 ]; then
    # Even with nothing to do, Bazel's progress leaves a line behind.
    ! run_bazel build --noshow_progress --check_up_to_date "$@" >/dev/null 2>&1 || return 0
    progress=--show_progress
  elif [ ! -e "${links}bin/common/cli/lab" ]; then
    say "building for the first time; this takes a minute or more"
    progress="--show_progress --show_progress_rate_limit=20"
  fi
  # Standard output is for results.
  # shellcheck disable=SC2086 # One word for each flag.
  run_bazel build $progress "$@" >&2 || {
    say "the build failed"
    exit 3
  }
}

all_labs() {
  for rubric in "$root"/graders/*/rubric.json; do
    [ -e "$rubric" ] || continue
    lab=${rubric%/rubric.json}
    echo "${lab##*/}"
  done
}

# Those of the arguments that name a lab, or all labs if none does.
labs_among() {
  found=
  for word in "$@"; do
    case $word in
    '' | *[!a-z0-9_]*) ;;
    *) [ ! -e "$root/graders/$word/rubric.json" ] || found="$found $word" ;;
    esac
  done
  # shellcheck disable=SC2086 # One word for each lab, on one line.
  echo ${found:-$(all_labs)}
}

graders_of() {
  for lab in "$@"; do
    echo "//graders/$lab:${lab}_grader"
  done
}

# start_lab LABS ARGUMENT...: becomes the program, and tells it whose graders are up to date.
start_lab() {
  IPCLAB_BUILT=$1
  shift
  IPCLAB_WORKSPACE=$root
  IPCLAB_BIN=${links}bin
  export IPCLAB_BUILT IPCLAB_WORKSPACE IPCLAB_BIN
  exec "${links}bin/common/cli/lab" "$@"
}

# Benchmarks are programs under bench/ that print a table each.
run_benchmarks() {
  if [ ! -e "$root/bench/BUILD" ]; then
    say "there are no benchmarks yet"
    exit 3
  fi
  (cd "$root" && exec "$(command -v bazel || command -v bazelisk)" run \
    --ui_event_filters=-info --show_result=0 --noshow_progress //bench -- "$@")
}
