/* Let one call that writes to a folder fail, or end the process; loaded with LD_PRELOAD.

   Counted are calls that create, write, cut, flush or rename files, and make folders, where the path of the file lies below the
   folder that `fail_at` is told. Files are known by what /proc says of them, so nothing need be remembered. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { ONCE, FULL, KILL }; /* fail once; fail from then on; end the process in the middle of the call */

static char below[4096];
static long count, chosen = -1;
static int way, reason, record = -1;

/* Begin to count. The call of that number fails with an error number, or ends the process; each is written to `file`. */
void fail_at(const char *folder, long number, int how, int error, int file) {
    snprintf(below, sizeof below, "%s/", folder);
    count = 0, chosen = number, way = how, reason = error, record = file;
}

/* Return whether a call is to fail; a process that is to end is ended, after half of what it writes. */
static int fails(const char *what, const char *path, int fd, const void *bytes, size_t size, off64_t offset) {
    if (!below[0] || strncmp(path, below, strlen(below))) return 0;
    int kept = errno;
    long number = __atomic_fetch_add(&count, 1, __ATOMIC_SEQ_CST);
    if (record >= 0) {
        char line[4300];
        int length = snprintf(line, sizeof line, "%ld %s %s\n", number, what, path + strlen(below));
        syscall(SYS_write, record, line, (size_t)length);
    }
    errno = kept;
    if (chosen < 0 || number < chosen || (number > chosen && way != FULL)) return 0;
    if (number == chosen && way != ONCE && bytes) {
        if (offset < 0) syscall(SYS_write, fd, bytes, size / 2);
        else syscall(SYS_pwrite64, fd, bytes, size / 2, offset);
    }
    if (way == KILL) kill(getpid(), SIGKILL);
    errno = reason;
    return 1;
}

static int fd_fails(const char *what, int fd, const void *bytes, size_t size, off64_t offset) {
    if (!below[0]) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int kept = errno;
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = kept;
    if (length < 0) return 0;
    path[length] = 0;
    return fails(what, path, fd, bytes, size, offset);
}

static int path_fails(const char *what, int folder, const char *path) {
    if (!below[0]) return 0;
    char whole[8300], base[4096];
    if (path[0] == '/') return fails(what, path, -1, NULL, 0, -1);
    char link[64] = "/proc/self/cwd";
    if (folder != AT_FDCWD) snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = readlink(link, base, sizeof base - 1);
    if (length < 0) return 0;
    base[length] = 0;
    snprintf(whole, sizeof whole, "%s/%s", base, path);
    return fails(what, whole, -1, NULL, 0, -1);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t size) { return fd_fails("write", fd, bytes, size, -1) ? -1 : REAL(write)(fd, bytes, size); }

#define PWRITE(name, offset_t)                                                       \
    ssize_t name(int fd, const void *bytes, size_t size, offset_t offset) {          \
        return fd_fails("write", fd, bytes, size, offset) ? -1 : REAL(name)(fd, bytes, size, offset); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define SENDFILE(name, offset_t)                                                     \
    ssize_t name(int out, int in, offset_t *offset, size_t size) {                   \
        return fd_fails("copy", out, NULL, 0, -1) ? -1 : REAL(name)(out, in, offset, size); \
    }

SENDFILE(sendfile, off_t)
SENDFILE(sendfile64, off64_t)

#define TRUNCATE(name, offset_t) \
    int name(int fd, offset_t size) { return fd_fails("cut", fd, NULL, 0, -1) ? -1 : REAL(name)(fd, size); }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

int fsync(int fd) { return fd_fails("flush", fd, NULL, 0, -1) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return fd_fails("flush", fd, NULL, 0, -1) ? -1 : REAL(fdatasync)(fd); }

static int creates(int flags, const char *path, int folder) {
    if (!(flags & O_CREAT)) return 0;
    return path_fails("create", folder, path);
}

#define MODE(flags)                                   \
    mode_t mode = 0;                                  \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {          \
        va_list rest;                                 \
        va_start(rest, flags);                        \
        mode = va_arg(rest, mode_t);                  \
        va_end(rest);                                 \
    }

#define OPEN(name)                                                                      \
    int name(const char *path, int flags, ...) {                                        \
        MODE(flags)                                                                     \
        return creates(flags, path, AT_FDCWD) ? -1 : REAL(name)(path, flags, mode);     \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                        \
    int name(int folder, const char *path, int flags, ...) {                                \
        MODE(flags)                                                                         \
        return creates(flags, path, folder) ? -1 : REAL(name)(folder, path, flags, mode);   \
    }
OPENAT(openat)
OPENAT(openat64)

int mkdir(const char *path, mode_t mode) { return path_fails("make folder", AT_FDCWD, path) ? -1 : REAL(mkdir)(path, mode); }
int rename(const char *from, const char *to) { return path_fails("rename", AT_FDCWD, to) ? -1 : REAL(rename)(from, to); }
int renameat(int a, const char *from, int b, const char *to) { return path_fails("rename", b, to) ? -1 : REAL(renameat)(a, from, b, to); }
