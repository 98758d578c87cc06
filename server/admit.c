/* server/admit.c - whether a request is let in: where it comes from, who sends it, and what that role may do.
 *
 * Browsers say by Origin on whose behalf they ask. A page of another site is turned away, since any page a user looks at could
 * else speak to a server on the user's own machine; on loopback so is a name that someone else's DNS may have pointed here. */
#include "server/inside.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

enum { VERIFY_MAX = 256 };

/* ---- from where ---- */

/* "host:port" to its host; brackets stay. */
static slice host_of(slice authority)
{
    const char *colon = authority.len == 0 ? NULL : memrchr(authority.data, ':', authority.len);
    bool is_port = colon != NULL && memchr(colon, ']', (size_t)(authority.data + authority.len - colon)) == NULL;

    return is_port ? (slice){ authority.data, (size_t)(colon - authority.data) } : authority;
}

static bool is_own_name(slice host)
{
    char name[INET6_ADDRSTRLEN];
    struct in6_addr address;

    if (slice_equal_nocase(host, SLICE("localhost"))) return true;
    if (host.len > 2 && host.data[0] == '[') host = (slice){ host.data + 1, host.len - 2 };
    if (host.len == 0 || host.len >= sizeof name) return false;
    snprintf(name, sizeof name, "%.*s", SLICE_ARG(host));
    return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
}

static bool comes_from_elsewhere(const exchange *x)
{
    slice origin = exchange_header(x, HEADER_ORIGIN), host = exchange_header(x, HEADER_HOST);
    const char *scheme = origin.len == 0 ? NULL : memmem(origin.data, origin.len, "://", 3);

    if (origin.data == NULL) return false;
    if (scheme == NULL) return true; /* "null": a page without an address */
    slice authority = { scheme + 3, (size_t)(origin.data + origin.len - scheme - 3) };
    return !slice_equal_nocase(authority, host) || (x->server->is_loopback && !is_own_name(host_of(host)));
}

/* ---- who ---- */

static void refuse_account(exchange *x, const char *why)
{
    char peer[64], missed[24];

    exchange_set_header(x, "www-authenticate", SLICE("Basic realm=\"weir\", charset=\"UTF-8\""));
    exchange_fail(x, 401, 40100, "%s", why);
    atomic_fetch_add(&x->server->failures, 1);
    atomic_fetch_add(&x->server->accounts_refused, 1);
    if (!log_is_due(x->server, &x->server->refused_accounts, missed, sizeof missed)) return;
    connection_peer(x->connection, peer, sizeof peer);
    server_log(x->server, "account_refused", "peer", peer, "why", why, "more", strcmp(missed, "0") == 0 ? NULL : missed, NULL);
}

/* One exchange a turn, so that others get theirs. */
static job_turn verify_step(job *self)
{
    server *s = *(server **)(self + 1);
    auth_role role = ROLE_NONE;

    pthread_mutex_lock(&s->verify_lock);
    exchange *x = s->verify_first;
    if (x != NULL) {
        s->verify_first = x->next_verify;
        if (s->verify_first == NULL) s->verify_last = NULL;
        s->verify_count--;
    }
    s->is_verifying = x != NULL;
    pthread_mutex_unlock(&s->verify_lock);
    if (x == NULL) return JOB_DONE;
    if (!exchange_is_gone(x)) {
        auth_verdict verdict = auth_verify(x->auth, exchange_header(x, HEADER_AUTHORIZATION), &role);
        x->role = role;
        atomic_store(&x->verdict, verdict);
        server_note_news(x);
    }
    exchange_drop(x);
    return JOB_AGAIN;
}

static void verify_close(job *self)
{
    free(self);
}

static bool start_verifying(server *s)
{
    job *j = calloc(1, sizeof *j + sizeof s);

    if (j == NULL) abort();
    *j = (job){ .step = verify_step, .close = verify_close };
    *(server **)(j + 1) = s;
    if (pool_add(s->pool, j)) return true;
    free(j);
    return false;
}

/* One worker verifies, whatever comes: guessing secrets slows nobody but those who guess. */
static void verify_later(exchange *x)
{
    server *s = x->server;

    x->auth = auth_hold(s->auth);
    pthread_mutex_lock(&s->verify_lock);
    bool fits = s->verify_count < VERIFY_MAX && (s->is_verifying || start_verifying(s));
    if (fits) {
        s->is_verifying = true;
        s->verify_count++;
        exchange_hold(x);
        x->next_verify = NULL;
        x->is_verifying = true;
        if (s->verify_last == NULL) s->verify_first = x;
        else s->verify_last->next_verify = x;
        s->verify_last = x;
    }
    pthread_mutex_unlock(&s->verify_lock);
    if (!fits) exchange_fail(x, 429, 42900, "too many secrets are being verified: try again later");
}

static void remember(connection *c, slice header, auth_role role)
{
    text_clear(&c->authorized);
    text_add(&c->authorized, header);
    c->authorized_role = role;
    c->authorized_by = c->server->auth_number;
}

/* AUTH_UNKNOWN: a worker is to find out. */
static auth_verdict identify(exchange *x)
{
    server *s = x->server;
    connection *c = x->connection;
    slice header = exchange_header(x, HEADER_AUTHORIZATION);

    if (header.data == NULL) return AUTH_REFUSED;
    if (c->authorized_by == s->auth_number && slice_equal(text_slice(&c->authorized), header)) {
        x->role = c->authorized_role;
        return AUTH_GRANTED;
    }
    auth_verdict known = auth_look_up(s->auth, header, &x->role);
    if (known == AUTH_GRANTED) remember(c, header, x->role);
    return known;
}

void admit_verified(exchange *x)
{
    connection *c = x->connection;

    x->is_verifying = false;
    if (atomic_load(&x->verdict) == AUTH_GRANTED && x->auth == x->server->auth) {
        remember(c, exchange_header(x, HEADER_AUTHORIZATION), x->role);
    }
    route_dispatch(x);
}

/* ---- all of it ---- */

static auth_role needed_role(const exchange *x)
{
    return x->route == NULL ? ROLE_READ : x->route->needs;
}

bool admit_is_hopeless(exchange *x)
{
    if (comes_from_elsewhere(x)) return true;
    if (x->server->auth == NULL || needed_role(x) == ROLE_NONE) return false;
    return identify(x) == AUTH_REFUSED;
}

static bool admit_account(exchange *x)
{
    auth_role needed = needed_role(x);
    auth_verdict verdict = atomic_load(&x->verdict);

    if (x->server->auth == NULL || needed == ROLE_NONE) {
        x->role = ROLE_ADMIN;
        return true;
    }
    if (verdict == AUTH_UNKNOWN) verdict = identify(x);
    if (verdict == AUTH_UNKNOWN) {
        verify_later(x);
        return false;
    }
    if (verdict == AUTH_REFUSED) {
        refuse_account(x, exchange_header(x, HEADER_AUTHORIZATION).data == NULL
                              ? "this server wants to know who asks: a name and password (Basic), or a token (Bearer)"
                              : "name and password, or the token, are not those of an account");
        return false;
    }
    if (x->role >= needed) return true;
    atomic_fetch_add(&x->server->failures, 1);
    exchange_fail(x, 403, 40300, "the role read may ask; this needs the role admin");
    return false;
}

bool admit(exchange *x)
{
    if (comes_from_elsewhere(x)) {
        atomic_fetch_add(&x->server->failures, 1);
        exchange_fail(x, 403, 40300, "pages of other sites may not ask this server");
        return false;
    }
    return admit_account(x);
}

weir_allow exchange_allows(const exchange *x)
{
    if (x->role < ROLE_ADMIN) return WEIR_ALLOW_QUERIES | WEIR_ALLOW_READING;
    return x->server->options.is_headless ? WEIR_ALLOW_ALL & ~(unsigned)WEIR_ALLOW_CHANGES : WEIR_ALLOW_ALL;
}

int explain_refusal(const exchange *x, weir_allow asked, weir_error *err)
{
    if (asked == WEIR_ALLOW_QUERIES) {
        weir_fail(err, WEIR_SEMANTIC, NOWHERE, "SELECT and PRINT queries go to /query or /query-stream");
        return 400;
    }
    if (x->role < ROLE_ADMIN) weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the role read may ask and look; this statement needs the role admin");
    else weir_fail(err, WEIR_SEMANTIC, NOWHERE, "this server runs a fixed script (--queries): change the script and start it again");
    return 403;
}
