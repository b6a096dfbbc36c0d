/* An engine in a file, for dbrewind-conformance: records of 32 bytes that are added, overwritten and removed. BROKEN: what is wrong with it.
 *   1 it forgets will_write now and then   2 its truncate does nothing   3 it caches the length, and keeps it after a rewind
 *   4 its lock lets everybody in            5 it writes before will_write */
#define _GNU_SOURCE
#include <dbrewind-driver.h>
#include <dbrewind.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef BROKEN
#define BROKEN 0
#endif
#define RECORD 32

typedef struct {
    int file;
    pthread_mutex_t lock;
    dbrewind_volume *volume;
    uint64_t cached;
} engine;

static int whole(ssize_t done, size_t length) {
    return done == (ssize_t)length ? 0 : EIO;
}

static int engine_read(void *user, uint64_t offset, void *to, size_t length) {
    return whole(pread(((engine *)user)->file, to, length, (off_t)offset), length);
}

static int engine_write(void *user, uint64_t offset, const void *from, size_t length) {
    return whole(pwrite(((engine *)user)->file, from, length, (off_t)offset), length);
}

static int engine_truncate(void *user, uint64_t length) {
    if (BROKEN == 2) {
        return 0;
    }
    return ftruncate(((engine *)user)->file, (off_t)length) == 0 ? 0 : errno;
}

static int engine_length(void *user, uint64_t *length) {
    struct stat found;
    if (fstat(((engine *)user)->file, &found) != 0) {
        return errno;
    }
    *length = (uint64_t)found.st_size;
    return 0;
}

static int engine_lock(void *user, uint64_t timeout_ms) {
    engine *self = (engine *)user;
    struct timespec until, pause = {0, 200000};
    uint64_t waited;
    if (BROKEN == 4) {
        return 0;
    }
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000) + 1;
    if (pthread_mutex_timedlock(&self->lock, &until) != 0) {
        return EBUSY;
    }
    for (waited = 0; flock(self->file, LOCK_EX | LOCK_NB) != 0; waited++) {
        if (waited > timeout_ms * 5) {
            pthread_mutex_unlock(&self->lock);
            return EBUSY;
        }
        nanosleep(&pause, NULL);
    }
    return 0;
}

static void engine_unlock(void *user) {
    if (BROKEN != 4) {
        flock(((engine *)user)->file, LOCK_UN);
        pthread_mutex_unlock(&((engine *)user)->lock);
    }
}

static void *driver_open(const char *folder) {
    engine *self = (engine *)calloc(1, sizeof *self);
    dbrewind_medium medium = DBREWIND_INIT(medium);
    dbrewind_volume_options options = DBREWIND_INIT(options);
    dbrewind_error *error = NULL;
    char path[4096];
    snprintf(path, sizeof path, "%s/data", folder);
    self->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    pthread_mutex_init(&self->lock, NULL);
    engine_length(self, &self->cached);
    medium.user = self;
    medium.read = engine_read;
    medium.write = engine_write;
    medium.truncate = engine_truncate;
    medium.length = engine_length;
    medium.lock = engine_lock;
    medium.unlock = engine_unlock;
    options.timeout_ms = 30000;
    snprintf(path, sizeof path, "%s/history", folder);
    if (self->file < 0 || dbrewind_volume_attach(path, "records", 64, &medium, &options, &self->volume, &error)) {
        fprintf(stderr, "attach: %s\n", dbrewind_error_text(error));
        return NULL;
    }
    return self;
}

static void driver_close(void *given) {
    engine *self = (engine *)given;
    dbrewind_volume_detach(self->volume, NULL);
    close(self->file);
    free(self);
}

static uint64_t mixed(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static int step_locked(engine *self, uint64_t seed) {
    uint64_t length, at, bytes[RECORD / 8], i;
    struct timespec work = {0, 100000};
    int failed = dbrewind_volume_enter(self->volume, NULL) || engine_length(self, &length);
    if (BROKEN == 3) {
        length = self->cached;
    }
    if (failed) {
        return 1;
    }
    if (seed % 8 == 0 && length >= 4 * RECORD) {
        length -= RECORD * (1 + seed / 8 % 3);
        failed = dbrewind_volume_will_truncate(self->volume, length, NULL) || ftruncate(self->file, (off_t)length);
    } else {
        /* A few of them at the end, or one past it, all others within. */
        at = seed / 8 % (length / RECORD + 2) * RECORD;
        bytes[0] = seed;
        for (i = 1; i < RECORD / 8; i++) {
            bytes[i] = mixed(seed + i);
        }
        if (BROKEN == 5) {
            failed = engine_write(self, at, bytes, RECORD);
        }
        if (BROKEN != 1 || seed % 5 != 1) {
            failed = failed || dbrewind_volume_will_write(self->volume, at, RECORD, NULL);
        }
        /* In two halves, with other work between them. */
        failed = failed || engine_write(self, at, bytes, RECORD / 2);
        if (BROKEN == 4) {
            nanosleep(&work, NULL);
        }
        failed = failed || engine_write(self, at + RECORD / 2, bytes + RECORD / 16, RECORD / 2);
        length = at + RECORD > length ? at + RECORD : length;
    }
    self->cached = length;
    return failed || dbrewind_volume_commit(self->volume, NULL, NULL);
}

static int driver_step(void *given, uint64_t seed) {
    int failed;
    if (engine_lock(given, 30000) != 0) {
        return 1;
    }
    failed = step_locked((engine *)given, seed);
    engine_unlock(given);
    return failed;
}

/* A hash of all records; whether each is whole. */
static int looked(engine *self, uint64_t *digest, int *torn) {
    uint64_t length, at, bytes[RECORD / 8], hash = 0, i;
    int failed;
    *torn = 0;
    if (engine_lock(self, 30000) != 0) {
        return 1;
    }
    failed = dbrewind_volume_enter(self->volume, NULL) || engine_length(self, &length);
    for (at = 0; !failed && at < length; at += RECORD) {
        memset(bytes, 0, sizeof bytes);
        failed = pread(self->file, bytes, RECORD, (off_t)at) <= 0;
        for (i = 0; i < RECORD / 8; i++) {
            hash = mixed(hash ^ bytes[i]) + at;
            /* A record that was jumped over at the end is zeros. */
            *torn |= i > 0 && bytes[i] != mixed(bytes[0] + i) && (bytes[0] | bytes[1] | bytes[2] | bytes[3]) != 0;
        }
    }
    engine_unlock(self);
    *digest = hash;
    return failed;
}

static int driver_digest(void *given, uint64_t *digest) {
    int torn;
    return looked((engine *)given, digest, &torn);
}

static int driver_check(void *given) {
    uint64_t digest;
    int torn;
    return looked((engine *)given, &digest, &torn) || torn;
}

static int driver_mark(void *given, const char *name) {
    return dbrewind_volume_mark(((engine *)given)->volume, name, 0, NULL, NULL);
}

static int back(engine *self, dbrewind_target to, uint64_t *undo) {
    dbrewind_rewound rewound = DBREWIND_INIT(rewound);
    int failed = dbrewind_volume_rewind(self->volume, to, NULL, &rewound, NULL);
    *undo = rewound.undo.lsn;
    return failed;
}

static int driver_rewind(void *given, const char *name, uint64_t *undo) {
    return back((engine *)given, dbrewind_to_mark(name), undo);
}

static int driver_undo(void *given, uint64_t lsn) {
    dbrewind_moment moment = {lsn, 0};
    return back((engine *)given, dbrewind_to_moment(moment), &lsn);
}

const dbrewind_driver *dbrewind_driver_get(void) {
    static const dbrewind_driver driver = {
        sizeof driver, DBREWIND_DRIVER_PERSISTENT | DBREWIND_DRIVER_THREADS,
        driver_open, driver_close, driver_step, driver_digest, driver_mark, driver_rewind, driver_undo,
        driver_check,
    };
    return &driver;
}
