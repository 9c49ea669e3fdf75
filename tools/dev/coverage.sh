# shellcheck shell=sh
# Measures this repository: common/ by its tests, the solutions by their checks. Sourced by ./lab.

# What a report on common/ is not about: tests, and what only tests use.
not_measured='-e .*_test\.(cc|h)$ -e .*test[a-z]*[/_.] -e .*/testdata/'

# report_common LCOV FOLDER: gcovr's table, pages and Cobertura from what Bazel collected.
report_common() {
  lines=$(mktemp -d "${root:?}/.lab/lines.XXXXXX")
  trap 'rm -rf "$lines"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  /usr/bin/python3 "$root/tools/dev/lcov_to_gcov.py" "$1" "$root" "$lines"
  rm -rf "$2"
  mkdir -p "$2"
  # shellcheck disable=SC2086 # One word for each option.
  (cd "$root" && gcovr -r . -f common/ $not_measured --use-gcov-files --keep --txt "$2/table.txt" \
    --html-title "IPC Labs: lines of common/ that its tests reach" \
    --html-details "$2/index.html" --xml "$2/cobertura.xml" "$lines")
  cat "$2/table.txt"
}

# cover_project [BAZEL TARGET...]: by default all tests of common/. Tests run again only if something
# has changed. What runs inside a box and ends there is not counted; see docs/coverage.md.
cover_project() {
  [ $# -gt 0 ] || set -- //common/...
  home=$root/.lab/coverage
  mkdir -p "$home"
  status=0
  run_bazel coverage --noshow_progress --keep_going --test_output=errors "$@" >&2 || status=3
  [ "$status" = 0 ] || say "some tests failed: what they reach is missing below"
  report_common "${links:?}out/_coverage/_coverage_report.dat" "$home/common"
  labs=$(all_labs)
  # shellcheck disable=SC2046,SC2086 # One word for each target.
  build //common/cli:lab $(graders_of $labs)
  (start_lab "$labs" coverage --solutions --html "$home/solutions") || status=$?
  say "the lines of common/ one by one: .lab/coverage/common/index.html"
  return "$status"
}
