/* A program whose recording runs in a process of its own: keeper FOLDER wal PROGRAM */
#include "check.h"

int main(int argc, char **argv) {
    dbrewind_options options = DBREWIND_INIT(options);
    dbrewind_info info = DBREWIND_INIT(info);
    dbrewind_error *error = NULL;
    dbrewind_past *past = NULL;
    dbrewind_difference *diff = NULL;
    dbrewind_db *db = NULL;
    char *path, *copy;
    sqlite3 *app;

    CHECK(argc == 4);
    path = seeded(argv[1], "kept.db", argv[2]);
    copy = joined(argv[1], "copy.db");
    options.engine = DBREWIND_ENGINE_KEEPER;
    options.keeper = argv[3];
    OK(dbrewind_open(path, &options, &db, &error));
    OK(dbrewind_get_info(db, &info, &error));
    CHECK(info.engine == DBREWIND_ENGINE_KEEPER && info.journal == DBREWIND_IN_WAL);
    OK(dbrewind_mark(db, "seeded", 0, NULL, &error));
    app = connected(path, SQLITE_OPEN_READWRITE);
    run(app, "DELETE FROM users");
    OK(dbrewind_clone(db, dbrewind_to_mark("seeded"), copy, &error));
    FAILS(DBREWIND_UNSUPPORTED, dbrewind_at(db, dbrewind_to_mark("seeded"), &past, &error));
    CHECK(past == NULL);
    OK(dbrewind_diff(db, dbrewind_to_mark("seeded"), dbrewind_to_now(), &diff, &error));
    CHECK(dbrewind_difference_row_count(diff, 0, DBREWIND_DROPPED) == 3);
    dbrewind_difference_free(diff);
    FAILS(DBREWIND_MARK_EXISTS, dbrewind_mark(db, "seeded", 0, NULL, &error));
    OK(dbrewind_rewind(db, dbrewind_to_mark("seeded"), NULL, NULL, &error));
    CHECK(number(app, "SELECT count(*) FROM users") == 3);
    sqlite3_close(app);
    OK(dbrewind_close(db, &error));
    free(path);
    free(copy);
    puts("right");
    return 0;
}
