#!/bin/sh
# Fetch two things from npm for the dashboard, at pinned versions and hashes: the small edition of plotly.js, a quarter of the whole one,
# and the outlines of the countries for the map. Without npm or its registry the dashboard sends the plotly.js of the Python package, and
# has no map.
set -eu
into=.venv/charts
lock=deploy/charts/package-lock.json
bundle=dashboard/plotly-basic.min.js
atlas=dashboard/countries-110m.json
cmp -s "$lock" "$into/package-lock.json" && [ -f "$bundle" ] && [ -f "$atlas" ] && exit 0
command -v npm >/dev/null 2>&1 || exit 0
rm -rf "$into"
mkdir -p "$into"
cp deploy/charts/package.json "$lock" "$into"
if (cd "$into" && npm ci --ignore-scripts --no-audit --no-fund) >"$into/log" 2>&1; then
    cp "$into/node_modules/plotly.js-basic-dist-min/plotly-basic.min.js" "$bundle"
    cp "$into/node_modules/world-atlas/countries-110m.json" "$atlas"
else
    rm -f "$into/package-lock.json"
    echo "npm could not install plotly.js-basic-dist-min and world-atlas: charts load the whole plotly.js, and there is no map." >&2
fi
