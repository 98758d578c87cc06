/* server/tls.c - TLS of a connection, by OpenSSL, between the socket and HTTP. Nothing here blocks: what cannot be done now is
 * done when epoll says that the socket is fit for what TLS waits for. */
#include "server/inside.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>

/* What both sides speak: HTTP/2 where the client offers it. */
static int choose_protocol(SSL *tls, const unsigned char **out, unsigned char *out_len, const unsigned char *offered, unsigned int len,
                           void *unused)
{
    static const unsigned char OURS[] = "\x02h2\x08http/1.1";
    unsigned char *chosen;

    (void)tls;
    (void)unused;
    if (SSL_select_next_proto(&chosen, out_len, OURS, sizeof OURS - 1, offered, len) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static weir_rc fail_file(weir_error *err, const char *what, slice file)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);
    const char *why = reason != NULL ? reason : ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : "it is no PEM file";

    weir_fail(err, WEIR_RUNTIME, NOWHERE, "%s %.*s cannot be used: %s", what, SLICE_ARG(file), why);
    ERR_clear_error();
    return err->rc;
}

weir_rc tls_load(struct ssl_ctx_st **out, slice certificate, slice key, weir_error *err)
{
    char path[2][4096];
    SSL_CTX *t = SSL_CTX_new(TLS_server_method());

    if (t == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory for TLS");
    if (certificate.len >= sizeof path[0] || key.len >= sizeof path[1]) {
        SSL_CTX_free(t);
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the path of a TLS file is too long");
    }
    memcpy(path[0], certificate.data, certificate.len);
    path[0][certificate.len] = '\0';
    memcpy(path[1], key.data, key.len);
    path[1][key.len] = '\0';
    SSL_CTX_set_min_proto_version(t, TLS1_2_VERSION);
    SSL_CTX_set_options(t, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(t, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(t, SSL_SESS_CACHE_OFF); /* sessions are the client's to keep, in tickets */
    SSL_CTX_set_alpn_select_cb(t, choose_protocol, NULL);
    ERR_clear_error();
    weir_rc rc = WEIR_OK;
    if (SSL_CTX_use_certificate_chain_file(t, path[0]) != 1) rc = fail_file(err, "the certificate", certificate);
    else if (SSL_CTX_use_PrivateKey_file(t, path[1], SSL_FILETYPE_PEM) != 1) rc = fail_file(err, "the key", key);
    else if (SSL_CTX_check_private_key(t) != 1) rc = fail_file(err, "the key is not the certificate's:", key);
    if (rc == WEIR_OK) *out = t;
    else SSL_CTX_free(t);
    return rc;
}

void tls_unload(struct ssl_ctx_st *t)
{
    SSL_CTX_free(t);
}

bool tls_open(connection *c)
{
    c->tls = SSL_new(c->server->tls);
    if (c->tls == NULL || SSL_set_fd(c->tls, c->fd) != 1) return false;
    SSL_set_accept_state(c->tls);
    return true;
}

bool tls_is_http2(const connection *c)
{
    const unsigned char *agreed = NULL;
    unsigned int len = 0;

    if (c->tls != NULL) SSL_get0_alpn_selected(c->tls, &agreed, &len);
    return len == 2 && memcmp(agreed, "h2", 2) == 0;
}

void tls_close(connection *c)
{
    if (c->tls == NULL) return;
    ERR_clear_error();
    if (SSL_is_init_finished(c->tls) && !c->is_broken) SSL_shutdown(c->tls);
    ERR_clear_error();
    SSL_free(c->tls);
}

/* Of a call that gave `result`: 0, it is to be called again when the socket is fit; -1, the connection has ended. */
static ssize_t what_now(connection *c, int result, bool *reads, bool *writes)
{
    switch (SSL_get_error(c->tls, result)) {
    case SSL_ERROR_WANT_READ: *reads = true; return 0;
    case SSL_ERROR_WANT_WRITE: *writes = true; return 0;
    default: break;
    }
    c->is_broken = true;
    ERR_clear_error();
    return -1;
}

/* OpenSSL's queue of errors is the thread's: what another connection left there would be taken for this one's. */
ssize_t connection_read(connection *c, char *bytes, size_t room)
{
    bool reads = false;

    if (c->tls == NULL) {
        ssize_t got = recv(c->fd, bytes, room, 0);
        if (got > 0) return got;
        return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? 0 : -1;
    }
    c->tls_read_wants_room = false;
    ERR_clear_error();
    int got = SSL_read(c->tls, bytes, room > INT32_MAX ? INT32_MAX : (int)room);
    return got > 0 ? got : what_now(c, got, &reads, &c->tls_read_wants_room);
}

ssize_t connection_write(connection *c, const char *bytes, size_t len)
{
    bool writes = false;

    if (c->tls == NULL) {
        ssize_t sent;
        do {
            sent = send(c->fd, bytes, len, MSG_NOSIGNAL);
        } while (sent < 0 && errno == EINTR);
        if (sent > 0) return sent;
        return sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : -1;
    }
    c->tls_write_wants_bytes = false;
    ERR_clear_error();
    int sent = SSL_write(c->tls, bytes, len > INT32_MAX ? INT32_MAX : (int)len);
    return sent > 0 ? sent : what_now(c, sent, &c->tls_write_wants_bytes, &writes);
}
