/* tests/runner/run.c - see run.h. The engine stands still while statements run: its clock is virtual and its queries
 * advance only here, one after another and one record at a time, as in the single-threaded reference. */
#include "tests/runner/run.h"

#include "core/hash.h"
#include "core/number.h"
#include "storage/storage.h"
#include "tests/runner/schemas.h"

#define DEFAULT_PARTITIONS 4
/* Where the wall clock stands: some day, since cases expect that from the functions that tell the date; no window or
 * join looks at it. */
#define CLOCK_MS 1000000000000
/* Ends a query that would feed itself for ever. */
#define ADVANCES_MAX 1000000

void run_fail(run *r, const weir_error *err, int64_t statement)
{
    if (r->has_failed) return;
    r->has_failed = true;
    r->error = *err;
    r->failed_statement = statement;
}

/* ---- topics ---- */

topic_note *find_topic(const run *r, slice name)
{
    for (uint32_t i = 0; i < r->topic_count; i++) {
        if (slice_equal(r->topics[i].name, name)) return &r->topics[i];
    }
    return NULL;
}

static topic_note *need_note(run *r, slice name)
{
    topic_note *there = find_topic(r, name);

    if (there != NULL) return there;
    if (r->topic_count == r->topic_room) {
        topic_note *larger = ARENA_ARRAY(r->arena, topic_note, r->topic_room * 2 + 8);
        if (r->topic_count > 0) memcpy(larger, r->topics, r->topic_count * sizeof *larger);
        r->topics = larger;
        r->topic_room = r->topic_room * 2 + 8;
    }
    r->topics[r->topic_count] = (topic_note){ .name = arena_copy(r->arena, name) };
    return &r->topics[r->topic_count++];
}

static void declare(run *r, slice name, int64_t partitions, int64_t replicas)
{
    weir_error err;

    if (name.data == NULL || find_topic(r, name) != NULL) return;
    topic_note *t = need_note(r, name);
    t->partitions = (int32_t)partitions;
    t->replicas = (int32_t)replicas;
    if (weir_declare_topic(r->weir, name, t->partitions, t->replicas, &err) != WEIR_OK) run_fail(r, &err, -1);
}

static int64_t number_of(const expr *e, int64_t otherwise)
{
    int64_t number;

    if (e->kind == EXPR_INTEGER || e->kind == EXPR_BIGINT) return e->integer;
    return e->kind == EXPR_STRING && parse_i64(e->string, &number) == NUMBER_FITS ? number : otherwise;
}

/* The topic of a CREATE that declares columns. */
static void declare_of_statement(run *r, const statement *s)
{
    slice topic = s->create.name.name;
    int64_t partitions = DEFAULT_PARTITIONS, replicas = 1;

    for (uint32_t i = 0; i < s->create.with.count; i++) {
        const with_property *p = &s->create.with.items[i];
        if (slice_is(p->name, "KAFKA_TOPIC") && p->value->kind == EXPR_STRING) topic = p->value->string;
        if (slice_is(p->name, "PARTITIONS")) partitions = number_of(p->value, partitions);
        if (slice_is(p->name, "REPLICAS")) replicas = number_of(p->value, replicas);
    }
    declare(r, topic, partitions, replicas);
}

/* What a CREATE asks of its topic: one that is there already, with another count, is no error in the reference. */
static int64_t asked_partitions(const run *r, slice topic, int64_t otherwise)
{
    statements all;
    weir_error err;

    if (parse_script(r->arena, r->sql, NULL, &all, &err) != WEIR_OK) return otherwise;
    for (uint32_t i = 0; i < all.count; i++) {
        const statement *s = all.items[i];
        slice named = NO_SLICE;
        int64_t asked = otherwise;
        if (s->kind != STATEMENT_CREATE_SOURCE) continue;
        for (uint32_t k = 0; k < s->create.with.count; k++) {
            const with_property *p = &s->create.with.items[k];
            if (slice_is(p->name, "KAFKA_TOPIC") && p->value->kind == EXPR_STRING) named = p->value->string;
            if (slice_is(p->name, "PARTITIONS")) asked = number_of(p->value, otherwise);
        }
        if (slice_equal(named, topic)) return asked;
    }
    return otherwise;
}

static bool brings_schema(const node *topics, slice topic, const char *member)
{
    for (uint32_t i = 0; topics != NULL && i < topics->count; i++) {
        if (slice_equal(node_member_text(&topics->items[i], "name"), topic) && node_member(&topics->items[i], member) != NULL) return true;
    }
    return false;
}

/* Sides with declared columns whose formats keep schemas. */
static uint32_t schemas_of_statement(const run *r, const statement *s)
{
    const node *topics = node_member(r->data, "topics");
    slice topic = s->create.name.name, key = SLICE("KAFKA"), body = NO_SLICE;
    bool has_key = false, has_value = false, found;

    for (uint32_t i = 0; i < s->create.with.count; i++) {
        const with_property *p = &s->create.with.items[i];
        if (p->value->kind != EXPR_STRING) continue;
        if (slice_is(p->name, "KAFKA_TOPIC")) topic = p->value->string;
        if (slice_is(p->name, "KEY_FORMAT") || slice_is(p->name, "FORMAT")) key = p->value->string;
        if (slice_is(p->name, "VALUE_FORMAT") || slice_is(p->name, "FORMAT")) body = p->value->string;
    }
    for (uint32_t i = 0; i < s->create.columns.count; i++) {
        column_role role = s->create.columns.items[i].role;
        has_key |= role == COLUMN_KEY || role == COLUMN_PRIMARY_KEY;
        has_value |= role == COLUMN_VALUE;
    }
    has_key = has_key && (format_traits_of(key, &found) & FORMAT_SCHEMAS) && !brings_schema(topics, topic, "keySchema");
    has_value = has_value && (format_traits_of(body, &found) & FORMAT_SCHEMAS) && !brings_schema(topics, topic, "valueSchema");
    return (uint32_t)has_key + (uint32_t)has_value;
}

/* A script that does not parse declares nothing: the engine will say why. */
static uint32_t declare_of_statements(run *r)
{
    uint32_t schemas = 0;
    statements all;
    weir_error err;

    if (parse_script(r->arena, r->sql, NULL, &all, &err) != WEIR_OK) return 0;
    for (uint32_t i = 0; i < all.count; i++) {
        const statement *s = all.items[i];
        if (s->kind != STATEMENT_CREATE_SOURCE || s->create.columns.count == 0) continue;
        schemas += schemas_of_statement(r, s);
        declare_of_statement(r, s);
    }
    return schemas;
}

static void declare_topics(run *r)
{
    static const char *const lists[] = { "inputs", "outputs" };
    const node *topics = node_member(r->data, "topics");

    for (uint32_t i = 0; topics != NULL && i < topics->count; i++) {
        const node *t = &topics->items[i];
        int64_t partitions = asked_partitions(r, node_member_text(t, "name"), node_member_i64(t, "partitions", 1));
        declare(r, node_member_text(t, "name"), partitions, node_member_i64(t, "replicas", 1));
    }
    uint32_t declared = declare_of_statements(r);
    register_topics(r->weir->registry, topics, declared, r->arena);
    for (size_t k = 0; k < 2; k++) {
        const node *records = node_member(r->data, lists[k]);
        for (uint32_t i = 0; records != NULL && i < records->count; i++) {
            declare(r, node_member_text(&records->items[i], "topic"), DEFAULT_PARTITIONS, 1);
        }
    }
}

/* What the catalog says now of the topics; a topic whose source has been dropped keeps what was known. */
void run_note_sources(run *r)
{
    uint32_t count;
    const source *const *sources = catalog_sources(r->weir->catalog, &count);

    for (uint32_t i = count; i-- > 0;) { /* so that the first is the last to be noted */
        topic_note *t = need_note(r, sources[i]->topic);
        if (t->partitions == 0) t->partitions = sources[i]->partitions;
        if (t->replicas == 0) t->replicas = sources[i]->replicas;
        sides_of(sources[i], r->arena, &t->key, &t->value);
        t->has_sides = true;
    }
}

/* ---- statements ---- */

static void join_statements(run *r, uint32_t count)
{
    const node *list = node_member(r->data, "statements");
    text joined = TEXT_EMPTY;
    uint32_t line = 1;

    r->statement_count = list == NULL ? 0 : list->count;
    r->first_line = ARENA_ARRAY(r->arena, uint32_t, r->statement_count + 1);
    for (uint32_t i = 0; i < r->statement_count; i++) {
        slice sql = node_text(&list->items[i]);
        r->first_line[i] = line++;
        for (size_t k = 0; k < sql.len; k++) line += sql.data[k] == '\n';
        if (i > 0 && i < count) text_add_char(&joined, '\n');
        if (i < count) text_add(&joined, sql);
    }
    r->sql = arena_copy(r->arena, text_slice(&joined));
    text_free(&joined);
}

int64_t run_statement_at(const run *r, uint32_t line)
{
    int64_t found = -1;

    for (uint32_t i = 0; line > 0 && i < r->statement_count && r->first_line[i] <= line; i++) found = i;
    return found;
}

static void note_queries(run *r, int64_t statement)
{
    for (uint32_t i = 0; i < r->weir->query_count; i++) {
        slice id = query_id(r->weir->queries[i]);
        bool is_known = false;
        for (uint32_t k = 0; k < r->origin_count; k++) is_known |= slice_equal(r->origins[k].query, id);
        if (is_known) continue;
        query_origin *larger = ARENA_ARRAY(r->arena, query_origin, r->origin_count + 1);
        if (r->origin_count > 0) memcpy(larger, r->origins, r->origin_count * sizeof *larger);
        larger[r->origin_count++] = (query_origin){ arena_copy(r->arena, id), statement };
        r->origins = larger;
    }
}

/* Which entry of the case each statement of the script stands in: where all parse, by their places. */
static void run_script(run *r)
{
    weir_script *script = weir_script_open(r->session, r->sql);
    weir_result *result;
    weir_error err;
    statements all;
    bool parses = parse_script(r->arena, r->sql, NULL, &all, &err) == WEIR_OK;

    for (uint32_t done = 0;; done++) {
        int64_t at = parses && done < all.count ? run_statement_at(r, all.items[done]->at.line) : -1;
        weir_rc rc = weir_script_next(script, &result, &err);
        if (rc != WEIR_OK) {
            run_fail(r, &err, at >= 0 ? at : run_statement_at(r, err.at.line));
            break;
        }
        if (result == NULL) break;
        weir_result_close(result);
        run_note_sources(r);
        note_queries(r, at);
    }
    weir_script_close(script);
}

static void set_properties(run *r)
{
    const node *properties = node_member(r->data, "properties");
    weir_error err;

    /* Both are there; nothing else is set before. */
    if (weir_session_set(r->session, SLICE("emit"), SLICE("every-change"), &err) != WEIR_OK ||
        weir_session_set(r->session, SLICE("auto.offset.reset"), SLICE("earliest"), &err) != WEIR_OK) {
        run_fail(r, &err, -1);
    }
    for (uint32_t i = 0; properties != NULL && i < properties->count; i++) {
        /* What the engine does not know tunes Kafka Streams, or the judge. */
        if (setting_canonical(properties->names[i]).data == NULL) continue;
        if (weir_session_set(r->session, properties->names[i], node_text(&properties->items[i]), &err) != WEIR_OK) {
            run_fail(r, &err, -1);
        }
    }
}

/* ---- inputs ---- */

static header_list headers_of(run *r, const node *list)
{
    header *items = ARENA_ZEROS(r->arena, header, list == NULL ? 1 : list->count);

    for (uint32_t i = 0; list != NULL && i < list->count; i++) {
        slice encoded = node_member_text(&list->items[i], "VALUE");
        items[i].key = node_member_text(&list->items[i], "KEY");
        if (encoded.data == NULL) continue;
        char *decoded = arena_alloc(r->arena, base64_decoded_max(encoded.len));
        size_t len = 0;
        if (base64_decode(encoded, decoded, &len)) items[i].value = (slice){ decoded, len };
    }
    return (header_list){ items, list == NULL ? 0 : list->count };
}

/* Topics no statement reads get their records as text: nobody will look at them. */
static bool encode_side(run *r, const topic_note *t, const side *s, const node *from, slice *out)
{
    weir_error err;

    if (!t->has_sides) {
        *out = node_text(from);
        return true;
    }
    if (side_encode(s, from, r->arena, out)) return true;
    weir_fail(&err, WEIR_UNSUPPORTED, NOWHERE, "the case runner cannot write %.*s yet", SLICE_ARG(s->spec.name));
    run_fail(r, &err, -1);
    return false;
}

static void feed(run *r, const node *from)
{
    topic_note *t = find_topic(r, node_member_text(from, "topic"));
    const node *window = node_member(from, "window");
    record one = { .timestamp_ms = node_member_i64(from, "timestamp", 0),
                   .headers = headers_of(r, node_member(from, "headers")) };
    int32_t partition = 0;
    int64_t offset;
    weir_error err;

    if (!encode_side(r, t, &t->key, node_member(from, "key"), &one.key)) return;
    if (!encode_side(r, t, &t->value, node_member(from, "value"), &one.value)) return;
    if (window != NULL) {
        window_kind kind = slice_is(node_member_text(window, "type"), "session") ? WINDOW_SESSION : WINDOW_TUMBLING;
        one.key = windowed_key_encode(r->arena, one.key, kind, node_member_i64(window, "start", 0),
                                      node_member_i64(window, "end", 0));
    }
    if (r->is_rest && one.key.data != NULL) partition = partition_for_key(one.key, t->partitions);
    if (topic_append(r->weir->storage, t->name, &one, &partition, 1, &offset, &err) != WEIR_OK) {
        run_fail(r, &err, -1);
        return;
    }
    r->inputs[r->input_count++] = (input){ t->name, offset };
    t->fed[t->fed_count++] = (place){ partition, offset };
}

void run_feed(run *r)
{
    const node *records = node_member(r->data, "inputs");
    uint32_t count = records == NULL ? 0 : records->count;

    r->inputs = ARENA_ARRAY(r->arena, input, count + 1);
    for (uint32_t i = 0; i < r->topic_count; i++) r->topics[i].fed = ARENA_ARRAY(r->arena, place, count + 1);
    for (uint32_t i = 0; !r->has_failed && i < count; i++) feed(r, &records->items[i]);
}

/* ---- queries ---- */

static int64_t origin_of(const run *r, const query *q)
{
    for (uint32_t i = 0; i < r->origin_count; i++) {
        if (slice_equal(r->origins[i].query, query_id(q))) return r->origins[i].statement;
    }
    return -1;
}

/* Until two polls in a row bring nothing: the first one of a query only hands out partitions. */
static void advance(run *r, query *q)
{
    uint32_t idle = 0;
    weir_error err;

    for (uint32_t i = 0; !r->has_failed && idle < 2; i++) {
        bool progressed = false;
        weir_rc rc = query_advance(q, &progressed, &err);
        if (rc == WEIR_OK && i == ADVANCES_MAX) {
            rc = weir_fail(&err, WEIR_INTERNAL, NOWHERE, "query %.*s does not come to rest", SLICE_ARG(query_id(q)));
        }
        if (rc != WEIR_OK) run_fail(r, &err, origin_of(r, q));
        idle = progressed ? 0 : idle + 1;
    }
}

static bool reads(const query *q, slice topic)
{
    const plan *p = query_plan(q);

    for (uint32_t i = 0; i < p->step_count; i++) {
        if (p->steps[i].kind == STEP_SOURCE && slice_equal(p->steps[i].source.topic, topic)) return true;
    }
    return false;
}

static void run_query(run *r, query *q)
{
    const plan *p = query_plan(q);

    query_limit_source(q, NO_SLICE, 0); /* from here on nothing is read but what is asked for */
    for (uint32_t i = 0; !r->has_failed && i < r->input_count; i++) {
        if (!reads(q, r->inputs[i].topic)) continue;
        query_limit_source(q, r->inputs[i].topic, r->inputs[i].offset + 1);
        advance(r, q);
    }
    for (uint32_t i = 0; i < p->step_count; i++) {
        if (p->steps[i].kind == STEP_SOURCE) query_limit_source(q, p->steps[i].source.topic, INT64_MAX);
    }
    advance(r, q);
}

/* ---- the whole ---- */

static bool open_engine(run *r)
{
    const weir_options options = { .is_temporary = true, .is_deterministic = true, .single_partition = !r->is_rest,
                                   .batch_rows = 1, .threads = 1, .clock = { .is_virtual = true, .now_ms = CLOCK_MS } };
    int64_t owner;
    weir_error err;

    if (weir_open(&r->weir, &options, &err) == WEIR_OK && weir_session_open(&r->session, r->weir) == WEIR_OK &&
        weir_start(r->weir, &owner, &err) == WEIR_OK) return true;
    run_fail(r, &err, -1);
    return false;
}

run *run_open(const node *data, uint32_t count, bool is_rest)
{
    arena *a = arena_new(0);
    run *r = ARENA_NEW(a, run);

    r->arena = a;
    r->data = data;
    r->failed_statement = -1;
    r->is_rest = is_rest;
    join_statements(r, count);
    if (!open_engine(r)) return r;
    set_properties(r);
    declare_topics(r);
    return r;
}

void run_queries(run *r)
{
    for (uint32_t i = 0; !r->has_failed && i < r->weir->query_count; i++) {
        if (r->is_rest) advance(r, r->weir->queries[i]);
        else run_query(r, r->weir->queries[i]);
    }
}

run *run_case(const node *data)
{
    run *r = run_open(data, UINT32_MAX, false);

    if (!r->has_failed) run_script(r);
    if (!r->has_failed) run_feed(r);
    run_queries(r);
    return r;
}

void run_close(run *r)
{
    weir_session_close(r->session);
    weir_close(r->weir);
    text_free(&r->responses);
    arena_free(r->arena);
}
