#!/usr/bin/env bash
# build-apiserver.sh SCRATCH OUT: kube-apiserver v1.20.2 from Debian bookworm's own source package and Debian's Go.
#
# No release binary can be downloaded where cambio is tested, and a Kubernetes token from anything but Kubernetes proves
# little. Takes 4-5 minutes of two cores and 2 GB of SCRATCH (removed by the caller); OUT is written only when it runs.
# Needs: golang-go rsync make gcc libc6-dev golang-github-modern-go-reflect2-dev dpkg-dev (install.sh puts them there).
set -euo pipefail
scratch=$(realpath -m "$1") out=$(realpath -m "$2")
apt=$scratch/apt
mkdir -p "$scratch/home" "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts" "$(dirname "$out")"

# A private apt set-up with source entries, derived from this machine's own Debian entry, so that the system's apt
# state is left alone and the archive is the one that the machine is configured for.
if [ -f /etc/apt/sources.list.d/debian.sources ]; then # deb822 form, first stanza
  sed '/^$/,$d; /^#/d' /etc/apt/sources.list.d/debian.sources |
    sed -E 's/^Types:.*/Types: deb-src/; s/^Suites:.*/Suites: bookworm/; s/^Components:.*/Components: main/' >"$apt/parts/d.sources"
else # one-line form
  sed -nE 's/^deb +(\[[^]]*\] +)?([^ ]+) .*/deb-src \1\2 bookworm main/p' /etc/apt/sources.list | head -1 >"$apt/parts/d.list"
fi
cat >"$apt/apt.conf" <<CONF
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$apt/parts";
Dir::State::Lists "$apt/lists";
Dir::Cache "$apt/cache";
APT::Sandbox::User "";
CONF
export APT_CONFIG=$apt/apt.conf
cd "$scratch"
apt-get update -qq -o APT::Update::Error-Mode=any
apt-get source -qq --download-only kubernetes

# The upstream archive is pinned; Debian's revision may move on without harm, since its patches are not applied.
echo "b83c0780efb182d928dc63d46488a847f161f04e40a94b96bf5247dd671ecdfc  kubernetes_1.20.5+really1.20.2.orig.tar.gz" | sha256sum -c --quiet
tar xzf kubernetes_*.orig.tar.gz
cd kubernetes-1.20.2

# The vendored reflect2 1.0.1 crashes under Go >= 1.18 within a few dozen requests; Debian packages 1.0.2.
reflect2=vendor/github.com/modern-go/reflect2
rm -f "$reflect2"/*.go
cp /usr/share/gocode/src/github.com/modern-go/reflect2/*.go "$reflect2/"

mkdir -p .go/src/k8s.io
ln -sfn ../../.. .go/src/k8s.io/kubernetes
unset GOFLAGS
export GOPATH=$PWD/.go GOCACHE=$scratch/gocache HOME=$scratch/home CGO_ENABLED=0 GOPROXY=off
nice make WHAT=cmd/kube-apiserver >"$scratch/build.log" 2>&1 || { tail -30 "$scratch/build.log" >&2; exit 1; }
_output/bin/kube-apiserver --version >&2
cp -L _output/bin/kube-apiserver "$out.part"
mv "$out.part" "$out" # atomic: an interrupted copy is never taken for a binary
