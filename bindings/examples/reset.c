/* Marks a database, lets its program write, and takes it back: reset app.db */
#include <sqlite3.h>

#include <dbrewind.h>
#include <stdio.h>

static int failed(dbrewind_error *error) {
    fprintf(stderr, "%s\n", dbrewind_error_text(error));
    dbrewind_error_free(error);
    return 1;
}

int main(int argc, char **argv) {
    dbrewind_sqlite_api sqlite;
    dbrewind_options options = DBREWIND_INIT(options);
    dbrewind_rewound done = DBREWIND_INIT(done);
    dbrewind_error *error = NULL;
    dbrewind_db *db = NULL;
    sqlite3 *app = NULL;

    if (argc != 2) {
        fprintf(stderr, "usage: reset app.db\n");
        return 2;
    }
    dbrewind_sqlite_fill(&sqlite);
    options.sqlite = &sqlite;
    if (dbrewind_open(argv[1], &options, &db, &error) != DBREWIND_OK) {
        return failed(error);
    }
    if (dbrewind_mark(db, "before the example", 0, NULL, &error) != DBREWIND_OK) {
        return failed(error);
    }
    /* The application: it knows nothing of all this. */
    sqlite3_open(argv[1], &app);
    sqlite3_busy_timeout(app, 5000);
    sqlite3_exec(app, "CREATE TABLE of_the_example AS SELECT 1", NULL, NULL, NULL);
    sqlite3_close(app);

    if (dbrewind_rewind(db, dbrewind_to_mark("before the example"), NULL, &done, &error) != DBREWIND_OK ||
        dbrewind_drop(db, "before the example", &error) != DBREWIND_OK ||
        dbrewind_close(db, &error) != DBREWIND_OK) {
        return failed(error);
    }
    printf("%llu pages, %.3f ms\n", (unsigned long long)done.pages, done.seconds * 1e3);
    return 0;
}
