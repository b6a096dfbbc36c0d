// GoogleTest suites that keep their base class: the database is rewound by a listener.
#include "suite.hpp"

#include <dbrewind/gtest.hpp>

static std::string path;

/// Has data of its own, for all of its tests.
class Fixture : public ::testing::Test {
protected:
    static void SetUpTestSuite() { suite::App(path).run("INSERT INTO users VALUES (4, 'Dee')"); }
    suite::App app{path};
};

TEST_F(Fixture, BeginsWithTheSuitesData) {
    EXPECT_EQ(app.users(), 4);
    app.run("DELETE FROM users");
}
TEST_F(Fixture, AndAgain) {
    EXPECT_EQ(app.users(), 4);
    app.run("INSERT INTO users (name) VALUES ('Eve')");
    EXPECT_FALSE(suite::fails());
}

TEST(Plain, BeginsWithoutTheSuitesData) {
    suite::App app{path};
    EXPECT_EQ(app.users(), 3);
    app.run("DELETE FROM users");
}
TEST(Plain, AndAgain) { EXPECT_EQ(suite::App(path).users(), 3); }

int main(int argc, char **argv) {
    testing::InitGoogleTest(&argc, argv);
    path = dbrewind::under_test::own_path("app.db");
    suite::fill(path);
    int failed = 0;
    {
        dbrewind::Database db{path, dbrewind::own_sqlite()};
        db.mark("the program's own");
        testing::UnitTest::GetInstance()->listeners().Append(new dbrewind::gtest::Listener(db));
        failed = RUN_ALL_TESTS();
        if (db.marks().size() != 1 || suite::App(path).users() != 3) {
            std::fprintf(stderr, "something was left behind\n");
            failed = 1;
        }
    }
    dbrewind::under_test::remove_database(path);
    return failed;
}
