#!/usr/bin/env bash
# broker.sh start|stop: a Kafka broker for tests on 127.0.0.1:PORT, one node, its data thrown away at stop.
# broker.sh kill|again|pause|resume: it crashes, comes back on its data, stands still, goes on.
# PORT+2 wants SASL PLAIN: user weir (secret) may do all, stranger (secret) nothing. Whoever comes to PORT may do all.
# WEIR_TEST_BROKER_PORT (29392; the controller takes the next), WEIR_TEST_HOME (~/.cache/weir-test): jars and data.
# The jars come from Maven, once. start returns when the broker answers, and does nothing where it already does.
set -euo pipefail
port=${WEIR_TEST_BROKER_PORT:-29392}
home=${WEIR_TEST_HOME:-$HOME/.cache/weir-test}
pom=$(realpath "$(dirname "$0")/broker/pom.xml")
jars=$home/jars node=$home/node-$port

what=broker place="on 127.0.0.1:$port" mark=$node/server.properties
. "$(dirname "$0")/java_node.sh"

fetch_jars() {
    [ -f "$jars/complete" ] && cmp -s "$jars/complete" "$pom" && return
    fetch_by_maven maven.log -f "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$jars"
    cp "$pom" "$jars/complete"
}

write_settings() {
    local setting
    for setting in \
        node.id=1 \
        process.roles=controller,broker \
        "controller.quorum.voters=1@127.0.0.1:$((port + 1))" \
        controller.listener.names=CONTROLLER \
        "listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1)),SASL://127.0.0.1:$((port + 2))" \
        "advertised.listeners=PLAINTEXT://127.0.0.1:$port,SASL://127.0.0.1:$((port + 2))" \
        listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT \
        listener.name.sasl.sasl.enabled.mechanisms=PLAIN \
        'listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_weir="secret" user_stranger="secret";' \
        authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer \
        'super.users=User:ANONYMOUS;User:weir' \
        "log.dirs=$node/log" \
        num.partitions=1 \
        offsets.topic.num.partitions=4 \
        offsets.topic.replication.factor=1 \
        transaction.state.log.num.partitions=4 \
        transaction.state.log.replication.factor=1 \
        transaction.state.log.min.isr=1 \
        share.coordinator.state.topic.replication.factor=1 \
        share.coordinator.state.topic.min.isr=1 \
        group.initial.rebalance.delay.ms=0 \
        log.retention.ms=-1 \
        log.message.timestamp.before.max.ms=9223372036854775807; do
        echo "$setting"
    done > "$node/server.properties"
}

kafka() { java -cp "$jars/*" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn "$@"; }

start() {
    if node_runs; then return; fi
    node_prepare
    write_settings
    kafka -XX:TieredStopAtLevel=1 kafka.tools.StorageTool format -t d2VpcnRlc3R3ZWlydGVzdA -c "$node/server.properties" \
        > "$node/format.out" 2>&1 || { tail -n 3 "$node/format.out" >&2; fail "cannot format $node/log"; }
    launch
}

is_ready() { grep -q 'Kafka Server started' "$node/out"; }

launch() {
    node_launch is_ready -Xms256m "-Xmx${WEIR_TEST_BROKER_HEAP:-768m}" -cp "$jars/*" \
        -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info \
        kafka.Kafka "$node/server.properties"
}

signal_broker() {
    local pid
    pid=$(node_pid) || fail "no broker runs on port $port"
    kill "-$1" "$pid"
}

case ${1:-} in
start) start ;;
stop) node_stop ;;
kill)
    signal_broker KILL
    while node_pid > /dev/null; do sleep 0.05; done
    ;;
again) launch ;;
pause) signal_broker STOP ;;
resume) signal_broker CONT ;;
*)
    echo "usage: broker.sh start|stop|kill|again|pause|resume" >&2
    exit 2
    ;;
esac
