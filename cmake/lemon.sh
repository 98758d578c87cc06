#!/bin/sh
# lemon.sh LEMON GRAMMAR OUT: generates the parser into OUT; any conflict in the grammar is an error.
# Debian's lemon finds its template itself; conflicts show in its exit status and in the report beside the parser.
set -eu
"$1" -q -d"$3" "$2" || { echo "lemon: $2 has conflicts or errors" >&2; exit 1; }
