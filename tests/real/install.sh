#!/usr/bin/env bash
# install.sh: puts the real parts that tests talk to into .real/ at the repository root (or CAMBIO_REAL_DIR).
#
# Each part is built once per machine into a cache, under a key made of its recipe, and linked from .real/; a second run,
# or a fresh clone, only links. A part that is there has a stamp .real/ok/<part>, which is what tests look for.
# A part that can't be had is an error when CI=true; elsewhere it is one line, `skipped: <part>: <why>`, and no stamp.
#
#   install.sh          every part          install.sh PART     one part, its errors in full
# shellcheck disable=SC2317 # the functions of the parts are called by a computed name
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
real=${CAMBIO_REAL_DIR:-$here/../../.real}
cache=${CAMBIO_REAL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cambio-real}
rust=$here/vault/rust_clients
parts=(node python glewlwyd postgres redis packaging rust kubernetes) # the slow ones last

key() { # part: what its result depends on, so that a changed recipe is a new key
  case $1 in
  node) cat "$here/package.json" "$here/package-lock.json" && node --version ;;
  python) cat "$here/requirements.txt" && python3 --version ;;
  glewlwyd | redis) echo 1 ;;
  postgres) echo 1 && uname -m ;;
  packaging) cat "$here/packaging.sh" && uname -m ;;
  rust) cat "$rust"/Cargo.* "$rust"/src/*.rs "$rust"/src/bin/*.rs && rustc --version ;;
  kubernetes) cat "$here/build-apiserver.sh" && uname -m ;;
  *) echo "no part $1; there are ${parts[*]}" >&2 && exit 2 ;;
  esac | sha256sum | cut -c1-16
}

present() { # part: stamped with today's key, and really there
  [[ -f $real/ok/$1 && $(<"$real/ok/$1") == "$(key "$1")" ]] && case $1 in
  node) [[ -d $real/node/node_modules ]] ;;
  python) [[ -x $real/venv/bin/python ]] ;;
  glewlwyd) command -v glewlwyd >/dev/null ;;
  postgres) [[ -x /usr/lib/postgresql/15/bin/postgres && -d $real/postgres/template ]] ;;
  redis) [[ -x /usr/bin/redis-server ]] ;;
  packaging) [[ -x $real/packaging/docker-compose && -x $real/packaging/kustomize ]] ;;
  rust) [[ -x $real/rust/vaultrs_client ]] ;;
  kubernetes) [[ -x $real/bin/kube-apiserver ]] && command -v etcd >/dev/null ;;
  esac
}

# Debian packages by name, those that are missing. Their services must not start: tests start their own, on other ports.
debian() {
  local missing=() package guard=/usr/sbin/policy-rc.d
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  [[ $(id -u) == 0 ]] || { echo "needs Debian packages, and only root can install them: ${missing[*]}" >&2 && return 1; }
  local refuses=0
  [[ -x $guard ]] && { "$guard" any start >/dev/null 2>&1 || refuses=$?; }
  if [[ $refuses != 101 ]]; then
    [[ -e $guard ]] && mv "$guard" "$guard.cambio-saved"
    trap 'rm -f /usr/sbin/policy-rc.d; [[ ! -e /usr/sbin/policy-rc.d.cambio-saved ]] || mv /usr/sbin/policy-rc.d.cambio-saved /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$guard" && chmod 755 "$guard"
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq -o APT::Update::Error-Mode=any # or no network looks like no such package
  apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}"
}

link() { # target name: replaces a link in one step, and never descends into what it points to
  mkdir -p "$(dirname "$real/$2")"
  rm -rf "${real:?}/$2"
  ln -s "$1" "$real/$2"
}

install_node() {
  local major
  major=$(node --version 2>/dev/null | sed -nE 's/^v([0-9]+)\..*/\1/p')
  [[ ${major:-0} -ge 20 ]] || { echo "needs node 20 or later, found ${major:-none}" >&2 && return 1; }
  local to=$cache/node-$1
  if [[ ! -f $to/.done ]]; then
    rm -rf "$to" && mkdir -p "$to"
    cp "$here/package.json" "$here/package-lock.json" "$to/"
    (cd "$to" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error \
      --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000)
    touch "$to/.done"
  fi
  link "$to" node
}

install_python() {
  python3 -c 'import ensurepip, venv' 2>/dev/null || debian python3-venv
  local to=$cache/python-$1
  if [[ ! -f $to/.done ]]; then # made in place: a venv can't be moved
    rm -rf "$to" && python3 -m venv "$to"
    "$to/bin/pip" install -q --disable-pip-version-check --no-deps -r "$here/requirements.txt"
    touch "$to/.done"
  fi
  link "$to" venv
}

install_glewlwyd() {
  command -v openssl >/dev/null || debian openssl
  debian glewlwyd
}

# With an empty cluster, of which each test takes a copy: making one takes half a second.
install_postgres() {
  debian postgresql-15
  local to=$cache/postgres-$1 as=() scratch
  if [[ ! -f $to/.done ]]; then
    scratch=$(mktemp -d) # postgres refuses to be root, and may not enter root's cache
    if [[ $(id -u) == 0 ]]; then
      as=(setpriv --reuid=postgres --regid=postgres --init-groups)
      chown postgres: "$scratch"
    fi
    (cd / && "${as[@]}" /usr/lib/postgresql/15/bin/initdb -D "$scratch/template" -A trust -U postgres --no-sync -E UTF8 --locale=C.UTF-8) >/dev/null
    rm -rf "$to" && mkdir -p "$to"
    cp -a "$scratch/template" "$to/" && rm -rf "$scratch"
    touch "$to/.done"
  fi
  link "$to" postgres
}

install_redis() {
  debian redis-server
}

install_packaging() {
  local to=$cache/packaging-$1
  if [[ ! -f $to/.done ]]; then
    rm -rf "$to" && "$here/packaging.sh" "$to"
    touch "$to/.done"
  fi
  link "$to" packaging
}

install_rust() {
  local to=$cache/rust-$1
  if [[ ! -f $to/.done ]]; then
    rm -rf "$to" && mkdir -p "$to"
    # Built elsewhere, with nothing of the caller's own build: what is kept is two programs.
    (cd "$rust" && unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS && CARGO_TARGET_DIR=$to/target cargo build -q --release --locked)
    mv "$to/target/release/vaultrs_client" "$to/target/release/vault_client_rs" "$to/"
    rm -rf "$to/target"
    touch "$to/.done"
  fi
  link "$to" rust
}

install_kubernetes() {
  command -v openssl >/dev/null || debian openssl
  command -v etcd >/dev/null || debian etcd-server
  local to=$cache/kube-apiserver-$1
  if [[ ! -x $to ]]; then
    debian golang-go rsync make gcc libc6-dev dpkg-dev golang-github-modern-go-reflect2-dev
    local scratch=$cache/build
    rm -rf "$scratch" # 2 GB, from a build that was cut short
    "$here/build-apiserver.sh" "$scratch" "$to"
    chmod -R u+w "$scratch" && rm -rf "$scratch"
  fi
  "$to" --version | grep -q '^Kubernetes v1\.'
  link "$to" bin/kube-apiserver
}

install_one() {
  local k
  k=$(key "$1")
  rm -f "$real/ok/$1"
  "install_$1" "$k"
  mkdir -p "$real/ok"
  echo "$k" >"$real/ok/$1"
}

if (($#)); then
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9 # two clones on one machine share the cache: one builds, the other waits and links
  install_one "$1"
  exit
fi

failed=0
for part in "${parts[@]}"; do
  present "$part" && continue
  log=$(mktemp)
  started=$SECONDS
  # A process of its own: errexit does not hold inside a function that `if` calls.
  if "$BASH" "${BASH_SOURCE[0]}" "$part" >"$log" 2>&1 </dev/null; then
    echo "installed: $part ($((SECONDS - started)) s)"
  elif [[ ${CI:-} == true ]]; then
    failed=1
    { echo "MISSING: $part: could not be installed; the end of its log:" && tail -20 "$log"; } >&2
  else
    why=$(grep -E '^(E:|ERROR|npm error|needs)' "$log" | head -1)
    echo "skipped: $part: ${why:-$(tail -1 "$log")}"
  fi
  rm -f "$log"
done
exit $failed
