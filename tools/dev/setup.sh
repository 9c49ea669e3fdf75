# shellcheck shell=sh
# Debian packages that everything here needs, and what only its tests need. Sourced by ./lab, which
# sets $root.

packages="bubblewrap file g++ gcovr googletest libcli11-dev libfmt-dev libpugixml-dev
  libseccomp-dev nlohmann-json3-dev patch python3 zip"

# The test of the report in a browser; a student needs none of this.
browser_test=${root:?}/common/report/browser

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

is_current='process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)'

# Adds what the tests need to the packages. Chrome does as well as Chromium, and any Node.js of a
# version that is still looked after as well as Debian's.
want_test_packages() {
  packages="$packages git python3-jsonschema python3-yaml"
  command -v google-chrome >/dev/null || command -v chromium >/dev/null ||
    packages="$packages chromium"
  command -v npm >/dev/null && node -e "$is_current" 2>/dev/null ||
    packages="$packages nodejs npm"
}

# The modules that the lock file names, once; afterwards no network is needed.
install_test_modules() {
  installed_lock=$browser_test/node_modules/installed-lock.json
  ! cmp -s "$browser_test/package-lock.json" "$installed_lock" || return 0
  say "installing the modules of the browser test"
  log=$(cd "$browser_test" && npm ci --ignore-scripts --no-audit --no-fund 2>&1 </dev/null) || {
    printf '%s\n' "$log" >&2
    say "the modules could not be installed"
    exit 3
  }
  cp "$browser_test/package-lock.json" "$installed_lock"
}
