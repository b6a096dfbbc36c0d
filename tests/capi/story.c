/* Everything that the header offers, on a real database: story FOLDER wal|delete table|process */
#include "check.h"

#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

static const int WRITE = SQLITE_OPEN_READWRITE, READ_URI = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
static dbrewind_error *error = NULL;

static int users(sqlite3 *app) { return number(app, "SELECT count(*) FROM users"); }

static void marks(dbrewind_db *db, sqlite3 *app, int wal) {
    dbrewind_mark_info mark = DBREWIND_INIT(mark);
    dbrewind_mark_list *all = NULL;

    OK(dbrewind_mark(db, "seeded", 0, &mark, &error));
    CHECK(mark.state == (uint32_t)(wal ? DBREWIND_HOT : DBREWIND_ARCHIVED) && !mark.pinned);
    CHECK(strcmp(mark.name, "seeded") == 0 && mark.pages >= 3 && mark.moment.lsn > 0 && mark.moment.database != 0);
    CHECK(mark.time > 1600000000000000000u);
    run(app, "INSERT INTO users (name) VALUES ('Dee')");
    OK(dbrewind_mark(db, "kept \xc3\xa4", DBREWIND_PIN, NULL, &error));
    FAILS(DBREWIND_MARK_EXISTS, dbrewind_mark(db, "seeded", 0, NULL, &error));

    OK(dbrewind_marks(db, &all, &error));
    CHECK(dbrewind_mark_list_count(all) == 2);
    CHECK(dbrewind_mark_list_get(all, 1, &mark) == DBREWIND_OK);
    CHECK(strcmp(mark.name, "kept \xc3\xa4") == 0 && mark.pinned);
    CHECK(dbrewind_mark_list_get(all, 0, &mark) == DBREWIND_OK);
    CHECK(strcmp(mark.name, "seeded") == 0 && !mark.pinned);
    CHECK(dbrewind_mark_list_get(all, 2, &mark) == DBREWIND_INVALID_ARGUMENT);
    dbrewind_mark_list_free(all);

    OK(dbrewind_drop(db, "kept \xc3\xa4", &error));
    CHECK(dbrewind_drop(db, "seded", &error) == DBREWIND_MARK_NOT_FOUND);
    CHECK(strcmp(dbrewind_error_detail(error, "nearest"), "seeded") == 0);
    CHECK(strcmp(dbrewind_error_detail(error, "name"), "seded") == 0);
    CHECK(dbrewind_error_detail(error, "holder") == NULL);
    dbrewind_error_free(error);
    error = NULL;
}

static void rewinds(dbrewind_db *db, sqlite3 *app, int wal) {
    dbrewind_rewound done = DBREWIND_INIT(done);
    dbrewind_rewind_options how = DBREWIND_INIT(how);
    dbrewind_moment now, early;
    unsigned char before[16], after[16];
    int dirty = -1;

    CHECK(users(app) == 4);
    OK(dbrewind_dirty_since(db, dbrewind_to_mark("seeded"), &dirty, &error));
    CHECK(dirty == 1);
    OK(dbrewind_digest(db, before, &error));
    OK(dbrewind_rewind(db, dbrewind_to_mark("seeded"), NULL, &done, &error));
    CHECK(users(app) == 3 && done.pages >= 1 && done.seconds > 0);
    CHECK(done.method == (uint32_t)(wal ? DBREWIND_MOVED : DBREWIND_WRITTEN));
    OK(dbrewind_dirty_since(db, dbrewind_to_mark("seeded"), &dirty, &error));
    CHECK(dirty == 0);
    early = done.to;

    /* Forward again, and nothing is lost by it. */
    OK(dbrewind_rewind(db, dbrewind_to_moment(done.undo), NULL, &done, &error));
    CHECK(users(app) == 4);
    OK(dbrewind_digest(db, after, &error));
    CHECK(memcmp(before, after, 16) == 0);
    OK(dbrewind_rewind(db, dbrewind_to_moment(done.undo), NULL, &done, &error));
    CHECK(users(app) == 3);

    /* By time, as text, by its own number. */
    OK(dbrewind_rewind(db, dbrewind_to_time(done.time), NULL, &done, &error));
    CHECK(users(app) == 3);
    OK(dbrewind_rewind(db, dbrewind_to_text("seeded"), NULL, &done, &error));
    CHECK(done.to.lsn == early.lsn || done.method == DBREWIND_NOTHING);
    OK(dbrewind_rewind(db, dbrewind_to_text("0 s ago"), NULL, NULL, &error));
    OK(dbrewind_rewind(db, dbrewind_to_ago(0), NULL, NULL, &error));
    OK(dbrewind_now(db, &now, &error));
    OK(dbrewind_rewind(db, dbrewind_to_now(), NULL, &done, &error));
    CHECK(done.method == DBREWIND_NOTHING && done.to.lsn == now.lsn);

    /* Before the history. */
    CHECK(dbrewind_rewind(db, dbrewind_to_text("3 days ago"), NULL, NULL, &error) == DBREWIND_BEFORE_WINDOW);
    CHECK(dbrewind_error_detail(error, "earliest") != NULL);
    dbrewind_error_free(error);
    how.flags = DBREWIND_USE_EARLIEST;
    OK(dbrewind_rewind(db, dbrewind_to_text("3 days ago"), &how, &done, &error));
    CHECK(users(app) == 3);

    /* A moment of another database, unless nobody knows of which it is. */
    now.database ^= 1;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_rewind(db, dbrewind_to_moment(now), NULL, NULL, &error));
    now.database = 0;
    OK(dbrewind_rewind(db, dbrewind_to_moment(now), NULL, NULL, &error));

    /* Somebody writes. */
    run(app, "BEGIN IMMEDIATE; INSERT INTO users (name) VALUES ('Eve')");
    how.timeout_ms = -1;
    FAILS(DBREWIND_BUSY, dbrewind_rewind(db, dbrewind_to_mark("seeded"), &how, NULL, &error));
    run(app, "ROLLBACK");
}

static void states(dbrewind_db *db, const char *path) {
    dbrewind_status_info status = DBREWIND_INIT(status);
    dbrewind_info info = DBREWIND_INIT(info);
    dbrewind_pin_info pin = DBREWIND_INIT(pin);
    dbrewind_pin_list *pins = NULL;

    OK(dbrewind_mark(db, "pinned", DBREWIND_PIN, NULL, &error));
    OK(dbrewind_status(db, &status, &pins, &error));
    CHECK(status.state == DBREWIND_WINDOW_OK && status.used > 0 && status.limit == 64u << 20);
    CHECK(status.target_s == 3600.0 && status.earliest.lsn > 0 && status.earliest_time > 0);
    CHECK(status.hot + status.archived == 2 && status.lost == 0);
    CHECK(dbrewind_pin_list_count(pins) == 1 && dbrewind_pin_list_get(pins, 0, &pin) == DBREWIND_OK);
    CHECK(strcmp(pin.name, "pinned") == 0 && pin.moment.lsn > 0);
    CHECK(dbrewind_pin_list_get(pins, 1, &pin) == DBREWIND_INVALID_ARGUMENT);
    dbrewind_pin_list_free(pins);
    OK(dbrewind_status(db, &status, NULL, &error));
    CHECK(status.waits_for == 0 && status.waits_for_pid == 0);
    OK(dbrewind_drop(db, "pinned", &error));

    OK(dbrewind_get_info(db, &info, &error));
    CHECK(strcmp(info.path, path) == 0 && strstr(info.store, "story.db-rewind") != NULL);
    CHECK(info.engine == DBREWIND_ENGINE_INSIDE && !info.unguarded);
}

/* A process that has the store open is stopped. */
static void waits(dbrewind_db *db) {
    dbrewind_status_info status = DBREWIND_INIT(status);
    dbrewind_info info = DBREWIND_INIT(info);
    dbrewind_process_list *processes = NULL, *none = NULL;
    dbrewind_process_info process = DBREWIND_INIT(process);
    char *locks;
    pid_t child;
    int code, listed;

    OK(dbrewind_get_info(db, &info, &error));
    locks = joined(info.store, "locks");
    child = fork();
    if (child == 0) {
        /* What it has inherited is closed in it. */
        if (fopen(locks, "r") != NULL) raise(SIGSTOP);
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, NULL, WUNTRACED) == child);
    code = dbrewind_status(db, &status, NULL, &error);
    listed = dbrewind_waits_for(db, &processes, NULL);
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    OK(code);
    CHECK(status.waits_for == 1 && status.waits_for_pid == (uint32_t)child);
    free(locks);
    CHECK(listed == DBREWIND_OK && dbrewind_process_list_count(processes) == 1);
    CHECK(dbrewind_process_list_get(processes, 0, &process) == DBREWIND_OK && process.pid == (uint32_t)child);
    CHECK(process.stopped == 1 && strlen(process.name) > 0 && strcmp(process.holds, "") == 0);
    CHECK(dbrewind_process_list_get(processes, 1, &process) == DBREWIND_INVALID_ARGUMENT);
    dbrewind_process_list_free(processes);
    OK(dbrewind_waits_for(db, &none, &error));
    CHECK(none != NULL && dbrewind_process_list_count(none) == 0);
    dbrewind_process_list_free(none);
    /* A program that was compiled before there was that. */
    status.waits_for = status.waits_for_pid = 7;
    status.size = offsetof(dbrewind_status_info, waits_for);
    OK(dbrewind_status(db, &status, NULL, &error));
    CHECK(status.used > 0 && status.waits_for == 7 && status.waits_for_pid == 7);
    status.size -= 1;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_status(db, &status, NULL, &error));
}

static void past(dbrewind_db *db, sqlite3 *app, const char *folder) {
    dbrewind_past *at = NULL;
    char *copy = joined(folder, "copy.db");
    sqlite3 *other;

    run(app, "DELETE FROM users");
    OK(dbrewind_at(db, dbrewind_to_mark("seeded"), &at, &error));
    CHECK(dbrewind_past_moment(at).lsn > 0 && dbrewind_past_time(at) > 0);
    other = connected(dbrewind_past_uri(at), READ_URI);
    CHECK(users(other) == 3 && users(app) == 0);
    dbrewind_past_free(at);
    CHECK(users(other) == 3);
    sqlite3_close(other);

    OK(dbrewind_clone(db, dbrewind_to_mark("seeded"), copy, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_clone(db, dbrewind_to_mark("seeded"), copy, &error));
    other = connected(copy, WRITE);
    CHECK(users(other) == 3);
    sqlite3_close(other);
    free(copy);
    OK(dbrewind_rewind(db, dbrewind_to_mark("seeded"), NULL, NULL, &error));
}

/* SQLite says only that a read failed; the moment says why. */
static void closed(dbrewind_db *db) {
    dbrewind_past *at = NULL;
    const char *why;
    sqlite3 *other;

    OK(dbrewind_at(db, dbrewind_to_mark("seeded"), &at, &error));
    other = connected(dbrewind_past_uri(at), READ_URI);
    CHECK(dbrewind_past_failure(at) == NULL);
    OK(dbrewind_close(db, &error));
    CHECK(sqlite3_exec(other, "SELECT * FROM users", NULL, NULL, NULL) == SQLITE_IOERR);
    why = dbrewind_past_failure(at);
    CHECK(why != NULL && strstr(why, "this recording is closed") != NULL && dbrewind_past_failure(at) == why);
    sqlite3_close(other);
    dbrewind_past_free(at);
}

static void differences(dbrewind_db *db, sqlite3 *app) {
    dbrewind_difference *diff = NULL;
    dbrewind_schema_change change = DBREWIND_INIT(change);
    const dbrewind_value *key;
    size_t values = 0, i, found = 0;

    run(app, "UPDATE users SET name = 'Zoe' WHERE id = 3; DELETE FROM users WHERE id = 1;");
    run(app, "INSERT INTO pairs VALUES ('x', 1.5, x'00ff'); CREATE VIEW v AS SELECT 1;");
    OK(dbrewind_diff(db, dbrewind_to_mark("seeded"), dbrewind_to_now(), &diff, &error));
    CHECK(dbrewind_difference_before(diff).lsn < dbrewind_difference_after(diff).lsn);
    CHECK(dbrewind_difference_pages_read(diff) > 0 && strstr(dbrewind_difference_text(diff), "users: ") != NULL);
    CHECK(dbrewind_difference_schema_count(diff) == 1);
    CHECK(dbrewind_difference_schema_get(diff, 0, &change) == DBREWIND_OK && change.how == DBREWIND_CREATED);
    CHECK(strcmp(change.kind, "view") == 0 && strcmp(change.name, "v") == 0);
    CHECK(dbrewind_difference_schema_get(diff, 1, &change) == DBREWIND_INVALID_ARGUMENT);
    CHECK(dbrewind_difference_table_count(diff) == 2 && dbrewind_difference_table_name(diff, 2) == NULL);
    for (i = 0; i < 2; i++) {
        if (strcmp(dbrewind_difference_table_name(diff, i), "users") == 0) {
            CHECK(dbrewind_difference_row_count(diff, i, DBREWIND_CREATED) == 0);
            CHECK(dbrewind_difference_row_count(diff, i, DBREWIND_DROPPED) == 1);
            key = dbrewind_difference_row(diff, i, DBREWIND_DROPPED, 0, &values);
            CHECK(values == 1 && key[0].kind == DBREWIND_INTEGER && key[0].integer == 1);
            key = dbrewind_difference_row(diff, i, DBREWIND_CHANGED, 0, NULL);
            CHECK(key[0].integer == 3);
            CHECK(dbrewind_difference_row(diff, i, DBREWIND_CHANGED, 1, &values) == NULL && values == 0);
            CHECK(dbrewind_difference_row_count(diff, i, 0) == 0 && dbrewind_difference_row_count(diff, i, 4) == 0);
            found++;
        } else {
            key = dbrewind_difference_row(diff, i, DBREWIND_CREATED, 0, &values);
            CHECK(values == 3 && key[0].kind == DBREWIND_TEXT && strcmp((const char *)key[0].bytes, "x") == 0);
            CHECK(key[1].kind == DBREWIND_REAL && key[1].real > 1.4 && key[1].real < 1.6);
            CHECK(key[2].kind == DBREWIND_BLOB && key[2].length == 2 && memcmp(key[2].bytes, "\0\xff", 2) == 0);
            found++;
        }
    }
    CHECK(found == 2);
    dbrewind_difference_free(diff);
    OK(dbrewind_rewind(db, dbrewind_to_mark("seeded"), NULL, NULL, &error));
    OK(dbrewind_diff(db, dbrewind_to_mark("seeded"), dbrewind_to_now(), &diff, &error));
    CHECK(dbrewind_difference_table_count(diff) == 0 && dbrewind_difference_schema_count(diff) == 0);
    CHECK(dbrewind_difference_counter_count(diff) == 0);
    dbrewind_difference_free(diff);
}

/* The counter at a place of what differs between a mark and now, where nothing else that is counted does. */
static dbrewind_counter_change counter(dbrewind_db *db, const char *since, size_t place, const char *name) {
    dbrewind_counter_change change = DBREWIND_INIT(change);
    dbrewind_difference *diff = NULL;
    OK(dbrewind_diff(db, dbrewind_to_mark(since), dbrewind_to_now(), &diff, &error));
    CHECK(dbrewind_difference_counter_count(diff) == place + 1);
    CHECK(dbrewind_difference_counter_get(diff, place + 1, &change) == DBREWIND_INVALID_ARGUMENT);
    CHECK(dbrewind_difference_counter_get(diff, place, NULL) == DBREWIND_INVALID_ARGUMENT);
    CHECK(dbrewind_difference_counter_get(diff, place, &change) == DBREWIND_OK && strcmp(change.name, name) == 0);
    dbrewind_difference_free(diff);
    return change;
}

static void counters(dbrewind_db *db, sqlite3 *app) {
    dbrewind_counter_change change;

    run(app, "PRAGMA user_version = 9");
    change = counter(db, "seeded", 0, "user_version");
    CHECK(change.how == DBREWIND_CHANGED && change.before == 0 && change.after == 9 && change.reserved == 0);
    run(app, "PRAGMA user_version = 0; CREATE TABLE numbered(id INTEGER PRIMARY KEY AUTOINCREMENT)");
    run(app, "INSERT INTO numbered VALUES (41), (7)");
    change = counter(db, "seeded", 0, "sqlite_sequence.numbered");
    CHECK(change.how == DBREWIND_CREATED && change.before == 0 && change.after == 41);
    OK(dbrewind_mark(db, "numbered", 0, NULL, &error));
    run(app, "DROP TABLE numbered");
    change = counter(db, "numbered", 0, "sqlite_sequence.numbered");
    CHECK(change.how == DBREWIND_DROPPED && change.before == 41 && change.after == 0);
    OK(dbrewind_rewind(db, dbrewind_to_mark("seeded"), NULL, NULL, &error));
    OK(dbrewind_drop(db, "numbered", &error));
}

int main(int argc, char **argv) {
    dbrewind_sqlite_api table;
    dbrewind_options options = DBREWIND_INIT(options);
    dbrewind_db *db = NULL;
    char *path;
    sqlite3 *app;
    int wal;

    CHECK(argc == 4);
    wal = strcmp(argv[2], "wal") == 0;
    CHECK(dbrewind_abi_version() == DBREWIND_ABI_VERSION && strlen(dbrewind_version()) >= 5);
    path = seeded(argv[1], "story.db", argv[2]);
    if (strcmp(argv[3], "table") == 0) {
        dbrewind_sqlite_fill(&table);
        options.sqlite = &table;
    }
    options.engine = DBREWIND_ENGINE_INSIDE;
    options.synchronous = DBREWIND_SYNCHRONOUS_OFF;
    options.limit = 64u << 20;
    options.window_s = 3600;
    OK(dbrewind_open(path, &options, &db, &error));
    app = connected(path, WRITE);

    marks(db, app, wal);
    rewinds(db, app, wal);
    states(db, path);
    waits(db);
    past(db, app, argv[1]);
    differences(db, app);
    counters(db, app);
    closed(db);

    /* Marks are kept from one recording to the next. */
    OK(dbrewind_open(path, &options, &db, &error));
    run(app, "INSERT INTO users (name) VALUES ('Fay')");
    OK(dbrewind_rewind(db, dbrewind_to_mark("seeded"), NULL, NULL, &error));
    CHECK(users(app) == 3);
    OK(dbrewind_close(db, &error));
    CHECK(number(app, "SELECT integrity_check = 'ok' FROM pragma_integrity_check") == 1);
    sqlite3_close(app);
    free(path);
    puts("right");
    return 0;
}
