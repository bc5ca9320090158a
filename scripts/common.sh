# Sourced by the other scripts: folders, messages, root rights.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
BUILD="$ROOT/build"
CACHE="${QUERNEL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/quernel}"
SHARED="${QUERNEL_SHARED:-$ROOT/../shared}"
JOBS="${QUERNEL_JOBS:-$(nproc)}"

say() { printf '== %s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Runs a command as root: directly, or through sudo.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "'$1' needs root rights: run as root or install the package 'sudo'"
  fi
}

# apt_need PACKAGE ...: installs those that are missing, and only those.
apt_need() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return 0
  command -v apt-get >/dev/null || die "missing packages: ${missing[*]} (no apt-get here: install them by hand)"
  say "installing Debian packages: ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    die "apt-get could not install: ${missing[*]}"
}

# A Python environment of ours: venv FOLDER REQUIREMENTS; made anew when the requirements change.
venv() {
  local folder=$1 requirements=$2 stamp
  stamp=$(sha256sum <"$requirements" | cut -c1-64)
  [ "$(cat "$folder/.requirements" 2>/dev/null)" = "$stamp" ] && return 0
  say "making the Python environment $folder"
  python3 -m venv "$folder" || die "python3 cannot make environments: install the package 'python3-venv'"
  "$folder/bin/pip" install -q --disable-pip-version-check -r "$requirements" || die "pip could not install $requirements"
  printf '%s' "$stamp" >"$folder/.requirements"
}

# wheel NAME==VERSION SHA256 FOLDER [pip options]: unpacks a wheel from PyPI into FOLDER after checking its hash.
wheel() {
  local pin=$1 sha=$2 folder=$3
  shift 3
  [ "$(cat "$folder/.wheel" 2>/dev/null)" = "$sha" ] && return 0
  local download
  download=$(mktemp -d)
  say "fetching $pin"
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: "$@" -d "$download" "$pin" ||
    die "pip could not fetch $pin (is the package 'python3-pip' installed?)"
  echo "$sha  $(ls "$download"/*.whl)" | sha256sum -c --quiet - || die "$pin: its SHA-256 is not the pinned one"
  mkdir -p "$folder"
  python3 -m zipfile -e "$download"/*.whl "$folder"
  rm -rf "$download"
  printf '%s' "$sha" >"$folder/.wheel"
}
