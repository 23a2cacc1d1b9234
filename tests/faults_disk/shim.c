/* Stands between the collector and the C library, and makes calls fail.
 *
 * Loaded with LD_PRELOAD. It acts only in a process whose second argument is
 * `serve`: the engine, a child, inherits the environment and is left alone.
 * What it does is in a file named by METKA_SHIM, which both sides share: the
 * test writes rules, this side counts. All numbers are 64 bits wide, in the
 * machine's byte order:
 *
 *     0   1 once a collector has the file mapped
 *     8   nanoseconds added to CLOCK_REALTIME
 *     16  readings of that clock
 *     64  rule 0, and every 128 bytes another, RULES in all:
 *         0   armed: 0 or 1; written last, read first
 *         8   call: 1 write, 2 fdatasync, 3 fsync, 4 rename, 5 unlink, 6 create
 *         16  kind: 0 any, 1 regular file, 2 directory
 *         24  from: the number of the first matching call that fails, from 1
 *         32  period: after that, each so many-th call
 *         40  times: fails at most so often
 *         48  errno; 0: the write is cut to half its length
 *         56  matching calls seen
 *         64  calls that failed
 *         72  56 bytes: part of the path, ended by a zero
 *
 * Only paths with "/spool/" in them, or a "/spool" at the end, are looked at. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define RULES 6
#define BYTES 4096
enum { WRITE = 1, DATASYNC, SYNC, RENAME, UNLINK, CREATE };

struct rule {
    uint64_t armed, call, kind, from, period, times, error, seen, fired;
    char path[56];
};
struct control {
    uint64_t attached, clock_offset, clock_reads, unused[5];
    struct rule rules[RULES];
};

static struct control *control;

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

/* Resolved once: the calls below are on the way of every hit. */
static int (*real_clock)(clockid_t, struct timespec *);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_fdatasync)(int);
static int (*real_fsync)(int);
static int (*real_rename)(const char *, const char *);
static int (*real_unlink)(const char *);
static int (*real_open)(const char *, int, ...);

static void resolve(void) {
    if (real_open) return;
    real_clock = real("clock_gettime");
    real_pwrite = real("pwrite64");
    real_write = real("write");
    real_fdatasync = real("fdatasync");
    real_fsync = real("fsync");
    real_rename = real("rename");
    real_unlink = real("unlink");
    real_open = real("open64");
}

__attribute__((constructor)) static void attach(void) {
    resolve();
    const char *path = getenv("METKA_SHIM");
    if (!path) return;
    char line[4096] = {0};
    int fd = real_open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t length = read(fd, line, sizeof line - 1);
    close(fd);
    const char *second = line + strlen(line) + 1;
    if (length <= 0 || second >= line + length || strcmp(second, "serve") != 0) return;
    fd = real_open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *mapped = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped == MAP_FAILED) return;
    control = mapped;
    __atomic_store_n(&control->attached, 1, __ATOMIC_SEQ_CST);
}

/* Which rule makes this call fail, if any. Errors of errno are not touched. */
static struct rule *verdict(uint64_t call, uint64_t kind, const char *path) {
    size_t length = strlen(path);
    int ours = strstr(path, "/spool/") || (length >= 6 && strcmp(path + length - 6, "/spool") == 0);
    if (!ours) return NULL;
    for (int i = 0; i < RULES; i++) {
        struct rule *rule = &control->rules[i];
        if (!__atomic_load_n(&rule->armed, __ATOMIC_SEQ_CST) || rule->call != call) continue;
        if ((rule->kind && rule->kind != kind) || !strstr(path, rule->path)) continue;
        uint64_t number = __atomic_add_fetch(&rule->seen, 1, __ATOMIC_SEQ_CST);
        if (number < rule->from || (number - rule->from) % rule->period) continue;
        if ((number - rule->from) / rule->period >= rule->times) continue;
        __atomic_add_fetch(&rule->fired, 1, __ATOMIC_SEQ_CST);
        return rule;
    }
    return NULL;
}

static int any_armed(void) {
    if (!control) return 0;
    for (int i = 0; i < RULES; i++)
        if (__atomic_load_n(&control->rules[i].armed, __ATOMIC_SEQ_CST)) return 1;
    return 0;
}

static struct rule *for_descriptor(uint64_t call, int fd) {
    if (!any_armed()) return NULL;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return NULL;
    path[length] = 0;
    struct stat status;
    if (fstat(fd, &status)) return NULL;
    return verdict(call, S_ISDIR(status.st_mode) ? 2 : 1, path);
}

static int failed(struct rule *rule) {
    errno = (int)rule->error;
    return -1;
}

static ssize_t cut(struct rule *rule, size_t *length) {
    if (rule->error) return failed(rule);
    *length = *length > 1 ? *length / 2 : *length;
    return 0;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) {
    resolve();
    struct rule *rule = for_descriptor(WRITE, fd);
    if (rule && cut(rule, &length)) return -1;
    return real_pwrite(fd, bytes, length, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return pwrite64(fd, bytes, length, offset);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    resolve();
    struct rule *rule = for_descriptor(WRITE, fd);
    if (rule && cut(rule, &length)) return -1;
    return real_write(fd, bytes, length);
}

int fdatasync(int fd) {
    resolve();
    struct rule *rule = for_descriptor(DATASYNC, fd);
    return rule ? failed(rule) : real_fdatasync(fd);
}

int fsync(int fd) {
    resolve();
    struct rule *rule = for_descriptor(SYNC, fd);
    return rule ? failed(rule) : real_fsync(fd);
}

int rename(const char *from, const char *to) {
    resolve();
    struct rule *rule = any_armed() ? verdict(RENAME, 1, from) : NULL;
    return rule ? failed(rule) : real_rename(from, to);
}

int unlink(const char *path) {
    resolve();
    struct rule *rule = any_armed() ? verdict(UNLINK, 1, path) : NULL;
    return rule ? failed(rule) : real_unlink(path);
}

int open64(const char *path, int flags, ...) {
    resolve();
    mode_t mode = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    struct rule *rule = (flags & O_CREAT) && any_armed() ? verdict(CREATE, 1, path) : NULL;
    return rule ? failed(rule) : real_open(path, flags, mode);
}

int clock_gettime(clockid_t which, struct timespec *time) {
    resolve();
    int result = real_clock(which, time);
    if (result == 0 && control && which == CLOCK_REALTIME) {
        int64_t offset = (int64_t)__atomic_load_n(&control->clock_offset, __ATOMIC_SEQ_CST);
        __atomic_add_fetch(&control->clock_reads, 1, __ATOMIC_SEQ_CST);
        int64_t nanoseconds = (int64_t)time->tv_sec * 1000000000 + time->tv_nsec + offset;
        time->tv_sec = nanoseconds / 1000000000;
        time->tv_nsec = nanoseconds % 1000000000;
    }
    return result;
}
