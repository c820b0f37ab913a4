// An LD_PRELOAD library that makes one operation on files fail, or ends the process there. It looks at paths below FAULT_FOLDER alone.
//   FAULT="<operation> <pattern> <number> <action>", such as "rename *.json 2 kill" or "write * 3+ ENOSPC"
//   operation: create, open, read, write, sync, rename, unlink, rmdir, mkdir, list, stat, clock; any
//   pattern: of fnmatch, below the folder, which itself is "."; * alone: everything
//   number: of the matching operation in this process; with +, each from then on
//   action: an error's name, kill, kill-job (the parent, too), short, slow, vanish (the folder is renamed), fold (to lower case), back
//   FAULT_RANK: only in the process with this RANK    FAULT_LOG: appends RANK, operation and path to a file
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real(#name))
static void* real(const char* name) { return dlsym(RTLD_NEXT, name); }

enum { whole = 0, part = -1, last_part = -2 };
static const struct { const char* name; int code; } errors[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT},
  {"ESTALE", ESTALE}, {"EXDEV", EXDEV}, {"ENOTEMPTY", ENOTEMPTY}, {"EACCES", EACCES}};
static char folder[4096], operation[16], pattern[512], action[16];
static size_t length;
static long number;
static int onwards, log_file = -1;
static atomic_long count;
static char* paths[1 << 16];

__attribute__((constructor)) static void begin(void) {
  const char *place = getenv("FAULT_FOLDER"), *fault = getenv("FAULT"), *log = getenv("FAULT_LOG");
  const char *wanted = getenv("FAULT_RANK"), *rank = getenv("RANK");
  if (!place || (wanted && (!rank || strcmp(rank, wanted)))) return;
  length = strlen(strncpy(folder, place, sizeof folder - 1));
  char at[16] = "";
  if (fault) sscanf(fault, "%15s %511s %15s %15s", operation, pattern, at, action);
  number = atol(at);
  onwards = strchr(at, '+') != NULL;
  if (log) log_file = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static int is_below(const char* path) {
  return length && path && !strncmp(path, folder, length) && (path[length] == '/' || !path[length]);
}

static void end_process(void) {
  if (!strcmp(action, "kill-job")) kill(getppid(), SIGKILL);
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

static int is_due(const char* op) {
  if (strcmp(op, operation) && strcmp("any", operation)) return 0;
  long now = atomic_fetch_add(&count, 1) + 1;
  return onwards ? now >= number : now == number;
}

/** What is to happen instead of an operation: an error's code; `part` of a write; or `whole`. */
static int fault(const char* op, const char* path) {
  if (!is_below(path)) return whole;
  const char* name = path[length] && path[length + 1] ? path + length + 1 : ".";
  if (log_file >= 0) {
    char line[4200];
    int size = snprintf(line, sizeof line, "%s\t%s\t%s\n", getenv("RANK") ? getenv("RANK") : "", op, name);
    syscall(SYS_write, log_file, line, size);
  }
  if (!number || (strcmp(pattern, "*") && fnmatch(pattern, name, FNM_PATHNAME)) || !is_due(op)) return whole;
  if (!strcmp(action, "slow")) nanosleep(&(struct timespec){0, 5000000}, NULL);
  if (!strcmp(action, "short")) return part;
  if (!strcmp(action, "vanish")) {
    char away[4200];
    snprintf(away, sizeof away, "%s.away", folder);
    syscall(SYS_rename, folder, away);
  }
  if (!strncmp(action, "kill", 4)) {
    // A write may be cut anywhere.
    if (!strcmp(op, "write")) return last_part;
    end_process();
  }
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (!strcmp(action, errors[i].name)) return errors[i].code;
  return whole;
}

static const char* fold(const char* path, char* folded) {
  if (strcmp(action, "fold") || !is_below(path)) return path;
  strncpy(folded, path, 4095);
  for (char* at = folded + length; *at; at++)
    if (*at >= 'A' && *at <= 'Z') *at += 'a' - 'A';
  return folded;
}

#define FAIL(op, path) do { int code = fault(op, path); if (code > 0) return errno = code, -1; } while (0)
#define FOLD(path) char folded_##path[4096] = ""; path = fold(path, folded_##path)

static int remember(int fd, const char* path) {
  if (fd < 0 || fd >= 1 << 16) return fd;
  free(paths[fd]);
  paths[fd] = is_below(path) ? strdup(path) : NULL;
  return fd;
}
static const char* path_of(int fd) { return fd >= 0 && fd < 1 << 16 ? paths[fd] : NULL; }

#define OPEN(name)                                              \
  int name(const char* path, int flags, ...) {                  \
    va_list list;                                               \
    va_start(list, flags);                                      \
    mode_t mode = va_arg(list, mode_t);                         \
    va_end(list);                                               \
    FOLD(path);                                                 \
    FAIL(flags & O_CREAT ? "create" : "open", path);            \
    return remember(REAL(name)(path, flags, mode), path);       \
  }
OPEN(open)
OPEN(open64)

int close(int fd) {
  if (path_of(fd)) remember(fd, NULL);
  return REAL(close)(fd);
}

/** Half of it, at least a byte. */
static size_t half(size_t size) { return size > 1 ? size / 2 : size; }

#define READ(whole_call, part_call)                 \
  int what = fault("read", path_of(fd));            \
  if (what > 0) return errno = what, -1;            \
  return what == whole ? whole_call : part_call
ssize_t read(int fd, void* to, size_t size) { READ(REAL(read)(fd, to, size), REAL(read)(fd, to, half(size))); }
ssize_t pread64(int fd, void* to, size_t size, off64_t at) {
  READ(REAL(pread64)(fd, to, size, at), REAL(pread64)(fd, to, half(size), at));
}
ssize_t readv(int fd, const struct iovec* to, int n) {
  READ(REAL(readv)(fd, to, n), REAL(read)(fd, to->iov_base, half(to->iov_len)));
}
ssize_t preadv64(int fd, const struct iovec* to, int n, off64_t at) {
  READ(REAL(preadv64)(fd, to, n, at), REAL(pread64)(fd, to->iov_base, half(to->iov_len), at));
}

#define WRITE(whole_call, part_call)                \
  int what = fault("write", path_of(fd));           \
  if (what > 0) return errno = what, -1;            \
  if (what == whole) return whole_call;             \
  ssize_t written = part_call;                      \
  if (what == last_part) end_process();             \
  return written
ssize_t write(int fd, const void* from, size_t size) {
  WRITE(REAL(write)(fd, from, size), REAL(write)(fd, from, half(size)));
}
ssize_t pwrite64(int fd, const void* from, size_t size, off64_t at) {
  WRITE(REAL(pwrite64)(fd, from, size, at), REAL(pwrite64)(fd, from, half(size), at));
}
ssize_t writev(int fd, const struct iovec* from, int n) {
  WRITE(REAL(writev)(fd, from, n), REAL(write)(fd, from->iov_base, half(from->iov_len)));
}
ssize_t pwritev64(int fd, const struct iovec* from, int n, off64_t at) {
  WRITE(REAL(pwritev64)(fd, from, n, at), REAL(pwrite64)(fd, from->iov_base, half(from->iov_len), at));
}

int fsync(int fd) {
  FAIL("sync", path_of(fd));
  return REAL(fsync)(fd);
}
int fdatasync(int fd) {
  FAIL("sync", path_of(fd));
  return REAL(fdatasync)(fd);
}
int rename(const char* from, const char* to) {
  FOLD(from);
  FOLD(to);
  FAIL("rename", to);
  return REAL(rename)(from, to);
}
int unlink(const char* path) {
  FOLD(path);
  FAIL("unlink", path);
  return REAL(unlink)(path);
}
int rmdir(const char* path) {
  FOLD(path);
  FAIL("rmdir", path);
  return REAL(rmdir)(path);
}
int mkdir(const char* path, mode_t mode) {
  FOLD(path);
  FAIL("mkdir", path);
  return REAL(mkdir)(path, mode);
}
int scandir64(const char* path, struct dirent64*** list, int (*filter)(const struct dirent64*),
              int (*compare)(const struct dirent64**, const struct dirent64**)) {
  FOLD(path);
  FAIL("list", path);
  return REAL(scandir64)(path, list, filter, compare);
}
int access(const char* path, int mode) {
  FOLD(path);
  FAIL("stat", path);
  return REAL(access)(path, mode);
}
/** libuv's way to statx. */
long syscall(long call, ...) {
  va_list list;
  va_start(list, call);
  long a[6];
  for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
  va_end(list);
  char folded[4096] = "";
  if (call == SYS_statx) {
    const char* path = fold((const char*)a[1], folded);
    FAIL("stat", path);
    a[1] = (long)path;
  }
  return REAL(syscall)(call, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/** Seconds by which the system's time has gone back. */
static time_t lag(void) { return number && !strcmp(action, "back") && is_due("clock") ? 60 * (atomic_load(&count) - number) : 0; }
int clock_gettime(clockid_t id, struct timespec* time) {
  int result = REAL(clock_gettime)(id, time);
  if (id == CLOCK_REALTIME) time->tv_sec -= lag();
  return result;
}
int gettimeofday(struct timeval* restrict time, void* restrict zone) {
  int result = REAL(gettimeofday)(time, zone);
  time->tv_sec -= lag();
  return result;
}
