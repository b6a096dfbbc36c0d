/* A volume of records under keys, in an array: its story, what no caller should do, and threads: keyed FOLDER */
#include "check.h"
#include "locked.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEYS 64
#define LONGEST 3000

static dbrewind_error *error = NULL;

typedef struct {
    int there;
    size_t length;
    unsigned char bytes[LONGEST];
} record;

typedef struct {
    locked engine;
    record records[KEYS];
    int reads;
    /* What is wrong with it: 1 says no length, 2 an endless one, 3 fails, 4 writes fail. */
    int wrong;
    const dbrewind_volume *inside;
    int code_inside;
} content;

/* Keys of an engine are far apart. */
static uint64_t key_of(size_t at) {
    return at == KEYS - 1 ? UINT64_MAX - 1 : at * UINT64_C(0x0100000000000000);
}

static record *record_of(content *self, uint64_t key) {
    return &self->records[key == UINT64_MAX - 1 ? KEYS - 1 : key >> 56];
}

static int content_read(void *user, uint64_t key, void *to, size_t room, uint64_t *length) {
    content *self = (content *)user;
    record *found = record_of(self, key);
    self->reads++;
    if (self->inside != NULL) {
        self->code_inside = dbrewind_volume_will_change(self->inside, key, NULL);
    }
    if (self->wrong == 1) {
        return 0;
    }
    if (self->wrong == 3) {
        return EIO;
    }
    *length = self->wrong == 2 ? UINT64_C(1) << 40 : found->there ? (uint64_t)found->length : DBREWIND_ABSENT;
    if (found->there) {
        memcpy(to, found->bytes, found->length < room ? found->length : room);
    }
    return 0;
}

static int content_write(void *user, uint64_t key, const void *from, size_t length) {
    content *self = (content *)user;
    record *place = record_of(self, key);
    if (self->wrong == 4 || length > LONGEST) {
        return EIO;
    }
    memset(place, 0, sizeof *place);
    place->there = 1;
    place->length = length;
    memcpy(place->bytes, from, length);
    return 0;
}

static int content_remove(void *user, uint64_t key) {
    content *self = (content *)user;
    if (self->wrong == 4) {
        return EIO;
    }
    memset(record_of(self, key), 0, sizeof(record));
    return 0;
}

static dbrewind_keyed_medium medium_of(content *self) {
    dbrewind_keyed_medium medium = DBREWIND_INIT(medium);
    medium.user = self;
    medium.read = content_read;
    medium.write = content_write;
    medium.remove = content_remove;
    medium.lock = locked_lock;
    medium.unlock = locked_unlock;
    medium.after_rewind = locked_rewound;
    return medium;
}

static void begun(content *self) {
    memset(self, 0, sizeof *self);
    pthread_mutex_init(&self->engine.mutex, NULL);
}

static dbrewind_volume *attached(const char *store, const char *name, content *self) {
    dbrewind_volume_options options = DBREWIND_INIT(options);
    dbrewind_keyed_medium medium = medium_of(self);
    dbrewind_volume *volume = NULL;
    options.flags = DBREWIND_VOLUME_ANEW;
    OK(dbrewind_volume_attach_keyed(store, name, &medium, &options, &volume, &error));
    return volume;
}

/* A negative length removes. Errors are nobody else's: threads call this. */
static int put(dbrewind_volume *volume, content *self, size_t at, unsigned char value, long length) {
    record *place = &self->records[at];
    int failed = pthread_mutex_lock(&self->engine.mutex) || dbrewind_volume_enter(volume, NULL);
    if (!failed && value % 2) {
        failed = dbrewind_volume_will_change(volume, key_of(at), NULL);
    } else if (!failed) {
        uint64_t there = place->there ? (uint64_t)place->length : DBREWIND_ABSENT;
        failed = dbrewind_volume_will_change_with(volume, key_of(at), place->bytes, there, NULL);
    }
    if (!failed) {
        memset(place, 0, sizeof *place);
        place->there = length >= 0;
        place->length = length >= 0 ? (size_t)length : 0;
        memset(place->bytes, value, place->length);
        failed = dbrewind_volume_commit(volume, NULL, NULL);
    }
    pthread_mutex_unlock(&self->engine.mutex);
    return failed;
}

static int same(const content *one, const content *two) {
    return memcmp(one->records, two->records, sizeof one->records) == 0;
}

static void story(const char *store) {
    static content table, then, later;
    dbrewind_mark_info mark = DBREWIND_INIT(mark);
    dbrewind_rewound rewound = DBREWIND_INIT(rewound);
    dbrewind_volume *volume;
    int reads;

    begun(&table);
    volume = attached(store, "story", &table);
    CHECK(put(volume, &table, 0, 1, 5) == 0 && put(volume, &table, 1, 2, 0) == 0);
    CHECK(put(volume, &table, KEYS - 1, 3, LONGEST) == 0 && put(volume, &table, 4, 7, 20) == 0);
    OK(dbrewind_volume_mark(volume, "seeded", 0, &mark, &error));
    CHECK(mark.pages == 0 && mark.state == DBREWIND_ARCHIVED);
    then = table;
    /* Changed, removed, inserted, made longer than the room for the first read, and inserted and removed again. */
    CHECK(put(volume, &table, 0, 5, 6) == 0 && put(volume, &table, KEYS - 1, 5, -1) == 0);
    CHECK(put(volume, &table, 2, 5, 0) == 0 && put(volume, &table, 1, 5, 2999) == 0);
    CHECK(put(volume, &table, 3, 5, 1) == 0 && put(volume, &table, 3, 6, -1) == 0);
    later = table;
    OK(dbrewind_volume_rewind(volume, dbrewind_to_mark("seeded"), NULL, &rewound, &error));
    CHECK(same(&table, &then) && table.engine.rewound == 1 && rewound.pages == 4);
    OK(dbrewind_volume_rewind(volume, dbrewind_to_moment(rewound.undo), NULL, NULL, &error));
    CHECK(same(&table, &later));

    /* Old content that is given is not asked for. */
    OK(dbrewind_volume_mark(volume, "second", 0, NULL, &error));
    reads = table.reads;
    CHECK(put(volume, &table, 0, 8, 100) == 0 && put(volume, &table, 9, 8, 100) == 0 && table.reads == reads);
    later = table;
    table.wrong = 4;
    FAILS(DBREWIND_IO, dbrewind_volume_rewind(volume, dbrewind_to_mark("seeded"), NULL, NULL, &error));
    table.wrong = 0;
    CHECK(pthread_mutex_lock(&table.engine.mutex) == 0);
    OK(dbrewind_volume_enter(volume, &error));
    pthread_mutex_unlock(&table.engine.mutex);
    OK(dbrewind_volume_rewind(volume, dbrewind_to_mark("seeded"), NULL, NULL, &error));
    CHECK(same(&table, &then));
    OK(dbrewind_volume_detach(volume, &error));
}

static void hostile_attach(const char *store) {
    static content table;
    dbrewind_keyed_medium medium, right;
    dbrewind_volume_options options = DBREWIND_INIT(options);
    dbrewind_volume *volume = NULL;
    int wrong;

    begun(&table);
    right = medium_of(&table);
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach_keyed(NULL, "v", &right, NULL, &volume, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach_keyed("", "v", &right, NULL, &volume, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach_keyed(store, NULL, &right, NULL, &volume, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach_keyed(store, "", &right, NULL, &volume, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach_keyed(store, "v", NULL, NULL, &volume, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach_keyed(store, "v", &right, NULL, NULL, &error));
    for (wrong = 0; wrong < 8; wrong++) {
        medium = right;
        switch (wrong) {
            case 0: medium.read = NULL; break;
            case 1: medium.write = NULL; break;
            case 2: medium.remove = NULL; break;
            case 3: medium.lock = NULL; break;
            case 4: medium.unlock = NULL; break;
            case 5: medium.size = 0; break;
            case 6: medium.size = offsetof(dbrewind_keyed_medium, identity) - 1; break;
            default: medium.size = 5000; break;
        }
        FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach_keyed(store, "v", &medium, NULL, &volume, &error));
    }
    options.flags = 2;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach_keyed(store, "v", &right, &options, &volume, &error));
    CHECK(volume == NULL);
}

static void hostile(const char *store) {
    static content table;
    static unsigned char old[64];
    dbrewind_volume *volume;
    pid_t child;
    int status = 0;

    hostile_attach(store);
    begun(&table);
    volume = attached(store, "hostile", &table);
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_will_change(NULL, 1, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_will_change((const dbrewind_volume *)&table, 1, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_will_change_with(NULL, 1, old, 1, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_will_change(volume, UINT64_MAX, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_will_change_with(volume, UINT64_MAX, old, 1, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_will_change_with(volume, 1, NULL, 5, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_will_change_with(volume, 1, old, UINT64_MAX - 1, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_will_write(volume, 0, 1, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_will_write_with(volume, 0, 1, old, 1, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_will_write_with(volume, 0, 1, NULL, 1, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_will_truncate(volume, 0, &error));
    OK(dbrewind_volume_will_change_with(volume, 1, NULL, 0, &error));
    OK(dbrewind_volume_will_change_with(volume, 2, NULL, DBREWIND_ABSENT, &error));
    OK(dbrewind_volume_commit(volume, NULL, &error));

    /* A function of the medium calls the volume. */
    table.inside = volume;
    CHECK(put(volume, &table, 9, 1, 1) == 0 && table.code_inside == DBREWIND_INVALID_ARGUMENT);
    table.inside = NULL;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        if (dbrewind_volume_will_change(volume, 1, NULL) == DBREWIND_FORKED
            && dbrewind_volume_will_change_with(volume, 1, old, 1, NULL) == DBREWIND_FORKED) {
            /* No check of leaks at its end: it has none of the parent's threads, nor what they own. */
            raise(SIGKILL);
        }
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

    /* What the engine cannot say ends the recording, once. */
    table.wrong = 1;
    FAILS(DBREWIND_IO, dbrewind_volume_will_change(volume, key_of(20), &error));
    FAILS(DBREWIND_IO, dbrewind_volume_will_change_with(volume, key_of(21), old, 1, &error));
    FAILS(DBREWIND_IO, dbrewind_volume_detach(volume, &error));
    FAILS(DBREWIND_CLOSED, dbrewind_volume_will_change(volume, 1, &error));
    FAILS(DBREWIND_CLOSED, dbrewind_volume_will_change_with(volume, 1, old, 1, &error));
    FAILS(DBREWIND_CLOSED, dbrewind_volume_detach(volume, &error));
    begun(&table);
    volume = attached(store, "hostile", &table);
    table.wrong = 2;
    FAILS(DBREWIND_UNSUPPORTED, dbrewind_volume_will_change(volume, key_of(20), &error));
    FAILS(DBREWIND_BUSY, dbrewind_volume_forget(store, "hostile", &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_forget(NULL, "hostile", &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_forget("/nowhere", "hostile", &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_forget(store, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_forget(store, "nothing", &error));
    (void)dbrewind_volume_detach(volume, NULL);
    OK(dbrewind_volume_forget(store, "hostile", &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_forget(store, "hostile", &error));
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
        long length = i % 5 == 0 ? -1 : (long)(i * 7 % 500);
        self->failed |= put(self->volume, self->table, (i * 37 + self->value * 11) % KEYS, self->value, length);
    }
    return NULL;
}

static void threads(const char *store) {
    static content table, then;
    worker workers[4];
    pthread_t running[4];
    dbrewind_volume *volume;
    int round, i;

    begun(&table);
    volume = attached(store, "threads", &table);
    for (i = 0; i < KEYS; i += 2) {
        CHECK(put(volume, &table, (size_t)i, 9, 30) == 0);
    }
    then = table;
    OK(dbrewind_volume_mark(volume, "start", 0, NULL, &error));
    for (i = 0; i < 4; i++) {
        workers[i].volume = volume;
        workers[i].table = &table;
        workers[i].value = (unsigned char)(i + 1);
        workers[i].failed = 0;
        CHECK(pthread_create(&running[i], NULL, work, &workers[i]) == 0);
    }
    for (round = 0; round < 20; round++) {
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
    CHECK(same(&table, &then));
    OK(dbrewind_volume_detach(volume, &error));
}

/* Programs that were compiled against this version count on it. */
static void layout(void) {
    CHECK(sizeof(dbrewind_keyed_medium) == 88 && offsetof(dbrewind_keyed_medium, identity) == 80);
    CHECK(offsetof(dbrewind_keyed_medium, user) == 8);
    CHECK(offsetof(dbrewind_keyed_medium, read) == 16 && offsetof(dbrewind_keyed_medium, remove) == 32);
    CHECK(offsetof(dbrewind_keyed_medium, lock) == 40 && offsetof(dbrewind_keyed_medium, sync) == 56);
    CHECK(offsetof(dbrewind_keyed_medium, stamp) == 64 && offsetof(dbrewind_keyed_medium, after_rewind) == 72);
    CHECK(DBREWIND_ABSENT == UINT64_MAX);
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
