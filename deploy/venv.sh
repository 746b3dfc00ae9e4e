#!/bin/sh
# Make .venv with Python 3.11, or say in one message what is missing.
set -eu
python=${1:-python3}
if ! command -v "$python" >/dev/null 2>&1; then
    echo "Pharos needs Python 3.11, and there is no $python here. On Debian 12: apt install python3 python3-venv" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
    echo "Pharos needs Python 3.11, and $python is $("$python" -V 2>&1). Name another: make PYTHON=/path/to/python3.11" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "Installing the Debian package python3-venv ..."
        { apt-get update -qq && apt-get install -y -qq python3-venv; } >/dev/null
    else
        echo "Pharos needs Python's venv module. On Debian 12: sudo apt install python3-venv" >&2
        exit 1
    fi
fi
echo "Making .venv with $("$python" -V 2>&1) ..."
exec "$python" -m venv .venv
