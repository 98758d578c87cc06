/* executor/settings.c - what SET knows: weir's own settings and those of ksqlDB that mean something here. */
#include "executor/weir.h"

#include <stdlib.h>

typedef struct known_setting {
    const char *name;    /* without "ksql.streams." */
    const char *value;   /* the default; NULL: none */
    const char *meaning;
} known_setting;

static const known_setting SETTINGS[] = {
    { "auto.offset.reset", NULL, "Where a query begins that has no position yet: earliest or latest. Not set: "
                                 "earliest, but for push queries that come over HTTP: latest" },
    { "commit.interval.ms", "100", "How long an epoch may last" },
    { "emit", "coalesced", "every-change: each update of a table is written, not only the last of an epoch" },
    { "ksql.functions.collect_list.limit", NULL, "The most elements COLLECT_LIST keeps" },
    { "ksql.functions.collect_set.limit", NULL, "The most elements COLLECT_SET keeps" },
    { "ksql.output.topic.name.prefix", "", "Put before the names of topics made for CREATE ... AS SELECT" },
    { "ksql.persistence.default.format.key", "KAFKA", "Key format where a statement names none" },
    { "ksql.persistence.default.format.value", NULL, "Value format where a statement names none" },
    { "ksql.persistence.wrap.single.values", NULL, "Whether a lone value column is wrapped in an object" },
    { "ksql.query.pull.table.scan.enabled", "true", "Pull queries may scan whole tables" },
    { "ksql.timestamp.throw.on.invalid", "false", "A record whose timestamp column is unreadable stops the query" },
    { "on.bad.record", "skip", "stop: the first record that cannot be read stops the query" },
    { "processing.guarantee", "exactly_once_v2", "or at_least_once" },
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

static slice without_prefix(slice name)
{
    static const char prefix[] = "ksql.streams.";
    size_t len = sizeof prefix - 1;

    return name.len > len && memcmp(name.data, prefix, len) == 0 ? (slice){ name.data + len, name.len - len } : name;
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

slice setting_value(const weir_session *s, const char *name)
{
    slice canonical = setting_canonical(slice_of(name));
    const setting *found = canonical.data == NULL ? NULL : find(s, canonical);

    if (found != NULL) return found->value;
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
