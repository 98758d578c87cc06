#!/usr/bin/env bash
# sanitized.sh COMMAND ARGUMENT...: runs a test of a build with sanitizers. What they say goes to files, whichever process it is
# about: one that is killed, one that is meant to fail, one whose messages nobody reads. Where there is any, the test has failed.
set -uo pipefail
here=$(realpath "$(dirname "$0")")
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
# The shim of the faults is loaded before the sanitizer. TSan would have each process sleep for a second as it ends.
export ASAN_OPTIONS="log_path=$reports/asan:verify_asan_link_order=0:detect_stack_use_after_return=1"
# UBSan, beside ASan, writes nowhere but to stderr; that a process was aborted is no end that any test expects.
export UBSAN_OPTIONS="print_stacktrace=1:abort_on_error=1"
export LSAN_OPTIONS="suppressions=$here/${WEIR_TEST_LSAN:-lsan.supp}:print_suppressions=0"
export TSAN_OPTIONS="log_path=$reports/tsan:suppressions=$here/tsan.supp:print_suppressions=0:second_deadlock_stack=1:atexit_sleep_ms=0"
"$@"
status=$?
for report in "$reports"/*; do
    [ -e "$report" ] || continue
    echo "== ${report##*/}"
    head -c 20000 "$report"
    [ "$status" != 0 ] || status=1
done
exit "$status"
