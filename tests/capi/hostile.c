/* What no caller should do, and what many threads do, gives errors: hostile FOLDER wal|delete */
#include "check.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static dbrewind_error *error = NULL;

static void opening(const char *folder, const char *path) {
    dbrewind_options options = DBREWIND_INIT(options);
    dbrewind_sqlite_api table;
    dbrewind_db *db = (dbrewind_db *)&options;
    struct {
        dbrewind_options options;
        unsigned long long added;
    } newer;
    char *nowhere = joined(folder, "nowhere.db");
    static const size_t sizes[] = {0, 1, sizeof(size_t), sizeof(dbrewind_options) - 1, 4097, (size_t)-1};
    size_t i;

    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_open(NULL, NULL, &db, &error));
    CHECK(db == NULL);
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_open(path, NULL, NULL, &error));
    FAILS(DBREWIND_FILE_MISSING, dbrewind_open(nowhere, NULL, &db, &error));
    CHECK(dbrewind_open(nowhere, NULL, &db, NULL) == DBREWIND_FILE_MISSING);
    FAILS(DBREWIND_UNSUPPORTED, dbrewind_open(":memory:", NULL, &db, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_open("", NULL, &db, &error));
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        options.size = sizes[i];
        FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_open(path, &options, &db, &error));
    }
    /* A program of a later version: what it adds may be there, but not be used. */
    memset(&newer, 0, sizeof newer);
    newer.options.size = sizeof newer;
    newer.added = 1;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_open(path, &newer.options, &db, &error));
    newer.added = 0;
    newer.options.engine = DBREWIND_ENGINE_INSIDE;
    OK(dbrewind_open(path, &newer.options, &db, &error));
    OK(dbrewind_close(db, &error));

    options.size = sizeof options;
    options.flags = 4;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_open(path, &options, &db, &error));
    options.flags = 0;
    options.synchronous = 4;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_open(path, &options, &db, &error));
    options.synchronous = 0;
    options.journal = 3;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_open(path, &options, &db, &error));
    options.journal = 0;
    options.engine = 3;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_open(path, &options, &db, &error));
    options.engine = 0;
    options.moments = 7;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_open(path, &options, &db, &error));
    options.moments = 0;
    options.reserved = 1;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_open(path, &options, &db, &error));
    options.reserved = 0;
    options.limit = 1;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_open(path, &options, &db, &error));
    options.limit = 0;
    dbrewind_sqlite_fill(&table);
    table.open_v2 = NULL;
    options.sqlite = &table;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_open(path, &options, &db, &error));
    dbrewind_sqlite_fill(&table);
    table.size = 8;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_open(path, &options, &db, &error));
    options.sqlite = NULL;
    options.engine = DBREWIND_ENGINE_KEEPER;
    options.keeper = nowhere;
    FAILS(DBREWIND_KEEPER_FAILED, dbrewind_open(path, &options, &db, &error));
    CHECK(db == NULL);
    free(nowhere);
}

static void nulls(dbrewind_db *db) {
    dbrewind_mark_info mark = DBREWIND_INIT(mark);
    dbrewind_rewind_options how = DBREWIND_INIT(how);
    dbrewind_rewound done = DBREWIND_INIT(done);
    dbrewind_target garbage;
    dbrewind_mark_list *list = NULL;
    int dirty = 0;

    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_mark(NULL, "m", 0, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_mark(db, NULL, 0, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_mark(db, "", 0, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_mark(db, "\xff\xfe", 0, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_mark(db, "5 minutes ago", 0, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_mark(db, "m", 2, NULL, &error));
    mark.size = 0;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_mark(db, "m", 0, &mark, &error));
    /* Refused before anything happened. */
    OK(dbrewind_marks(db, &list, &error));
    CHECK(dbrewind_mark_list_count(list) == 1);
    dbrewind_mark_list_free(list);
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_marks(db, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_drop(db, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_drop(db, "\xc3", &error));

    memset(&garbage, 0xee, sizeof garbage);
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_rewind(db, garbage, NULL, NULL, &error));
    memset(&garbage, 0, sizeof garbage);
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_rewind(db, garbage, NULL, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_rewind(db, dbrewind_to_mark(NULL), NULL, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_rewind(db, dbrewind_to_text(NULL), NULL, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_rewind(db, dbrewind_to_text("2026-99-01T00:00:00Z"), NULL, NULL, &error));
    FAILS(DBREWIND_MARK_NOT_FOUND, dbrewind_rewind(db, dbrewind_to_mark("none"), NULL, NULL, &error));
    how.flags = 2;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_rewind(db, dbrewind_to_mark("m"), &how, NULL, &error));
    done.size = 1u << 20;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_rewind(db, dbrewind_to_mark("m"), NULL, &done, &error));

    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_status(db, NULL, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_get_info(db, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_now(db, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_digest(db, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_dirty_since(db, dbrewind_to_now(), NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_dirty_since(NULL, dbrewind_to_now(), &dirty, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_at(db, dbrewind_to_now(), NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_clone(db, dbrewind_to_now(), NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_waits_for(db, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_waits_for(NULL, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_diff(db, dbrewind_to_now(), dbrewind_to_now(), NULL, &error));

    CHECK(dbrewind_close(NULL, NULL) == DBREWIND_OK);
    dbrewind_error_free(NULL);
    dbrewind_mark_list_free(NULL);
    dbrewind_pin_list_free(NULL);
    dbrewind_process_list_free(NULL);
    dbrewind_past_free(NULL);
    dbrewind_difference_free(NULL);
    CHECK(dbrewind_error_code(NULL) == 0 && *dbrewind_error_text(NULL) == 0);
    CHECK(dbrewind_error_detail(NULL, "name") == NULL && dbrewind_error_detail(NULL, NULL) == NULL);
    CHECK(dbrewind_mark_list_count(NULL) == 0 && dbrewind_mark_list_get(NULL, 0, &mark) != DBREWIND_OK);
    CHECK(dbrewind_pin_list_count(NULL) == 0 && dbrewind_pin_list_get(NULL, 0, NULL) != DBREWIND_OK);
    CHECK(dbrewind_process_list_count(NULL) == 0 && dbrewind_process_list_get(NULL, 0, NULL) != DBREWIND_OK);
    CHECK(dbrewind_difference_counter_count(NULL) == 0);
    CHECK(dbrewind_difference_counter_get(NULL, 0, NULL) != DBREWIND_OK);
    CHECK(*dbrewind_past_uri(NULL) == 0 && dbrewind_past_moment(NULL).lsn == 0 && dbrewind_past_time(NULL) == 0);
    CHECK(dbrewind_past_failure(NULL) == NULL);
    CHECK(dbrewind_difference_table_count(NULL) == 0 && dbrewind_difference_table_name(NULL, 0) == NULL);
    CHECK(dbrewind_difference_row(NULL, 0, 1, 0, NULL) == NULL && dbrewind_difference_row_count(NULL, 0, 1) == 0);
    CHECK(dbrewind_difference_schema_count(NULL) == 0 && *dbrewind_difference_text(NULL) == 0);
    CHECK(dbrewind_code_text(0) == NULL && dbrewind_code_title(-5) == NULL && dbrewind_code_explanation(98) == NULL);
    CHECK(strcmp(dbrewind_code_text(DBREWIND_BUSY), "DBR004") == 0);
}

static void handles(const char *path) {
    dbrewind_db *db = NULL, *again = NULL;
    dbrewind_moment now;
    int on_the_stack = 0;
    void *on_the_heap = malloc(64);

    OK(dbrewind_open(path, NULL, &db, &error));
    OK(dbrewind_close(db, &error));
    FAILS(DBREWIND_CLOSED, dbrewind_close(db, &error));
    FAILS(DBREWIND_CLOSED, dbrewind_now(db, &now, &error));
    OK(dbrewind_open(path, NULL, &again, &error));
    CHECK(again != db);
    FAILS(DBREWIND_CLOSED, dbrewind_close(db, &error));
    OK(dbrewind_now(again, &now, &error));
    OK(dbrewind_close(again, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_now((dbrewind_db *)&on_the_stack, &now, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_now((dbrewind_db *)on_the_heap, &now, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_close((dbrewind_db *)(size_t)1, &error));
    free(on_the_heap);
}

static int asked = 0;
static dbrewind_db *inside = NULL;

static int stop_at_the_second(void *data) {
    dbrewind_error *within = NULL;
    CHECK(data == &asked);
    /* A call that would wait for the one that asks is refused. */
    CHECK(dbrewind_mark(inside, "from the hook", 0, NULL, &within) == DBREWIND_BUSY);
    dbrewind_error_free(within);
    return ++asked == 2;
}

static int begun[2], ended[2];

/* Somebody who writes until it is told to end. */
static void *writes(void *path) {
    sqlite3 *app = connected((const char *)path, SQLITE_OPEN_READWRITE);
    char byte = 0;
    run(app, "BEGIN IMMEDIATE; INSERT INTO users (name) VALUES ('Hal')");
    CHECK(write(begun[1], &byte, 1) == 1 && read(ended[0], &byte, 1) == 1);
    run(app, "ROLLBACK");
    sqlite3_close(app);
    return NULL;
}

static void interrupted(dbrewind_db *db, char *path) {
    sqlite3 *app = connected(path, SQLITE_OPEN_READWRITE);
    dbrewind_rewind_options how = DBREWIND_INIT(how);
    pthread_t writer;
    char byte = 0;

    run(app, "INSERT INTO users (name) VALUES ('Gil')");
    CHECK(pipe(begun) == 0 && pipe(ended) == 0 && pthread_create(&writer, NULL, writes, path) == 0);
    CHECK(read(begun[0], &byte, 1) == 1);
    inside = db;
    how.timeout_ms = 3600000;
    dbrewind_interrupt_hook(stop_at_the_second, &asked);
    FAILS(DBREWIND_INTERRUPTED, dbrewind_rewind(db, dbrewind_to_mark("m"), &how, NULL, &error));
    CHECK(asked == 2);
    dbrewind_interrupt_hook(NULL, NULL);
    CHECK(write(ended[1], &byte, 1) == 1 && pthread_join(writer, NULL) == 0);
    OK(dbrewind_rewind(db, dbrewind_to_mark("m"), NULL, NULL, &error));
    CHECK(asked == 2 && number(app, "SELECT count(*) FROM users") == 3);
    sqlite3_close(app);
}

static void forked(dbrewind_db *db) {
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        dbrewind_moment now;
        int codes = dbrewind_now(db, &now, NULL) == DBREWIND_FORKED && dbrewind_close(db, NULL) == DBREWIND_FORKED;
        if (codes) {
            /* Not _exit: what the parent's threads own would count as leaked here. */
            execlp("true", "true", (char *)NULL);
        }
        _exit(1);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void *works(void *given) {
    dbrewind_db *db = (dbrewind_db *)given;
    int code;
    do {
        dbrewind_error *why = NULL;
        dbrewind_mark_list *list = NULL;
        code = dbrewind_marks(db, &list, &why);
        CHECK((code == DBREWIND_OK) == (list != NULL) && (code == DBREWIND_OK) == (why == NULL));
        dbrewind_mark_list_free(list);
        dbrewind_error_free(why);
        if (code == DBREWIND_OK) {
            code = dbrewind_rewind(db, dbrewind_to_mark("m"), NULL, NULL, NULL);
        }
    } while (code == DBREWIND_OK);
    CHECK(code == DBREWIND_CLOSED);
    return NULL;
}

/* The handle is closed under the hands of four threads. */
static void threads(const char *path) {
    pthread_t all[4];
    dbrewind_db *db = NULL;
    int i;

    OK(dbrewind_open(path, NULL, &db, &error));
    for (i = 0; i < 4; i++) {
        CHECK(pthread_create(&all[i], NULL, works, db) == 0);
    }
    for (i = 0; i < 20; i++) {
        OK(dbrewind_rewind(db, dbrewind_to_mark("m"), NULL, NULL, &error));
    }
    OK(dbrewind_close(db, &error));
    for (i = 0; i < 4; i++) {
        CHECK(pthread_join(all[i], NULL) == 0);
    }
}

int main(int argc, char **argv) {
    dbrewind_db *db = NULL;
    char *path;

    CHECK(argc >= 3);
    path = seeded(argv[1], "hostile.db", argv[2]);
    opening(argv[1], path);
    handles(path);
    OK(dbrewind_open(path, NULL, &db, &error));
    OK(dbrewind_mark(db, "m", 0, NULL, &error));
    nulls(db);
    interrupted(db, path);
    forked(db);
    OK(dbrewind_close(db, &error));
    threads(path);
    free(path);
    puts("right");
    return 0;
}
