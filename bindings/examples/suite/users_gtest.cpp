#include "users.hpp"

#include <dbrewind/gtest.hpp>

class Users : public dbrewind::gtest::RewindTest<Users> {
public:
    static dbrewind::Options options() { return dbrewind::own_sqlite(); }
    static void fill(const std::string &path) { ::fill(path); }
};

TEST_F(Users, AreDeleted) {
    execute(path(), "DELETE FROM users");
    EXPECT_EQ(users(path()), 0);
}

TEST_F(Users, AreThereInEachTest) { EXPECT_EQ(users(path()), 3); }
