/* Every call on every kind of wrong handle, from within functions of a medium, from many threads, and in the child of a fork: handles FOLDER */
#include "check.h"
#include "locked.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define LENGTH 640

static dbrewind_error *error = NULL;
static char *clone_file;

/* Each function that takes a database, as one that has nothing else wrong with it. */
typedef int (*db_call)(dbrewind_db *db, dbrewind_error **error);

static int db_info(dbrewind_db *db, dbrewind_error **why) {
    dbrewind_info info = DBREWIND_INIT(info);
    return dbrewind_get_info(db, &info, why);
}
static int db_now(dbrewind_db *db, dbrewind_error **why) {
    dbrewind_moment now;
    return dbrewind_now(db, &now, why);
}
static int db_dirty(dbrewind_db *db, dbrewind_error **why) {
    int dirty;
    return dbrewind_dirty_since(db, dbrewind_to_mark("m"), &dirty, why);
}
static int db_digest(dbrewind_db *db, dbrewind_error **why) {
    uint8_t digest[16];
    return dbrewind_digest(db, digest, why);
}
static int db_mark(dbrewind_db *db, dbrewind_error **why) {
    return dbrewind_mark(db, "another", 0, NULL, why);
}
static int db_drop(dbrewind_db *db, dbrewind_error **why) {
    return dbrewind_drop(db, "m", why);
}
static int db_marks(dbrewind_db *db, dbrewind_error **why) {
    dbrewind_mark_list *list = NULL;
    int code = dbrewind_marks(db, &list, why);
    dbrewind_mark_list_free(list);
    return code;
}
static int db_rewind(dbrewind_db *db, dbrewind_error **why) {
    return dbrewind_rewind(db, dbrewind_to_mark("m"), NULL, NULL, why);
}
static int db_status(dbrewind_db *db, dbrewind_error **why) {
    dbrewind_status_info status = DBREWIND_INIT(status);
    return dbrewind_status(db, &status, NULL, why);
}
static int db_at(dbrewind_db *db, dbrewind_error **why) {
    dbrewind_past *past = NULL;
    int code = dbrewind_at(db, dbrewind_to_mark("m"), &past, why);
    dbrewind_past_free(past);
    return code;
}
static int db_clone(dbrewind_db *db, dbrewind_error **why) {
    return dbrewind_clone(db, dbrewind_to_mark("m"), clone_file, why);
}
static int db_diff(dbrewind_db *db, dbrewind_error **why) {
    dbrewind_difference *difference = NULL;
    int code = dbrewind_diff(db, dbrewind_to_mark("m"), dbrewind_to_mark("m"), &difference, why);
    dbrewind_difference_free(difference);
    return code;
}

static const db_call DB_CALLS[] = {db_info, db_now,    db_dirty,  db_digest, db_mark,  db_drop,
                                   db_marks, db_rewind, db_status, db_at,     db_clone, db_diff};
#define DB_COUNT (sizeof DB_CALLS / sizeof *DB_CALLS)

/* Each function that takes a volume. */
typedef int (*volume_call)(dbrewind_volume *volume, dbrewind_error **error);

static int volume_enter(dbrewind_volume *volume, dbrewind_error **why) {
    return dbrewind_volume_enter(volume, why);
}
static int volume_will_write(dbrewind_volume *volume, dbrewind_error **why) {
    return dbrewind_volume_will_write(volume, 0, 1, why);
}
static int volume_will_write_with(dbrewind_volume *volume, dbrewind_error **why) {
    return dbrewind_volume_will_write_with(volume, 0, 1, "x", 1, why);
}
static int volume_will_truncate(dbrewind_volume *volume, dbrewind_error **why) {
    return dbrewind_volume_will_truncate(volume, LENGTH, why);
}
static int volume_will_change(dbrewind_volume *volume, dbrewind_error **why) {
    return dbrewind_volume_will_change(volume, 1, why);
}
static int volume_will_change_with(dbrewind_volume *volume, dbrewind_error **why) {
    return dbrewind_volume_will_change_with(volume, 1, "x", 1, why);
}
static int volume_commit(dbrewind_volume *volume, dbrewind_error **why) {
    dbrewind_moment now;
    return dbrewind_volume_commit(volume, &now, why);
}
static int volume_mark(dbrewind_volume *volume, dbrewind_error **why) {
    return dbrewind_volume_mark(volume, "another", 0, NULL, why);
}
static int volume_drop(dbrewind_volume *volume, dbrewind_error **why) {
    return dbrewind_volume_drop(volume, "m", why);
}
static int volume_marks(dbrewind_volume *volume, dbrewind_error **why) {
    dbrewind_mark_list *list = NULL;
    int code = dbrewind_volume_marks(volume, &list, why);
    dbrewind_mark_list_free(list);
    return code;
}
static int volume_rewind(dbrewind_volume *volume, dbrewind_error **why) {
    return dbrewind_volume_rewind(volume, dbrewind_to_mark("m"), NULL, NULL, why);
}
static int volume_now(dbrewind_volume *volume, dbrewind_error **why) {
    dbrewind_moment now;
    return dbrewind_volume_now(volume, &now, why);
}
static int volume_dirty(dbrewind_volume *volume, dbrewind_error **why) {
    int dirty;
    return dbrewind_volume_dirty_since(volume, dbrewind_to_mark("m"), &dirty, why);
}
static int volume_status(dbrewind_volume *volume, dbrewind_error **why) {
    dbrewind_status_info status = DBREWIND_INIT(status);
    return dbrewind_volume_status(volume, &status, NULL, why);
}
/* Those of files; all but the first want a change to have begun, which is looked at last. */
static int file_begin(dbrewind_volume *volume, dbrewind_error **why) {
    return dbrewind_file_begin(volume, why);
}
static int file_read(dbrewind_volume *volume, dbrewind_error **why) {
    char byte;
    uint64_t count;
    return dbrewind_file_read(volume, 0, &byte, 1, &count, why);
}
static int file_write(dbrewind_volume *volume, dbrewind_error **why) {
    return dbrewind_file_write(volume, 0, "x", 1, why);
}
static int file_truncate(dbrewind_volume *volume, dbrewind_error **why) {
    return dbrewind_file_truncate(volume, LENGTH, why);
}
static int file_length(dbrewind_volume *volume, dbrewind_error **why) {
    uint64_t length;
    return dbrewind_file_length(volume, &length, why);
}
static int file_end(dbrewind_volume *volume, dbrewind_error **why) {
    return dbrewind_file_end(volume, NULL, why);
}
/* The last two end the handle. */
static int volume_detach(dbrewind_volume *volume, dbrewind_error **why) {
    return dbrewind_volume_detach(volume, why);
}
static int volume_abandon(dbrewind_volume *volume, dbrewind_error **why) {
    return dbrewind_volume_abandon(volume, why);
}

static const volume_call VOLUME_CALLS[] = {
    volume_enter,  volume_will_write, volume_will_write_with, volume_will_truncate, volume_will_change, volume_will_change_with,
    volume_commit, volume_mark,       volume_drop,            volume_marks,         volume_rewind,      volume_now,
    volume_dirty,  volume_status,     file_begin,             file_read,            file_write,         file_truncate,
    file_length,   file_end,          volume_detach,          volume_abandon};
#define VOLUME_COUNT (sizeof VOLUME_CALLS / sizeof *VOLUME_CALLS)

/* Which function of a medium runs. */
enum { IN_READ, IN_WRITE, IN_TRUNCATE, IN_LENGTH, IN_LOCK, IN_UNLOCK, IN_SYNC, IN_STAMP, IN_REWOUND, IN_IDENTITY, ALL_OF_THEM };

typedef struct {
    locked engine;
    unsigned char bytes[LENGTH];
    uint64_t length;
    /* What its functions call, in vain; and which of them were called. */
    const char *store;
    dbrewind_volume *other;
    unsigned seen;
    /* Where it says that somebody waits for its lock, if that is wanted. */
    int says[2];
} content;

static void set_up(dbrewind_medium *medium, content *self);

/* A function of a medium calls volumes: each call is refused, for that reason. */
static void from_within(void *user, int which) {
    content *self = (content *)user;
    dbrewind_error *why = NULL;
    dbrewind_medium medium;
    dbrewind_volume *volume = NULL;
    size_t i;
    if (self->other == NULL) {
        return;
    }
    self->seen |= 1u << which;
    for (i = 0; i < VOLUME_COUNT; i++) {
        CHECK(VOLUME_CALLS[i](self->other, &why) == DBREWIND_INVALID_ARGUMENT);
        CHECK(strstr(dbrewind_error_text(why), "a function of a medium may not call a volume") != NULL);
        dbrewind_error_free(why);
    }
    set_up(&medium, self);
    CHECK(dbrewind_volume_attach(self->store, "within", 64, &medium, NULL, &volume, NULL) == DBREWIND_INVALID_ARGUMENT);
    CHECK(dbrewind_volume_forget(self->store, "within", NULL) == DBREWIND_INVALID_ARGUMENT && volume == NULL);
}

static int content_read(void *user, uint64_t offset, void *to, size_t length) {
    from_within(user, IN_READ);
    memcpy(to, ((content *)user)->bytes + offset, length);
    return 0;
}

static int content_write(void *user, uint64_t offset, const void *from, size_t length) {
    from_within(user, IN_WRITE);
    memcpy(((content *)user)->bytes + offset, from, length);
    return 0;
}

static int content_truncate(void *user, uint64_t length) {
    from_within(user, IN_TRUNCATE);
    ((content *)user)->length = length;
    return 0;
}

static int content_length(void *user, uint64_t *length) {
    from_within(user, IN_LENGTH);
    *length = ((content *)user)->length;
    return 0;
}

static int content_lock(void *user, uint64_t timeout_ms) {
    content *self = (content *)user;
    from_within(user, IN_LOCK);
    if (self->says[1] != 0) {
        CHECK(write(self->says[1], "", 1) == 1);
    }
    return locked_lock(user, timeout_ms);
}

static void content_unlock(void *user) {
    from_within(user, IN_UNLOCK);
    locked_unlock(user);
}

static int content_sync(void *user) {
    from_within(user, IN_SYNC);
    return 0;
}

static int content_stamp(void *user, uint8_t *to, size_t room, size_t *length) {
    from_within(user, IN_STAMP);
    (void)to;
    *length = room > 0 ? 0 : 1;
    return 0;
}

static void content_rewound(void *user, uint64_t lsn) {
    from_within(user, IN_REWOUND);
    locked_rewound(user, lsn);
}

static int content_identity(void *user, uint8_t *to, size_t room, size_t *length) {
    from_within(user, IN_IDENTITY);
    CHECK(room >= sizeof user);
    memcpy(to, &user, sizeof user);
    *length = sizeof user;
    return 0;
}

static void set_up(dbrewind_medium *medium, content *self) {
    memset(medium, 0, sizeof *medium);
    medium->size = sizeof *medium;
    medium->user = self;
    medium->read = content_read;
    medium->write = content_write;
    medium->truncate = content_truncate;
    medium->length = content_length;
    medium->lock = content_lock;
    medium->unlock = content_unlock;
    medium->sync = content_sync;
    medium->stamp = content_stamp;
    medium->after_rewind = content_rewound;
    medium->identity = content_identity;
}

static void begin(content *self, const char *store) {
    memset(self, 0, sizeof *self);
    pthread_mutex_init(&self->engine.mutex, NULL);
    self->length = LENGTH;
    self->store = store;
}

static dbrewind_volume *attached(content *self, const char *name) {
    dbrewind_medium medium;
    dbrewind_volume *volume = NULL;
    set_up(&medium, self);
    OK(dbrewind_volume_attach(self->store, name, 64, &medium, NULL, &volume, &error));
    return volume;
}

static void within(const char *store) {
    static content table, beside;
    dbrewind_volume *volume;
    begin(&table, store);
    begin(&beside, store);
    table.other = attached(&beside, "beside");
    OK(dbrewind_volume_mark(table.other, "m", 0, NULL, &error));
    volume = attached(&table, "calls");
    OK(dbrewind_volume_mark(volume, "m", 0, NULL, &error));
    CHECK(pthread_mutex_lock(&table.engine.mutex) == 0);
    OK(dbrewind_volume_enter(volume, &error));
    OK(dbrewind_volume_will_truncate(volume, 100, &error));
    table.length = 100;
    OK(dbrewind_volume_will_write(volume, 0, 100, &error));
    memset(table.bytes, 1, 100);
    OK(dbrewind_volume_commit(volume, NULL, &error));
    pthread_mutex_unlock(&table.engine.mutex);
    OK(dbrewind_volume_rewind(volume, dbrewind_to_mark("m"), NULL, NULL, &error));
    CHECK(table.length == LENGTH && table.bytes[0] == 0);
    OK(dbrewind_volume_detach(volume, &error));
    CHECK(table.seen == (1u << ALL_OF_THEM) - 1);
    /* What was called in vain is as it was. */
    OK(dbrewind_volume_rewind(table.other, dbrewind_to_mark("m"), NULL, NULL, &error));
    OK(dbrewind_volume_detach(table.other, &error));
}

static void all_fail(int code, dbrewind_db *db, dbrewind_volume *volume) {
    size_t i;
    for (i = 0; i < DB_COUNT; i++) {
        FAILS(code, DB_CALLS[i](db, &error));
    }
    for (i = 0; i < VOLUME_COUNT; i++) {
        /* To end what is not there is no error. */
        if (volume != NULL || i < VOLUME_COUNT - 2) {
            FAILS(code, VOLUME_CALLS[i](volume, &error));
        }
    }
}

static int all_forked(dbrewind_db *db, dbrewind_volume *volume) {
    size_t i, wrong = 0;
    for (i = 0; i < DB_COUNT; i++) {
        wrong += DB_CALLS[i](db, NULL) != DBREWIND_FORKED;
    }
    for (i = 0; i < VOLUME_COUNT; i++) {
        wrong += VOLUME_CALLS[i](volume, NULL) != DBREWIND_FORKED;
    }
    return wrong == 0 && dbrewind_close(db, NULL) == DBREWIND_FORKED;
}

static void forked(dbrewind_db *db, dbrewind_volume *volume) {
    int status = 0;
    pid_t child;
    fflush(stdout);
    child = fork();
    if (child == 0) {
        if (all_forked(db, volume)) {
            /* No check of leaks at its end: it has none of the parent's threads, nor what they own. */
            raise(SIGKILL);
        }
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

typedef struct {
    dbrewind_db *db;
    dbrewind_volume *volume;
    const dbrewind_mark_list *marks;
    int wrong;
} worker;

/* Both handles are closed; the list is there. */
static void *after_the_end(void *given) {
    worker *self = (worker *)given;
    dbrewind_mark_info mark = DBREWIND_INIT(mark);
    size_t i;
    int round;
    for (round = 0; round < 50; round++) {
        for (i = 0; i < DB_COUNT; i++) {
            self->wrong += DB_CALLS[i](self->db, NULL) != DBREWIND_CLOSED;
        }
        for (i = 0; i < VOLUME_COUNT; i++) {
            self->wrong += VOLUME_CALLS[i](self->volume, NULL) != DBREWIND_CLOSED;
        }
        self->wrong += dbrewind_mark_list_get(self->marks, 0, &mark) != DBREWIND_OK || strcmp(mark.name, "m") != 0;
    }
    return NULL;
}

static void wrong_handles(const char *folder, const char *store) {
    static content table;
    char *path = seeded(folder, "handles.db", "wal");
    dbrewind_db *db = NULL;
    dbrewind_volume *volume;
    dbrewind_mark_list *marks = NULL;
    worker workers[4];
    pthread_t running[4];
    size_t i;

    begin(&table, store);
    OK(dbrewind_open(path, NULL, &db, &error));
    OK(dbrewind_mark(db, "m", 0, NULL, &error));
    volume = attached(&table, "handles");
    OK(dbrewind_volume_mark(volume, "m", 0, NULL, &error));
    all_fail(DBREWIND_INVALID_ARGUMENT, NULL, NULL);
    /* Something of the caller's; each kind for the other; and what may be a handle some day. */
    all_fail(DBREWIND_INVALID_ARGUMENT, (dbrewind_db *)(void *)&table, (dbrewind_volume *)(void *)&table);
    all_fail(DBREWIND_INVALID_ARGUMENT, (dbrewind_db *)(void *)volume, (dbrewind_volume *)(void *)db);
    all_fail(DBREWIND_INVALID_ARGUMENT, (dbrewind_db *)((size_t)db + 16), (dbrewind_volume *)((size_t)volume + 16));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_close((dbrewind_db *)(void *)volume, &error));
    forked(db, volume);

    /* Nothing of that did anything. */
    for (i = 0; i < DB_COUNT; i++) {
        /* `m` is dropped when all else that needs it has been called. */
        if (DB_CALLS[i] != db_drop) {
            OK(DB_CALLS[i](db, &error));
        }
    }
    OK(dbrewind_volume_rewind(volume, dbrewind_to_mark("m"), NULL, NULL, &error));
    OK(dbrewind_volume_marks(volume, &marks, &error));
    OK(dbrewind_volume_detach(volume, &error));
    OK(dbrewind_close(db, &error));
    all_fail(DBREWIND_CLOSED, db, volume);
    for (i = 0; i < 4; i++) {
        workers[i].db = db;
        workers[i].volume = volume;
        workers[i].marks = marks;
        workers[i].wrong = 0;
        CHECK(pthread_create(&running[i], NULL, after_the_end, &workers[i]) == 0);
    }
    for (i = 0; i < 4; i++) {
        CHECK(pthread_join(running[i], NULL) == 0 && workers[i].wrong == 0);
    }
    dbrewind_mark_list_free(marks);
    free(path);
}

static dbrewind_volume *waiting;
static int asked;

static void *rewinds(void *given) {
    dbrewind_rewind_options how = DBREWIND_INIT(how);
    how.timeout_ms = 3600000;
    *(int *)given = dbrewind_volume_rewind(waiting, dbrewind_to_mark("m"), &how, NULL, NULL);
    return NULL;
}

static int at_the_second(void *data) {
    return data == &asked && ++asked == 2;
}

/* A rewind that waits for another one, which waits for the engine, ends when the thread's hook says so. */
static void interrupted(const char *store) {
    static content table;
    dbrewind_rewind_options how = DBREWIND_INIT(how);
    pthread_t other;
    int code = -1;
    char byte = 0;
    begin(&table, store);
    waiting = attached(&table, "interrupted");
    OK(dbrewind_volume_mark(waiting, "m", 0, NULL, &error));
    CHECK(pthread_mutex_lock(&table.engine.mutex) == 0 && pipe(table.says) == 0);
    CHECK(pthread_create(&other, NULL, rewinds, &code) == 0);
    CHECK(read(table.says[0], &byte, 1) == 1);
    how.timeout_ms = 3600000;
    dbrewind_interrupt_hook(at_the_second, &asked);
    FAILS(DBREWIND_INTERRUPTED, dbrewind_volume_rewind(waiting, dbrewind_to_mark("m"), &how, NULL, &error));
    CHECK(asked == 2);
    dbrewind_interrupt_hook(NULL, NULL);
    pthread_mutex_unlock(&table.engine.mutex);
    CHECK(pthread_join(other, NULL) == 0 && code == DBREWIND_OK);
    OK(dbrewind_volume_detach(waiting, &error));
}

int main(int count, char **arguments) {
    char *store;
    if (count < 2) {
        return 2;
    }
    store = joined(arguments[1], "history");
    clone_file = joined(arguments[1], "clone.db");
    within(store);
    wrong_handles(arguments[1], store);
    interrupted(store);
    free(clone_file);
    free(store);
    puts("right");
    return 0;
}
