# shellcheck shell=sh
# Debian packages that everything here needs. Sourced by ./lab.

packages="bubblewrap file g++ gcovr git googletest libcli11-dev libfmt-dev libseccomp-dev
  nlohmann-json3-dev patch python3 python3-jsonschema python3-yaml zip"

say() {
  printf 'lab: %s\n' "$*" >&2
}

# The packages that are not installed, one a line.
missing_packages() {
  wanted=$packages
  command -v bazel >/dev/null || command -v bazelisk >/dev/null || wanted="bazel-bootstrap $wanted"
  # dpkg-query complains about a package it never heard of and lists the rest.
  # shellcheck disable=SC2016,SC2086 # dpkg-query reads ${...}; one word for each package.
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null) || :
  for package in $wanted; do
    case "
$installed
" in
    *"
installed $package
"*) ;;
    *) echo "$package" ;;
    esac
  done
}

# How this user may install packages: a command's prefix, or failure.
privilege() {
  if [ "$(id -u)" = 0 ]; then
    echo env
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    echo "sudo -n env"
  else
    return 1
  fi
}

install_missing() {
  if ! command -v dpkg-query >/dev/null; then
    # shellcheck disable=SC2086 # One word for each package.
    say "this needs Debian 12, Ubuntu 24.04 or newer: the packages" $packages "and Bazel"
    exit 3
  fi
  missing=$(missing_packages | tr '\n' ' ')
  missing=${missing% }
  [ -n "$missing" ] || return 0
  if ! prefix=$(privilege); then
    say "some packages are missing; please run"
    printf '  sudo apt-get update && sudo apt-get install -y --no-install-recommends %s\n' \
      "$missing" >&2
    exit 3
  fi
  say "installing $missing"
  # shellcheck disable=SC2086 # One word for each package.
  log=$({ $prefix DEBIAN_FRONTEND=noninteractive apt-get -q update &&
    $prefix DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
      $missing; } 2>&1 </dev/null) || {
    printf '%s\n' "$log" >&2
    say "the packages could not be installed"
    exit 3
  }
  left=$(missing_packages | tr '\n' ' ')
  if [ -n "$left" ]; then
    say "still missing after the installation: $left"
    exit 3
  fi
}
