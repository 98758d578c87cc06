/* server/work.c - statements that take too long are cancelled: the loop's tick looks for them. */
#include "server/inside.h"

static const weir_clock WALL = { 0 };

void work_begin(server *s, work *w, weir_session *session)
{
    *w = (work){ .session = session };
    if (s->options.statement_ms_max < 0) w->deadline_ms = INT64_MAX;
    else w->deadline_ms = clock_monotonic_ms(&WALL) + s->options.statement_ms_max;
    pthread_mutex_lock(&s->work_lock);
    w->next = s->works;
    if (w->next != NULL) w->next->previous = w;
    s->works = w;
    pthread_mutex_unlock(&s->work_lock);
}

void work_end(server *s, work *w)
{
    if (w->session == NULL) return;
    pthread_mutex_lock(&s->work_lock);
    if (w->previous != NULL) w->previous->next = w->next;
    else s->works = w->next;
    if (w->next != NULL) w->next->previous = w->previous;
    pthread_mutex_unlock(&s->work_lock);
    w->session = NULL;
}

void work_explain(server *s, work *w, weir_error *err)
{
    if (err->rc != WEIR_CANCELLED) return;
    if (atomic_load(&s->is_stopping)) {
        weir_fail(err, WEIR_CANCELLED, NOWHERE, "the server is stopping");
    } else if (atomic_load(&w->is_late)) {
        weir_fail(err, WEIR_CANCELLED, NOWHERE, "it took longer than the %lld ms a statement may take here (--max-statement-time)",
                  (long long)s->options.statement_ms_max);
    }
}

void work_tick(server *s, int64_t now_ms)
{
    pthread_mutex_lock(&s->work_lock);
    for (work *w = s->works; w != NULL; w = w->next) {
        if (now_ms < w->deadline_ms) continue;
        atomic_store(&w->is_late, true);
        weir_cancel(w->session);
    }
    pthread_mutex_unlock(&s->work_lock);
}

void work_cancel_all(server *s)
{
    pthread_mutex_lock(&s->work_lock);
    for (work *w = s->works; w != NULL; w = w->next) weir_cancel(w->session);
    pthread_mutex_unlock(&s->work_lock);
}
