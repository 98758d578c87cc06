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

what="schema registry" place="at $url" mark=quarkus.http.port=$port
. "$(dirname "$0")/java_node.sh"

# The plugin is of a version that takes the archive alone: newer ones look for its parent's description first, which the
# repository does not have.
fetch_jars() {
    local archive=$jars/registry.tar.gz
    [ -f "$jars/complete" ] && return
    fetch_by_maven maven-registry.log org.apache.maven.plugins:maven-dependency-plugin:2.10:get -Dtransitive=false \
        "-Dartifact=io.apicurio:apicurio-registry-app:$version:tar.gz:all" "-Ddest=$archive"
    tar -C "$jars" -xzf "$archive"
    rm "$archive"
    touch "$jars/complete"
}

is_ready() { curl -sf --max-time 5 -o /dev/null "$url/subjects"; }

start() {
    if node_runs; then return; fi
    node_prepare
    node_launch is_ready -XX:TieredStopAtLevel=1 "-Xmx${WEIR_TEST_REGISTRY_HEAP:-384m}" -Dquarkus.http.host=127.0.0.1 \
        "-Dquarkus.http.port=$port" -Dquarkus.log.level=WARN -jar "$jars/apicurio-registry-app-$version-runner.jar"
}

case ${1:-} in
start) start ;;
stop) node_stop ;;
*)
    echo "usage: registry.sh start|stop" >&2
    exit 2
    ;;
esac
