// dbrewind.hpp without exceptions (-fno-exceptions), on a real database: results FOLDER wal|delete
#include "../capi/check.h"

#include <dbrewind.hpp>
#include <type_traits>

#ifndef DBREWIND_NO_EXCEPTIONS
#error "the header does not see that there are no exceptions"
#endif

static_assert(!std::is_constructible_v<dbrewind::Database, std::string, dbrewind::Options>, "there is no place for the error");
static_assert(std::is_nothrow_move_constructible_v<dbrewind::Database> && !std::is_move_constructible_v<dbrewind::Scope>);

/// It was not done, with this code.
template <typename T>
static void fails(int code, const dbrewind::Result<T> &result) {
    CHECK(!result && result.error() != nullptr);
    CHECK(result.error()->code() == code);
    CHECK(std::string(result.error()->what()).find(dbrewind_code_text(code)) == 1);
}

static int said = 0;

int main(int argc, char **argv) {
    CHECK(argc == 3);
    char *path = seeded(argv[1], "results.db", argv[2]);
    fails(DBREWIND_FILE_MISSING, dbrewind::Database::open(std::string(argv[1]) + "/nowhere.db", dbrewind::own_sqlite()));

    auto opened = dbrewind::Database::open(path, dbrewind::own_sqlite());
    CHECK(opened && opened.error() == nullptr);
    dbrewind::Database db = *std::move(opened);
    sqlite3 *app = connected(path, SQLITE_OPEN_READWRITE);
    auto users = [&] { return number(app, "SELECT count(*) FROM users"); };

    auto seeded = db.mark("seeded");
    CHECK(seeded && seeded->name == "seeded");
    fails(DBREWIND_MARK_EXISTS, db.mark("seeded"));
    {
        dbrewind::Scope scope{db};
        CHECK(scope);
        run(app, "DELETE FROM users");
        CHECK(users() == 0 && *db.dirty_since(*seeded));
        auto diff = db.diff(*seeded);
        CHECK(diff && diff->text().find("users: 3 deleted") == 0);
    }
    CHECK(users() == 3 && db.marks().value().size() == 1);
    {
        dbrewind::Scope scope{db};
        run(app, "DELETE FROM users");
        CHECK(scope.end() && users() == 3);
        CHECK(!scope && scope.end());
    }
    run(app, "DELETE FROM users");
    auto done = db.rewind("seeded");
    CHECK(done && users() == 3);
    db.rewind(done->undo).value();
    CHECK(users() == 0 && db.now() && db.digest() && db.status() && db.info());
    if (auto past = db.at("seeded")) {
        CHECK(past->moment() == seeded->moment);
    }
    CHECK(db.clone(*seeded, std::string(argv[1]) + "/copy.db"));
    fails(DBREWIND_INVALID_ARGUMENT, db.clone(*seeded, std::string(argv[1]) + "/copy.db"));

    auto missing = db.rewind("seded");
    fails(DBREWIND_MARK_NOT_FOUND, missing);
    CHECK(missing.error()->detail("nearest") == "seeded");

    // A scope that has no mark says so at once, and one that cannot rewind at its end.
    dbrewind::Scope::handler() = [](const dbrewind::Error &error) { said = error.code(); };
    {
        dbrewind::Scope scope{db};
        CHECK(db.close());
    }
    CHECK(said == DBREWIND_INVALID_ARGUMENT);
    said = 0;
    {
        dbrewind::Scope scope{db};
        CHECK(said == DBREWIND_INVALID_ARGUMENT && !scope);
        said = 0;
    }
    CHECK(said == 0);
    fails(DBREWIND_INVALID_ARGUMENT, db.now());
    sqlite3_close(app);
    free(path);
    std::puts("right");
    return 0;
}
