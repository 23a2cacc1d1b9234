/* Kills the server, and nobody else, at a named moment of its work.
 *
 * Loaded with LD_PRELOAD. It acts only in a process whose second argument is
 * `serve`: the engine, a child, inherits the environment and is left alone.
 *
 *     METKA_KILL_WHEN   before or after the call
 *     METKA_KILL_CALL   rename (to a path), unlink (of one), send (of bytes)
 *     METKA_KILL_PART   what stands in the path or in the bytes; with a dollar sign
 *                       behind it, at the end of the path
 *     METKA_KILL_MARK   a file that is made when it happens, so that whoever waits
 *                       for it knows that it did */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *when, *call, *part, *mark;

__attribute__((constructor)) static void attach(void) {
    char line[4096] = {0};
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t length = read(fd, line, sizeof line - 1);
    close(fd);
    const char *second = line + strlen(line) + 1;
    if (length <= 0 || second >= line + length || strcmp(second, "serve") != 0) return;
    when = getenv("METKA_KILL_WHEN");
    call = getenv("METKA_KILL_CALL");
    mark = getenv("METKA_KILL_MARK");
    part = getenv("METKA_KILL_PART");
}

static int is_it(const char *name, const void *bytes, size_t length) {
    if (!part || !call || strcmp(call, name) != 0) return 0;
    size_t wanted = strlen(part);
    if (wanted > 0 && part[wanted - 1] == '$') {
        wanted -= 1;
        return length >= wanted && memcmp((const char *)bytes + length - wanted, part, wanted) == 0;
    }
    return memmem(bytes, length, part, wanted) != NULL;
}

/* The moment has come if the call is the one, on this side of it. */
static void meet(int is_it, const char *side) {
    if (!is_it || strcmp(when, side) != 0) return;
    int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) abort();
    close(fd);
    kill(getpid(), SIGKILL);
}

#define AROUND(is_it, work)          \
    int it = is_it;                  \
    meet(it, "before");              \
    __typeof__(work) result = work;  \
    meet(it, "after");               \
    return result

/* Under its real name, found once. */
#define REAL(type, name, ...)                                  \
    static type (*real)(__VA_ARGS__);                          \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    AROUND(is_it("rename", to, strlen(to)), real(from, to));
}

int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    AROUND(is_it("unlink", path, strlen(path)), real(path));
}

ssize_t write(int fd, const void *bytes, size_t length) {
    REAL(ssize_t, "write", int, const void *, size_t);
    AROUND(is_it("send", bytes, length), real(fd, bytes, length));
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    REAL(ssize_t, "send", int, const void *, size_t, int);
    AROUND(is_it("send", bytes, length), real(fd, bytes, length, flags));
}

static int any(const struct iovec *pieces, size_t count) {
    for (size_t at = 0; at < count; at++)
        if (is_it("send", pieces[at].iov_base, pieces[at].iov_len)) return 1;
    return 0;
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    AROUND(any(pieces, (size_t)count), real(fd, pieces, count));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    REAL(ssize_t, "sendmsg", int, const struct msghdr *, int);
    AROUND(any(message->msg_iov, message->msg_iovlen), real(fd, message, flags));
}
