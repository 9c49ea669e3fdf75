#!/bin/sh
# Takes from a student's commit the files that a student may write, and lists what is ignored.
#
#   tools/ci/overlay.sh STUDENT COMMIT DEST [LABS]
#
#   STUDENT  the student's clone. Only its objects are read: no working tree, configuration, hook,
#            filter or link of it plays a part
#   COMMIT   the commit to grade, 40 hexadecimal digits
#   DEST     a folder to make:
#              labs/LAB/LAB.cc   what was taken
#              taken             the labs, one a line
#              refused           "LAB: why", one a line
#              ignored           "A path", "M path", "D path": added, changed, deleted and ignored,
#                                compared with the commit that this script is part of; one a line,
#                                quoted as git quotes them
#   LABS     names, separated by spaces or commas; all labs if empty
#
# Exit status: 0, also if files were refused, for which see grade.sh; 2 wrong usage; 3 git failed.
set -eu
export LC_ALL=C

root=$(cd "$(dirname -- "$0")/../.." && pwd -P)
# shellcheck source=tools/ci/say.sh
. "$root/tools/ci/say.sh"

# As common/compile/source.h has it.
max_bytes=1048576
shown_paths=50
kept_paths=10000
# The file that called this run is the student's own and names the pin, so it always differs.
caller=.github/workflows/autograde.yml

[ $# = 3 ] || [ $# = 4 ] || give_up 2 'usage: tools/ci/overlay.sh STUDENT COMMIT DEST [LABS]'
commit=$2 dest=$3
case $commit in
*[!0-9a-f]*) give_up 2 'COMMIT must be 40 hexadecimal digits' ;;
esac
[ "${#commit}" = 40 ] || give_up 2 'COMMIT must be 40 hexadecimal digits'
student=$(cd -- "$1" && pwd -P) || give_up 2 'STUDENT is no folder'
[ -d "$student/.git/objects" ] || give_up 2 'STUDENT is no clone: it has no .git/objects'

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# git in a repository of our own that borrows the objects of both, with nobody's configuration and no
# references that replace objects. A missing object is an error and not a reason to fetch.
look() {
  env -i PATH=/usr/bin:/bin HOME="$scratch" LC_ALL=C GIT_DIR="$scratch/git" \
    GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ALLOW_PROTOCOL=none git --no-pager "$@"
}

borrow_objects() {
  look init -q --bare "$scratch/git" || give_up 3 'git init failed'
  ours=$(git -c safe.directory="$root" -C "$root" rev-parse --path-format=absolute \
    --git-path objects) || give_up 3 'the graders are not a git checkout'
  base=$(git -c safe.directory="$root" -C "$root" rev-parse --verify HEAD) ||
    give_up 3 'the graders have no commit'
  printf '%s\n' "$ours" "$student/.git/objects" >"$scratch/git/objects/info/alternates"
  look cat-file -e "$commit^{tree}" || give_up 3 'STUDENT does not hold COMMIT'
}

# All labs that have a grader here, one a line.
known_labs() {
  look ls-tree -r --name-only "$base" -- graders/ |
    sed -n 's|^graders/\([a-z0-9_]*\)/rubric\.json$|\1|p'
}

# Those of LABS, or all.
wanted_labs() { # [LABS]
  names=$(printf '%s' "${1-}" | tr -s ',[:space:]' '[\n*]' | sed '/^$/d')
  [ -n "$names" ] || {
    cat "$scratch/known"
    return 0
  }
  printf '%s\n' "$names" | while IFS= read -r name; do
    grep -qxF -e "$name" "$scratch/known" || return 1
  done || return 1
  printf '%s\n' "$names" | awk '!seen[$0]++'
}

refuse() { # LAB WHY
  printf '%s: %s\n' "$1" "$2" >>"$dest/refused"
}

# Why a path has no entry: the first folder on the way that is none.
why_missing() { # PATH
  for part in "${1%%/*}" "${1%/*}"; do
    case $(look ls-tree "$commit" -- "$part") in
    '040000 '*) ;;
    '120000 '*) echo "$part is a symbolic link; commit a real folder" && return ;;
    '160000 '*) echo "$part is a submodule; commit the file itself" && return ;;
    '') break ;;
    *) echo "$part is not a folder" && return ;;
    esac
  done
  echo "$1 is missing; commit it"
}

# Why an entry of the tree is not taken, or nothing.
why_not_this() { # PATH ENTRY
  case $2 in
  '') why_missing "$1" ;;
  *'
'*) echo "$1 is there twice" ;;
  '100644 blob '* | '100755 blob '*) ;;
  '120000 '*) echo "$1 is a symbolic link; commit the file itself" ;;
  '160000 '*) echo "$1 is a submodule; commit the file itself" ;;
  '040000 '*) echo "$1 is a folder; commit a C++ source file" ;;
  *) echo "$1 is not a regular file; commit a C++ source file" ;;
  esac
}

# Writes the bytes of a blob to FILE; says why not, or nothing.
fetch_blob() { # PATH BLOB FILE
  size=$(look cat-file -s "$2") || give_up 3 "git could not read $1"
  [ "$size" -le "$max_bytes" ] || {
    echo "$1 is larger than 1 MiB; commit the source file alone"
    return
  }
  look cat-file blob "$2" >"$3" || give_up 3 "git could not read $1"
  if [ "$(head -c 42 "$3" | tr -d '\000')" = 'version https://git-lfs.github.com/spec/v1' ]; then
    echo "$1 is kept by Git LFS, and only its pointer is here; commit the file itself"
  elif [ "$(tr -d '\000' <"$3" | wc -c)" != "$size" ]; then
    echo "$1 contains NUL bytes, so it is not source text; commit the .cc file"
  fi
}

take() { # LAB
  path=labs/$1/$1.cc
  entry=$(look ls-tree "$commit" -- "$path") || give_up 3 "git could not look for $path"
  why=$(why_not_this "$path" "$entry")
  if [ -z "$why" ]; then
    blob=${entry#* blob }
    why=$(fetch_blob "$path" "${blob%%	*}" "$scratch/blob") || exit
  fi
  [ -z "$why" ] || {
    refuse "$1" "$why"
    return 0
  }
  mkdir -p "$dest/labs/$1"
  cp "$scratch/blob" "$dest/$path"
  echo "$1" >>"$dest/taken"
}

# All that differs from our commit, except what a student may write and the file that called.
list_ignored() {
  look diff-tree -r --name-status "$base^{tree}" "$commit^{tree}" >"$scratch/differs" ||
    give_up 3 'git could not compare the commits'
  for status in A M D T; do
    sed "s|.*|$status	labs/&/&.cc|" "$scratch/known"
    printf '%s\t%s\n' "$status" "$caller"
  done >"$scratch/allowed"
  grep -vxF -f "$scratch/allowed" "$scratch/differs" | sed 's/^T/M/; s/	/ /' >"$scratch/ignored" || :
  count=$(wc -l <"$scratch/ignored")
  head -n "$kept_paths" "$scratch/ignored" >"$dest/ignored"
  [ "$count" -le "$kept_paths" ] || echo "and $((count - kept_paths)) more" >>"$dest/ignored"
}

ignored="paths that differ from the graders' repository and change nothing"

tell_ignored() {
  [ "$count" != 0 ] || {
    say 'besides the files of the labs nothing differs from the graders'"'"' repository'
    return 0
  }
  annotate notice Ignored "$ignored: $count"
  stop_commands
  head -n "$shown_paths" "$dest/ignored" | cut -c 1-200 |
    sed 's/^A /  added    /; s/^M /  changed  /; s/^D /  deleted  /'
  [ "$count" -le "$shown_paths" ] ||
    echo "  and $((count - shown_paths)) more; the report has them in ignored.txt"
  resume_commands
}

# The same on the page of the run, as text that is no markup.
summarise_ignored() {
  [ -n "${GITHUB_STEP_SUMMARY-}" ] && [ "$count" != 0 ] || return 0
  {
    echo "<details><summary>$ignored: $count</summary><pre>"
    head -n "$shown_paths" "$dest/ignored" | cut -c 1-200 |
      sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g'
    [ "$count" -le "$shown_paths" ] || echo "and $((count - shown_paths)) more"
    echo '</pre></details>'
  } >>"$GITHUB_STEP_SUMMARY"
}

# The calling workflow by its digest: what an instructor compares over a class.
tell_caller() {
  entry=$(look ls-tree "$commit" -- "$caller") || give_up 3 "git could not look for $caller"
  case $entry in
  '100644 blob '*)
    blob=${entry#* blob }
    say "$caller of this commit is blob ${blob%%	*}"
    ;;
  *) say "this commit holds no $caller" ;;
  esac
}

borrow_objects
known_labs >"$scratch/known"
labs=$(wanted_labs "${4-}") || give_up 2 "there is no such lab; the labs are: $(tr '\n' ' ' \
  <"$scratch/known")"
mkdir "$dest" || give_up 2 'DEST exists already, or cannot be made'
dest=$(cd -- "$dest" && pwd -P)
: >"$dest/taken"
: >"$dest/refused"
for lab in $labs; do
  take "$lab"
done
say "taken: $(tr '\n' ' ' <"$dest/taken")"
[ ! -s "$dest/refused" ] || sed 's/^/ci: not taken: /' "$dest/refused" >&2
tell_caller
list_ignored
tell_ignored
summarise_ignored
