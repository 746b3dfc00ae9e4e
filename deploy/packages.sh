#!/bin/sh
# Install the Debian packages that the tests need, with apt as root or with sudo. Otherwise print which are missing.
set -eu
missing=
command -v curl >/dev/null 2>&1 || missing="$missing curl"
command -v php >/dev/null 2>&1 || missing="$missing php-cli"
php -m 2>/dev/null | grep -qx curl || missing="$missing php-curl"
php -m 2>/dev/null | grep -qx pdo_mysql || missing="$missing php-mysql"
command -v mariadbd >/dev/null 2>&1 || [ -x /usr/sbin/mariadbd ] || missing="$missing mariadb-server-core"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
command -v strace >/dev/null 2>&1 || missing="$missing strace"
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
# The playwright program that drives Chromium in the tests needs it.
/sbin/ldconfig -p | grep -q 'libatomic\.so\.1 ' || missing="$missing libatomic1"
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
    sudo="sudo -n"
fi
if command -v apt-get >/dev/null 2>&1 && $sudo true 2>/dev/null; then
    echo "Installing the Debian packages$missing ..."
    export DEBIAN_FRONTEND=noninteractive
    $sudo apt-get update -qq || true
    # shellcheck disable=SC2086 # both are lists of words
    if $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null; then
        # Without these some tests are left out. Debian 13 does not have the first.
        $sudo apt-get install -y -qq --no-install-recommends php-codesniffer >/dev/null 2>&1 || true
        $sudo apt-get install -y -qq --no-install-recommends golang-go golang-github-masterminds-sprig-dev >/dev/null 2>&1 || true
        exit 0
    fi
fi
echo "The tests need$missing, and they could not be installed. On Debian: sudo apt install$missing" >&2
exit 1
