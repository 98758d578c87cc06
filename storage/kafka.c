/* storage/kafka.c - opening the Kafka backend: configuration, errors, and the handle that all share. */
#include "storage/kafka.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

int64_t kafka_now_ms(void)
{
    return clock_monotonic_ns() / 1000000;
}

/* ---- configuration ---- */

/* name, value, ...: what weir wants unless the user says otherwise. Queues are bounded, or librdkafka would take the
 * memory budget by itself. */
static const char *const COMMON[] = {
    "client.id", "weir",
    "allow.auto.create.topics", "false",
    "log.connection.close", "false",
    "socket.nagle.disable", "true",
    "socket.keepalive.enable", "true",
    "reconnect.backoff.max.ms", "2000",
    "topic.metadata.refresh.fast.interval.ms", "100",
    NULL,
};

static const char *const CONSUMING[] = {
    "fetch.wait.max.ms", "10",
    "fetch.error.backoff.ms", "50",
    "fetch.max.bytes", "4194304",
    "fetch.message.max.bytes", "524288",
    "queued.min.messages", "15000",
    "queued.max.messages.kbytes", "4096",
    "enable.auto.offset.store", "false",
    "auto.offset.reset", "earliest",
    "session.timeout.ms", "15000",
    "heartbeat.interval.ms", "3000",
    "max.poll.interval.ms", "1800000", /* a restore may take long; heartbeats show that we live */
    NULL,
};

static const char *const PRODUCING[] = {
    "linger.ms", "5",
    "message.max.bytes", "67108864", /* the topic's limit decides */
    "queue.buffering.max.kbytes", "16384",
    "queue.buffering.max.messages", "20000",
    "retry.backoff.ms", "10",
    NULL,
};

static const char *const APPENDING[] = {
    "linger.ms", "1",
    "message.timeout.ms", "30000",
    NULL,
};

/* What weir's guarantees stand on. */
static const char *const OURS[] = {
    "bootstrap.servers", "metadata.broker.list", "group.id", "group.instance.id", "transactional.id",
    "enable.auto.commit", "enable.auto.offset.store", "enable.partition.eof", "enable.idempotence", "isolation.level",
    "partition.assignment.strategy", "acks", "request.required.acks", "delivery.report.only.error",
};

static void set_all(rd_kafka_conf_t *conf, const char *const *settings)
{
    char why[256];

    for (; *settings != NULL; settings += 2) {
        (void)rd_kafka_conf_set(conf, settings[0], settings[1], why, sizeof why);
    }
}

static weir_rc set_property(rd_kafka_conf_t *conf, const property *p, weir_error *err)
{
    char why[512], name[256], *value = strndup(p->value.data, p->value.len);

    snprintf(name, sizeof name, "%.*s", SLICE_ARG(p->name));
    rd_kafka_conf_res_t result = value == NULL ? RD_KAFKA_CONF_INVALID
                                               : rd_kafka_conf_set(conf, name, value, why, sizeof why);
    free(value);
    if (value == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to configure Kafka");
    if (result == RD_KAFKA_CONF_OK) return WEIR_OK;
    return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "-X %s=%.*s: %s", name, SLICE_ARG(p->value), why);
}

static weir_rc check_properties(const kafka_options *options, weir_error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    weir_rc rc = WEIR_OK;

    for (uint32_t i = 0; i < options->property_count && rc == WEIR_OK; i++) {
        const property *p = &options->properties[i];
        for (size_t o = 0; o < sizeof OURS / sizeof *OURS && rc == WEIR_OK; o++) {
            if (!slice_is(p->name, OURS[o])) continue;
            rc = weir_fail(err, WEIR_SEMANTIC, NOWHERE, "-X %s: weir sets this property itself%s", OURS[o],
                           o < 2 ? "; use --kafka" : "");
        }
        if (rc == WEIR_OK) rc = set_property(conf, p, err);
    }
    rd_kafka_conf_destroy(conf);
    return rc;
}

static void note_problem(kafka_storage *s, const char *what)
{
    pthread_mutex_lock(&s->problem_lock);
    snprintf(s->problem, sizeof s->problem, "%s", what);
    pthread_mutex_unlock(&s->problem_lock);
}

/* Into `problem`, as large as the storage's; empty: there was none. */
static void last_problem(kafka_storage *s, char *problem)
{
    pthread_mutex_lock(&s->problem_lock);
    memcpy(problem, s->problem, sizeof s->problem);
    pthread_mutex_unlock(&s->problem_lock);
}

/* From librdkafka's own threads, too. "[thrd:...]: 127.0.0.1:1/bootstrap: Connect to ... failed: Connection refused". */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    kafka_handle *handle = rd_kafka_opaque(rk);
    const char *end_of_thread = strncmp(text, "[thrd:", 6) == 0 ? strstr(text, "]: ") : NULL;

    (void)facility;
    if (level > 3 || handle == NULL) return;
    note_problem(handle->home, end_of_thread != NULL ? end_of_thread + 3 : text);
}

/* Called as the handle is polled. */
static void on_error(rd_kafka_t *rk, int code, const char *why, void *opaque)
{
    kafka_handle *handle = opaque;

    (void)rk;
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        note_problem(handle->home, why);
    } else if (handle->client != NULL) {
        handle->client->lost_brokers = true;
    }
}

weir_rc kafka_handle_new(rd_kafka_t **out, kafka_storage *s, kafka_role role, const char *const *settings,
                         kafka_handle *handle, void (*configure)(rd_kafka_conf_t *), weir_error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[512];
    weir_rc rc = WEIR_OK;

    set_all(conf, COMMON);
    set_all(conf, role == KAFKA_CONSUMER ? CONSUMING : PRODUCING);
    if (role == KAFKA_SHARED) set_all(conf, APPENDING);
    for (uint32_t i = 0; i < s->property_count && rc == WEIR_OK; i++) rc = set_property(conf, &s->properties[i], err);
    if (rc != WEIR_OK) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }
    set_all(conf, (const char *const[]){ "bootstrap.servers", s->brokers, NULL });
    if (role != KAFKA_CONSUMER) set_all(conf, (const char *const[]){ "enable.idempotence", "true", NULL });
    if (settings != NULL) set_all(conf, settings);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_opaque(conf, handle);
    if (configure != NULL) configure(conf);
    *out = rd_kafka_new(role == KAFKA_CONSUMER ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (*out != NULL) return WEIR_OK;
    rd_kafka_conf_destroy(conf);
    return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "librdkafka refuses its configuration: %s; check the -X properties", why);
}

void kafka_wake_fetchers(rd_kafka_t *rk)
{
    char user[512] = "", password[1024] = "";
    size_t user_bytes = sizeof user, password_bytes = sizeof password;
    const rd_kafka_conf_t *conf = rd_kafka_conf(rk);

    /* The one public call that wakes the broker threads of a consumer; it sets the credentials there already are. */
    if (rd_kafka_conf_get(conf, "sasl.username", user, &user_bytes) != RD_KAFKA_CONF_OK) user[0] = '\0';
    if (rd_kafka_conf_get(conf, "sasl.password", password, &password_bytes) != RD_KAFKA_CONF_OK) password[0] = '\0';
    rd_kafka_error_t *error = rd_kafka_sasl_set_credentials(rk, user, password);
    if (error != NULL) rd_kafka_error_destroy(error);
}

/* ---- errors ---- */

bool kafka_is_transient_error(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR__IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
    case RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT:
    case RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS: return true;
    }
    return false;
}

static bool is_no_answer(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
           code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
}

static bool is_denied(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED || code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
}

weir_rc kafka_fail(kafka_storage *s, rd_kafka_resp_err_t code, const char *why, const char *doing, weir_error *err)
{
    char problem[sizeof s->problem];
    weir_act act = kafka_is_transient_error(code) ? WEIR_ACT_RETRY : WEIR_ACT_STOP;

    last_problem(s, problem);
    if (is_no_answer(code)) {
        atomic_store(&s->base.is_cut_off, true);
        return weir_fail_act(err, WEIR_BROKER, act, "cannot %s: no answer from Kafka at %s: %s", doing, s->brokers,
                             problem[0] != '\0' ? problem : rd_kafka_err2str(code));
    }
    if (is_denied(code)) {
        return weir_fail_act(err, WEIR_BROKER, act, "cannot %s: %s; let the broker's ACLs allow it to this user, or name another with -X",
                             doing, why != NULL ? why : rd_kafka_err2str(code));
    }
    return weir_fail_act(err, WEIR_BROKER, act, "cannot %s: %s", doing, why != NULL ? why : rd_kafka_err2str(code));
}

void kafka_waits(storage *s, const char *doing, weir_error *err)
{
    (void)!kafka_fail((kafka_storage *)s, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, doing, err);
}

/* ---- the shared handle ---- */

static rd_kafka_t *retire_when_fatal(kafka_storage *s)
{
    char why[8];

    if (s->shared != NULL && rd_kafka_fatal_error(s->shared, why, sizeof why) != RD_KAFKA_RESP_ERR_NO_ERROR &&
        s->retired_count < KAFKA_RETIRED_MAX) {
        s->retired[s->retired_count++] = s->shared; /* other threads may be using it still */
        s->shared = NULL;
    }
    return s->shared;
}

weir_rc kafka_shared(kafka_storage *s, rd_kafka_t **out, weir_error *err)
{
    pthread_mutex_lock(&s->lock);
    *out = retire_when_fatal(s);
    pthread_mutex_unlock(&s->lock);
    if (*out != NULL) return WEIR_OK;
    WEIR_TRY(kafka_handle_new(out, s, KAFKA_SHARED, NULL, &s->handle, kafka_conf_appender, err));
    rd_kafka_t *mine = *out;
    pthread_mutex_lock(&s->lock);
    if (s->shared == NULL) s->shared = mine;
    *out = s->shared; /* another thread may have been first */
    pthread_mutex_unlock(&s->lock);
    if (*out != mine) rd_kafka_destroy(mine);
    return WEIR_OK;
}

/* Any broker's answer will do; the list of topics is not asked for. */
static weir_rc check_broker(kafka_storage *s, weir_error *err)
{
    const struct rd_kafka_metadata *metadata;
    char problem[sizeof s->problem];
    rd_kafka_t *rk;

    WEIR_TRY(kafka_shared(s, &rk, err));
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, NULL, &metadata, KAFKA_RPC_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(metadata);
        return WEIR_OK;
    }
    rd_kafka_poll(rk, 0);
    last_problem(s, problem);
    return weir_fail_act(err, WEIR_BROKER, WEIR_ACT_RETRY, "no broker answers at %s: %s; check --kafka and the -X properties", s->brokers,
                         problem[0] != '\0' ? problem : rd_kafka_err2str(code));
}

/* ---- open and close ---- */

static void random_instance(char instance[17])
{
    uint64_t number = 0;

    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) {
        number = (uint64_t)clock_monotonic_ns() ^ (uint64_t)getpid() << 40;
    }
    snprintf(instance, 17, "%016llx", (unsigned long long)number);
}

static bool is_instance(const char *text)
{
    return strlen(text) == 16 && strspn(text, "0123456789abcdef") == 16;
}

static int write_instance(const char *path, const char *instance)
{
    char temporary[4096 + 64];
    int code = 0;

    snprintf(temporary, sizeof temporary, "%s.%d", path, (int)getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return errno;
    if (write(fd, instance, 16) != 16 || fsync(fd) != 0) code = errno != 0 ? errno : EIO;
    close(fd);
    /* link, not rename: of two processes that start at once, the first one's id stays */
    if (code == 0 && link(temporary, path) != 0 && errno != EEXIST) code = errno;
    unlink(temporary);
    return code;
}

static weir_rc load_instance(kafka_storage *s, weir_error *err)
{
    char path[4096 + 32], read_back[17] = "";
    int code = 0;

    random_instance(s->instance);
    if (s->base.dir.len == 0) return WEIR_OK;
    snprintf(path, sizeof path, "%.*s/instance", (int)(s->base.dir.len < 4096 ? s->base.dir.len : 4096), s->base.dir.data);
    for (int attempt = 0; attempt < 2 && code == 0; attempt++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            ssize_t bytes = read(fd, read_back, 16);
            close(fd);
            if (bytes == 16 && is_instance(read_back)) {
                memcpy(s->instance, read_back, sizeof read_back);
                return WEIR_OK;
            }
            unlink(path);
        }
        code = write_instance(path, s->instance);
    }
    if (code == 0 || code == EROFS || code == EACCES) return WEIR_OK; /* who cannot write cannot run queries either */
    return weir_fail(err, WEIR_STORAGE, NOWHERE, "cannot write %s: %s", path, strerror(code));
}

static void copy_options(kafka_storage *s, const kafka_options *options)
{
    property *copies = ARENA_ARRAY(s->memory, property, options->property_count);

    s->brokers = arena_c_string(s->memory, options->brokers);
    s->service = arena_c_string(s->memory, options->service);
    for (uint32_t i = 0; i < options->property_count; i++) {
        copies[i].name = arena_copy(s->memory, options->properties[i].name);
        copies[i].value = arena_copy(s->memory, options->properties[i].value);
    }
    s->properties = copies;
    s->property_count = options->property_count;
    s->clock = options->clock;
}

static void kafka_close(storage *base)
{
    kafka_storage *s = (kafka_storage *)base;

    for (uint32_t i = 0; i < s->retired_count; i++) rd_kafka_destroy(s->retired[i]);
    if (s->shared != NULL) rd_kafka_destroy(s->shared);
    kafka_topics_forget(s, NO_SLICE);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->problem_lock);
    arena_free(s->memory);
}

weir_rc storage_open_kafka(storage **out, slice dir, const kafka_options *options, weir_error *err)
{
    char prefix[KAFKA_TOPIC_NAME_MAX];

    kafka_link_threads();
    WEIR_TRY(check_properties(options, err));
    if (options->brokers.len == 0) return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "--kafka wants brokers: host:port,...");
    if (options->service.len == 0 || options->service.len > 100) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "--service wants a name of 1 to 100 characters");
    }
    kafka_storage *s = calloc(1, sizeof *s);
    if (s == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to open a storage");
    snprintf(prefix, sizeof prefix, "%.*s-", SLICE_ARG(options->service));
    weir_rc rc = storage_init(&s->base, &kafka_storage_class, dir, slice_of(prefix), err);
    if (rc != WEIR_OK) {
        free(s);
        return rc;
    }
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->problem_lock, NULL);
    s->memory = arena_new(0);
    s->handle.home = s;
    copy_options(s, options);
    if ((rc = load_instance(s, err)) != WEIR_OK) goto fail;
    if ((rc = check_broker(s, err)) != WEIR_OK) goto fail;
    *out = &s->base;
    return WEIR_OK;
fail:
    kafka_close(&s->base);
    storage_clear(&s->base);
    free(s);
    return rc;
}

const storage_class kafka_storage_class = {
    .name = "kafka",
    .close = kafka_close,
    .topic_create = kafka_topic_create,
    .topic_delete = kafka_topic_delete,
    .topic_find = kafka_topic_find,
    .topic_list = kafka_topic_list,
    .topic_offsets = kafka_topic_offsets,
    .topic_append = kafka_topic_append,
    .topic_record_bytes_max = kafka_topic_record_bytes_max,
    .waits = kafka_waits,
    .drop_query = kafka_drop_query,
    .tidy = kafka_tidy,
    .client_open = kafka_client_open,
    .client_close = kafka_client_close,
    .client_poll = kafka_client_poll,
    .client_wake = kafka_client_wake,
    .client_pause = kafka_client_pause,
    .client_seek = kafka_client_seek,
    .client_position = kafka_client_position,
    .client_produce = kafka_client_produce,
    .client_commit = kafka_client_commit,
    .client_abort = kafka_client_abort,
    .client_settle = kafka_client_settle,
    .task_state_open = kafka_task_open,
    .task_state_close = kafka_task_close,
    .task_state_get = kafka_task_get,
    .task_state_get_all = kafka_task_get_all,
    .task_state_size = kafka_task_size,
    .task_state_scan = kafka_task_scan,
    .snapshot_open = kafka_snapshot_open,
    .snapshot_close = kafka_snapshot_close,
    .snapshot_partitions = kafka_snapshot_partitions,
    .snapshot_get = kafka_snapshot_get,
    .snapshot_scan = kafka_snapshot_scan,
};
