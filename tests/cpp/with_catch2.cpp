// Catch2: each run of a case, one for each leaf section, begins with the same database.
#include "suite.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <dbrewind/catch2.hpp>

struct Users : dbrewind::catch2::RewindListener<Users> {
    using RewindListener::RewindListener;
    static std::string name() { return "users.db"; }
    static dbrewind::Options options() { return dbrewind::own_sqlite(); }
    static void fill(const std::string &path) { suite::fill(path); }
};
CATCH_REGISTER_LISTENER(Users)

TEST_CASE("sections") {
    suite::App app{Users::path()};
    REQUIRE(app.users() == 3);
    app.run("INSERT INTO users (name) VALUES ('Dee')");
    SECTION("deleting") {
        app.run("DELETE FROM users");
        REQUIRE(app.users() == 0);
    }
    SECTION("inserting") {
        REQUIRE(app.users() == 4);
        SECTION("once") { app.run("INSERT INTO users (name) VALUES ('Eve')"); }
        SECTION("with a mark") { Users::database().mark("a mark"); }
        SECTION("with the same mark") { Users::database().mark("a mark"); }
    }
}

TEST_CASE("generators") {
    auto id = GENERATE(1, 2, 3);
    suite::App app{Users::path()};
    REQUIRE(app.users() == 3);
    app.run(("DELETE FROM users WHERE id = " + std::to_string(id)).c_str());
    REQUIRE(app.users() == 2);
}

TEST_CASE("may fail") {
    suite::App app{Users::path()};
    app.run("DELETE FROM users WHERE id > 1");
    REQUIRE_FALSE(suite::fails());
}

TEST_CASE("after a failure") { REQUIRE(suite::App(Users::path()).users() == 3); }
