#include "users.hpp"

#include <catch2/catch_test_macros.hpp>
#include <dbrewind/catch2.hpp>

struct Users : dbrewind::catch2::RewindListener<Users> {
    using RewindListener::RewindListener;
    static dbrewind::Options options() { return dbrewind::own_sqlite(); }
    static void fill(const std::string &path) { ::fill(path); }
};
CATCH_REGISTER_LISTENER(Users)

TEST_CASE("users") {
    REQUIRE(users(Users::path()) == 3);
    SECTION("are deleted") {
        execute(Users::path(), "DELETE FROM users");
        REQUIRE(users(Users::path()) == 0);
    }
    SECTION("are added") {
        execute(Users::path(), "INSERT INTO users VALUES ('Dee')");
        REQUIRE(users(Users::path()) == 4);
    }
}
