#!/bin/sh
# Makes, once, what cambio keeps its state by: the master key, and a password of PostgreSQL's. None of it is in this repository,
# and each file is for those who need it. The next start finds them as they are.
set -eu
cd "${1:-/var/tmp}"
umask 077
random() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
# Whole or not there, whenever this is cut off.
keep() { cat >"$1.new" && chmod "$2" "$1.new" && mv "$1.new" "$1"; }
[ -s master-key ] || random | keep master-key 0600
if [ ! -s postgres-password ]; then
  random | keep postgres-password 0600
fi
chgrp "${2:-70}" postgres-password           # PostgreSQL's group, of which this container's user is
chmod 0640 postgres-password
# In the clear: between containers of one machine, in a network without a way out.
[ -s database-url ] || echo "postgres://cambio:$(cat postgres-password)@postgres/cambio?sslmode=disable" | keep database-url 0600
