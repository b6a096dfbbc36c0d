/* An engine in a file, for dbrewind-conformance: records of 32 bytes that are added, overwritten and removed. BROKEN: what is wrong with it.
 *   1 it forgets will_write now and then   2 its truncate does nothing   3 it caches the length, and keeps it after a rewind
 *   4 its lock lets everybody in            5 it writes before will_write            6 it hangs */
#include "engine.h"

#define RECORD 32

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

static int attached(engine *self, const char *store, const dbrewind_volume_options *options, dbrewind_error **error) {
    dbrewind_medium medium = DBREWIND_INIT(medium);
    engine_length(self, &self->cached);
    medium.user = self;
    medium.read = engine_read;
    medium.write = engine_write;
    medium.truncate = engine_truncate;
    medium.length = engine_length;
    medium.lock = engine_lock;
    medium.unlock = engine_unlock;
    return dbrewind_volume_attach(store, "records", 64, &medium, options, &self->volume, error);
}

static int step_locked(engine *self, uint64_t seed) {
    uint64_t length, at, bytes[RECORD / 8], i;
    struct timespec work = {0, 100000};
    int failed = dbrewind_volume_enter(self->volume, NULL) || engine_length(self, &length);
    while (BROKEN == 6 && seed % 4 == 1) {
        pause();
    }
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
