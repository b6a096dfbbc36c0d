// GoogleTest: a fixture whose database is filled once and rewound after each test, and a listener for suites that have a base class already.
// Needs GoogleTest 1.10 or newer, C++17.
//
//     class Orders : public dbrewind::gtest::RewindTest<Orders> {
//     public:
//         static void fill(const std::string &path) { /* make the database: migrate, seed */ }
//     };
//     TEST_F(Orders, AreDeleted) { App app(path()); app.delete_all(); }     // commits as it likes
//
//     int main(int argc, char **argv) {          // or, for all suites of a program:
//         testing::InitGoogleTest(&argc, argv);
//         dbrewind::Database db{"app.db", dbrewind::own_sqlite()};
//         testing::UnitTest::GetInstance()->listeners().Append(new dbrewind::gtest::Listener(db));
//         return RUN_ALL_TESTS();
//     }
//
// DBREWIND_KEEP=failed keeps the database of a test that fails, in .dbrewind/failed. rust/docs/c-abi.md, "Suites of tests".
#ifndef DBREWIND_GTEST_HPP
#define DBREWIND_GTEST_HPP

#include <gtest/gtest.h>

#include <memory>

#include "under_test.hpp"

namespace dbrewind {
inline namespace DBREWIND_INLINE_NAMESPACE {
namespace gtest {

/// "Suite.Test".
inline std::string full_name(const ::testing::TestInfo &test) { return std::string(test.test_suite_name()) + "." + test.name(); }

/// The base class of a suite with a database of its own, a new file that is gone at the end.
///
/// `Suite`, the class that derives from it, has `static void fill(const std::string &path)`, which makes the database and closes it. It may
/// have `static std::string name()`, "test.db" otherwise, and `static dbrewind::Options options()`: `dbrewind::own_sqlite()` where the
/// program contains its SQLite. One that overrides SetUp, TearDown, SetUpTestSuite or TearDownTestSuite calls those of this class: SetUp
/// first, TearDown last.
template <typename Suite>
class RewindTest : public ::testing::Test {
public:
    /// Defaults, which `Suite` hides by its own.
    static std::string name() { return "test.db"; }
    static Options options() { return Options(); }

    static void SetUpTestSuite() {
        auto made = std::make_unique<under_test::File>(Suite::name());
        Suite::fill(made->path());
        failure() = made->record(Suite::options());
        file() = std::move(made);
    }
    static void TearDownTestSuite() { file().reset(); }

    /// The database file. This process's own: the name has its number, or that of the shard.
    static const std::string &path() { return file()->path(); }
    /// The handle. It stays open, and the mark "base" stays set.
    static Database &database() { return file()->database(); }

protected:
    void SetUp() override {
        // A suite whose SetUpTestSuite has thrown runs its tests all the same.
        ASSERT_TRUE(file() != nullptr) << "dbrewind: there is no database: SetUpTestSuite has failed";
        ASSERT_FALSE(failure()) << "dbrewind: " << failure()->what();
        auto failed = file()->rewinder().begin(full_name(*::testing::UnitTest::GetInstance()->current_test_info()));
        ASSERT_FALSE(failed) << "dbrewind: " << failed->what();
    }
    void TearDown() override {
        if (file() && !failure()) {
            auto test = full_name(*::testing::UnitTest::GetInstance()->current_test_info());
            auto failed = file()->rewinder().end(test, HasFailure());
            EXPECT_FALSE(failed) << "dbrewind: not rewound: " << failed->what();
        }
    }

private:
    // Of this suite: each instance of the template has its own.
    static std::unique_ptr<under_test::File> &file() {
        static std::unique_ptr<under_test::File> file;
        return file;
    }
    static under_test::Failure &failure() {
        static under_test::Failure failure;
        return failure;
    }
};

/// Rewinds a database after each test of a program, whatever its fixtures derive from: to where it was before the suite's first test, so
/// that what SetUpTestSuite wrote stays until the suite's end, and after the suite to where it was before the first one.
class Listener : public ::testing::EmptyTestEventListener {
public:
    /// `db` must stay until RUN_ALL_TESTS has returned. It is rewound, and keeps no marks of ours.
    explicit Listener(Database &db) : program_(db, "dbrewind: before the tests"), suite_(db, "dbrewind: before the suite") {}

    void OnEnvironmentsSetUpEnd(const ::testing::UnitTest &) override { told("set-up", program_.set()); }
    void OnTestSuiteStart(const ::testing::TestSuite &suite) override {
        told(suite.name(), program_.begin(suite.name()));
        within_suite_ = false;
    }
    void OnTestStart(const ::testing::TestInfo &test) override {
        // The suite's own set-up comes after its start.
        if (!within_suite_) {
            told(test.test_suite_name(), suite_.set());
        }
        within_suite_ = true;
        told(test.name(), suite_.begin(full_name(test)));
    }
    void OnTestEnd(const ::testing::TestInfo &test) override {
        told(test.name(), suite_.end(full_name(test), test.result()->Failed()));
    }
    void OnTestSuiteEnd(const ::testing::TestSuite &suite) override {
        told(suite.name(), program_.end(suite.name(), false));
    }
    void OnEnvironmentsTearDownStart(const ::testing::UnitTest &) override { told("tear-down", program_.forget()); }

private:
    static void told(const char *where, const under_test::Failure &failed) {
        // A fatal one keeps the test that begins from being run.
        ASSERT_FALSE(failed) << "dbrewind: " << where << ": " << failed->what();
    }

    under_test::Rewinder program_, suite_;
    bool within_suite_ = false;
};

} // namespace gtest
} // namespace DBREWIND_INLINE_NAMESPACE
} // namespace dbrewind

#endif
