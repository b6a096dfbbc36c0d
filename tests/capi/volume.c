/* A volume over bytes in memory: its story, what no caller should do, and threads: volume FOLDER */
#include "check.h"
#include "locked.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK 64
#define ROOM 65536

static dbrewind_error *error = NULL;

typedef struct {
    locked engine;
    unsigned char bytes[ROOM];
    uint64_t length;
    int failing;
    const dbrewind_volume *inside;
    int code_inside;
} content;

static int content_read(void *user, uint64_t offset, void *to, size_t length) {
    content *self = (content *)user;
    if (self->inside != NULL) {
        self->code_inside = dbrewind_volume_will_write(self->inside, 0, 1, NULL);
    }
    if (offset + length > self->length) {
        return EINVAL;
    }
    memcpy(to, self->bytes + offset, length);
    return 0;
}

static int content_write(void *user, uint64_t offset, const void *from, size_t length) {
    content *self = (content *)user;
    if (self->failing || offset + length > self->length) {
        return EIO;
    }
    memcpy(self->bytes + offset, from, length);
    return 0;
}

static int content_truncate(void *user, uint64_t length) {
    content *self = (content *)user;
    if (length > ROOM) {
        return ENOSPC;
    }
    if (length > self->length) {
        memset(self->bytes + self->length, 0, length - self->length);
    }
    self->length = length;
    return 0;
}

static int content_length(void *user, uint64_t *length) {
    *length = ((content *)user)->length;
    return 0;
}

static dbrewind_medium medium_of(content *self) {
    dbrewind_medium medium = DBREWIND_INIT(medium);
    medium.user = self;
    medium.read = content_read;
    medium.write = content_write;
    medium.truncate = content_truncate;
    medium.length = content_length;
    medium.lock = locked_lock;
    medium.unlock = locked_unlock;
    medium.after_rewind = locked_rewound;
    return medium;
}

static void filled(content *self) {
    memset(self, 0, sizeof *self);
    pthread_mutex_init(&self->engine.mutex, NULL);
    self->length = 1000;
    memset(self->bytes, 7, self->length);
}

static dbrewind_volume *attached(const char *store, const char *name, content *self, uint32_t flags) {
    dbrewind_volume_options options = DBREWIND_INIT(options);
    dbrewind_medium medium = medium_of(self);
    dbrewind_volume *volume = NULL;
    options.flags = flags;
    OK(dbrewind_volume_attach(store, name, BLOCK, &medium, &options, &volume, &error));
    return volume;
}

/* Errors are nobody else's: threads call this. */
static int put(dbrewind_volume *volume, content *self, uint64_t offset, unsigned char value, uint64_t length) {
    int failed = pthread_mutex_lock(&self->engine.mutex) || dbrewind_volume_enter(volume, NULL)
        || dbrewind_volume_will_write(volume, offset, length, NULL);
    if (!failed) {
        if (offset + length > self->length) {
            content_truncate(self, offset + length);
        }
        memset(self->bytes + offset, value, length);
        failed = dbrewind_volume_commit(volume, NULL, NULL);
    }
    pthread_mutex_unlock(&self->engine.mutex);
    return failed;
}

static void story(const char *store) {
    static content table, then, later;
    dbrewind_volume *volume;
    dbrewind_mark_info mark = DBREWIND_INIT(mark);
    dbrewind_mark_list *marks = NULL;
    dbrewind_rewound rewound = DBREWIND_INIT(rewound);
    dbrewind_moment now;
    int dirty = 7;

    filled(&table);
    volume = attached(store, "story", &table, DBREWIND_VOLUME_ANEW);
    OK(dbrewind_volume_mark(volume, "seeded", DBREWIND_PIN, &mark, &error));
    CHECK(mark.pages == 16 && mark.pinned && mark.state == DBREWIND_ARCHIVED && mark.time > 0);
    then = table;
    OK(dbrewind_volume_dirty_since(volume, dbrewind_to_mark("seeded"), &dirty, &error));
    CHECK(dirty == 0);
    CHECK(put(volume, &table, 990, 1, 200) == 0 && put(volume, &table, 5, 2, 3) == 0);
    OK(dbrewind_volume_dirty_since(volume, dbrewind_to_mark("seeded"), &dirty, &error));
    CHECK(dirty == 1);
    later = table;

    OK(dbrewind_volume_rewind(volume, dbrewind_to_mark("seeded"), NULL, &rewound, &error));
    CHECK(table.length == then.length);
    CHECK(memcmp(table.bytes, then.bytes, then.length) == 0 && table.engine.rewound == 1);
    CHECK(rewound.pages == 5 && rewound.method == DBREWIND_WRITTEN);
    OK(dbrewind_volume_rewind(volume, dbrewind_to_moment(rewound.undo), NULL, NULL, &error));
    CHECK(table.length == later.length && memcmp(table.bytes, later.bytes, later.length) == 0);
    OK(dbrewind_volume_rewind(volume, dbrewind_to_now(), NULL, &rewound, &error));
    CHECK(rewound.method == DBREWIND_NOTHING);
    OK(dbrewind_volume_rewind(volume, dbrewind_to_time(mark.time), NULL, &rewound, &error));
    CHECK(rewound.to.lsn == mark.moment.lsn && rewound.time <= mark.time && table.length == then.length);
    OK(dbrewind_volume_rewind(volume, dbrewind_to_text("0 s ago"), NULL, &rewound, &error));
    CHECK(rewound.method == DBREWIND_NOTHING && table.length == then.length);

    OK(dbrewind_volume_now(volume, &now, &error));
    CHECK(now.lsn > mark.moment.lsn && now.database == mark.moment.database);
    OK(dbrewind_volume_marks(volume, &marks, &error));
    CHECK(dbrewind_mark_list_count(marks) == 1);
    dbrewind_mark_list_free(marks);
    OK(dbrewind_volume_drop(volume, "seeded", &error));
    FAILS(DBREWIND_MARK_NOT_FOUND, dbrewind_volume_drop(volume, "seeded", &error));

    /* What fails is taken back. */
    OK(dbrewind_volume_mark(volume, "second", 0, NULL, &error));
    CHECK(put(volume, &table, 0, 9, 500) == 0);
    later = table;
    table.failing = 1;
    FAILS(DBREWIND_IO, dbrewind_volume_rewind(volume, dbrewind_to_mark("second"), NULL, NULL, &error));
    table.failing = 0;
    CHECK(pthread_mutex_lock(&table.engine.mutex) == 0);
    OK(dbrewind_volume_enter(volume, &error));
    pthread_mutex_unlock(&table.engine.mutex);
    OK(dbrewind_volume_detach(volume, &error));
}

static void hostile(const char *store) {
    static content table;
    dbrewind_medium medium;
    dbrewind_volume_options options = DBREWIND_INIT(options);
    dbrewind_rewind_options how = DBREWIND_INIT(how);
    dbrewind_mark_info mark = DBREWIND_INIT(mark);
    dbrewind_volume *volume = NULL, *other;
    dbrewind_moment moment;
    pid_t child;
    int status = 0;

    filled(&table);
    medium = medium_of(&table);
    options.flags = DBREWIND_VOLUME_ANEW;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach(NULL, "v", 64, &medium, &options, &volume, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach("", "v", 64, &medium, &options, &volume, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach(store, NULL, 64, &medium, &options, &volume, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach(store, "", 64, &medium, &options, &volume, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach(store, "v", 65, &medium, &options, &volume, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach(store, "v", 64, NULL, &options, &volume, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach(store, "v", 64, &medium, &options, NULL, &error));
    medium.read = NULL;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach(store, "v", 64, &medium, &options, &volume, &error));
    medium = medium_of(&table);
    medium.unlock = NULL;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach(store, "v", 64, &medium, &options, &volume, &error));
    medium = medium_of(&table);
    medium.size = 8;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach(store, "v", 64, &medium, &options, &volume, &error));
    medium = medium_of(&table);
    options.flags = 2;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach(store, "v", 64, &medium, &options, &volume, &error));
    options.flags = 0;
    options.synchronous = 3;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach(store, "v", 64, &medium, &options, &volume, &error));
    CHECK(volume == NULL);

    volume = attached(store, "hostile", &table, DBREWIND_VOLUME_ANEW);
    other = attached(store, "other", &table, DBREWIND_VOLUME_ANEW);
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_enter(NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_enter((const dbrewind_volume *)&table, &error));
    /* Nor is a volume a database. */
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_now((const dbrewind_db *)(const void *)volume, &moment, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_mark(volume, NULL, 0, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_mark(volume, "m", 2, NULL, &error));
    OK(dbrewind_volume_mark(volume, "m", 0, &mark, &error));
    FAILS(DBREWIND_MARK_EXISTS, dbrewind_volume_mark(volume, "m", 0, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT,
          dbrewind_volume_rewind(other, dbrewind_to_moment(mark.moment), NULL, NULL, &error));
    FAILS(DBREWIND_BEFORE_WINDOW, dbrewind_volume_rewind(volume, dbrewind_to_time(1), NULL, NULL, &error));
    FAILS(DBREWIND_BEFORE_WINDOW, dbrewind_volume_rewind(volume, dbrewind_to_text("1 h ago"), NULL, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_rewind(volume, dbrewind_to_text("1 hou ago"), NULL, NULL, &error));
    FAILS(DBREWIND_MARK_NOT_FOUND, dbrewind_volume_rewind(volume, dbrewind_to_text("n"), NULL, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_rewind(volume, dbrewind_target_of(7, 0, 0, NULL), NULL, NULL, &error));
    how.flags = 2;
    FAILS(DBREWIND_INVALID_ARGUMENT,
          dbrewind_volume_rewind(volume, dbrewind_to_mark("m"), &how, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_will_write(volume, UINT64_MAX, 2, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_now(volume, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_marks(volume, NULL, &error));

    /* A function of the medium calls the volume. */
    table.inside = volume;
    CHECK(put(volume, &table, 0, 1, 1) == 0 && table.code_inside == DBREWIND_INVALID_ARGUMENT);
    table.inside = NULL;

    /* Somebody keeps the lock. */
    CHECK(pthread_mutex_lock(&table.engine.mutex) == 0);
    how.flags = 0;
    how.timeout_ms = 20;
    FAILS(DBREWIND_BUSY, dbrewind_volume_rewind(volume, dbrewind_to_mark("m"), &how, NULL, &error));
    pthread_mutex_unlock(&table.engine.mutex);

    fflush(stdout);
    child = fork();
    if (child == 0) {
        if (dbrewind_volume_enter(volume, NULL) == DBREWIND_FORKED
            && dbrewind_volume_detach(volume, NULL) == DBREWIND_FORKED) {
            /* No check of leaks at its end: it has none of the parent's threads, nor what they own. */
            raise(SIGKILL);
        }
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

    OK(dbrewind_volume_detach(other, &error));
    OK(dbrewind_volume_detach(volume, &error));
    FAILS(DBREWIND_CLOSED, dbrewind_volume_detach(volume, &error));
    FAILS(DBREWIND_CLOSED, dbrewind_volume_enter(volume, &error));
    OK(dbrewind_volume_detach(NULL, &error));
}

typedef struct {
    dbrewind_volume *volume;
    content *table;
    unsigned char value;
    int failed;
} worker;

static void *work(void *argument) {
    worker *self = (worker *)argument;
    unsigned i;
    for (i = 0; i < 300; i++) {
        self->failed |= put(self->volume, self->table, (i * 37 + self->value * 911) % 4000, self->value, 1 + i % 90);
    }
    return NULL;
}

static void threads(const char *store) {
    static content table, then;
    worker workers[4];
    pthread_t running[4];
    dbrewind_volume *volume;
    int round, i;

    filled(&table);
    volume = attached(store, "threads", &table, DBREWIND_VOLUME_ANEW);
    then = table;
    OK(dbrewind_volume_mark(volume, "start", 0, NULL, &error));
    for (i = 0; i < 4; i++) {
        workers[i].volume = volume;
        workers[i].table = &table;
        workers[i].value = (unsigned char)(i + 1);
        workers[i].failed = 0;
        CHECK(pthread_create(&running[i], NULL, work, &workers[i]) == 0);
    }
    for (round = 0; round < 30; round++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", round);
        OK(dbrewind_volume_mark(volume, name, 0, NULL, &error));
        if (round % 3 == 2) {
            OK(dbrewind_volume_rewind(volume, dbrewind_to_mark(name), NULL, NULL, &error));
        }
    }
    for (i = 0; i < 4; i++) {
        CHECK(pthread_join(running[i], NULL) == 0 && workers[i].failed == 0);
    }
    OK(dbrewind_volume_rewind(volume, dbrewind_to_mark("start"), NULL, NULL, &error));
    CHECK(table.length == then.length && memcmp(table.bytes, then.bytes, then.length) == 0);
    OK(dbrewind_volume_detach(volume, &error));
}

/* Programs that were compiled against this version count on it. */
static void layout(void) {
    CHECK(sizeof(dbrewind_medium) == 96 && offsetof(dbrewind_medium, identity) == 88);
    CHECK(offsetof(dbrewind_medium, user) == 8);
    CHECK(offsetof(dbrewind_medium, read) == 16 && offsetof(dbrewind_medium, length) == 40);
    CHECK(offsetof(dbrewind_medium, lock) == 48 && offsetof(dbrewind_medium, sync) == 64);
    CHECK(offsetof(dbrewind_medium, stamp) == 72 && offsetof(dbrewind_medium, after_rewind) == 80);
    CHECK(sizeof(dbrewind_volume_options) == 40 && offsetof(dbrewind_volume_options, timeout_ms) == 8);
    CHECK(offsetof(dbrewind_volume_options, synchronous) == 32);
}

int main(int count, char **arguments) {
    char *store;
    if (count < 2) {
        return 2;
    }
    store = joined(arguments[1], "history");
    layout();
    story(store);
    hostile(store);
    threads(store);
    free(store);
    puts("right");
    return 0;
}
