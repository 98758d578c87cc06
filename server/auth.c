/* server/auth.c - see auth.h. A hash is "scrypt$LOG2N$R$P$SALT$KEY", salt and key in base64. */
#include "server/auth.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SALT_BYTES = 16, KEY_BYTES = 32, DIGEST_BYTES = 32, SLOTS = 1024, WAYS = 4, FILE_BYTES_MAX = 1 << 20, SECRET_BYTES_MAX = 1024 };
/* 16 MiB and some 40 ms a time. Larger ones may stand in the file, up to 256 MiB. */
enum { LOG2_N = 14, R = 8, P = 1, LOG2_N_MAX = 20, R_MAX = 32, P_MAX = 16 };
#define SCRYPT_BYTES_MAX ((uint64_t)300 << 20)

typedef struct account {
    slice name; /* in the file's text */
    auth_role role;
    uint32_t log2_n, r, p;
    uint8_t salt[SALT_BYTES], key[KEY_BYTES];
} account;

typedef struct slot {
    uint8_t digest[DIGEST_BYTES];
    auth_verdict verdict;
    auth_role role;
    uint32_t age;
} slot;

struct auth {
    atomic_int holders;
    text file;
    account *accounts;
    uint32_t count, room;
    uint8_t digest_key[DIGEST_BYTES];
    pthread_mutex_t lock;
    slot slots[SLOTS];
    uint32_t clock;
};

/* ---- the file ---- */

static slice next_word(slice *line)
{
    const char *from = line->data, *end = line->data + line->len;

    while (from < end && (*from == ' ' || *from == '\t' || *from == '\r')) from++;
    const char *to = from;
    while (to < end && *to != ' ' && *to != '\t' && *to != '\r') to++;
    *line = (slice){ to, (size_t)(end - to) };
    return (slice){ from, (size_t)(to - from) };
}

static slice next_part(slice *rest, char mark)
{
    const char *end = rest->len == 0 ? NULL : memchr(rest->data, mark, rest->len);
    slice part = { rest->data, end == NULL ? rest->len : (size_t)(end - rest->data) };

    *rest = end == NULL ? (slice){ rest->data + rest->len, 0 } : (slice){ end + 1, rest->len - part.len - 1 };
    return part;
}

static bool read_number(slice digits, uint32_t low, uint32_t high, uint32_t *out)
{
    *out = 0;
    if (digits.len == 0 || digits.len > 6) return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9') return false;
        *out = *out * 10 + (uint32_t)(digits.data[i] - '0');
    }
    return *out >= low && *out <= high;
}

/* Of exactly that many bytes (exact false: at most), with or without '=' at its end. *len: how many. */
static bool read_base64(slice coded, uint8_t *out, size_t room, bool exact, size_t *len)
{
    unsigned char padded[((SECRET_BYTES_MAX + 2) / 3) * 4 + 4], decoded[SECRET_BYTES_MAX + 6];
    size_t pad = 0;

    while (coded.len > 0 && coded.data[coded.len - 1] == '=' && pad < 2) {
        coded.len--;
        pad++;
    }
    size_t whole = (coded.len + 3) / 4 * 4;
    if (coded.len % 4 == 1 || whole > sizeof padded || whole / 4 * 3 > sizeof decoded) return false;
    memcpy(padded, coded.data, coded.len);
    memset(padded + coded.len, '=', whole - coded.len);
    if (memchr(coded.data, '=', coded.len) != NULL) return false;
    if (whole > 0 && EVP_DecodeBlock(decoded, padded, (int)whole) < 0) return false;
    *len = coded.len * 3 / 4;
    if (*len > room || (exact && *len != room)) return false;
    memcpy(out, decoded, *len);
    OPENSSL_cleanse(decoded, sizeof decoded);
    OPENSSL_cleanse(padded, sizeof padded);
    return true;
}

static bool read_hash(slice hash, account *into)
{
    size_t len;
    bool ok = slice_is(next_part(&hash, '$'), "scrypt") && read_number(next_part(&hash, '$'), 1, LOG2_N_MAX, &into->log2_n) &&
              read_number(next_part(&hash, '$'), 1, R_MAX, &into->r) && read_number(next_part(&hash, '$'), 1, P_MAX, &into->p) &&
              read_base64(next_part(&hash, '$'), into->salt, SALT_BYTES, true, &len) &&
              read_base64(hash, into->key, KEY_BYTES, true, &len);
    return ok && ((uint64_t)128 << into->log2_n) * into->r < SCRYPT_BYTES_MAX;
}

static auth_role role_of(slice name)
{
    return slice_is(name, "read") ? ROLE_READ : slice_is(name, "admin") ? ROLE_ADMIN : ROLE_NONE;
}

static weir_rc take_line(auth *a, slice file, uint32_t number, slice line, weir_error *err)
{
    account one = { .name = next_word(&line) };
    slice role = next_word(&line), hash = next_word(&line);
    const char *why = NULL;

    if (one.name.len == 0 || one.name.data[0] == '#') return WEIR_OK;
    one.role = role_of(role);
    if (memchr(one.name.data, ':', one.name.len) != NULL) why = "a name has no ':'";
    else if (one.role == ROLE_NONE) why = "the role is read or admin";
    else if (!read_hash(hash, &one)) why = "the hash is not as weir server --hash-secret makes it";
    else if (next_word(&line).len > 0) why = "there is more behind the hash";
    for (uint32_t i = 0; why == NULL && i < a->count; i++) {
        if (slice_equal(a->accounts[i].name, one.name)) why = "the name stands there twice";
    }
    if (why != NULL) return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "%.*s:%u: a line is NAME ROLE HASH: %s", SLICE_ARG(file), number, why);
    if (a->count == a->room) {
        a->room = a->room * 2 + 8;
        a->accounts = realloc(a->accounts, a->room * sizeof one);
        if (a->accounts == NULL) abort();
    }
    a->accounts[a->count++] = one;
    return WEIR_OK;
}

static weir_rc read_all(slice file, text *into, weir_error *err)
{
    char path[4096], bytes[4096];
    struct stat what;
    ssize_t got;

    snprintf(path, sizeof path, "%.*s", SLICE_ARG(file));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &what) != 0) {
        weir_fail(err, WEIR_RUNTIME, NOWHERE, "cannot open the accounts in %s: %s", path, strerror(errno));
        if (fd >= 0) close(fd);
        return err->rc;
    }
    if (what.st_mode & S_IWOTH) {
        close(fd);
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "anyone may write accounts into %s: take that right away (chmod o-w)", path);
    }
    while ((got = read(fd, bytes, sizeof bytes)) > 0 && into->len < FILE_BYTES_MAX) text_add(into, (slice){ bytes, (size_t)got });
    if (got < 0) weir_fail(err, WEIR_RUNTIME, NOWHERE, "cannot read the accounts in %s: %s", path, strerror(errno));
    if (got > 0) weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the file of accounts %s is larger than 1 MiB", path);
    close(fd);
    return got == 0 ? WEIR_OK : err->rc;
}

weir_rc auth_load(auth **out, slice file, weir_error *err)
{
    auth *a = calloc(1, sizeof *a);
    weir_rc rc;

    if (a == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory for accounts");
    atomic_init(&a->holders, 1);
    pthread_mutex_init(&a->lock, NULL);
    rc = read_all(file, &a->file, err);
    slice rest = text_slice(&a->file);
    for (uint32_t number = 1; rc == WEIR_OK && rest.len > 0; number++) rc = take_line(a, file, number, next_part(&rest, '\n'), err);
    if (rc == WEIR_OK && a->count == 0) rc = weir_fail(err, WEIR_SEMANTIC, NOWHERE, "there is no account in %.*s: nobody could do anything", SLICE_ARG(file));
    if (rc == WEIR_OK && RAND_bytes(a->digest_key, sizeof a->digest_key) != 1) {
        rc = weir_fail(err, WEIR_RUNTIME, NOWHERE, "the system has no random bytes");
    }
    if (rc == WEIR_OK) *out = a;
    else auth_drop(a);
    return rc;
}

auth *auth_hold(auth *a)
{
    atomic_fetch_add(&a->holders, 1);
    return a;
}

void auth_drop(auth *a)
{
    if (a == NULL || atomic_fetch_sub(&a->holders, 1) > 1) return;
    pthread_mutex_destroy(&a->lock);
    text_free(&a->file);
    free(a->accounts);
    free(a);
}

/* ---- what is known ---- */

static void digest_of(const auth *a, slice header, uint8_t *out)
{
    unsigned int len = DIGEST_BYTES;

    if (HMAC(EVP_sha256(), a->digest_key, DIGEST_BYTES, (const unsigned char *)header.data, header.len, out, &len) == NULL) abort();
}

/* The ways of a digest lie side by side. */
static slot *ways_of(auth *a, const uint8_t *digest)
{
    return &a->slots[(digest[0] | (uint32_t)digest[1] << 8) % (SLOTS / WAYS) * WAYS];
}

auth_verdict auth_look_up(auth *a, slice header, auth_role *role)
{
    uint8_t digest[DIGEST_BYTES];
    auth_verdict found = AUTH_UNKNOWN;

    digest_of(a, header, digest);
    pthread_mutex_lock(&a->lock);
    slot *ways = ways_of(a, digest);
    for (uint32_t i = 0; i < WAYS; i++) {
        if (ways[i].verdict == AUTH_UNKNOWN || memcmp(ways[i].digest, digest, DIGEST_BYTES) != 0) continue;
        ways[i].age = ++a->clock;
        found = ways[i].verdict;
        *role = ways[i].role;
    }
    pthread_mutex_unlock(&a->lock);
    return found;
}

static void keep(auth *a, slice header, auth_verdict verdict, auth_role role)
{
    uint8_t digest[DIGEST_BYTES];

    digest_of(a, header, digest);
    pthread_mutex_lock(&a->lock);
    slot *ways = ways_of(a, digest), *oldest = ways;
    /* Who guesses does not push out who knows. */
    for (uint32_t i = 1; i < WAYS; i++) {
        bool is_worse = ways[i].verdict < oldest->verdict || (ways[i].verdict == oldest->verdict && ways[i].age < oldest->age);
        if (is_worse) oldest = &ways[i];
    }
    if (verdict == AUTH_GRANTED || oldest->verdict != AUTH_GRANTED) {
        memcpy(oldest->digest, digest, DIGEST_BYTES);
        *oldest = (slot){ .verdict = verdict, .role = role, .age = ++a->clock };
        memcpy(oldest->digest, digest, DIGEST_BYTES);
    }
    pthread_mutex_unlock(&a->lock);
}

/* ---- verifying ---- */

static bool hash_secret(const account *as, slice secret, uint8_t *out)
{
    return EVP_PBE_scrypt(secret.data, secret.len, as->salt, SALT_BYTES, (uint64_t)1 << as->log2_n, as->r, as->p, SCRYPT_BYTES_MAX, out,
                          KEY_BYTES) == 1;
}

static const account *find(const auth *a, slice name)
{
    for (uint32_t i = 0; i < a->count; i++) {
        if (slice_equal(a->accounts[i].name, name)) return &a->accounts[i];
    }
    return NULL;
}

/* The account whose name, with a dot, begins the token: the longest, since names may have dots. */
static const account *find_of_token(const auth *a, slice token)
{
    const account *best = NULL;

    for (uint32_t i = 0; i < a->count; i++) {
        slice name = a->accounts[i].name;
        bool begins = token.len > name.len && memcmp(token.data, name.data, name.len) == 0 && token.data[name.len] == '.';
        if (begins && (best == NULL || name.len > best->name.len)) best = &a->accounts[i];
    }
    return best;
}

static bool begins_with_scheme(slice *header, const char *scheme)
{
    size_t len = strlen(scheme);

    if (header->len <= len || strncasecmp(header->data, scheme, len) != 0 || header->data[len] != ' ') return false;
    *header = (slice){ header->data + len, header->len - len };
    while (header->len > 0 && header->data[0] == ' ') *header = (slice){ header->data + 1, header->len - 1 };
    while (header->len > 0 && header->data[header->len - 1] == ' ') header->len--;
    return true;
}

static auth_verdict verify_secret(const auth *a, const account *one, slice secret, auth_role *role)
{
    uint8_t key[KEY_BYTES];
    /* A name nobody has takes as long as one somebody has. */
    bool is_right = hash_secret(one == NULL ? &a->accounts[0] : one, secret, key);

    is_right = is_right && one != NULL && CRYPTO_memcmp(key, one->key, KEY_BYTES) == 0;
    OPENSSL_cleanse(key, sizeof key);
    if (is_right) *role = one->role;
    return is_right ? AUTH_GRANTED : AUTH_REFUSED;
}

static auth_verdict verify(const auth *a, slice header, auth_role *role)
{
    uint8_t plain[SECRET_BYTES_MAX];
    size_t len;

    if (begins_with_scheme(&header, "Basic")) {
        if (!read_base64(header, plain, sizeof plain, false, &len)) return AUTH_REFUSED;
        slice secret = { (const char *)plain, len }, name = next_part(&secret, ':');
        auth_verdict verdict = verify_secret(a, find(a, name), secret, role);
        OPENSSL_cleanse(plain, sizeof plain);
        return verdict;
    }
    if (!begins_with_scheme(&header, "Bearer") || header.len > SECRET_BYTES_MAX) return AUTH_REFUSED;
    const account *one = find_of_token(a, header);
    slice secret = one == NULL ? header : (slice){ header.data + one->name.len + 1, header.len - one->name.len - 1 };
    return verify_secret(a, one, secret, role);
}

auth_verdict auth_verify(auth *a, slice header, auth_role *role)
{
    auth_verdict verdict = auth_look_up(a, header, role);

    if (verdict != AUTH_UNKNOWN) return verdict;
    *role = ROLE_NONE;
    verdict = verify(a, header, role);
    keep(a, header, verdict, *role);
    return verdict;
}

/* ---- making a line ---- */

static void add_base64(text *out, const uint8_t *bytes, size_t len)
{
    unsigned char coded[64];

    EVP_EncodeBlock(coded, bytes, (int)len);
    text_add_c(out, (const char *)coded);
}

weir_rc auth_make_line(slice given, slice secret, text *out, weir_error *err)
{
    account one = { .log2_n = LOG2_N, .r = R, .p = P };
    slice role = given, name = next_part(&role, ':');
    slice rest = name;

    if (next_word(&rest).len != name.len || name.len == 0 || name.data[0] == '#' || role_of(role) == ROLE_NONE) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "an account is given as NAME:read or NAME:admin, the name without blanks, not '%.*s'",
                         SLICE_ARG(given));
    }
    if (secret.len == 0 || secret.len + name.len + 1 > SECRET_BYTES_MAX) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "a secret has between 1 and some 1000 bytes");
    }
    if (RAND_bytes(one.salt, SALT_BYTES) != 1 || !hash_secret(&one, secret, one.key)) {
        return weir_fail(err, WEIR_RUNTIME, NOWHERE, "the secret could not be hashed: no random bytes, or no memory");
    }
    text_printf(out, "%.*s %.*s scrypt$%u$%u$%u$", SLICE_ARG(name), SLICE_ARG(role), one.log2_n, one.r, one.p);
    add_base64(out, one.salt, SALT_BYTES);
    text_add_char(out, '$');
    add_base64(out, one.key, KEY_BYTES);
    text_add_char(out, '\n');
    return WEIR_OK;
}
