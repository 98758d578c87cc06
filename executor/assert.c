/* executor/assert.c - ASSERT: waits until what is said is so, or the time given is over. */
#include "executor/weir.h"

#include "core/number.h"
#include "core/thread.h"
#include "storage/registry.h"


#define LOOK_AGAIN_MS 20

/* TIMEOUT, or else the setting. */
static int64_t timeout_of(const weir_session *s, int64_t given_ms, const char *setting)
{
    int64_t ms;

    if (given_ms != NO_DURATION) return given_ms;
    pthread_mutex_lock(&s->weir->lock);
    bool is_number = parse_i64(setting_value(s, setting), &ms) == NUMBER_FITS;
    pthread_mutex_unlock(&s->weir->lock);
    return is_number && ms >= 0 ? ms : 0;
}

static weir_rc look_for_topic(weir_session *s, const statement *what, arena *a, weir_error *err)
{
    weir *w = s->weir;
    topic_info info = { 0 };
    bool found = false;

    pthread_mutex_lock(&w->lock);
    weir_rc rc = topic_find(w->storage, what->assert_topic.topic, &info, &found, err);
    pthread_mutex_unlock(&w->lock);
    if (rc != WEIR_OK) return rc;
    return check_asserted_topic(what, found ? info.partitions : 0, info.replicas, a, err);
}

/* Whether a version of the subject is the schema of that id. */
static weir_rc has_version(registry *r, slice subject, int32_t latest, int64_t id, bool *found, weir_error *err)
{
    for (int32_t version = latest; version > 0 && !*found; version--) {
        const registered_schema *one;
        WEIR_TRY(registry_version(r, subject, version, &one, err));
        *found = one != NULL && one->id == id;
    }
    return WEIR_OK;
}

static weir_rc look_for_schema(weir_session *s, const statement *what, arena *a, weir_error *err)
{
    registry *r = s->weir->registry;
    slice subject = what->assert_schema.subject;
    bool has_subject = subject.data != NULL, has_id = what->assert_schema.has_id, found;
    const registered_schema *there;

    (void)a;
    if (!has_subject && !has_id) return weir_fail(err, WEIR_SEMANTIC, what->at, "ASSERT SCHEMA needs a SUBJECT, an ID or both");
    if (r == NULL) return weir_fail(err, WEIR_SEMANTIC, what->at, "there is no schema registry: -X schema.registry.url=... names one");
    if (has_subject) WEIR_TRY(registry_version(r, subject, 0, &there, err));
    else WEIR_TRY(registry_by_id(r, (int32_t)what->assert_schema.id, &there, err));
    found = there != NULL;
    if (found && has_subject && has_id) {
        found = false;
        WEIR_TRY(has_version(r, subject, there->version, what->assert_schema.id, &found, err));
    }
    if (found != what->assert_schema.not_exists) return WEIR_OK;
    text shown = TEXT_EMPTY;
    if (has_subject) text_printf(&shown, " under the subject %.*s", SLICE_ARG(subject));
    if (has_id) text_printf(&shown, " of id %lld", (long long)what->assert_schema.id);
    weir_rc rc = weir_fail(err, WEIR_SEMANTIC, what->at, "there is %s schema%s", found ? "a" : "no", shown.data);
    text_free(&shown);
    return rc;
}

typedef weir_rc (*look_function)(weir_session *s, const statement *what, arena *a, weir_error *err);

static weir_rc await(weir_session *s, const statement *what, look_function look, int64_t timeout_ms, arena *a, weir_error *err)
{
    int64_t until_ns = clock_monotonic_ns() + timeout_ms * 1000000;

    for (;;) {
        weir_rc rc = look(s, what, a, err);
        bool is_over = clock_monotonic_ns() >= until_ns || atomic_load(&s->cancelled);
        if (rc != WEIR_SEMANTIC || is_over) return rc;
        thread_sleep_ms(LOOK_AGAIN_MS);
    }
}

static weir_rc assert_source(weir_session *s, const statement *what, arena *a, weir_error *err)
{
    planner_env env;

    pthread_mutex_lock(&s->weir->lock);
    weir_rc rc = catalog_refresh(s->weir, err);
    if (rc == WEIR_OK) {
        planner_env_of(s, &env);
        rc = check_asserted_source(&env, what, a, err);
    }
    pthread_mutex_unlock(&s->weir->lock);
    return rc;
}

weir_rc assert_statement(weir_session *s, const statement *what, arena *a, weir_result **out, weir_error *err)
{
    bool not_exists = what->kind == STATEMENT_ASSERT_TOPIC ? what->assert_topic.not_exists
                      : what->kind == STATEMENT_ASSERT_SCHEMA && what->assert_schema.not_exists;
    const char *word = not_exists ? "does not exist" : "exists";

    switch (what->kind) {
    case STATEMENT_ASSERT_TOPIC:
        WEIR_TRY(await(s, what, look_for_topic, timeout_of(s, what->assert_topic.timeout_ms, "ksql.assert.topic.default.timeout.ms"), a,
                       err));
        *out = result_message("assert_topic", "Topic %.*s %s", SLICE_ARG(what->assert_topic.topic), word);
        return WEIR_OK;
    case STATEMENT_ASSERT_SCHEMA:
        WEIR_TRY(await(s, what, look_for_schema, timeout_of(s, what->assert_schema.timeout_ms, "ksql.assert.schema.default.timeout.ms"),
                       a, err));
        *out = result_message("assert_schema", "The schema %s", word);
        return WEIR_OK;
    case STATEMENT_ASSERT_SOURCE:
        WEIR_TRY(assert_source(s, what, a, err));
        *out = result_message("currentStatus", "%.*s is as asserted", SLICE_ARG(what->create.name.name));
        return WEIR_OK;
    default:
        return weir_fail(err, WEIR_SEMANTIC, what->at,
                         "ASSERT %s is for ksqlDB's test runner; a scenario's expect section says what rows a topic has (weir test)",
                         what->kind == STATEMENT_ASSERT_VALUES ? "VALUES" : "NULL VALUES");
    }
}
