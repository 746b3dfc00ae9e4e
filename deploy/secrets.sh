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
# HMAC-SHA-256 of the input, under a key in hex digits. No secret is an argument of another program, which others could see.
hmac() {
    key=$1$(printf '%064d' 0)
    inner=$({ bytes "$key" 0x36; cat; } | sha256sum | cut -c1-64)
    { bytes "$key" 0x5c; bytes "$inner" 0; } | sha256sum | cut -c1-64 | tr -d '\n'
}
# The bytes that hex digits stand for, each xor $2.
bytes() {
    left=$1
    while [ "$left" ]; do
        rest=${left#??}
        printf "\\$(printf '%03o' $((0x${left%"$rest"} ^ $2)))"
        left=$rest
    done
}
# The key of license states, made of the root secret as `core/home.py:derive` does: the dashboard must not have the root secret.
[ -s states_key ] || printf 'pharos license states\001' | hmac "$(hmac "$(printf '%064d' 0)" < root_secret)" > states_key
printf 'http://pharos:%s@clickhouse:8123/pharos' "$(cat clickhouse_password)" > clickhouse_url
# Empty until they are used: write the value into the file, and set PHAROS_SMTP_URL_FILE=/run/secrets/smtp_url in pharos.env.
for name in smtp_url webhook_url webhook_secret metrics_token; do
    [ -e "$name" ] || : > "$name"
done
# Compose mounts each file as it is, for users without rights in the containers. On this machine the folder keeps others out.
chmod 644 root_secret states_key clickhouse_password clickhouse_url smtp_url webhook_url webhook_secret metrics_token
