/* tests/fuzz/fuzz_request_body.c - any bytes as the body of a request: what it says is read, its settings are made, its lines are
 * rows. The first byte says which. */
#include "serving.h"

#include "core/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void read_body(exchange *x, slice json)
{
    request_body body;

    if (body_read(x, json, &body)) {
        weir_session *session = body_session(x, &body, true);
        if (session != NULL && body.sql.data != NULL && utf8_fault(body.sql) < 0) {
            weir_script *script = weir_script_open(session, body.sql);
            weir_result *r;
            weir_error err;
            weir_script_allows(script, WEIR_ALLOW_READING);
            for (uint32_t i = 0; i < 20 && weir_script_next(script, &r, &err) == WEIR_OK && r != NULL; i++) weir_result_close(r);
            weir_script_close(script);
        }
        weir_session_close(session);
    }
    body_free(&body);
}

static void read_lines(exchange *x, slice lines)
{
    text taken = TEXT_EMPTY;
    weir_error errors[3];
    bool ended = false;

    exchange_give_body(x, lines);
    exchange_end_body(x);
    for (uint32_t i = 0; i < 8 && exchange_take_lines(x, 1, &taken, &ended); i++) {
        const slice rows[3] = { text_slice(&taken), SLICE("{\"k\":\"a\"}"), text_slice(&taken) };
        weir_insert_json(x->server->weir, SLICE("S"), rows, 3, errors);
        MUST(errors[0].rc == errors[2].rc && errors[1].rc == WEIR_OK);
        MUST(errors[0].rc == WEIR_OK || errors[0].message[0] != '\0');
    }
    text_free(&taken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    server *s = serving();
    exchange *x = exchange_new(s);
    slice rest = { (const char *)data + 1, bytes - 1 };

    if (bytes > 1 && bytes <= 65536) {
        if (data[0] & 1) read_lines(x, rest);
        else read_body(x, rest);
    }
    exchange_drop(x);
    turn(s, 0);
    return 0;
}
