// What both suites test: a table of users, filled once.
#include <sqlite3.h>

#include <string>

inline void execute(const std::string &path, const char *sql) {
    sqlite3 *app = nullptr;
    sqlite3_open(path.c_str(), &app);
    sqlite3_busy_timeout(app, 5000);
    sqlite3_exec(app, sql, nullptr, nullptr, nullptr);
    sqlite3_close(app);
}

inline void fill(const std::string &path) {
    execute(path, "PRAGMA journal_mode=WAL; CREATE TABLE users (name TEXT); INSERT INTO users VALUES ('Ada'), ('Bob'), ('Cy')");
}

inline int users(const std::string &path) {
    sqlite3 *app = nullptr;
    sqlite3_stmt *count = nullptr;
    sqlite3_open(path.c_str(), &app);
    sqlite3_prepare_v2(app, "SELECT count(*) FROM users", -1, &count, nullptr);
    int found = sqlite3_step(count) == SQLITE_ROW ? sqlite3_column_int(count, 0) : -1;
    sqlite3_finalize(count);
    sqlite3_close(app);
    return found;
}
