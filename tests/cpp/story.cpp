// What dbrewind.hpp offers, on a real database: story FOLDER wal|delete
#include "../capi/check.h"

#include <dbrewind.hpp>
#include <thread>
#include <type_traits>

static_assert(!std::is_copy_constructible_v<dbrewind::Database> && std::is_nothrow_move_constructible_v<dbrewind::Database>);
static_assert(!std::is_copy_constructible_v<dbrewind::Past> && !std::is_move_constructible_v<dbrewind::Scope>);
static_assert(std::is_nothrow_destructible_v<dbrewind::Scope> && std::is_copy_constructible_v<dbrewind::Error>);

template <typename Call>
static dbrewind::Error caught(int code, Call &&call) {
    try {
        call();
    } catch (const dbrewind::Error &error) {
        CHECK(error.code() == code);
        CHECK(std::string(error.what()).find(dbrewind_code_text(code)) == 1);
        return error;
    }
    failed(__FILE__, __LINE__, "nothing was thrown", nullptr);
    std::terminate();
}

static int said = 0;

int main(int argc, char **argv) {
    CHECK(argc == 3);
    char *path = seeded(argv[1], "story.db", argv[2]);
    auto nowhere = [&] { dbrewind::Database db{std::string(argv[1]) + "/nowhere.db", dbrewind::own_sqlite()}; };
    caught(DBREWIND_FILE_MISSING, nowhere);

    dbrewind::Options options;
    options.store = std::string(argv[1]) + "/elsewhere";
    options.raw.synchronous = DBREWIND_SYNCHRONOUS_OFF;
    dbrewind::Database first{path, dbrewind::own_sqlite(options)};
    dbrewind::Database db{std::move(first)};
    CHECK(first.raw() == nullptr && db.info().store == options.store);
    sqlite3 *app = connected(path, SQLITE_OPEN_READWRITE);
    auto users = [&] { return number(app, "SELECT count(*) FROM users"); };

    auto seeded = db.mark("seeded");
    CHECK(seeded.name == "seeded" && !seeded.pinned && seeded.time <= dbrewind::Clock::now());
    auto digest = db.digest();
    {
        dbrewind::Scope scope{db};
        std::thread([&] { run(app, "DELETE FROM users"); }).join();
        CHECK(users() == 0 && db.dirty_since(seeded));
        CHECK(!db.diff(seeded).empty() && db.diff(seeded).text().find("users: 3 deleted") == 0);
        CHECK(db.marks().size() == 2 && db.marks()[1].moment == scope.mark().moment);
    }
    CHECK(users() == 3 && !db.dirty_since("seeded") && db.marks().size() == 1 && db.digest() == digest);

    run(app, "INSERT INTO users (name) VALUES ('Dee')");
    auto done = db.rewind(dbrewind::Target::mark("seeded"));
    CHECK(users() == 3 && done.pages > 0 && done.took.count() > 0 && done.method != dbrewind::Method::nothing);
    CHECK(db.diff(seeded).empty());
    run(app, "PRAGMA user_version = 9");
    CHECK(!db.diff(seeded).empty() && db.waits_for().empty());
    db.rewind(done.undo);
    CHECK(users() == 4);
    CHECK(db.rewind(done.time).to == done.to && users() == 3);
    CHECK(db.rewind(dbrewind::Target::ago(std::chrono::hours(9)), {}, true).to.lsn > 0);

    auto past = db.at("seeded");
    sqlite3 *then = connected(past.uri().c_str(), SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
    CHECK(number(then, "SELECT count(*) FROM users") == 3 && past.moment() == seeded.moment);
    sqlite3_close(then);
    db.clone(seeded, std::string(argv[1]) + "/copy.db");
    db.pin("kept");
    CHECK(db.marks().back().pinned && db.status().used > 0 && db.status().waits_for == 0 && db.now().lsn > 0);
    db.drop("kept");

    auto missing = caught(DBREWIND_MARK_NOT_FOUND, [&] { db.rewind("seded"); });
    CHECK(missing.detail("nearest") == "seeded" && missing.detail("holder").empty());
    run(app, "BEGIN IMMEDIATE; DELETE FROM users");
    caught(DBREWIND_BUSY, [&] { db.rewind(seeded, std::chrono::milliseconds(-1)); });
    run(app, "ROLLBACK");

    // A scope that cannot rewind says so.
    dbrewind::Scope::handler() = [](const dbrewind::Error &error) { said = error.code(); };
    {
        dbrewind::Scope scope{db};
        db.close();
    }
    CHECK(said == DBREWIND_INVALID_ARGUMENT);
    db.close();
    caught(DBREWIND_INVALID_ARGUMENT, [&] { db.now(); });
    sqlite3_close(app);
    free(path);
    std::puts("right");
    return 0;
}
