/* What the engines of this folder share: a file, its lock, and what a driver is made of. */
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

typedef struct {
    int file;
    pthread_mutex_t lock;
    dbrewind_volume *volume;
    uint64_t cached;
} engine;

/* One change, with the lock held. */
static int step_locked(engine *self, uint64_t seed);
/* A hash of all records; whether one is there in part only. */
static int looked(engine *self, uint64_t *digest, int *torn);
/* Attaches, with the history in a folder. */
static int attached(engine *self, const char *store, const dbrewind_volume_options *options, dbrewind_error **error);

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
    dbrewind_volume_options options = DBREWIND_INIT(options);
    dbrewind_error *error = NULL;
    char path[4096];
    snprintf(path, sizeof path, "%s/data", folder);
    self->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    pthread_mutex_init(&self->lock, NULL);
    options.timeout_ms = 30000;
    snprintf(path, sizeof path, "%s/history", folder);
    if (self->file < 0 || attached(self, path, &options, &error)) {
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

static int driver_step(void *given, uint64_t seed) {
    int failed;
    if (engine_lock(given, 30000) != 0) {
        return 1;
    }
    failed = step_locked((engine *)given, seed);
    engine_unlock(given);
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
