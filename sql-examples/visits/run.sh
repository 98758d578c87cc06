#!/usr/bin/env bash
# Visits per user in a range of time: run.sh [DIR [FROM [TO]]]. WEIR names the binary.
set -euo pipefail
cd "$(dirname "$0")"
weir=${WEIR:-weir} data=${1:-./weir-data} form=${FORM:-table}
"$weir" produce --data "$data" visits visits.csv
"$weir" run --data "$data" --quiet --set auto.offset.reset=earliest --until-end \
    -D FROM="${2:-2023-03-03T00:00:00}" -D TO="${3:-2023-03-06T00:00:00}" job.sql
"$weir" query --data "$data" --output "$form" "$(cat query.sql)"
