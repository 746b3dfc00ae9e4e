#!/bin/sh
# Fetch the small edition of plotly.js (npm, at a pinned version and hash) for the dashboard: browsers load a quarter of the whole one.
# Without npm or its registry the dashboard sends the one of the Python package.
set -eu
into=.venv/charts
lock=deploy/charts/package-lock.json
bundle=dashboard/plotly-basic.min.js
cmp -s "$lock" "$into/package-lock.json" && [ -f "$bundle" ] && exit 0
command -v npm >/dev/null 2>&1 || exit 0
rm -rf "$into"
mkdir -p "$into"
cp deploy/charts/package.json "$lock" "$into"
if (cd "$into" && npm ci --ignore-scripts --no-audit --no-fund) >"$into/log" 2>&1; then
    cp "$into/node_modules/plotly.js-basic-dist-min/plotly-basic.min.js" "$bundle"
else
    rm -f "$into/package-lock.json"
    echo "npm could not install plotly.js-basic-dist-min: charts load the whole plotly.js." >&2
fi
