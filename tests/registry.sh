#!/usr/bin/env bash
# registry.sh start|stop: a schema registry for tests on 127.0.0.1:PORT (Apicurio's, which speaks Confluent's API at
# /apis/ccompat/v7), its schemas in memory.
# WEIR_TEST_REGISTRY_PORT (29396), WEIR_TEST_HOME (~/.cache/weir-test): jars and data. The jars come from Maven, once.
# start returns when the registry answers, and does nothing where it already does.
set -euo pipefail
port=${WEIR_TEST_REGISTRY_PORT:-29396}
home=${WEIR_TEST_HOME:-$HOME/.cache/weir-test}
version=3.0.9
jars=$home/registry-$version node=$home/registry-node-$port
url=http://127.0.0.1:$port/apis/ccompat/v7

fail() {
    echo "registry.sh: $*" >&2
    exit 1
}

# The registry's process, if the one that was noted is still it and not another that took its number.
registry_pid() {
    local pid
    pid=$(cat "$node/pid" 2> /dev/null) || return 1
    grep -qaF "quarkus.http.port=$port" "/proc/$pid/cmdline" 2> /dev/null && echo "$pid"
}

# The plugin is of a version that takes the archive alone: newer ones look for its parent's description first, which the
# repository does not have.
fetch_jars() {
    local archive
    [ -f "$jars/complete" ] && return
    command -v mvn > /dev/null || fail "maven is needed to fetch the registry"
    rm -rf "$jars"
    mkdir -p "$jars"
    mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:2.10:get -Dtransitive=false \
        "-Dartifact=io.apicurio:apicurio-registry-app:$version:tar.gz:all" "-Ddest=$jars/registry.tar.gz" \
        > "$home/maven-registry.log" 2>&1 || { tail -n 5 "$home/maven-registry.log" >&2; fail "the registry did not come"; }
    archive=$jars/registry.tar.gz
    tar -C "$jars" -xzf "$archive"
    rm "$archive"
    touch "$jars/complete"
}

start() {
    local tries
    if registry_pid > /dev/null; then
        echo "the registry already runs at $url"
        return
    fi
    command -v java > /dev/null || fail "java is needed to run the registry"
    mkdir -p "$home"
    fetch_jars
    rm -rf "$node"
    mkdir -p "$node"
    # In a session of its own: it outlives the shell that started it, and gets none of its signals.
    setsid java -XX:TieredStopAtLevel=1 "-Xmx${WEIR_TEST_REGISTRY_HEAP:-384m}" -Dquarkus.http.host=127.0.0.1 \
        "-Dquarkus.http.port=$port" -Dquarkus.log.level=WARN -jar "$jars/apicurio-registry-app-$version-runner.jar" \
        < /dev/null > "$node/out" 2>&1 &
    echo $! > "$node/pid"
    for tries in $(seq 600); do
        registry_pid > /dev/null || { tail -n 5 "$node/out" >&2; fail "the registry ended as it started"; }
        if curl -sf --max-time 5 -o /dev/null "$url/subjects"; then
            echo "a schema registry runs at $url"
            return
        fi
        sleep 0.1
    done
    fail "the registry was not ready after a minute (see $node/out)"
}

stop() {
    local pid tries
    pid=$(registry_pid) || { echo "no registry runs on port $port"; return; }
    kill "$pid"
    for tries in $(seq 100); do
        registry_pid > /dev/null || break
        sleep 0.1
    done
    registry_pid > /dev/null && kill -9 "$pid"
    rm -rf "$node"
    echo "the registry on port $port has stopped"
}

case ${1:-} in
start) start ;;
stop) stop ;;
*)
    echo "usage: registry.sh start|stop" >&2
    exit 2
    ;;
esac
