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
# The browser's tests run without it, too, and then take a tenth more of the CPU.
browser=
command -v chromium-headless-shell >/dev/null 2>&1 || browser=chromium-headless-shell
[ -n "$missing$browser" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
    sudo="sudo -n"
fi
export DEBIAN_FRONTEND=noninteractive
if command -v apt-get >/dev/null 2>&1 && $sudo true 2>/dev/null; then
    if [ -z "$missing" ]; then
        $sudo apt-get install -y -qq --no-install-recommends $browser >/dev/null 2>&1 || true
        exit 0
    fi
    echo "Installing the Debian packages$missing ..."
    $sudo apt-get update -qq || true
    # shellcheck disable=SC2086 # both are lists of words
    if $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null; then
        [ -z "$browser" ] || $sudo apt-get install -y -qq --no-install-recommends $browser >/dev/null 2>&1 || true
        # Without these some tests are left out. Debian 13 does not have the first.
        $sudo apt-get install -y -qq --no-install-recommends php-codesniffer >/dev/null 2>&1 || true
        $sudo apt-get install -y -qq --no-install-recommends golang-go golang-github-masterminds-sprig-dev >/dev/null 2>&1 || true
        exit 0
    fi
fi
[ -n "$missing" ] || exit 0
echo "The tests need$missing, and they could not be installed. On Debian: sudo apt install$missing" >&2
exit 1
