# shellcheck shell=sh
# Proves this repository itself. Sourced by ./lab.

# run_tests [--quick] [BAZEL ARGUMENT...]: --quick leaves out what is tagged slow. The last line is
# "N passed, N failed", counted from what the tests reported.
run_tests() {
  quick=
  if [ "${1-}" = --quick ]; then
    quick=true
    shift
  fi
  [ $# -gt 0 ] || set -- //...
  # What only the slow proofs need, hundreds of wrong submissions, is not built either.
  [ -z "$quick" ] || set -- --test_tag_filters=-slow --build_tests_only "$@"
  mkdir -p "${root:?}/.lab"
  events=$(mktemp "$root/.lab/test-events.XXXXXX")
  # The shell waits for Bazel before it runs a trap, and Bazel ends by the same Ctrl-C.
  trap 'rm -f "$events"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  progress=--show_progress_rate_limit=10
  [ ! -t 2 ] || progress=--show_progress_rate_limit=0.2
  status=0
  run_bazel test "$progress" --keep_going --test_output=errors --test_summary=terse \
    --build_event_json_file="$events" "$@" || status=$?
  /usr/bin/python3 "$root/tools/dev/test_summary.py" "$events" "$status"
}
