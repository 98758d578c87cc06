#!/bin/sh
# Fails when a folder includes a header it must not see. Arrows point one way (docs/architecture.md, "The house").
set -u
cd "$1" || exit 2
bad=0
check() { # FOLDER, then the folders it may include (itself and core always)
    folder=$1; shift
    allowed="$folder|core"
    for other in "$@"; do allowed="$allowed|$other"; done
    found=$(grep -rnE '^#include "(core|parser|functions|storage|planner|executor|shell|server|tests)/' "$folder" \
            --include='*.c' --include='*.h' --include='*.cpp' --include='*.y' --include='*.re' 2>/dev/null |
            grep -vE "#include \"($allowed)/")
    [ -z "$found" ] || { echo "$folder may include only: $allowed"; echo "$found"; bad=1; }
}
check core
check parser
check functions
check storage
check planner parser functions storage/formats
check executor parser functions storage planner
for face in shell server; do
    found=$(grep -rnE '^#include "(parser|functions|storage|planner|executor|shell|server)/' "$face" --include='*.c' --include='*.h' 2>/dev/null |
            grep -vE "#include \"(executor/engine.h|server/server.h|$face/.*)\"")
    [ -z "$found" ] || { echo "$face may include only executor/engine.h, server/server.h and core/"; echo "$found"; bad=1; }
done
exit $bad
