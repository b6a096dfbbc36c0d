/* What the programs of this folder share. Each is compiled as C99, C11 and C++17, without a warning. */
#ifndef CHECK_H
#define CHECK_H

#define _POSIX_C_SOURCE 200809L

#include <sqlite3.h>

#include <dbrewind.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(what) ((what) ? (void)0 : failed(__FILE__, __LINE__, #what, NULL))
/* The call has no error. `error` is a dbrewind_error * of the caller's. */
#define OK(call) ((call) == DBREWIND_OK && error == NULL ? (void)0 : failed(__FILE__, __LINE__, #call, error))
/* The call fails with this code and an object that says the same; the object is freed. */
#define FAILS(code, call) refused(__FILE__, __LINE__, #call, code, call, &error)

static inline void failed(const char *file, int line, const char *what, const dbrewind_error *error) {
    fprintf(stderr, "%s:%d: %s: %s\n", file, line, what, dbrewind_error_text(error));
    exit(1);
}

static inline void refused(const char *file, int line, const char *what, int expected, int code, dbrewind_error **error) {
    if (code != expected || dbrewind_error_code(*error) != expected) {
        fprintf(stderr, "%s:%d: %s: %d instead of %d\n", file, line, what, code, expected);
        failed(file, line, what, *error);
    }
    if (strncmp(dbrewind_error_text(*error) + 1, dbrewind_code_text(code), 6) != 0) {
        failed(file, line, "the text has another code", *error);
    }
    dbrewind_error_free(*error);
    *error = NULL;
}

static inline char *joined(const char *folder, const char *name) {
    size_t room = strlen(folder) + strlen(name) + 2;
    char *path = (char *)malloc(room);
    snprintf(path, room, "%s/%s", folder, name);
    return path;
}

static inline sqlite3 *connected(const char *path, int flags) {
    sqlite3 *app = NULL;
    if (sqlite3_open_v2(path, &app, flags, NULL) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", path, sqlite3_errmsg(app));
        exit(1);
    }
    sqlite3_busy_timeout(app, 5000);
    return app;
}

static inline void run(sqlite3 *app, const char *sql) {
    if (sqlite3_exec(app, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(app));
        exit(1);
    }
}

static inline int number(sqlite3 *app, const char *sql) {
    sqlite3_stmt *statement = NULL;
    int value = -1;
    if (sqlite3_prepare_v2(app, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        value = sqlite3_column_int(statement, 0);
    }
    sqlite3_finalize(statement);
    return value;
}

/* A database with three users, in a journal mode. */
static inline char *seeded(const char *folder, const char *name, const char *mode) {
    char *path = joined(folder, name), sql[64];
    sqlite3 *app = connected(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    snprintf(sql, sizeof sql, "PRAGMA journal_mode=%s", mode);
    run(app, sql);
    run(app, "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)");
    run(app, "CREATE TABLE pairs (a TEXT, b REAL, c BLOB, PRIMARY KEY (a, b, c)) WITHOUT ROWID");
    run(app, "INSERT INTO users VALUES (1, 'Ada'), (2, 'Bob'), (3, 'Cy')");
    sqlite3_close(app);
    return path;
}

#endif
