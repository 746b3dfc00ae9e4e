#!/bin/sh
# The Pharos client for shell scripts: pharos.sh choose off|license|full, pharos.sh count FEATURE [USES], pharos.sh tick
#
# It behaves as the PHP client: counting appends one line, and the cron's tick makes and sends the beacons and prints what
# became of them. It needs curl and awk, and in the environment TELEMETRY_COLLECTOR, TELEMETRY_KEY, TELEMETRY_MODULE,
# TELEMETRY_VERSION, TELEMETRY_STATE (a folder of its own) and, if known, TELEMETRY_LICENSE and TELEMETRY_SOURCE.
umask 077
mkdir -p "${TELEMETRY_STATE:?}" && cd "$TELEMETRY_STATE" || exit 1
now=${TELEMETRY_NOW:-$(date +%s)}
version=${TELEMETRY_VERSION:-unknown}
get() { cat "$1" 2>/dev/null || echo "$2"; }
put() { echo "$2" >"$1.tmp" && mv "$1.tmp" "$1"; }
utc() { date -u -d "@$1" "+$2" 2>/dev/null || date -u -r "$1" "+$2"; }
sum() { awk '{ n[$1] += $2 } END { for (f in n) print f, n[f] }' | sort; }
end() { echo "$1" && exit; }
level=$(get choice off)
case "${PHAROS_TELEMETRY:-} ${DO_NOT_TRACK:-}" in off* | "0 "* | *" 1" | *" true") level=off ;; esac

# The JSON of a beacon: its file has id, time, reason, level and version in the first line, then features.
json() {
    read -r id due reason at which <"$1"
    printf '{"schema":1,"beacon_id":"%s","install_id":"%s","sent_at":"%s","reason":"%s","consent":{"level":"%s"},' \
        "$id" "$(cat id)" "$(utc "$due" %Y-%m-%dT%H:%M:%SZ)" "$reason" "$at"
    printf '"module":{"name":"%s","version":"%s"},' "$TELEMETRY_MODULE" "$which"
    printf '"license":{"status":"%s","source":"%s"}' "${TELEMETRY_LICENSE:-unknown}" "${TELEMETRY_SOURCE:-unknown}"
    [ "$at" = full ] && sed 1d "$1" | awk '{ printf "%s\"%s\":%s", (NR > 1 ? "," : ",\"features\":{"), $1, $2 } END { if (NR) printf "}" }'
    printf '}'
}

uuid() { cat /proc/sys/kernel/random/uuid 2>/dev/null || uuidgen | tr A-F a-f; }

make() {
    due=$(get due 0)
    { [ "$due" -gt 0 ] && [ "$due" -le $((now + 172800)) ]; } || due=$now
    reason=heartbeat
    [ "$(get sent "$version")" = "$version" ] || reason=upgrade
    [ -e sent ] || reason=activate
    [ "$due" -le "$now" ] || [ $reason != heartbeat ] || return
    when=$now
    if [ "$due" -le "$now" ]; then
        when=$((due + (now - due) / 86400 * 86400))
        put last "$when" && put due $((when + 86400))
    fi
    # What a day that is over still has to tell is told on that day.
    for back in 7 6 5 4 3 2 1; do
        end=$((when / 86400 * 86400 - back * 86400 + 86399)) day=$(utc $((when - back * 86400)) %F)
        grep -q "^$day " pending && entry $end heartbeat "$(get sent "$version")" "^$day "
    done
    # A beacon that is late past midnight is of the day before.
    lines=. && [ "$(utc "$when" %F)" = "$(utc "$now" %F)" ] || lines="^$(utc "$when" %F) "
    entry "$when" $reason "$version" "$lines" && put sent "$version"
}

# Queues a beacon: time, reason, version, and which lines of `pending` it takes. Of more than eight two
# of one day merge, otherwise the oldest two.
entry() {
    grep "$4" pending | cut -d' ' -f2- | sum >all
    { echo "$(uuid) $1 $2 $level $3" && head -n 200 all; } >entry
    mv entry "queue/$1-$(uuid)"
    { grep -v "$4" pending; tail -n +201 all | sed "s/^/$(utc "$1" %F) /"; } >rest
    mv rest pending
    [ "$(ls queue | wc -l)" -le 8 ] && return
    older=$(ls queue | sed -n 1p) newer=$(ls queue | sed -n 2p) before=
    for file in $(ls queue); do
        [ -n "$before" ] && [ "$(utc "${before%%-*}" %F)" = "$(utc "${file%%-*}" %F)" ] && older=$before newer=$file && break
        before=$file
    done
    { sed -n 1p "queue/$newer" && sed -s 1d "queue/$older" "queue/$newer" | sum; } >entry
    mv entry "queue/$newer" && rm "queue/$older"
}

# Sends the beacons whose fate is unknown, otherwise all. Prints nothing; sets result.
send() {
    [ -n "$(ls flight)" ] || mv queue/* flight/
    body=$(for file in flight/*; do json "$file" && printf ','; done)
    body=${body%,}
    [ "$(ls flight | wc -l)" -gt 1 ] && body="[$body]"
    printf '%s' "$body" >body && : >answer && : >heads
    code=$(echo "header = \"Authorization: Bearer $TELEMETRY_KEY\"" | curl -sK - -o answer -D heads -w '%{http_code}' \
        --max-filesize 65536 --connect-timeout 1 --max-time 2.7 -A pharos-shell/1.0.0 -H 'Content-Type: application/json' \
        --data-binary @body "$TELEMETRY_COLLECTOR/v1/beacons")
    reason=$(sed -n 's/.*"reason": *"\([a-z_]*\)".*/\1/p' answer)
    result=failed
    [ "$code" = 202 ] && grep -q '"accepted": *[0-9]' answer && result=sent
    case $code in 413 | 422) [ -n "$reason" ] && result=rejected ;; esac
    if [ $result = failed ]; then
        fails=$(get fails 0)
        wait=$((fails < 6 ? 300 << fails : 14400))
        wait=$((wait / 2 + $(awk "BEGIN { srand($$ + $now); print int(rand() * $wait / 2) }")))
        after=$(sed -n 's/^[Rr]etry-[Aa]fter: *\([0-9]\{1,5\}\).*/\1/p' heads)
        put fails $((fails + 1)) && put until $((now + (${after:-0} > wait ? after : wait)))
        return
    fi
    [ $result = sent ] || grep -q '"path": *"features' answer || for file in flight/*; do
        sed 1d "$file" | sed "s/^/$(utc "$now" %F) /" >>pending
    done
    rm -f flight/* fails until
    next=$(sed -n 's/.*"next_in": *\([0-9]\{1,7\}\).*/\1/p' answer)
    [ -n "$(ls queue)" ] || [ $result != sent ] || put due $(($(get last "$now") + ${next:-86400} * 9 / 10))
    if grep -q '"objected": *[1-9]' answer; then
        put objected "$now" && result=objected
    fi
}

case ${1:-} in
choose)
    put choice "$2" && rm -f objected
    if [ "$2" = full ]; then mkdir -p counts; else rm -rf counts; fi
    ;;
count)
    echo "$2 ${3:-1}" | grep -Eqx '[a-z][a-z0-9_.]{0,63} [1-9][0-9]{0,9}' || exit 1
    [ "$level" = full ] && [ ! -e objected ] && echo "$2 ${3:-1}" >>"counts/$(utc "$now" %F)"
    ;;
tick)
    find . -maxdepth 1 -name lock -mmin +10 -exec rmdir {} +
    mkdir lock 2>/dev/null || end busy
    trap 'rmdir lock' EXIT
    if [ "$level" = off ] || [ -e objected ]; then
        rm -rf counts queue flight read pending sent
        [ "$level" = off ] && end off
        end objected
    fi
    mkdir -p queue flight read && touch pending
    [ -s id ] || put id "$(uuid)"
    for file in counts/*; do
        [ -f "$file" ] || continue
        from=$(get "read/${file#counts/}" 0) to=$(wc -c <"$file")
        tail -c +$((from + 1)) "$file" | head -c $((to - from)) | sed "s/^/${file#counts/} /" >>pending
        put "read/${file#counts/}" "$to"
    done
    [ "$level" = full ] || { : >pending && grep -l ' full ' queue/* flight/* 2>/dev/null | xargs -r rm -f; }
    find counts -type f -mtime +3 -delete 2>/dev/null
    make
    [ -n "$(ls queue flight | grep -v :)" ] || end not_due
    until=$(get until 0)
    { [ "$until" -gt "$now" ] && [ "$until" -le $((now + 86400)) ]; } && end not_due
    while [ -n "$(ls queue flight | grep -v :)" ]; do
        send
        [ "$result" = sent ] || break
    done
    echo "$result"
    ;;
*) sed -n 's/^# The/The/p' "$0" && exit 2 ;;
esac
