/* executor/query.c - see query.h. Workers share nothing but the query's progress, under its lock. */
#include "executor/query.h"

#include "core/number.h"
#include "core/thread.h"
#include "executor/bad_log.h"
#include "executor/commit.h"
#include "executor/merge.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* What was told last of a worker's troubles; under the query's lock. */
typedef struct told {
    weir_rc trouble; /* WEIR_OK: none */
    int64_t told_ms, met_ms;
    uint64_t epochs; /* of the worker, when it was met */
} told;

typedef struct worker {
    query *query;
    client *client;
    bad_log *log;
    task **tasks;
    uint32_t task_count, task_room;
    pthread_t thread;
    bool has_thread, is_ready;
    bool was_held;
    atomic_bool has_caught_up; /* all its tasks have, and what they did is committed */
    bool must_abort;        /* the last step failed: its epoch is abandoned before anything else */
    int32_t *assigned;      /* partitions whose tasks are still to be opened */
    uint32_t assigned_count;
    int64_t epoch_began_ms, committed_ms;
    uint64_t polls, polled_rows; /* of this epoch */
    bool is_behind;  /* every poll of this epoch came back full */
    int64_t commit_took_ms; /* the last */
    _Atomic int64_t commits_since_ms; /* 0: it is not committing */
    query_stats published; /* under the query's lock, as are the next three */
    op_stats *op_published; /* per step */
    task *const **readers;  /* per step: see task.h */
    int64_t looked_ms;      /* for exchanges that could be in memory */
    uint64_t marked_rows;   /* rows_in at marked_ms, from which its rate counts */
    int64_t marked_ms;
    uint64_t epochs;
    told told;
    int64_t topics_seen_ms;
    bool lacks_topic;
} worker;

/* What --until-end knows of one source. */
typedef struct source_target {
    int64_t *offset;  /* per partition */
    bool is_known;
    atomic_bool is_settled; /* nothing here writes the topic any more */
} source_target;

struct query {
    query_env env;
    arena *arena;
    query_entry entry;
    task_shared shared;
    client_source *sources;
    uint32_t source_count;
    bool *source_is_internal;
    int32_t *source_partitions;
    int64_t **position;         /* per source and partition, as committed; under the lock; -1: not known */
    slice *sinks;
    uint32_t sink_count;
    int32_t *stage_partitions;  /* per sub-topology */
    worker *workers;
    uint32_t worker_count;
    atomic_bool stopping, held, ended;
    pthread_mutex_t lock;
    query_state state;
    weir_error error;           /* of QUERY_FAILED, or the last retried */
    uint32_t ready_workers;
    uint32_t waiting_workers;   /* what they do fails, and is tried again */
    source_target *targets;     /* until_end */
    uint32_t *stage_done;       /* tasks of the sub-topology that reached their targets */
    bool regroups_in_memory;
    int64_t max_idle_ms;        /* of an input before its task goes on with the others */
    int64_t *limits;            /* deterministic: per source; NULL: none */
};

#define STATE_BUDGET_BYTES_MIN ((size_t)1 << 20)
#define STRETCHED_INTERVAL_MS 1000 /* of an epoch while behind */
#define KAFKA_IDLE_COMMIT_MS 10    /* a transaction is not worth less */
#define IDLE_POLL_MS 200
#define CATCH_UP_POLL_MS 10 /* while it waits for another query */
#define RETRY_MS_MAX 1000
#define RATE_MS 1000
#define TOPICS_MS 5000 /* between looks whether the topics that are read are still there */
#define LOOK_MS 1000 /* between looks for exchanges that could be in memory */

slice exchange_topic(arena *a, const storage *s, slice id, const step *exchange)
{
    slice prefix = storage_internal_prefix(s);

    return arena_printf(a, "%.*s%.*s-%.*s-%s", SLICE_ARG(prefix), SLICE_ARG(id), SLICE_ARG(exchange->exchange.name),
                        exchange->exchange.is_subscription ? "subscription" : "repartition");
}

/* ---- what it reads and writes ---- */

static uint32_t add_source(query *q, slice topic, start_at start, bool is_internal, bool wants_headers)
{
    for (uint32_t i = 0; i < q->source_count; i++) {
        if (!slice_equal(q->sources[i].topic, topic)) continue;
        q->sources[i].wants_headers |= wants_headers;
        return i;
    }
    q->sources[q->source_count] = (client_source){ topic, start, wants_headers };
    q->source_is_internal[q->source_count] = is_internal;
    return q->source_count++;
}

static uint32_t add_sink(query *q, slice topic)
{
    for (uint32_t i = 0; i < q->sink_count; i++) {
        if (slice_equal(q->sinks[i], topic)) return i;
    }
    q->sinks[q->sink_count] = topic;
    return q->sink_count++;
}

/* The sub-topology that reads an exchange. */
static uint32_t reader_of(const plan *p, uint32_t exchange)
{
    for (uint32_t i = exchange + 1; i < p->step_count; i++) {
        for (uint32_t k = 0; k < p->steps[i].input_count; k++) {
            if (p->steps[i].inputs[k] == exchange) return p->steps[i].subtopology;
        }
    }
    return 0;
}

static void find_topics(query *q)
{
    const plan *p = &q->entry.plan;
    uint32_t n = p->step_count;
    uint32_t *source_of = ARENA_ARRAY(q->arena, uint32_t, n), *sink_of = ARENA_ARRAY(q->arena, uint32_t, n);

    q->sources = ARENA_ARRAY(q->arena, client_source, n);
    q->source_is_internal = ARENA_ARRAY(q->arena, bool, n);
    q->sinks = ARENA_ARRAY(q->arena, slice, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        const step *s = &p->steps[i];
        source_of[i] = sink_of[i] = UINT32_MAX;
        if (s->kind == STEP_SOURCE) {
            source_of[i] = add_source(q, s->source.topic, p->latest ? START_LATEST : START_EARLIEST, false,
                                      s->source.reads_headers);
        } else if (s->kind == STEP_EXCHANGE) {
            slice topic = exchange_topic(q->arena, q->env.storage, q->entry.id, s);
            source_of[i] = add_source(q, topic, START_EARLIEST, true, false);
            sink_of[i] = add_sink(q, topic);
        } else if (s->kind == STEP_SINK) {
            sink_of[i] = add_sink(q, s->sink.topic);
        }
    }
    if (q->env.log_topic.data != NULL) add_sink(q, q->env.log_topic);
    q->shared.source_of_step = source_of;
    q->shared.sink_of_step = sink_of;
}

static weir_rc need_topic(query *q, slice name, topic_info *info, weir_error *err)
{
    bool found;

    WEIR_TRY(topic_find(q->env.storage, name, info, &found, err));
    if (found) return WEIR_OK;
    return weir_fail(err, WEIR_RUNTIME, NOWHERE, "query %.*s needs the topic %.*s, which does not exist: create it, or drop "
                     "the query", SLICE_ARG(q->entry.id), SLICE_ARG(name));
}

static weir_rc make_exchanges(query *q, weir_error *err)
{
    const plan *p = &q->entry.plan;

    for (uint32_t i = 0; i < p->step_count; i++) {
        const step *s = &p->steps[i];
        if (s->kind != STEP_EXCHANGE) continue;
        topic_info info;
        bool found;
        slice topic = q->sources[q->shared.source_of_step[i]].topic;
        WEIR_TRY(topic_find(q->env.storage, topic, &info, &found, err));
        if (found) continue;
        const topic_spec spec = { .name = topic, .partitions = q->env.single_partition ? 1 : s->exchange.partitions, .replicas = 1, .retention_ms = -1,
                                  .retention_bytes = -1, .is_internal = true };
        WEIR_TRY(topic_create(q->env.storage, &spec, err));
    }
    return WEIR_OK;
}

/* Partition counts: of sources, of sinks, of each sub-topology (the most of its sources). */
static weir_rc measure_topics(query *q, weir_error *err)
{
    const plan *p = &q->entry.plan;
    int32_t *sink_partitions = ARENA_ARRAY(q->arena, int32_t, q->sink_count);
    uint64_t *record_max = ARENA_ARRAY(q->arena, uint64_t, q->sink_count);
    int32_t *upstreams = ARENA_ZEROS(q->arena, int32_t, p->step_count);
    topic_info info;

    q->source_partitions = ARENA_ARRAY(q->arena, int32_t, q->source_count);
    q->stage_partitions = ARENA_ZEROS(q->arena, int32_t, p->subtopology_count + 1);
    for (uint32_t i = 0; i < q->source_count; i++) {
        WEIR_TRY(need_topic(q, q->sources[i].topic, &info, err));
        q->source_partitions[i] = info.partitions;
    }
    for (uint32_t i = 0; i < p->step_count; i++) {
        const step *s = &p->steps[i];
        if (s->kind != STEP_SOURCE && s->kind != STEP_EXCHANGE) continue;
        int32_t *most = &q->stage_partitions[s->kind == STEP_SOURCE ? s->subtopology : reader_of(p, i)];
        int32_t partitions = q->source_partitions[q->shared.source_of_step[i]];
        if (partitions > *most) *most = partitions;
    }
    for (uint32_t i = 0; i < q->sink_count; i++) {
        WEIR_TRY(need_topic(q, q->sinks[i], &info, err));
        sink_partitions[i] = info.partitions;
        WEIR_TRY(topic_record_bytes_max(q->env.storage, q->sinks[i], &record_max[i], err));
    }
    for (uint32_t i = 0; i < p->step_count; i++) {
        if (p->steps[i].kind == STEP_EXCHANGE) upstreams[i] = q->stage_partitions[p->steps[i].subtopology];
    }
    q->shared.sink_partitions = sink_partitions;
    q->shared.sink_record_bytes_max = record_max;
    q->shared.upstreams = upstreams;
    return WEIR_OK;
}

/* ---- until the end ---- */

static weir_rc learn_target(query *q, uint32_t source, weir_error *err)
{
    source_target *t = &q->targets[source];

    for (int32_t p = 0; p < q->source_partitions[source]; p++) {
        int64_t begin;
        WEIR_TRY(topic_offsets(q->env.storage, q->sources[source].topic, p, &begin, &t->offset[p], err));
    }
    t->is_known = true;
    return WEIR_OK;
}

/* Asked without the query's lock: those who go through the list of queries take each one's while they hold the list's. */
static void note_settled(query *q)
{
    for (uint32_t i = 0; i < q->source_count; i++) {
        if (q->source_is_internal[i] || atomic_load(&q->targets[i].is_settled)) continue;
        if (!q->env.topic_grows(q->env.self, q->entry.id, q->sources[i].topic)) atomic_store(&q->targets[i].is_settled, true);
    }
}

/* The stage that writes a repartition topic is complete when all its tasks are; then the topic's end is known. */
static weir_rc learn_targets(query *q, weir_error *err)
{
    const plan *p = &q->entry.plan;

    for (uint32_t i = 0; i < q->source_count; i++) {
        if (q->targets[i].is_known) continue;
        if (!q->source_is_internal[i]) {
            if (atomic_load(&q->targets[i].is_settled)) WEIR_TRY(learn_target(q, i, err));
            continue;
        }
        for (uint32_t k = 0; k < p->step_count; k++) {
            if (q->shared.sink_of_step[k] == UINT32_MAX || q->shared.source_of_step[k] != i) continue;
            uint32_t stage = p->steps[k].subtopology;
            if (q->stage_done[stage] == (uint32_t)q->stage_partitions[stage]) WEIR_TRY(learn_target(q, i, err));
        }
    }
    return WEIR_OK;
}

static bool reached(query *q, const task *t)
{
    for (uint32_t i = 0; i < t->input_count; i++) {
        const task_input *input = &t->inputs[i];
        const source_target *target = &q->targets[input->source];
        if (t->partition >= q->source_partitions[input->source]) continue;
        if (!target->is_known) return false;
        if (input->position < target->offset[t->partition]) return false;
    }
    return true;
}

/* Called with everything committed: counts tasks that have come to their end; ends the query with the last. */
static weir_rc check_ends(worker *w, weir_error *err)
{
    query *q = w->query;
    bool some_end = false, is_told = false;

    note_settled(q);
    pthread_mutex_lock(&q->lock);
    weir_rc rc = learn_targets(q, err);
    for (uint32_t i = 0; rc == WEIR_OK && i < w->task_count; i++) {
        task *t = w->tasks[i];
        if (t->is_done || !reached(q, t)) continue;
        some_end = true;
        /* Told of, and committed, before it counts: those downstream read up to there, and must not wait for it. */
        for (uint32_t k = 0; rc == WEIR_OK && k < t->input_count; k++) rc = task_idle(t, &t->inputs[k], err);
        is_told |= task_has_work(t);
    }
    pthread_mutex_unlock(&q->lock);
    if (rc != WEIR_OK || is_told) return rc;
    if (some_end) WEIR_TRY(client_settle(w->client, err)); /* what comes after reads up to the ends as they are then */

    pthread_mutex_lock(&q->lock);
    for (uint32_t i = 0; rc == WEIR_OK && i < w->task_count; i++) {
        task *t = w->tasks[i];
        if (t->is_done || !reached(q, t)) continue;
        t->is_done = true;
        q->stage_done[t->subtopology]++;
        rc = learn_targets(q, err);
    }
    bool all = rc == WEIR_OK;
    for (uint32_t s = 0; s < q->entry.plan.subtopology_count; s++) {
        all = all && q->stage_done[s] == (uint32_t)q->stage_partitions[s];
    }
    if (all && q->state == QUERY_AT_WORK) {
        q->state = QUERY_ENDED;
        atomic_store(&q->ended, true);
    }
    pthread_mutex_unlock(&q->lock);
    return rc;
}

/* ---- tasks of a worker ---- */

static task *find_task(worker *w, uint32_t stage, int32_t partition)
{
    for (uint32_t i = 0; i < w->task_count; i++) {
        if (w->tasks[i]->subtopology == stage && w->tasks[i]->partition == partition) return w->tasks[i];
    }
    return NULL;
}

/* A topic that several inputs read is handed out as it comes: its one position must do for all of them. */
static bool is_shared(const plan *p, const uint32_t *source_of_step, uint32_t source)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < p->step_count; i++) count += source_of_step[i] == source;
    return count > 1;
}

/* Several inputs are brought into order of time; the deterministic driver's order is that of arrival. */
static weir_rc open_merge(query *q, task *t, weir_error *err)
{
    int32_t *partitions = ARENA_ARRAY(t->plan_arena, int32_t, t->input_count);
    bool *is_direct = ARENA_ARRAY(t->plan_arena, bool, t->input_count);
    uint32_t waiting = 0;

    if (t->input_count < 2 || q->env.is_deterministic) return WEIR_OK;
    for (uint32_t i = 0; i < t->input_count; i++) {
        partitions[i] = q->source_partitions[t->inputs[i].source];
        is_direct[i] = is_shared(&q->entry.plan, q->shared.source_of_step, t->inputs[i].source);
        waiting += !is_direct[i];
    }
    return waiting < 2 ? WEIR_OK : merge_open(&t->merge, t, partitions, is_direct, q->max_idle_ms, err);
}

static weir_rc add_tasks(worker *w, int32_t partition, weir_error *err)
{
    query *q = w->query;

    for (uint32_t s = 0; s < q->entry.plan.subtopology_count; s++) {
        if (partition >= q->stage_partitions[s] || find_task(w, s, partition) != NULL) continue;
        if (w->task_count == w->task_room) {
            w->task_room = w->task_room == 0 ? 8 : w->task_room * 2;
            w->tasks = realloc(w->tasks, w->task_room * sizeof *w->tasks);
            if (w->tasks == NULL) abort();
        }
        task *t;
        WEIR_TRY(task_open(&t, &q->shared, s, partition, q->stage_partitions[s], w->client, w->client, w->log, err));
        weir_rc rc = open_merge(q, t, err);
        if (rc != WEIR_OK) {
            task_close(t);
            return rc;
        }
        t->readers = (task *const *const *)w->readers;
        w->tasks[w->task_count++] = t;
        for (uint32_t i = 0; i < t->input_count; i++) {
            if (partition >= q->source_partitions[t->inputs[i].source]) {
                t->inputs[i].is_idle = true;
                continue;
            }
            WEIR_TRY(client_position(w->client, t->inputs[i].source, partition, &t->inputs[i].position, err));
        }
    }
    return WEIR_OK;
}

/* ---- exchanges within a worker ---- */

/* Whether all that is in a repartition topic has been read. */
static weir_rc is_drained(worker *w, uint32_t stage, uint32_t source, bool *drained, weir_error *err)
{
    query *q = w->query;

    *drained = true;
    for (int32_t p = 0; p < q->source_partitions[source] && *drained; p++) {
        int64_t begin, end;
        WEIR_TRY(topic_offsets(q->env.storage, q->sources[source].topic, p, &begin, &end, err));
        *drained = task_input_of(find_task(w, stage, p), source)->position >= end;
    }
    return WEIR_OK;
}

/* A worker that has all tasks of the query to itself commits them together, so that what they exchange need not be stored:
 * it goes from task to task in memory. Not to one that holds rows back for another input (see merge.h): its positions are
 * those of a topic. Called between epochs: what is in the topic is read before anything passes it by. */
static weir_rc find_readers(worker *w, weir_error *err)
{
    query *q = w->query;
    const plan *p = &q->entry.plan;
    uint32_t all = 0;

    for (uint32_t s = 0; s < p->subtopology_count; s++) all += (uint32_t)q->stage_partitions[s];
    w->looked_ms = clock_monotonic_ms(q->env.clock);
    if (!q->regroups_in_memory || q->env.is_deterministic || w->task_count != all) return WEIR_OK;
    for (uint32_t i = 0; i < p->step_count; i++) {
        uint32_t stage = reader_of(p, i), source = q->shared.source_of_step[i];
        bool drained;
        if (p->steps[i].kind != STEP_EXCHANGE || w->readers[i] != NULL || stage <= p->steps[i].subtopology) continue;
        if (find_task(w, stage, 0)->merge != NULL) continue;
        WEIR_TRY(is_drained(w, stage, source, &drained, err));
        if (!drained) continue;
        task **readers = ARENA_ARRAY(find_task(w, stage, 0)->plan_arena, task *, q->source_partitions[source]);
        for (int32_t partition = 0; partition < q->source_partitions[source]; partition++) {
            readers[partition] = find_task(w, stage, partition);
        }
        w->readers[i] = readers;
    }
    return WEIR_OK;
}

/* Not all tasks are this worker's any longer. */
static void forget_readers(worker *w)
{
    memset(w->readers, 0, sizeof *w->readers * w->query->entry.plan.step_count);
}

/* The tasks of all partitions assigned; those it could not open are tried again in the next step. */
static weir_rc open_assigned(worker *w, weir_error *err)
{
    query *q = w->query;

    for (uint32_t i = 0; i < w->assigned_count; i++) WEIR_TRY(add_tasks(w, w->assigned[i], err));
    w->assigned_count = 0;
    WEIR_TRY(find_readers(w, err));
    pthread_mutex_lock(&q->lock);
    if (!w->is_ready) q->ready_workers++;
    w->is_ready = true;
    if (q->ready_workers == q->worker_count && q->state == QUERY_STARTING) q->state = QUERY_AT_WORK;
    pthread_mutex_unlock(&q->lock);
    return WEIR_OK;
}

static weir_rc take_assignment(worker *w, const fetch *f, weir_error *err)
{
    w->assigned = realloc(w->assigned, (f->partition_count + 1) * sizeof *w->assigned);
    if (w->assigned == NULL) abort();
    if (f->partition_count > 0) memcpy(w->assigned, f->partitions, f->partition_count * sizeof *w->assigned);
    w->assigned_count = f->partition_count;
    return open_assigned(w, err);
}

static void drop_tasks(worker *w, int32_t partition)
{
    query *q = w->query;
    uint32_t kept = 0;

    forget_readers(w);
    for (uint32_t i = 0; i < w->task_count; i++) {
        if (partition < 0 || w->tasks[i]->partition == partition) {
            pthread_mutex_lock(&q->lock);
            if (w->tasks[i]->is_done) q->stage_done[w->tasks[i]->subtopology]--; /* whoever gets it counts it again */
            pthread_mutex_unlock(&q->lock);
            task_close(w->tasks[i]);
        } else {
            w->tasks[kept++] = w->tasks[i];
        }
    }
    w->task_count = kept;
}

/* ---- a worker's step ---- */

/* A rate is measured over a second at least; and goes down while nothing is published. */
static double rate_now(const worker *w, int64_t now_ms)
{
    int64_t passed_ms = now_ms - w->marked_ms;

    if (passed_ms <= 0 || (passed_ms < 2 * RATE_MS && w->published.rows_per_s > 0)) return w->published.rows_per_s;
    return (double)(w->published.counts.rows_in - w->marked_rows) * 1000.0 / (double)passed_ms;
}

static void publish(worker *w)
{
    query *q = w->query;
    query_stats all = { .epochs = w->epochs };
    int64_t now_ms = clock_monotonic_ms(q->env.clock);

    for (uint32_t i = 0; i < w->task_count; i++) {
        const task *t = w->tasks[i];
        if (t->inputs[0].step->kind == STEP_SOURCE) all.counts.rows_in += t->counts.rows_in;
        all.counts.rows_out += t->counts.rows_out;
        all.counts.bad_rows += t->counts.bad_rows;
        all.counts.late_rows += t->counts.late_rows;
        all.state_bytes += task_state_bytes(t);
    }
    snprintf(all.last_bad, sizeof all.last_bad, "%s", bad_log_last(w->log));
    pthread_mutex_lock(&q->lock);
    all.rows_per_s = w->published.rows_per_s;
    if (all.counts.rows_in < w->marked_rows) w->marked_ms = 0; /* tasks went elsewhere */
    if (w->marked_ms == 0 || now_ms - w->marked_ms >= RATE_MS) {
        if (w->marked_ms != 0) all.rows_per_s = (double)(all.counts.rows_in - w->marked_rows) * 1000.0 / (double)(now_ms - w->marked_ms);
        w->marked_ms = now_ms;
        w->marked_rows = all.counts.rows_in;
    }
    w->published = all;
    memset(w->op_published, 0, sizeof *w->op_published * q->entry.plan.step_count);
    for (uint32_t i = 0; i < w->task_count; i++) {
        const task *t = w->tasks[i];
        task_add_stats(t, w->op_published);
        for (uint32_t k = 0; k < t->input_count; k++) {
            uint32_t source = t->inputs[k].source;
            if (t->partition < q->source_partitions[source]) q->position[source][t->partition] = t->inputs[k].position;
        }
    }
    pthread_mutex_unlock(&q->lock);
}

/* Once they have all been at their ends, readers of what they write may take an end for an end. */
static weir_rc note_caught_up(worker *w, weir_error *err)
{
    bool all = w->is_ready;

    for (uint32_t i = 0; i < w->task_count; i++) all = all && w->tasks[i]->has_caught_up;
    if (all && !atomic_load(&w->has_caught_up)) WEIR_TRY(client_settle(w->client, err));
    atomic_store(&w->has_caught_up, all);
    return WEIR_OK;
}

static weir_rc commit_worker(worker *w, weir_error *err)
{
    int64_t began_ms = clock_monotonic_ms(w->query->env.clock);

    atomic_store(&w->commits_since_ms, began_ms);
    weir_rc rc = commit_tasks(w->client, w->tasks, w->task_count, w->log, err);
    atomic_store(&w->commits_since_ms, 0);
    if (rc != WEIR_OK) return rc;
    WEIR_TRY(note_caught_up(w, err));
    w->committed_ms = clock_monotonic_ms(w->query->env.clock);
    w->commit_took_ms = w->committed_ms - began_ms;
    w->epoch_began_ms = 0;
    w->is_behind = true;
    w->polls = w->polled_rows = 0;
    w->epochs++;
    publish(w);
    return WEIR_OK;
}

static weir_rc push_records(task *t, const fetch *f, weir_error *err)
{
    for (uint32_t i = 0; i < t->input_count; i++) {
        task_input *input = &t->inputs[i];
        if (input->source != f->source) continue;
        input->is_waiting = false;
        if (merge_takes(t->merge, input)) {
            WEIR_TRY(merge_add(t->merge, input, f, err));
        } else {
            WEIR_TRY(task_push(t, input, f, err));
            input->position = f->next_offset;
        }
    }
    return WEIR_OK;
}

/* A topic that feeds both sides of a join: each record passes one, then the other, before the next. */
static weir_rc push_one_by_one(task *t, const fetch *f, weir_error *err)
{
    for (uint32_t r = 0; r < f->rows; r++) {
        fetch one = *f;
        one.rows = 1;
        one.key += r;
        one.value += r;
        one.timestamp_ms += r;
        one.offset += r;
        if (one.headers != NULL) one.headers += r;
        if (r + 1 < f->rows) one.next_offset = f->offset[r + 1];
        WEIR_TRY(push_records(t, &one, err));
    }
    return WEIR_OK;
}

static uint32_t inputs_from(const task *t, uint32_t source)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < t->input_count; i++) count += t->inputs[i].source == source;
    return count;
}

static weir_rc take_records(worker *w, const fetch *f, weir_error *err)
{
    for (uint32_t i = 0; i < w->task_count; i++) {
        task *t = w->tasks[i];
        uint32_t inputs = t->partition == f->partition ? inputs_from(t, f->source) : 0;
        if (inputs > 0) WEIR_TRY(inputs > 1 && f->rows > 1 ? push_one_by_one(t, f, err) : push_records(t, f, err));
    }
    return WEIR_OK;
}

static weir_rc end_input(task *t, task_input *input, int64_t end_offset, weir_error *err)
{
    input->is_waiting = false;
    if (merge_takes(t->merge, input)) {
        merge_end(t->merge, input, t->partition, end_offset);
        return WEIR_OK;
    }
    if (end_offset > input->position) input->position = end_offset;
    if (input->next_offset >= 0 && end_offset > input->next_offset) input->next_offset = end_offset;
    return task_idle(t, input, err);
}

/* The end of a topic that another query fills from a backlog is none: were its partition left out, the others would run
 * ahead and make late what is still to come. */
static bool is_filling(const query *q, const task_input *input)
{
    return !q->env.is_deterministic && !q->source_is_internal[input->source] &&
           q->env.topic_catches_up(q->env.self, q->entry.id, q->sources[input->source].topic);
}

static weir_rc end_inputs(const query *q, task *t, const fetch *f, weir_error *err)
{
    for (uint32_t i = 0; i < t->input_count; i++) {
        task_input *input = &t->inputs[i];
        if (input->source != f->source) continue;
        input->end_offset = f->next_offset;
        input->is_waiting = is_filling(q, input);
        if (!input->is_waiting) WEIR_TRY(end_input(t, input, f->next_offset, err));
    }
    return WEIR_OK;
}

/* Ends that were not taken for such, and are by now. *any: some still are not. */
static weir_rc end_waiting(worker *w, bool *any, weir_error *err)
{
    const query *q = w->query;
    int64_t begin, end;

    *any = false;
    for (uint32_t i = 0; i < w->task_count; i++) {
        task *t = w->tasks[i];
        for (uint32_t k = 0; k < t->input_count; k++) {
            task_input *input = &t->inputs[k];
            if (!input->is_waiting) continue;
            *any = true;
            if (is_filling(q, input)) continue;
            WEIR_TRY(topic_offsets(q->env.storage, q->sources[input->source].topic, t->partition, &begin, &end, err));
            if (end <= input->end_offset) {
                WEIR_TRY(end_input(t, input, input->end_offset, err));
            } else {
                input->is_waiting = false; /* more came meanwhile, and will have its own end */
            }
        }
    }
    return WEIR_OK;
}

static weir_rc take_end(worker *w, const fetch *f, weir_error *err)
{
    for (uint32_t i = 0; i < w->task_count; i++) {
        if (w->tasks[i]->partition == f->partition) WEIR_TRY(end_inputs(w->query, w->tasks[i], f, err));
    }
    return WEIR_OK;
}

/* Whatever comes of the commit, the tasks are another's from here on. */
static weir_rc take_revocation(worker *w, const fetch *f, weir_error *err)
{
    weir_rc rc = f->is_lost ? WEIR_OK : commit_worker(w, err);

    for (uint32_t i = 0; i < f->partition_count; i++) drop_tasks(w, f->partitions[i]);
    w->assigned_count = 0;
    if (rc == WEIR_OK && f->is_lost) {
        return weir_fail_act(err, WEIR_BROKER, WEIR_ACT_ABORT, "the partitions have gone to another member of the group");
    }
    return rc;
}

static weir_rc take_event(worker *w, const fetch *f, weir_error *err)
{
    switch (f->kind) {
    case FETCH_RECORDS: return take_records(w, f, err);
    case FETCH_END: return take_end(w, f, err);
    case FETCH_ASSIGNED:
        WEIR_TRY(take_assignment(w, f, err));
        publish(w); /* its positions */
        return WEIR_OK;
    case FETCH_REVOKED: return take_revocation(w, f, err);
    }
    return WEIR_OK;
}

static bool is_dirty(const worker *w, size_t *bytes)
{
    bool dirty = false;

    *bytes = 0;
    for (uint32_t i = 0; i < w->task_count; i++) {
        dirty |= task_has_work(w->tasks[i]);
        *bytes += task_dirty_bytes(w->tasks[i]);
    }
    return dirty;
}

/* Whether what comes is taken as it comes: most polls of the epoch found little. */
static bool keeps_up(const worker *w)
{
    return w->polled_rows < w->polls * w->query->env.batch_rows / 8;
}

/* How long the epoch lasts while rows come: the longer the further behind, and no shorter than commits take when none is. */
static int64_t epoch_ms(const worker *w)
{
    const query_env *env = &w->query->env;
    int64_t most = env->commit_interval_ms;

    if (w->is_behind) return most < STRETCHED_INTERVAL_MS ? STRETCHED_INTERVAL_MS : most;
    if (env->at_least_once || !keeps_up(w)) return most; /* at least once nobody waits for the commit */
    int64_t least = w->commit_took_ms > KAFKA_IDLE_COMMIT_MS ? w->commit_took_ms : KAFKA_IDLE_COMMIT_MS;
    return least < most ? least : most;
}

/* Whether the epoch ends now. */
static bool is_due(worker *w, bool got_rows, bool dirty, size_t dirty_bytes)
{
    const query_env *env = &w->query->env;
    int64_t now = clock_monotonic_ms(env->clock);

    if (!dirty) return false;
    if (env->is_deterministic) return true;
    if (w->epoch_began_ms == 0) w->epoch_began_ms = now;
    if (dirty_bytes > env->state_budget_bytes / 4) return true; /* the commit needs several times as much */
    if (!got_rows) return !storage_is_kafka(env->storage) || now - w->committed_ms >= KAFKA_IDLE_COMMIT_MS;
    return now - w->epoch_began_ms >= epoch_ms(w);
}

/* Deterministic: a source whose limit is reached waits. */
static weir_rc apply_limits(worker *w, weir_error *err)
{
    query *q = w->query;

    for (uint32_t i = 0; i < w->task_count; i++) {
        for (uint32_t k = 0; k < w->tasks[i]->input_count; k++) {
            const task_input *input = &w->tasks[i]->inputs[k];
            if (w->tasks[i]->partition >= q->source_partitions[input->source]) continue;
            bool is_paused = input->position >= q->limits[input->source];
            WEIR_TRY(client_pause(w->client, input->source, w->tasks[i]->partition, is_paused, err));
        }
    }
    return WEIR_OK;
}

static weir_rc run_merges(worker *w, weir_error *err)
{
    for (uint32_t i = 0; i < w->task_count; i++) {
        if (w->tasks[i]->merge == NULL) continue;
        WEIR_TRY(merge_run(w->tasks[i]->merge, err));
        WEIR_TRY(merge_throttle(w->tasks[i]->merge, w->client, err));
    }
    return WEIR_OK;
}

static weir_rc step_worker(worker *w, bool *progressed, weir_error *err)
{
    query *q = w->query;
    const fetch *events;
    uint32_t count, rows = 0;
    size_t dirty_bytes;
    bool waits, dirty = is_dirty(w, &dirty_bytes);
    int timeout_ms = q->env.is_deterministic ? 0 : dirty ? (storage_is_kafka(q->env.storage) ? KAFKA_IDLE_COMMIT_MS : 0) : IDLE_POLL_MS;

    *progressed = false;
    if (w->assigned_count > 0) WEIR_TRY(open_assigned(w, err));
    WEIR_TRY(end_waiting(w, &waits, err));
    for (uint32_t i = 0; i < w->task_count; i++) {
        int64_t wait_ms = w->tasks[i]->merge == NULL ? -1 : merge_wait_ms(w->tasks[i]->merge);
        if (wait_ms > 0 && wait_ms < timeout_ms) timeout_ms = (int)wait_ms;
    }
    if (waits && timeout_ms > CATCH_UP_POLL_MS) timeout_ms = CATCH_UP_POLL_MS;
    if (q->limits != NULL) WEIR_TRY(apply_limits(w, err));
    if (q->env.until_end && timeout_ms > 20) timeout_ms = 20; /* an end may become known without an event */
    WEIR_TRY(client_poll(w->client, timeout_ms, q->limits != NULL ? 1 : q->env.batch_rows, &events, &count, err));
    for (uint32_t i = 0; i < count; i++) {
        if (events[i].kind == FETCH_RECORDS) rows += events[i].rows;
        *progressed |= events[i].kind != FETCH_END;
        WEIR_TRY(take_event(w, &events[i], err));
    }
    WEIR_TRY(run_merges(w, err));
    if (rows < q->env.batch_rows / 2) w->is_behind = false;
    w->polls++;
    w->polled_rows += rows;
    if (q->env.at_least_once && rows > 0 && keeps_up(w)) WEIR_TRY(release_tasks(w->tasks, w->task_count, err));
    dirty = is_dirty(w, &dirty_bytes);
    if (is_due(w, rows > 0, dirty, dirty_bytes)) {
        WEIR_TRY(commit_worker(w, err));
        *progressed = true;
        dirty = false;
    }
    if (q->env.until_end && !dirty) WEIR_TRY(check_ends(w, err));
    if (rows == 0 && !dirty && w->task_count > 0 && clock_monotonic_ms(q->env.clock) - w->looked_ms >= LOOK_MS) {
        WEIR_TRY(find_readers(w, err));
    }
    return WEIR_OK;
}

/* A topic of Kafka's that is deleted just has no more records, as far as its readers see. */
static weir_rc check_topics(worker *w, weir_error *err)
{
    const query *q = w->query;
    int64_t now_ms = clock_monotonic_ms(q->env.clock);
    topic_info info;
    bool found;

    if (!storage_is_kafka(q->env.storage) || storage_is_cut_off(q->env.storage)) return WEIR_OK;
    if (!w->lacks_topic && now_ms - w->topics_seen_ms < TOPICS_MS) return WEIR_OK;
    w->topics_seen_ms = now_ms;
    for (uint32_t i = 0; i < q->source_count; i++) {
        WEIR_TRY(topic_find(q->env.storage, q->sources[i].topic, &info, &found, err));
        if (found) continue;
        w->lacks_topic = true;
        return weir_fail_act(err, WEIR_BROKER, WEIR_ACT_RETRY, "topic %.*s, which query %.*s reads, is gone: create it again, or drop the "
                             "query", SLICE_ARG(q->sources[i].topic), SLICE_ARG(q->entry.id));
    }
    w->lacks_topic = false;
    return WEIR_OK;
}

/* ---- threads ---- */

static void note_error(query *q, const weir_error *err, bool is_fatal)
{
    pthread_mutex_lock(&q->lock);
    q->error = *err;
    if (is_fatal) {
        q->state = QUERY_FAILED;
        atomic_store(&q->ended, true);
    }
    pthread_mutex_unlock(&q->lock);
}

static weir_rc abort_epoch(worker *w, weir_error *err)
{
    WEIR_TRY(client_abort(w->client, err));
    bad_log_forget(w->log);
    for (uint32_t i = 0; i < w->task_count; i++) {
        task *t = w->tasks[i];
        WEIR_TRY(task_forget(t, err));
        for (uint32_t k = 0; k < t->input_count; k++) {
            if (t->partition >= w->query->source_partitions[t->inputs[k].source]) {
                t->inputs[k].is_idle = true;
                continue;
            }
            WEIR_TRY(client_position(w->client, t->inputs[k].source, t->partition, &t->inputs[k].position, err));
        }
    }
    w->epoch_began_ms = 0;
    w->must_abort = false;
    atomic_store(&w->has_caught_up, false);
    return WEIR_OK;
}

/* A step. When one fails, its epoch is computed again from the committed positions, and never gone on with: an abort that
 * fails half way is begun again as well. */
static weir_rc advance_worker(worker *w, bool *progressed, weir_error *err)
{
    *progressed = false;
    if (w->must_abort) WEIR_TRY(abort_epoch(w, err));
    weir_rc rc = step_worker(w, progressed, err);
    if (rc == WEIR_OK && !*progressed) rc = check_topics(w, err);
    w->must_abort = rc != WEIR_OK;
    return rc;
}

/* Of a query that is held or stopped: commits what is complete. */
static weir_rc rest_worker(worker *w, weir_error *err)
{
    size_t bytes;

    if (w->must_abort) return abort_epoch(w, err);
    if (!is_dirty(w, &bytes)) return WEIR_OK;
    weir_rc rc = commit_worker(w, err);
    w->must_abort = rc != WEIR_OK;
    return rc;
}

/* A query goes on after a pause: what came meanwhile is a backlog. */
static weir_rc resume_worker(worker *w, weir_error *err)
{
    const query *q = w->query;
    int64_t begin, end;

    w->was_held = false;
    for (uint32_t i = 0; i < w->task_count; i++) {
        task *t = w->tasks[i];
        for (uint32_t k = 0; k < t->input_count; k++) {
            const task_input *input = &t->inputs[k];
            if (t->partition >= q->source_partitions[input->source]) continue;
            WEIR_TRY(topic_offsets(q->env.storage, q->sources[input->source].topic, t->partition, &begin, &end, err));
            if (end > input->position) t->has_caught_up = false;
        }
        if (!t->has_caught_up) atomic_store(&w->has_caught_up, false);
    }
    return WEIR_OK;
}

bool query_has_caught_up(const query *q)
{
    if (query_has_ended(q) || atomic_load(&q->held)) return true;
    for (uint32_t i = 0; i < q->worker_count; i++) {
        if (!atomic_load(&q->workers[i].has_caught_up)) return false;
    }
    return true;
}

bool query_has_ended(const query *q)
{
    return atomic_load(&q->ended);
}

#define NOTICE_MS 10000 /* the same trouble is told again after so long */
#define WAITING_MS 3000  /* a commit takes so long: that is trouble */
#define RECOVERY_MS 2000 /* without trouble, where there is nothing to commit that would show that it is over */

/* err NULL: it goes on. Also from the thread that looks after workers that wait. */
static void tell(worker *w, const weir_error *err)
{
    query *q = w->query;
    told *t = &w->told;
    int64_t now_ms = clock_monotonic_ms(q->env.clock);

    pthread_mutex_lock(&q->lock);
    bool is_news = err == NULL || err->act == WEIR_ACT_STOP || t->trouble != err->rc || now_ms - t->told_ms >= NOTICE_MS;
    q->waiting_workers += (err != NULL) - (t->trouble != WEIR_OK);
    t->trouble = err == NULL ? WEIR_OK : err->rc;
    t->met_ms = now_ms;
    t->epochs = w->published.epochs; /* as of its last commit */
    if (is_news) t->told_ms = now_ms;
    pthread_mutex_unlock(&q->lock);
    if (is_news && q->env.notice != NULL) q->env.notice(q->env.notice_self, q->entry.id, err);
}

void query_tell_waiting(query *q)
{
    weir_error why;

    for (uint32_t i = 0; i < q->worker_count; i++) {
        worker *w = &q->workers[i];
        int64_t since_ms = atomic_load(&w->commits_since_ms);
        if (since_ms == 0 || clock_monotonic_ms(q->env.clock) - since_ms < WAITING_MS) continue;
        storage_waits(q->env.storage, "commit", &why);
        tell(w, &why);
        note_error(q, &why, false);
    }
}

/* Whether the last trouble is over, after a step that went well. One that did nothing shows nothing: what failed was a commit.
 * Where nothing is left to commit, the broker's answers to others show it. */
static bool has_recovered(worker *w)
{
    query *q = w->query;
    size_t bytes;

    pthread_mutex_lock(&q->lock);
    const told last = w->told;
    pthread_mutex_unlock(&q->lock);
    if (last.trouble == WEIR_OK || w->epochs > last.epochs) return last.trouble != WEIR_OK;
    return last.trouble == WEIR_BROKER && !w->must_abort && !storage_is_cut_off(q->env.storage) && !is_dirty(w, &bytes) &&
           clock_monotonic_ms(q->env.clock) - last.met_ms >= RECOVERY_MS;
}

static void *run_worker(void *argument)
{
    worker *w = argument;
    query *q = w->query;
    int64_t retry_ms = 10;

    while (!atomic_load(&q->stopping) && !query_has_ended(q)) {
        weir_error err = { .rc = WEIR_OK };
        bool progressed, is_held = atomic_load(&q->held);
        weir_rc rc = WEIR_OK;
        if (is_held) {
            rc = rest_worker(w, &err);
            w->was_held = true;
        } else {
            if (w->was_held) rc = resume_worker(w, &err);
            if (rc == WEIR_OK) rc = advance_worker(w, &progressed, &err);
        }
        if (rc == WEIR_OK) {
            retry_ms = 10;
            if (has_recovered(w)) tell(w, NULL);
            if (is_held) thread_sleep_ms(20);
            continue;
        }
        tell(w, &err);
        if (err.act == WEIR_ACT_STOP) {
            note_error(q, &err, true);
            break;
        }
        /* Whatever was at fault gets time to recover. */
        note_error(q, &err, false);
        thread_sleep_ms(retry_ms);
        retry_ms = retry_ms * 2 > RETRY_MS_MAX ? RETRY_MS_MAX : retry_ms * 2;
    }
    weir_error err = { .rc = WEIR_OK };
    if (atomic_load(&q->stopping) && !query_has_ended(q) && rest_worker(w, &err) != WEIR_OK) note_error(q, &err, false);
    publish(w);
    return NULL;
}

/* ---- life ---- */

static weir_rc open_workers(query *q, weir_error *err)
{
    int32_t most = 1;

    for (uint32_t i = 0; i < q->source_count; i++) {
        if (q->source_partitions[i] > most) most = q->source_partitions[i];
    }
    /* On Kafka one client: a second member of the group costs a rebalance at start, and librdkafka's own threads already
     * work beside the worker. */
    bool is_lone = q->env.is_deterministic || q->env.threads == 0 || storage_is_kafka(q->env.storage);
    q->worker_count = is_lone ? 1 : q->env.threads;
    if (q->worker_count > (uint32_t)most) q->worker_count = (uint32_t)most;
    q->shared.state_budget_bytes = q->env.state_budget_bytes / (uint32_t)most;
    q->workers = calloc(q->worker_count, sizeof *q->workers);
    if (q->workers == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory for workers");
    for (uint32_t i = 0; i < q->worker_count; i++) { /* all of them, before any may fail: query_stop() closes each */
        worker *w = &q->workers[i];
        w->query = q;
        w->is_behind = true;
        w->readers = ARENA_ZEROS(q->arena, task *const *, q->entry.plan.step_count);
        w->op_published = ARENA_ZEROS(q->arena, op_stats, q->entry.plan.step_count);
        w->log = bad_log_new(q->entry.id, q->env.log_topic.data == NULL ? UINT32_MAX : q->sink_count - 1, q->env.clock);
    }
    for (uint32_t i = 0; i < q->worker_count; i++) {
        const client_spec spec = { .name = q->entry.id, .sources = q->sources, .source_count = q->source_count,
                                   .sinks = q->sinks, .sink_count = q->sink_count, .instance = i,
                                   .instances = q->worker_count, .at_least_once = q->env.at_least_once };
        WEIR_TRY(client_open(&q->workers[i].client, q->env.storage, &spec, err));
    }
    return WEIR_OK;
}

/* The query's own copy of its plan: through its text, which is what a restart would read as well. */
static weir_rc copy_entry(query *q, const query_entry *of, weir_error *err)
{
    text printed = TEXT_EMPTY;

    plan_print(&printed, &of->plan);
    slice kept = arena_copy(q->arena, text_slice(&printed));
    text_free(&printed);
    q->entry.id = arena_copy(q->arena, of->id);
    q->entry.sink = arena_copy(q->arena, of->sink);
    q->entry.status = of->status;
    WEIR_TRY(plan_parse(kept, q->arena, &q->entry.plan, err));
    plan_use_registry(&q->entry.plan, q->env.registry);
    plan_prepare(&q->entry.plan);
    return WEIR_OK;
}

/* 0 is about what is emitted, not about memory. */
static void take_state_budget(query *q, slice value)
{
    int64_t bytes;

    if (parse_i64(value, &bytes) != NUMBER_FITS || bytes == 0) return;
    q->env.state_budget_bytes = bytes < (int64_t)STATE_BUDGET_BYTES_MIN ? STATE_BUDGET_BYTES_MIN : (size_t)bytes;
}

/* They were checked when they were SET. */
static void take_properties(query *q)
{
    const plan *p = &q->entry.plan;
    int64_t ms;

    if (parse_i64(plan_property(p, "commit.interval.ms"), &ms) == NUMBER_FITS) q->env.commit_interval_ms = ms;
    take_state_budget(q, plan_property(p, "cache.max.bytes.buffering"));
    take_state_budget(q, plan_property(p, "statestore.cache.max.bytes"));
    q->regroups_in_memory = !slice_equal_nocase(plan_property(p, "repartition.in.memory"), SLICE("false"));
    if (parse_i64(plan_property(p, "max.task.idle.ms"), &ms) == NUMBER_FITS) q->max_idle_ms = ms;
    q->env.at_least_once |= slice_equal_nocase(plan_property(p, "processing.guarantee"), SLICE("at_least_once"));
}

static weir_rc open_query(query *q, const query_entry *of, weir_error *err)
{
    WEIR_TRY(copy_entry(q, of, err));
    take_properties(q);
    find_topics(q);
    WEIR_TRY(make_exchanges(q, err));
    WEIR_TRY(measure_topics(q, err));
    q->targets = ARENA_ZEROS(q->arena, source_target, q->source_count);
    for (uint32_t i = 0; i < q->source_count; i++) {
        q->targets[i].offset = ARENA_ZEROS(q->arena, int64_t, q->source_partitions[i]);
    }
    q->position = ARENA_ARRAY(q->arena, int64_t *, q->source_count);
    for (uint32_t i = 0; i < q->source_count; i++) {
        q->position[i] = ARENA_ARRAY(q->arena, int64_t, q->source_partitions[i]);
        for (int32_t p = 0; p < q->source_partitions[i]; p++) q->position[i][p] = -1;
    }
    q->stage_done = ARENA_ZEROS(q->arena, uint32_t, q->entry.plan.subtopology_count + 1);
    q->shared.plan = &q->entry.plan;
    q->shared.query_id = q->entry.id;
    q->shared.clock = q->env.clock;
    q->shared.batch_rows = q->env.batch_rows;
    q->shared.every_change = q->entry.plan.every_change;
    q->shared.forced_partition = -1;
    if (q->env.until_end) {
        note_settled(q);
        WEIR_TRY(learn_targets(q, err));
    }
    return open_workers(q, err);
}

weir_rc query_start(query **out, const query_env *env, const query_entry *of, weir_error *err)
{
    arena *a = arena_new(0);
    query *q = ARENA_NEW(a, query);

    q->arena = a;
    q->env = *env;
    q->state = QUERY_STARTING;
    atomic_store(&q->held, of->status == QUERY_PAUSED);
    pthread_mutex_init(&q->lock, NULL);
    weir_rc rc = open_query(q, of, err);
    for (uint32_t i = 0; rc == WEIR_OK && !env->is_deterministic && i < q->worker_count; i++) {
        if (!thread_start(&q->workers[i].thread, run_worker, &q->workers[i])) {
            rc = weir_fail(err, WEIR_RUNTIME, NOWHERE, "cannot start a thread for query %.*s", SLICE_ARG(q->entry.id));
        } else {
            q->workers[i].has_thread = true;
        }
    }
    if (rc != WEIR_OK) {
        query_stop(q);
        return rc;
    }
    *out = q;
    return WEIR_OK;
}

void query_stop(query *q)
{
    if (q == NULL) return;
    atomic_store(&q->stopping, true);
    for (uint32_t i = 0; q->workers != NULL && i < q->worker_count; i++) {
        worker *w = &q->workers[i];
        if (w->client != NULL) client_wake(w->client);
    }
    for (uint32_t i = 0; q->workers != NULL && i < q->worker_count; i++) {
        worker *w = &q->workers[i];
        if (w->has_thread) pthread_join(w->thread, NULL);
        drop_tasks(w, -1);
        free(w->tasks);
        free(w->assigned);
        client_close(w->client);
        bad_log_free(w->log);
    }
    free(q->workers);
    pthread_mutex_destroy(&q->lock);
    plan_release(&q->entry.plan);
    arena_free(q->arena);
}

void query_hold(query *q, bool held)
{
    atomic_store(&q->held, held);
}

slice query_id(const query *q)
{
    return q->entry.id;
}

const plan *query_plan(const query *q)
{
    return &q->entry.plan;
}

query_state query_state_of(query *q, weir_error *err)
{
    pthread_mutex_lock(&q->lock);
    query_state state = q->state;
    if (state == QUERY_AT_WORK && q->waiting_workers > 0) state = QUERY_WAITING;
    if (state == QUERY_AT_WORK && atomic_load(&q->held)) state = QUERY_HELD;
    if (err != NULL) *err = q->error;
    pthread_mutex_unlock(&q->lock);
    return state;
}

void query_stats_of(query *q, query_stats *out)
{
    *out = (query_stats){ 0 };
    pthread_mutex_lock(&q->lock);
    for (uint32_t i = 0; i < q->worker_count; i++) {
        const query_stats *w = &q->workers[i].published;
        out->counts.rows_in += w->counts.rows_in;
        out->counts.rows_out += w->counts.rows_out;
        out->counts.bad_rows += w->counts.bad_rows;
        out->counts.late_rows += w->counts.late_rows;
        out->epochs += w->epochs;
        out->state_bytes += w->state_bytes;
        out->rows_per_s += rate_now(&q->workers[i], clock_monotonic_ms(q->env.clock));
        if (w->last_bad[0] != '\0') memcpy(out->last_bad, w->last_bad, sizeof out->last_bad);
    }
    if (q->error.rc != WEIR_OK) snprintf(out->last_error, sizeof out->last_error, "%.255s", q->error.message);
    pthread_mutex_unlock(&q->lock);
}

void query_op_stats(query *q, op_stats *by_step)
{
    uint32_t steps = q->entry.plan.step_count;

    memset(by_step, 0, sizeof *by_step * steps);
    pthread_mutex_lock(&q->lock);
    for (uint32_t i = 0; i < q->worker_count; i++) {
        for (uint32_t k = 0; k < steps; k++) {
            const op_stats *of = &q->workers[i].op_published[k];
            by_step[k].rows_in += of->rows_in;
            by_step[k].rows_out += of->rows_out;
            by_step[k].late_rows += of->late_rows;
            by_step[k].busy_ns += of->busy_ns;
            by_step[k].state_bytes += of->state_bytes;
        }
    }
    pthread_mutex_unlock(&q->lock);
}

weir_rc query_lag(query *q, int64_t *records, weir_error *err)
{
    *records = 0;
    for (uint32_t i = 0; i < q->source_count; i++) {
        if (q->source_is_internal[i]) continue;
        for (int32_t p = 0; p < q->source_partitions[i]; p++) {
            int64_t begin, end, at;
            WEIR_TRY(topic_offsets(q->env.storage, q->sources[i].topic, p, &begin, &end, err));
            pthread_mutex_lock(&q->lock);
            at = q->position[i][p];
            pthread_mutex_unlock(&q->lock);
            if (at < begin) at = begin;
            if (end > at) *records += end - at;
        }
    }
    return WEIR_OK;
}

weir_rc query_advance(query *q, bool *progressed, weir_error *err)
{
    weir_error failed;
    *progressed = false;
    if (atomic_load(&q->held) || query_state_of(q, &failed) == QUERY_FAILED) return WEIR_OK;
    weir_rc rc = advance_worker(&q->workers[0], progressed, err);
    if (rc != WEIR_OK && err->act == WEIR_ACT_STOP) note_error(q, err, true);
    return rc;
}

void query_limit_source(query *q, slice topic, int64_t offset)
{
    if (q->limits == NULL) {
        q->limits = ARENA_ARRAY(q->arena, int64_t, q->source_count);
        for (uint32_t i = 0; i < q->source_count; i++) q->limits[i] = q->source_is_internal[i] ? INT64_MAX : 0;
    }
    for (uint32_t i = 0; i < q->source_count; i++) {
        if (slice_equal(q->sources[i].topic, topic)) q->limits[i] = offset;
    }
}
