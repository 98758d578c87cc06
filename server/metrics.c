/* server/metrics.c - GET /metrics: what the server and the persistent queries do, as Prometheus reads it. */
#include "server/inside.h"

static void metric(text *out, const char *name, const char *kind, const char *help)
{
    text_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void single(text *out, const char *name, const char *kind, const char *help, unsigned long long number)
{
    metric(out, name, kind, help);
    text_printf(out, "%s %llu\n", name, number);
}

/* Label values: \, " and line breaks are escaped. */
static void label(text *out, slice of)
{
    for (size_t i = 0; i < of.len; i++) {
        if (of.data[i] == '\\' || of.data[i] == '"') text_add_char(out, '\\');
        if (of.data[i] == '\n') text_add_c(out, "\\n");
        else text_add_char(out, of.data[i]);
    }
}

static void query_metric(text *out, const weir_query_stats *all, uint32_t count, const char *name, const char *kind,
                         const char *help, long long (*of)(const weir_query_stats *one))
{
    metric(out, name, kind, help);
    for (uint32_t i = 0; i < count; i++) {
        text_printf(out, "%s{query=\"", name);
        label(out, all[i].id);
        text_printf(out, "\"} %lld\n", of(&all[i]));
    }
}

static long long rows_in(const weir_query_stats *q) { return (long long)q->rows_in; }
static long long rows_out(const weir_query_stats *q) { return (long long)q->rows_out; }
static long long bad_rows(const weir_query_stats *q) { return (long long)q->bad_rows; }
static long long late_rows(const weir_query_stats *q) { return (long long)q->late_rows; }
static long long epochs(const weir_query_stats *q) { return (long long)q->epochs; }
static long long lag_rows(const weir_query_stats *q) { return (long long)q->lag_rows; }
static long long is_running(const weir_query_stats *q) { return strcmp(q->state, "RUNNING") == 0; }

static void run_metrics(exchange *x)
{
    server *s = x->server;
    arena *a = arena_new(0);
    text out = TEXT_EMPTY;
    weir_query_stats *all;
    uint32_t count = 0;

    single(&out, "weir_http_connections_total", "counter", "Connections accepted.", atomic_load(&s->connections_taken));
    single(&out, "weir_http_connections", "gauge", "Connections there are.", atomic_load(&s->connection_count));
    single(&out, "weir_http_connections_refused_total", "counter", "Connections turned away, since there were too many.", atomic_load(&s->connections_refused));
    single(&out, "weir_http_accounts_refused_total", "counter", "Requests without an account, or with a wrong secret.", atomic_load(&s->accounts_refused));
    single(&out, "weir_http_body_bytes", "gauge", "Bodies of requests held in memory.", atomic_load(&s->body_bytes));
    single(&out, "weir_http_queued_bytes", "gauge", "Replies that wait to be sent.", atomic_load(&s->queued_bytes));
    single(&out, "weir_http_requests_total", "counter", "Requests received.", atomic_load(&s->requests));
    single(&out, "weir_http_failures_total", "counter", "Requests answered with an error.", atomic_load(&s->failures));
    single(&out, "weir_http_streamed_queries", "gauge", "Pull and push queries being answered.", atomic_load(&s->query_count));
    single(&out, "weir_http_rows_total", "counter", "Rows sent to clients.", atomic_load(&s->rows_sent));
    if (weir_query_stats_list(s->weir, a, &all, &count) == WEIR_OK) {
        query_metric(&out, all, count, "weir_query_running", "gauge", "1: the persistent query is running.", is_running);
        query_metric(&out, all, count, "weir_query_rows_in_total", "counter", "Rows read.", rows_in);
        query_metric(&out, all, count, "weir_query_rows_out_total", "counter", "Rows written.", rows_out);
        query_metric(&out, all, count, "weir_query_bad_rows_total", "counter", "Rows that could not be used.", bad_rows);
        query_metric(&out, all, count, "weir_query_late_rows_total", "counter", "Rows that came too late for their window.", late_rows);
        query_metric(&out, all, count, "weir_query_epochs_total", "counter", "Epochs committed.", epochs);
        query_metric(&out, all, count, "weir_query_lag_rows", "gauge", "Rows between its positions and the ends of its sources.", lag_rows);
    }
    exchange_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", text_slice(&out));
    text_free(&out);
    arena_free(a);
}

void handle_metrics(exchange *x)
{
    run_in_worker(x, run_metrics);
}
