/* executor/settings.c - what SET knows: weir's own settings and those of ksqlDB that mean something here. */
#include "executor/weir.h"

#include "core/nearest.h"
#include "core/number.h"

#include <stdlib.h>

typedef struct known_setting {
    const char *name;    /* without "ksql.streams." */
    const char *value;   /* the default; NULL: none */
    const char *allowed; /* words it may be, between '|'; "0": a whole number; "ms": a time; "bytes": a size; NULL: any text */
    const char *meaning;
} known_setting;

#define TRUTH "true|false"

static const known_setting SETTINGS[] = {
    { "auto.offset.reset", NULL, "earliest|latest", "Where a query begins that has no position yet. Not set: earliest, but for push "
                                                    "queries that come over HTTP: latest" },
    { "cache.max.bytes.buffering", NULL, "bytes", "The older name of statestore.cache.max.bytes" },
    { "commit.interval.ms", "100", "ms", "How long an epoch may last" },
    { "emit", "coalesced", "coalesced|every-change", "every-change: each update of a table is written, not only the last of an epoch" },
    { "ksql.assert.schema.default.timeout.ms", "1000", "0", "How long ASSERT SCHEMA waits that says no TIMEOUT" },
    { "ksql.assert.topic.default.timeout.ms", "1000", "0", "How long ASSERT TOPIC waits that says no TIMEOUT" },
    { "ksql.fail.on.deserialization.error", "false", TRUTH, "true: as on.bad.record stop" },
    { "ksql.functions.collect_list.limit", NULL, "0", "The most elements COLLECT_LIST keeps" },
    { "ksql.functions.collect_set.limit", NULL, "0", "The most elements COLLECT_SET keeps" },
    { "ksql.new.query.planner.enabled", "false", TRUTH,
      "A stream's key columns may be left out of a SELECT list, whose order they take" },
    { "ksql.output.topic.name.prefix", "", NULL, "Put before the names of topics made for CREATE ... AS SELECT" },
    { "ksql.persistence.default.format.key", "KAFKA", NULL, "Key format where a statement names none" },
    { "ksql.persistence.default.format.value", NULL, NULL, "Value format where a statement names none" },
    { "ksql.persistence.wrap.single.values", NULL, "true|false|", "Whether a lone value column is wrapped in an object" },
    { "ksql.query.pull.limit.clause.enabled", "true", TRUTH, "Pull queries may have a LIMIT" },
    { "ksql.query.pull.range.scan.enabled", "true", TRUTH, "Without table scans: pull queries may compare a lone STRING key with <, >" },
    { "ksql.query.pull.stream.enabled", "true", TRUTH, "Pull queries may read streams" },
    { "ksql.query.pull.table.scan.enabled", "true", TRUTH, "Pull queries may scan whole tables" },
    { "ksql.timestamp.throw.on.invalid", "false", TRUTH, "A record whose timestamp column is unreadable stops the query" },
    { "ksql.variable.substitution.enable", "true", TRUTH, "${NAME} in a statement stands for a variable's text" },
    { "max.task.idle.ms", "0", "ms", "How long a query with several inputs waits for more of one that is at its end, before it "
                                    "goes on with the others" },
    { "on.bad.record", "skip", "skip|stop", "stop: the first record that cannot be read stops the query" },
    { "processing.guarantee", "exactly_once_v2", "exactly_once_v2|exactly_once|at_least_once", "or at_least_once" },
    { "pull.dialect", "weir", "weir|ksqldb", "ksqldb: pull queries take what ksqlDB's take, and no more" },
    { "repartition.in.memory", "true", TRUTH, "A query that has all its partitions in one thread regroups rows in memory; false: "
                                              "always through its repartition topics" },
    { "statestore.cache.max.bytes", NULL, "bytes", "How much of its state a query keeps in memory, 1 MiB at least; not set: 16 MiB. "
                                                   "0: that, and as emit every-change" },
};

/* What ksqlDB's scripts and clients set and has no effect here. They are to run as they are, so it is taken. */
typedef struct idle_setting {
    const char *name;  /* without "ksql.streams.", "producer." and "consumer." */
    const char *value; /* the only one it takes: what weir always does; NULL: any */
} idle_setting;

static const idle_setting IDLE_SETTINGS[] = {
    { "acceptable.recovery.lag", NULL },
    { "acks", NULL },
    { "batch.size", NULL },
    { "buffer.memory", NULL },
    { "buffered.records.per.partition", NULL },
    { "compression.type", NULL },
    { "connections.max.idle.ms", NULL },
    { "default.api.timeout.ms", NULL },
    { "delivery.timeout.ms", NULL },
    { "fetch.max.bytes", NULL },
    { "fetch.max.wait.ms", NULL },
    { "fetch.min.bytes", NULL },
    { "heartbeat.interval.ms", NULL },
    { "ksql.cast.strings.preserve.nulls", "true" },
    { "ksql.create.or.replace.enabled", "true" },
    { "ksql.fail.on.production.error", "true" },
    { "ksql.functions.substring.legacy.args", "false" },
    { "ksql.headers.columns.enabled", "true" },
    { "ksql.insert.into.values.enabled", "true" },
    { "ksql.internal.topic.min.insync.replicas", NULL },
    { "ksql.internal.topic.replicas", NULL },
    { "ksql.lambdas.enabled", "true" },
    { "ksql.query.error.max.queue.size", NULL },
    { "ksql.query.pull.consistency.token.enabled", NULL },
    { "ksql.query.pull.enable.standby.reads", NULL },
    { "ksql.query.pull.interpreter.enabled", NULL },
    { "ksql.query.pull.max.allowed.offset.lag", NULL },
    { "ksql.query.pull.metrics.enabled", NULL },
    { "ksql.query.push.v2.continuation.tokens.enabled", NULL },
    { "ksql.query.push.v2.enabled", NULL },
    { "ksql.query.push.v2.registry.installed", NULL },
    { "ksql.rowpartition.rowoffset.enabled", "true" },
    { "ksql.source.table.materialization.enabled", "true" },
    { "ksql.suppress.enabled", "true" },
    { "ksql.udf.collect.metrics", NULL },
    { "ksql.windowed.session.key.legacy", "false" },
    { "linger.ms", NULL },
    { "max.block.ms", NULL },
    { "max.in.flight.requests.per.connection", NULL },
    { "max.partition.fetch.bytes", NULL },
    { "max.poll.interval.ms", NULL },
    { "max.poll.records", NULL },
    { "max.warmup.replicas", NULL },
    { "metadata.max.age.ms", NULL },
    { "metrics.recording.level", NULL },
    { "num.standby.replicas", NULL },
    { "num.stream.threads", NULL },
    { "poll.ms", NULL },
    { "receive.buffer.bytes", NULL },
    { "replication.factor", NULL },
    { "request.timeout.ms", NULL },
    { "retries", NULL },
    { "retry.backoff.ms", NULL },
    { "rocksdb.config.setter", NULL },
    { "send.buffer.bytes", NULL },
    { "session.timeout.ms", NULL },
    { "state.cleanup.delay.ms", NULL },
    { "task.timeout.ms", NULL },
    { "topology.optimization", NULL },
};

uint32_t setting_count(void)
{
    return sizeof SETTINGS / sizeof *SETTINGS;
}

void setting_at(uint32_t index, const char **name, const char **value, const char **meaning)
{
    *name = SETTINGS[index].name;
    *value = SETTINGS[index].value;
    *meaning = SETTINGS[index].meaning;
}

static slice without(slice name, const char *prefix)
{
    size_t len = strlen(prefix);

    return name.len > len && memcmp(name.data, prefix, len) == 0 ? (slice){ name.data + len, name.len - len } : name;
}

static slice without_prefix(slice name)
{
    return without(name, "ksql.streams.");
}

static const idle_setting *find_idle(slice name)
{
    slice streams = without_prefix(name), produced = without(streams, "producer."),
          client = produced.len < streams.len ? produced : without(streams, "consumer.");

    for (uint32_t i = 0; i < sizeof IDLE_SETTINGS / sizeof *IDLE_SETTINGS; i++) {
        if (slice_equal_nocase(client, slice_of(IDLE_SETTINGS[i].name))) return &IDLE_SETTINGS[i];
    }
    return NULL;
}

bool setting_is_idle(slice name)
{
    return find_idle(name) != NULL;
}

slice setting_canonical(slice name)
{
    name = without_prefix(name);
    for (uint32_t i = 0; i < setting_count(); i++) {
        if (slice_equal_nocase(name, slice_of(SETTINGS[i].name))) return slice_of(SETTINGS[i].name);
    }
    return NO_SLICE;
}

static setting *find(const weir_session *s, slice name)
{
    for (uint32_t i = 0; i < s->setting_count; i++) {
        if (slice_equal(s->settings[i].name, name)) return &s->settings[i];
    }
    return NULL;
}

static bool is_allowed(const char *allowed, slice value)
{
    int64_t number;

    if (allowed == NULL) return true;
    if (strcmp(allowed, "0") == 0) return parse_i64(value, &number) == NUMBER_FITS;
    if (strcmp(allowed, "ms") == 0) return parse_i64(value, &number) == NUMBER_FITS && number >= 0 && number <= INT32_MAX;
    if (strcmp(allowed, "bytes") == 0) return parse_i64(value, &number) == NUMBER_FITS && number >= 0;
    for (const char *word = allowed;; word++) {
        size_t len = strcspn(word, "|");
        if (slice_equal_nocase(value, (slice){ word, len })) return true;
        word += len;
        if (*word == '\0') return false;
    }
}

weir_rc setting_check(slice name, slice value, slice *canonical, weir_error *err)
{
    nearest n = nearest_to(without_prefix(name));
    const idle_setting *idle = find_idle(name);

    *canonical = setting_canonical(name);
    for (uint32_t i = 0; i < setting_count(); i++) {
        const known_setting *known = &SETTINGS[i];
        nearest_offer(&n, slice_of(known->name));
        if (!slice_is(*canonical, known->name)) continue;
        if (value.data == NULL || is_allowed(known->allowed, value)) return WEIR_OK;
        const char *wanted = strcmp(known->allowed, "0") == 0       ? "a whole number"
                           : strcmp(known->allowed, "ms") == 0    ? "a number of milliseconds, 0 or more"
                           : strcmp(known->allowed, "bytes") == 0 ? "a number of bytes, 0 or more"
                                                                  : known->allowed;
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "'%s' is %s, not '%.*s'", known->name, wanted, SLICE_ARG(value));
    }
    if (idle != NULL) {
        if (value.data == NULL || idle->value == NULL || slice_equal_nocase(value, slice_of(idle->value))) return WEIR_OK;
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "'%s' is always %s", idle->name, idle->value);
    }
    return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "unknown setting '%.*s'%s", SLICE_ARG(name),
                     n.best.data != NULL ? nearest_hint(&n) : "; SHOW PROPERTIES lists those there are");
}

/* What ALTER SYSTEM has set; absent: nothing. */
static slice system_value(const weir_session *s, slice canonical)
{
    uint32_t count;
    const system_setting *const *all = catalog_settings(s->weir->catalog, &count);

    for (uint32_t i = 0; i < count; i++) {
        if (slice_equal(setting_canonical(all[i]->name), canonical)) return all[i]->value;
    }
    return NO_SLICE;
}

slice setting_value(const weir_session *s, const char *name)
{
    slice canonical = setting_canonical(slice_of(name));
    const setting *found = canonical.data == NULL ? NULL : find(s, canonical);

    if (found != NULL) return found->value;
    slice of_system = system_value(s, canonical);
    if (of_system.data != NULL) return of_system;
    for (uint32_t i = 0; i < setting_count(); i++) {
        if (slice_is(canonical, SETTINGS[i].name)) return slice_of(SETTINGS[i].value);
    }
    return NO_SLICE;
}

static slice copy(slice from)
{
    char *memory = malloc(from.len + 1);

    if (memory == NULL) abort();
    memcpy(memory, from.data, from.len);
    memory[from.len] = '\0';
    return (slice){ memory, from.len };
}

void setting_put(weir_session *s, slice name, slice value)
{
    setting *found = find(s, name);

    if (found == NULL && value.data == NULL) return;
    if (found == NULL) {
        if (s->setting_count == s->setting_room) {
            s->setting_room = s->setting_room == 0 ? 8 : s->setting_room * 2;
            s->settings = realloc(s->settings, s->setting_room * sizeof *s->settings);
            if (s->settings == NULL) abort();
        }
        found = &s->settings[s->setting_count++];
        *found = (setting){ name, NO_SLICE }; /* the canonical name is static */
    }
    free((char *)found->value.data);
    found->value = NO_SLICE;
    if (value.data != NULL) {
        found->value = copy(value);
    } else {
        *found = s->settings[--s->setting_count];
    }
}
