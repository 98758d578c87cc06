/* tests/unit/check_registry.c - the schema registry's client against a server of a few lines that answers as it is told:
 * well, badly, late or not at all; and the registry of a process. */
#include "storage/registry.h"
#include "tests/unit/run_tests.h"

#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- a server ---- */

#define ANSWERS_MAX 8

typedef struct server {
    int socket;
    int port;
    pthread_t thread;
    const char *answers[ANSWERS_MAX]; /* "200 {...}", in turn; the last one again and again; "slow": none */
    int count;
    int requests;
    char last[4096]; /* the last request */
} server;

static void answer(server *s, int client)
{
    char out[4096];
    const char *what = s->answers[s->requests < s->count ? s->requests : s->count - 1];
    ssize_t got = 0, more;

    while ((more = recv(client, s->last + got, sizeof s->last - 1 - (size_t)got, 0)) > 0) {
        got += more;
        s->last[got] = '\0';
        const char *end = strstr(s->last, "\r\n\r\n"), *length = strcasestr(s->last, "content-length:");
        if (end != NULL && got >= end + 4 - s->last + (length == NULL ? 0 : atoi(length + 15))) break;
    }
    s->requests++;
    if (strcmp(what, "slow") == 0) {
        usleep(400000);
    } else {
        int status = atoi(what);
        const char *body = what + 4;
        int len = snprintf(out, sizeof out, "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                           status, strlen(body), body);
        ck_assert_int_eq(send(client, out, (size_t)len, MSG_NOSIGNAL), len);
    }
    close(client);
}

static void *serve(void *self)
{
    server *s = self;

    for (;;) {
        int client = accept(s->socket, NULL, NULL);
        if (client < 0) return NULL;
        answer(s, client);
    }
}

static void server_start(server *s)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;

    s->socket = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(s->socket, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(s->socket, 8), 0);
    ck_assert_int_eq(getsockname(s->socket, (struct sockaddr *)&at, &len), 0);
    s->port = ntohs(at.sin_port);
    ck_assert_int_eq(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(server *s)
{
    shutdown(s->socket, SHUT_RDWR);
    close(s->socket);
    pthread_join(s->thread, NULL);
}

static registry *open_at(int port, int64_t timeout_ms, uint32_t attempts)
{
    char url[64];
    registry *r;
    weir_error err;

    snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
    const registry_http_options options = { .url = slice_of(url), .user_info = SLICE("ann:secret"), .timeout_ms = timeout_ms,
                                            .attempts = attempts };
    ck_assert_int_eq(registry_open_http(&r, &options, &err), WEIR_OK);
    return r;
}

#define RUN(s, ...) server s = { .answers = { __VA_ARGS__ }, .count = (int)(sizeof (const char *[]){ __VA_ARGS__ } / sizeof(char *)) }; server_start(&s)

static void assert_message(const weir_error *err, const char *part)
{
    ck_assert_msg(strstr(err->message, part) != NULL, "'%s' is not in: %s", part, err->message);
}

/* ---- the client ---- */

START_TEST(schemas_come_by_id_and_are_asked_for_once)
{
    RUN(s, "200 {\"schema\":\"\\\"int\\\"\"}");
    registry *r = open_at(s.port, 2000, 1);
    const registered_schema *first, *again;
    weir_error err;

    ck_assert_int_eq(registry_by_id(r, 7, &first, &err), WEIR_OK);
    ck_assert_int_eq(registry_by_id(r, 7, &again, &err), WEIR_OK);
    ck_assert_ptr_eq(first, again);
    ck_assert_int_eq(s.requests, 1);
    ck_assert(slice_is(first->schema.text, "\"int\""));
    ck_assert_int_eq(first->id, 7);
    ck_assert_int_eq(first->schema.language, SCHEMA_AVRO);
    ck_assert_ptr_nonnull(strstr(s.last, "GET /schemas/ids/7 "));
    ck_assert_ptr_nonnull(strstr(s.last, "Authorization: Basic YW5uOnNlY3JldA=="));
    registry_close(r);
    server_stop(&s);
}
END_TEST

START_TEST(what_is_not_there_is_no_error)
{
    RUN(s, "404 {\"error_code\":40403,\"message\":\"Schema not found\"}");
    registry *r = open_at(s.port, 2000, 1);
    const registered_schema *found;
    weir_error err;

    ck_assert_int_eq(registry_by_id(r, 7, &found, &err), WEIR_OK);
    ck_assert_ptr_null(found);
    ck_assert_int_eq(registry_version(r, SLICE("a b/c"), 0, &found, &err), WEIR_OK);
    ck_assert_ptr_null(found);
    ck_assert_ptr_nonnull(strstr(s.last, "GET /subjects/a%20b%2Fc/versions/latest "));
    registry_close(r);
    server_stop(&s);
}
END_TEST

START_TEST(a_server_that_recovers_is_asked_again)
{
    RUN(s, "500 oops", "503 {}", "200 {\"subject\":\"t-value\",\"version\":3,\"id\":9,\"schemaType\":\"PROTOBUF\",\"schema\":\"syntax\","
                                  "\"references\":[{\"name\":\"a.proto\",\"subject\":\"a\",\"version\":2}]}");
    registry *r = open_at(s.port, 2000, 5);
    const registered_schema *found;
    weir_error err;

    ck_assert_int_eq(registry_version(r, SLICE("t-value"), 0, &found, &err), WEIR_OK);
    ck_assert_int_eq(s.requests, 3);
    ck_assert_int_eq(found->id, 9);
    ck_assert_int_eq(found->version, 3);
    ck_assert_int_eq(found->schema.language, SCHEMA_PROTOBUF);
    ck_assert_uint_eq(found->schema.reference_count, 1);
    ck_assert(slice_is(found->schema.references[0].name, "a.proto"));
    ck_assert_int_eq(found->schema.references[0].version, 2);
    registry_close(r);
    server_stop(&s);
}
END_TEST

START_TEST(a_server_that_stays_ill_is_an_error_to_retry)
{
    RUN(s, "500 oops");
    registry *r = open_at(s.port, 2000, 2);
    const registered_schema *found;
    weir_error err;

    ck_assert_int_eq(registry_by_id(r, 1, &found, &err), WEIR_BROKER);
    ck_assert_int_eq(err.act, WEIR_ACT_RETRY);
    assert_message(&err, "answers /schemas/ids/1 with status 500, asked 2 times: no reason given");
    ck_assert_int_eq(s.requests, 2);
    registry_close(r);
    server_stop(&s);
}
END_TEST

START_TEST(a_slow_server_is_given_up)
{
    RUN(s, "slow");
    registry *r = open_at(s.port, 100, 1);
    const registered_schema *found;
    weir_error err;

    ck_assert_int_eq(registry_by_id(r, 1, &found, &err), WEIR_BROKER);
    ck_assert_int_eq(err.act, WEIR_ACT_RETRY);
    assert_message(&err, "has not answered /schemas/ids/1 within 100 ms, asked 1 time");
    registry_close(r);
    server_stop(&s);
}
END_TEST

START_TEST(a_server_that_is_down_is_an_error_to_retry)
{
    RUN(s, "slow");
    int port = s.port;
    server_stop(&s);
    registry *r = open_at(port, 500, 2);
    int32_t id;
    weir_error err;
    const schema_text schema = { .text = SLICE("\"int\"") };

    ck_assert_int_eq(registry_register(r, SLICE("t-value"), &schema, &id, &err), WEIR_BROKER);
    ck_assert_int_eq(err.act, WEIR_ACT_RETRY);
    assert_message(&err, "127.0.0.1");
    registry_close(r);
}
END_TEST

START_TEST(answers_of_something_else_are_told)
{
    static const char *const ANSWERS[][2] = {
        { "200 <html>hello</html>", "no JSON" },
        { "200 {\"id\":1}", "no schema" },
        { "200 {\"schema\":\"x\",\"schemaType\":\"THRIFT\"}", "unknown type" },
        { "200 {\"schema\":\"x\",\"references\":[{}]}", "a reference lacks its name" },
        { "401 {}", "refuses access to /schemas/ids/1 (status 401): it does not take the user and password, or the token, that were given" },
        { "403 {\"error_code\":40301,\"message\":\"User is denied operation Read\"}", "refuses access to /schemas/ids/1 (status 403): User is "
          "denied operation Read; the user is known there and lacks the right" },
        { "404 <html>nothing here</html>", "answers /schemas/ids/1 as no schema registry does: status 404 without an error_code; is this its address" },
        { "418 {\"message\":\"a teapot\"}", "answers /schemas/ids/1 with status 418: a teapot" },
    };

    for (size_t i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++) {
        RUN(s, ANSWERS[i][0]);
        registry *r = open_at(s.port, 2000, 1);
        const registered_schema *found;
        weir_error err;
        ck_assert_int_eq(registry_by_id(r, 1, &found, &err), WEIR_BROKER);
        assert_message(&err, ANSWERS[i][1]);
        registry_close(r);
        server_stop(&s);
    }
}
END_TEST

START_TEST(a_schema_is_registered_once)
{
    RUN(s, "200 {\"id\":12}");
    registry *r = open_at(s.port, 2000, 1);
    int32_t id;
    weir_error err;
    const schema_text schema = { .language = SCHEMA_JSON, .text = SLICE("{\"type\":\"integer\"}") };

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(registry_register(r, SLICE("t-value"), &schema, &id, &err), WEIR_OK);
        ck_assert_int_eq(id, 12);
    }
    ck_assert_int_eq(s.requests, 1);
    ck_assert_ptr_nonnull(strstr(s.last, "POST /subjects/t-value/versions "));
    ck_assert_ptr_nonnull(strstr(s.last, "{\"schema\":\"{\\\"type\\\":\\\"integer\\\"}\",\"schemaType\":\"JSON\"}"));
    registry_close(r);
    server_stop(&s);
}
END_TEST

START_TEST(a_lone_json_schema_says_what_it_is)
{
    RUN(s, "200 {\"id\":12}");
    registry *r = open_at(s.port, 2000, 1);
    int32_t id;
    weir_error err;
    const schema_text schema = { .language = SCHEMA_JSON, .text = SLICE("{\"oneOf\":[{\"type\":\"null\"}]}") };

    ck_assert_int_eq(registry_register(r, SLICE("t-key"), &schema, &id, &err), WEIR_OK);
    ck_assert_ptr_nonnull(strstr(s.last, "{\\\"$schema\\\":\\\"http://json-schema.org/draft-07/schema#\\\",\\\"oneOf\\\":["));
    registry_close(r);
    server_stop(&s);
}
END_TEST

START_TEST(an_incompatible_schema_is_the_users_matter)
{
    RUN(s, "409 {\"error_code\":409,\"message\":\"Schema being registered is incompatible\"}");
    registry *r = open_at(s.port, 2000, 3);
    int32_t id;
    weir_error err;
    const schema_text schema = { .text = SLICE("\"int\"") };

    ck_assert_int_eq(registry_register(r, SLICE("t-value"), &schema, &id, &err), WEIR_SEMANTIC);
    assert_message(&err, "t-value");
    assert_message(&err, "incompatible");
    ck_assert_int_eq(s.requests, 1);
    registry_close(r);
    server_stop(&s);
}
END_TEST

START_TEST(a_schema_that_is_refused_says_what_may_do)
{
    static const char *const ANSWERS[][2] = {
        { "409 {\"message\":\"incompatible\"}", "does not take the schema of t-value (status 409): incompatible; keep to what the subject's earlier "
          "schemas allow, change its compatibility, or write to another topic" },
        { "422 {\"message\":\"Invalid schema\"}", "does not take the schema of t-value (status 422): Invalid schema; it takes it for invalid: other "
          "names or types of columns, or another format, may do" },
        { "403 {}", "refuses access to /subjects/t-value/versions (status 403)" },
        { "200 {}", "the registered schema has no id" },
    };
    const schema_text schema = { .text = SLICE("\"int\"") };

    for (size_t i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++) {
        RUN(s, ANSWERS[i][0]);
        registry *r = open_at(s.port, 2000, 1);
        int32_t id;
        weir_error err;
        ck_assert_int_eq(registry_register(r, SLICE("t-value"), &schema, &id, &err), i < 2 ? WEIR_SEMANTIC : WEIR_BROKER);
        assert_message(&err, ANSWERS[i][1]);
        registry_close(r);
        server_stop(&s);
    }
}
END_TEST

/* A user and password in the address are for the server, and for no message. */
START_TEST(no_message_shows_a_password)
{
    RUN(s, "500 oops");
    char url[64];
    registry *r;
    const registered_schema *found;
    weir_error err;

    snprintf(url, sizeof url, "http://ann:s3cret@127.0.0.1:%d", s.port);
    const registry_http_options options = { .url = slice_of(url), .timeout_ms = 2000, .attempts = 1 };
    ck_assert_int_eq(registry_open_http(&r, &options, &err), WEIR_OK);
    ck_assert_int_eq(registry_by_id(r, 1, &found, &err), WEIR_BROKER);
    assert_message(&err, "the schema registry at http://127.0.0.1:");
    ck_assert_ptr_null(strstr(err.message, "s3cret"));
    registry_close(r);
    server_stop(&s);
}
END_TEST

START_TEST(an_address_is_a_url)
{
    registry *r;
    weir_error err;
    const registry_http_options options = { .url = SLICE("localhost:8081") };

    ck_assert_int_eq(registry_open_http(&r, &options, &err), WEIR_SEMANTIC);
    assert_message(&err, "http://");
}
END_TEST

/* ---- the registry of a process ---- */

START_TEST(a_local_registry_counts_ids_and_versions)
{
    registry *r = registry_open_local(NULL);
    const registered_schema *found;
    weir_error err;
    int32_t id;
    const schema_text a = { .text = SLICE("\"int\"") }, b = { .text = SLICE("\"long\"") };

    ck_assert_int_eq(registry_register(r, SLICE("s"), &a, &id, &err), WEIR_OK);
    ck_assert_int_eq(id, 1);
    ck_assert_int_eq(registry_register(r, SLICE("s"), &b, &id, &err), WEIR_OK);
    ck_assert_int_eq(id, 2);
    ck_assert_int_eq(registry_register(r, SLICE("s"), &a, &id, &err), WEIR_OK);
    ck_assert_int_eq(id, 1);
    ck_assert_int_eq(registry_register(r, SLICE("other"), &b, &id, &err), WEIR_OK);
    ck_assert_int_eq(id, 2); /* one schema has one id */
    ck_assert_int_eq(registry_put(r, SLICE("s"), &a, 100), 100);
    ck_assert_int_eq(registry_put(r, SLICE("t"), &(schema_text){ .text = SLICE("\"string\"") }, 0), 101);
    ck_assert_int_eq(registry_version(r, SLICE("s"), 2, &found, &err), WEIR_OK);
    ck_assert_int_eq(found->id, 2);
    ck_assert_int_eq(registry_version(r, SLICE("s"), 0, &found, &err), WEIR_OK);
    ck_assert_int_eq(found->id, 100);
    ck_assert_int_eq(registry_by_id(r, 5, &found, &err), WEIR_OK);
    ck_assert_ptr_null(found);
    registry_close(r);
}
END_TEST

START_TEST(a_deleted_subject_begins_anew)
{
    registry *r = registry_open_local(NULL);
    const registered_schema *found;
    weir_error err;
    int32_t id;
    const schema_text a = { .text = SLICE("\"int\"") };

    ck_assert_int_eq(registry_register(r, SLICE("s"), &a, &id, &err), WEIR_OK);
    ck_assert_int_eq(registry_register(r, SLICE("t"), &a, &id, &err), WEIR_OK);
    ck_assert_int_eq(registry_delete(r, SLICE("s"), &err), WEIR_OK);
    ck_assert_int_eq(registry_delete(r, SLICE("never met"), &err), WEIR_OK);
    ck_assert_int_eq(registry_version(r, SLICE("s"), 0, &found, &err), WEIR_OK);
    ck_assert_ptr_null(found);
    ck_assert_int_eq(registry_version(r, SLICE("t"), 1, &found, &err), WEIR_OK);
    ck_assert_ptr_nonnull(found);
    ck_assert_int_eq(registry_by_id(r, 1, &found, &err), WEIR_OK);
    ck_assert_ptr_nonnull(found); /* what was written with it is still to be read */
    ck_assert_int_eq(registry_register(r, SLICE("s"), &a, &id, &err), WEIR_OK);
    ck_assert_int_eq(registry_version(r, SLICE("s"), 0, &found, &err), WEIR_OK);
    ck_assert_int_eq(found->version, 1);
    registry_close(r);
}
END_TEST

START_TEST(a_server_is_told_that_a_subject_is_deleted)
{
    RUN(s, "200 {\"id\": 3}", "200 [1]", "404 {\"error_code\": 40401, \"message\": \"Subject not found.\"}", "200 {\"id\": 3}",
        "422 {\"error_code\": 42206, \"message\": \"One or more references exist\"}");
    registry *r = open_at(s.port, 0, 1);
    weir_error err;
    int32_t id;
    const schema_text a = { .text = SLICE("\"int\"") };

    ck_assert_int_eq(registry_register(r, SLICE("t-value"), &a, &id, &err), WEIR_OK);
    ck_assert_int_eq(registry_delete(r, SLICE("t-value"), &err), WEIR_OK);
    ck_assert_msg(strncmp(s.last, "DELETE /subjects/t-value HTTP", 29) == 0, "%s", s.last);
    ck_assert_int_eq(registry_delete(r, SLICE("t-value"), &err), WEIR_OK); /* there is none: well and good */
    ck_assert_int_eq(registry_register(r, SLICE("t-value"), &a, &id, &err), WEIR_OK);
    ck_assert_int_eq(s.requests, 4); /* it was asked again, not taken from what is known */
    ck_assert_msg(strncmp(s.last, "POST /subjects/t-value/versions", 31) == 0, "%s", s.last);
    ck_assert_int_eq(registry_delete(r, SLICE("t-value"), &err), WEIR_BROKER);
    assert_message(&err, "One or more references exist");
    registry_close(r);
    server_stop(&s);
}
END_TEST

static void add_tests(TCase *all)
{
    tcase_add_test(all, schemas_come_by_id_and_are_asked_for_once);
    tcase_add_test(all, what_is_not_there_is_no_error);
    tcase_add_test(all, a_server_that_recovers_is_asked_again);
    tcase_add_test(all, a_server_that_stays_ill_is_an_error_to_retry);
    tcase_add_test(all, a_slow_server_is_given_up);
    tcase_add_test(all, a_server_that_is_down_is_an_error_to_retry);
    tcase_add_test(all, answers_of_something_else_are_told);
    tcase_add_test(all, a_schema_is_registered_once);
    tcase_add_test(all, a_lone_json_schema_says_what_it_is);
    tcase_add_test(all, an_incompatible_schema_is_the_users_matter);
    tcase_add_test(all, a_schema_that_is_refused_says_what_may_do);
    tcase_add_test(all, no_message_shows_a_password);
    tcase_add_test(all, an_address_is_a_url);
    tcase_add_test(all, a_local_registry_counts_ids_and_versions);
    tcase_add_test(all, a_deleted_subject_begins_anew);
    tcase_add_test(all, a_server_is_told_that_a_subject_is_deleted);
}

int main(void)
{
    return run_tests("registry", add_tests, NULL, NULL);
}
