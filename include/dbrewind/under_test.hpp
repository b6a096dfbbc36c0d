// What dbrewind/gtest.hpp and dbrewind/catch2.hpp have in common: a database file of this process's own, and the rewind after each test.
#ifndef DBREWIND_UNDER_TEST_HPP
#define DBREWIND_UNDER_TEST_HPP

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>
#include <system_error>

#include "../dbrewind.hpp"

namespace dbrewind {
inline namespace DBREWIND_INLINE_NAMESPACE {
namespace under_test {

/// Why something was not done; nothing if it was.
using Failure = std::optional<Error>;

/// The name of a file for this process alone: "app.db" is "app-shard2.db" in a shard of GoogleTest (GTEST_SHARD_INDEX), else
/// "app-4711.db" by the process's number. So the tests of one program can run at the same time (`ctest -j`).
inline std::string own_path(const std::string &path) {
    const char *shard = std::getenv("GTEST_SHARD_INDEX");
    const char *shards = std::getenv("GTEST_TOTAL_SHARDS");
    bool sharded = shard && *shard && shards && std::strtol(shards, nullptr, 10) > 1;
    std::filesystem::path given(path);
    auto name = given.stem().string() + "-" + (sharded ? std::string("shard") + shard : std::to_string(::getpid()));
    return given.replace_filename(name + given.extension().string()).string();
}

/// Removes a database, its journals and its history, if they are there.
inline void remove_database(const std::string &path) {
    std::error_code ignored;
    for (const char *end : {"", "-wal", "-shm", "-journal", "-rewind"}) {
        std::filesystem::remove_all(path + end, ignored);
    }
}

/// Whether a test's database is to be kept, by DBREWIND_KEEP: "failed", "all", or, as without it, "none".
inline bool is_kept(bool failed) {
    const char *keep = std::getenv("DBREWIND_KEEP");
    return keep && (std::strcmp(keep, "all") == 0 || (failed && std::strcmp(keep, "failed") == 0));
}

/// Takes a database back after each test. The state to go back to is a mark.
class Rewinder {
public:
    /// `db` must stay. `mark` is the name to be given to the state that tests begin with.
    Rewinder(Database &db, std::string mark) : db_(db), mark_(std::move(mark)) {}
    Rewinder(const Rewinder &) = delete;
    Rewinder &operator=(const Rewinder &) = delete;

    /// From now on tests begin with the present state. A mark of this name is forgotten.
    Failure set() {
        std::set<std::string> there;
        if (auto failed = names(there)) {
            return failed;
        }
        if (there.count(mark_)) {
            if (auto failed = detail::failure_of([&] { return db_.drop(mark_); })) {
                return failed;
            }
        }
        return detail::failure_of([&] { return db_.pin(mark_); });
    }

    /// Before a test. If the database is not as it should be, since a rewind failed or somebody wrote between two tests, it is rewound,
    /// and that is said on standard error. Takes the same time for any change.
    Failure begin(const std::string &test) {
        std::optional<bool> dirty;
        if (auto failed = detail::failure_of([&] { return db_.dirty_since(Target::mark(mark_)); }, dirty)) {
            return failed;
        }
        if (*dirty) {
            std::fprintf(stderr, "dbrewind: the database was not at %s before %s; rewinding it\n", mark_.c_str(), test.c_str());
            if (auto failed = rewind()) {
                return failed;
            }
        }
        before_.clear();
        return names(before_);
    }

    /// After a test, and after the last connection's transaction: rewinds, and forgets the marks that the test has set. A database that
    /// DBREWIND_KEEP asks for is copied first, to .dbrewind/failed/TEST.db, or .dbrewind/kept/TEST.db of a test that passed.
    Failure end(const std::string &test, bool failed_test) {
        if (is_kept(failed_test)) {
            keep(test, failed_test ? "failed" : "kept");
        }
        if (auto failed = rewind()) {
            return failed;
        }
        std::set<std::string> after;
        if (auto failed = names(after)) {
            return failed;
        }
        for (const auto &name : after) {
            if (!before_.count(name)) {
                if (auto failed = detail::failure_of([&] { return db_.drop(name); })) {
                    return failed;
                }
            }
        }
        return {};
    }

    /// Forgets the mark.
    Failure forget() {
        return detail::failure_of([&] { return db_.drop(mark_); });
    }

private:
    Failure rewind() {
        return detail::failure_of([&] { return db_.rewind(Target::mark(mark_)); });
    }

    Failure names(std::set<std::string> &into) const {
        std::optional<std::vector<Mark>> marks;
        if (auto failed = detail::failure_of([&] { return db_.marks(); }, marks)) {
            return failed;
        }
        for (const auto &mark : *marks) {
            into.insert(mark.name);
        }
        return {};
    }

    /// What cannot be kept is only told: the test's own result matters more.
    void keep(const std::string &test, const char *folder) {
        auto name = test;
        for (char &c : name) {
            bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::strchr("._-", c);
            c = plain && c != '\0' ? c : '_';
        }
        auto path = std::filesystem::path(".dbrewind") / folder / (name.substr(0, 200) + ".db");
        std::error_code ignored;
        std::filesystem::create_directories(path.parent_path(), ignored);
        std::filesystem::remove(path, ignored);
        auto failed = detail::failure_of([&] { return db_.clone(Target::now(), path.string()); });
        std::fprintf(stderr, "dbrewind: %s: %s%s\n", test.c_str(), failed ? "not kept: " : "its database is kept in ",
                     failed ? failed->what() : path.c_str());
    }

    Database &db_;
    std::string mark_;
    std::set<std::string> before_;
};

/// A new database file, recorded, and gone at the end.
class File {
public:
    /// `path`: to which `own_path` adds. What a killed run has left there is removed.
    explicit File(const std::string &path) : path_(own_path(path)) { remove_database(path_); }
    File(const File &) = delete;
    File &operator=(const File &) = delete;
    ~File() {
        rewinder_.reset();
        db_.reset();
        remove_database(path_);
    }

    /// Begins to record the file, which is there by now, with what it holds as the state that tests begin with.
    Failure record(const Options &options) {
        if (auto failed = detail::failure_of([&] { return Database::open(path_, options); }, db_)) {
            return failed;
        }
        rewinder_.emplace(*db_, "base");
        return rewinder_->set();
    }

    const std::string &path() const { return path_; }
    /// Both only after `record` was done.
    Database &database() { return *db_; }
    Rewinder &rewinder() { return *rewinder_; }

private:
    std::string path_;
    std::optional<Database> db_;
    std::optional<Rewinder> rewinder_;
};

} // namespace under_test
} // namespace DBREWIND_INLINE_NAMESPACE
} // namespace dbrewind

#endif
