/* tests/faults/shim.c - preloaded into a process, it makes calls that write fail as a disk does: write, pwrite, writev, pwritev,
 * fsync, fdatasync, msync, ftruncate. The file that FAULT_CONTROL names says which, and is read and written while the process
 * runs: a `control`, below, in the machine's byte order. FAULT_DIR: only files in that directory count (msync always does).
 * A call that is to fail is not made. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

typedef struct control {
    atomic_uint calls;  /* seen so far */
    atomic_uint at;     /* the call to fail, from 1; 0: none */
    atomic_uint last;   /* the last one to fail; `at`: that alone */
    atomic_uint code;   /* errno of those that fail; 0: of what is to be written only half is */
    atomic_uint failed; /* calls that were made to fail */
} control;

static control *faults;
static char dir[4096];

__attribute__((constructor)) static void attach(void)
{
    const char *path = getenv("FAULT_CONTROL"), *only = getenv("FAULT_DIR");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (fd >= 0) close(fd);
    if (only != NULL) snprintf(dir, sizeof dir, "%s/", only);
    if (map != MAP_FAILED) faults = map;
}

static bool counts(int fd)
{
    char link[64], path[4096];

    if (dir[0] == '\0' || fd < 0) return true;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    return len > 0 && (size_t)len > strlen(dir) && memcmp(path, dir, strlen(dir)) == 0;
}

typedef enum fate { MADE, HALVED, FAILED } fate; /* FAILED: errno is set */

/* fd -1: a call without one. */
static fate fate_of(int fd)
{
    if (faults == NULL || !counts(fd)) return MADE;
    unsigned call = atomic_fetch_add(&faults->calls, 1) + 1, at = atomic_load(&faults->at), code = atomic_load(&faults->code);
    if (at == 0 || call < at || call > atomic_load(&faults->last)) return MADE;
    atomic_fetch_add(&faults->failed, 1);
    if (code == 0) return HALVED;
    errno = (int)code;
    return FAILED;
}

#define REAL(name) \
    static __typeof__(&name) _Atomic known; /* threads come here */ \
    if (known == NULL) known = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
    __typeof__(&name) real = known

/* Nothing can be halved: as if it were full at once. */
static int no_room(void)
{
    errno = ENOSPC;
    return -1;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    REAL(write);
    fate f = fate_of(fd);
    return f == FAILED ? -1 : real(fd, bytes, f == HALVED ? len / 2 : len);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    REAL(pwrite);
    fate f = fate_of(fd);
    return f == FAILED ? -1 : real(fd, bytes, f == HALVED ? len / 2 : len, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
    REAL(pwrite64);
    fate f = fate_of(fd);
    return f == FAILED ? -1 : real(fd, bytes, f == HALVED ? len / 2 : len, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL(writev);
    fate f = fate_of(fd);
    return f == FAILED ? -1 : f == HALVED && count < 2 ? no_room() : real(fd, parts, f == HALVED ? count / 2 : count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    REAL(pwritev);
    fate f = fate_of(fd);
    return f == FAILED ? -1 : f == HALVED && count < 2 ? no_room() : real(fd, parts, f == HALVED ? count / 2 : count, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
    REAL(pwritev64);
    fate f = fate_of(fd);
    return f == FAILED ? -1 : f == HALVED && count < 2 ? no_room() : real(fd, parts, f == HALVED ? count / 2 : count, at);
}

#define WHOLE(name, fd, parameters, arguments)                    \
    int name parameters                                           \
    {                                                             \
        REAL(name);                                               \
        fate f = fate_of(fd);                                     \
        return f == FAILED ? -1 : f == HALVED ? no_room() : real arguments; \
    }
WHOLE(fsync, fd, (int fd), (fd))
WHOLE(fdatasync, fd, (int fd), (fd))
WHOLE(msync, -1, (void *at, size_t len, int flags), (at, len, flags))
WHOLE(ftruncate, fd, (int fd, off_t len), (fd, len))
WHOLE(ftruncate64, fd, (int fd, off64_t len), (fd, len))
