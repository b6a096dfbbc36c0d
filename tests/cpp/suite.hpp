// The database of the suites in this folder: three users.
#ifndef SUITE_HPP
#define SUITE_HPP

#include <sqlite3.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace suite {

/// A connection that knows nothing of us.
class App {
public:
    explicit App(const std::string &path) {
        if (sqlite3_open(path.c_str(), &app_) != SQLITE_OK) {
            fail(path.c_str());
        }
        sqlite3_busy_timeout(app_, 5000);
    }
    App(const App &) = delete;
    App &operator=(const App &) = delete;
    ~App() { sqlite3_close(app_); }

    void run(const char *sql) {
        if (sqlite3_exec(app_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
            fail(sql);
        }
    }
    int users() {
        int count = -1;
        auto take = [](void *into, int, char **values, char **) { return *static_cast<int *>(into) = std::atoi(values[0]), 0; };
        sqlite3_exec(app_, "SELECT count(*) FROM users", take, &count, nullptr);
        return count;
    }

private:
    [[noreturn]] void fail(const char *what) {
        std::fprintf(stderr, "%s: %s\n", what, sqlite3_errmsg(app_));
        std::abort();
    }

    sqlite3 *app_ = nullptr;
};

/// In the journal mode that the environment names.
inline void fill(const std::string &path) {
    const char *mode = std::getenv("SUITE_JOURNAL");
    App app(path);
    app.run((std::string("PRAGMA journal_mode=") + (mode ? mode : "wal")).c_str());
    app.run("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO users VALUES (1, 'Ada'), (2, 'Bob'), (3, 'Cy')");
}

/// Whether the test that fails is to fail.
inline bool fails() { return std::getenv("SUITE_FAILS") != nullptr; }

} // namespace suite

#endif
