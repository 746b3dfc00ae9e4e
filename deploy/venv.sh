#!/bin/sh
# Create a virtual environment with the newest suitable Python, or print what is missing: venv.sh [FOLDER [PYTHON]]
# Suitable is Python 3.11 to 3.14 with the modules that Pharos needs. The script names each skipped Python with the reason.
set -eu
folder=${1:-.venv}
# python3 is usually one of the others.
candidates=${2:-python3.14 python3.13 python3.12 python3.11 python3}

say() {
    echo "$@" >&2
}

# Return whether a Python runs a statement.
runs() {
    "$1" -c "$2" >/dev/null 2>&1 </dev/null
}

version() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null </dev/null
}

chosen=
without_venv=
for name in $candidates; do
    python=$(command -v "$name" 2>/dev/null) || continue
    case $(version "$python" || echo none) in
        3.11 | 3.12 | 3.13 | 3.14)
            if ! runs "$python" 'import sqlite3, ssl'; then
                say "Skipping $python: it lacks the module sqlite3 or ssl."
            elif runs "$python" 'import ensurepip, venv'; then
                chosen=$python
                break
            elif [ -z "$without_venv" ]; then
                without_venv=$python
            fi
            ;;
        none) say "Skipping $python: it does not start." ;;
        *) say "Skipping $python: it is Python $(version "$python"), and Pharos needs 3.11 to 3.14." ;;
    esac
done

if [ -n "$without_venv" ]; then
    # Debian and Ubuntu have venv in a separate package.
    package=python$(version "$without_venv")-venv
    if [ -n "$chosen" ]; then
        say "Skipping $without_venv: it lacks the module venv (on Debian or Ubuntu the package $package)."
    else
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
            say "Installing the Debian package $package ..."
            export DEBIAN_FRONTEND=noninteractive
            { apt-get update -qq && apt-get install -y -qq "$package"; } >/dev/null || true
        fi
        if ! runs "$without_venv" 'import ensurepip, venv'; then
            say "Pharos needs the module venv of $without_venv. On Debian or Ubuntu: sudo apt install $package"
            exit 1
        fi
        chosen=$without_venv
    fi
fi

if [ -z "$chosen" ]; then
    [ $# -lt 2 ] || command -v "$2" >/dev/null 2>&1 || say "There is no $2 here."
    say "Pharos needs Python 3.11 to 3.14. On Debian or Ubuntu: sudo apt install python3 python3-venv"
    say "One that is not on the PATH can be named: make PYTHON=/path/to/python3.13"
    exit 1
fi
echo "Making $folder with $chosen, $("$chosen" -V 2>&1) ..."
exec "$chosen" -m venv "$folder"
