#!/usr/bin/env bash
# Means of sensors over the last two minutes, every minute: run.sh [DIR] (default: ./weir-data). WEIR names the binary.
set -euo pipefail
cd "$(dirname "$0")"
weir=${WEIR:-weir} data=${1:-./weir-data} form=${FORM:-table}
"$weir" produce --data "$data" readings readings.jsonl
"$weir" run --data "$data" --quiet --set auto.offset.reset=earliest --until-end job.sql
"$weir" query --data "$data" --output "$form" "$(cat query.sql)"
