#!/bin/sh
# Starts PostgreSQL with a password that is made at the first start, in its own volume: none is in this repository.
set -eu
file=/var/lib/postgresql/password
if [ ! -s "$file" ]; then
  umask 077
  head -c 32 /dev/urandom | base64 >"$file.new"
  mv "$file.new" "$file"
fi
export POSTGRES_PASSWORD_FILE="$file"
exec docker-entrypoint.sh postgres
