#!/bin/sh
# Install PHP 7.4 to 8.5 (npm's @php-wasm/cli) into .venv for the tests. Without npm or its registry those tests are skipped.
set -eu
into=.venv/php-versions
lock=deploy/php-versions/package-lock.json
cmp -s "$lock" "$into/package-lock.json" && [ -x "$into/node_modules/.bin/php-wasm-cli" ] && exit 0
command -v npm >/dev/null 2>&1 || { echo "There is no npm: the tests on PHP 7.4 and 8.5 are skipped." >&2; exit 0; }
rm -rf "$into"
mkdir -p "$into"
cp deploy/php-versions/package.json "$lock" "$into"
echo "Installing PHP 7.4 to 8.5 for the tests (470 MB, once) ..."
if ! (cd "$into" && npm ci --ignore-scripts --no-audit --no-fund) >"$into/log" 2>&1; then
    rm -rf "$into/node_modules"
    echo "npm could not install @php-wasm/cli: the tests on PHP 7.4 and 8.5 are skipped." >&2
fi
