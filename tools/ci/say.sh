# shellcheck shell=sh
# What the scripts of this folder say, and how. Sourced by them.
#
# A runner of GitHub Actions takes lines of the output for commands: ::error::, ::add-mask::, and
# "##[error]" in the middle of a line. Whatever may hold a student's text stands between
# stop_commands and resume_commands.

# One stream, so that a pause of the commands ends where it says.
exec 2>&1

say() {
  printf 'ci: %s\n' "$*" >&2
}

# annotate KIND TITLE WORDS: a line that GitHub shows on top of the run. The words are ours.
annotate() {
  if [ -n "${GITHUB_ACTIONS-}" ]; then
    printf '::%s title=%s::%s\n' "$1" "$2" "$3" >&2
  else
    say "$2: $3"
  fi
}

# give_up STATUS WORDS
give_up() {
  annotate error 'Not graded' "$2"
  exit "$1"
}

# Nobody can know the token before, so nobody else can end the pause.
stop_commands() {
  resume=
  [ -n "${GITHUB_ACTIONS-}" ] || return 0
  resume=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  [ "${#resume}" = 32 ] || give_up 3 'no random token could be drawn from /dev/urandom'
  printf '::stop-commands::%s\n' "$resume"
}

resume_commands() {
  [ -z "$resume" ] || printf '::%s::\n' "$resume"
}
