#!/usr/bin/env bash
# The whole life of a query with a command-line client: life.sh curl|nghttp URL.
# post PATH BODY: the answer, each line as it comes.
set -euo pipefail
kind=$1 url=$2
work=$(mktemp -d)
trap 'kill $(jobs -p) 2> /dev/null || true; rm -rf "$work"' EXIT

case $kind in
curl) post() { printf '%s' "$2" | curl -sSN --max-time 60 --http2-prior-knowledge "$url$1" --data-binary @-; } ;;
nghttp) # speaks nothing but HTTP/2, and would keep lines back
    post() {
        local body
        body=$(mktemp -p "$work")
        printf '%s' "$2" > "$body"
        stdbuf -oL nghttp -t 60 -d "$body" -H ':method: POST' -H 'content-type: application/json' "$url$1"
    }
    ;;
esac

fail() {
    echo "$*" >&2
    exit 1
}

# contains TEXT PART
contains() { case $1 in *"$2"*) ;; *) fail "no $2 in: $1" ;; esac; }

ksql() { post /ksql "{\"ksql\": \"$1\", \"streamsProperties\": {\"auto.offset.reset\": \"earliest\"}}"; }
pull() { post /query-stream "{\"sql\": \"$1\"}"; }

# await FUNCTION ARGUMENT PART
await() {
    local got
    for _ in $(seq 200); do
        got=$("$1" "$2")
        case $got in *"$3"*) return ;; esac
        sleep 0.05
    done
    fail "no $3 in: $got"
}

# lines FILE N: waits for the Nth line and prints it
lines() {
    for _ in $(seq 600); do
        if [ "$(wc -l < "$1")" -ge "$2" ]; then
            sed -n "$2p" "$1"
            return
        fi
        sleep 0.05
    done
    fail "no line $2 in: $(cat "$1")"
}

contains "$(ksql "CREATE STREAM clicks (usr STRING KEY, url STRING, n INT) WITH (kafka_topic='clicks', value_format='JSON', partitions=1);")" \
    '"status":"SUCCESS"'
acks=$(post /inserts-stream '{"target": "clicks"}
{"usr": "ann", "url": "/a", "n": 1}
{"usr": "bob", "url": "/b", "n": 2}
{"usr": "ann", "url": "/c", "n": 3}
')
contains "$acks" '{"status":"ok","seq":2}'
made=$(ksql "CREATE TABLE hits AS SELECT usr, COUNT(*) AS n, SUM(n) AS total FROM clicks GROUP BY usr EMIT CHANGES;")
contains "$made" '"status":"SUCCESS"'
query=$(sed -E 's/.*"queryId":"([^"]+)".*/\1/' <<< "$made")
await pull "SELECT * FROM hits WHERE usr = 'ann';" '["ann",2,4]'

# Each row is awaited before the next is inserted, so that none can wait for another.
post /query-stream '{"sql": "SELECT usr, n FROM clicks EMIT CHANGES;"}' > "$work/push" &
push=$!
head=$(lines "$work/push" 1)
contains "$head" '"columnNames":["USR","N"]'
for n in 10 11 12 13 14; do
    contains "$(post /inserts-stream "{\"target\": \"clicks\"}
{\"usr\": \"cid\", \"url\": \"/push\", \"n\": $n}
")" '{"status":"ok","seq":0}'
    [ "$(lines "$work/push" $((n - 8)))" = "[\"cid\",$n]" ] || fail "line $((n - 8)) of $(cat "$work/push")"
done
post /close-query "{\"queryId\": \"$(sed -E 's/.*"queryId":"([^"]+)".*/\1/' <<< "$head")\"}"
wait "$push"
[ "$(wc -l < "$work/push")" = 6 ] || fail "rows after the end: $(cat "$work/push")"
await pull "SELECT n, total FROM hits WHERE usr = 'cid';" '[5,60]'

contains "$(ksql "TERMINATE $query; DROP TABLE hits; DROP STREAM clicks DELETE TOPIC; SHOW TABLES;")" '"tables":[]'
contains "$(ksql 'DROP TABLE hits;')" '"error_code":40001'
