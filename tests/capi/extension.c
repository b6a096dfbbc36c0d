/* An extension of SQLite that records: it has no SQLite but the one that loads it.
 * SELECT record('/path/app.db'), mark('seeded'), back('seeded'). Each answers 0 or the code of an error. */
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT1

#include <dbrewind.h>

static dbrewind_db *db = NULL;

static void answer(sqlite3_context *context, int code, dbrewind_error *error) {
    if (code == DBREWIND_OK) {
        sqlite3_result_int(context, code);
    } else {
        sqlite3_result_error(context, dbrewind_error_text(error), -1);
    }
    dbrewind_error_free(error);
}

static void record(sqlite3_context *context, int count, sqlite3_value **values) {
    dbrewind_sqlite_api table;
    dbrewind_options options = DBREWIND_INIT(options);
    dbrewind_error *error = NULL;
    int code;
    (void)count;
    dbrewind_sqlite_fill(&table);
    options.sqlite = &table;
    options.engine = DBREWIND_ENGINE_INSIDE;
    code = dbrewind_open((const char *)sqlite3_value_text(values[0]), &options, &db, &error);
    answer(context, code, error);
}

static void mark(sqlite3_context *context, int count, sqlite3_value **values) {
    dbrewind_error *error = NULL;
    int code = dbrewind_mark(db, (const char *)sqlite3_value_text(values[0]), 0, NULL, &error);
    (void)count;
    answer(context, code, error);
}

static void back(sqlite3_context *context, int count, sqlite3_value **values) {
    dbrewind_error *error = NULL;
    dbrewind_target to = dbrewind_to_mark((const char *)sqlite3_value_text(values[0]));
    int code = dbrewind_rewind(db, to, NULL, NULL, &error);
    (void)count;
    answer(context, code, error);
}

#ifdef __cplusplus
extern "C"
#endif
int sqlite3_extension_init(sqlite3 *app, char **message, const sqlite3_api_routines *routines);

int sqlite3_extension_init(sqlite3 *app, char **message, const sqlite3_api_routines *routines) {
    SQLITE_EXTENSION_INIT2(routines)
    (void)message;
    sqlite3_create_function(app, "record", 1, SQLITE_UTF8, NULL, record, NULL, NULL);
    sqlite3_create_function(app, "mark", 1, SQLITE_UTF8, NULL, mark, NULL, NULL);
    sqlite3_create_function(app, "back", 1, SQLITE_UTF8, NULL, back, NULL, NULL);
    return SQLITE_OK;
}
