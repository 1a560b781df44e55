#!/usr/bin/env bash
# packaging.sh DIR: docker-compose and kustomize into DIR, from Debian trixie's packages, without an engine and without root.
#
# bookworm's docker-compose is the old one in Python, and kustomize is not in it; both programs need nothing but libc. The
# archive is the one that this machine uses, its signatures are checked by apt, and the machine's own apt state is untouched.
set -euo pipefail
[[ $# == 1 ]] || { echo "usage: packaging.sh DIR" >&2 && exit 2; }
to=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
mkdir -p lists/partial cache/archives/partial parts packages

sources=/etc/apt/sources.list.d/debian.sources
if [[ -f $sources ]]; then # the form of container images: the first stanza only
  sed '/^$/,$d; /^#/d' "$sources" | sed -E 's/^Suites:.*/Suites: trixie/; s/^Components:.*/Components: main/' >parts/d.sources
else
  sed -nE 's/^deb +(\[[^]]*\] +)?([^ ]+) .*/deb \1\2 trixie main/p' /etc/apt/sources.list | head -1 >parts/d.list
fi
cat >apt.conf <<CONF
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$scratch/parts";
Dir::State::Lists "$scratch/lists";
Dir::Cache "$scratch/cache";
APT::Sandbox::User "";
CONF
export APT_CONFIG=$scratch/apt.conf
apt-get update -qq -o APT::Update::Error-Mode=any # or no network looks like no such package
(cd packages && apt-get download -qq docker-compose kustomize)
for package in packages/*.deb; do dpkg-deb -x "$package" unpacked; done

mkdir -p "$to"
install -m 0755 unpacked/usr/libexec/docker/cli-plugins/docker-compose "$to/docker-compose"
install -m 0755 unpacked/usr/bin/kustomize "$to/kustomize"
"$to/docker-compose" version
"$to/kustomize" version
