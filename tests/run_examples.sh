#!/usr/bin/env bash
# run_examples.sh WEIR: each example on the embedded log, its answer compared with expected.txt.
set -euo pipefail
weir=$(realpath "${1:?usage: run_examples.sh WEIR}")
examples=$(realpath "$(dirname "$0")/../sql-examples")
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
passed=0 failed=0
for example in "$examples"/*/; do
    name=$(basename "$example")
    if WEIR=$weir FORM=csv "$example/run.sh" "$data/$name" > "$data/$name.csv" &&
        diff -u "$example/expected.txt" "$data/$name.csv"; then
        passed=$((passed + 1))
    else
        echo "example $name failed"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
