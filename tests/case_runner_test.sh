#!/bin/sh
# case_runner_test.sh CASE_RUNNER - runs the cases beside its sources and compares what it says of them, less the words of
# error messages.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
said=$(mktemp)
trap 'rm -f "$said"' EXIT
"$1" "$here/runner/cases.json" | sed 's/"message": "[^"]*"/"message": "..."/' > "$said"
diff "$here/runner/cases.expected" "$said"
