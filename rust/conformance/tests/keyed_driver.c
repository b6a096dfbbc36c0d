/* An engine in a file, for dbrewind-conformance: records of 0 to 56 bytes under numbers, one in each slot, two alike in each change. BROKEN: what is wrong with it.
 *   1 it forgets will_change now and then   2 its remove does nothing       3 it caches how many records there are, and keeps that after a rewind
 *   4 its lock lets everybody in            5 it writes before will_change  6 it gives what it writes for what was there
 *   7 its read says of empty records that there are none */
#include "engine.h"

#define SLOTS 100
#define WORDS 7

typedef struct {
    /* Its length in bytes and 1; 0: there is none. */
    uint64_t used;
    uint64_t words[WORDS];
} slot;

static int get(engine *self, uint64_t key, slot *found) {
    memset(found, 0, sizeof *found);
    return pread(self->file, found, sizeof *found, (off_t)(key * sizeof *found)) < 0 ? errno : 0;
}

static int put(engine *self, uint64_t key, const slot *made) {
    return pwrite(self->file, made, sizeof *made, (off_t)(key * sizeof *made)) == (ssize_t)sizeof *made ? 0 : EIO;
}

static int engine_read(void *user, uint64_t key, void *to, size_t room, uint64_t *length) {
    slot found;
    int failed = get((engine *)user, key, &found);
    if (!failed) {
        int absent = found.used == 0 || (BROKEN == 7 && found.used == 1);
        *length = absent ? DBREWIND_ABSENT : found.used - 1;
        if (!absent && found.used - 1 <= room) {
            memcpy(to, found.words, found.used - 1);
        }
    }
    return failed;
}

static int engine_write(void *user, uint64_t key, const void *from, size_t length) {
    slot made;
    memset(&made, 0, sizeof made);
    if (length > sizeof made.words) {
        return EINVAL;
    }
    made.used = length + 1;
    memcpy(made.words, from, length);
    return put((engine *)user, key, &made);
}

static int engine_remove(void *user, uint64_t key) {
    slot none;
    memset(&none, 0, sizeof none);
    return BROKEN == 2 ? 0 : put((engine *)user, key, &none);
}

static int counted(engine *self, uint64_t *count) {
    slot found;
    uint64_t key;
    int failed = 0;
    for (key = *count = 0; !failed && key < SLOTS; key++) {
        failed = get(self, key, &found);
        *count += found.used != 0;
    }
    return failed;
}

static int attached(engine *self, const char *store, const dbrewind_volume_options *options, dbrewind_error **error) {
    dbrewind_keyed_medium medium = DBREWIND_INIT(medium);
    counted(self, &self->cached);
    medium.user = self;
    medium.read = engine_read;
    medium.write = engine_write;
    medium.remove = engine_remove;
    medium.lock = engine_lock;
    medium.unlock = engine_unlock;
    return dbrewind_volume_attach_keyed(store, "records", &medium, options, &self->volume, error);
}

static int announced(engine *self, uint64_t seed, uint64_t key, const slot *old, const slot *made) {
    const slot *said = BROKEN == 6 ? made : old;
    if (BROKEN == 1 && seed % 5 == 1) {
        return 0;
    }
    if (BROKEN != 6 && seed % 2 == 0) {
        return dbrewind_volume_will_change(self->volume, key, NULL);
    }
    return dbrewind_volume_will_change_with(self->volume, key, said->words, said->used == 0 ? DBREWIND_ABSENT : said->used - 1, NULL);
}

static int step_locked(engine *self, uint64_t seed) {
    struct timespec work = {0, 100000};
    slot old, made;
    uint64_t count, first, key, i;
    int failed = dbrewind_volume_enter(self->volume, NULL) || counted(self, &count);
    if (BROKEN == 3) {
        count = self->cached;
    }
    first = (seed / 64 + count) % (SLOTS / 2) * 2;
    memset(&made, 0, sizeof made);
    /* A third removes; of the others one in eight is empty. */
    if (seed % 3 != 0) {
        uint64_t words = seed / 8 % (WORDS + 1);
        made.used = words * 8 + 1;
        for (i = 0; i < words; i++) {
            made.words[i] = mixed(seed + i);
        }
    }
    for (key = first; key < first + 2; key++) {
        failed = failed || get(self, key, &old);
        if (BROKEN == 5) {
            failed = failed || put(self, key, &made);
        }
        failed = failed || announced(self, seed, key, &old, &made) || put(self, key, &made);
        if (BROKEN == 4) {
            nanosleep(&work, NULL);
        }
        self->cached = count += (made.used != 0) - (old.used != 0);
    }
    return failed || dbrewind_volume_commit(self->volume, NULL, NULL);
}

static int looked(engine *self, uint64_t *digest, int *torn) {
    uint64_t key, i, hash = 0;
    slot found, before;
    int failed;
    *torn = 0;
    memset(&before, 0, sizeof before);
    if (engine_lock(self, 30000) != 0) {
        return 1;
    }
    failed = dbrewind_volume_enter(self->volume, NULL);
    for (key = 0; !failed && key < SLOTS; key++) {
        failed = get(self, key, &found);
        hash = mixed(hash ^ found.used) + key;
        for (i = 0; i < WORDS; i++) {
            hash = mixed(hash ^ found.words[i]) + i;
        }
        *torn |= key % 2 == 1 && memcmp(&found, &before, sizeof found) != 0;
        before = found;
    }
    engine_unlock(self);
    *digest = hash;
    return failed;
}
