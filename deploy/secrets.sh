#!/bin/sh
# Makes the secrets for compose.yaml in deploy/secrets. Keeps those that exist.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
cd secrets

for name in root_secret clickhouse_password; do
    [ -s "$name" ] || head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' > "$name"
done
printf 'http://pharos:%s@clickhouse:8123/pharos' "$(cat clickhouse_password)" > clickhouse_url
# Compose mounts each file as it is, for users without rights in the containers. On this machine the folder keeps others out.
chmod 644 root_secret clickhouse_password clickhouse_url
