/* A store that has reached its limit: what its database and its volumes can still be asked for, and what cures it: full FOLDER */
#include "check.h"

#define LIMIT (1u << 20)
#define ROUNDS 100

static dbrewind_error *error = NULL;
static const char *folder;

static dbrewind_db *opened(const char *path, uint64_t limit) {
    dbrewind_options options = DBREWIND_INIT(options);
    dbrewind_db *db = NULL;
    options.limit = limit;
    options.synchronous = DBREWIND_SYNCHRONOUS_OFF;
    /* What is sealed takes less room. */
    options.flags = DBREWIND_NO_SEAL;
    OK(dbrewind_open(path, &options, &db, &error));
    return db;
}

/* DBR010, in words that tell what to do. */
static void is_full(int code) {
    CHECK(code == DBREWIND_STORE_FULL && dbrewind_error_code(error) == DBREWIND_STORE_FULL);
    CHECK(strstr(dbrewind_error_text(error), "[DBR010]") != NULL);
    dbrewind_error_free(error);
    error = NULL;
}

static dbrewind_status_info status_of(dbrewind_db *db, size_t pins) {
    dbrewind_status_info status = DBREWIND_INIT(status);
    dbrewind_pin_list *list = NULL;
    OK(dbrewind_status(db, &status, &list, &error));
    CHECK(dbrewind_pin_list_count(list) == pins);
    dbrewind_pin_list_free(list);
    CHECK(status.limit == LIMIT && status.used > 0 && status.used <= LIMIT);
    return status;
}

/* All marks have this state; answers how many there are. */
static size_t all_are(dbrewind_db *db, uint32_t state) {
    dbrewind_mark_list *list = NULL;
    size_t i, count;
    OK(dbrewind_marks(db, &list, &error));
    count = dbrewind_mark_list_count(list);
    for (i = 0; i < count; i++) {
        dbrewind_mark_info mark = DBREWIND_INIT(mark);
        CHECK(dbrewind_mark_list_get(list, i, &mark) == DBREWIND_OK);
        CHECK(mark.state == state);
    }
    dbrewind_mark_list_free(list);
    return count;
}

static const char *name_of(char *name, unsigned number) {
    snprintf(name, 32, "round %u", number);
    return name;
}

/* Each change is kept by a pinned mark, until there is no room for the next one. Answers how many marks there are. */
static unsigned outgrow(dbrewind_db *db, sqlite3 *app) {
    unsigned round, marks = 0;
    char name[32];
    for (round = 0; round < ROUNDS; round++) {
        int code = dbrewind_mark(db, name_of(name, marks), DBREWIND_PIN, NULL, NULL);
        dbrewind_status_info status = DBREWIND_INIT(status);
        CHECK(code == DBREWIND_OK || code == DBREWIND_STORE_FULL);
        marks += code == DBREWIND_OK;
        /* The program is not held up. */
        run(app, "UPDATE users SET name = hex(randomblob(20000))");
        OK(dbrewind_status(db, &status, NULL, &error));
        if (status.state == DBREWIND_WINDOW_STOPPED) {
            return marks;
        }
    }
    failed(__FILE__, __LINE__, "the store is not full", NULL);
    return 0;
}

/* Recording has ended for want of room. */
static void stopped(const char *mode) {
    char *path = seeded(folder, mode, mode), name[32];
    dbrewind_db *db = opened(path, LIMIT);
    sqlite3 *app = connected(path, SQLITE_OPEN_READWRITE);
    dbrewind_moment now = {77, 77};
    dbrewind_rewound done = DBREWIND_INIT(done);
    int dirty = 77;
    unsigned marks = outgrow(db, app), i;

    CHECK(marks > 2);
    CHECK(status_of(db, marks).state == DBREWIND_WINDOW_STOPPED);
    CHECK(status_of(db, marks).lost == marks);
    CHECK(all_are(db, DBREWIND_LOST) == marks);
    is_full(dbrewind_mark(db, "more", 0, NULL, &error));
    is_full(dbrewind_rewind(db, dbrewind_to_mark("round 0"), NULL, &done, &error));
    is_full(dbrewind_dirty_since(db, dbrewind_to_mark("round 0"), &dirty, &error));
    is_full(dbrewind_now(db, &now, &error));
    FAILS(DBREWIND_MARK_NOT_FOUND, dbrewind_drop(db, "none", &error));
    CHECK(number(app, "SELECT count(*) FROM users") == 3);
    /* Names can be given up while it is so. */
    for (i = 0; i < marks; i++) {
        OK(dbrewind_drop(db, name_of(name, i), &error));
        CHECK(status_of(db, marks - 1 - i).used <= LIMIT);
    }
    CHECK(all_are(db, DBREWIND_LOST) == 0);
    OK(dbrewind_close(db, &error));

    /* Whoever opens it next begins anew, with the same limit. */
    db = opened(path, 0);
    CHECK(status_of(db, 0).state < DBREWIND_WINDOW_FULL);
    OK(dbrewind_mark(db, "anew", 0, NULL, &error));
    sqlite3_close(app);
    app = connected(path, SQLITE_OPEN_READWRITE);
    run(app, "DELETE FROM users");
    OK(dbrewind_rewind(db, dbrewind_to_mark("anew"), NULL, &done, &error));
    CHECK(done.pages > 0 && number(app, "SELECT count(*) FROM users") == 3);
    sqlite3_close(app);
    OK(dbrewind_close(db, &error));
    free(path);
}


#define BLOCK 4096

/* Bytes that no sealing makes fewer. */
static void fill(unsigned char *to, size_t length, uint64_t seed) {
    size_t i;
    for (i = 0; i < length; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        to[i] = (unsigned char)seed;
    }
}

static dbrewind_volume *attached(const char *store, const char *file) {
    dbrewind_volume_options options = DBREWIND_INIT(options);
    dbrewind_volume *volume = NULL;
    options.limit = LIMIT;
    options.synchronous = DBREWIND_SYNCHRONOUS_OFF;
    OK(dbrewind_volume_attach_file(store, "file", BLOCK, file, &options, &volume, &error));
    return volume;
}

/* Writes 16 blocks, or says what the library says, and leaves the error. */
static int put(dbrewind_volume *volume, unsigned round) {
    static unsigned char bytes[16 * BLOCK];
    int code;
    fill(bytes, sizeof bytes, round + 1);
    OK(dbrewind_file_begin(volume, &error));
    code = dbrewind_file_write(volume, 0, bytes, sizeof bytes, &error);
    if (code == DBREWIND_OK) {
        OK(dbrewind_file_end(volume, NULL, &error));
    } else {
        dbrewind_file_end(volume, NULL, NULL);
    }
    return code;
}

/* `stopped`: that is said at the end of a change, also of one that only looks. */
static int holds(dbrewind_volume *volume, unsigned round, int stopped) {
    static unsigned char bytes[16 * BLOCK], found[17 * BLOCK];
    uint64_t count = 0;
    fill(bytes, sizeof bytes, round + 1);
    OK(dbrewind_file_begin(volume, &error));
    OK(dbrewind_file_read(volume, 0, found, sizeof found, &count, &error));
    if (stopped) {
        is_full(dbrewind_file_end(volume, NULL, &error));
    } else {
        OK(dbrewind_file_end(volume, NULL, &error));
    }
    return count == sizeof bytes && memcmp(bytes, found, sizeof bytes) == 0;
}

static void a_volume_that_stops(void) {
    char *store = joined(folder, "history"), *file = joined(folder, "data"), name[32];
    dbrewind_volume *volume = attached(store, file);
    dbrewind_status_info status = DBREWIND_INIT(status);
    dbrewind_mark_list *list = NULL;
    dbrewind_pin_list *pins = NULL;
    dbrewind_moment now;
    int code = DBREWIND_OK;
    unsigned round, marks = 0, i;

    OK(put(volume, 0));
    for (round = 1; round < ROUNDS && code == DBREWIND_OK; round++) {
        code = dbrewind_volume_mark(volume, name_of(name, marks), DBREWIND_PIN, NULL, &error);
        if (code == DBREWIND_OK) {
            marks++;
            code = put(volume, round);
        }
    }
    is_full(code);
    /* Said once; what was refused is not written, and what was written is there. */
    CHECK(holds(volume, round - 2, 1));
    is_full(put(volume, 77));
    is_full(dbrewind_volume_mark(volume, "more", 0, NULL, &error));
    is_full(dbrewind_volume_rewind(volume, dbrewind_to_mark("round 0"), NULL, NULL, &error));
    is_full(dbrewind_volume_now(volume, &now, &error));
    CHECK(holds(volume, round - 2, 1));

    OK(dbrewind_volume_status(volume, &status, &pins, &error));
    CHECK(status.state == DBREWIND_WINDOW_STOPPED && status.used <= LIMIT && status.limit == LIMIT);
    CHECK(status.lost == marks && dbrewind_pin_list_count(pins) == marks && marks > 2);
    OK(dbrewind_volume_marks(volume, &list, &error));
    CHECK(dbrewind_mark_list_count(list) == marks);
    for (i = 0; i < marks; i++) {
        dbrewind_mark_info mark = DBREWIND_INIT(mark);
        CHECK(dbrewind_mark_list_get(list, i, &mark) == DBREWIND_OK && mark.state == DBREWIND_LOST);
    }
    dbrewind_mark_list_free(list);
    dbrewind_pin_list_free(pins);
    for (i = 0; i < marks; i++) {
        OK(dbrewind_volume_drop(volume, name_of(name, i), &error));
    }
    OK(dbrewind_volume_marks(volume, &list, &error));
    CHECK(dbrewind_mark_list_count(list) == 0);
    dbrewind_mark_list_free(list);
    dbrewind_volume_detach(volume, NULL);

    volume = attached(store, file);
    CHECK(holds(volume, round - 2, 0));
    OK(dbrewind_volume_mark(volume, "anew", 0, NULL, &error));
    OK(put(volume, 99));
    OK(dbrewind_volume_rewind(volume, dbrewind_to_mark("anew"), NULL, NULL, &error));
    CHECK(holds(volume, round - 2, 0));
    OK(dbrewind_volume_detach(volume, &error));
    free(store);
    free(file);
}

int main(int count, char **arguments) {
    if (count < 2) {
        return 2;
    }
    folder = arguments[1];
    stopped("wal");
    stopped("delete");
    a_volume_that_stops();
    puts("right");
    return 0;
}
