/* executor/timestamp.c - see timestamp.h. */
#include "executor/timestamp.h"

weir_rc timestamp_reader_open(timestamp_reader *out, const schema *s, int32_t col, slice format, arena *a, weir_error *err)
{
    *out = (timestamp_reader){ .column = col, .format = format };
    if (col < 0 || s->columns[col].type->kind != TYPE_STRING) return WEIR_OK;
    if (format.data == NULL) out->format = SLICE("yyyy-MM-dd'T'HH:mm:ss.SSS");

    const type **types = ARENA_ARRAY(a, const type *, 2);
    types[0] = types[1] = &type_string;
    resolved found;
    WEIR_TRY(function_resolve(SLICE("STRINGTOTIMESTAMP"), types, 2, NULL, NOWHERE, a, &found, err));
    value *literal = ARENA_NEW(a, value);
    literal->str = out->format;
    const value **constants = ARENA_ZEROS(a, const value *, 2);
    constants[1] = literal;
    out->parse = ARENA_NEW(a, call);
    *out->parse = (call){ .fn = found.fn, .result = found.result, .arg_types = types, .arg_count = 2, .constants = constants,
                          .lambdas = ARENA_ZEROS(a, const lambda *, 2) };
    return found.fn->prepare == NULL ? WEIR_OK : found.fn->prepare(out->parse, a, err);
}

void timestamp_reader_close(timestamp_reader *t)
{
    if (t->parse != NULL && t->parse->fn->release != NULL) t->parse->fn->release(t->parse);
    t->parse = NULL;
}

row_set timestamp_read(timestamp_reader *t, evaluator *e, const batch *in, row_set rows, int64_t *event_ms,
                       const row_report *report)
{
    uint32_t *index = ARENA_ARRAY(in->arena, uint32_t, rows.count);
    uint32_t count = 0;
    column times = t->column < 0 ? (column){ 0 } : in->columns[t->column];

    if (t->parse != NULL) {
        column args[2] = { times, column_new(in->arena, &type_string, in->rows) };
        EACH_ROW (r, rows) args[1].str[r] = t->format;
        e->context.arena = in->arena;
        e->context.batch = in;
        void (*report_expression)(void *, uint32_t, const char *) = e->context.report;
        e->context.report = NULL; /* one bad record is told of once, below */
        call_run(t->parse, &e->context, args, rows, in->rows, &times);
        e->context.report = report_expression;
    }
    EACH_ROW (r, rows) {
        bool is_own = t->column < 0 || (times.null[r] && in->kind[r] == ROW_TOMBSTONE); /* it has no columns to tell a time */
        if (!is_own) {
            if (times.null[r]) {
                report->bad_row(report->self, r, "the timestamp column is null or cannot be read as a time");
                continue;
            }
            event_ms[r] = times.i64[r];
        }
        if (event_ms[r] < 0) {
            report->bad_row(report->self, r, "the timestamp is before 1970");
            continue;
        }
        if (event_ms[r] > EVENT_MS_MAX) {
            report->bad_row(report->self, r, "the timestamp is further off than any calendar reaches");
            continue;
        }
        index[count++] = r;
    }
    return (row_set){ index, count };
}
