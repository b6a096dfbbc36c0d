// Catch2 3.0.1 or newer: a listener whose database is filled once and rewound after each run of a test case. A case is run once for each
// leaf SECTION, and for each value of a generator: each begins with the same database.
//
//     struct Orders : dbrewind::catch2::RewindListener<Orders> {
//         using RewindListener::RewindListener;
//         static void fill(const std::string &path) { /* make the database: migrate, seed */ }
//     };
//     CATCH_REGISTER_LISTENER(Orders)
//
//     TEST_CASE("orders") { App app(Orders::path()); SECTION("one") { ... } SECTION("two") { ... } }
//
// DBREWIND_KEEP=failed keeps the database of a test that fails, in .dbrewind/failed. rust/docs/c-abi.md, "Suites of tests".
#ifndef DBREWIND_CATCH2_HPP
#define DBREWIND_CATCH2_HPP

// Whoever uses Catch2's two files instead of its library includes them before.
#ifndef CATCH_REGISTER_LISTENER
#include <catch2/catch_test_case_info.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>
#endif

#include <memory>

#include "under_test.hpp"

namespace dbrewind {
inline namespace DBREWIND_INLINE_NAMESPACE {
namespace catch2 {

/// The base class of a listener with a database of its own, a new file that is gone at the end.
///
/// `Suite`, the class that derives from it, has `static void fill(const std::string &path)`, which makes the database and closes it. It may
/// have `static std::string name()`, "test.db" otherwise, and `static dbrewind::Options options()`: `dbrewind::own_sqlite()` where the
/// program contains its SQLite. Several listeners, each with a database, may be registered.
///
/// When the database cannot be recorded, or a test begins with one that cannot be rewound, the reason is printed and the program ends:
/// what it would test is not what is meant.
template <typename Suite>
class RewindListener : public Catch::EventListenerBase {
public:
    using EventListenerBase::EventListenerBase;

    /// Defaults, which `Suite` hides by its own.
    static std::string name() { return "test.db"; }
    static Options options() { return Options(); }

    /// The database file. This process's own: the name has its number.
    static const std::string &path() { return file()->path(); }
    /// The handle. It stays open, and the mark "base" stays set.
    static Database &database() { return file()->database(); }

    void testRunStarting(const Catch::TestRunInfo &) override {
        file() = std::make_unique<under_test::File>(Suite::name());
        Suite::fill(file()->path());
        need(file()->record(Suite::options()));
    }
    void testCasePartialStarting(const Catch::TestCaseInfo &test, uint64_t) override {
        need(file()->rewinder().begin(test.name));
    }
    void testCasePartialEnded(const Catch::TestCaseStats &stats, uint64_t part) override {
        auto test = stats.testInfo->name + (part ? "-" + std::to_string(part) : std::string());
        if (auto failed = file()->rewinder().end(test, stats.totals.assertions.failed > 0)) {
            // The next one begins with the rewind that is missing.
            std::fprintf(stderr, "dbrewind: %s: not rewound: %s\n", test.c_str(), failed->what());
        }
    }
    void testRunEnded(const Catch::TestRunStats &) override { file().reset(); }

private:
    static void need(const under_test::Failure &failed) {
        if (failed) {
            detail::give_up("dbrewind::catch2", *failed);
        }
    }

    // Of this suite: each instance of the template has its own.
    static std::unique_ptr<under_test::File> &file() {
        static std::unique_ptr<under_test::File> file;
        return file;
    }
};

} // namespace catch2
} // namespace DBREWIND_INLINE_NAMESPACE
} // namespace dbrewind

#endif
