/* What is promised of structs and results: sizes, newer and older ones, what an error leaves, what outlives its handle: structs FOLDER */
#include "check.h"

#define LENGTH 256

static dbrewind_error *error = NULL;

/* As its functions want it: one thread does all. */
static unsigned char bytes[LENGTH];

static int content_read(void *user, uint64_t offset, void *to, size_t length) {
    (void)user;
    memcpy(to, bytes + offset, length);
    return 0;
}

static int content_write(void *user, uint64_t offset, const void *from, size_t length) {
    (void)user;
    memcpy(bytes + offset, from, length);
    return 0;
}

static int content_truncate(void *user, uint64_t length) {
    (void)user;
    return length == LENGTH ? 0 : 1;
}

static int content_length(void *user, uint64_t *length) {
    (void)user;
    *length = LENGTH;
    return 0;
}

static dbrewind_medium the_medium(void) {
    dbrewind_medium medium = DBREWIND_INIT(medium);
    medium.read = content_read;
    medium.write = content_write;
    medium.truncate = content_truncate;
    medium.length = content_length;
    return medium;
}

static dbrewind_db *db;
static dbrewind_volume *volume;
static char *store;
static const char *folder;

/* Each function with each struct that it takes, at a place of the caller's. */
typedef int (*call_with)(void *place);

static int with_mark(void *place) {
    return dbrewind_mark(db, "unset", 0, (dbrewind_mark_info *)place, &error);
}
static int with_rewound(void *place) {
    return dbrewind_rewind(db, dbrewind_to_mark("m"), NULL, (dbrewind_rewound *)place, &error);
}
static int with_rewind_options(void *place) {
    return dbrewind_rewind(db, dbrewind_to_mark("m"), (dbrewind_rewind_options *)place, NULL, &error);
}
static int with_status(void *place) {
    return dbrewind_status(db, (dbrewind_status_info *)place, NULL, &error);
}
static int with_info(void *place) {
    return dbrewind_get_info(db, (dbrewind_info *)place, &error);
}
static int with_volume_mark(void *place) {
    return dbrewind_volume_mark(volume, "unset", 0, (dbrewind_mark_info *)place, &error);
}
static int with_volume_rewound(void *place) {
    return dbrewind_volume_rewind(volume, dbrewind_to_mark("m"), NULL, (dbrewind_rewound *)place, &error);
}
static int with_volume_rewind_options(void *place) {
    return dbrewind_volume_rewind(volume, dbrewind_to_mark("m"), (dbrewind_rewind_options *)place, NULL, &error);
}
static int with_volume_status(void *place) {
    return dbrewind_volume_status(volume, (dbrewind_status_info *)place, NULL, &error);
}
static int with_medium(void *place) {
    dbrewind_volume *none = NULL;
    return dbrewind_volume_attach(store, "unset", 64, (dbrewind_medium *)place, NULL, &none, &error);
}
static int with_keyed_medium(void *place) {
    dbrewind_volume *none = NULL;
    return dbrewind_volume_attach_keyed(store, "unset", (dbrewind_keyed_medium *)place, NULL, &none, &error);
}
static int with_volume_options(void *place) {
    dbrewind_medium medium = the_medium();
    dbrewind_volume *none = NULL;
    return dbrewind_volume_attach(store, "unset", 64, &medium, (dbrewind_volume_options *)place, &none, &error);
}
static int with_listed_mark(void *place) {
    dbrewind_mark_list *list = NULL;
    int code;
    OK(dbrewind_marks(db, &list, &error));
    code = dbrewind_mark_list_get(list, 0, (dbrewind_mark_info *)place);
    dbrewind_mark_list_free(list);
    return code;
}
static int with_listed_pin(void *place) {
    dbrewind_status_info status = DBREWIND_INIT(status);
    dbrewind_pin_list *list = NULL;
    int code;
    OK(dbrewind_status(db, &status, &list, &error));
    code = dbrewind_pin_list_get(list, 0, (dbrewind_pin_info *)place);
    dbrewind_pin_list_free(list);
    return code;
}

typedef struct {
    call_with call;
    size_t size;
    /* It is a place for a result, and one of any size above its own is filled. */
    int result;
} taken;

static const taken TAKEN[] = {
    {with_mark, sizeof(dbrewind_mark_info), 0},
    {with_volume_mark, sizeof(dbrewind_mark_info), 0},
    {with_rewound, sizeof(dbrewind_rewound), 1},
    {with_volume_rewound, sizeof(dbrewind_rewound), 1},
    {with_status, sizeof(dbrewind_status_info), 1},
    {with_volume_status, sizeof(dbrewind_status_info), 1},
    {with_info, sizeof(dbrewind_info), 1},
    {with_listed_mark, sizeof(dbrewind_mark_info), 1},
    {with_listed_pin, sizeof(dbrewind_pin_info), 1},
    {with_rewind_options, sizeof(dbrewind_rewind_options), 0},
    {with_volume_rewind_options, sizeof(dbrewind_rewind_options), 0},
    {with_volume_options, sizeof(dbrewind_volume_options), 0},
    {with_medium, sizeof(dbrewind_medium), 0},
    {with_keyed_medium, sizeof(dbrewind_keyed_medium), 0},
};
#define TAKEN_COUNT (sizeof TAKEN / sizeof *TAKEN)

/* Room for any of them, and more, at any place. */
static union {
    size_t size;
    unsigned char bytes[8192];
} room, before;

static void freed(void) {
    dbrewind_error_free(error);
    error = NULL;
}

static void sizes(void) {
    static const size_t wrong[] = {0, 1, sizeof(size_t), 2 * sizeof(size_t) - 1, 4097, (size_t)-1};
    size_t i, j;
    for (i = 0; i < TAKEN_COUNT; i++) {
        for (j = 0; j < sizeof wrong / sizeof *wrong; j++) {
            memset(room.bytes, 0xab, sizeof room.bytes);
            room.size = wrong[j];
            before = room;
            CHECK(TAKEN[i].call(&room) == DBREWIND_INVALID_ARGUMENT);
            freed();
            /* Left alone. */
            CHECK(memcmp(&room, &before, sizeof room) == 0);
        }
        /* Not aligned, whatever stands there. */
        memset(room.bytes, 0, sizeof room.bytes);
        CHECK(TAKEN[i].call(room.bytes + 1) == DBREWIND_INVALID_ARGUMENT);
        freed();
        if (TAKEN[i].result) {
            /* A newer program's: what is not known is zero. */
            memset(room.bytes, 0xab, sizeof room.bytes);
            room.size = 4096;
            OK(TAKEN[i].call(&room));
            CHECK(room.size == 4096 && room.bytes[4096] == 0xab);
            for (j = TAKEN[i].size; j < 4096; j++) {
                CHECK(room.bytes[j] == 0);
            }
        }
    }
}

/* Structs of options of a newer program: refused only if something is in what this version does not know. */
static void newer_options(void) {
    size_t i;
    static const taken given[] = {
        {with_rewind_options, sizeof(dbrewind_rewind_options), 0},
        {with_volume_rewind_options, sizeof(dbrewind_rewind_options), 0},
        {with_volume_options, sizeof(dbrewind_volume_options), 0},
        {with_medium, sizeof(dbrewind_medium), 0},
    };
    dbrewind_medium medium = the_medium();
    for (i = 0; i < sizeof given / sizeof *given; i++) {
        memset(room.bytes, 0, sizeof room.bytes);
        if (given[i].call == with_medium) {
            memcpy(room.bytes, &medium, sizeof medium);
        }
        room.size = given[i].size + 64;
        room.bytes[given[i].size + 63] = 1;
        CHECK(given[i].call(&room) == DBREWIND_INVALID_ARGUMENT);
        freed();
        room.bytes[given[i].size + 63] = 0;
        /* Behind its size anything may stand. */
        room.bytes[given[i].size + 64] = 1;
        OK(given[i].call(&room));
    }
}

/* Structs that are given for results are left alone by a call that fails, pointers are NULL. */
static void results_after_errors(void) {
    dbrewind_mark_info mark = DBREWIND_INIT(mark), same_mark;
    dbrewind_rewound rewound = DBREWIND_INIT(rewound), same_rewound;
    dbrewind_status_info status = DBREWIND_INIT(status), same_status;
    dbrewind_moment moment, same_moment;
    dbrewind_mark_list *marks = (dbrewind_mark_list *)&mark;
    dbrewind_pin_list *pins = (dbrewind_pin_list *)&mark;
    dbrewind_process_list *processes = (dbrewind_process_list *)&mark;
    dbrewind_past *past = (dbrewind_past *)&mark;
    dbrewind_difference *difference = (dbrewind_difference *)&mark;
    dbrewind_db *none = (dbrewind_db *)&mark;
    dbrewind_volume *no_volume = (dbrewind_volume *)&mark;
    dbrewind_medium medium = the_medium();
    int dirty = 7;

    memset((unsigned char *)&mark + sizeof(size_t), 0xcd, sizeof mark - sizeof(size_t));
    memset((unsigned char *)&rewound + sizeof(size_t), 0xcd, sizeof rewound - sizeof(size_t));
    memset((unsigned char *)&status + sizeof(size_t), 0xcd, sizeof status - sizeof(size_t));
    memset(&moment, 0xcd, sizeof moment);
    memcpy(&same_mark, &mark, sizeof mark);
    memcpy(&same_rewound, &rewound, sizeof rewound);
    memcpy(&same_status, &status, sizeof status);
    memcpy(&same_moment, &moment, sizeof moment);
    FAILS(DBREWIND_MARK_EXISTS, dbrewind_mark(db, "m", 0, &mark, &error));
    FAILS(DBREWIND_MARK_EXISTS, dbrewind_volume_mark(volume, "m", 0, &mark, &error));
    FAILS(DBREWIND_MARK_NOT_FOUND, dbrewind_rewind(db, dbrewind_to_mark("none"), NULL, &rewound, &error));
    FAILS(DBREWIND_MARK_NOT_FOUND, dbrewind_volume_rewind(volume, dbrewind_to_mark("none"), NULL, &rewound, &error));
    FAILS(DBREWIND_MARK_NOT_FOUND, dbrewind_dirty_since(db, dbrewind_to_mark("none"), &dirty, &error));
    FAILS(DBREWIND_MARK_NOT_FOUND, dbrewind_volume_dirty_since(volume, dbrewind_to_mark("none"), &dirty, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_status(NULL, &status, &pins, &error));
    CHECK(pins == NULL);
    pins = (dbrewind_pin_list *)&mark;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_status(NULL, &status, &pins, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_now(NULL, &moment, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_now(NULL, &moment, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_commit(NULL, &moment, &error));
    CHECK(memcmp(&mark, &same_mark, sizeof mark) == 0 && memcmp(&rewound, &same_rewound, sizeof rewound) == 0);
    CHECK(memcmp(&status, &same_status, sizeof status) == 0 && memcmp(&moment, &same_moment, sizeof moment) == 0);
    CHECK(dirty == 7 && pins == NULL);
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_waits_for(NULL, &processes, &error));
    CHECK(processes == NULL);
    processes = (dbrewind_process_list *)&mark;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_waits_for(NULL, &processes, &error));
    CHECK(processes == NULL);
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_marks(NULL, &marks, &error));
    CHECK(marks == NULL);
    marks = (dbrewind_mark_list *)&mark;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_marks(NULL, &marks, &error));
    FAILS(DBREWIND_MARK_NOT_FOUND, dbrewind_at(db, dbrewind_to_mark("none"), &past, &error));
    FAILS(DBREWIND_MARK_NOT_FOUND, dbrewind_diff(db, dbrewind_to_mark("none"), dbrewind_to_now(), &difference, &error));
    FAILS(DBREWIND_FILE_MISSING, dbrewind_open("/nowhere/at/all.db", NULL, &none, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach(store, "x", 63, &medium, NULL, &no_volume, &error));
    CHECK(marks == NULL && past == NULL && difference == NULL && none == NULL && no_volume == NULL);
    no_volume = (dbrewind_volume *)&mark;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach_keyed(store, "x", NULL, NULL, &no_volume, &error));
    CHECK(no_volume == NULL);
    /* The error is written after a success, too. */
    error = (dbrewind_error *)&mark;
    CHECK(dbrewind_volume_now(volume, &moment, &error) == DBREWIND_OK && error == NULL);
    error = (dbrewind_error *)&mark;
    CHECK(dbrewind_now(db, &moment, &error) == DBREWIND_OK && error == NULL);
}

static void texts_and_moments(void) {
    dbrewind_moment now;
    dbrewind_rewound rewound = DBREWIND_INIT(rewound);
    dbrewind_target target;
    dbrewind_volume *there = NULL;
    dbrewind_medium medium = the_medium();
    char *odd = joined(folder, "not \xff UTF-8");

    /* Paths are any bytes, names are not. */
    OK(dbrewind_volume_attach(odd, "named", 64, &medium, NULL, &there, &error));
    OK(dbrewind_volume_detach(there, &error));
    OK(dbrewind_volume_forget(odd, "named", &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach(store, "\xff", 64, &medium, NULL, &there, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_forget(store, "\xff", &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_mark(volume, "\xff", 0, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_drop(volume, "\xff", &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_drop(volume, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_rewind(volume, dbrewind_to_text("\xff"), NULL, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_rewind(volume, dbrewind_to_text(NULL), NULL, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_rewind(volume, dbrewind_to_mark(NULL), NULL, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_dirty_since(volume, dbrewind_to_mark("m"), NULL, &error));

    /* A moment says whose it is, but need not. */
    OK(dbrewind_volume_now(volume, &now, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_rewind(db, dbrewind_to_moment(now), NULL, NULL, &error));
    now.database = 0;
    OK(dbrewind_volume_rewind(volume, dbrewind_to_moment(now), NULL, &rewound, &error));
    CHECK(rewound.method == DBREWIND_NOTHING && rewound.to.lsn == now.lsn && rewound.to.database != 0);
    target = dbrewind_to_mark("m");
    target.reserved = 1;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_rewind(volume, target, NULL, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_rewind(db, target, NULL, NULL, &error));
    free(odd);
}

/* Objects outlive the handle that they came from, and errors the call. */
static void what_outlives(void) {
    dbrewind_mark_info mark = DBREWIND_INIT(mark);
    dbrewind_pin_info pin = DBREWIND_INIT(pin);
    dbrewind_status_info status = DBREWIND_INIT(status);
    dbrewind_mark_list *marks = NULL, *of_volume = NULL;
    dbrewind_pin_list *pins = NULL;
    dbrewind_past *past = NULL;
    dbrewind_difference *difference = NULL;
    dbrewind_error *kept = NULL;

    OK(dbrewind_marks(db, &marks, &error));
    OK(dbrewind_volume_marks(volume, &of_volume, &error));
    OK(dbrewind_volume_status(volume, &status, &pins, &error));
    OK(dbrewind_at(db, dbrewind_to_mark("m"), &past, &error));
    OK(dbrewind_diff(db, dbrewind_to_mark("m"), dbrewind_to_now(), &difference, &error));
    CHECK(dbrewind_rewind(db, dbrewind_to_mark("n"), NULL, NULL, &kept) == DBREWIND_MARK_NOT_FOUND);
    OK(dbrewind_volume_detach(volume, &error));
    OK(dbrewind_close(db, &error));
    CHECK(dbrewind_mark_list_get(marks, 0, &mark) == DBREWIND_OK && strcmp(mark.name, "m") == 0);
    CHECK(dbrewind_mark_list_get(of_volume, 0, &mark) == DBREWIND_OK && strcmp(mark.name, "m") == 0);
    CHECK(dbrewind_mark_list_get(of_volume, dbrewind_mark_list_count(of_volume), &mark) == DBREWIND_INVALID_ARGUMENT);
    CHECK(dbrewind_pin_list_get(pins, 0, &pin) == DBREWIND_OK && strcmp(pin.name, "m") == 0);
    CHECK(dbrewind_pin_list_get(pins, 1, &pin) == DBREWIND_INVALID_ARGUMENT);
    CHECK(*dbrewind_past_uri(past) != 0 && dbrewind_past_moment(past).lsn > 0 && dbrewind_past_time(past) > 0);
    CHECK(dbrewind_difference_table_count(difference) == 0);
    CHECK(strcmp(dbrewind_error_detail(kept, "name"), "n") == 0 && dbrewind_error_detail(kept, "none") == NULL);
    dbrewind_mark_list_free(marks);
    dbrewind_mark_list_free(of_volume);
    dbrewind_pin_list_free(pins);
    dbrewind_past_free(past);
    dbrewind_difference_free(difference);
    dbrewind_error_free(kept);
}

int main(int count, char **arguments) {
    dbrewind_medium medium = the_medium();
    char *path;
    if (count < 2) {
        return 2;
    }
    folder = arguments[1];
    store = joined(folder, "history");
    path = seeded(folder, "structs.db", "wal");
    OK(dbrewind_open(path, NULL, &db, &error));
    OK(dbrewind_mark(db, "m", DBREWIND_PIN, NULL, &error));
    OK(dbrewind_volume_attach(store, "v", 64, &medium, NULL, &volume, &error));
    OK(dbrewind_volume_mark(volume, "m", DBREWIND_PIN, NULL, &error));
    sizes();
    newer_options();
    results_after_errors();
    texts_and_moments();
    what_outlives();
    free(path);
    free(store);
    puts("right");
    return 0;
}
