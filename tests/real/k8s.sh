#!/usr/bin/env bash
# k8s.sh DIR [--issuer URL] [--alg RS256] [-- FLAG...]: a real Kubernetes API server in the foreground; see README.md.
set -euo pipefail
exec python3 "$(dirname "$0")/k8s.py" "$@"
