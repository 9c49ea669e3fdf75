#!/bin/sh
# Grades what overlay.sh has taken, for credit, and writes the reports.
#
#   tools/ci/grade.sh OVERLAY REPORT [FORMAT=FILE...]
#
#   OVERLAY  the folder that overlay.sh has made
#   REPORT   a folder to make: a FILE in each FORMAT of `lab grade`, and refused.txt, ignored.txt
#
# From the environment, each may be empty: FAIL_UNDER, a percentage; LAB_LANGUAGE, en or zh.
#
# Exit status: that of `lab grade`, which is 1 below FAIL_UNDER; and 3 if a file was refused, because
# points of the others would look like the whole. To $GITHUB_OUTPUT go graded=true or false, and if
# true points, max-points and percent; classroom gets the file of the format github-classroom in
# base64, as GitHub Classroom's reporter reads it.
set -eu

root=$(cd "$(dirname -- "$0")/../.." && pwd -P)
# shellcheck source=tools/ci/say.sh
. "$root/tools/ci/say.sh"

# Names of the files that are looked at below: result.json, report.txt, annotations.txt and
# classroom.json.
formats='text=report.txt json=result.json junit=junit.xml html=report.html github=annotations.txt
  github-classroom=classroom.json'

[ $# -ge 2 ] || give_up 2 'usage: tools/ci/grade.sh OVERLAY REPORT [FORMAT=FILE...]'
overlay=$(cd -- "$1" && pwd -P) || give_up 2 'OVERLAY is no folder'
mkdir "$2" || give_up 2 'REPORT exists already, or cannot be made'
report=$(cd -- "$2" && pwd -P)
shift 2
# shellcheck disable=SC2086 # One word for each format.
[ $# -gt 0 ] || set -- $formats

output() { # NAME=VALUE
  [ -z "${GITHUB_OUTPUT-}" ] || printf '%s\n' "$1" >>"$GITHUB_OUTPUT"
}

# Why a file was refused: our words and names of labs, nothing of the student's.
tell_refused() {
  while IFS= read -r line; do
    annotate error 'Not graded' "$line"
  done <"$overlay/refused"
}

# The submission's text is in the output: no line of it may be taken for a command.
run_lab() { # FORMAT=FILE...
  for pair in "$@"; do
    set -- "$@" --format "${pair%%=*}" --out "$report/${pair#*=}"
    shift
  done
  [ -z "${FAIL_UNDER-}" ] || set -- "$@" "--fail-under=$FAIL_UNDER"
  [ -z "${LAB_LANGUAGE-}" ] || set -- "$@" "--lang=$LAB_LANGUAGE"
  stop_commands
  # shellcheck disable=SC2046 # One word for each lab.
  (cd "$overlay" && exec "$root/lab" grade $(cat taken) --submission . --credit "$@") || status=$?
  [ ! -f "$report/report.txt" ] || cat "$report/report.txt"
  resume_commands
  # These are commands, and the format github escapes what it quotes in them.
  [ ! -f "$report/annotations.txt" ] || cat "$report/annotations.txt"
}

cp "$overlay/refused" "$report/refused.txt"
cp "$overlay/ignored" "$report/ignored.txt"
tell_refused
status=0
if [ -s "$overlay/taken" ]; then
  run_lab "$@"
else
  say 'no file was taken, so nothing was graded'
fi
[ ! -s "$overlay/refused" ] || status=3
case $status in
0 | 1)
  /usr/bin/python3 "$root/tools/ci/totals.py" "$report/result.json" >"$report/totals.txt" || status=3
  ;;
esac
case $status in
0 | 1)
  output graded=true
  while IFS= read -r line; do
    output "$line"
    say "$line"
  done <"$report/totals.txt"
  [ ! -f "$report/classroom.json" ] || output "classroom=$(base64 -w 0 "$report/classroom.json")"
  ;;
*)
  output graded=false
  annotate error 'Not graded' "no points were counted (status $status); the log says why"
  ;;
esac
exit "$status"
