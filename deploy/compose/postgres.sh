#!/bin/sh
# Starts PostgreSQL with the password that `state-secrets` made: none is in this repository.
set -eu
export POSTGRES_PASSWORD_FILE=/run/cambio/postgres-password
exec docker-entrypoint.sh postgres
