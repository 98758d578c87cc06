/* tests/unit/check_storage_crash.c - what is left when a process is killed, a write fails, or several processes work on one
 * data directory: always whole epochs. A job copies "in" to "out" and counts in its state, so that position, state and
 * output must say the same number. */
#include "check_storage.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

enum { PARTITIONS = 3 };

static void make_job(storage *s, int records)
{
    record r[4];

    make_topic(s, "in", PARTITIONS);
    make_topic(s, "out", 1);
    for (int i = 0; i < records; i += 4) {
        for (int j = 0; j < 4; j++) r[j] = (record){ .value = SLICE("a value of some length"), .timestamp_ms = i + j };
        MUST(topic_append(s, SLICE("in"), r, NULL, 4, NULL, &test_error));
    }
}

typedef struct job {
    client *client;
    task_state *state[PARTITIONS];
} job;

static void job_open(job *j, storage *s)
{
    j->client = open_reader(s, "job", "in", "out");
    for (int32_t p = 0; p < PARTITIONS; p++) j->state[p] = open_state(j->client, "job/0", p);
}

static void job_close(job *j)
{
    for (int32_t p = 0; p < PARTITIONS; p++) task_state_close(j->state[p]);
    client_close(j->client);
}

/* One epoch over what a poll gives. *rows: how many; 0 at the end. */
static weir_rc job_step(job *j, uint32_t rows_max, uint32_t *rows, weir_error *err)
{
    const fetch *events;
    uint32_t count, epochs = 0;
    char number[PARTITIONS][24];
    state_change change[PARTITIONS];
    epoch epoch_of[PARTITIONS];
    position done[PARTITIONS];

    *rows = 0;
    WEIR_TRY(client_poll(j->client, 0, rows_max, &events, &count, err));
    for (uint32_t i = 0; i < count; i++) {
        const fetch *e = &events[i];
        if (e->kind != FETCH_RECORDS) continue;
        output out = { .rows = e->rows, .key = e->key, .value = e->value, .timestamp_ms = e->timestamp_ms };
        WEIR_TRY(client_produce(j->client, &out, err));
        slice was;
        bool found;
        WEIR_TRY(task_state_get(j->state[e->partition], 0, SLICE("n"), &was, &found, err));
        int len = snprintf(number[epochs], sizeof number[0], "%lld", (found ? atoll(was.data) : 0) + e->rows);
        change[epochs] = (state_change){ 0, SLICE("n"), { number[epochs], (size_t)len + 1 } };
        epoch_of[epochs] = (epoch){ j->state[e->partition], &change[epochs], 1 };
        done[epochs] = (position){ 0, e->partition, e->next_offset };
        epochs++;
        *rows += e->rows;
    }
    return epochs == 0 ? WEIR_OK : client_commit(j->client, epoch_of, epochs, done, epochs, err);
}

/* Positions, state and output agree; returns how many records are done. */
static int64_t check_job(storage *s)
{
    job j;
    int64_t done = 0, next;
    slice was;

    job_open(&j, s);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        MUST(client_position(j.client, 0, p, &next, &test_error));
        int64_t counted = get_state(j.state[p], 0, SLICE("n"), &was) ? atoll(was.data) : 0;
        ck_assert_int_eq(next, counted);
        done += next;
    }
    ck_assert_int_eq(end_of(s, "out", 0), done);
    job_close(&j);

    client *reader = open_reader(s, NULL, "out", NULL); /* every block can be read, and there is no gap */
    const fetch *e;
    for (int64_t at = 0; at < done;) {
        ck_assert_uint_ge(poll_client(reader, 0, 1000, &e), 1);
        ck_assert_int_eq(e->offset[0], at);
        at = e->next_offset;
    }
    client_close(reader);
    return done;
}

START_TEST(a_killed_process_leaves_whole_epochs)
{
    enum { RECORDS = 5000 };
    storage *s = open_here();
    int64_t done = 0;
    int rounds = 0;

    make_job(s, RECORDS);
    storage_close(s);
    for (; rounds < 60 && done < RECORDS; rounds++) {
        pid_t child = fork();
        if (child == 0) {
            storage *own = open_with((local_options){ .durability = rounds % 2 ? DURABLE_META : DURABLE_FULL });
            job j;
            uint32_t rows = 1;
            job_open(&j, own);
            for (uint32_t i = 0; rows > 0; i++) MUST(job_step(&j, 1 + i % 7, &rows, &test_error));
            pause();
        }
        nanosleep(&(struct timespec){ 0, (5 + rounds * 7 % 40) * 1000000 }, NULL);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        s = open_here();
        int64_t now = check_job(s);
        ck_assert_int_ge(now, done);
        done = now;
        storage_close(s);
    }
    ck_assert_int_gt(rounds, 3);
}
END_TEST

typedef struct fault_plan {
    int until; /* how many more calls succeed */
    int code;
} fault_plan;

static int fail_in_turn(void *self, const char *operation)
{
    fault_plan *plan = self;

    (void)operation;
    return plan->until-- == 0 ? plan->code : 0;
}

START_TEST(a_failed_write_leaves_whole_epochs)
{
    static const int codes[] = { ENOSPC, EIO, EDQUOT };
    fault_plan plan = { -1, 0 };
    storage *s = open_with((local_options){ .durability = DURABLE_META, .fault = fail_in_turn, .fault_self = &plan });
    weir_error err;
    job j;
    uint32_t rows;

    make_job(s, 120);
    for (int n = 0; n < 200; n++) { /* the nth write fails */
        weir_rc rc;
        job_open(&j, s);
        plan = (fault_plan){ n % 40, codes[n % 3] };
        do rc = job_step(&j, 1 + (uint32_t)n % 5, &rows, &err); while (rc == WEIR_OK && rows > 0);
        if (rc != WEIR_OK) {
            ck_assert_int_eq(rc, WEIR_STORAGE);
            ck_assert_int_eq(err.act, WEIR_ACT_RETRY);
            ck_assert_ptr_nonnull(strstr(err.message, test_dir));
            if (n % 2 == 0) { /* given up: the epoch is computed again */
                MUST(client_abort(j.client, &err));
                plan.until = -1;
                check_job(s);
            }
        }
        job_close(&j);
        plan.until = -1;
        check_job(s);
        if (n % 10 == 9) { /* start over */
            MUST(storage_drop_query(s, SLICE("job"), &test_error));
            MUST(topic_delete(s, SLICE("out"), &test_error));
            make_topic(s, "out", 1);
        }
    }
    storage_close(s);
}
END_TEST

START_TEST(the_same_commit_may_be_tried_again)
{
    fault_plan plan = { -1, ENOSPC };
    storage *s = open_with((local_options){ .durability = DURABLE_META, .fault = fail_in_turn, .fault_self = &plan });
    const fetch *e;

    make_topic(s, "out", 1);
    client *c = open_client(s, "q", NULL, "out");
    produce_one(c, SLICE("k"), SLICE("once"), 0);
    for (plan.until = 0; plan.until < 2;) { /* the block's write, then the commit */
        int failing = plan.until;
        MUST_FAIL(client_commit(c, NULL, 0, NULL, 0, &test_error), WEIR_STORAGE, "No space left on device");
        ck_assert_int_eq(end_of(s, "out", 0), 0);
        plan.until = failing + 1;
    }
    plan.until = -1;
    MUST(client_commit(c, NULL, 0, NULL, 0, &test_error));
    MUST(client_commit(c, NULL, 0, NULL, 0, &test_error));
    client *reader = open_reader(s, NULL, "out", NULL);
    ck_assert_uint_eq(poll_client(reader, 0, 10, &e), 2);
    ck_assert_uint_eq(e->rows, 1);
    ck_assert(slice_is(e->value[0], "once"));
    client_close(reader);
    client_close(c);
    storage_close(s);
}
END_TEST

/* A file system of its own, where mounting is allowed, in a mount namespace that ends with the test's process; elsewhere a
 * limit on the size of files stands for it (the topics' tests). */
START_TEST(a_full_file_system_stops_and_goes_on)
{
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", test_dir, "tmpfs", 0, "size=2m") != 0) {
        return;
    }
    storage *s = open_here();
    weir_error err = { 0 };
    job j;
    uint32_t rows;
    char path[128];
    char *fill = calloc(1, 1 << 20);

    make_job(s, 2000);
    snprintf(path, sizeof path, "%s/fill", test_dir);
    int fd = open(path, O_WRONLY | O_CREAT, 0666);
    while (write(fd, fill, 4096) == 4096) continue; /* now there is no room at all */
    job_open(&j, s);
    weir_rc rc;
    do rc = job_step(&j, 20, &rows, &err); while (rc == WEIR_OK && rows > 0);
    ck_assert_int_eq(rc, WEIR_STORAGE);
    ck_assert_int_eq(err.act, WEIR_ACT_RETRY);
    MUST(client_abort(j.client, &test_error));
    job_close(&j);
    check_job(s);
    close(fd);
    unlink(path);
    job_open(&j, s);
    do MUST(job_step(&j, 20, &rows, &test_error)); while (rows > 0);
    job_close(&j);
    ck_assert_int_eq(check_job(s), 2000);
    storage_close(s);
    free(fill);
    umount(test_dir);
}
END_TEST

/* One process commits the job, two append, one looks at snapshots of its state: each must see whole epochs. */
START_TEST(several_processes_share_a_directory)
{
    enum { APPENDERS = 2, EACH = 300 };
    pid_t child[APPENDERS + 1];
    storage *s = open_here();
    int status;

    make_job(s, 0);
    storage_close(s);
    for (int i = 0; i < APPENDERS; i++) {
        if ((child[i] = fork()) != 0) continue;
        storage *own = open_here();
        for (int n = 0; n < EACH; n++) append_one(own, "in", n % 2 ? "some" : NULL, "value", n);
        storage_close(own);
        _exit(0);
    }
    if ((child[APPENDERS] = fork()) == 0) {
        storage *own = open_with((local_options){ .is_read_only = true });
        int64_t seen = 0;
        while (seen < APPENDERS * EACH) {
            snapshot *snap;
            slice was;
            bool found;
            int64_t sum = 0;
            MUST(snapshot_open(&snap, own, SLICE("job/0"), &test_error));
            for (int32_t p = 0; p < PARTITIONS; p++) {
                MUST(snapshot_get(snap, p, 0, SLICE("n"), &was, &found, &test_error));
                sum += found ? atoll(was.data) : 0;
            }
            snapshot_close(snap);
            ck_assert_int_ge(sum, seen);
            seen = sum;
        }
        storage_close(own);
        _exit(0);
    }
    s = open_here();
    job j;
    job_open(&j, s);
    for (uint32_t done = 0, rows; done < APPENDERS * EACH; done += rows) MUST(job_step(&j, 50, &rows, &test_error));
    job_close(&j);
    for (int i = 0; i <= APPENDERS; i++) {
        waitpid(child[i], &status, 0);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_int_eq(check_job(s), APPENDERS * EACH);
    storage_close(s);
}
END_TEST

static void add(TCase *all)
{
    tcase_add_test(all, a_killed_process_leaves_whole_epochs);
    tcase_add_test(all, a_failed_write_leaves_whole_epochs);
    tcase_add_test(all, the_same_commit_may_be_tried_again);
    tcase_add_test(all, a_full_file_system_stops_and_goes_on);
    tcase_add_test(all, several_processes_share_a_directory);
}

int main(void)
{
    return run_tests("storage crash", add, make_test_dir, remove_test_dir);
}
