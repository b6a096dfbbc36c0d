// A GoogleTest suite with a database of its own.
#include "suite.hpp"

#include <dbrewind/gtest.hpp>

class Users : public dbrewind::gtest::RewindTest<Users> {
public:
    static std::string name() { return "users.db"; }
    static dbrewind::Options options() {
        auto options = dbrewind::own_sqlite();
        options.raw.timeout_ms = 200;
        return options;
    }
    static void fill(const std::string &path) { suite::fill(path); }

protected:
    suite::App app{path()};
};

TEST_F(Users, AreDeleted) {
    EXPECT_EQ(app.users(), 3);
    app.run("DELETE FROM users");
    EXPECT_EQ(app.users(), 0);
}

TEST_F(Users, AreThereAgain) {
    EXPECT_EQ(app.users(), 3);
    app.run("DROP TABLE users; CREATE TABLE others (x)");
    EXPECT_EQ(app.users(), -1);
}

TEST_F(Users, MayHaveMarks) {
    EXPECT_EQ(app.users(), 3);
    app.run("DELETE FROM users WHERE id = 1");
    ASSERT_FALSE(dbrewind::detail::failure_of([] { return database().mark("two"); }));
    app.run("DELETE FROM users");
    ASSERT_FALSE(dbrewind::detail::failure_of([] { return database().rewind("two"); }));
    EXPECT_EQ(app.users(), 2);
}

TEST_F(Users, MayHaveTheSameMarksAgain) {
    ASSERT_FALSE(dbrewind::detail::failure_of([] { return database().mark("two"); }));
    EXPECT_EQ(app.users(), 3);
}

TEST_F(Users, MayFail) {
    app.run("DELETE FROM users WHERE id > 1");
    EXPECT_FALSE(suite::fails());
}

TEST_F(Users, AreThereAfterAFailure) { EXPECT_EQ(app.users(), 3); }

/// Leaves a transaction open: its rewind is refused, and the next test begins with the one that is missing.
static suite::App *forgotten = nullptr;

TEST_F(Users, MayForgetATransaction) {
    if (suite::fails()) {
        forgotten = new suite::App(path());
        forgotten->run("BEGIN IMMEDIATE; DELETE FROM users");
    }
}

TEST_F(Users, AreThereAfterThat) {
    EXPECT_EQ(app.users(), 3);
    delete forgotten;
}
