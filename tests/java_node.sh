# java_node.sh: what broker.sh and registry.sh do the same, which read it. A server in Java: fetched once, run in a session of its
# own, its process and data noted in a folder that is thrown away at the stop.
# They set: what ("broker"), place (where it answers, in words), mark (what stands in its command line and in no other),
# home, jars, node. They have: fetch_jars, and a command that tells whether it is ready.

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# Its process, if the one that was noted is still it and not another that took its number.
node_pid() {
    local pid
    pid=$(cat "$node/pid" 2> /dev/null) || return 1
    grep -qaF "$mark" "/proc/$pid/cmdline" 2> /dev/null && echo "$pid"
}

# LOG ARGUMENT...: Maven, told to put something into $jars.
fetch_by_maven() {
    local log=$home/$1
    shift
    command -v mvn > /dev/null || fail "maven is needed to fetch the $what"
    rm -rf "$jars"
    mkdir -p "$jars"
    mvn -q -B "$@" > "$log" 2>&1 || { tail -n 5 "$log" >&2; fail "the $what did not come"; }
}

node_runs() { node_pid > /dev/null && echo "the $what already runs $place"; }

# A new folder for it, and what it is made of.
node_prepare() {
    command -v java > /dev/null || fail "java is needed to run the $what"
    mkdir -p "$home"
    fetch_jars
    rm -rf "$node"
    mkdir -p "$node"
}

# READY ARGUMENT...: starts java with the arguments, and returns when the command READY succeeds. In a session of its own it
# outlives the shell that started it, and gets none of its signals. Until it is java its command line is this shell's: that it
# lives is asked of the process.
node_launch() {
    local ready=$1 tries pid
    shift
    setsid java "$@" < /dev/null > "$node/out" 2>&1 &
    pid=$!
    echo "$pid" > "$node/pid"
    for tries in $(seq 600); do
        kill -0 "$pid" 2> /dev/null || { tail -n 5 "$node/out" >&2; fail "the $what ended as it started"; }
        if "$ready"; then
            echo "a $what runs $place"
            return
        fi
        sleep 0.1
    done
    fail "the $what was not ready after a minute (see $node/out)"
}

node_stop() {
    local pid tries
    pid=$(node_pid) || { echo "no $what runs $place"; return; }
    kill "$pid"
    for tries in $(seq 100); do
        node_pid > /dev/null || break
        sleep 0.1
    done
    node_pid > /dev/null && kill -9 "$pid"
    rm -rf "$node"
    echo "the $what $place has stopped"
}
