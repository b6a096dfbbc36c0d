/* Writes down what a process does to the files of one folder, in the order in which it does it: the harness
 * builds from this what a power cut may leave. Loaded with LD_PRELOAD; the harness compiles it when it runs.
 *
 *   CUT_FOLDER  absolute path: files below it are watched, but `-shm` and `locks`, which no power cut leaves
 *   CUT_TRACE   where the trace goes; format: `struct entry`, then `size` bytes
 *   CUT_BOOT    a file to read instead of the kernel's boot id
 *   CUT_TIMES   "inode, mtime s, ns, ctime s, ns": what the file says until it is changed
 *
 * Writes through a mapping make no call. Each time anything is written down, every watched mapping is compared with
 * what it was before, page by page: the kernel may write a page back at any moment, with the content of that moment.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum op { KNOWN = 1, CREATED, WRITE, SIZE, GROW, ZERO, SYNC, SYNC_DATA, SYNC_RANGE, UNLINK, RENAME, SYNC_FOLDER, SAID, PAGE, TIMES };

struct entry {
    uint32_t op, file;
    uint64_t offset, length;
    int64_t times[4];
    uint64_t size;
};

enum { FILES = 4096, MAPS = 2048, PAGE_SIZE = 4096, QUIET = 64 };
struct file { dev_t device; ino_t inode; int used; };
struct map { char *address; size_t length; uint32_t file; char *shadow; size_t busy; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file files[FILES];
static uint32_t count = 1;
static struct map maps[MAPS];
static int trace = -2;
static char folder[4096];
static size_t folder_length;

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static ssize_t raw_write(int fd, const void *bytes, size_t n) {
    REAL(ssize_t, "write", int, const void *, size_t);
    return real(fd, bytes, n);
}

static int raw_open(const char *path, int flags, mode_t mode) {
    REAL(int, "open", const char *, int, ...);
    return ((int (*)(const char *, int, ...))real)(path, flags, mode);
}

static int recording(void) {
    if (trace == -2) {
        const char *where = getenv("CUT_TRACE"), *what = getenv("CUT_FOLDER");
        trace = -1;
        if (where && what) {
            snprintf(folder, sizeof folder, "%s/", what);
            folder_length = strlen(folder);
            trace = raw_open(where, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
            if (trace < 0) abort();
        }
    }
    return trace >= 0;
}

static void note(enum op op, uint32_t file, int fd, uint64_t offset, uint64_t length, const void *bytes, size_t size) {
    struct entry entry = {.op = op, .file = file, .offset = offset, .length = length, .size = size};
    struct stat now;
    if (fd >= 0 && fstat(fd, &now) == 0) {
        entry.times[0] = now.st_mtim.tv_sec, entry.times[1] = now.st_mtim.tv_nsec;
        entry.times[2] = now.st_ctim.tv_sec, entry.times[3] = now.st_ctim.tv_nsec;
    }
    struct iovec parts[2] = {{&entry, sizeof entry}, {(void *)bytes, size}};
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    if (real(trace, parts, size ? 2 : 1) != (ssize_t)(sizeof entry + size)) abort();
}

/* What the mappings have become since the last look. Past the busy part a log is still zero. */
static void look(void) {
    for (struct map *map = maps; map < maps + MAPS; map++) {
        if (!map->address) continue;
        for (size_t at = 0; at < map->length && at < map->busy + QUIET * PAGE_SIZE; at += PAGE_SIZE) {
            size_t n = map->length - at < PAGE_SIZE ? map->length - at : PAGE_SIZE;
            if (memcmp(map->shadow + at, map->address + at, n) == 0) continue;
            memcpy(map->shadow + at, map->address + at, n);
            note(PAGE, map->file, -1, at, n, map->shadow + at, n);
            if (at + n > map->busy) map->busy = at + n;
        }
    }
}

static void begin(void) { pthread_mutex_lock(&lock); look(); }
static void end(void) { int kept = errno; pthread_mutex_unlock(&lock); errno = kept; }

/* The number of a watched file; 0: it is none. */
static uint32_t number(int fd) {
    struct stat found;
    if (!recording() || fd < 0 || fstat(fd, &found)) return 0;
    for (uint32_t n = count - 1; n > 0; n--)
        if (files[n].used && files[n].inode == found.st_ino && files[n].device == found.st_dev) return n;
    return 0;
}

static const char *watched(const char *path) {
    if (!recording() || !path || strncmp(path, folder, folder_length)) return NULL;
    const char *name = path + folder_length;
    size_t n = strlen(name);
    if ((n > 4 && !strcmp(name + n - 4, "-shm")) || (n > 5 && !strcmp(name + n - 5, "locks"))) return NULL;
    return name;
}

static void opened(int fd, const char *name, int fresh) {
    struct stat found;
    if (fd < 0 || fstat(fd, &found) || !S_ISREG(found.st_mode)) return;
    if (!fresh && number(fd)) return;
    for (uint32_t n = 1; n < count; n++)
        if (files[n].inode == found.st_ino && files[n].device == found.st_dev) files[n].used = 0;
    if (count == FILES) abort();
    files[count] = (struct file){found.st_dev, found.st_ino, 1};
    note(fresh ? CREATED : KNOWN, count, fd, 0, (uint64_t)found.st_size, name, strlen(name));
    count++;
}

static int open_any(int folder_fd, const char *path, int flags, mode_t mode) {
    REAL(int, "openat", int, const char *, int, ...);
    if (path && !strcmp(path, "/proc/sys/kernel/random/boot_id") && getenv("CUT_BOOT")) path = getenv("CUT_BOOT");
    const char *name = watched(path);
    if (!name) return real(folder_fd, path, flags, mode);
    begin();
    int fresh = (flags & O_CREAT) && access(path, F_OK) != 0;
    int fd = real(folder_fd, path, flags, mode);
    opened(fd, name, fresh);
    uint32_t file = number(fd);
    if (file && !fresh && (flags & O_TRUNC)) note(SIZE, file, fd, 0, 0, NULL, 0);
    end();
    return fd;
}

#define OPEN(name, ...) \
    int mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, int); va_end(rest); } \
    return open_any(__VA_ARGS__, path, flags, (mode_t)mode)
int open(const char *path, int flags, ...) { OPEN("open", AT_FDCWD); }
int open64(const char *path, int flags, ...) { OPEN("open64", AT_FDCWD); }
int openat(int at, const char *path, int flags, ...) { OPEN("openat", at); }
int openat64(int at, const char *path, int flags, ...) { OPEN("openat64", at); }

ssize_t write(int fd, const void *bytes, size_t n) {
    uint32_t file = number(fd);
    if (!file && !(fd == 1 && recording())) return raw_write(fd, bytes, n);
    begin();
    off_t at = file ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t done = raw_write(fd, bytes, n);
    if (done > 0) note(file ? WRITE : SAID, file, file ? fd : -1, (uint64_t)at, (uint64_t)done, bytes, (size_t)done);
    end();
    return done;
}

static ssize_t write_at(int fd, const void *bytes, size_t n, off_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t);
    uint32_t file = number(fd);
    if (!file) return real(fd, bytes, n, at);
    begin();
    ssize_t done = real(fd, bytes, n, at);
    if (done > 0) note(WRITE, file, fd, (uint64_t)at, (uint64_t)done, bytes, (size_t)done);
    end();
    return done;
}
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) { return write_at(fd, bytes, n, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t n, off_t at) { return write_at(fd, bytes, n, at); }

/* Watched files: only the first part is written, which the caller must expect anyway. */
ssize_t writev(int fd, const struct iovec *parts, int n) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    if (n > 0 && (number(fd) || (fd == 1 && recording()))) return write(fd, parts[0].iov_base, parts[0].iov_len);
    return real(fd, parts, n);
}
ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t at) {
    REAL(ssize_t, "pwritev", int, const struct iovec *, int, off_t);
    if (n > 0 && number(fd)) return write_at(fd, parts[0].iov_base, parts[0].iov_len, at);
    return real(fd, parts, n, at);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int n, off_t at) { return pwritev(fd, parts, n, at); }

static int cut_to(int fd, off_t size) {
    REAL(int, "ftruncate64", int, off_t);
    uint32_t file = number(fd);
    if (!file) return real(fd, size);
    begin();
    int result = real(fd, size);
    if (!result) note(SIZE, file, fd, 0, (uint64_t)size, NULL, 0);
    end();
    return result;
}
int ftruncate(int fd, off_t size) { return cut_to(fd, size); }
int ftruncate64(int fd, off_t size) { return cut_to(fd, size); }

static int reserve(int fd, off_t at, off_t n) {
    REAL(int, "posix_fallocate64", int, off_t, off_t);
    uint32_t file = number(fd);
    if (!file) return real(fd, at, n);
    begin();
    int result = real(fd, at, n);
    if (!result) note(GROW, file, fd, 0, (uint64_t)(at + n), NULL, 0);
    end();
    return result;
}
int posix_fallocate(int fd, off_t at, off_t n) { return reserve(fd, at, n); }
int posix_fallocate64(int fd, off_t at, off_t n) { return reserve(fd, at, n); }

static int reserve_as(int fd, int mode, off_t at, off_t n) {
    REAL(int, "fallocate64", int, int, off_t, off_t);
    uint32_t file = number(fd);
    if (!file) return real(fd, mode, at, n);
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) abort();
    begin();
    int result = real(fd, mode, at, n);
    if (!result && !(mode & FALLOC_FL_KEEP_SIZE)) note(GROW, file, fd, 0, (uint64_t)(at + n), NULL, 0);
    if (!result && (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)))
        note(ZERO, file, fd, (uint64_t)at, (uint64_t)n, NULL, 0);
    end();
    return result;
}
int fallocate(int fd, int mode, off_t at, off_t n) { return reserve_as(fd, mode, at, n); }
int fallocate64(int fd, int mode, off_t at, off_t n) { return reserve_as(fd, mode, at, n); }

/* The disk is asked for nothing: only the trace knows what was synced. */
static int synced(int fd, enum op op) {
    char name[4096], link[64];
    struct stat found;
    if (!recording() || fstat(fd, &found)) return 0;
    uint32_t file = number(fd);
    if (!file && !S_ISDIR(found.st_mode)) return 0;
    begin();
    if (file) note(op, file, fd, 0, 0, NULL, 0);
    else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, name, sizeof name - 2);
        if (n > 0) {
            name[n] = '/', name[n + 1] = 0;
            if (!strncmp(name, folder, folder_length))
                note(SYNC_FOLDER, 0, -1, 0, 0, name + folder_length, strlen(name + folder_length));
        }
    }
    end();
    return 0;
}
int fsync(int fd) { return synced(fd, SYNC); }
int fdatasync(int fd) { return synced(fd, SYNC_DATA); }

static struct map *map_of(const char *address) {
    for (struct map *map = maps; map < maps + MAPS; map++)
        if (map->address && address >= map->address && address < map->address + map->length) return map;
    return NULL;
}

/* Looks at a mapping no more. */
static void forget(void *address) {
    REAL(int, "munmap", void *, size_t);
    struct map *map = map_of(address);
    if (!map) return;
    real(map->shadow, map->length);
    *map = (struct map){0};
}

int msync(void *address, size_t n, int flags) {
    REAL(int, "msync", void *, size_t, int);
    if (!recording() || !(flags & MS_SYNC)) return real(address, n, flags);
    begin();
    struct map *map = map_of(address);
    if (map) note(SYNC_RANGE, map->file, -1, (uint64_t)((char *)address - map->address), n, NULL, 0);
    end();
    return 0;
}

static void *map_any(void *where, size_t n, int protection, int flags, int fd, off_t at) {
    REAL(void *, "mmap64", void *, size_t, int, int, int, off_t);
    if (fd < 0 && flags & MAP_FIXED && trace >= 0) {
        /* Other memory in a mapping's place: what appears there is not the file's. */
        begin();
        forget(where);
        void *address = real(where, n, protection, flags, fd, at);
        end();
        return address;
    }
    void *address = real(where, n, protection, flags, fd, at);
    int kept = errno;
    if (address == MAP_FAILED || fd < 0 || !(flags & MAP_SHARED) || !(protection & PROT_WRITE) || trace < 0) return address;
    uint32_t file = number(fd);
    if (file) {
        if (at) abort();
        begin();
        struct map *free_one = maps;
        while (free_one < maps + MAPS && free_one->address) free_one++;
        if (free_one == maps + MAPS) abort();
        char *shadow = real(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (shadow == MAP_FAILED) abort();
        size_t busy = 0;
        for (size_t page = 0; page < n; page += PAGE_SIZE) {
            size_t length = n - page < PAGE_SIZE ? n - page : PAGE_SIZE;
            static const char zeros[PAGE_SIZE];
            if (!memcmp((char *)address + page, zeros, length)) continue;
            memcpy(shadow + page, (char *)address + page, length);
            busy = page + length;
        }
        *free_one = (struct map){address, n, file, shadow, busy};
        end();
    }
    errno = kept;
    return address;
}
void *mmap(void *where, size_t n, int protection, int flags, int fd, off_t at) {
    return map_any(where, n, protection, flags, fd, at);
}
void *mmap64(void *where, size_t n, int protection, int flags, int fd, off_t at) {
    return map_any(where, n, protection, flags, fd, at);
}

int munmap(void *address, size_t n) {
    REAL(int, "munmap", void *, size_t);
    if (trace < 0) return real(address, n);
    pthread_mutex_lock(&lock);
    if (map_of(address)) {
        look();
        forget(address);
    }
    pthread_mutex_unlock(&lock);
    return real(address, n);
}

int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    const char *name = watched(path);
    if (!name) return real(path);
    begin();
    int result = real(path);
    if (!result) note(UNLINK, 0, -1, 0, 0, name, strlen(name));
    end();
    return result;
}

int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    const char *name = watched(from), *then = watched(to);
    if (!name || !then) return real(from, to);
    begin();
    int result = real(from, to);
    if (!result) {
        char both[8192];
        int n = snprintf(both, sizeof both, "%s\n%s", name, then);
        note(RENAME, 0, -1, 0, 0, both, (size_t)n);
    }
    end();
    return result;
}

int utimensat(int at, const char *path, const struct timespec times[2], int flags) {
    REAL(int, "utimensat", int, const char *, const struct timespec *, int);
    if (!watched(path)) return real(at, path, times, flags);
    begin();
    int result = real(at, path, times, flags);
    /* Without O_PATH closing it would drop the locks of the process. */
    int fd = result ? -1 : raw_open(path, O_PATH | O_CLOEXEC, 0);
    uint32_t file = number(fd);
    if (file) note(TIMES, file, fd, 0, 0, NULL, 0);
    if (fd >= 0) close(fd);
    end();
    return result;
}

/* After the cut: the times that the file system would have kept. */
int statx(int at, const char *path, int flags, unsigned mask, struct statx *out) {
    REAL(int, "statx", int, const char *, int, unsigned, struct statx *);
    static long long lie[5], true_change[2];
    static int state;
    int result = real(at, path, flags, mask, out);
    int kept = errno;
    const char *text = getenv("CUT_TIMES");
    if (result || !text) return errno = kept, result;
    pthread_mutex_lock(&lock);
    if (state == 0)
        state = sscanf(text, "%lld %lld %lld %lld %lld", lie, lie + 1, lie + 2, lie + 3, lie + 4) == 5 ? 1 : -1;
    if (state > 0 && (long long)out->stx_ino == lie[0]) {
        if (state == 1) {
            true_change[0] = out->stx_ctime.tv_sec, true_change[1] = out->stx_ctime.tv_nsec;
            state = 2;
        }
        if (out->stx_ctime.tv_sec == true_change[0] && out->stx_ctime.tv_nsec == true_change[1]) {
            out->stx_mtime.tv_sec = lie[1], out->stx_mtime.tv_nsec = (uint32_t)lie[2];
            out->stx_ctime.tv_sec = lie[3], out->stx_ctime.tv_nsec = (uint32_t)lie[4];
        }
    }
    pthread_mutex_unlock(&lock);
    errno = kept;
    return result;
}
